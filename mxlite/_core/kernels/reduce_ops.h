/* What a reduction accumulates, and the table of inner loops that each instruction-set level fills. */
#ifndef MXL_REDUCE_OPS_H
#define MXL_REDUCE_OPS_H
#include <stdint.h>

/* R(name, start, step of accumulator a and value v, how two accumulators merge). SELECT(mask, p, q) is mask ? p : q
 * lane by lane. Largest and smallest have loops of their own (reduce_real.h), and so have sums of float; the others
 * go in vectors of double, where float loses nothing on the way. */
#define MXL_REDUCE_SUM(R) R(sum, 0.0, a + v, a + v)
#define MXL_REDUCE_WIDE(R) \
R(sumsq, 0.0, a + v * v, a + v) \
R(sumabs, 0.0, a + SELECT(v < 0.0, -v, v), a + v) \
R(nansum, 0.0, a + SELECT(v == v, v, ZERO), a + v) \
R(prod, 1.0, a * v, a * v) \
R(nanprod, 1.0, a * SELECT(v == v, v, ONE), a * v)
#define MXL_REDUCE(R) \
MXL_REDUCE_SUM(R) \
MXL_REDUCE_WIDE(R) \
R(max, -INFINITY, , ) \
R(min, INFINITY, , )

enum {
#define R(name, start, step, merge) MXL_R_##name,
    MXL_REDUCE(R)
#undef R
    MXL_REDUCTIONS
};

/* rows: `count` rows of n values, `stride` apart, each into its own accumulator; cols: `rows` rows of n values,
 * `stride` apart, into acc[0..n); places [smallest, largest]: in which row each column has its first extreme */
typedef struct {
    void (*rows_f32[MXL_REDUCTIONS])(const float *x, int64_t stride, int64_t count, int64_t n, double *acc);
    void (*rows_f64[MXL_REDUCTIONS])(const double *x, int64_t stride, int64_t count, int64_t n, double *acc);
    void (*cols_f32[MXL_REDUCTIONS])(const float *x, int64_t stride, int64_t rows, int64_t n, double *acc);
    void (*cols_f64[MXL_REDUCTIONS])(const double *x, int64_t stride, int64_t rows, int64_t n, double *acc);
    void (*places_f32[2])(const float *x, int64_t stride, int64_t rows, int64_t n, int64_t *at);
    void (*places_f64[2])(const double *x, int64_t stride, int64_t rows, int64_t n, int64_t *at);
} mxl_reduce_table;
extern const mxl_reduce_table mxl_reduce_base, mxl_reduce_avx2, mxl_reduce_avx512;
#endif
