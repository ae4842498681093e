/* The convolution family: what a level exports, and (where a level file sets MXL_VB) its code for both types. */
#ifndef MXL_CONV_H
#define MXL_CONV_H
#include "mxl.h"

/* Three spatial axes, the unused ones first and of size 1. `src` is the input's size, `dst` the output's. */
typedef struct {
    int64_t batch, channels, filters, groups;
    int64_t kernel[3], stride[3], dilate[3], pad[3], src[3], dst[3];
} conv_args;
typedef void (*conv_fn)(mxl_runtime *, const mxl_call *, const conv_args *);
typedef struct { conv_fn forward[2], dgrad[2], wgrad[2], im2col[2], col2im[2]; } conv_table;      /* [float, double] */
extern const conv_table mxl_conv_base, mxl_conv_avx2, mxl_conv_avx512;

#ifdef MXL_VB
#define REAL float
#define ENG(x) x##_f32
#include "conv_real.h"
#include "conv_direct.h"
#include "conv_columns.h"
#include "conv_choice.h"
#undef REAL
#undef ENG
#define REAL double
#define ENG(x) x##_f64
#include "conv_real.h"
#include "conv_direct.h"
#include "conv_columns.h"
#include "conv_choice.h"
#undef REAL
#undef ENG
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
