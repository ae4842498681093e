#define MXL_VB 32
#include "conv.h"

const conv_table mxl_conv_avx2 = {{forward_f32, forward_f64}, {dgrad_f32, dgrad_f64}, {wgrad_f32, wgrad_f64},
                                  {im2col_f32, im2col_f64}, {col2im_f32, col2im_f64}};
