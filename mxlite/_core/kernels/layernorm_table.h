/* What the levels of the layer normalization kernels have in common.
 *
 * Data is (outer, groups, inner). Along axis 1 (LayerNorm) every (outer, inner) is normalized over `groups`; along
 * axis 2 (InstanceNorm, GroupNorm) every (outer, group) over `inner`. gamma and beta have one number a group.
 */
#ifndef MXL_LAYERNORM_TABLE_H
#define MXL_LAYERNORM_TABLE_H
#include "ranges.h"

typedef struct {
    int64_t outer, groups, inner, axis, blocks;
    double eps;
} layer_norm_args;

#define LN_WIDE 256             /* columns taken at a time */
#define LN_CHUNK 2048           /* elements of a row summed in T before double takes over */
#define LN_ROWS 16              /* the same for rows of columns */
#define LN_NEAR 32              /* elements whose mean stands for a row's until that is known */
#define LN_SPAN 64              /* rows whose dgamma and dbeta are added up in T */

/* [float or double] */
typedef struct { mxl_range forward[2], backward[2], collect[2]; } layer_norm_table;
extern const layer_norm_table mxl_layernorm_base, mxl_layernorm_avx2, mxl_layernorm_avx512;

/* How the work falls into units.
 * LN_EACH: rows with one gamma each, a unit a row. LN_MATRIX: rows with a gamma an element. LN_COLUMNS: columns, in
 * tiles of LN_WIDE. Backward takes the last two in `blocks` of several units; the number follows from the shape alone.
 * Every block adds up dgamma and dbeta of its own, and `collect` joins them in order.
 *
 * Scratch of backward: for LN_EACH two doubles a row; else two doubles a block and group, and for LN_MATRIX two T a
 * block and group behind all of those. */
enum { LN_EACH, LN_MATRIX, LN_COLUMNS };

static inline int ln_kind(const layer_norm_args *a)
{
    return a->axis == 2 ? LN_EACH : a->inner == 1 ? LN_MATRIX : LN_COLUMNS;
}

static inline int64_t ln_units(const layer_norm_args *a)
{
    switch (ln_kind(a)) {
    case LN_EACH: return a->outer * a->groups;
    case LN_MATRIX: return a->outer;
    default: return a->outer * ((a->inner + LN_WIDE - 1) / LN_WIDE);
    }
}

#endif
