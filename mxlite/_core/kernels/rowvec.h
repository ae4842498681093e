/* For inner loops written once for float and double: define T (the type), I (the integer of its size) and F(name), then
 * include. VECTOR_BYTES is the level's vector width. Sums run in several lanes, which compilers may
 * not do on their own.
 */
#ifndef MXL_ROWVEC_H
#define MXL_ROWVEC_H
#include <stdint.h>
#include <string.h>
#include "mxl.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__clang__)
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif
#define INLINE static inline __attribute__((always_inline))
#define LANES ((int64_t)(VECTOR_BYTES / sizeof(T)))
#define QUAD ((int64_t)(16 / sizeof(T)))
/* Results at least this long go past the caches: they and what they are made from do not stay there anyway. */
#define STREAM_BYTES ((int64_t)16 << 20)

/* Stores that went past the caches become visible to whoever synchronizes with this thread. */
INLINE void stream_done(void)
{
#if defined(__x86_64__)
    _mm_sfence();
#endif
}
#if defined(__AVX2__) && VECTOR_BYTES == 32
/* Lanes below n of eight: from MASKS8 + 8 - n. */
static const int32_t MASKS8[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
static const int64_t MASKS4[8] = {-1, -1, -1, -1, 0, 0, 0, 0};
#endif
#endif

#ifdef T
typedef T F(vec) __attribute__((vector_size(VECTOR_BYTES)));
typedef I F(ints) __attribute__((vector_size(VECTOR_BYTES)));
typedef T F(oct) __attribute__((vector_size(32)));
typedef T F(quad) __attribute__((vector_size(16)));     /* for what is left after whole vectors */

INLINE F(vec) F(load)(const T *p) { F(vec) v; memcpy(&v, p, sizeof v); return v; }
INLINE F(quad) F(load4)(const T *p) { F(quad) v; memcpy(&v, p, sizeof v); return v; }
INLINE void F(store)(T *p, F(vec) v) { memcpy(p, &v, sizeof v); }
INLINE F(vec) F(splat)(T x) { return x - (F(vec)){0}; }     /* x + 0 would lose the sign of -0 */

/* The first n < LANES elements at p; `fill` in the other lanes. */
INLINE F(vec) F(load_part)(const T *p, int64_t n, F(vec) fill)
{
#if VECTOR_BYTES == 64 && defined(__AVX512F__)
    if (sizeof(T) == 4) return (F(vec))_mm512_mask_loadu_ps((__m512)fill, (__mmask16)((1u << n) - 1), p);
    return (F(vec))_mm512_mask_loadu_pd((__m512d)fill, (__mmask8)((1u << n) - 1), p);
#elif VECTOR_BYTES == 32 && defined(__AVX2__)
    if (sizeof(T) == 4) {
        __m256i m = _mm256_loadu_si256((const __m256i *)(MASKS8 + 8 - n));
        return (F(vec))_mm256_blendv_ps((__m256)fill, _mm256_maskload_ps((const float *)p, m), (__m256)m);
    }
    __m256i m = _mm256_loadu_si256((const __m256i *)(MASKS4 + 4 - n));
    return (F(vec))_mm256_blendv_pd((__m256d)fill, _mm256_maskload_pd((const double *)p, m), (__m256d)m);
#else
    for (int64_t i = 0; i < n; i++) fill[i] = p[i];
    return fill;
#endif
}
INLINE void F(store_part)(T *p, int64_t n, F(vec) v)
{
#if VECTOR_BYTES == 64 && defined(__AVX512F__)
    if (sizeof(T) == 4) _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
    else _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)v);
#elif VECTOR_BYTES == 32 && defined(__AVX2__)
    if (sizeof(T) == 4)
        _mm256_maskstore_ps((float *)p, _mm256_loadu_si256((const __m256i *)(MASKS8 + 8 - n)), (__m256)v);
    else _mm256_maskstore_pd((double *)p, _mm256_loadu_si256((const __m256i *)(MASKS4 + 4 - n)), (__m256d)v);
#else
    for (int64_t i = 0; i < n; i++) p[i] = v[i];
