/* The micro-kernel, one type and level: a tile of C in registers, from two panels to C with its epilogue. */

typedef REAL ENG(vec) __attribute__((vector_size(MXL_VB)));
typedef REAL ENG(uvec) __attribute__((vector_size(MXL_VB), aligned(sizeof(REAL)), may_alias));
#define VL ((int)(MXL_VB / sizeof(REAL)))
#define NR (VL * NV)
#define LOAD(p) (*(const ENG(uvec) *)(p))
#define STORE(p, v) (*(ENG(uvec) *)(p) = (v))

/* What happens to a tile once its sums are complete: + bias, then act: 1 relu, 2 clip to lo..hi; NaN stays NaN. */
typedef struct { const REAL *bias_m, *bias_n; int act; REAL lo, hi; } ENG(epilogue);

/* C(i, j) = add(i, j) + sum over k of a[i * a_row + k * a_k] b[k * ldb + j], for `rows` rows and whole vectors of
 * columns, the last of which has `lanes` columns. Nothing else of C, of `add` and of biases is touched; B is read in
 * whole vectors except with AVX-512, A in all rows of the tile. `add` lies like C, and may be C; NULL: zeros. */
typedef struct {
    const REAL *a, *b, *add;
    REAL *c;
    int64_t a_row, a_k, ldb, ldc;
    int kc, rows, lanes;
    const REAL *soon;               /* what the next block will pack: a cache line of a row for each k, */
    int64_t soon_step;              /* from row to row */
    int soon_rows;
    const ENG(epilogue) *e;         /* NULL: none */
} ENG(tile_args);

/* x where it is NaN or above (below) `limit`, else the limit. */
#if MXL_VB == 64
#define ENGINE_PICK(ps, pd) (sizeof(REAL) == 4 ? (ENG(vec))_mm512_##ps((__m512)limit, (__m512)x) \
                                            : (ENG(vec))_mm512_##pd((__m512d)limit, (__m512d)x))
INLINE ENG(vec) ENG(vmax)(ENG(vec) limit, ENG(vec) x) { return ENGINE_PICK(max_ps, max_pd); }
INLINE ENG(vec) ENG(vmin)(ENG(vec) limit, ENG(vec) x) { return ENGINE_PICK(min_ps, min_pd); }
#undef ENGINE_PICK
#elif MXL_VB == 32
#define ENGINE_PICK(ps, pd) (sizeof(REAL) == 4 ? (ENG(vec))_mm256_##ps((__m256)limit, (__m256)x) \
                                            : (ENG(vec))_mm256_##pd((__m256d)limit, (__m256d)x))
INLINE ENG(vec) ENG(vmax)(ENG(vec) limit, ENG(vec) x) { return ENGINE_PICK(max_ps, max_pd); }
INLINE ENG(vec) ENG(vmin)(ENG(vec) limit, ENG(vec) x) { return ENGINE_PICK(min_ps, min_pd); }
#undef ENGINE_PICK
#else
INLINE ENG(vec) ENG(vmax)(ENG(vec) limit, ENG(vec) x)
{
    UNROLL for (int i = 0; i < VL; i++) x[i] = limit[i] > x[i] ? limit[i] : x[i];
    return x;
}
INLINE ENG(vec) ENG(vmin)(ENG(vec) limit, ENG(vec) x)
{
    UNROLL for (int i = 0; i < VL; i++) x[i] = limit[i] < x[i] ? limit[i] : x[i];
    return x;
}
#endif

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

/* The first n lanes alone. */
#if MXL_VB == 64
INLINE ENG(vec) ENG(load_mask)(const REAL *p, unsigned mask)
{
    if (sizeof(REAL) == 4) return (ENG(vec))_mm512_maskz_loadu_ps((__mmask16)mask, p);
    return (ENG(vec))_mm512_maskz_loadu_pd((__mmask8)mask, p);
}
INLINE ENG(vec) ENG(load_first)(const REAL *p, int n) { return ENG(load_mask)(p, (1u << n) - 1); }
INLINE void ENG(store_first)(REAL *p, ENG(vec) v, int n) { ENG(store_part)(p, v, n); }
#else
INLINE ENG(vec) ENG(load_first)(const REAL *p, int n) { return n == VL ? (ENG(vec))LOAD(p) : ENG(load_part)(p, 0, n); }
INLINE void ENG(store_first)(REAL *p, ENG(vec) v, int n) { if (n == VL) STORE(p, v); else ENG(store_part)(p, v, n); }
#endif

