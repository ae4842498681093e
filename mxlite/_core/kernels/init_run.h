/* Arrays made from numbers. */
#include <math.h>
#include <string.h>
#include "share.h"
#include "value.h"

typedef struct { double value; } fill_args;
typedef struct { double start, step; int64_t repeat; } arange_args;
typedef struct { double start, stop, step; int64_t endpoint; } linspace_args;
typedef struct { int64_t k; } eye_args;

static int init_fill(mxl_runtime *rt, const mxl_call *c)
{
    const mxl_tensor *out = c->out;
    const int64_t e = mxl_itemsize(out->dtype);
    const uint64_t bits = mxl_bits_of(((const fill_args *)c->args)->value, out->dtype);
    if (out->size == 0) return MXL_OK;
    MXL_PARTS(rt, c, out->size * e, {
        int64_t a, b;
        mxl_share(out->size, parts, part, &a, &b);
        mxl_fill((char *)out->data + a * e, b - a, e, bits);
    });
    return MXL_OK;
}

/* Start and step are rounded to the dtype first, product and sum after; integers wrap round. */
static void arange_part(const arange_args *p, const mxl_tensor *out, int64_t a, int64_t b)
{
    const int64_t e = mxl_itemsize(out->dtype), start = mxl_to_i64(p->start), step = mxl_to_i64(p->step);
    for (int64_t i = a; i < b; i++) {
        const int64_t k = p->repeat == 1 ? i : i / p->repeat;
        volatile float product;         /* rounded on its own: no fused multiply-add */
        volatile double wide;
        switch (out->dtype) {
        case MXL_F32:
            product = (float)k * (float)p->step;
            ((float *)out->data)[i] = product + (float)p->start;
            break;
        case MXL_F64:
            wide = (double)k * p->step;
            ((double *)out->data)[i] = wide + p->start;
            break;
        case MXL_F16:
            product = mxl_from_f16(mxl_to_f16((float)k * mxl_from_f16(mxl_to_f16(p->step))));
            ((uint16_t *)out->data)[i] = mxl_to_f16(product + mxl_from_f16(mxl_to_f16(p->start)));
            break;
        case MXL_BF16:
            product = (float)k * (float)p->step;
            ((uint16_t *)out->data)[i] = mxl_to_bf16(product + (float)p->start);
            break;
        default:
            mxl_put((char *)out->data + i * e, e, (uint64_t)start + (uint64_t)k * (uint64_t)step);
        }
    }
}

static int init_arange(mxl_runtime *rt, const mxl_call *c)
{
    const mxl_tensor *out = c->out;
    if (out->size == 0) return MXL_OK;
    MXL_PARTS(rt, c, out->size * 8, {
        int64_t a, b;
        mxl_share(out->size, parts, part, &a, &b);
        arange_part(c->args, out, a, b);
    });
    return MXL_OK;
}

static int init_linspace(mxl_runtime *rt, const mxl_call *c)
{
    const linspace_args *p = c->args;
    const mxl_tensor *out = c->out;
    const int64_t e = mxl_itemsize(out->dtype);
    if (out->size == 0) return MXL_OK;
    MXL_PARTS(rt, c, out->size * 8, {
        int64_t a, b;
        mxl_share(out->size, parts, part, &a, &b);
        for (int64_t i = a; i < b; i++) {
            volatile double wide = (double)i * p->step;
            double v = p->endpoint && i > 0 && i == out->size - 1 ? p->stop : p->start + wide;
            mxl_put((char *)out->data + i * e, e, mxl_bits_of(v, out->dtype));
        }
    });
    return MXL_OK;
}

static int init_eye(mxl_runtime *rt, const mxl_call *c)
{
    const mxl_tensor *out = c->out;
    const int64_t e = mxl_itemsize(out->dtype), k = ((const eye_args *)c->args)->k, columns = out->shape[1];
    const uint64_t one = mxl_bits_of(1.0, out->dtype);
    if (out->size == 0) return MXL_OK;
    MXL_PARTS(rt, c, out->size * e, {
        int64_t a, b;
        mxl_share(out->shape[0], parts, part, &a, &b);
        memset((char *)out->data + a * columns * e, 0, (size_t)((b - a) * columns * e));
        for (int64_t i = a; i < b; i++)
            if (k >= -i && k < columns - i) mxl_put((char *)out->data + (i * columns + i + k) * e, e, one);
    });
    return MXL_OK;
}
