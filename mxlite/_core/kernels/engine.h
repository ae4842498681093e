/* The packed matrix-product engine, for one type and one instruction-set level.
 *
 * Include once a type, with REAL (float or double), ENG(x) (a name suffixed by type) and MXL_VB (bytes of a vector)
 * defined. C(m, n) = A(m, k) B(k, n): a task owns a block of C, and for each block of k packs its own block of A and
 * of B, then runs the micro-kernel over them. There is no barrier and no sharing, k is always split at the same
 * places, so the result does not depend on threads or on how C is cut. Packing is done by functions, which is how a
 * convolution becomes a matrix product without its matrix: see conv.h.
 */
#ifndef MXL_ENGINE_COMMON
#define MXL_ENGINE_COMMON
#include <stddef.h>
#include <string.h>
#if MXL_VB > 16
#include <immintrin.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#endif
#include "mxl_parallel.h"

/* Limits of a block; ops/dot.py computes workspaces from the same numbers. 48 columns are a panel at most. */
enum { BLOCK_M = 512, BLOCK_N = 384, BLOCK_K_BYTES = 1024, PANEL_N = 48 };
#if MXL_VB == 64
enum { MR = 8, NV = 3 };
#elif MXL_VB == 32
enum { MR = 4, NV = 3 };
#else
enum { MR = 4, NV = 2 };
#endif
#define UNROLL _Pragma("GCC unroll 32")
#define INLINE static inline __attribute__((always_inline))
INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
INLINE int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
INLINE int64_t ceil_to(int64_t a, int64_t b) { return ceil_div(a, b) * b; }
#if MXL_VB == 32
INLINE __m256i lanes_32(int lo, int hi)
{
    const __m256i i = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_and_si256(_mm256_cmpgt_epi32(i, _mm256_set1_epi32(lo - 1)),
                            _mm256_cmpgt_epi32(_mm256_set1_epi32(hi), i));
}
INLINE __m256i lanes_64(int lo, int hi)
{
    const __m256i i = _mm256_setr_epi64x(0, 1, 2, 3);
    return _mm256_and_si256(_mm256_cmpgt_epi64(i, _mm256_set1_epi64x(lo - 1)),
                            _mm256_cmpgt_epi64(_mm256_set1_epi64x(hi), i));
}
#endif
#endif

typedef REAL ENG(vec) __attribute__((vector_size(MXL_VB)));
typedef REAL ENG(uvec) __attribute__((vector_size(MXL_VB), aligned(sizeof(REAL)), may_alias));
#define VL ((int)(MXL_VB / sizeof(REAL)))
#define NR (VL * NV)
#define BLOCK_K ((int)(BLOCK_K_BYTES / sizeof(REAL)))
#define LOAD(p) (*(const ENG(uvec) *)(p))
#define STORE(p, v) (*(ENG(uvec) *)(p) = (v))

typedef struct ENG(job) ENG(job);
struct ENG(job) {
    int64_t m, n, k, batch;
    /* dst[k][MR], rows past `rows` zero */
    void (*pack_a)(const ENG(job) *, int64_t b, REAL *dst, int64_t m0, int rows, int64_t k0, int kc);
    /* dst[k][w], columns past `cols` zero */
    void (*pack_b)(const ENG(job) *, int64_t b, REAL *dst, int64_t n0, int cols, int w, int64_t k0, int kc, REAL *tmp);
    /* offsets of `cols` columns of C from its first row. NULL: column n at n */
    void (*place)(const ENG(job) *, int64_t n0, int cols, int64_t *off);
    REAL *c;
    int64_t ldc, c_batch;           /* from row to row of C, from batch to batch */
    const REAL *bias_m, *bias_n;    /* one value a row, one a column of C; NULL: none */
    int64_t bias_batch;
    const void *ctx;
    const REAL *a, *b;
    int64_t lda, ldb, a_batch, b_batch;
    char *work;
    int64_t work_thread, tmp_thread;    /* bytes a thread: packed blocks, then the packers' own scratch */
    int64_t bm, bn, m_blocks, n_blocks; /* set by ENG(run) */
};

