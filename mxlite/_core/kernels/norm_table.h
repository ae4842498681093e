/* What the levels of the batch normalization kernels have in common. Data is (outer, channels, inner). */
#ifndef MXL_NORM_TABLE_H
#define MXL_NORM_TABLE_H
#include "ranges.h"

typedef struct {
    int64_t outer, channels, inner, fix_gamma, use_global_stats;
    double eps, momentum;
} batch_norm_args;

/* [float or double]. Units are channels where inner > 1, else blocks of NORM_COLUMNS channels. */
typedef struct { mxl_range forward[2], backward[2]; } norm_table;
extern const norm_table mxl_norm_base, mxl_norm_avx2, mxl_norm_avx512;

#define NORM_COLUMNS 32
#define NORM_WIDE 256           /* most columns taken at a time */
#define NORM_CHUNK 2048         /* elements summed in T before double takes over */
#define NORM_ROWS 16

static inline int64_t norm_units(const batch_norm_args *a)
{
    return a->inner > 1 ? a->channels : (a->channels + NORM_COLUMNS - 1) / NORM_COLUMNS;
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
