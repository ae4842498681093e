/* Steps of gradient descent on many weights in one call and one parallel region: the loops of update.h, tensor by
 * tensor, so that the results are those of single steps to the bit. Included by update.pyx. */
#ifndef MXL_UPDATE_MULTI_H
#define MXL_UPDATE_MULTI_H
#include "convert.h"
#include "update_table.h"

/* Inputs are `fields` a weight: weight, gradient, momentum if any, float32 weight if `mixed`; if `preloaded`, learning
 * rates and weight decays are two more, else they lie behind the struct. */
typedef struct { int64_t weights, fields, momentum, mixed, preloaded; } MultiArgs;

static int multi_overlap(const mxl_tensor *a, const mxl_tensor *b)
{
    const char *x = (const char *)a->data, *y = (const char *)b->data;
    return x < y + b->size * mxl_itemsize(b->dtype) && y < x + a->size * mxl_itemsize(a->dtype);
}

/* Is something written that belongs to another weight, or is a gradient? Then the order of the steps matters. */
static int multi_tangled(const mxl_call *c, const MultiArgs *g)
{
    const int64_t n = g->weights, fields = g->fields, inputs = n * fields;
    for (int64_t i = 0; i < n; i++)
        for (int64_t f = 1; f < fields; f++) {
            const mxl_tensor *written = f == 1 ? c->out + i : c->in + i * fields + f;
            for (int64_t k = 0; k < inputs; k++) {
                const mxl_tensor *x = c->in + k;
                const int own = f == 1 ? k == i * fields && x->data == written->data : k == i * fields + f;
                if (!own && multi_overlap(written, x)) return 1;
            }
            for (int64_t k = 0; k < n; k++)
                if ((f > 1 || k != i) && multi_overlap(written, c->out + k)) return 1;
        }
    return 0;
}

/* Tiles [begin, end) of weight i. */
static void multi_one(const mxl_call *c, int64_t i, int64_t begin, int64_t end)
{
    const MultiArgs *g = (const MultiArgs *)c->args;
    const update_table *table = pick_update(update_rt);
    const mxl_tensor *in = c->in + i * g->fields, *y = c->out + i;
    const double *rates = (const double *)(g + 1), *rest = c->scalars + (g->momentum != 0);
    const int step = g->momentum ? UPDATE_sgd_mom : UPDATE_sgd;
    double lr = 0, wd = 0, s[5];
    if (g->preloaded) {
        const mxl_tensor *last = c->in + g->weights * g->fields;
        mxl_load_f64(last[0].dtype, last[0].data, i, 1, &lr);
        mxl_load_f64(last[1].dtype, last[1].data, i, 1, &wd);
    } else {
        lr = rates[i];
        wd = rates[g->weights + i];
    }
    double *p = s;
    *p++ = lr;
    if (g->momentum) *p++ = c->scalars[0];
    *p++ = wd;
    *p++ = rest[0];
    *p++ = rest[1];
    mxl_call one = *c;
    one.scalars = s;
    one.in = (mxl_tensor *)in;
    one.out = (mxl_tensor *)y;
    const int real = mxl_real(y->dtype);
    if (!g->mixed && real >= 0) {
        table->run[step][real](&one, begin, end);
        return;
    }
    /* By tiles of float32: weight (of the two the one that is kept in float32), gradient, momentum. */
    float tile[3][UPDATE_TILE];
    mxl_tensor part[3];
    const mxl_tensor *from[3] = { g->mixed ? in + g->fields - 1 : in, in + 1, g->momentum ? in + 2 : NULL };
    one.in = part;
    one.out = part;
    for (int64_t at = begin * UPDATE_TILE; at < end * UPDATE_TILE && at < y->size; at += UPDATE_TILE) {
        const int64_t m = y->size - at < UPDATE_TILE ? y->size - at : UPDATE_TILE;
        for (int k = 0; k < 3 && from[k]; k++) {
            part[k] = *from[k];
            part[k].size = m;
            part[k].data = tile[k];
            if (from[k]->dtype == MXL_F32 && (k || g->mixed)) part[k].data = (float *)from[k]->data + at;
            else mxl_load_f32(from[k]->dtype, from[k]->data, at, m, tile[k]);
        }
        table->run[step][0](&one, 0, 1);
        mxl_store_f32(y->dtype, y->data, at, m, (const float *)part[0].data);
        if (g->momentum && from[2]->dtype != MXL_F32) mxl_store_f32(from[2]->dtype, from[2]->data, at, m, tile[2]);
    }
}

static int64_t multi_tiles(const mxl_tensor *y) { return (y->size + UPDATE_TILE - 1) / UPDATE_TILE; }

static void multi_range(const mxl_call *c, int64_t begin, int64_t end)
{
    const MultiArgs *g = (const MultiArgs *)c->args;
    int64_t first = 0;
    for (int64_t i = 0; i < g->weights && first < end; i++) {
        const int64_t tiles = multi_tiles(c->out + i), from = begin > first ? begin - first : 0;
        const int64_t to = end - first < tiles ? end - first : tiles;
        if (from < to) multi_one(c, i, from, to);
        first += tiles;
    }
}

static int update_multi(mxl_call *c)
{
    const MultiArgs *g = (const MultiArgs *)c->args;
    int64_t tiles = 0, size = 0;
    if (c->n_out != g->weights || c->n_in != g->weights * g->fields + 2 * g->preloaded) return MXL_EDTYPE;
    for (int64_t i = 0; i < g->weights; i++) {
        const mxl_tensor *in = c->in + i * g->fields, *y = c->out + i;
        if (mxl_real(y->dtype) < 0 && !mxl_is_half(y->dtype)) return MXL_EDTYPE;
        for (int64_t k = 0; k < g->fields; k++)
            if (in[k].dtype != (g->mixed && k > 1 ? MXL_F32 : y->dtype)) return MXL_EDTYPE;
        tiles += multi_tiles(y);
        size += y->size;
    }
    for (int k = 0; k < 2 && g->preloaded; k++)
        if (mxl_real(c->in[g->weights * g->fields + k].dtype) < 0) return MXL_EDTYPE;
    if (multi_tangled(c, g)) multi_range(c, 0, tiles);
    else mxl_run(update_rt, c, multi_range, tiles, size);
    return MXL_OK;
}
#endif
