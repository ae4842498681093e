/* Convolution by F(4x4, 3x3): how the work is cut, and the three drivers. winograd.h has what is done to one cut.
 *
 * A *unit* is a rectangle of at most 16 tiles of one image: its part of one vector of channels fits the first-level
 * cache. A *block* is a number of consecutive units. A *panel* is a number of filters that the product takes at once.
 *   tiles first     each task takes a block through data transform, product with all panels and result transform, its
 *                   V and M in its thread's scratch. The transformed weight is whole, made before or found prepared.
 *   filters first   all threads transform a block together; then each task takes a panel: it transforms the weight of
 *                   128 channels at a time, multiplies, and in the end transforms the result. No transformed weight
 *                   goes through memory: for many channels, where that would cost more than the products.
 *   weight gradient as filters first, but the task is a rectangle of the weight, the depth of the product are tiles.
 * ops/winograd.py chooses, and knows the sizes of the scratch. Whatever is summed is summed in an order that the shapes
 * fix, so results depend neither on threads nor on the way taken.
 */
#include "winograd_unit.h"

/* Floats that the image of one vector of channels of a unit takes, at any level. */
#define WINO_SCRATCH ((WINO_IMAGE + 16) * 16)

/* ---- the plan ---- */

static void wino_cut(wino *g, int64_t budget, int64_t row_bytes, int64_t most_tiles)
{
    g->th = ceil_div(g->oh, 4), g->tw = ceil_div(g->ow, 4);
    g->across = ceil_div(g->tw, WINO_UNIT);
    g->cols = ceil_div(g->tw, g->across);
    g->across = ceil_div(g->tw, g->cols);
    /* flat units where there are few: some for every thread */
    g->rows = least(most(1, WINO_UNIT / g->cols), most(1, g->n * g->th * g->across / 8));
    g->down = ceil_div(g->th, g->rows);
    g->rows = ceil_div(g->th, g->down);
    g->down = ceil_div(g->th, g->rows);
    g->units = g->n * g->down * g->across;
    const int64_t tiles = least(most_tiles, most(16, budget / (36 * row_bytes)));
    g->block = most(1, tiles / (g->rows * g->cols));
    g->block = ceil_div(g->units, ceil_div(g->units, g->block));
}

/* How wide a panel of n (a multiple of VL): few, and evenly wide. */
INLINE int64_t wino_split(int64_t n)
{
    if (n % NR == 0) return NR;
    if (n % (2 * VL) == 0) return 2 * VL;
    return ceil_to(ceil_div(n, ceil_div(n, NR)), VL);
}

enum { WINO_TILES = 1, WINO_FILTERS = 2 };      /* conv_args.winograd; a weight gradient has one way only */

/* Plans; the byte counts are those of ops/winograd.py. `mode` 0: the weight's gradient. */
static void wino_plan(wino *g, int mode)
{
    g->cp = ceil_to(g->c, VL), g->kp = ceil_to(g->k, VL);
    g->pitch = wino_odd(g->c);
    g->depths = ceil_div(g->c, WINO_DEPTH);
    g->columns = mode == 0 ? g->cp : g->kp;
    g->width = wino_split(g->columns);
    g->panels = ceil_div(g->columns, g->width);
    const int64_t float_ = sizeof(float), kpitch = wino_odd(g->k);
    if (mode == 0) {
        wino_cut(g, 10 << 20, float_ * (g->pitch + kpitch), 128);
        g->high = g->c * g->k > 4096 ? 64 : 32;
        const int64_t tiles = g->block * g->rows * g->cols;
        g->shared = float_ * 36 * (tiles * (g->pitch + kpitch) + 2 * WINO_PAD);
        g->scratch = float_ * (WINO_SCRATCH + 36 * (g->high * 48 + WINO_PAD));
        return;
    }
    const int64_t image = float_ * WINO_SCRATCH;
    if (mode == WINO_TILES) wino_cut(g, 768 << 10, float_ * g->pitch, 64);
    else wino_cut(g, 9 << 20, float_ * g->pitch, 128);
    const int64_t tiles = ceil_to(g->block * g->rows * g->cols, 8);
    const int64_t v = float_ * 36 * (tiles * g->pitch + WINO_PAD);
    const int64_t m = float_ * 36 * (tiles * 48 + WINO_PAD);
    const int64_t whole = float_ * 36 * (g->kp * g->c + WINO_PAD * g->panels * g->depths);
    const int64_t chunk = float_ * 36 * wino_plane(WINO_DEPTH, 48);
    if (mode == WINO_TILES) g->shared = g->ready ? 0 : whole, g->scratch = image + v + m;
    else g->shared = v, g->scratch = image + m + (g->ready ? 0 : chunk);
}