/* ---- micro-kernel: a C tile of mr x nv vectors in registers; every loop over it is unrolled, or it spills ---- */
INLINE void ENG(tile)(const int mr, const int nv, int kc, const REAL *restrict a, const REAL *restrict b, int64_t ldb,
                      REAL *restrict c, int64_t ldc, int add, const REAL *bias_m, const REAL *bias_n)
{
    ENG(vec) acc[MR][NV];
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < nv; j++) acc[i][j] = (ENG(vec)){0};
    UNROLL for (int i = 0; i < mr; i++) __builtin_prefetch(c + i * ldc, 1);
    for (int k = 0; k < kc; k++) {
        ENG(vec) bv[NV];
        UNROLL for (int j = 0; j < nv; j++) bv[j] = LOAD(b + j * VL);
        UNROLL for (int i = 0; i < mr; i++) {
            const REAL s = a[i];
            UNROLL for (int j = 0; j < nv; j++) acc[i][j] += s * bv[j];
        }
        a += MR;
        b += ldb;
    }
    if (add)
        UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < nv; j++) acc[i][j] += LOAD(c + i * ldc + j * VL);
    if (bias_m)
        UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < nv; j++) acc[i][j] += bias_m[i];
    if (bias_n)
        UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < nv; j++) acc[i][j] += LOAD(bias_n + j * VL);
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < nv; j++) STORE(c + i * ldc + j * VL, acc[i][j]);
}

typedef void (*ENG(tile_fn))(int, const REAL *, const REAL *, int64_t, REAL *, int64_t, int, const REAL *,
                             const REAL *);
#define TILE(mr, nv) \
    static void ENG(tile_##mr##_##nv)(int kc, const REAL *a, const REAL *b, int64_t ldb, REAL *c, int64_t ldc, \
                                      int add, const REAL *bias_m, const REAL *bias_n) \
    { ENG(tile)(mr, nv, kc, a, b, ldb, c, ldc, add, bias_m, bias_n); }
#if MXL_VB == 64
TILE(4, 1) TILE(4, 2) TILE(4, 3) TILE(8, 1) TILE(8, 2) TILE(8, 3)
static const ENG(tile_fn) ENG(tiles)[2][NV] = {{ENG(tile_4_1), ENG(tile_4_2), ENG(tile_4_3)},
                                               {ENG(tile_8_1), ENG(tile_8_2), ENG(tile_8_3)}};
#elif MXL_VB == 32
TILE(2, 1) TILE(2, 2) TILE(2, 3) TILE(4, 1) TILE(4, 2) TILE(4, 3)
static const ENG(tile_fn) ENG(tiles)[2][NV] = {{ENG(tile_2_1), ENG(tile_2_2), ENG(tile_2_3)},
                                               {ENG(tile_4_1), ENG(tile_4_2), ENG(tile_4_3)}};
#else
TILE(2, 1) TILE(2, 2) TILE(4, 1) TILE(4, 2)
static const ENG(tile_fn) ENG(tiles)[2][NV] = {{ENG(tile_2_1), ENG(tile_2_2)}, {ENG(tile_4_1), ENG(tile_4_2)}};
#endif
#undef TILE

/* Lanes lo..hi of the vector at p, zero elsewhere; reads nothing outside of them. 0 <= lo, hi <= VL. */
INLINE ENG(vec) ENG(load_part)(const REAL *p, int lo, int hi)
{
    if (lo >= hi) return (ENG(vec)){0};
#if MXL_VB == 64
    const unsigned mask = ((1u << hi) - 1) & ~((1u << lo) - 1);
    if (sizeof(REAL) == 4) return (ENG(vec))_mm512_maskz_loadu_ps((__mmask16)mask, p);
    return (ENG(vec))_mm512_maskz_loadu_pd((__mmask8)mask, p);
#elif MXL_VB == 32
    if (sizeof(REAL) == 4) return (ENG(vec))_mm256_maskload_ps((const float *)p, lanes_32(lo, hi));
    return (ENG(vec))_mm256_maskload_pd((const double *)p, lanes_64(lo, hi));
#else
    ENG(vec) v = {0};
    for (int i = lo; i < hi; i++) v[i] = p[i];
    return v;
#endif
}

