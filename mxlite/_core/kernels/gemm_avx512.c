#define MXL_VB 64
#include "gemm.h"

const gemm_table mxl_gemm_avx512 = MXL_GEMM_TABLE;
