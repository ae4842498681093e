/* Numbers of the element-wise functions, and the table of loops that each instruction-set level fills. */
#ifndef MXL_ELEMENTWISE_OPS_H
#define MXL_ELEMENTWISE_OPS_H
#include <stdint.h>
#include "unary.h"
#include "binary.h"

enum {
#define U(name, ns, cls, value, bcls, gradient) MXL_U_##name, MXL_G_##name,
    MXL_UNARY(U)
#undef U
#define B(name, cls, value, whole) MXL_B_##name, MXL_BVS_##name, MXL_BSV_##name,
    MXL_BINARY(B)
#undef B
    MXL_ELEMENTWISE_LOOPS
};

/* y[i] = f(a[i], b[i], scalars); a and b may be y itself. Functions of a number and an array read the array at a.
 * A missing entry means: take the baseline's. */
typedef void (*mxl_loop_f32)(int64_t n, const float *a, const float *b, float *y, const float *s);
typedef void (*mxl_loop_f64)(int64_t n, const double *a, const double *b, double *y, const double *s);
typedef void (*mxl_loop_i64)(int64_t n, const int64_t *a, const int64_t *b, int64_t *y, const int64_t *s);
typedef struct {
    mxl_loop_f32 f32[MXL_ELEMENTWISE_LOOPS];
    mxl_loop_f64 f64[MXL_ELEMENTWISE_LOOPS];
    void (*load_f32)(int dtype, const void *p, int64_t at, int64_t n, float *to);       /* see convert.h */
    void (*load_f64)(int dtype, const void *p, int64_t at, int64_t n, double *to);
    void (*load_i64)(int dtype, const void *p, int64_t at, int64_t n, int64_t *to);
    void (*store_f32)(int dtype, void *p, int64_t at, int64_t n, const float *v);
    void (*store_f64)(int dtype, void *p, int64_t at, int64_t n, const double *v);
    void (*store_i64)(int dtype, void *p, int64_t at, int64_t n, const int64_t *v);
    void (*stream)(void *to, const void *from, int64_t bytes);      /* a copy that leaves the cache alone */
} mxl_elementwise_table;

extern const mxl_elementwise_table mxl_elementwise_base, mxl_elementwise_avx2, mxl_elementwise_avx512;
extern const mxl_loop_i64 mxl_elementwise_i64[MXL_ELEMENTWISE_LOOPS];
#endif
