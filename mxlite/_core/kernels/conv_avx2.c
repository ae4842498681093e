#define MXL_VB 32
#include "conv.h"

const conv_table mxl_conv_avx2 = CONV_TABLE;
