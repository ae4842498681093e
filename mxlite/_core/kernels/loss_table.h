/* What the levels of the loss layers' kernels have in common: their arguments and their table, [float or double]. */
#ifndef MXL_LOSS_TABLE_H
#define MXL_LOSS_TABLE_H
#include "ranges.h"

typedef struct { double factor; } difference_args;
typedef struct { double grad_scale, valid_thresh; int64_t valid; } make_loss_args;
typedef struct { mxl_range sigmoid[2], difference[2], sign_difference[2], fill[2]; } loss_table;
extern const loss_table mxl_loss_base, mxl_loss_avx2, mxl_loss_avx512;

#define LOSS_TILE 1024          /* elements of one unit */
#endif