#endif
}
/* Past the caches; p on a vector boundary. */
INLINE void F(stream)(T *p, F(vec) v)
{
#if VECTOR_BYTES == 64 && defined(__AVX512F__)
    _mm512_stream_si512((void *)p, (__m512i)v);
#elif VECTOR_BYTES == 32 && defined(__AVX2__)
    _mm256_stream_si256((void *)p, (__m256i)v);
#elif VECTOR_BYTES == 16 && defined(__x86_64__)
    _mm_stream_si128((void *)p, (__m128i)v);
#else
    F(store)(p, v);
#endif
}
/* A vector's elements: all of them, or the first n of them (zero in the other lanes). `how` is a constant. */
enum { F(WHOLE), F(STREAM), F(PART) };
INLINE F(vec) F(get)(const T *p, int64_t n, int how)
{
    return how == F(PART) ? F(load_part)(p, n, (F(vec)){0}) : F(load)(p);
}
INLINE void F(set)(T *p, F(vec) v, int64_t n, int how)
{
    if (how == F(STREAM)) F(stream)(p, v);
    else if (how == F(PART)) F(store_part)(p, n, v);
    else F(store)(p, v);
}
/* Runs STEP(n, how) for i from 0 to n. Where `past`, the vectors that start on a boundary at y go past the caches. */
#define ALONG(y, n, past, STEP) { \
    int64_t i = 0, head_ = (past) ? (int64_t)(-(uintptr_t)(y) % VECTOR_BYTES / sizeof(T)) : 0; \
    if (head_ > (n)) head_ = (n); \
    if (head_) { STEP(head_, F(PART)) i = head_; } \
    if (past) for (; i + LANES <= (n); i += LANES) { STEP(LANES, F(STREAM)) } \
    for (; i + LANES <= (n); i += LANES) { STEP(LANES, F(WHOLE)) } \
    if (i < (n)) { STEP((n) - i, F(PART)) } \
}
/* Do stores to the first output go past the caches? Not where the lines are there already, from one of the inputs. */
INLINE int F(streams)(const mxl_call *call, int inputs)
{
    const mxl_tensor *y = call->out;
    int fresh = y->data && y->size * (int64_t)sizeof(T) >= STREAM_BYTES && (uintptr_t)y->data % sizeof(T) == 0;
    for (int i = 0; i < inputs; i++) fresh &= call->in[i].data != y->data;
    return fresh;
}

/* a > b ? a : b and a < b ? a : b in every lane: b where either is NaN. */
#if VECTOR_BYTES == 64 && defined(__AVX512F__)
#define EITHER_(op, a, b) (sizeof(T) == 4 ? (F(vec))_mm512_##op##_ps((__m512)(a), (__m512)(b)) \
                                          : (F(vec))_mm512_##op##_pd((__m512d)(a), (__m512d)(b)))
#elif VECTOR_BYTES == 32 && defined(__AVX2__)
#define EITHER_(op, a, b) (sizeof(T) == 4 ? (F(vec))_mm256_##op##_ps((__m256)(a), (__m256)(b)) \
                                          : (F(vec))_mm256_##op##_pd((__m256d)(a), (__m256d)(b)))
#elif VECTOR_BYTES == 16 && defined(__x86_64__)
#define EITHER_(op, a, b) (sizeof(T) == 4 ? (F(vec))_mm_##op##_ps((__m128)(a), (__m128)(b)) \
                                          : (F(vec))_mm_##op##_pd((__m128d)(a), (__m128d)(b)))
#endif
/* mask ? a : b, where mask is what a comparison gave. */
INLINE F(vec) F(pick)(F(ints) mask, F(vec) a, F(vec) b)
{
    return (F(vec))(((F(ints))a & mask) | ((F(ints))b & ~mask));
}
#ifdef EITHER_
INLINE F(vec) F(max)(F(vec) a, F(vec) b) { return EITHER_(max, a, b); }
INLINE F(vec) F(min)(F(vec) a, F(vec) b) { return EITHER_(min, a, b); }
#else
INLINE F(vec) F(max)(F(vec) a, F(vec) b) { return F(pick)((F(ints))(a > b), a, b); }
INLINE F(vec) F(min)(F(vec) a, F(vec) b) { return F(pick)((F(ints))(a < b), a, b); }
#endif
#undef EITHER_

/* Is any bit set? */
INLINE int F(any)(F(ints) v)
{
#if VECTOR_BYTES == 64 && defined(__AVX512F__)
    return _mm512_test_epi64_mask((__m512i)v, (__m512i)v) != 0;
#elif VECTOR_BYTES == 32 && defined(__AVX2__)
    return !_mm256_testz_si256((__m256i)v, (__m256i)v);
#else
    int64_t t[VECTOR_BYTES / 8], any = 0;
    memcpy(t, &v, sizeof v);
    for (int i = 0; i < VECTOR_BYTES / 8; i++) any |= t[i];
    return any != 0;
#endif
}

