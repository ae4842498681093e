/* Winograd's convolution F(4x4, 3x3): its transforms, and the matrix product in its domain. float alone.
 *
 * Y = A' [ (G g G') * (B' d B) ] A for a tile of 4x4 outputs, which sees 6x6 inputs: 36 products a channel, where the
 * plain way takes 144. The polynomials are interpolated at 0, +-3/4, +-3/2 and infinity: all constants of A and B are
 * exact binary fractions, and the rounding error is a fifth of that of the usual points 0, +-1, +-2 at the same cost.
 *
 * Lanes are channels in every transform, so that any image size will do; images come in and go out through
 * transposes in registers. V[36][tile][channel] is the data, U[36][channel][filter] the weight, M[36][tile][filter]
 * their product. Planes are set apart by 16 floats, rows by an odd number of cache lines: powers of two would
 * all meet in the same sets of the cache.
 */
enum { WINO_UNIT = 16, WINO_PAD = 16, WINO_DEPTH = 128, WINO_IMAGE = 396, WINO_AHEAD = 16 };
#define WV ENG(vec)

INLINE void wino_data(WV *o, WV d0, WV d1, WV d2, WV d3, WV d4, WV d5)
{
    const WV p = d4 - 2.25f * d2, q = d3 - 2.25f * d1, r = d4 - 0.5625f * d2, s = d3 - 0.5625f * d1;
    o[0] = 1.265625f * d0 + (d4 - 2.8125f * d2);
    o[1] = p + 0.75f * q;
    o[2] = p - 0.75f * q;
    o[3] = r + 1.5f * s;
    o[4] = r - 1.5f * s;
    o[5] = 1.265625f * d1 + (d5 - 2.8125f * d3);
}

INLINE void wino_result(WV *o, WV m0, WV m1, WV m2, WV m3, WV m4, WV m5)
{
    const WV p = m1 + m2, q = m1 - m2, r = m3 + m4, s = m3 - m4;
    o[0] = m0 + p + r;
    o[1] = 0.75f * q + 1.5f * s;
    o[2] = 0.5625f * p + 2.25f * r;
    o[3] = 0.421875f * q + 3.375f * s + m5;
}

/* The transpose of wino_result: what a gradient of 4 outputs is in the domain. */
INLINE void wino_gradient(WV *o, WV y0, WV y1, WV y2, WV y3)
{
    const WV p = y0 + 0.5625f * y2, q = 0.75f * y1 + 0.421875f * y3, r = y0 + 2.25f * y2, s = 1.5f * y1 + 3.375f * y3;
    o[0] = y0;
    o[1] = p + q;
    o[2] = p - q;
    o[3] = r + s;
    o[4] = r - s;
    o[5] = y3;
}

/* Rows of G: (1, x, x^2) over the product of x's distances to the other points. */
#define WINO_0 (float)(64. / 81)
#define WINO_1 (float)(-128. / 243)
#define WINO_3 (float)(32. / 243)
INLINE void wino_filter(WV *o, WV a, WV b, WV c)
{
    const WV p = WINO_1 * (a + 0.5625f * c), q = (0.75f * WINO_1) * b;
    const WV r = WINO_3 * (a + 2.25f * c), s = (1.5f * WINO_3) * b;
    o[0] = WINO_0 * a;
    o[1] = p + q;
    o[2] = p - q;
    o[3] = r + s;
    o[4] = r - s;
    o[5] = c;
}

/* Its transpose: the gradient of a filter from that of its transform. */
INLINE void wino_filter_gradient(WV *o, WV u0, WV u1, WV u2, WV u3, WV u4, WV u5)
{
    const WV p = WINO_1 * (u1 + u2), q = WINO_1 * (u1 - u2), r = WINO_3 * (u3 + u4), s = WINO_3 * (u3 - u4);
    o[0] = WINO_0 * u0 + p + r;
    o[1] = 0.75f * q + 1.5f * s;
    o[2] = 0.5625f * p + 2.25f * r + u5;
}

/* ---- images to lanes and back ---- */