/* The first n lanes of v to p. */
INLINE void ENG(store_part)(REAL *p, ENG(vec) v, int n)
{
#if MXL_VB == 64
    const unsigned mask = (1u << n) - 1;
    if (sizeof(REAL) == 4) _mm512_mask_storeu_ps(p, (__mmask16)mask, (__m512)v);
    else _mm512_mask_storeu_pd(p, (__mmask8)mask, (__m512d)v);
#elif MXL_VB == 32
    if (sizeof(REAL) == 4) _mm256_maskstore_ps((float *)p, lanes_32(0, n), (__m256)v);
    else _mm256_maskstore_pd((double *)p, lanes_64(0, n), (__m256d)v);
#else
    for (int i = 0; i < n; i++) p[i] = v[i];
#endif
}

/* `rows` rows of a tile and of C, whose columns lie in stretches of `len`: into the tile, or out of it. */
INLINE void ENG(move)(REAL *t, REAL *c, int64_t ldc, const int64_t *off, const short *len, int rows, int cols,
                      const int in)
{
    for (int j = 0; j < cols; j += len[j]) {
        REAL *p = c + off[j], *q = t + j;
        if (len[j] == 1) {
            for (int i = 0; i < rows; i++) if (in) q[i * NR] = p[i * ldc]; else p[i * ldc] = q[i * NR];
            continue;
        }
        for (int v = 0; v < len[j]; v += VL) {
            const int n = len[j] - v < VL ? len[j] - v : VL;
            for (int i = 0; i < rows; i++) {
                REAL *from = in ? p + i * ldc + v : q + i * NR + v, *to = in ? q + i * NR + v : p + i * ldc + v;
                if (n == VL) STORE(to, LOAD(from));
                else ENG(store_part)(to, ENG(load_part)(from, 0, n), n);
            }
        }
    }
}

/* One tile to its place in C; through a tile of its own where C's columns are cut short or lie apart. */
INLINE void ENG(put)(const ENG(job) *d, int kc, const REAL *a, const REAL *b, int w, REAL *c, const int64_t *off,
                     const short *len, int rows, int cols, int add, const REAL *bias_m, const REAL *bias_n)
{
    const ENG(tile_fn) *fn = ENG(tiles)[rows > MR / 2];
    const int full = rows > MR / 2 ? MR : MR / 2;
    if (len[0] == w && rows == full) {
        fn[w / VL - 1](kc, a, b, w, c + off[0], d->ldc, add, bias_m, bias_n);
        return;
    }
    REAL t[MR * NR] __attribute__((aligned(64)));
    REAL bm[MR] = {0}, bn[NR];
    if (add) {
        memset(t, 0, sizeof t);
        ENG(move)(t, c, d->ldc, off, len, rows, cols, 1);
    }
    if (bias_m) memcpy(bm, bias_m, rows * sizeof(REAL));
    if (bias_n) {
        memset(bn, 0, sizeof bn);
        memcpy(bn, bias_n, cols * sizeof(REAL));
    }
    fn[w / VL - 1](kc, a, b, w, t, NR, add, bias_m ? bm : NULL, bias_n ? bn : NULL);
    ENG(move)(t, c, d->ldc, off, len, rows, cols, 0);
}

