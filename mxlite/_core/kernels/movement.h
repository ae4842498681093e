/* Inner loops of the movement kernels, compiled once a level; they see elements of 1, 2, 4 or 8 bytes, never a dtype.
 * The including file defines MV_LEVEL (the suffix) and MV_BYTES (of a vector register). */
#include <stdint.h>
#include <string.h>
#include "movement_table.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define CAT_(a, b) a##b
#define CAT(a, b) CAT_(a, b)

/* ---- transposing w x w tiles in registers: in log2(w) rounds, rows r and r + s exchange their off-diagonal blocks */
#if defined(__clang__) || __GNUC__ >= 12
#define PERMUTE(a, b, v, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PERMUTE(a, b, v, ...) __builtin_shuffle(a, b, (v){__VA_ARGS__})
#endif
#define LO(i, s, n) ((i) & (s) ? (n) + (i) - (s) : (i))
#define HI(i, s, n) ((i) & (s) ? (n) + (i) : (i) + (s))
#define LANES2(F, s) F(0, s, 2), F(1, s, 2)
#define LANES4(F, s) F(0, s, 4), F(1, s, 4), F(2, s, 4), F(3, s, 4)
#define LANES8(F, s) F(0, s, 8), F(1, s, 8), F(2, s, 8), F(3, s, 8), F(4, s, 8), F(5, s, 8), F(6, s, 8), F(7, s, 8)
#define LANES16(F, s) F(0, s, 16), F(1, s, 16), F(2, s, 16), F(3, s, 16), F(4, s, 16), F(5, s, 16), F(6, s, 16), \
    F(7, s, 16), F(8, s, 16), F(9, s, 16), F(10, s, 16), F(11, s, 16), F(12, s, 16), F(13, s, 16), F(14, s, 16), \
    F(15, s, 16)
#define ROUND(s, w, v) _Pragma("GCC unroll 16") for (int r = 0; r < w; r++) if (!(r & s)) { \
        v a = x[r], b = x[r + s]; \
        x[r] = PERMUTE(a, b, v, LANES##w(LO, s)); x[r + s] = PERMUTE(a, b, v, LANES##w(HI, s)); }
#define ROUNDS2(v) ROUND(1, 2, v)
#define ROUNDS4(v) ROUND(2, 4, v) ROUND(1, 4, v)
#define ROUNDS8(v) ROUND(4, 8, v) ROUND(2, 8, v) ROUND(1, 8, v)
#define ROUNDS16(v) ROUND(8, 16, v) ROUND(4, 16, v) ROUND(2, 16, v) ROUND(1, 16, v)

/* `rows` x `cols` of s, s_row elements apart, to `cols` x `rows` of d, d_row apart. Column blocks come first, so d is
 * written in order; each block of rows reads whole cache lines. */
#define TRANSPOSE(t, w) \
typedef t v_##t __attribute__((vector_size(w * sizeof(t)))); \
static inline void tile_##t(const t *s, t *d, int64_t s_row, int64_t d_row) \
{ \
    v_##t x[w]; \
    _Pragma("GCC unroll 16") for (int r = 0; r < w; r++) memcpy(&x[r], s + r * s_row, sizeof x[r]); \
    ROUNDS##w(v_##t) \
    _Pragma("GCC unroll 16") for (int r = 0; r < w; r++) memcpy(d + r * d_row, &x[r], sizeof x[r]); \
} \
static void transpose_##t(const void *from, void *to, int64_t rows, int64_t cols, int64_t s_row, int64_t d_row) \
{ \
    const t *s = from; \
    t *d = to; \
    if (rows == 2) { \
        for (int64_t j = 0; j < cols; j++) { d[j * d_row] = s[j]; d[j * d_row + 1] = s[j + s_row]; } \
        return; \
    } \
    if (rows == 3) { \
        for (int64_t j = 0; j < cols; j++) { \
            d[j * d_row] = s[j]; d[j * d_row + 1] = s[j + s_row]; d[j * d_row + 2] = s[j + 2 * s_row]; } \
        return; } \
    if (cols == 2 || cols == 3) { \
        for (int64_t i = 0; i < rows; i++) for (int64_t j = 0; j < cols; j++) d[j * d_row + i] = s[i * s_row + j]; \
        return; } \
    int64_t whole_rows = rows - rows % w, whole_cols = cols - cols % w; \
    for (int64_t j0 = 0; j0 < whole_cols; j0 += MV_BLOCK / sizeof(t)) { \
        int64_t j1 = j0 + MV_BLOCK / (int64_t)sizeof(t); \
        if (j1 > whole_cols) j1 = whole_cols; \
        for (int64_t i = 0; i < whole_rows; i += w) \
            for (int64_t j = j0; j < j1; j += w) tile_##t(s + i * s_row + j, d + j * d_row + i, s_row, d_row); \
        for (int64_t j = j0; j < j1; j++) \
            for (int64_t i = whole_rows; i < rows; i++) d[j * d_row + i] = s[i * s_row + j]; \
    } \
    for (int64_t j = whole_cols; j < cols; j++) \
        for (int64_t i = 0; i < rows; i++) d[j * d_row + i] = s[i * s_row + j]; \
}
/* Bytes of a row that one pass over the rows covers (measured: 64 is half as fast, 4096 no faster). */
#define MV_BLOCK 1024

#if MV_BYTES == 64
TRANSPOSE(uint64_t, 8)
TRANSPOSE(uint32_t, 16)
TRANSPOSE(uint16_t, 16)
#elif MV_BYTES == 32
TRANSPOSE(uint64_t, 4)
TRANSPOSE(uint32_t, 8)
TRANSPOSE(uint16_t, 16)
#else
TRANSPOSE(uint64_t, 2)
TRANSPOSE(uint32_t, 4)
TRANSPOSE(uint16_t, 8)
#endif
TRANSPOSE(uint8_t, 16)

/* ---- two axes of any strides, in elements */
#define ROWS(n) case n: for (int64_t i = 0; i < n0; i++) { \
        const t_ *s = from + i * s0; t_ *d = to + i * d0; \
        _Pragma("GCC unroll 8") for (int j = 0; j < n; j++) d[j * d1] = s[j * s1]; } return;