/* n elements two apart, from and to the first n lanes of a vector; what lies between is neither read nor written. */
#if MXL_VB == 64
INLINE ENG(vec) ENG(load_two_apart)(const REAL *p, int n)
{
    const unsigned even = 0x55555555u & (unsigned)((1ull << 2 * n) - 1), all = (1u << VL) - 1;
    const ENG(vec) a = ENG(load_mask)(p, even & all), b = ENG(load_mask)(p + VL, even >> VL & all);
    if (sizeof(REAL) == 4) {
        const __m512i i = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
        return (ENG(vec))_mm512_permutex2var_ps((__m512)a, i, (__m512)b);
    }
    const __m512i i = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
    return (ENG(vec))_mm512_permutex2var_pd((__m512d)a, i, (__m512d)b);
}
INLINE void ENG(store_two_apart)(REAL *p, ENG(vec) v, int n)
{
    const unsigned even = 0x55555555u & (unsigned)((1ull << 2 * n) - 1), all = (1u << VL) - 1;
    if (sizeof(REAL) == 4) {
        const __m512i i = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
        _mm512_mask_storeu_ps(p, (__mmask16)(even & all), _mm512_permutexvar_ps(i, (__m512)v));
        _mm512_mask_storeu_ps(p + VL, (__mmask16)(even >> VL & all),
                              _mm512_permutexvar_ps(_mm512_add_epi32(i, _mm512_set1_epi32(8)), (__m512)v));
    } else {
        const __m512i i = _mm512_setr_epi64(0, 0, 1, 1, 2, 2, 3, 3);
        _mm512_mask_storeu_pd(p, (__mmask8)(even & all), _mm512_permutexvar_pd(i, (__m512d)v));
        _mm512_mask_storeu_pd(p + VL, (__mmask8)(even >> VL & all),
                              _mm512_permutexvar_pd(_mm512_add_epi64(i, _mm512_set1_epi64(4)), (__m512d)v));
    }
}
#else
INLINE ENG(vec) ENG(load_two_apart)(const REAL *p, int n)
{
    ENG(vec) v = {0};
    for (int i = 0; i < n; i++) v[i] = p[2 * i];
    return v;
}
INLINE void ENG(store_two_apart)(REAL *p, ENG(vec) v, int n)
{
    for (int i = 0; i < n; i++) p[2 * i] = v[i];
}
#endif

/* Every loop over the tile is unrolled, or it spills. */
INLINE void ENG(tile)(const int mr, const int nv, const ENG(tile_args) *t)
{
    ENG(vec) acc[MR][NV];
    const REAL *restrict a = t->a, *restrict b = t->b;
    const REAL *soon = t->soon;
    const int64_t soon_step = t->soon_step;
    const int soon_end = t->kc - t->soon_rows;
    const int64_t a_row = t->a_row, a_k = t->a_k, ldb = t->ldb, ldc = t->ldc;
#if MXL_VB == 64
    const unsigned mask = (1u << t->lanes) - 1;
#endif
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < nv; j++) acc[i][j] = (ENG(vec)){0};
    UNROLL for (int i = 0; i < mr; i++) if (i < t->rows) __builtin_prefetch(t->c + i * ldc, 1);
    for (int k = t->kc; k > 0; k--) {
        ENG(vec) bv[NV];
#if MXL_VB == 64
        UNROLL for (int j = 0; j < nv - 1; j++) bv[j] = LOAD(b + j * VL);
        bv[nv - 1] = ENG(load_mask)(b + (nv - 1) * VL, mask);
#else
        UNROLL for (int j = 0; j < nv; j++) bv[j] = LOAD(b + j * VL);
#endif
        UNROLL for (int i = 0; i < mr; i++) {
            const REAL s = a[i * a_row];
            UNROLL for (int j = 0; j < nv; j++) acc[i][j] += s * bv[j];
        }
        UNROLL for (int j = 0; j < nv; j++) __builtin_prefetch(b + AHEAD * ldb + j * VL);
        __builtin_prefetch(soon, 0, 2);
        soon += k > soon_end ? soon_step : 0;
        a += a_k;
        b += ldb;
    }
    const REAL *add = t->add;
    const ENG(epilogue) *e = t->e;
    REAL *c = t->c;
    UNROLL for (int i = 0; i < mr; i++) {
        if (i >= t->rows) return;
        UNROLL for (int j = 0; j < nv; j++) {
            const int n = j == nv - 1 ? t->lanes : VL;
            ENG(vec) v = acc[i][j];
            if (add) v += ENG(load_first)(add + i * ldc + j * VL, n);
            if (e) {
                if (e->bias_m) v += e->bias_m[i];
                if (e->bias_n) v += ENG(load_first)(e->bias_n + j * VL, n);
                if (e->act) v = ENG(vmin)(e->hi - (ENG(vec)){0}, ENG(vmax)(e->lo - (ENG(vec)){0}, v));
            }
            ENG(store_first)(c + i * ldc + j * VL, v, n);
        }
    }
}

typedef void (*ENG(tile_fn))(const ENG(tile_args) *);
#define TILE(mr, nv) static void ENG(tile_##mr##_##nv)(const ENG(tile_args) *t) { ENG(tile)(mr, nv, t); }
#define TILES(mr) {ENG(tile_##mr##_1), ENG(tile_##mr##_2), ENG(tile_##mr##_3)}
/* [rows, in pairs][vectors] */
#if MXL_VB == 64
TILE(2, 1) TILE(2, 2) TILE(2, 3) TILE(4, 1) TILE(4, 2) TILE(4, 3)
TILE(6, 1) TILE(6, 2) TILE(6, 3) TILE(8, 1) TILE(8, 2) TILE(8, 3)
static const ENG(tile_fn) ENG(tiles)[MR / 2][NV] = {TILES(2), TILES(4), TILES(6), TILES(8)};
#elif MXL_VB == 32
TILE(2, 1) TILE(2, 2) TILE(2, 3) TILE(4, 1) TILE(4, 2) TILE(4, 3)
static const ENG(tile_fn) ENG(tiles)[MR / 2][NV] = {TILES(2), TILES(4)};
#else
TILE(2, 1) TILE(2, 2) TILE(4, 1) TILE(4, 2)
static const ENG(tile_fn) ENG(tiles)[MR / 2][NV] = {{ENG(tile_2_1), ENG(tile_2_2)}, {ENG(tile_4_1), ENG(tile_4_2)}};
#endif
#undef TILE
#undef TILES
