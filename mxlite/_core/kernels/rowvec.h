/* For inner loops written once for float and double: define T (the type), I (the integer of its size) and F(name), then
 * include. VECTOR_BYTES is the level's vector width. Sums run in several lanes, which compilers may
 * not do on their own.
 */
#ifndef MXL_ROWVEC_H
#define MXL_ROWVEC_H
#include <stdint.h>
#include <string.h>

#if defined(__clang__)
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif
#define INLINE static inline __attribute__((always_inline))
#define LANES ((int64_t)(VECTOR_BYTES / sizeof(T)))
#define QUAD ((int64_t)(16 / sizeof(T)))
#endif

#ifdef T
typedef T F(vec) __attribute__((vector_size(VECTOR_BYTES)));
typedef I F(ints) __attribute__((vector_size(VECTOR_BYTES)));
typedef T F(quad) __attribute__((vector_size(16)));     /* for what is left after whole vectors */

INLINE F(vec) F(load)(const T *p) { F(vec) v; memcpy(&v, p, sizeof v); return v; }
INLINE F(quad) F(load4)(const T *p) { F(quad) v; memcpy(&v, p, sizeof v); return v; }
INLINE T F(lanes)(F(vec) v, F(quad) q)
{
    T s = 0;
    for (int64_t i = 0; i < LANES; i++) s += v[i];
    for (int64_t i = 0; i < QUAD; i++) s += q[i];
    return s;
}

/* Returns the sum over i < n of TERM(load, i); TERM is given the function that loads. */
#define ELEMENT_(p) (*(p))
#define REDUCE(TERM) \
    F(vec) a = {0}, b = {0}; \
    F(quad) q = {0}; \
    T s = 0; \
    int64_t i = 0; \
    for (; i + 2 * LANES <= n; i += 2 * LANES) { a += TERM(F(load), i); b += TERM(F(load), i + LANES); } \
    if (i + LANES <= n) { a += TERM(F(load), i); i += LANES; } \
    for (; i + QUAD <= n; i += QUAD) q += TERM(F(load4), i); \
    for (; i < n; i++) s += TERM(ELEMENT_, i); \
    return s + F(lanes)(a + b, q);

INLINE T F(sum)(const T *x, int64_t n)
{
#define TERM_(load, i) load(x + (i))
    REDUCE(TERM_)
#undef TERM_
}

/* Sum of x * y. */
INLINE T F(dot)(const T *x, const T *y, int64_t n)
{
#define TERM_(load, i) (load(x + (i)) * load(y + (i)))
    REDUCE(TERM_)
#undef TERM_
}

/* Sum of (x - shift)^2 and, in *plain, of x - shift. */
INLINE T F(squares)(const T *x, T shift, int64_t n, T *plain)
{
    F(vec) a = {0}, b = {0}, c = {0}, d = {0};
    F(quad) e = {0}, f = {0};
    T s = 0, t = 0;
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        F(vec) u = F(load)(x + i) - shift, v = F(load)(x + i + LANES) - shift;
        c += u;
        d += v;
        a += u * u;
        b += v * v;
    }
    if (i + LANES <= n) {
        F(vec) u = F(load)(x + i) - shift;
        c += u;
        a += u * u;
        i += LANES;
    }
    for (; i + QUAD <= n; i += QUAD) {
        F(quad) u = F(load4)(x + i) - shift;
        f += u;
        e += u * u;
    }
    for (; i < n; i++) { T u = x[i] - shift; t += u; s += u * u; }
    *plain = t + F(lanes)(c + d, f);
    return s + F(lanes)(a + b, e);
}

/* Sum of y * (x - shift) and, in *plain, of y. */
INLINE T F(dot_shifted)(const T *x, const T *y, T shift, int64_t n, T *plain)
{
    F(vec) a = {0}, b = {0}, c = {0}, d = {0};
    F(quad) e = {0}, f = {0};
    T s = 0, t = 0;
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        F(vec) u = F(load)(y + i), v = F(load)(y + i + LANES);
        c += u;
        d += v;
        a += u * (F(load)(x + i) - shift);
        b += v * (F(load)(x + i + LANES) - shift);
    }
    if (i + LANES <= n) {
        c += F(load)(y + i);
        a += F(load)(y + i) * (F(load)(x + i) - shift);
        i += LANES;
    }
    for (; i + QUAD <= n; i += QUAD) {
        f += F(load4)(y + i);
        e += F(load4)(y + i) * (F(load4)(x + i) - shift);
    }
    for (; i < n; i++) { s += y[i] * (x[i] - shift); t += y[i]; }
    *plain = t + F(lanes)(c + d, f);
    return s + F(lanes)(a + b, e);
}

/* Largest x * scale of n > 0 elements. */
INLINE T F(largest)(const T *x, T scale, int64_t n)
{
    T m = x[0] * scale;
    int64_t i = 0;
    if (n >= LANES) {
        F(vec) a = F(load)(x) * scale;
        for (i = LANES; i + LANES <= n; i += LANES) {
            F(vec) v = F(load)(x + i) * scale;
            F(ints) above = v > a;
            a = (F(vec))(((F(ints))v & above) | ((F(ints))a & ~above));
        }
        for (int64_t j = 0; j < LANES; j++) m = a[j] > m ? a[j] : m;
    }
    for (; i < n; i++) m = x[i] * scale > m ? x[i] * scale : m;
    return m;
}
#endif
