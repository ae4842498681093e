/* What the levels of the L2 normalization kernels have in common. Data is (outer, k, inner), divided by its 2-norm over
 * the middle. */
#ifndef MXL_L2NORM_TABLE_H
#define MXL_L2NORM_TABLE_H
#include "ranges.h"

typedef struct {
    int64_t outer, k, inner;
    double eps;
} l2_norm_args;

#define L2_WIDE 256             /* columns taken at a time where inner > 1 */
#define L2_CHUNK 2048           /* elements of a row summed in T before double takes over */
#define L2_ROWS 16              /* the same for rows of columns */

/* [float or double]. Units are rows where inner is 1, else tiles of columns. */
typedef struct { mxl_range forward[2], backward[2]; } l2_norm_table;
extern const l2_norm_table mxl_l2norm_base, mxl_l2norm_avx2, mxl_l2norm_avx512;

static inline int64_t l2_units(const l2_norm_args *a)
{
    return a->outer * ((a->inner + L2_WIDE - 1) / L2_WIDE);
}
#endif
