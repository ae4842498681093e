#define MXL_VB 16
#include "gemm.h"

const gemm_table mxl_gemm_base = {gemm_f32, gemm_f64};
