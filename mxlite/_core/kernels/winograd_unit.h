/* Convolution by F(4x4, 3x3): the transforms of a unit (see winograd_run.h) and of a weight, from and to tensors. */
#include "winograd.h"

typedef struct {
    const float *x, *weight, *ready, *dy;       /* source, plain weight, transformed one; gradient of the output */
    float *y;
    const float *bias, *residual;
    wino_epilogue e;
    int64_t n, c, k, h, w, oh, ow, ph, pw;
    int flip;                           /* the weight is that of the forward pass, of which this is the gradient */
    int64_t th, tw, rows, cols, down, across, units;        /* tiles, of them in a unit, units in an image and in all */
    int64_t cp, kp, pitch, depths;      /* channels and filters in whole vectors; from row to row of V */
    int64_t columns, width, panels;     /* of the product: filters, or channels for the weight's gradient */
    int64_t block, high;                /* units of a block; filters of a task of the weight's gradient */
    int64_t at, blocks;                 /* first unit of the current block; how many blocks, where each is a task */
    int threads;
    char *work;
    int64_t shared, scratch;            /* bytes of all, bytes of a thread */
} wino;

typedef struct { int64_t image, ty, tx, rows, cols, tile; } wino_unit;

INLINE int64_t wino_odd(int64_t n) { return (ceil_div(n, 16) | 1) * 16; }

static wino_unit wino_unit_at(const wino *g, int64_t u)
{
    const int64_t each = g->down * g->across, image = u / each, i = u % each / g->across, j = u % g->across;
    wino_unit t = {.image = image, .ty = i * g->rows, .tx = j * g->cols};
    t.rows = least(g->rows, g->th - t.ty);
    t.cols = least(g->cols, g->tw - t.tx);
    t.tile = image * g->th * g->tw + t.ty * g->tw + t.rows * t.tx;
    return t;
}

/* ---- transforms of a unit ---- */

/* One vector of channels of pixels [y0, y1) x [x0, x1) of an image `w` wide into `dst`, to the places in `at`. */
INLINE void wino_take(float *dst, const int *at, const float *src, int64_t plane, int64_t w, int lanes, int64_t y0,
                      int64_t y1, int64_t x0, int64_t x1)
{
    const int n = (int)(x1 - x0), all = (int)((y1 - y0) * n);
    if (n == w) {
        wino_gather(dst, at, src + y0 * w, plane, lanes, all);
        return;
    }
    for (int64_t y = y0; y < y1; y++, at += n) wino_gather(dst, at, src + y * w + x0, plane, lanes, n);
}

/* V of channels c0..c1 of unit t; `v` is plane 0 of its first tile, planes are `vs` apart. */
static void wino_input(const wino *g, const wino_unit *t, int64_t c0, int64_t c1, float *v, int64_t vs, float *image)
{
    int at[WINO_IMAGE];
    const int wide = (int)(4 * t->cols + 2), high = (int)(4 * t->rows + 2);
    const int64_t top = 4 * t->ty - g->ph, left = 4 * t->tx - g->pw;
    const int64_t y0 = most(0, top), y1 = most(y0, least(g->h, top + high));
    const int64_t x0 = most(0, left), x1 = most(x0, least(g->w, left + wide));
    if (x1 - x0 < wide || y1 - y0 < high) memset(image, 0, (size_t)wide * high * VL * sizeof(float));
    int count = 0;
    for (int64_t y = y0; y < y1; y++)
        for (int64_t x = x0; x < x1; x++) at[count++] = (int)((y - top) * wide + x - left) * VL;
    for (int64_t c = c0; c < c1; c += VL) {
        if (count) wino_take(image, at, g->x + (t->image * g->c + c) * g->h * g->w, g->h * g->w, g->w,
                             (int)least(VL, g->c - c), y0, y1, x0, x1);
        float *o = v + c;
        for (int64_t ty = 0; ty < t->rows; ty++) for (int64_t tx = 0; tx < t->cols; tx++, o += g->pitch) {
            const float *p = image + (4 * ty * wide + 4 * tx) * VL;
            WV a[6][6], z[6];
            UNROLL for (int j = 0; j < 6; j++) {
                WV d[6];
                UNROLL for (int i = 0; i < 6; i++) d[i] = LOAD(p + (i * wide + j) * VL);
                wino_data(z, d[0], d[1], d[2], d[3], d[4], d[5]);
                UNROLL for (int i = 0; i < 6; i++) a[i][j] = z[i];
            }
            UNROLL for (int i = 0; i < 6; i++) {
                wino_data(z, a[i][0], a[i][1], a[i][2], a[i][3], a[i][4], a[i][5]);
                UNROLL for (int j = 0; j < 6; j++) STORE(o + (i * 6 + j) * vs, z[j]);
            }
        }
    }
}

