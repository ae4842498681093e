/* Sorting rows. A row's elements become integers that order as they do (NaN the largest, -0 as 0; turned round for
 * descending order), each with its place: equal elements then keep their order by themselves. Few of many are selected
 * by a heap, short rows are merged, long ones sorted by digits. */
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif
#include "mxl.h"
#include "mxl_parallel.h"
#include "value.h"

typedef struct { int64_t outer, n, inner, k, ascend, value, index, mask; } sort_args;

/* What is sorted: `narrow` holds a key of 32 bits above a place of 32, `wide` one of 64 bits each. */
typedef uint64_t narrow;
typedef struct { uint64_t key, place; } wide;
#define NARROW_BEFORE(a, b) ((a) < (b))
#define WIDE_BEFORE(a, b) ((a).key < (b).key || ((a).key == (b).key && (a).place < (b).place))
#define NARROW_DIGITS(e) ((e) >> 32)
#define WIDE_DIGITS(e) ((e).key)
#define NARROW_PLACE(e) ((int64_t)((e) & 0xffffffff))
#define WIDE_PLACE(e) ((int64_t)(e).place)
static inline narrow make_narrow(int64_t key, int64_t place)
{
    return (uint64_t)((uint32_t)key ^ 0x80000000u) << 32 | (uint32_t)place;
}
static inline wide make_wide(int64_t key, int64_t place)
{
    return (wide){(uint64_t)key ^ 0x8000000000000000u, (uint64_t)place};
}

enum { SORT_SHORT = 16, SORT_MERGED = 512, DIGIT = 11, DIGITS = 1 << DIGIT };

/* `bits` of keys; returns where the sorted elements are: `e` or `other`. */
#define SORTER(type, BEFORE, KEY, bits) \
static type *sort_##type(type *e, type *other, int64_t n) \
{ \
    if (n <= SORT_MERGED) { \
        for (int64_t lo = 0; lo < n; lo += SORT_SHORT) { \
            int64_t hi = lo + SORT_SHORT < n ? lo + SORT_SHORT : n; \
            for (int64_t i = lo + 1; i < hi; i++) { \
                type v = e[i]; \
                int64_t j = i; \
                for (; j > lo && BEFORE(v, e[j - 1]); j--) e[j] = e[j - 1]; \
                e[j] = v; \
            } \
        } \
        for (int64_t w = SORT_SHORT; w < n; w *= 2) { \
            for (int64_t lo = 0; lo < n; lo += 2 * w) { \
                int64_t mid = lo + w < n ? lo + w : n, hi = lo + 2 * w < n ? lo + 2 * w : n, i = lo, j = mid, o = lo; \
                while (i < mid && j < hi) { \
                    int right = BEFORE(e[j], e[i]); \
                    other[o++] = right ? e[j] : e[i]; \
                    j += right; \
                    i += !right; \
                } \
                memcpy(other + o, e + i, (size_t)(mid - i) * sizeof *e); \
                memcpy(other + o + mid - i, e + j, (size_t)(hi - j) * sizeof *e); \
            } \
            type *swap = e; e = other; other = swap; \
        } \
        return e; \
    } \
    for (int shift = 0; shift < bits; shift += DIGIT) { \
        int64_t count[DIGITS] = {0}, at = 0; \
        for (int64_t i = 0; i < n; i++) count[KEY(e[i]) >> shift & (DIGITS - 1)]++; \
        if (count[KEY(e[0]) >> shift & (DIGITS - 1)] == n) continue; \
        for (int d = 0; d < DIGITS; d++) { int64_t c = count[d]; count[d] = at; at += c; } \
        for (int64_t i = 0; i < n; i++) other[count[KEY(e[i]) >> shift & (DIGITS - 1)]++] = e[i]; \
        type *swap = e; e = other; other = swap; \
    } \
    return e; \
} \
/* v goes into the heap h of k at place i or below; h[0] is the last of all. */ \
static void sift_##type(type *h, int64_t i, int64_t k, type v) \
{ \
    for (int64_t c; (c = 2 * i + 1) < k; i = c) { \
        if (c + 1 < k && BEFORE(h[c], h[c + 1])) c++; \
        if (!BEFORE(v, h[c])) break; \
        h[i] = h[c]; \
    } \
    h[i] = v; \
}
SORTER(narrow, NARROW_BEFORE, NARROW_DIGITS, 32)
SORTER(wide, WIDE_BEFORE, WIDE_DIGITS, 64)

static inline int64_t key_float(float x)
{
    int32_t b;
    x += 0.0f;
    memcpy(&b, &x, 4);
    return x != x ? INT32_MAX : b ^ (b >> 31 & INT32_MAX);
}
static inline int64_t key_double(double x)
{
    int64_t b;
    x += 0.0;
    memcpy(&b, &x, 8);
    return x != x ? INT64_MAX : b ^ (b >> 63 & INT64_MAX);
}
#define key_int32_t(x) ((int64_t)(x))
#define key_int64_t(x) (x)
#define key_int8_t(x) ((int64_t)(x))
#define key_uint8_t(x) ((int64_t)(x))

static void sort_put_index(const mxl_tensor *out, int64_t at, int64_t v)
{
    switch (out->dtype) {
    case MXL_F32: ((float *)out->data)[at] = (float)v; break;
    case MXL_I32: ((int32_t *)out->data)[at] = (int32_t)v; break;
    case MXL_I64: ((int64_t *)out->data)[at] = v; break;
    case MXL_F64: case MXL_F16: case MXL_BF16:
        mxl_put((char *)out->data + at * mxl_itemsize(out->dtype), mxl_itemsize(out->dtype),
                mxl_bits_of((double)v, out->dtype));
        break;
    default: mxl_put((char *)out->data + at * mxl_itemsize(out->dtype), mxl_itemsize(out->dtype), (uint64_t)v);
    }
}