/* ---- forward, and the gradient of the data ---- */

/* Panel p of units u0..u1 whose V is there: product and result. Tiles in V and M: `tiles`, half an MR at a time. */
static void wino_panel(const wino *g, int64_t p, int64_t u0, int64_t u1, const float *v, int64_t vs, int64_t tiles,
                       const float *ready, float *u, float *m, float *image)
{
    const int64_t w = wino_width(g, p), ms = tiles * w + WINO_PAD;
    for (int64_t c = 0; c < g->c; c += WINO_DEPTH) {
        const int64_t depth = least(WINO_DEPTH, g->c - c), us = wino_plane(depth, w);
        const float *b = ready ? ready + wino_place(g, p, c) : u;
        if (!ready) wino_weight(g, p * g->width, w, c, depth, u, image);
        for (int f = 0; f < 36; f++) for (int64_t t = 0; t < tiles; t += MR) {
            const float *a = v + f * vs + t * g->pitch + c;
            const float *next = t + MR < tiles ? a + MR * g->pitch : v + (f + 1) * vs + c;
            wino_rows[tiles - t >= MR][w / VL - 1](depth, a, g->pitch, b + f * us, w, m + f * ms + t * w, w, c > 0,
                                                   next);
        }
    }
    const int64_t first = wino_unit_at(g, u0).tile;
    for (int64_t i = u0; i < u1; i++) {
        const wino_unit t = wino_unit_at(g, i);
        wino_output(g, &t, p * g->width, w, m + (t.tile - first) * w, ms, image);
    }
}

/* ---- tasks, and the loops over them, a parallel region each: within one nobody waits for another ---- */

typedef void (*wino_task)(const wino *, int64_t i, float *own);

static void wino_each(const wino *g, wino_task task, int64_t n)
{
    float *own = (float *)(g->work + g->shared);
    const int64_t size = g->scratch / (int64_t)sizeof(float);
    if (g->threads == 1) {
        for (int64_t i = 0; i < n; i++) task(g, i, own);
    } else {
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic, 1) num_threads(g->threads)
        for (int64_t i = 0; i < n; i++) task(g, i, own + omp_get_thread_num() * size);
#endif
    }
}

/* Units u0..u1, their tiles, these rounded up for the product (which reads what is there and makes rows that nobody
 * reads), and the floats from plane to plane of V. */
typedef struct { int64_t u0, u1, first, tiles, full, vs; } wino_block;

static wino_block wino_block_at(const wino *g, int64_t u0, int64_t u1)
{
    wino_block b = {.u0 = u0, .u1 = u1, .first = wino_unit_at(g, u0).tile};
    b.tiles = (u1 == g->units ? g->n * g->th * g->tw : wino_unit_at(g, u1).tile) - b.first;
    b.full = ceil_to(b.tiles, MR / 2);
    b.vs = b.full * g->pitch + WINO_PAD;
    return b;
}
static wino_block wino_current(const wino *g) { return wino_block_at(g, g->at, least(g->units, g->at + g->block)); }

static void wino_weight_task(const wino *g, int64_t p, float *own) { wino_weight_panel(g, p, (float *)g->work, own); }

static void wino_block_task(const wino *g, int64_t i, float *own)
{
    const wino_block b = wino_block_at(g, i * g->units / g->blocks, (i + 1) * g->units / g->blocks);
    float *v = own + WINO_SCRATCH, *m = v + 36 * (ceil_to(g->block * g->rows * g->cols, 8) * g->pitch + WINO_PAD);
    for (int64_t u = b.u0; u < b.u1; u++) {
        const wino_unit t = wino_unit_at(g, u);
        wino_input(g, &t, 0, g->c, v + (t.tile - b.first) * g->pitch, b.vs, own);
    }
    for (int64_t p = 0; p < g->panels; p++)
        wino_panel(g, p, b.u0, b.u1, v, b.vs, b.full, g->ready ? g->ready : (float *)g->work, NULL, m, own);
}