#define STRIDED(t) \
static void strided_##t(const void *s_, void *d_, int64_t n0, int64_t n1, int64_t s0, int64_t s1, int64_t d0, \
                        int64_t d1) \
{ \
    typedef t t_; \
    const t_ *from = s_; \
    t_ *to = d_; \
    switch (n1) { ROWS(1) ROWS(2) ROWS(3) ROWS(4) ROWS(8) } \
    for (int64_t i = 0; i < n0; i++) { \
        const t_ *s = from + i * s0; \
        t_ *d = to + i * d0; \
        if (d1 != 1) for (int64_t j = 0; j < n1; j++) d[j * d1] = s[j * s1]; \
        else if (s1 == 0) { t_ v = s[0]; for (int64_t j = 0; j < n1; j++) d[j] = v; } \
        else if (s1 == -1) { const t_ *e = s - n1 + 1; for (int64_t j = 0; j < n1; j++) d[j] = e[n1 - 1 - j]; } \
        else if (s1 == 2) for (int64_t j = 0; j < n1; j++) d[j] = s[2 * j]; \
        else if (s1 != 1) for (int64_t j = 0; j < n1; j++) d[j] = s[j * s1]; \
        else if (n1 * sizeof(t) < 64) for (int64_t j = 0; j < n1; j++) d[j] = s[j]; \
        else memcpy(d, s, n1 * sizeof(t)); \
    } \
}
STRIDED(uint8_t) STRIDED(uint16_t) STRIDED(uint32_t) STRIDED(uint64_t)

