/* What the levels of the softmax kernels have in common: their arguments and their table, [kernel][float or double]. */
#ifndef MXL_SOFTMAX_TABLE_H
#define MXL_SOFTMAX_TABLE_H
#include "ranges.h"

/* Data is (outer, k, inner); classes lie along k. `scale` multiplies the data first. */
typedef struct { int64_t outer, k, inner; double scale; } softmax_args;
typedef struct {
    int64_t outer, k, inner, batch, by_batch, valid, use_ignore, multi_output, probability, out_grad;
    double grad_scale, ignore_label, smooth_alpha;
} softmax_output_args;

enum { SOFTMAX, LOG_SOFTMAX, SOFTMAX_BACKWARD, LOG_SOFTMAX_BACKWARD, SOFTMAX_OUTPUT_BACKWARD, CROSS_ENTROPY,
       CROSS_ENTROPY_BACKWARD, SOFTMAX_KERNELS };
typedef struct { mxl_range run[SOFTMAX_KERNELS][2]; } softmax_table;
extern const softmax_table mxl_softmax_base, mxl_softmax_avx2, mxl_softmax_avx512;

/* A unit of work is a row where inner is 1, else a block of this many columns. */
#define COLUMNS 256
#define SOFTMAX_CHUNK 2048
static inline int64_t softmax_units(int64_t outer, int64_t inner)
{
    return inner == 1 ? outer : outer * ((inner + COLUMNS - 1) / COLUMNS);
}

/* Within a range function: runs the statements with the first element `at` and the width `b` of each unit's block. */
#define EACH_BLOCK(a, ...) do { \
        int64_t blocks = ((a)->inner + COLUMNS - 1) / COLUMNS; \
        for (int64_t u = begin; u < end; u++) { \
            int64_t o = u / blocks, j0 = u % blocks * COLUMNS, at = o * (a)->k * (a)->inner + j0; \
            int64_t b = (a)->inner - j0 < COLUMNS ? (a)->inner - j0 : COLUMNS; \
            (void)at; (void)b; \
            __VA_ARGS__ \
        } } while (0)
#endif
