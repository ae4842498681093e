/* What the levels of the batch normalization kernels have in common. Data is (outer, channels, inner). */
#ifndef MXL_NORM_TABLE_H
#define MXL_NORM_TABLE_H
#include "ranges.h"

/* y = act(normalized data [+ residual]); act 0: none, 1: relu, 2: clip to [lo, hi]. */
typedef struct {
    int64_t outer, channels, inner, fix_gamma, use_global_stats, act, residual, masked;
    double eps, momentum, lo, hi;
} batch_norm_args;

/* [float or double]. */
typedef struct { mxl_range forward[2], backward[2]; } norm_table;
extern const norm_table mxl_norm_base, mxl_norm_avx2, mxl_norm_avx512;

#define NORM_COLUMNS 32         /* channels of a unit where inner is 1 */
#define NORM_WIDE 256           /* most channels taken at a time */
#define NORM_CHUNK 2048         /* elements summed in T before double takes over */
#define NORM_NEAR 32            /* elements whose mean stands for a channel's until that is known */
#define NORM_ROWS 16
#define NORM_RUN 1024           /* neighbouring channels are taken together up to this many elements of a sample */
#define NORM_BLOCK 16           /* but no more than this many */
#define NORM_TILE 32768         /* the same where the statistics are given */

static inline int64_t norm_clamp(int64_t v, int64_t most) { return v < 1 ? 1 : v > most ? most : v; }

/* Does this call normalize by the batch's own statistics? */
static inline int norm_by_batch(const mxl_call *c)
{
    return c->is_train && !((const batch_norm_args *)c->args)->use_global_stats;
}

/* Channels of a unit; `given`: forward with given statistics, whose units are also cut along the outer axis. */
static inline int64_t norm_width(const batch_norm_args *a, int given)
{
    if (a->inner <= 1) return NORM_COLUMNS;
    return given ? norm_clamp(NORM_TILE / a->inner, NORM_WIDE) : norm_clamp(NORM_RUN / a->inner, NORM_BLOCK);
}

/* From a chunk at row o, element i of its run, how far it is to the next one; 0 where it is the last. */
static inline int64_t norm_ahead(const batch_norm_args *a, int64_t runs, int64_t o, int64_t i)
{
    if (i + NORM_CHUNK < a->inner) return NORM_CHUNK;
    return o + runs < a->outer ? runs * a->channels * a->inner - i : 0;
}

/* Are runs long enough to be written past the caches? */
static inline int norm_long(const batch_norm_args *a, int64_t itemsize) { return a->inner * itemsize >= 1024; }

#define NORM_SAMPLES 8          /* samples of such a unit */
static inline int64_t norm_units(const batch_norm_args *a, int given)
{
    int64_t w = norm_width(a, given), blocks = (a->channels + w - 1) / w;
    if (!given || a->inner <= 1) return blocks;
    return blocks * norm_clamp((a->outer + NORM_SAMPLES - 1) / NORM_SAMPLES, INT64_MAX);
}

/* Mean and sum of squared deviations of n elements, joined with those of m more (Chan, Golub and LeVeque, 1979). */
static inline void norm_join(double *n, double *mean, double *m2, double m, double mean_m, double m2_m)
{
    double all = *n + m, d = mean_m - *mean;
    *m2 += m2_m + d * d * (*n * m / all);
    *mean += d * (m / all);
    *n = all;
}
#endif
