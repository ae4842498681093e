// What reductions accumulate: first(), add(accumulator, value, its place), four values at once, join, and last().
#ifndef MXL_REDUCE_CUH
#define MXL_REDUCE_CUH
#include "places.cuh"
#include "reduce_ops.h"
enum { PLAIN, MEAN, ROOT };

// In double, by the lines that the CPU's loops are made of.
#define SELECT(m, p, q) ((m) ? (p) : (q))
#define ZERO 0.0
#define ONE 1.0
#define R(name, start_, step_, merge_) struct real_##name { \
    typedef double A; \
    FN double first() { return start_; } \
    FN double add(double a, double v, int64_t) { return step_; } \
    FN double join(double a, double v) { return merge_; } \
};
MXL_REDUCE_SUM(R) MXL_REDUCE_WIDE(R)
#undef R
#undef SELECT
#undef ZERO
#undef ONE

// In 64-bit integers, which wrap.
FN int64_t wrapped(uint64_t v) { return (int64_t)v; }
#define WHOLE(name, start_, step_, merge_) struct whole_##name { \
    typedef int64_t A; \
    FN int64_t first() { return start_; } \
    FN int64_t add(int64_t a, int64_t v, int64_t) { return step_; } \
    FN int64_t join(int64_t a, int64_t v) { return merge_; } \
};
#define SUM wrapped((uint64_t)a + (uint64_t)v)
#define PRODUCT wrapped((uint64_t)a * (uint64_t)v)
WHOLE(sum, 0, SUM, SUM)
WHOLE(nansum, 0, SUM, SUM)
WHOLE(sumabs, 0, wrapped((uint64_t)a + (v < 0 ? 0 - (uint64_t)v : (uint64_t)v)), SUM)
WHOLE(prod, 1, PRODUCT, PRODUCT)
WHOLE(nanprod, 1, PRODUCT, PRODUCT)
WHOLE(max, INT64_MIN, v > a ? v : a, v > a ? v : a)
WHOLE(min, INT64_MAX, v < a ? v : a, v < a ? v : a)
#undef WHOLE
#undef SUM
#undef PRODUCT

// Extremes, in the type at hand; NaN beats every number.
template <class C, bool LARGEST> struct extreme {
    typedef C A;
    FN C first() { return LARGEST ? -(C)INFINITY : (C)INFINITY; }
    FN C add(C a, C v, int64_t) { return (LARGEST ? v > a : v < a) || v != v ? v : a; }
    FN C join(C a, C v) { return add(a, v, 0); }
};

// Where the extreme stands first; `at` is -1 before anything was seen.
template <class C> struct Place { C v; int64_t at; };
template <class C, bool LARGEST> struct position {
    typedef Place<C> A;
    FN A first() { A a = {(C)0, -1}; return a; }
    FN A join(A a, A b)
    {
        if (a.at < 0 || b.at < 0) return a.at < 0 ? b : a;
        const bool nan_a = a.v != a.v, nan_b = b.v != b.v;
        if (nan_a != nan_b) return nan_a ? a : b;
        if (nan_a || a.v == b.v) return a.at < b.at ? a : b;
        return (LARGEST ? b.v > a.v : b.v < a.v) ? b : a;
    }
    FN A add(A a, C v, int64_t at) { A b = {v, at}; return join(a, b); }
};

// Four values: one by one, but sums of float go in float first and into double once, as on the CPU: so an element takes
// part in two roundings to float. Four floats may overflow where their total does not: then in double.
template <class O, class C> struct four {
    FN typename O::A of(typename O::A a, C p, C q, C r, C s, int64_t i, int64_t step)
    {
        return O::add(O::add(O::add(O::add(a, p, i), q, i + step), r, i + 2 * step), s, i + 3 * step);
    }
};
template <> struct four<real_sum, float> {
    FN double of(double a, float p, float q, float r, float s, int64_t, int64_t)
    {
        const float t = (p + q) + (r + s);
        return t - t == 0 ? a + t : a + (((double)p + q) + ((double)r + s));
    }
};

template <class A> FN A across(A a, int m) { return __shfl_xor_sync(0xffffffffu, a, m); }
template <class C> FN Place<C> across(Place<C> a, int m)
{
    Place<C> b = {across(a.v, m), across(a.at, m)};
    return b;
}

// The accumulator as an element of the result.
template <class T, int POST> FN T last(double a, double n)
{
    return put<T>(POST == MEAN ? a / n : POST == ROOT ? sqrt(a) : a);
}
template <class T, int POST> FN T last(float a, double) { return put<T>(a); }
template <class T, int POST> FN T last(int64_t a, double n)
{
    return put<T>(POST == MEAN ? (n > 0 ? a / (int64_t)n : (int64_t)0) : a);
}
template <class T, int POST, class C> FN T last(Place<C> a, double) { return put<T>(a.at); }
#endif