/* The gradient of the output, of filters k0..k1, taken to the domain: what wino_input is for the data. */
static void wino_input_gradient(const wino *g, const wino_unit *t, int64_t k0, int64_t k1, float *v, int64_t vs,
                                int64_t pitch, float *image)
{
    int at[WINO_IMAGE];
    const int wide = (int)(4 * t->cols), high = (int)(4 * t->rows);
    const int64_t y0 = 4 * t->ty, y1 = least(g->oh, y0 + high), x0 = 4 * t->tx, x1 = least(g->ow, x0 + wide);
    if (x1 - x0 < wide || y1 - y0 < high) memset(image, 0, (size_t)wide * high * VL * sizeof(float));
    int count = 0;
    for (int64_t y = 0; y < y1 - y0; y++) for (int64_t x = 0; x < x1 - x0; x++) at[count++] = (int)(y * wide + x) * VL;
    for (int64_t k = k0; k < k1; k += VL) {
        wino_take(image, at, g->dy + (t->image * g->k + k) * g->oh * g->ow, g->oh * g->ow, g->ow,
                  (int)least(VL, g->k - k), y0, y1, x0, x1);
        float *o = v + k;
        for (int64_t ty = 0; ty < t->rows; ty++) for (int64_t tx = 0; tx < t->cols; tx++, o += pitch) {
            const float *p = image + (4 * ty * wide + 4 * tx) * VL;
            WV a[6][4], z[6];
            UNROLL for (int j = 0; j < 4; j++) {
                WV d[4];
                UNROLL for (int i = 0; i < 4; i++) d[i] = LOAD(p + (i * wide + j) * VL);
                wino_gradient(z, d[0], d[1], d[2], d[3]);
                UNROLL for (int i = 0; i < 6; i++) a[i][j] = z[i];
            }
            UNROLL for (int i = 0; i < 6; i++) {
                wino_gradient(z, a[i][0], a[i][1], a[i][2], a[i][3]);
                UNROLL for (int j = 0; j < 6; j++) STORE(o + (i * 6 + j) * vs, z[j]);
            }
        }
    }
}

/* Filters k0 .. k0 + w of unit t, out of M (plane 0 of its first tile), to y with the epilogue. */
static void wino_output(const wino *g, const wino_unit *t, int64_t k0, int64_t w, const float *m, int64_t ms,
                        float *image)
{
    const int64_t y0 = 4 * t->ty, x0 = 4 * t->tx, plane = g->oh * g->ow;
    const int high = (int)least(4 * t->rows, g->oh - y0), wide = (int)least(4 * t->cols, g->ow - x0);
    for (int64_t k = k0; k < least(g->k, k0 + w); k += VL) {
        const int lanes = (int)least(VL, g->k - k);
        const WV bias = g->bias ? ENG(load_part)(g->bias + k, 0, lanes) : (WV){0};
        const float *q = m + (k - k0);
        for (int64_t ty = 0; ty < t->rows; ty++) for (int64_t tx = 0; tx < t->cols; tx++, q += w) {
            WV a[4][6], z[4];
            UNROLL for (int j = 0; j < 6; j++) {
                WV d[6];
                UNROLL for (int i = 0; i < 6; i++) d[i] = LOAD(q + (i * 6 + j) * ms);
                wino_result(z, d[0], d[1], d[2], d[3], d[4], d[5]);
                UNROLL for (int i = 0; i < 4; i++) a[i][j] = z[i];
            }
            const int rows = high - 4 * (int)ty, cols = wide - 4 * (int)tx;
            float *p = image + (4 * ty * wide + 4 * tx) * VL;
            UNROLL for (int i = 0; i < 4; i++) {
                if (i >= rows) break;
                wino_result(z, a[i][0], a[i][1], a[i][2], a[i][3], a[i][4], a[i][5]);
                UNROLL for (int j = 0; j < 4; j++) if (j < cols) STORE(p + (i * wide + j) * VL, z[j] + bias);
            }
        }
        const int64_t to = ((t->image * g->k + k) * g->oh + y0) * g->ow + x0;
        const float *residual = g->residual ? g->residual + to : NULL;
        if (wide == g->ow) wino_scatter(g->y + to, plane, image, lanes, wide * high, residual, &g->e);
        else for (int i = 0; i < high; i++)
            wino_scatter(g->y + to + i * g->ow, plane, image + i * wide * VL, lanes, wide,
                         residual ? residual + i * g->ow : NULL, &g->e);
    }
}

