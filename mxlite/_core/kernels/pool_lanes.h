/* What pooling does with vectors of T beyond rowvec.h: every second element, two vectors lane by lane, first maxima. */

/* Lanes 0, 2, 4, ... of a and then b. */
INLINE F(vec) F(evens)(F(vec) a, F(vec) b)
{
#if VECTOR_BYTES == 64 && defined(__AVX512F__)
    if (sizeof(T) == 4) return (F(vec))_mm512_permutex2var_ps((__m512)a, _mm512_setr_epi32(
        0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30), (__m512)b);
    return (F(vec))_mm512_permutex2var_pd((__m512d)a, _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), (__m512d)b);
#elif VECTOR_BYTES == 32 && defined(__AVX2__)
    __m256 v = sizeof(T) == 4 ? _mm256_shuffle_ps((__m256)a, (__m256)b, 0x88)
                              : (__m256)_mm256_unpacklo_pd((__m256d)a, (__m256d)b);
    return (F(vec))_mm256_permute4x64_pd((__m256d)v, 0xd8);
#else
    F(vec) v;
    for (int64_t i = 0; i < LANES; i++) v[i] = 2 * i < LANES ? a[2 * i] : b[2 * i - LANES];
    return v;
#endif
}
/* Lanes 1, 3, 5, ... of a and then b. */
INLINE F(vec) F(odds)(F(vec) a, F(vec) b)
{
#if VECTOR_BYTES == 64 && defined(__AVX512F__)
    if (sizeof(T) == 4) return (F(vec))_mm512_permutex2var_ps((__m512)a, _mm512_setr_epi32(
        1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31), (__m512)b);
    return (F(vec))_mm512_permutex2var_pd((__m512d)a, _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15), (__m512d)b);
#elif VECTOR_BYTES == 32 && defined(__AVX2__)
    __m256 v = sizeof(T) == 4 ? _mm256_shuffle_ps((__m256)a, (__m256)b, 0xdd)
                              : (__m256)_mm256_unpackhi_pd((__m256d)a, (__m256d)b);
    return (F(vec))_mm256_permute4x64_pd((__m256d)v, 0xd8);
#else
    F(vec) v;
    for (int64_t i = 0; i < LANES; i++) v[i] = 2 * i < LANES ? a[2 * i + 1] : b[2 * i + 1 - LANES];
    return v;
#endif
}
/* a0 b0 a1 b1 ...: the first and the second vector of them. */
INLINE void F(zip)(F(vec) a, F(vec) b, F(vec) *first, F(vec) *second)
{
#if VECTOR_BYTES == 64 && defined(__AVX512F__)
    if (sizeof(T) == 4) {
        *first = (F(vec))_mm512_permutex2var_ps((__m512)a, _mm512_setr_epi32(
            0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23), (__m512)b);
        *second = (F(vec))_mm512_permutex2var_ps((__m512)a, _mm512_setr_epi32(
            8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31), (__m512)b);
    } else {
        *first = (F(vec))_mm512_permutex2var_pd((__m512d)a, _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11), (__m512d)b);
        *second = (F(vec))_mm512_permutex2var_pd((__m512d)a, _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15), (__m512d)b);
    }
#elif VECTOR_BYTES == 32 && defined(__AVX2__)
    __m256 lo = sizeof(T) == 4 ? _mm256_unpacklo_ps((__m256)a, (__m256)b)
                               : (__m256)_mm256_unpacklo_pd((__m256d)a, (__m256d)b);
    __m256 hi = sizeof(T) == 4 ? _mm256_unpackhi_ps((__m256)a, (__m256)b)
                               : (__m256)_mm256_unpackhi_pd((__m256d)a, (__m256d)b);
    *first = (F(vec))_mm256_permute2f128_ps(lo, hi, 0x20);
    *second = (F(vec))_mm256_permute2f128_ps(lo, hi, 0x31);
#else
    for (int64_t i = 0; i < LANES; i++) {
        (*first)[i] = i % 2 ? b[i / 2] : a[i / 2];
        (*second)[i] = i % 2 ? b[(LANES + i) / 2] : a[(LANES + i) / 2];
    }
#endif
}

/* Elements p[0], p[stride], p[2 * stride], ... */
INLINE F(vec) F(load_every)(const T *p, int64_t stride)
{
    if (stride == 1) return F(load)(p);
    if (stride == 2) return F(evens)(F(load)(p), F(load)(p + LANES));
    F(vec) v;
    for (int64_t i = 0; i < LANES; i++) v[i] = p[i * stride];
    return v;
}

