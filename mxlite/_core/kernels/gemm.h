/* The gemm family: what a level exports, and (where a level file sets MXL_VB) its code for each type. */
#ifndef MXL_GEMM_H
#define MXL_GEMM_H
#include "mxl.h"

/* In ops/dot.py too: rows or columns up to which nothing is packed; elements of C up to which, and k from which on,
 * k is cut into parts, of at least LONG_PART; m n k, and k, up to which a product is small. */
enum { THIN = 4, LONG_SIZE = 8192, LONG_K = 4096, LONG_PART = 1024, LONG_PARTS = 16, SMALL = 32768, SMALL_K = 128 };

/* C(m, n) = act(op(A) op(B) + bias + residual), `batch` times. Inputs: A, B, [bias, one value a column], [residual,
 * of C's shape, perhaps C's memory]. act: 0 none, 1 relu, 2 clip to lo..hi. prepared: B is what `pack_weight` made. */
typedef struct { int64_t batch, m, n, k, ta, tb, act; double lo, hi; int64_t bias, residual, prepared; } gemm_args;

/* Measured: products that are made without the engine and without scratch. Of a few rows or columns, long sums are
 * better made along k; `gemm_bytes` of ops/dot.py does not ask how B lies. */
static inline int gemm_is_small(const gemm_args *g)
{
    const int64_t m = g->m, n = g->n, k = g->k;
    if (m > SMALL || n > SMALL || k > SMALL_K || m * n * (k ? k : 1) > SMALL) return 0;
    if (g->batch > 1 || g->prepared || (m > THIN && n > THIN)) return 1;
    return m <= n ? (n > 1 && !g->tb) || k <= 16 * m : k <= 16 * (n - 1);
}

typedef void (*gemm_fn)(mxl_runtime *, const mxl_call *, const gemm_args *);
typedef struct { gemm_fn f32, f64, half, pack_f32, pack_f64; } gemm_table;
extern const gemm_table mxl_gemm_base, mxl_gemm_avx2, mxl_gemm_avx512;

#ifdef MXL_VB
#define REAL float
#define ENG(x) x##_f32
#include "gemm_real.h"
#include "gemm_half.h"
#undef REAL
#undef ENG
#define REAL double
#define ENG(x) x##_f64
#include "gemm_real.h"
#undef REAL
#undef ENG
#define MXL_GEMM_TABLE {gemm_f32, gemm_f64, gemm_half, pack_weight_f32, pack_weight_f64}
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
