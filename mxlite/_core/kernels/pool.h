/* The pooling family: what a level exports, and (where a level file sets VECTOR_BYTES) its code for both types. */
#ifndef MXL_POOL_H
#define MXL_POOL_H
#include "mxl.h"

enum { POOL_MAX, POOL_AVG, POOL_SUM, POOL_LP };
/* Three spatial axes, the unused ones first and of size 1; `planes` is batch times channels, `scratch` how many
 * elements of scratch a thread has (ops/pool.py). */
typedef struct {
    int64_t planes, kind, p_value, include_pad, scratch;
    int64_t kernel[3], stride[3], pad[3], src[3], dst[3];
} pool_args;
typedef void (*pool_fn)(const mxl_call *, const pool_args *, int64_t begin, int64_t end, void *work);
typedef void (*upsample_fn)(mxl_runtime *, const mxl_call *, int sum);
typedef struct { pool_fn forward[2], backward[2]; upsample_fn upsample[2]; } pool_table;     /* [float, double] */
extern const pool_table mxl_pool_base, mxl_pool_avx2, mxl_pool_avx512;

#ifdef VECTOR_BYTES
#include "pool_geometry.h"
#define T float
#define I int32_t
#define LOWEST (-FLT_MAX)
#define F(x) x##_f32
#include "pool_real.h"
#include "pool_upsample.h"
#undef T
#undef I
#undef LOWEST
#undef F
#define T double
#define I int64_t
#define LOWEST (-DBL_MAX)
#define F(x) x##_f64
#include "pool_real.h"
#include "pool_upsample.h"
#undef T
#undef I
#undef LOWEST
#undef F
#endif

static inline const pool_table *pool_level(int isa)
{
#ifdef MXL_HAVE_X86_LEVELS
    if (isa == MXL_ISA_AVX512) return &mxl_pool_avx512;
    if (isa == MXL_ISA_AVX2) return &mxl_pool_avx2;
#endif
    (void)isa;
    return &mxl_pool_base;
}
#endif
