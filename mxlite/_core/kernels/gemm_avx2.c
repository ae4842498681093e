#define MXL_VB 32
#include "gemm.h"

const gemm_table mxl_gemm_avx2 = MXL_GEMM_TABLE;
