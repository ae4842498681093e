#define MXL_VB 32
#include "gemm.h"

const gemm_table mxl_gemm_avx2 = {gemm_f32, gemm_f64};
