/* Lanes of vectors: parts of rows, chosen lanes, even and odd elements. For one type and level. */
typedef __typeof__((ENG(vec)){0} == (ENG(vec)){0}) ENG(ivec);
#define ALL_LANES ((unsigned)((1ull << VL) - 1))

#if MXL_VB == 64
INLINE void ENG(split_pairs)(ENG(vec) a, ENG(vec) b, ENG(vec) *even, ENG(vec) *odd)
{
    if (sizeof(REAL) == 4) {
        const __m512i i = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
        *even = (ENG(vec))_mm512_permutex2var_ps((__m512)a, i, (__m512)b);
        *odd = (ENG(vec))_mm512_permutex2var_ps((__m512)a, _mm512_or_si512(i, _mm512_set1_epi32(1)), (__m512)b);
    } else {
        const __m512i i = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
        *even = (ENG(vec))_mm512_permutex2var_pd((__m512d)a, i, (__m512d)b);
        *odd = (ENG(vec))_mm512_permutex2var_pd((__m512d)a, _mm512_or_si512(i, _mm512_set1_epi64(1)), (__m512d)b);
    }
}
INLINE void ENG(join_pairs)(ENG(vec) even, ENG(vec) odd, ENG(vec) *a, ENG(vec) *b)
{
    if (sizeof(REAL) == 4) {
        const __m512i i = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        *a = (ENG(vec))_mm512_permutex2var_ps((__m512)even, i, (__m512)odd);
        *b = (ENG(vec))_mm512_permutex2var_ps((__m512)even, _mm512_add_epi32(i, _mm512_set1_epi32(8)), (__m512)odd);
    } else {
        const __m512i i = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
        *a = (ENG(vec))_mm512_permutex2var_pd((__m512d)even, i, (__m512d)odd);
        *b = (ENG(vec))_mm512_permutex2var_pd((__m512d)even, _mm512_add_epi64(i, _mm512_set1_epi64(4)), (__m512d)odd);
    }
}
#elif MXL_VB == 32
INLINE void ENG(split_pairs)(ENG(vec) a, ENG(vec) b, ENG(vec) *even, ENG(vec) *odd)
{
    if (sizeof(REAL) == 4) {
        const __m256 e = _mm256_shuffle_ps((__m256)a, (__m256)b, 0x88);
        const __m256 o = _mm256_shuffle_ps((__m256)a, (__m256)b, 0xdd);
        *even = (ENG(vec))_mm256_permute4x64_pd((__m256d)e, 0xd8);
        *odd = (ENG(vec))_mm256_permute4x64_pd((__m256d)o, 0xd8);
    } else {
        *even = (ENG(vec))_mm256_permute4x64_pd(_mm256_unpacklo_pd((__m256d)a, (__m256d)b), 0xd8);
        *odd = (ENG(vec))_mm256_permute4x64_pd(_mm256_unpackhi_pd((__m256d)a, (__m256d)b), 0xd8);
    }
}
INLINE void ENG(join_pairs)(ENG(vec) even, ENG(vec) odd, ENG(vec) *a, ENG(vec) *b)
{
    __m256d lo, hi;
    if (sizeof(REAL) == 4) {
        lo = (__m256d)_mm256_unpacklo_ps((__m256)even, (__m256)odd);
        hi = (__m256d)_mm256_unpackhi_ps((__m256)even, (__m256)odd);
    } else {
        lo = _mm256_unpacklo_pd((__m256d)even, (__m256d)odd);
        hi = _mm256_unpackhi_pd((__m256d)even, (__m256d)odd);
    }
    *a = (ENG(vec))_mm256_permute2f128_pd(lo, hi, 0x20);
    *b = (ENG(vec))_mm256_permute2f128_pd(lo, hi, 0x31);
}
#else
INLINE void ENG(split_pairs)(ENG(vec) a, ENG(vec) b, ENG(vec) *even, ENG(vec) *odd)
{
    *even = *odd = a;
    for (int i = 0; i < VL; i++) {
        (*even)[i] = 2 * i < VL ? a[2 * i] : b[2 * i - VL];
        (*odd)[i] = 2 * i < VL ? a[2 * i + 1] : b[2 * i + 1 - VL];
    }
}
INLINE void ENG(join_pairs)(ENG(vec) even, ENG(vec) odd, ENG(vec) *a, ENG(vec) *b)
{
    for (int i = 0; i < VL / 2; i++) {
        (*a)[2 * i] = even[i], (*a)[2 * i + 1] = odd[i];
        (*b)[2 * i] = even[VL / 2 + i], (*b)[2 * i + 1] = odd[VL / 2 + i];
    }
}
#endif