/* Where v is above *best, or as large and its place comes first: v and its place. */
INLINE void F(first_max)(F(vec) v, F(ints) at, F(vec) *best, F(ints) *where)
{
#if VECTOR_BYTES == 64 && defined(__AVX512F__)
    if (sizeof(T) == 4) {
        __mmask16 m = _mm512_cmp_ps_mask((__m512)v, (__m512)*best, _CMP_GT_OQ);
        m |= _mm512_mask_cmplt_epi32_mask(_mm512_cmp_ps_mask((__m512)v, (__m512)*best, _CMP_EQ_OQ), (__m512i)at,
                                          (__m512i)*where);
        *best = (F(vec))_mm512_mask_mov_ps((__m512)*best, m, (__m512)v);
        *where = (F(ints))_mm512_mask_mov_epi32((__m512i)*where, m, (__m512i)at);
        return;
    }
#endif
    F(ints) m = (F(ints))(v > *best) | ((F(ints))(v == *best) & (F(ints))(at < *where));
    *best = F(pick)(m, v, *best);
    *where = (at & m) | (*where & ~m);
}
/* Where v is above *best: v and its place. */
INLINE void F(above)(F(vec) v, F(ints) at, F(vec) *best, F(ints) *where)
{
#if VECTOR_BYTES == 64 && defined(__AVX512F__)
    if (sizeof(T) == 4) {
        __mmask16 m = _mm512_cmp_ps_mask((__m512)v, (__m512)*best, _CMP_GT_OQ);
        *where = (F(ints))_mm512_mask_mov_epi32((__m512i)*where, m, (__m512i)at);
        *best = F(max)(v, *best);
        return;
    }
#endif
    F(ints) m = (F(ints))(v > *best);
    *where = (at & m) | (*where & ~m);
    *best = F(max)(v, *best);
}
/* sum + (codes[lane] == at ? v : 0) */
INLINE F(vec) F(add_where)(F(vec) sum, const uint8_t *codes, int at, F(vec) v)
{
#if VECTOR_BYTES == 64 && defined(__AVX512BW__) && defined(__AVX512VL__)
    if (sizeof(T) == 4) return (F(vec))_mm512_mask_add_ps((__m512)sum, _mm_cmpeq_epi8_mask(
        _mm_loadu_si128((const __m128i *)codes), _mm_set1_epi8((char)at)), (__m512)sum, (__m512)v);
    return (F(vec))_mm512_mask_add_pd((__m512d)sum, (__mmask8)_mm_cmpeq_epi8_mask(
        _mm_loadl_epi64((const __m128i *)codes), _mm_set1_epi8((char)at)), (__m512d)sum, (__m512d)v);
#else
    F(ints) where;
#if VECTOR_BYTES == 32 && defined(__AVX2__)
    int32_t four;
    memcpy(&four, codes, 4);
    where = sizeof(T) == 4 ? (F(ints))_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)codes))
                           : (F(ints))_mm256_cvtepu8_epi64(_mm_cvtsi32_si128(four));
#else
    for (int64_t i = 0; i < LANES; i++) where[i] = codes[i];
#endif
    return sum + (F(vec))((F(ints))v & (F(ints))(where == (I)at - (F(ints)){0}));
#endif
}

/* Largest of n > 0 elements, -inf where there is no number; sum of n elements, each to the power p. */
INLINE T F(largest_of)(const T *x, int64_t n)
{
    F(vec) low = F(splat)(-(T)INFINITY), a = low, b = low;
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        a = F(max)(F(load)(x + i), a);
        b = F(max)(F(load)(x + i + LANES), b);
    }
    if (i + LANES <= n) { a = F(max)(F(load)(x + i), a); i += LANES; }
    if (i < n) b = F(max)(F(load_part)(x + i, n - i, low), b);
    a = F(max)(a, b);
#if VECTOR_BYTES == 64 && defined(__AVX512F__)
    return sizeof(T) == 4 ? (T)_mm512_reduce_max_ps((__m512)a) : (T)_mm512_reduce_max_pd((__m512d)a);
#elif VECTOR_BYTES == 32 && defined(__AVX2__)
    a = F(max)(a, (F(vec))_mm256_permute2f128_ps((__m256)a, (__m256)a, 1));
    a = F(max)(a, (F(vec))_mm256_permute_pd((__m256d)a, 5));
    return sizeof(T) == 4 && a[1] > a[0] ? a[1] : a[0];
#else
    T most = a[0];
    for (int64_t j = 1; j < LANES; j++) most = a[j] > most ? a[j] : most;
    return most;
#endif
}
INLINE F(vec) F(to_power)(F(vec) v, int p) { return p == 1 ? v : p == 2 ? v * v : v * v * v; }
INLINE T F(power_total)(const T *x, int64_t n, int p)
{
    F(vec) a = {0}, b = {0};
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        a += F(to_power)(F(load)(x + i), p);
        b += F(to_power)(F(load)(x + i + LANES), p);
    }
    if (i + LANES <= n) { a += F(to_power)(F(load)(x + i), p); i += LANES; }
    if (i < n) b += F(to_power)(F(load_part)(x + i, n - i, (F(vec)){0}), p);
    return F(total)(a + b);
}