/* Sum of the lanes, by halves. */
INLINE T F(total)(F(vec) v)
{
#if VECTOR_BYTES == 64 && defined(__AVX512F__)
    F(oct) h = (F(oct))_mm512_castpd512_pd256((__m512d)v) + (F(oct))_mm512_extractf64x4_pd((__m512d)v, 1);
    F(quad) q = (F(quad))_mm256_castpd256_pd128((__m256d)h) + (F(quad))_mm256_extractf128_pd((__m256d)h, 1);
#elif VECTOR_BYTES == 32 && defined(__AVX2__)
    F(quad) q = (F(quad))_mm256_castpd256_pd128((__m256d)v) + (F(quad))_mm256_extractf128_pd((__m256d)v, 1);
#else
    F(quad) q = {0};
    for (int64_t i = 0; i < LANES; i++) q[i % QUAD] += v[i];
#endif
    return QUAD == 2 ? q[0] + q[1] : (q[0] + q[QUAD / 2]) + (q[1] + q[QUAD - 1]);
}
INLINE T F(lanes)(F(vec) v, F(quad) q)
{
    T s = 0;
    for (int64_t i = 0; i < QUAD; i++) s += q[i];
    return s + F(total)(v);
}

/* Returns the sum over i < n of TERM(load, i); TERM is given the function that loads. */
#define ELEMENT_(p) (*(p))
#define REDUCE(TERM) \
    F(vec) a = {0}, b = {0}; \
    F(quad) q = {0}; \
    T s = 0; \
    int64_t i = 0; \
    for (; i + 2 * LANES <= n; i += 2 * LANES) { a += TERM(F(load), i); b += TERM(F(load), i + LANES); } \
    if (i + LANES <= n) { a += TERM(F(load), i); i += LANES; } \
    for (; i + QUAD <= n; i += QUAD) q += TERM(F(load4), i); \
    for (; i < n; i++) s += TERM(ELEMENT_, i); \
    return s + F(lanes)(a + b, q);

INLINE T F(sum)(const T *x, int64_t n)
{
#define TERM_(load, i) load(x + (i))
    REDUCE(TERM_)
#undef TERM_
}

/* Sum of x * y. */
INLINE T F(dot)(const T *x, const T *y, int64_t n)
{
#define TERM_(load, i) (load(x + (i)) * load(y + (i)))
    REDUCE(TERM_)
#undef TERM_
}

/* Sum of (x - shift)^2 and, in *plain, of x - shift. */
INLINE T F(squares)(const T *x, T shift, int64_t n, T *plain)
{
    F(vec) a = {0}, b = {0}, c = {0}, d = {0};
    F(quad) e = {0}, f = {0};
    T s = 0, t = 0;
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        F(vec) u = F(load)(x + i) - shift, v = F(load)(x + i + LANES) - shift;
        c += u;
        d += v;
        a += u * u;
        b += v * v;
    }
    if (i + LANES <= n) {
        F(vec) u = F(load)(x + i) - shift;
        c += u;
        a += u * u;
        i += LANES;
    }
    for (; i + QUAD <= n; i += QUAD) {
        F(quad) u = F(load4)(x + i) - shift;
        f += u;
        e += u * u;
    }
    for (; i < n; i++) { T u = x[i] - shift; t += u; s += u * u; }
    *plain = t + F(lanes)(c + d, f);
    return s + F(lanes)(a + b, e);
}

/* Sum of y * (x - shift) and, in *plain, of y. */
INLINE T F(dot_shifted)(const T *x, const T *y, T shift, int64_t n, T *plain)
{
    F(vec) a = {0}, b = {0}, c = {0}, d = {0};
    F(quad) e = {0}, f = {0};
    T s = 0, t = 0;
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        F(vec) u = F(load)(y + i), v = F(load)(y + i + LANES);
        c += u;
        d += v;
        a += u * (F(load)(x + i) - shift);
        b += v * (F(load)(x + i + LANES) - shift);
    }
    if (i + LANES <= n) {
        c += F(load)(y + i);
        a += F(load)(y + i) * (F(load)(x + i) - shift);
        i += LANES;
    }
    for (; i + QUAD <= n; i += QUAD) {
        f += F(load4)(y + i);
        e += F(load4)(y + i) * (F(load4)(x + i) - shift);
    }
    for (; i < n; i++) { s += y[i] * (x[i] - shift); t += y[i]; }
    *plain = t + F(lanes)(c + d, f);
    return s + F(lanes)(a + b, e);
}

/* Largest x * scale of n > 0 elements. */
INLINE T F(largest)(const T *x, T scale, int64_t n)
{
    T m = x[0] * scale;
    int64_t i = 0;
    if (n >= LANES) {
        F(vec) a = F(load)(x) * scale, b = a;
        for (i = LANES; i + 2 * LANES <= n; i += 2 * LANES) {
            a = F(max)(F(load)(x + i) * scale, a);
            b = F(max)(F(load)(x + i + LANES) * scale, b);
        }
        if (i + LANES <= n) { a = F(max)(F(load)(x + i) * scale, a); i += LANES; }
        a = F(max)(a, b);
        for (int64_t j = 0; j < LANES; j++) m = a[j] > m ? a[j] : m;
    }
    for (; i < n; i++) m = x[i] * scale > m ? x[i] * scale : m;
    return m;
}
#endif