static void ENG(task)(const ENG(job) *d, int64_t t, int thread)
{
    const int64_t bn = d->bn, bm = d->bm;
    const int64_t in = t % d->n_blocks, im = t / d->n_blocks % d->m_blocks, b = t / (d->n_blocks * d->m_blocks);
    const int64_t n0 = in * bn, n1 = least(d->n, n0 + bn), m0 = im * bm, m1 = least(d->m, m0 + bm);
    REAL *pa = (REAL *)(d->work + thread * d->work_thread);
    REAL *pb = pa + ceil_to(ceil_to(m1 - m0, MR) * least(d->k, BLOCK_K), 64 / sizeof(REAL));
    REAL *tmp = (REAL *)(d->work + thread * d->work_thread + d->work_thread - d->tmp_thread);
    int64_t off[BLOCK_N];
    short len[BLOCK_N];             /* how many columns of a panel lie side by side, from each of them on */
    for (int64_t n = n0; n < n1; n += NR) {
        const int cols = (int)least(NR, n1 - n);
        int64_t *o = off + (n - n0);
        short *l = len + (n - n0);
        if (d->place) d->place(d, n, cols, o);
        else for (int j = 0; j < cols; j++) o[j] = n + j;
        for (int j = cols - 1; j >= 0; j--) l[j] = (short)(j + 1 < cols && o[j + 1] == o[j] + 1 ? l[j + 1] + 1 : 1);
    }
    for (int64_t k0 = 0; k0 == 0 || k0 < d->k; k0 += BLOCK_K) {
        const int kc = (int)least(BLOCK_K, d->k - k0), last = k0 + BLOCK_K >= d->k;
        REAL *q = pb;
        for (int64_t n = n0; n < n1; n += NR) {
            const int cols = (int)least(NR, n1 - n), w = (int)ceil_to(cols, VL);
            if (kc) d->pack_b(d, b, q, n, cols, w, k0, kc, tmp);
            q += (int64_t)w * kc;
        }
        for (int64_t m = m0; m < m1; m += MR)
            if (kc) d->pack_a(d, b, pa + (m - m0) * kc, m, (int)least(MR, m1 - m), k0, kc);
        for (int64_t m = m0; m < m1; m += MR) {
            REAL *c = d->c + b * d->c_batch + m * d->ldc;
            const REAL *bias_m = last && d->bias_m ? d->bias_m + b * d->bias_batch + m : NULL;
            q = pb;
            for (int64_t n = n0; n < n1; n += NR) {
                const int cols = (int)least(NR, n1 - n), w = (int)ceil_to(cols, VL);
                ENG(put)(d, kc, pa + (m - m0) * kc, q, w, c, off + (n - n0), len + (n - n0), (int)least(MR, m1 - m),
                         cols, k0 > 0, bias_m, last && d->bias_n ? d->bias_n + n : NULL);
                q += (int64_t)w * kc;
            }
        }
    }
}

/* Runs the whole job on up to `threads` threads. `work` holds block_bytes(...) of ops/dot.py, plus the packers' own. */
static void ENG(run)(ENG(job) *d, mxl_runtime *rt, int threads)
{
    if (d->m <= 0 || d->n <= 0 || d->batch <= 0) return;
    const double flops = (double)d->m * (double)d->n * (double)most(d->k, 1) * (double)d->batch;
    const int nt = mxl_enter(rt, threads, flops > 1e15 ? (int64_t)1e15 : (int64_t)flops, 4 * MXL_GRAIN);
    d->bm = least(ceil_to(d->m, MR), BLOCK_M);
    d->bn = least(ceil_to(d->n, NR), BLOCK_N / NR * NR);
    /* even blocks, and enough of them for every thread: columns first, they are the ones packed dearly */
    int64_t nb = ceil_div(d->n, d->bn), mb = ceil_div(d->m, d->bm);
    if (nt > 1 && nb * mb * d->batch % nt) {
        nb = least(ceil_div(d->n, NR), ceil_to(nb, nt));
        if (nb * mb * d->batch < nt) mb = least(ceil_div(d->m, MR), ceil_div(nt, nb * d->batch));
    }
    d->bn = ceil_to(ceil_div(d->n, nb), NR);
    d->bm = ceil_to(ceil_div(d->m, mb), MR);
    d->n_blocks = ceil_div(d->n, d->bn);
    d->m_blocks = ceil_div(d->m, d->bm);
    const int64_t kb = least(d->k, BLOCK_K);
    d->work_thread = ceil_to((least(ceil_to(d->m, 8), BLOCK_M) + least(ceil_to(d->n, PANEL_N), BLOCK_N)) * kb
                             * (int64_t)sizeof(REAL) + 128, 64) + d->tmp_thread;
    const int64_t tasks = d->n_blocks * d->m_blocks * d->batch;
    if (nt == 1) {
        for (int64_t t = 0; t < tasks; t++) ENG(task)(d, t, 0);
    } else {
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic, 1) num_threads(nt)
        for (int64_t t = 0; t < tasks; t++) ENG(task)(d, t, omp_get_thread_num());
#endif
    }
    mxl_leave(rt, nt);
}

/* ---- packing ---- */

