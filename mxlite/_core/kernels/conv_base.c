#define MXL_VB 16
#include "conv.h"

const conv_table mxl_conv_base = CONV_TABLE;
