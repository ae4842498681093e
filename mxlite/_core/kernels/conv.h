/* The convolution family: what a level exports, and (where a level file sets MXL_VB) its code for both types. */
#ifndef MXL_CONV_H
#define MXL_CONV_H
#include "mxl.h"

/* Three spatial axes, the unused ones first and of size 1. `src` is the input's size, `dst` the output's.
 * y = act(convolution + bias + residual); `bias` and `residual` say which of the two are inputs, after the weight.
 * act: 0 none, 1 relu, 2 clip to lo..hi. prepared: 0 a plain weight, 1 packed for the engine, 2 in Winograd's
 * domain. */
typedef struct {
    int64_t batch, channels, filters, groups;
    int64_t kernel[3], stride[3], dilate[3], pad[3], src[3], dst[3];
    int64_t act;
    double lo, hi;
    int64_t bias, residual, prepared, winograd;
} conv_args;
#define CONV_BIAS(c, g) ((g)->bias ? (c)->in[2].data : NULL)
#define CONV_RESIDUAL(c, g) ((g)->residual ? (c)->in[2 + ((g)->bias != 0)].data : NULL)
typedef void (*conv_fn)(mxl_runtime *, const mxl_call *, const conv_args *);
/* [float, double, float16 and bfloat16] */
typedef struct { conv_fn forward[3], dgrad[3], wgrad[3], im2col[2], col2im[2], pack_weight[2];
                 conv_fn winograd_weight; } conv_table;
extern const conv_table mxl_conv_base, mxl_conv_avx2, mxl_conv_avx512;

#ifdef MXL_VB
#define REAL float
#define ENG(x) x##_f32
#include "conv_real.h"
#include "conv_direct.h"
#include "conv_tiles.h"
#include "conv_columns.h"
#include "conv_filters.h"
#include "winograd_run.h"
#include "conv_choice.h"
#undef REAL
#undef ENG
#define REAL double
#define ENG(x) x##_f64
#include "conv_real.h"
#include "conv_direct.h"
#include "conv_tiles.h"
#include "conv_columns.h"
#include "conv_filters.h"
#include "conv_choice.h"
#undef REAL
#undef ENG
#include "conv_half.h"
#define CONV_TABLE {{forward_f32, forward_f64, forward_half}, {dgrad_f32, dgrad_f64, dgrad_half}, \
                    {wgrad_f32, wgrad_f64, wgrad_half}, {im2col_f32, im2col_f64}, {col2im_f32, col2im_f64}, \
                    {prepare_weight_f32, prepare_weight_f64}, wino_prepare}
#endif

static inline const conv_table *conv_level(int isa)
{
#ifdef MXL_HAVE_X86_LEVELS
    if (isa == MXL_ISA_AVX512) return &mxl_conv_avx512;
    if (isa == MXL_ISA_AVX2) return &mxl_conv_avx2;
#endif
    (void)isa;
    return &mxl_conv_base;
}
#endif
