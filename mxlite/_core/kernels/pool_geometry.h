/* Where windows lie. */
#ifndef MXL_POOL_GEOMETRY_H
#define MXL_POOL_GEOMETRY_H
#include <float.h>
#include <math.h>
#include <string.h>
#include "mxl_parallel.h"

/* Lines of scratch hold whole vectors of up to 16 elements, and what a load of two behind their end touches. */
#define POOL_WHOLE(n) (((n) + 15) / 16 * 16)
#define POOL_SLACK 48
#define POOL_CHUNK 4096
#define POOL_NONE 255       /* the code of a window without elements */

static inline int64_t lesser(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t greater(int64_t a, int64_t b) { return a > b ? a : b; }

/* Elements of window o along axis i that an average divides by; never 0. */
static inline int64_t pool_extent(const pool_args *g, int i, int64_t o)
{
    const int64_t begin = o * g->stride[i] - g->pad[i];
    const int64_t end = lesser(begin + g->kernel[i], g->src[i] + (g->include_pad ? g->pad[i] : 0));
    return greater(1, end - (g->include_pad ? begin : greater(begin, 0)));
}

/* The part of window o along axis i that lies inside the input. */
static inline void pool_window(const pool_args *g, int i, int64_t o, int64_t *lo, int64_t *hi)
{
    *lo = o * g->stride[i] - g->pad[i];
    *hi = lesser(*lo + g->kernel[i], g->src[i]);
    *lo = greater(*lo, 0);
}

/* Codes are 8 bits, or 64. */
static inline int64_t pool_code(const mxl_tensor *codes, int64_t at)
{
    return codes->dtype == MXL_U8 ? ((const uint8_t *)codes->data)[at] : ((const int64_t *)codes->data)[at];
}
static inline void pool_put_code(const mxl_tensor *codes, int64_t at, int64_t code)
{
    if (codes->dtype == MXL_U8) ((uint8_t *)codes->data)[at] = (uint8_t)code;
    else ((int64_t *)codes->data)[at] = code;
}

/* Is there one window, and does it hold the plane and nothing else? */
static inline int pool_is_global(const pool_args *g)
{
    for (int i = 0; i < 3; i++) if (g->dst[i] != 1 || g->pad[i] || g->kernel[i] < g->src[i]) return 0;
    return 1;
}
#endif
