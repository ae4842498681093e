#define MXL_VB 16
#include "gemm.h"

const gemm_table mxl_gemm_base = MXL_GEMM_TABLE;