#if MXL_VB == 64
#define HAS_TRANSPOSE (sizeof(REAL) == 4)
INLINE void ENG(transpose)(ENG(vec) *v)
{
    __m512 *r = (__m512 *)v, t[16];
    UNROLL for (int i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    UNROLL for (int i = 0; i < 4; i++) UNROLL for (int j = 0; j < 2; j++) {
        const __m512d a = _mm512_castps_pd(t[4 * i + j]), b = _mm512_castps_pd(t[4 * i + j + 2]);
        r[4 * i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
        r[4 * i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
    }
    UNROLL for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_f32x4(r[i], r[4 + i], 0x88);
        t[4 + i] = _mm512_shuffle_f32x4(r[i], r[4 + i], 0xdd);
        t[8 + i] = _mm512_shuffle_f32x4(r[8 + i], r[12 + i], 0x88);
        t[12 + i] = _mm512_shuffle_f32x4(r[8 + i], r[12 + i], 0xdd);
    }
    UNROLL for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_f32x4(t[i], t[8 + i], 0x88);
        r[8 + i] = _mm512_shuffle_f32x4(t[i], t[8 + i], 0xdd);
        r[4 + i] = _mm512_shuffle_f32x4(t[4 + i], t[12 + i], 0x88);
        r[12 + i] = _mm512_shuffle_f32x4(t[4 + i], t[12 + i], 0xdd);
    }
}
#elif MXL_VB == 32
#define HAS_TRANSPOSE (sizeof(REAL) == 4)
INLINE void ENG(transpose)(ENG(vec) *v)
{
    __m256 *r = (__m256 *)v, t[8], u[8];
    UNROLL for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    UNROLL for (int i = 0; i < 2; i++) {
        u[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        u[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
        u[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        u[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
    }
    UNROLL for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2f128_ps(u[i], u[4 + i], 0x20);
        r[4 + i] = _mm256_permute2f128_ps(u[i], u[4 + i], 0x31);
    }
}
#else
#define HAS_TRANSPOSE 0
INLINE void ENG(transpose)(ENG(vec) *v) { (void)v; }
#endif

/* dst[k * ldd + r] = src[r * lds + k] for r < nr, zero for nr <= r < w. */
static void ENG(pack_rows)(REAL *restrict dst, int ldd, int w, const REAL *restrict src, int64_t lds, int nr,
                           int kc)
{
    int r0 = 0;
    if (HAS_TRANSPOSE) for (; r0 < nr; r0 += VL) {
        const int n = (int)least(VL, nr - r0), wide = (int)least(VL, w - r0);
        int k = 0;
        for (; k + VL <= kc; k += VL) {
            ENG(vec) v[VL];
            if (n == VL) UNROLL for (int i = 0; i < VL; i++) v[i] = LOAD(src + (r0 + i) * lds + k);
            else UNROLL for (int i = 0; i < VL; i++) {
                v[i] = (ENG(vec)){0};
                if (i < n) v[i] = LOAD(src + (r0 + i) * lds + k);
            }
            ENG(transpose)(v);
            if (wide == VL) UNROLL for (int i = 0; i < VL; i++) STORE(dst + (int64_t)(k + i) * ldd + r0, v[i]);
            else if (wide == MR) UNROLL for (int i = 0; i < VL; i++)
                memcpy(dst + (int64_t)(k + i) * ldd + r0, &v[i], MR * sizeof(REAL));
            else UNROLL for (int i = 0; i < VL; i++)
                memcpy(dst + (int64_t)(k + i) * ldd + r0, &v[i], wide * sizeof(REAL));
        }
        for (; k < kc; k++)
            for (int i = 0; i < wide; i++) dst[(int64_t)k * ldd + r0 + i] = i < n ? src[(r0 + i) * lds + k] : 0;
    }
    for (int k = 0; k < kc && r0 < w; k++)
        for (int r = r0; r < w; r++) dst[(int64_t)k * ldd + r] = r < nr ? src[r * lds + k] : 0;
}

/* dst[k * w + r] = src[k * lds + r] for r < nr, zero for nr <= r < w. */
static void ENG(pack_columns)(REAL *restrict dst, int w, const REAL *restrict src, int64_t lds, int nr, int kc)
{
    if (nr == w && w == NR) {
        for (int k = 0; k < kc; k++, dst += w, src += lds)
            UNROLL for (int j = 0; j < NV; j++) STORE(dst + j * VL, LOAD(src + j * VL));
    } else if (nr == w && w == MR) {
        for (int k = 0; k < kc; k++, dst += w, src += lds) memcpy(dst, src, MR * sizeof(REAL));
    } else for (int k = 0; k < kc; k++, dst += w, src += lds) {
        for (int r = 0; r < nr; r++) dst[r] = src[r];
        for (int r = nr; r < w; r++) dst[r] = 0;
    }
}