/* dst[at[p] + r] = src[r * lds + p] for p < n and r < rows; zero for the lanes from `rows` on. */
static void wino_gather(float *restrict dst, const int *restrict at, const float *restrict src, int64_t lds, int rows,
                        int n)
{
    if (!HAS_TRANSPOSE) {
        for (int p = 0; p < n; p++)
            for (int r = 0; r < VL; r++) dst[at[p] + r] = r < rows ? src[r * lds + p] : 0;
        return;
    }
    for (int p = 0; p < n; p += VL) {
        const int some = n - p < VL ? n - p : VL;
        WV v[VL];
        if (rows == VL && some == VL) {
            UNROLL for (int i = 0; i < VL; i++) v[i] = LOAD(src + i * lds + p);
        } else UNROLL for (int i = 0; i < VL; i++) {
            v[i] = (WV){0};
            if (i < rows) v[i] = ENG(load_part)(src + i * lds + p, 0, some);
        }
        ENG(transpose)(v);
        if (some == VL) UNROLL for (int i = 0; i < VL; i++) STORE(dst + at[p + i], v[i]);
        else UNROLL for (int i = 0; i < VL; i++) if (i < some) STORE(dst + at[p + i], v[i]);
    }
}

typedef int32_t wino_mask __attribute__((vector_size(MXL_VB)));
INLINE WV wino_choose(wino_mask m, WV a, WV b) { return (WV)(((wino_mask)a & m) | ((wino_mask)b & ~m)); }

INLINE WV wino_act(WV v, int act, WV lo, WV hi)
{
    if (act) v = wino_choose(lo > v, lo, v);            /* asked this way round, NaN stays NaN */
    if (act == 2) v = wino_choose(hi < v, hi, v);
    return v;
}

typedef struct { int act; float lo, hi; } wino_epilogue;

/* dst[r * ldd + p] = act(src[p][r] + residual[r * ldd + p]) for p < n and r < rows. `residual` may be `dst`. */
static void wino_scatter(float *dst, int64_t ldd, const float *restrict src, int rows, int n, const float *residual,
                         const wino_epilogue *e)
{
    const WV lo = (WV){0} + (e->act == 2 ? e->lo : 0), hi = (WV){0} + e->hi;
    const int act = e->act;
    if (!HAS_TRANSPOSE) {
        for (int r = 0; r < rows; r++) for (int p = 0; p < n; p++) {
            float v = src[p * VL + r] + (residual ? residual[r * ldd + p] : 0);
            if (act) v = lo[0] > v ? lo[0] : v;
            if (act == 2) v = hi[0] < v ? hi[0] : v;
            dst[r * ldd + p] = v;
        }
        return;
    }
    for (int p = 0; p < n; p += VL) {
        const int some = n - p < VL ? n - p : VL;
        WV v[VL];
        UNROLL for (int i = 0; i < VL; i++) v[i] = LOAD(src + (p + i) * VL);    /* past n: whatever the buffer has */
        ENG(transpose)(v);
        if (some == VL && rows == VL) {
            if (residual) UNROLL for (int i = 0; i < VL; i++) v[i] += LOAD(residual + i * ldd + p);
            if (act) UNROLL for (int i = 0; i < VL; i++) v[i] = wino_act(v[i], act, lo, hi);
            UNROLL for (int i = 0; i < VL; i++) STORE(dst + i * ldd + p, v[i]);
        } else UNROLL for (int i = 0; i < VL; i++) if (i < rows) {
            if (residual) v[i] += ENG(load_part)(residual + i * ldd + p, 0, some);
            ENG(store_part)(dst + i * ldd + p, wino_act(v[i], act, lo, hi), some);
        }
    }
}

