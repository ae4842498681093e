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
enum { LANES = BYTES / 8 };
typedef double vd __attribute__((vector_size(BYTES)));
typedef int64_t vl __attribute__((vector_size(BYTES)));
typedef float vh __attribute__((vector_size(BYTES / 2)));

static inline vd splat(double x) { return x - (vd){0}; }    /* x + 0 would lose the sign of -0 */
static inline vd load_f32(const float *p) { vh t; memcpy(&t, p, sizeof(t)); return __builtin_convertvector(t, vd); }
static inline vd load_f64(const double *p) { vd t; memcpy(&t, p, sizeof(t)); return t; }
static inline void put(double *p, vd v) { memcpy(p, &v, sizeof(v)); }
static inline vd vector_select(vl m, vd p, vd q) { return (vd)(((vl)p & m) | ((vl)q & ~m)); }

#define R(name, start, step, merge) \
static inline __attribute__((always_inline)) vd vstep_##name(vd a, vd v) { return step; } \
static inline __attribute__((always_inline)) vd vmerge_##name(vd a, vd v) { return merge; }
#define SELECT(m, p, q) vector_select((vl)(m), p, q)
#define ZERO splat(0.0)
#define ONE splat(1.0)
MXL_REDUCE(R)
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
MXL_REDUCE(R)
#undef R

#define LOOPS(T, S, name, start) \
static double row_##S##_##name(const T *x, int64_t n, double acc) \
{ \
    int64_t i = 0; \
    if (n >= 4 * LANES) { \
        vd a0 = splat(start), a1 = a0, a2 = a0, a3 = a0; \
        for (; i + 4 * LANES <= n; i += 4 * LANES) { \
            a0 = vstep_##name(a0, load_##S(x + i)); \
            a1 = vstep_##name(a1, load_##S(x + i + LANES)); \
            a2 = vstep_##name(a2, load_##S(x + i + 2 * LANES)); \
            a3 = vstep_##name(a3, load_##S(x + i + 3 * LANES)); \
        } \
        a0 = vmerge_##name(vmerge_##name(a0, a1), vmerge_##name(a2, a3)); \
        for (int k = 0; k < LANES; k++) acc = merge_##name(acc, a0[k]); \
    } \
    for (; i < n; i++) acc = step_##name(acc, (double)x[i]); \
    return acc; \
} \
static void cols_##S##_##name(const T *x, int64_t stride, int64_t rows, int64_t n, double *acc) \
{ \
    int64_t r = 0; \
    for (; r + 4 <= rows; r += 4, x += 4 * stride) { \
        const T *x1 = x + stride, *x2 = x1 + stride, *x3 = x2 + stride; \
        int64_t j = 0; \
        for (; j + LANES <= n; j += LANES) { \
            vd a = vstep_##name(load_f64(acc + j), load_##S(x + j)); \
            a = vstep_##name(a, load_##S(x1 + j)); \
            a = vstep_##name(a, load_##S(x2 + j)); \
            put(acc + j, vstep_##name(a, load_##S(x3 + j))); \
        } \
        for (; j < n; j++) { \
            double a = step_##name(step_##name(acc[j], (double)x[j]), (double)x1[j]); \
            acc[j] = step_##name(step_##name(a, (double)x2[j]), (double)x3[j]); \
        } \
    } \
    for (; r < rows; r++, x += stride) { \
        int64_t j = 0; \
        for (; j + LANES <= n; j += LANES) put(acc + j, vstep_##name(load_f64(acc + j), load_##S(x + j))); \
        for (; j < n; j++) acc[j] = step_##name(acc[j], (double)x[j]); \
    } \
}
#define R(name, start, step, merge) LOOPS(float, f32, name, start) LOOPS(double, f64, name, start)
MXL_REDUCE(R)
#undef R

#define TABLE_NAME_(level) mxl_reduce_##level
#define TABLE_NAME(level) TABLE_NAME_(level)
#define R(name, start, step, merge) .row_f32[MXL_R_##name] = row_f32_##name, .row_f64[MXL_R_##name] = row_f64_##name, \
    .cols_f32[MXL_R_##name] = cols_f32_##name, .cols_f64[MXL_R_##name] = cols_f64_##name,
const mxl_reduce_table TABLE_NAME(LEVEL) = { MXL_REDUCE(R) };