/* ---- n rows of `bytes` bytes, s_row and d_row bytes apart; `stream`: results go past the caches */
typedef char v_bytes __attribute__((vector_size(MV_BYTES)));
static inline void copy_row(const char *s, char *d, int64_t bytes, int stream, const char *next)
{
    int64_t i = 0;
    v_bytes a, b, c, e;
    if (stream) {
        i = (int64_t)(-(uintptr_t)d % MV_BYTES);
        memcpy(d, s, (size_t)i);
    }
    for (; i + 4 * MV_BYTES <= bytes; i += 4 * MV_BYTES) {
        if (next) for (int k = 0; k < 4 * MV_BYTES; k += 64) __builtin_prefetch(next + i + k);
        memcpy(&a, s + i, MV_BYTES);
        memcpy(&b, s + i + MV_BYTES, MV_BYTES);
        memcpy(&c, s + i + 2 * MV_BYTES, MV_BYTES);
        memcpy(&e, s + i + 3 * MV_BYTES, MV_BYTES);
#if defined(__x86_64__)
        if (stream) {
#if MV_BYTES == 64
#define MV_STREAM(p, v) _mm512_stream_si512((void *)(p), (__m512i)(v))
#elif MV_BYTES == 32
#define MV_STREAM(p, v) _mm256_stream_si256((void *)(p), (__m256i)(v))
#else
#define MV_STREAM(p, v) _mm_stream_si128((void *)(p), (__m128i)(v))
#endif
            MV_STREAM(d + i, a);
            MV_STREAM(d + i + MV_BYTES, b);
            MV_STREAM(d + i + 2 * MV_BYTES, c);
            MV_STREAM(d + i + 3 * MV_BYTES, e);
            continue;
        }
#endif
        memcpy(d + i, &a, MV_BYTES);
        memcpy(d + i + MV_BYTES, &b, MV_BYTES);
        memcpy(d + i + 2 * MV_BYTES, &c, MV_BYTES);
        memcpy(d + i + 3 * MV_BYTES, &e, MV_BYTES);
    }
    if (stream || bytes < MV_BYTES) { memcpy(d + i, s + i, (size_t)(bytes - i)); return; }
    for (; i + MV_BYTES <= bytes; i += MV_BYTES) { memcpy(&a, s + i, MV_BYTES); memcpy(d + i, &a, MV_BYTES); }
    if (i == bytes) return;
    memcpy(&a, s + bytes - MV_BYTES, MV_BYTES);         /* the end once more: s and d do not overlap */
    memcpy(d + bytes - MV_BYTES, &a, MV_BYTES);
}
#define MV_LONG 2048            /* from here on the library knows ways to write without reading first */
static void rows(const char *s, char *d, int64_t n, int64_t bytes, int64_t s_row, int64_t d_row, int stream)
{
    /* Hardware fetches ahead within a page: it does not know where the next row is. */
    const int far = s_row != bytes;
    for (int64_t i = 0; i < n; i++, s += s_row, d += d_row) {
        const char *next = far && i + 1 < n ? s + s_row : 0;
        if (!stream && bytes >= MV_LONG) memcpy(d, s, (size_t)bytes);
        else if (stream) copy_row(s, d, bytes, 1, next);
        else copy_row(s, d, bytes, 0, next);
    }
#if defined(__x86_64__)
    if (stream) _mm_sfence();
#endif
}

/* ---- where: a byte mask of what is not zero (`bits` leaves out the sign of a float), then a choice by it */
#define MASK(t) \
static void mask_##t(const void *c_, uint8_t *m, int64_t n, uint64_t bits) \
{ \
    const t *c = c_; \
    for (int64_t i = 0; i < n; i++) m[i] = (c[i] & (t)bits) != 0; \
}
MASK(uint8_t) MASK(uint16_t) MASK(uint32_t) MASK(uint64_t)

/* d may be x or y: then they agree index by index, which no vector loop disturbs. */
#if defined(__clang__)
#define IVDEP _Pragma("clang loop vectorize(assume_safety)")
#else
#define IVDEP _Pragma("GCC ivdep")
#endif
#define CHOOSE(t) \
static void choose_##t(const uint8_t *m, const void *x_, const void *y_, void *d_, int64_t n) \
{ \
    const t *x = x_, *y = y_; \
    t *d = d_; \
    if (!y) IVDEP for (int64_t i = 0; i < n; i++) d[i] = x[i] & (t)-(t)m[i]; \
    else if (!x) IVDEP for (int64_t i = 0; i < n; i++) d[i] = y[i] & (t)((t)m[i] - 1); \
    else IVDEP for (int64_t i = 0; i < n; i++) d[i] = m[i] ? x[i] : y[i]; \
}
CHOOSE(uint8_t) CHOOSE(uint16_t) CHOOSE(uint32_t) CHOOSE(uint64_t)

#define FOUR(f) {f##_uint8_t, f##_uint16_t, f##_uint32_t, f##_uint64_t}
const movement_table CAT(mxl_movement_, MV_LEVEL) = {FOUR(transpose), FOUR(strided), FOUR(mask), FOUR(choose), rows};