/* ---- the matrix product: a tile of mr x nv vectors in registers, A read where it lies ---- */
INLINE void wino_tile(const int mr, const int nv, int64_t kc, const float *restrict a, int64_t row, int64_t step,
                      const float *restrict b, int64_t ldb, float *restrict c, int64_t ldc, int add, const float *next)
{
    WV acc[MR][NV];
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < nv; j++) acc[i][j] = (WV){0};
    UNROLL for (int i = 0; i < mr; i++) __builtin_prefetch(c + i * ldc, 1);
    for (int64_t k = 0; k < kc; ) {
        if (next) {                 /* the rows that come next are no stream that the processor would foresee */
            UNROLL for (int i = 0; i < mr; i++) __builtin_prefetch(next + i * row + k);
        }
        for (const int64_t end = next ? least(kc, k + 16) : kc; k < end; k++) {
            WV bv[NV];
            if (!next) {
                UNROLL for (int j = 0; j < nv; j++) __builtin_prefetch(b + WINO_AHEAD * ldb + j * VL);
                __builtin_prefetch(a + WINO_AHEAD * step);
            }
            UNROLL for (int j = 0; j < nv; j++) bv[j] = LOAD(b + j * VL);
            UNROLL for (int i = 0; i < mr; i++) {
                const float s = a[i * row];
                UNROLL for (int j = 0; j < nv; j++) acc[i][j] += s * bv[j];
            }
            a += step;
            b += ldb;
        }
    }
    if (add)
        UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < nv; j++) acc[i][j] += LOAD(c + i * ldc + j * VL);
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < nv; j++) STORE(c + i * ldc + j * VL, acc[i][j]);
}

/* Rows of A contiguous (forward), or its columns (weight gradient). */
typedef void (*wino_fn)(int64_t, const float *, int64_t, const float *, int64_t, float *, int64_t, int,
                        const float *);
#define ROWS_OF(mr, nv) \
    static void wino_rows_##mr##_##nv(int64_t kc, const float *a, int64_t lda, const float *b, int64_t ldb, float *c, \
                                      int64_t ldc, int add, const float *next) \
    { wino_tile(mr, nv, kc, a, lda, 1, b, ldb, c, ldc, add, next); }
#define COLUMNS_OF(mr, nv) \
    static void wino_columns_##mr##_##nv(int64_t kc, const float *a, int64_t lda, const float *b, int64_t ldb, \
                                         float *c, int64_t ldc, int add, const float *next) \
    { (void)next; wino_tile(mr, nv, kc, a, 1, lda, b, ldb, c, ldc, add, NULL); }
#if MXL_VB == 64
ROWS_OF(4, 1) ROWS_OF(4, 2) ROWS_OF(4, 3) ROWS_OF(8, 1) ROWS_OF(8, 2) ROWS_OF(8, 3)
COLUMNS_OF(8, 1) COLUMNS_OF(8, 2) COLUMNS_OF(8, 3)
static const wino_fn wino_rows[2][NV] = {{wino_rows_4_1, wino_rows_4_2, wino_rows_4_3},
                                         {wino_rows_8_1, wino_rows_8_2, wino_rows_8_3}};
static const wino_fn wino_columns[NV] = {wino_columns_8_1, wino_columns_8_2, wino_columns_8_3};
#elif MXL_VB == 32
ROWS_OF(2, 1) ROWS_OF(2, 2) ROWS_OF(2, 3) ROWS_OF(4, 1) ROWS_OF(4, 2) ROWS_OF(4, 3)
COLUMNS_OF(4, 1) COLUMNS_OF(4, 2) COLUMNS_OF(4, 3)
static const wino_fn wino_rows[2][NV] = {{wino_rows_2_1, wino_rows_2_2, wino_rows_2_3},
                                         {wino_rows_4_1, wino_rows_4_2, wino_rows_4_3}};
static const wino_fn wino_columns[NV] = {wino_columns_4_1, wino_columns_4_2, wino_columns_4_3};
#else
ROWS_OF(2, 1) ROWS_OF(2, 2) ROWS_OF(4, 1) ROWS_OF(4, 2)
COLUMNS_OF(4, 1) COLUMNS_OF(4, 2)
static const wino_fn wino_rows[2][NV] = {{wino_rows_2_1, wino_rows_2_2}, {wino_rows_4_1, wino_rows_4_2}};
static const wino_fn wino_columns[NV] = {wino_columns_4_1, wino_columns_4_2};
#endif
#undef ROWS_OF
#undef COLUMNS_OF
