/* What the levels of the random kernels have in common. A unit is a tile of RANDOM_TILE words; for a mask that is
 * shared along axes, a run of the innermost axis. */
#ifndef MXL_RANDOM_TABLE_H
#define MXL_RANDOM_TABLE_H
#include "ranges.h"

#define RANDOM_TILE 256

/* The data's axes, outermost first, merged where neighbours are alike; the mask is one along `shared` axes. */
typedef struct {
    int64_t threshold, always, ndim;
    int64_t size0, size1, size2, size3, size4, size5, size6, size7;
    int64_t shared0, shared1, shared2, shared3, shared4, shared5, shared6, shared7;
    double scale;
} dropout_args;

typedef struct { mxl_range uniform[2], normal[2], dropout[2], dropout_shared[2]; } random_table;
extern const random_table mxl_random_base, mxl_random_avx2, mxl_random_avx512;
#endif