static void wino_tiles_first(wino *g)
{
    /* blocks only get smaller with more threads: the scratch is enough for all */
    g->blocks = most(ceil_div(g->units, g->block), least(g->units, g->threads > 1 ? 4 * g->threads : 1));
    if (!g->ready) wino_each(g, wino_weight_task, g->panels);
    wino_each(g, wino_block_task, g->blocks);
}

enum { WINO_SOME = 64 };        /* channels of a task that transforms a unit */

static void wino_input_task(const wino *g, int64_t i, float *own)
{
    const wino_block b = wino_current(g);
    const int64_t parts = ceil_div(g->cp, WINO_SOME), c = i % parts * WINO_SOME;
    const wino_unit t = wino_unit_at(g, b.u0 + i / parts);
    wino_input(g, &t, c, least(g->c, c + WINO_SOME), (float *)g->work + (t.tile - b.first) * g->pitch, b.vs, own);
}

static void wino_panel_task(const wino *g, int64_t p, float *own)
{
    const wino_block b = wino_current(g);
    float *u = own + WINO_SCRATCH, *m = u + (g->ready ? 0 : 36 * wino_plane(WINO_DEPTH, 48));
    wino_panel(g, p, b.u0, b.u1, (float *)g->work, b.vs, b.full, g->ready, u, m, own);
}

static void wino_filters_first(wino *g)
{
    for (g->at = 0; g->at < g->units; g->at += g->block) {
        wino_each(g, wino_input_task, least(g->block, g->units - g->at) * ceil_div(g->cp, WINO_SOME));
        wino_each(g, wino_panel_task, g->panels);
    }
}

/* Where the transformed dy lies: behind V of the largest block. */
INLINE float *wino_dm(const wino *g)
{
    return (float *)g->work + 36 * (g->block * g->rows * g->cols * g->pitch + WINO_PAD);
}

static void wino_both_task(const wino *g, int64_t i, float *own)
{
    const wino_block b = wino_current(g);
    const int64_t of_data = ceil_div(g->cp, WINO_SOME), parts = of_data + ceil_div(g->kp, WINO_SOME), part = i % parts;
    const int64_t kpitch = wino_odd(g->k), c = part * WINO_SOME, k = (part - of_data) * WINO_SOME;
    const wino_unit t = wino_unit_at(g, b.u0 + i / parts);
    const int64_t tile = t.tile - b.first;
    if (part < of_data)
        wino_input(g, &t, c, least(g->c, c + WINO_SOME), (float *)g->work + tile * g->pitch,
                   b.tiles * g->pitch + WINO_PAD, own);
    else
        wino_input_gradient(g, &t, k, least(g->k, k + WINO_SOME), wino_dm(g) + tile * kpitch,
                            b.tiles * kpitch + WINO_PAD, kpitch, own);
}

static void wino_rectangle_task(const wino *g, int64_t i, float *own)
{
    const wino_block b = wino_current(g);
    const int64_t kpitch = wino_odd(g->k), vs = b.tiles * g->pitch + WINO_PAD, ms = b.tiles * kpitch + WINO_PAD;
    const int64_t k_blocks = ceil_div(g->kp, g->high), p = i / k_blocks, c = p * g->width, w = wino_width(g, p);
    const int64_t k0 = i % k_blocks * g->high, k1 = least(g->kp, k0 + g->high), us = g->high * w + WINO_PAD;
    const float *v = (float *)g->work, *dm = wino_dm(g);
    float *du = own + WINO_SCRATCH;
    for (int f = 0; f < 36; f++) for (int64_t k = k0; k < k1; k += MR)
        wino_columns[w / VL - 1](b.tiles, dm + f * ms + k, kpitch, v + f * vs + c, g->pitch, du + f * us + (k - k0) * w,
                                 w, 0, NULL);
    wino_weight_gradient(g, k0, least(g->k, k1), c, least(g->c, c + w), du, us, w, b.u0 > 0, own);
}

