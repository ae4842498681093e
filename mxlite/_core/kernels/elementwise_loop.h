/* The shapes of element-wise loops; elementwise.h picks one a function.
 *
 * LOOP_VECTOR takes two vectors a step, and what is left through masked loads and stores, so that a handful of elements
 * costs one vector and not a call an element. Every element meets the same operations wherever it lies. LOOP_FAR does
 * so too, but hands arguments that are `far` to libm, see elementwise_wide.h. LOOP_PLAIN leaves it to the compiler.
 *
 *     LOOP_x(type, function, two arrays?, set-up, operands, value)
 *
 * In set-up s_ holds the scalars; operands are declared from p_[k] and q_[k].
 */
#include <string.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

/* No iteration reads what another writes, even where output and input are one array. */
#if defined(__clang__)
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#define ONE_VECTOR INDEPENDENT
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#define ONE_VECTOR _Pragma("GCC ivdep") _Pragma("GCC unroll 1")     /* else it is unrolled before it is a vector */
#endif
#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX2__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif
#define LANES(T) ((int64_t)(VECTOR_BYTES / sizeof(T)))
#define WHOLE(T, name) T name[VECTOR_BYTES / sizeof(T)] __attribute__((aligned(VECTOR_BYTES)))
#define PART static inline __attribute__((always_inline)) void