/* Elements p[0..VL) of a row of which only lo..hi may be read; the others are 0. */
INLINE ENG(vec) ENG(window)(const REAL *p, int64_t lo, int64_t hi)
{
    if (lo <= 0 && hi >= VL) return LOAD(p);
    return ENG(load_part)(p, (int)least(VL, most(0, lo)), (int)least(VL, most(0, hi)));
}

/* v with the lanes of `mask`, 0 in v, from p; reads nothing else. */
INLINE ENG(vec) ENG(load_lanes)(ENG(vec) v, const REAL *p, unsigned mask)
{
#if MXL_VB == 64
    if (sizeof(REAL) == 4) return (ENG(vec))_mm512_mask_loadu_ps((__m512)v, (__mmask16)mask, p);
    return (ENG(vec))_mm512_mask_loadu_pd((__m512d)v, (__mmask8)mask, p);
#elif MXL_VB == 32
    if (sizeof(REAL) == 4) {
        const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
        const __m256i m = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32((int)mask), bit), bit);
        return (ENG(vec))_mm256_or_ps((__m256)v, _mm256_maskload_ps((const float *)p, m));
    }
    const __m256i bit = _mm256_setr_epi64x(1, 2, 4, 8);
    const __m256i m = _mm256_cmpeq_epi64(_mm256_and_si256(_mm256_set1_epi64x((int)mask), bit), bit);
    return (ENG(vec))_mm256_or_pd((__m256d)v, _mm256_maskload_pd((const double *)p, m));
#else
    for (int i = 0; i < VL; i++) if (mask >> i & 1) v[i] = p[i];
    return v;
#endif
}

/* The same of elements 2 apart, or `step` apart. */
INLINE ENG(vec) ENG(load_apart)(ENG(vec) v, const REAL *p, unsigned mask, int64_t step)
{
#if MXL_VB >= 32
    if (step == 2) {
        unsigned even = mask;           /* bit i to bit 2i */
        even = (even | even << 8) & 0x00ff00ff;
        even = (even | even << 4) & 0x0f0f0f0f;
        even = (even | even << 2) & 0x33333333;
        even = (even | even << 1) & 0x55555555;
        ENG(vec) a = ENG(load_lanes)((ENG(vec)){0}, p, even & ALL_LANES), odd;
        const ENG(vec) b = ENG(load_lanes)((ENG(vec)){0}, p + VL, even >> VL & ALL_LANES);
        ENG(split_pairs)(a, b, &a, &odd);
        return (ENG(vec))((ENG(ivec))v | (ENG(ivec))a);
    }
#endif
    for (int i = 0; i < VL; i++) if (mask >> i & 1) v[i] = p[i * step];
    return v;
}

/* Past the caches, to a place that is aligned to a vector. Fence before anybody else reads. */
INLINE void ENG(stream)(REAL *p, ENG(vec) v)
{
#if MXL_VB == 64
    _mm512_stream_ps((void *)p, (__m512)v);
#elif MXL_VB == 32
    _mm256_stream_ps((void *)p, (__m256)v);
#else
    STORE(p, v);
#endif
}

INLINE void ENG(fence)(void)
{
#if MXL_VB > 16
    _mm_sfence();
#endif
}
