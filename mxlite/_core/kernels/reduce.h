/* Inner loops of the reductions at one instruction-set level; included by reduce_<level>.c with LEVEL set. */
#include <math.h>
#include <string.h>
#include "reduce_ops.h"

#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX2__)
#define BYTES 32
#else
#define BYTES 16
#endif
#define VECTOR_BYTES BYTES
#define T float
#define I int32_t
#define F(name) name##_f32
#include "reduce_real.h"
#undef T
#undef I
#undef F
#define T double
#define I int64_t
#define F(name) name##_f64
#include "reduce_real.h"
#undef T
#undef I
#undef F
#undef LANES

/* Everything else in vectors of double. */
enum { LANES = BYTES / 8 };
typedef double vd __attribute__((vector_size(BYTES)));
typedef int64_t vl __attribute__((vector_size(BYTES)));
typedef float vh __attribute__((vector_size(BYTES / 2)));

static inline vd splat(double x) { return x - (vd){0}; }    /* x + 0 would lose the sign of -0 */
static inline vd wide_f32(const float *p) { vh t; memcpy(&t, p, sizeof(t)); return __builtin_convertvector(t, vd); }
static inline vd wide_f64(const double *p) { vd t; memcpy(&t, p, sizeof(t)); return t; }
static inline void put(double *p, vd v) { memcpy(p, &v, sizeof(v)); }
static inline vd vector_select(vl m, vd p, vd q) { return (vd)(((vl)p & m) | ((vl)q & ~m)); }

#define R(name, start, step, merge) \
static inline __attribute__((always_inline)) vd vstep_##name(vd a, vd v) { return step; } \
static inline __attribute__((always_inline)) vd vmerge_##name(vd a, vd v) { return merge; }
#define SELECT(m, p, q) vector_select((vl)(m), p, q)
#define ZERO splat(0.0)
#define ONE splat(1.0)
MXL_REDUCE_SUM(R) MXL_REDUCE_WIDE(R)
#undef R
#undef SELECT
#undef ZERO
#undef ONE
#define R(name, start, step, merge) \
static inline __attribute__((always_inline)) double step_##name(double a, double v) { return step; } \
static inline __attribute__((always_inline)) double merge_##name(double a, double v) { return merge; }
#define SELECT(m, p, q) ((m) ? (p) : (q))
#define ZERO 0.0
#define ONE 1.0
MXL_REDUCE_SUM(R) MXL_REDUCE_WIDE(R)
#undef R

/* The first n < LANES elements, `fill` behind them. */
static inline vd part_f32(const float *p, int64_t n, double fill)
{
    vec_f32 v = load_part_f32(p, n, splat_f32((float)fill));
    return wide_f32((const float *)&v);
}
static inline vd part_f64(const double *p, int64_t n, double fill) { return load_part_f64(p, n, splat_f64(fill)); }

