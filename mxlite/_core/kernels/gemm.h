/* The gemm family: what a level exports, and (where a level file sets MXL_VB) its code for both types. */
#ifndef MXL_GEMM_H
#define MXL_GEMM_H
#include "mxl.h"

enum { THIN = 4 };      /* rows or columns up to which nothing is packed; in ops/dot.py too */

/* C(m, n) = op(A) op(B), `batch` times; a third input is a bias, one value a column. */
typedef struct { int64_t batch, m, n, k, ta, tb; } gemm_args;
typedef struct { void (*f32)(mxl_runtime *, const mxl_call *, const gemm_args *),
                      (*f64)(mxl_runtime *, const mxl_call *, const gemm_args *); } gemm_table;
extern const gemm_table mxl_gemm_base, mxl_gemm_avx2, mxl_gemm_avx512;

#ifdef MXL_VB
#define REAL float
#define ENG(x) x##_f32
#include "gemm_real.h"
#undef REAL
#undef ENG
#define REAL double
#define ENG(x) x##_f64
#include "gemm_real.h"
#undef REAL
#undef ENG
#endif

static inline const gemm_table *gemm_level(int isa)
{
#ifdef MXL_HAVE_X86_LEVELS
    if (isa == MXL_ISA_AVX512) return &mxl_gemm_avx512;
    if (isa == MXL_ISA_AVX2) return &mxl_gemm_avx2;
#endif
    (void)isa;
    return &mxl_gemm_base;
}
#endif