/* A heap pays where it is small against the row; k sifts cost about log2(k) steps each. */
static inline int sort_selects(const sort_args *p) { return p->k * 8 <= p->n && p->n > 32; }

/* Rows [begin, end). The scratch holds two rows of `type`. `key` is an integer of the key's size, so that the scan for
 * elements that enter the heap is vector code. */
#define SORT(t, type, PLACE, make, integer, name) \
static void sort_rows_##name(const mxl_call *c, int64_t begin, int64_t end, void *work) \
{ \
    const sort_args *p = c->args; \
    const int64_t n = p->n, k = p->k, inner = p->inner, turn = p->ascend ? 0 : -1; \
    type *e = work, *other = e + n; \
    for (int64_t r = begin; r < end; r++) { \
        const int64_t o = r / inner, i = r % inner; \
        const t *s = (const t *)c->in->data + o * n * inner + i; \
        const type *found; \
        if (sort_selects(p)) { \
            integer *key = (integer *)other; \
            for (int64_t j = 0; j < n; j++) key[j] = (integer)(key_##t(s[j * inner]) ^ turn); \
            for (int64_t j = 0; j < k; j++) e[j] = make(key[j], j); \
            for (int64_t j = k / 2 - 1; j >= 0; j--) sift_##type(e, j, k, e[j]); \
            integer last = k ? key[PLACE(e[0])] : 0; \
            for (int64_t j = k; k && j < n; j += SORT_SHORT) { \
                const int64_t m = n - j < SORT_SHORT ? n - j : SORT_SHORT; \
                integer any = 0; \
                if (m == SORT_SHORT) for (int l = 0; l < SORT_SHORT; l++) any |= key[j + l] < last; \
                else any = 1; \
                if (any) for (int64_t l = j; l < j + m; l++) if (key[l] < last) { \
                    sift_##type(e, 0, k, make(key[l], l)); \
                    last = key[PLACE(e[0])]; \
                } \
            } \
            found = sort_##type(e, e + k, k); \
        } else { \
            for (int64_t j = 0; j < n; j++) e[j] = make(key_##t(s[j * inner]) ^ turn, j); \
            found = sort_##type(e, other, n); \
        } \
        if (p->value >= 0 && c->out[p->value].data) { \
            t *d = (t *)c->out[p->value].data + o * k * inner + i; \
            for (int64_t j = 0; j < k; j++) d[j * inner] = s[PLACE(found[j]) * inner]; \
        } \
        if (p->index >= 0 && c->out[p->index].data) \
            for (int64_t j = 0; j < k; j++) \
                sort_put_index(c->out + p->index, (o * k + j) * inner + i, PLACE(found[j])); \
        if (p->mask >= 0 && c->out[p->mask].data) { \
            t *d = (t *)c->out[p->mask].data + o * n * inner + i; \
            for (int64_t j = 0; j < n; j++) d[j * inner] = 0; \
            for (int64_t j = 0; j < k; j++) d[PLACE(found[j]) * inner] = 1; \
        } \
    } \
}
#define SMALL(t) SORT(t, narrow, NARROW_PLACE, make_narrow, int32_t, t)
#define LARGE(t, name) SORT(t, wide, WIDE_PLACE, make_wide, int64_t, name)
SMALL(float) SMALL(int32_t) SMALL(int8_t) SMALL(uint8_t) LARGE(double, double) LARGE(int64_t, int64_t)
LARGE(float, long_float) LARGE(int32_t, long_int32) LARGE(int8_t, long_int8) LARGE(uint8_t, long_uint8)

typedef void (*sort_rows)(const mxl_call *, int64_t, int64_t, void *);
static sort_rows sort_for(int32_t dtype, int large)
{
    switch (dtype) {
    case MXL_F32: return large ? sort_rows_long_float : sort_rows_float;
    case MXL_F64: return sort_rows_double;
    case MXL_I32: return large ? sort_rows_long_int32 : sort_rows_int32_t;
    case MXL_I64: return sort_rows_int64_t;
    case MXL_I8: return large ? sort_rows_long_int8 : sort_rows_int8_t;
    case MXL_U8: return large ? sort_rows_long_uint8 : sort_rows_uint8_t;
    default: return NULL;
    }
}

static int sort_any(mxl_runtime *rt, const mxl_call *c)
{
    const sort_args *p = c->args;
    const int large = p->n > UINT32_MAX || mxl_itemsize(c->in->dtype) == 8;
    const sort_rows run = sort_for(c->in->dtype, large);
    const int64_t rows = p->outer * p->inner, scratch = 2 * p->n * (large ? sizeof(wide) : sizeof(narrow));
    if (run == NULL) return MXL_EDTYPE;
    if (c->in->size == 0) return MXL_OK;
    const int nt = rows < 2 ? 1 : mxl_enter(rt, c->threads, c->in->size * (sort_selects(p) ? 1 : 32), MXL_GRAIN);
    if (nt == 1) run(c, 0, rows, c->work);
    else {
        const int64_t parts = rows < 8 * nt ? rows : 8 * nt;
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads(nt)
#endif
        for (int64_t i = 0; i < parts; i++) {
            int at = 0;
#ifdef _OPENMP
            at = omp_get_thread_num();
#endif
            run(c, rows * i / parts, rows * (i + 1) / parts, (char *)c->work + at * scratch);
        }
    }
    mxl_leave(rt, nt);
    return MXL_OK;
}
