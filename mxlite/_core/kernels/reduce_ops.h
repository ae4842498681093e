/* What a reduction accumulates, and the table of inner loops that each instruction-set level fills. */
#ifndef MXL_REDUCE_OPS_H
#define MXL_REDUCE_OPS_H
#include <stdint.h>

/* R(name, start, step of accumulator a and value v, how two accumulators merge). Vectors of double throughout: float
 * loses nothing on the way, and sums of float need no compensation. SELECT(mask, p, q) is mask ? p : q lane by lane. */
#define MXL_REDUCE(R) \
R(sum, 0.0, a + v, a + v) \
R(sumsq, 0.0, a + v * v, a + v) \
R(sumabs, 0.0, a + SELECT(v < 0.0, -v, v), a + v) \
R(nansum, 0.0, a + SELECT(v == v, v, ZERO), a + v) \
R(prod, 1.0, a * v, a * v) \
R(nanprod, 1.0, a * SELECT(v == v, v, ONE), a * v) \
R(max, -INFINITY, SELECT((v > a) | (v != v), v, a), SELECT((v > a) | (v != v), v, a)) \
R(min, INFINITY, SELECT((v < a) | (v != v), v, a), SELECT((v < a) | (v != v), v, a))

enum {
#define R(name, start, step, merge) MXL_R_##name,
    MXL_REDUCE(R)
#undef R
    MXL_REDUCTIONS
};

/* row: n values into one; cols: `rows` rows of n values, `stride` apart, into acc[0..n) */
typedef struct {
    double (*row_f32[MXL_REDUCTIONS])(const float *x, int64_t n, double acc);
    double (*row_f64[MXL_REDUCTIONS])(const double *x, int64_t n, double acc);
    void (*cols_f32[MXL_REDUCTIONS])(const float *x, int64_t stride, int64_t rows, int64_t n, double *acc);
    void (*cols_f64[MXL_REDUCTIONS])(const double *x, int64_t stride, int64_t rows, int64_t n, double *acc);
} mxl_reduce_table;
extern const mxl_reduce_table mxl_reduce_base, mxl_reduce_avx2, mxl_reduce_avx512;
#endif
