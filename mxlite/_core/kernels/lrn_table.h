/* What the levels of the local response normalization kernels have in common. Data is (outer, channels, inner); the
 * window of channel c is [c - reach, c + reach]. */
#ifndef MXL_LRN_TABLE_H
#define MXL_LRN_TABLE_H
#include "ranges.h"

typedef struct {
    int64_t outer, channels, inner, reach;
    double alpha, beta, knorm;          /* alpha as it multiplies the sum of squares */
} lrn_args;

/* Backward keeps the window's channels of a tile; what it keeps fits LRN_RING elements. */
#define LRN_RING 4096
#define LRN_MOST 31             /* furthest reach */

/* [float or double]. Units are tiles of columns. */
typedef struct { mxl_range forward[2], backward[2]; } lrn_table;
extern const lrn_table mxl_lrn_base, mxl_lrn_avx2, mxl_lrn_avx512;

/* Columns of a tile. */
static inline int64_t lrn_width(const lrn_args *a)
{
    return a->reach < 8 ? 256 : a->reach < 16 ? 128 : 64;
}

static inline int64_t lrn_tiles(const lrn_args *a)
{
    return (a->inner + lrn_width(a) - 1) / lrn_width(a);
}
#endif
