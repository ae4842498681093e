/* Extremes, and where they are, for one floating type T. */
#include "rowvec.h"
enum { F(ROWS) = 16 };

INLINE F(ints) F(unordered)(F(vec) u, F(vec) v)
{
#if VECTOR_BYTES == 64 && defined(__AVX512F__)
    if (sizeof(T) == 4) return (F(ints))_mm512_movm_epi32(_mm512_cmp_ps_mask((__m512)u, (__m512)v, _CMP_UNORD_Q));
    return (F(ints))_mm512_movm_epi64(_mm512_cmp_pd_mask((__m512d)u, (__m512d)v, _CMP_UNORD_Q));
#elif VECTOR_BYTES == 32 && defined(__AVX2__)
    if (sizeof(T) == 4) return (F(ints))_mm256_cmp_ps((__m256)u, (__m256)v, _CMP_UNORD_Q);
    return (F(ints))_mm256_cmp_pd((__m256d)u, (__m256d)v, _CMP_UNORD_Q);
#else
    return (F(ints))(u != u) | (F(ints))(v != v);
#endif
}

INLINE T F(extreme)(F(vec) v, int largest)
{
    T most = v[0];
    for (int64_t i = 1; i < LANES; i++) most = (largest ? v[i] > most : v[i] < most) ? v[i] : most;
    return most;
}
#if VECTOR_BYTES == 64 && defined(__AVX512F__)
#define ACROSS_(v, largest) (sizeof(T) == 4 \
    ? (T)(largest ? _mm512_reduce_max_ps((__m512)v) : _mm512_reduce_min_ps((__m512)v)) \
    : (T)(largest ? _mm512_reduce_max_pd((__m512d)v) : _mm512_reduce_min_pd((__m512d)v)))
#else
#define ACROSS_(v, largest) F(extreme)(v, largest)
#endif
INLINE double F(better)(double a, double v, int largest)
{
    return (largest ? v > a : v < a) || v != v ? v : a;
}

/* To each of `count` accumulators its row of n elements; rows are `stride` apart. */
INLINE void F(rows_extreme)(const T *x, int64_t stride, int64_t count, int64_t n, double *acc, int largest)
{
    const F(vec) start = F(splat)(largest ? -(T)INFINITY : (T)INFINITY);
#define PICK_(u, a) (largest ? F(max)(u, a) : F(min)(u, a))
    for (int64_t r = 0; r < count; r++, x += stride) {
        F(vec) a = start, b = start;
        F(ints) nan = {0};
        int64_t i = 0;
        for (; i + 4 * LANES <= n; i += 4 * LANES) {
            F(vec) u = F(load)(x + i), v = F(load)(x + i + LANES);
            F(vec) p = F(load)(x + i + 2 * LANES), q = F(load)(x + i + 3 * LANES);
            nan |= F(unordered)(u, v) | F(unordered)(p, q);
            a = PICK_(PICK_(u, p), a);
            b = PICK_(PICK_(v, q), b);
        }
        for (; i + LANES <= n; i += LANES) {
            F(vec) u = F(load)(x + i);
            nan |= F(unordered)(u, u);
            a = PICK_(u, a);
        }
        if (i < n) {
            F(vec) u = F(load_part)(x + i, n - i, start);
            nan |= F(unordered)(u, u);
            b = PICK_(u, b);
        }
        a = PICK_(a, b);
        acc[r] = F(better)(acc[r], F(any)(nan) ? (double)NAN : (double)ACROSS_(a, largest), largest);
    }
}
static void F(rows_max)(const T *x, int64_t stride, int64_t count, int64_t n, double *acc)
{
    F(rows_extreme)(x, stride, count, n, acc, 1);
}
static void F(rows_min)(const T *x, int64_t stride, int64_t count, int64_t n, double *acc)
{
    F(rows_extreme)(x, stride, count, n, acc, 0);
}

/* `rows` rows of n values, `stride` apart, into acc[0..n). */
INLINE void F(cols_extreme)(const T *x, int64_t stride, int64_t rows, int64_t n, double *acc, int largest)
{
    const F(vec) start = F(splat)(largest ? -(T)INFINITY : (T)INFINITY);
    for (int64_t r = 0; r < rows; r += F(ROWS), x += F(ROWS) * stride) {
        const int64_t m = rows - r < F(ROWS) ? rows - r : F(ROWS);
        for (int64_t j = 0; j < n; j += LANES) {
            const int64_t w = n - j < LANES ? n - j : LANES;
            const T *p = x + j;
            F(vec) a = start;
            F(ints) nan = {0};
            for (int64_t i = 0; i < m; i++, p += stride) {
                F(vec) u = w == LANES ? F(load)(p) : F(load_part)(p, w, start);
                nan |= F(unordered)(u, u);
                a = PICK_(u, a);
            }
            a = F(pick)(nan, F(splat)((T)NAN), a);
            T t[VECTOR_BYTES / sizeof(T)];
            memcpy(t, &a, sizeof a);
            if (w == LANES)
                for (int64_t i = 0; i < LANES; i++) acc[j + i] = F(better)(acc[j + i], (double)t[i], largest);
            else for (int64_t i = 0; i < w; i++) acc[j + i] = F(better)(acc[j + i], (double)t[i], largest);
        }
    }
}
static void F(cols_max)(const T *x, int64_t stride, int64_t rows, int64_t n, double *acc)
{
    F(cols_extreme)(x, stride, rows, n, acc, 1);
}
static void F(cols_min)(const T *x, int64_t stride, int64_t rows, int64_t n, double *acc)
{
    F(cols_extreme)(x, stride, rows, n, acc, 0);
}
#undef PICK_
#undef ACROSS_

/* Where n columns of `rows` rows have their first extreme; the first NaN is taken for one. */
INLINE void F(places)(const T *x, int64_t stride, int64_t rows, int64_t n, int64_t *at, int largest)
{
    for (int64_t j = 0; j < n; j += 2 * LANES) {
        const int64_t w = n - j < LANES ? n - j : LANES, w2 = n - j - LANES < LANES ? n - j - w : LANES;
        const T *p = x + j;
        const F(vec) none = {0};
#define GET_(k, w) ((w) == LANES ? F(load)(p + (k) * LANES) : (w) ? F(load_part)(p + (k) * LANES, w, none) : none)
#define BETTER_(v, best) (((F(ints))(largest ? (v) > (best) : (v) < (best)) | (F(ints))((v) != (v))) \
                          & (F(ints))((best) == (best)))
        F(vec) a = GET_(0, w), b = GET_(1, w2);
        F(ints) i = {0}, k = {0}, row = {0};
        for (int64_t r = 1; r < rows; r++) {
            p += stride;
            row += 1;
            F(vec) u = GET_(0, w), v = GET_(1, w2);
            F(ints) m = BETTER_(u, a), q = BETTER_(v, b);
            a = F(pick)(m, u, a);
            b = F(pick)(q, v, b);
            i = (row & m) | (i & ~m);
            k = (row & q) | (k & ~q);
        }
        for (int64_t l = 0; l < w; l++) at[j + l] = i[l];
        for (int64_t l = 0; l < w2; l++) at[j + LANES + l] = k[l];
    }
#undef GET_
#undef BETTER_
}
static void F(places_max)(const T *x, int64_t stride, int64_t rows, int64_t n, int64_t *at)
{
    F(places)(x, stride, rows, n, at, 1);
}
static void F(places_min)(const T *x, int64_t stride, int64_t rows, int64_t n, int64_t *at)
{
    F(places)(x, stride, rows, n, at, 0);
}