/* ---- weights ---- */

INLINE int64_t wino_width(const wino *g, int64_t p) { return least(g->width, g->columns - p * g->width); }
/* Floats from plane to plane of U for `depth` channels and a panel of `w` filters. */
INLINE int64_t wino_plane(int64_t depth, int64_t w) { return depth * w + WINO_PAD; }

/* Where the transformed weight of a panel from channel c0 on lies in the whole. */
static int64_t wino_place(const wino *g, int64_t p, int64_t c0)
{
    return 36 * (p * g->width * g->c + c0 * wino_width(g, p) + WINO_PAD * (p * g->depths + c0 / WINO_DEPTH));
}

/* U of filters k0 .. k0 + w and channels c0 .. c0 + depth; `part` has room for 144 vectors. */
static void wino_weight(const wino *g, int64_t k0, int64_t w, int64_t c0, int64_t depth, float *u, float *part)
{
    const int64_t us = wino_plane(depth, w);
    int at[144];
    for (int i = 0; i < 144; i++) at[i] = i * VL;
    for (int64_t k = k0; k < k0 + w; k += VL) {
        const int lanes = (int)most(0, least(VL, g->k - k));
        for (int64_t c = 0; c < depth; c++) {
            WV a[6][3], z[6], f[9];
            if (g->flip) {
                wino_gather(part, at, g->weight + ((c0 + c) * g->k + k) * 9, 9, lanes, 9);
                UNROLL for (int i = 0; i < 9; i++) f[i] = LOAD(part + (8 - i) * VL);
            } else {
                if (c % 16 == 0) wino_gather(part, at, g->weight + (k * g->c + c0 + c) * 9, g->c * 9, lanes,
                                             (int)least(16, depth - c) * 9);
                UNROLL for (int i = 0; i < 9; i++) f[i] = LOAD(part + (c % 16 * 9 + i) * VL);
            }
            UNROLL for (int j = 0; j < 3; j++) {
                wino_filter(z, f[j], f[3 + j], f[6 + j]);
                UNROLL for (int i = 0; i < 6; i++) a[i][j] = z[i];
            }
            float *o = u + c * w + (k - k0);
            UNROLL for (int i = 0; i < 6; i++) {
                wino_filter(z, a[i][0], a[i][1], a[i][2]);
                UNROLL for (int j = 0; j < 6; j++) STORE(o + (i * 6 + j) * us, z[j]);
            }
        }
    }
}

/* Panel p of the whole transformed weight. */
static void wino_weight_panel(const wino *g, int64_t p, float *u, float *part)
{
    const int64_t w = wino_width(g, p);
    for (int64_t c = 0; c < g->c; c += WINO_DEPTH) {
        const int64_t depth = least(WINO_DEPTH, g->c - c);
        float *to = u + wino_place(g, p, c);
        wino_weight(g, p * g->width, w, c, depth, to, part);
        for (int i = 0; i < 36; i++) memset(to + i * wino_plane(depth, w) + depth * w, 0, WINO_PAD * sizeof(float));
    }
}

/* Filters k0..k1 and channels c0..c1 of dw from their sums over tiles, du[36][filter][channel] in rows of `w`. */
static void wino_weight_gradient(const wino *g, int64_t k0, int64_t k1, int64_t c0, int64_t c1, const float *du,
                                 int64_t us, int64_t w, int add, float *part)
{
    const wino_epilogue none = {0};
    for (int64_t k = k0; k < k1; k++) for (int64_t c = c0; c < c1; c += VL) {
        WV a[3][6], z[3];
        const float *p = du + (k - k0) * w + (c - c0);
        UNROLL for (int j = 0; j < 6; j++) {
            WV d[6];
            UNROLL for (int i = 0; i < 6; i++) d[i] = LOAD(p + (i * 6 + j) * us);
            wino_filter_gradient(z, d[0], d[1], d[2], d[3], d[4], d[5]);
            UNROLL for (int i = 0; i < 3; i++) a[i][j] = z[i];
        }
        UNROLL for (int i = 0; i < 3; i++) {
            wino_filter_gradient(z, a[i][0], a[i][1], a[i][2], a[i][3], a[i][4], a[i][5]);
            UNROLL for (int j = 0; j < 3; j++) STORE(part + (i * 3 + j) * VL, z[j]);
        }
        float *to = g->y + (k * g->c + c) * 9;
        wino_scatter(to, 9, part, (int)least(VL, g->c - c), 9, add ? to : NULL, &none);
    }
}
