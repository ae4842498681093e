/* Packing for the engine, one type and level: stored rows, or stored columns, into panels. See engine.h. */

#if MXL_VB == 64
#define HAS_TRANSPOSE (sizeof(REAL) == 4)
#define HAS_EIGHT HAS_TRANSPOSE
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

/* Eight rows of 16 to 16 columns of eight, side by side. */
INLINE void ENG(eight_across)(const REAL *src, int64_t lds, REAL *dst)
{
    __m512 r[8], t[8];
    UNROLL for (int i = 0; i < 8; i++) r[i] = (__m512)LOAD(src + i * lds);
    UNROLL for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    /* then r[q] has in its 128-bit lane l rows 0-3 of column 4 l + q, and r[4 + q] rows 4-7 */
    UNROLL for (int i = 0; i < 2; i++) UNROLL for (int j = 0; j < 2; j++) {
        const __m512d a = _mm512_castps_pd(t[4 * i + j]), b = _mm512_castps_pd(t[4 * i + j + 2]);
        r[4 * i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
        r[4 * i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
    }
    UNROLL for (int j = 0; j < 4; j += 2) UNROLL for (int h = 0; h < 2; h++) {
        __m512 a = _mm512_shuffle_f32x4(r[j], r[j + 4], 0x44), b = _mm512_shuffle_f32x4(r[j + 1], r[j + 5], 0x44);
        if (h) {
            a = _mm512_shuffle_f32x4(r[j], r[j + 4], 0xee);
            b = _mm512_shuffle_f32x4(r[j + 1], r[j + 5], 0xee);
        }
        STORE(dst + (8 * h + j) * 8, (ENG(vec))_mm512_shuffle_f32x4(a, b, 0x88));
        STORE(dst + (8 * h + 4 + j) * 8, (ENG(vec))_mm512_shuffle_f32x4(a, b, 0xdd));
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
#if MXL_VB < 64
#define HAS_EIGHT 0
INLINE void ENG(eight_across)(const REAL *src, int64_t lds, REAL *dst) { (void)src, (void)lds, (void)dst; }
#endif

/* dst[k * ldd + r] = src[r * lds + k] for r < nr, zero for nr <= r < w. */
static void ENG(pack_rows)(REAL *restrict dst, int ldd, int w, const REAL *restrict src, int64_t lds, int nr,
                           int kc)
{
    int r0 = 0;
    if (HAS_TRANSPOSE) for (; r0 < nr; r0 += VL) {
        const int n = (int)least(VL, nr - r0), wide = (int)least(VL, w - r0);
        const REAL *from = src + r0 * lds;
        REAL *to = dst + r0;
        int k = 0;
        if (HAS_EIGHT && n == 8 && ldd == 8)
            for (; k + VL <= kc; k += VL) ENG(eight_across)(from + k, lds, to + (int64_t)k * 8);
        for (; k + VL <= kc; k += VL) {
            ENG(vec) v[VL];
            if (r0 + VL < nr) UNROLL for (int i = 0; i < VL; i++) __builtin_prefetch(from + (i + VL) * lds + k);
            if (n == VL) UNROLL for (int i = 0; i < VL; i++) v[i] = LOAD(from + i * lds + k);
            else UNROLL for (int i = 0; i < VL; i++) {
                v[i] = (ENG(vec)){0};
                if (i < n) v[i] = LOAD(from + i * lds + k);
            }
            ENG(transpose)(v);
            if (wide == VL) UNROLL for (int i = 0; i < VL; i++) STORE(to + (int64_t)(k + i) * ldd, v[i]);
            else if (wide == MR) UNROLL for (int i = 0; i < VL; i++)
                memcpy(to + (int64_t)(k + i) * ldd, &v[i], MR * sizeof(REAL));
            else UNROLL for (int i = 0; i < VL; i++) memcpy(to + (int64_t)(k + i) * ldd, &v[i], wide * sizeof(REAL));
        }
        if (k < kc) {
            ENG(vec) v[VL];
            UNROLL for (int i = 0; i < VL; i++) {
                v[i] = (ENG(vec)){0};
                if (i < n) v[i] = ENG(load_part)(from + i * lds + k, 0, kc - k);
            }
            ENG(transpose)(v);
            UNROLL for (int i = 0; i < VL; i++)
                if (k + i < kc) ENG(store_first)(to + (int64_t)(k + i) * ldd, v[i], wide);
        }
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
