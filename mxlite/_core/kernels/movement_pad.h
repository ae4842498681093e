/* Pad and its gradient: row by row, with the places outside a row's middle looked up one by one. */
#include "movement_run.h"

typedef struct { int64_t mode, ndim, before[8]; double value; } pad_args;
enum { PAD_CONSTANT, PAD_EDGE, PAD_REFLECT };

/* Which element of an axis of n stands at place i of the bordered axis (i counted from the first element); -1: none. */
static inline int64_t pad_source(int64_t i, int64_t n, int64_t mode)
{
    if ((uint64_t)i < (uint64_t)n) return i;
    if (mode == PAD_CONSTANT) return -1;
    if (mode == PAD_EDGE) return i < 0 ? 0 : n - 1;
    return i < 0 ? -i : 2 * (n - 1) - i;
}

/* Row `r` of the axes [from, ndim - 1) of the bordered `out`, as a row of `in` over the same axes; -1: none. */
static inline int64_t pad_row(const pad_args *p, const mxl_tensor *in, const mxl_tensor *out, int from, int64_t r)
{
    int64_t at = 0, step = 1;
    for (int i = (int)p->ndim - 2; i >= from; i--) {
        int64_t j = pad_source(r % out->shape[i] - p->before[i], in->shape[i], p->mode);
        if (j < 0) return -1;
        r /= out->shape[i];
        at += j * step;
        step *= in->shape[i];
    }
    return at;
}

static int pad_forward(mxl_runtime *rt, const mxl_call *c)
{
    const pad_args *p = c->args;
    const mxl_tensor *in = c->in, *out = c->out;
    const int n = (int)p->ndim;
    const int64_t e = mxl_itemsize(out->dtype), w = in->shape[n - 1], ow = out->shape[n - 1], before = p->before[n - 1];
    if (out->size == 0) return MXL_OK;
    const int64_t left = before > 0 ? (before < ow ? before : ow) : 0, skip = before < 0 ? -before : 0;
    int64_t mid = w - skip < ow - left ? w - skip : ow - left;
    if (mid < 0) mid = 0;
    const uint64_t bits = mxl_bits_of(p->value, out->dtype);
    MXL_PARTS(rt, c, out->size * e, {
        int64_t a, b;
        mxl_share(out->size / ow, parts, part, &a, &b);
        for (int64_t r = a; r < b; r++) {
            char *d = (char *)out->data + r * ow * e;
            int64_t from = pad_row(p, in, out, 0, r);
            if (from < 0) { mxl_fill(d, ow, e, bits); continue; }
            const char *s = (const char *)in->data + from * w * e;
            if (mid) memcpy(d + left * e, s + skip * e, (size_t)(mid * e));
            if (p->mode == PAD_CONSTANT) {
                mxl_fill(d, left, e, bits);
                mxl_fill(d + (left + mid) * e, ow - left - mid, e, bits);
            } else {
                for (int64_t j = 0; j < left; j++)
                    memcpy(d + j * e, s + pad_source(j - before, w, p->mode) * e, (size_t)e);
                for (int64_t j = left + mid; j < ow; j++)
                    memcpy(d + j * e, s + pad_source(j - before, w, p->mode) * e, (size_t)e);
            }
        }
    });
    return MXL_OK;
}

/* dx gathers dy plane by plane (the first two axes have no border); rows in order, so sums never depend on threads. */
#define PAD_BACKWARD(t) \
static void pad_planes_##t(const pad_args *p, const mxl_tensor *dy, const mxl_tensor *dx, int64_t a, int64_t b) \
{ \
    const int n = (int)p->ndim; \
    const int64_t w = dx->shape[n - 1], ow = dy->shape[n - 1], before = p->before[n - 1]; \
    int64_t plane = 1, oplane = 1; \
    for (int i = 2; i < n; i++) plane *= dx->shape[i], oplane *= dy->shape[i]; \
    for (int64_t q = a; q < b; q++) { \
        t *to = (t *)dx->data + q * plane; \
        const t *from = (const t *)dy->data + q * oplane; \
        memset(to, 0, plane * sizeof(t)); \
        for (int64_t r = 0; r < oplane / (ow > 0 ? ow : 1); r++) { \
            t *d = to + pad_row(p, dx, dy, 2, r) * w; \
            const t *s = from + r * ow; \
            int64_t j = 0; \
            for (; j < before && j < ow; j++) d[pad_source(j - before, w, p->mode)] += s[j]; \
            for (; j < ow && j - before < w; j++) d[j - before] += s[j]; \
            for (; j < ow; j++) d[pad_source(j - before, w, p->mode)] += s[j]; \
        } \
    } \
}
PAD_BACKWARD(float)
PAD_BACKWARD(double)

static int pad_backward(mxl_runtime *rt, const mxl_call *c)
{
    const pad_args *p = c->args;
    const mxl_tensor *dy = c->in, *dx = c->out;
    if (dx->size == 0) return MXL_OK;
    if (dx->dtype != MXL_F32 && dx->dtype != MXL_F64) return MXL_EDTYPE;
    MXL_PARTS(rt, c, dy->size * mxl_itemsize(dx->dtype), {
        int64_t a, b;
        mxl_share(dx->shape[0] * dx->shape[1], parts, part, &a, &b);
        if (dx->dtype == MXL_F32) pad_planes_float(p, dy, dx, a, b);
        else pad_planes_double(p, dy, dx, a, b);
    });
    return MXL_OK;
}
