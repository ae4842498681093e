/* Stable merge sort of row indices by key, row by row. Serial: the scratch holds one row. */
#include <string.h>
#include "mxl.h"
#include "value.h"

typedef struct { int64_t outer, n, inner, k, ascend, value, index, mask; } sort_args;

static void sort_put_index(const mxl_tensor *out, int64_t at, int64_t v)
{
    switch (out->dtype) {
    case MXL_F32: case MXL_F64: case MXL_F16: case MXL_BF16:
        mxl_put((char *)out->data + at * mxl_itemsize(out->dtype), mxl_itemsize(out->dtype),
                mxl_bits_of((double)v, out->dtype));
        break;
    default: mxl_put((char *)out->data + at * mxl_itemsize(out->dtype), mxl_itemsize(out->dtype), (uint64_t)v);
    }
}

/* Does b come strictly before a? NaN is the largest. */
#define BEFORE(b, a) (ascend ? (b) < (a) || ((a) != (a) && (b) == (b)) : (b) > (a) || ((b) != (b) && (a) == (a)))
#define SORT(t) \
static const int64_t *sort_row_##t(const t *key, int64_t *at, int64_t *other, int64_t n, int ascend) \
{ \
    for (int64_t i = 0; i < n; i++) at[i] = i; \
    for (int64_t w = 1; w < n; w *= 2) { \
        for (int64_t lo = 0; lo < n; lo += 2 * w) { \
            int64_t mid = lo + w < n ? lo + w : n, hi = lo + 2 * w < n ? lo + 2 * w : n, i = lo, j = mid, o = lo; \
            while (i < mid && j < hi) { \
                int take_right = BEFORE(key[at[j]], key[at[i]]); \
                other[o++] = take_right ? at[j++] : at[i++]; \
            } \
            while (i < mid) other[o++] = at[i++]; \
            while (j < hi) other[o++] = at[j++]; \
        } \
        int64_t *swap = at; at = other; other = swap; \
    } \
    return at; \
} \
static void sort_all_##t(const mxl_call *c) \
{ \
    const sort_args *p = c->args; \
    t *key = (t *)((int64_t *)c->work + 2 * p->n); \
    for (int64_t r = 0; r < p->outer * p->inner; r++) { \
        const int64_t o = r / p->inner, i = r % p->inner; \
        const t *s = (const t *)c->in->data + o * p->n * p->inner + i; \
        for (int64_t j = 0; j < p->n; j++) key[j] = s[j * p->inner]; \
        const int64_t *at = sort_row_##t(key, c->work, (int64_t *)c->work + p->n, p->n, (int)p->ascend); \
        if (p->value >= 0 && c->out[p->value].data) { \
            t *d = (t *)c->out[p->value].data + o * p->k * p->inner + i; \
            for (int64_t j = 0; j < p->k; j++) d[j * p->inner] = key[at[j]]; \
        } \
        if (p->index >= 0 && c->out[p->index].data) \
            for (int64_t j = 0; j < p->k; j++) \
                sort_put_index(c->out + p->index, (o * p->k + j) * p->inner + i, at[j]); \
        if (p->mask >= 0 && c->out[p->mask].data) { \
            t *d = (t *)c->out[p->mask].data + o * p->n * p->inner + i; \
            for (int64_t j = 0; j < p->n; j++) d[j * p->inner] = 0; \
            for (int64_t j = 0; j < p->k; j++) d[at[j] * p->inner] = 1; \
        } \
    } \
}
SORT(float) SORT(double) SORT(int32_t) SORT(int64_t) SORT(int8_t) SORT(uint8_t)

static int sort_any(const mxl_call *c)
{
    if (c->in->size == 0) return MXL_OK;
    switch (c->in->dtype) {
    case MXL_F32: sort_all_float(c); return MXL_OK;
    case MXL_F64: sort_all_double(c); return MXL_OK;
    case MXL_I32: sort_all_int32_t(c); return MXL_OK;
    case MXL_I64: sort_all_int64_t(c); return MXL_OK;
    case MXL_I8: sort_all_int8_t(c); return MXL_OK;
    case MXL_U8: sort_all_uint8_t(c); return MXL_OK;
    default: return MXL_EDTYPE;
    }
}
