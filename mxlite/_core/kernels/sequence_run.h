/* Sequences of different lengths in one array, as (steps, batch, inner) or (batch, steps, inner). Elements are moved by
 * their size alone. A unit of work is one step of one sequence. */
#include <string.h>
#include "mxl.h"
#include "share.h"
#include "value.h"

typedef struct { int64_t steps, batch, inner, batch_first, use; } sequence_args;

/* Steps of sequence n, within [0, steps]. */
static inline int64_t sequence_length(const sequence_args *a, const mxl_tensor *length, int64_t n)
{
    if (!a->use) return a->steps;
    int64_t k = mxl_index(length->data, length->dtype, n);
    return k < 0 ? 0 : k > a->steps ? a->steps : k;
}

static inline int64_t sequence_row(const sequence_args *a, int64_t t, int64_t n)
{
    return a->batch_first ? n * a->steps + t : t * a->batch + n;
}

static inline void sequence_place(const sequence_args *a, int64_t row, int64_t *t, int64_t *n)
{
    *t = a->batch_first ? row % a->steps : row / a->batch;
    *n = a->batch_first ? row / a->steps : row % a->batch;
}

static int sequence_mask(mxl_runtime *rt, const mxl_call *c)
{
    const sequence_args *a = c->args;
    const int64_t e = mxl_itemsize(c->out->dtype), row = a->inner * e;
    const char *x = c->in->data;
    char *y = c->out->data;
    const uint64_t bits = mxl_bits_of(c->scalars[0], c->out->dtype);
    if (c->out->size == 0) return MXL_OK;
    MXL_PARTS(rt, c, c->out->size * e, {
        int64_t r0, r1, t, n;
        mxl_share(a->steps * a->batch, parts, part, &r0, &r1);
        for (int64_t r = r0; r < r1; r++) {
            sequence_place(a, r, &t, &n);
            if (t >= sequence_length(a, c->in + 1, n)) mxl_fill(y + r * row, a->inner, e, bits);
            else if (x != y) memcpy(y + r * row, x + r * row, (size_t)row);
        }
    });
    return MXL_OK;
}

static int sequence_last(mxl_runtime *rt, const mxl_call *c, int backward)
{
    const sequence_args *a = c->args;
    const int64_t e = mxl_itemsize(c->out->dtype), row = a->inner * e;
    const char *x = c->in->data;
    char *y = c->out->data;
    for (int64_t n = 0; n < a->batch; n++)
        if (sequence_length(a, c->in + 1, n) < 1) return MXL_EINDEX;
    if (c->out->size == 0) return MXL_OK;
    if (backward) MXL_PARTS(rt, c, c->out->size * e, {
        int64_t r0, r1;
        mxl_share(a->steps * a->batch, parts, part, &r0, &r1);
        memset(y + r0 * row, 0, (size_t)((r1 - r0) * row));
    });
    for (int64_t n = 0; n < a->batch; n++) {
        int64_t at = sequence_row(a, sequence_length(a, c->in + 1, n) - 1, n);
        if (backward) memcpy(y + at * row, x + n * row, (size_t)row);
        else memcpy(y + n * row, x + at * row, (size_t)row);
    }
    return MXL_OK;
}

static int sequence_reverse(mxl_runtime *rt, const mxl_call *c)
{
    const sequence_args *a = c->args;
    const int64_t e = mxl_itemsize(c->out->dtype), row = a->inner * e;
    const char *x = c->in->data;
    char *y = c->out->data;
    if (c->out->size == 0) return MXL_OK;
    MXL_PARTS(rt, c, c->out->size * e, {
        int64_t r0, r1, t, n;
        mxl_share(a->steps * a->batch, parts, part, &r0, &r1);
        for (int64_t r = r0; r < r1; r++) {
            sequence_place(a, r, &t, &n);
            int64_t k = sequence_length(a, c->in + 1, n);
            memcpy(y + r * row, x + sequence_row(a, t < k ? k - 1 - t : t, n) * row, (size_t)row);
        }
    });
    return MXL_OK;
}
