#define MXL_VB 64
#include "conv.h"

const conv_table mxl_conv_avx512 = CONV_TABLE;