static void wino_wgrad(wino *g)
{
    const int64_t parts = ceil_div(g->cp, WINO_SOME) + ceil_div(g->kp, WINO_SOME);
    for (g->at = 0; g->at < g->units; g->at += g->block) {
        wino_each(g, wino_both_task, least(g->block, g->units - g->at) * parts);
        wino_each(g, wino_rectangle_task, g->panels * ceil_div(g->kp, g->high));
    }
}

/* ---- entries ---- */

static void wino_go(wino *g, mxl_runtime *rt, const mxl_call *c, int mode)
{
    wino_plan(g, mode);
    g->work = c->work;
    const double work = 36. * (double)(g->n * g->th * g->tw) * (double)g->c * (double)g->k;
    g->threads = mxl_enter(rt, c->threads, work > 1e15 ? (int64_t)1e15 : (int64_t)work, 4 * MXL_GRAIN);
    if (mode == 0) wino_wgrad(g);
    else if (mode == WINO_TILES) wino_tiles_first(g);
    else wino_filters_first(g);
    mxl_leave(rt, g->threads);
}

static wino_epilogue wino_epilogue_of(const conv_args *a)
{
    return (wino_epilogue){(int)a->act, (float)a->lo, (float)a->hi};
}

static void wino_forward(mxl_runtime *rt, const mxl_call *c, const conv_args *a)
{
    wino g = {.x = c->in[0].data, .y = c->out[0].data, .bias = CONV_BIAS(c, a), .residual = CONV_RESIDUAL(c, a),
              .e = wino_epilogue_of(a), .n = a->batch, .c = a->channels, .k = a->filters, .h = a->src[1],
              .w = a->src[2], .oh = a->dst[1], .ow = a->dst[2], .ph = a->pad[1], .pw = a->pad[2]};
    *(a->prepared ? &g.ready : &g.weight) = c->in[1].data;
    wino_go(&g, rt, c, (int)a->winograd);
}

/* A convolution of dy, padded by what the other one left out, with the weight turned round and its axes exchanged. */
static void wino_dgrad(mxl_runtime *rt, const mxl_call *c, const conv_args *a)
{
    wino g = {.x = c->in[0].data, .weight = c->in[1].data, .flip = 1, .y = c->out[0].data, .bias = CONV_BIAS(c, a),
              .residual = CONV_RESIDUAL(c, a), .e = wino_epilogue_of(a), .n = a->batch, .c = a->filters,
              .k = a->channels, .h = a->dst[1], .w = a->dst[2], .oh = a->src[1], .ow = a->src[2],
              .ph = 2 - a->pad[1], .pw = 2 - a->pad[2]};
    wino_go(&g, rt, c, (int)a->winograd);
}

static void wino_weight_grad(mxl_runtime *rt, const mxl_call *c, const conv_args *a)
{
    wino g = {.x = c->in[1].data, .dy = c->in[0].data, .y = c->out[0].data, .n = a->batch, .c = a->channels,
              .k = a->filters, .h = a->src[1], .w = a->src[2], .oh = a->dst[1], .ow = a->dst[2], .ph = a->pad[1],
              .pw = a->pad[2]};
    wino_go(&g, rt, c, 0);
}

/* The weight in Winograd's domain, as wino_forward takes it; zeros behind it. */
static void wino_prepare(mxl_runtime *rt, const mxl_call *c, const conv_args *a)
{
    wino g = {.weight = c->in[0].data, .n = 1, .c = a->channels, .k = a->filters, .oh = 4, .ow = 4};
    wino_plan(&g, WINO_TILES);
    float *u = c->out[0].data;
    const int64_t used = g.shared / (int64_t)sizeof(float);
    memset(u + used, 0, (c->out[0].size - used) * sizeof(float));
    g.threads = mxl_enter(rt, c->threads, 100 * g.c * g.k, 4 * MXL_GRAIN);
    if (g.threads == 1) {
        float part[144 * VL] __attribute__((aligned(64)));
        for (int64_t p = 0; p < g.panels; p++) wino_weight_panel(&g, p, u, part);
    } else {
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic, 1) num_threads(g.threads)
        for (int64_t p = 0; p < g.panels; p++) {
            float part[144 * VL] __attribute__((aligned(64)));
            wino_weight_panel(&g, p, u, part);
        }
#endif
    }
    mxl_leave(rt, g.threads);
}
#undef WV