#define LOOPS(T, S, name, start) \
static void rows_##S##_##name(const T *x, int64_t stride, int64_t count, int64_t n, double *acc) \
{ \
    for (int64_t r = 0; r < count; r++, x += stride) { \
        int64_t i = 0; \
        vd a0 = splat(start), a1 = a0, a2 = a0, a3 = a0; \
        for (; i + 4 * LANES <= n; i += 4 * LANES) { \
            a0 = vstep_##name(a0, wide_##S(x + i)); \
            a1 = vstep_##name(a1, wide_##S(x + i + LANES)); \
            a2 = vstep_##name(a2, wide_##S(x + i + 2 * LANES)); \
            a3 = vstep_##name(a3, wide_##S(x + i + 3 * LANES)); \
        } \
        for (; i + LANES <= n; i += LANES) a1 = vstep_##name(a1, wide_##S(x + i)); \
        if (i < n) a2 = vstep_##name(a2, part_##S(x + i, n - i, start)); \
        a0 = vmerge_##name(vmerge_##name(a0, a1), vmerge_##name(a2, a3)); \
        double t[LANES]; \
        memcpy(t, &a0, sizeof a0); \
        for (int w = LANES / 2; w; w /= 2) for (int k = 0; k < w; k++) t[k] = merge_##name(t[k], t[k + w]); \
        acc[r] = merge_##name(acc[r], t[0]); \
    } \
} \
static void cols_##S##_##name(const T *x, int64_t stride, int64_t rows, int64_t n, double *acc) \
{ \
    int64_t r = 0; \
    for (; r + 4 <= rows; r += 4, x += 4 * stride) { \
        const T *x1 = x + stride, *x2 = x1 + stride, *x3 = x2 + stride; \
        int64_t j = 0; \
        for (; j + LANES <= n; j += LANES) { \
            vd a = vstep_##name(wide_f64(acc + j), wide_##S(x + j)); \
            a = vstep_##name(a, wide_##S(x1 + j)); \
            a = vstep_##name(a, wide_##S(x2 + j)); \
            put(acc + j, vstep_##name(a, wide_##S(x3 + j))); \
        } \
        for (; j < n; j++) { \
            double a = step_##name(step_##name(acc[j], (double)x[j]), (double)x1[j]); \
            acc[j] = step_##name(step_##name(a, (double)x2[j]), (double)x3[j]); \
        } \
    } \
    for (; r < rows; r++, x += stride) { \
        int64_t j = 0; \
        for (; j + LANES <= n; j += LANES) put(acc + j, vstep_##name(wide_f64(acc + j), wide_##S(x + j))); \
        for (; j < n; j++) acc[j] = step_##name(acc[j], (double)x[j]); \
    } \
}
#define R(name, start, step, merge) LOOPS(float, f32, name, start) LOOPS(double, f64, name, start)
MXL_REDUCE_SUM(R) MXL_REDUCE_WIDE(R)
#undef R

/* Sums of float: four vectors in float, and those in double. So an element takes part in two roundings to float, and
 * the error is below 2^-23 of the sum of magnitudes, however many there are. Where that is not finite, all is done
 * again in double: four floats may overflow where their total does not. */
static inline void four(const float *p, int64_t step, vd *a, vd *b)
{
    vec_f32 t = (load_f32(p) + load_f32(p + step)) + (load_f32(p + 2 * step) + load_f32(p + 3 * step));
    float half[2 * LANES];
    memcpy(half, &t, sizeof t);
    *a += wide_f32(half);
    *b += wide_f32(half + LANES);
}
static void sums_of_rows(const float *x, int64_t stride, int64_t count, int64_t n, double *acc)
{
    for (int64_t r = 0; r < count; r++, x += stride) {
        vd a = {0}, b = {0}, c = {0}, d = {0};
        int64_t i = 0;
        for (; i + 16 * LANES <= n; i += 16 * LANES) {
            four(x + i, 2 * LANES, &a, &b);
            four(x + i + 8 * LANES, 2 * LANES, &c, &d);
        }
        if (i + 8 * LANES <= n) { four(x + i, 2 * LANES, &a, &b); i += 8 * LANES; }
        a += c;
        b += d;
        vec_f32 u = {0};
        if (i + 4 * LANES <= n) { u = load_f32(x + i) + load_f32(x + i + 2 * LANES); i += 4 * LANES; }
        vec_f32 v = {0};
        if (i + 2 * LANES <= n) { v = load_f32(x + i); i += 2 * LANES; }
        if (i < n) v += load_part_f32(x + i, n - i, (vec_f32){0});
        u += v;
        float half[2 * LANES];
        memcpy(half, &u, sizeof u);
        a += wide_f32(half) + (b + wide_f32(half + LANES));
        double s = total_f64(a);
        if (s - s != 0) rows_f32_sum(x, 0, 1, n, acc + r);
        else acc[r] += s;
    }
}
/* Eight rows at once; `fetch`: meanwhile the next eight come, for so many streams are more than the processor itself
 * fetches ahead. */
static inline __attribute__((always_inline)) void eight_rows(const float *x, int64_t stride, int64_t n, double *acc,
                                                             int fetch)
{
    int64_t j = 0;
    for (; j + 2 * LANES <= n; j += 2 * LANES) {
        vd a = {0}, b = {0};
        if (fetch && (BYTES == 64 || j % 16 == 0))
            for (int k = 8; k < 16; k++) __builtin_prefetch(x + k * stride + j, 0, 2);
        four(x + j, stride, &a, &b);
        four(x + j + 4 * stride, stride, &a, &b);
        vd wild = (a - a) + (b - b);
        if (any_f64((vl)(wild != 0))) {
            cols_f32_sum(x + j, stride, 8, 2 * LANES, acc + j);
            continue;
        }
        put(acc + j, wide_f64(acc + j) + a);
        put(acc + j + LANES, wide_f64(acc + j + LANES) + b);
    }
    if (j < n) cols_f32_sum(x + j, stride, 8, n - j, acc + j);
}
static void sums_of_cols(const float *x, int64_t stride, int64_t rows, int64_t n, double *acc)
{
    const int far = stride >= 2048;                     /* what is near is in the cache already */
    int64_t r = 0;
    for (; r + 8 <= rows; r += 8, x += 8 * stride)
        if (far && r + 16 <= rows) eight_rows(x, stride, n, acc, 1);
        else eight_rows(x, stride, n, acc, 0);
    if (r < rows) cols_f32_sum(x, stride, rows - r, n, acc);
}

#define TABLE_NAME_(level) mxl_reduce_##level
#define TABLE_NAME(level) TABLE_NAME_(level)
#define R(name, start, step, merge) \
    .rows_f32[MXL_R_##name] = rows_f32_##name, .rows_f64[MXL_R_##name] = rows_f64_##name, \
    .cols_f32[MXL_R_##name] = cols_f32_##name, .cols_f64[MXL_R_##name] = cols_f64_##name,
#define OWN(name) \
    .rows_f32[MXL_R_##name] = rows_##name##_f32, .rows_f64[MXL_R_##name] = rows_##name##_f64, \
    .cols_f32[MXL_R_##name] = cols_##name##_f32, .cols_f64[MXL_R_##name] = cols_##name##_f64,
const mxl_reduce_table TABLE_NAME(LEVEL) = { MXL_REDUCE_WIDE(R) OWN(max) OWN(min)
    .rows_f32[MXL_R_sum] = sums_of_rows, .rows_f64[MXL_R_sum] = rows_f64_sum,
    .cols_f32[MXL_R_sum] = sums_of_cols, .cols_f64[MXL_R_sum] = cols_f64_sum,
    .places_f32 = {places_min_f32, places_max_f32}, .places_f64 = {places_min_f64, places_max_f64} };
