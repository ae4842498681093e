/* The loops of the index kernels that need vector code: a row added to another, rows put one behind another. Defined by
 * the file: IX_LEVEL. */
#include <stdint.h>
#include <string.h>
#include "index_table.h"

#define CAT_(a, b) a##b
#define CAT(a, b) CAT_(a, b)

#define ADD(t) \
static void add_##t(void *d_, const void *s_, int64_t n) \
{ \
    t *restrict d = d_; \
    const t *restrict s = s_; \
    for (int64_t i = 0; i < n; i++) d[i] += s[i]; \
}
ADD(float)
ADD(double)

#if defined(__AVX512F__)
#define IX_BYTES 64
#elif defined(__AVX2__)
#define IX_BYTES 32
#else
#define IX_BYTES 16
#endif
typedef char ix_vec __attribute__((vector_size(IX_BYTES)));
#define IX_COPY(to, from) do { ix_vec v_; memcpy(&v_, from, IX_BYTES); memcpy(to, &v_, IX_BYTES); } while (0)
enum { AHEAD = 8 };             /* rows fetched ahead: a table of embeddings does not fit the caches */

static void gather(char *d, const char *s, const int64_t *at, int64_t n, int64_t bytes)
{
#define EACH(body) for (int64_t i = 0; i < n; i++, d += bytes) { \
        const char *p = s + at[i] * bytes; \
        if (i + AHEAD < n) __builtin_prefetch(s + at[i + AHEAD] * bytes); \
        body; } return
    switch (bytes) {            /* a call for a few bytes costs more than the bytes */
    case 1: EACH(*d = *p);
    case 2: EACH(memcpy(d, p, 2));
    case 4: EACH(memcpy(d, p, 4));
    case 8: EACH(memcpy(d, p, 8));
    case 16: EACH(memcpy(d, p, 16));
    case 32: EACH(memcpy(d, p, 32));
    case 64: EACH(memcpy(d, p, 64));
    default: break;
    }
    if (bytes < IX_BYTES) { EACH(memcpy(d, p, (size_t)bytes)); }
    for (int64_t i = 0; i < n; i++, d += bytes) {
        const char *p = s + at[i] * bytes;
        const char *next = i + AHEAD < n ? s + at[i + AHEAD] * bytes : p;
        int64_t k = 0;
        __builtin_prefetch(next);
        __builtin_prefetch(next + (bytes > 64 ? 64 : 0));
        for (; k + 4 * IX_BYTES <= bytes; k += 4 * IX_BYTES) {
            __builtin_prefetch(next + k + 128);
            if (IX_BYTES == 64) __builtin_prefetch(next + k + 192);
            IX_COPY(d + k, p + k);
            IX_COPY(d + k + IX_BYTES, p + k + IX_BYTES);
            IX_COPY(d + k + 2 * IX_BYTES, p + k + 2 * IX_BYTES);
            IX_COPY(d + k + 3 * IX_BYTES, p + k + 3 * IX_BYTES);
        }
        for (; k + IX_BYTES <= bytes; k += IX_BYTES) IX_COPY(d + k, p + k);
        if (k < bytes) IX_COPY(d + bytes - IX_BYTES, p + bytes - IX_BYTES);    /* the end once more */
    }
}

const index_table CAT(mxl_index_, IX_LEVEL) = {add_float, add_double, gather};