/* Between no and all lanes of a vector: the lanes that are not read are 0. */
#if defined(__AVX512F__)
PART load_part_float(float *to, const float *p, int64_t n)
{
    _mm512_store_ps(to, _mm512_maskz_loadu_ps((__mmask16)(0xffffu >> (16 - n)), p));
}
PART load_part_double(double *to, const double *p, int64_t n)
{
    _mm512_store_pd(to, _mm512_maskz_loadu_pd((__mmask8)(0xffu >> (8 - n)), p));
}
PART store_part_float(float *p, const float *from, int64_t n)
{
    _mm512_mask_storeu_ps(p, (__mmask16)(0xffffu >> (16 - n)), _mm512_load_ps(from));
}
PART store_part_double(double *p, const double *from, int64_t n)
{
    _mm512_mask_storeu_pd(p, (__mmask8)(0xffu >> (8 - n)), _mm512_load_pd(from));
}
#else
#if defined(__AVX2__)
static const int32_t part_mask[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
PART load_part_float(float *to, const float *p, int64_t n)
{
    _mm256_store_ps(to, _mm256_maskload_ps(p, _mm256_loadu_si256((const __m256i *)(part_mask + 8 - n))));
}
PART load_part_double(double *to, const double *p, int64_t n)
{
    _mm256_store_pd(to, _mm256_maskload_pd(p, _mm256_loadu_si256((const __m256i *)(part_mask + 8 - 2 * n))));
}
#else
PART load_part_float(float *to, const float *p, int64_t n) { for (int k = 0; k < 4; k++) to[k] = k < n ? p[k] : 0; }
PART load_part_double(double *to, const double *p, int64_t n) { for (int k = 0; k < 2; k++) to[k] = k < n ? p[k] : 0; }
#endif
/* Masked stores are slow where they are microcode; pieces are not. */
PART store_part_float(float *p, const float *from, int64_t n)
{
    if (n >= LANES(float)) { memcpy(p, from, VECTOR_BYTES); return; }
    if (n & 4) { memcpy(p, from, 16); p += 4; from += 4; }
    if (n & 2) { memcpy(p, from, 8); p += 2; from += 2; }
    if (n & 1) *p = *from;
}
PART store_part_double(double *p, const double *from, int64_t n)
{
    if (n >= LANES(double)) { memcpy(p, from, VECTOR_BYTES); return; }
    if (n & 2) { memcpy(p, from, 16); p += 2; from += 2; }
    if (n & 1) *p = *from;
}
#endif

#define LOOP_HEAD(T, function) \
static void function(int64_t n, const T *a_, const T *b_, T *y_, const T *s_)

#define LOOP_VECTOR(T, function, two, SETUP, OPERANDS, VALUE_) LOOP_HEAD(T, function) \
{ \
    enum { STEP = 2 * (int)LANES(T) }; \
    int64_t i_ = 0; \
    (void)b_; (void)s_; \
    SETUP \
    for (; i_ + STEP <= n; i_ += STEP) { \
        const T *p_ = a_ + i_, *q_ = two ? b_ + i_ : p_; \
        T *r_ = y_ + i_; \
        (void)q_; \
        INDEPENDENT \
        for (int k = 0; k < STEP; k++) { OPERANDS r_[k] = (T)(VALUE_); } \
    } \
    for (; i_ < n; i_ += LANES(T)) { \
        int64_t m_ = n - i_ < LANES(T) ? n - i_ : LANES(T); \
        WHOLE(T, p_); \
        WHOLE(T, q_); \
        WHOLE(T, r_); \
        load_part_##T(p_, a_ + i_, m_); \
        if (two) load_part_##T(q_, b_ + i_, m_); \
        (void)q_; \
        ONE_VECTOR \
        for (int k = 0; k < LANES(T); k++) { OPERANDS r_[k] = (T)(VALUE_); } \
        store_part_##T(y_ + i_, r_, m_); \
    } \
}

#define LOOP_FAR(T, function, two, SETUP, OPERANDS, VALUE_) LOOP_HEAD(T, function) \
{ \
    enum { STEP = 2 * (int)LANES(T) }; \
    (void)b_; (void)s_; \
    SETUP \
    for (int64_t i_ = 0; i_ < n; i_ += STEP) { \
        int64_t m_ = n - i_ < STEP ? n - i_ : STEP, rest_ = m_ - LANES(T); \
        int any = 0; \
        T p_[STEP] __attribute__((aligned(VECTOR_BYTES))), q_[STEP] __attribute__((aligned(VECTOR_BYTES))); \
        T r_[STEP] __attribute__((aligned(VECTOR_BYTES))); \
        load_part_##T(p_, a_ + i_, rest_ > 0 ? LANES(T) : m_); \
        load_part_##T(p_ + LANES(T), a_ + i_ + LANES(T), rest_ > 0 ? rest_ : 0); \
        if (two) load_part_##T(q_, b_ + i_, rest_ > 0 ? LANES(T) : m_); \
        if (two) load_part_##T(q_ + LANES(T), b_ + i_ + LANES(T), rest_ > 0 ? rest_ : 0); \
        (void)q_; \
        INDEPENDENT \
        for (int k = 0; k < STEP; k++) { enum { far = 0 }; OPERANDS r_[k] = (T)(VALUE_); } \
        INDEPENDENT \
        for (int k = 0; k < STEP; k++) { OPERANDS any |= !(abs_f(x) < WIDE_FAR); } \
        if (any) for (int k = 0; k < STEP; k++) { \
            enum { far = 1 }; \
            OPERANDS \
            if (!(abs_f(x) < WIDE_FAR)) r_[k] = (T)(VALUE_); \
        } \
        store_part_##T(y_ + i_, r_, rest_ > 0 ? LANES(T) : m_); \
        store_part_##T(y_ + i_ + LANES(T), r_ + LANES(T), rest_ > 0 ? rest_ : 0); \
    } \
}

#define LOOP_PLAIN(T, function, two, SETUP, OPERANDS, VALUE_) LOOP_HEAD(T, function) \
{ \
    const T *p_ = a_, *q_ = b_; \
    (void)q_; (void)s_; \
    SETUP \
    INDEPENDENT \
    for (int64_t k = 0; k < n; k++) { OPERANDS y_[k] = (T)(VALUE_); } \
}

/* Copies past the cache, for arrays that are larger than it: a store that misses reads no line first. After the last
 * one comes a fence. */
static void stream_copy(void *to_, const void *from_, int64_t bytes)
{
    char *to = (char *)to_;
    const char *from = (const char *)from_;
#if defined(__SSE2__)
    int64_t head = -(intptr_t)to & (VECTOR_BYTES - 1);
    if (head > bytes) head = bytes;
    memcpy(to, from, head);
    to += head, from += head, bytes -= head;
    for (; bytes >= VECTOR_BYTES; bytes -= VECTOR_BYTES, to += VECTOR_BYTES, from += VECTOR_BYTES) {
#if defined(__AVX512F__)
        _mm512_stream_si512((__m512i *)to, _mm512_loadu_si512(from));
#elif defined(__AVX2__)
        _mm256_stream_si256((__m256i *)to, _mm256_loadu_si256((const __m256i *)from));
#else
        _mm_stream_si128((__m128i *)to, _mm_loadu_si128((const __m128i *)from));
#endif
    }
#endif
    memcpy(to, from, bytes);
}
