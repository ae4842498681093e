/* Convolution and its gradients as matrix products whose second factor exists only as packed panels.
 *
 *   forward   C(filter, pixel)      = W(filter, channel x tap)  X(channel x tap, pixel)
 *   dgrad     C(channel, position)  = W'(channel, filter x tap) DY(filter x tap, position), once a stride phase;
 *             with a bias it is the forward pass of Deconvolution
 *   wgrad     C(filter, channel x tap) = DY(filter, pixel)      X'(pixel, channel x tap)
 *
 * Pixels are numbered through the whole batch, so that small images fill whole panels. X is what a `view` shows of a
 * source tensor: element (channel, tap, pixel) is the source at stride * pixel + offset(tap), zero outside of it.
 * With a stride, the positions of dgrad fall into phases: all positions of one phase see the same taps, in a view of
 * stride 1 of dy, so nothing is multiplied by inserted zeros.
 */
#include "engine.h"

#ifndef MXL_CONV_VIEW
#define MXL_CONV_VIEW
typedef struct {
    int64_t src[3], out[3], step[3];        /* source size, how many pixels, from pixel to pixel in the source */
    int64_t taps[3], off0[3], doff[3];      /* offset of tap t along an axis: off0 + t * doff */
    int64_t cs, is;                         /* source strides: channel, image */
    int64_t pixels, rs;                     /* products of out and of taps */
} view;

/* A stretch of consecutive pixels in one output row; z, y, x: where its first one lies in the source, without tap. */
typedef struct { int64_t image, z, y, x; int pos, len; } run;
/* What one tap sees of at most one vector of a run: lanes lo..hi lie inside the source, lane j at off + j * step. */
typedef struct { int64_t off; int pos, len, lo, hi; } piece;

static void view_finish(view *v, int flat)
{
    for (int i = 0; i < 3; i++) flat &= v->taps[i] == 1 && v->step[i] == 1 && v->off0[i] == 0 && v->src[i] == v->out[i];
    if (flat) {         /* 1x1: an image is one row */
        v->src[2] = v->out[2] = v->src[0] * v->src[1] * v->src[2];
        v->src[0] = v->src[1] = v->out[0] = v->out[1] = 1;
    }
    v->pixels = v->out[0] * v->out[1] * v->out[2];
    v->rs = v->taps[0] * v->taps[1] * v->taps[2];
}

/* The runs of pixels q0 .. q0 + n, then one of nothing up to `w`. Returns how many: at most n + 1. */
static int view_runs(const view *v, int64_t q0, int n, int w, run *r)
{
    int64_t image = q0 / v->pixels, p = q0 % v->pixels;
    int64_t x = p % v->out[2], y = p / v->out[2] % v->out[1], z = p / v->out[2] / v->out[1];
    int count = 0, pos = 0;
    while (pos < n) {
        const int len = (int)least(n - pos, v->out[2] - x);
        r[count++] = (run){image * v->is, z * v->step[0], y * v->step[1], x * v->step[2], pos, len};
        pos += len;
        x = 0;
        if (++y == v->out[1]) {
            y = 0;
            if (++z == v->out[0]) z = 0, image++;
        }
    }
    if (pos < w) r[count++] = (run){0, INT64_MIN / 2, 0, 0, pos, w - pos};
    return count;
}

/* Cuts runs into vectors of `vl` lanes as seen by `tap`. Returns how many: at most runs + lanes / vl. */
static int view_pieces(const view *v, int64_t tap, const run *r, int count, int vl, piece *s)
{
    const int64_t c = tap % v->taps[2], b = tap / v->taps[2] % v->taps[1], a = tap / v->taps[2] / v->taps[1];
    const int64_t dz = v->off0[0] + a * v->doff[0], dy = v->off0[1] + b * v->doff[1], dx = v->off0[2] + c * v->doff[2];
    const piece *first = s;
    for (; count; count--, r++) {
        const int64_t z = r->z + dz, y = r->y + dy, x = r->x + dx, sw = v->step[2];
        int64_t lo = 0, hi = 0;
        if (z >= 0 && z < v->src[0] && y >= 0 && y < v->src[1] && x < v->src[2]) {
            lo = x >= 0 ? 0 : least(r->len, sw == 1 ? -x : (-x + sw - 1) / sw);
            hi = most(lo, least(r->len, sw == 1 ? v->src[2] - x : (v->src[2] - 1 - x) / sw + 1));
        }
        const int64_t off = lo == hi ? 0 : r->image + (z * v->src[1] + y) * v->src[2] + x;
        for (int j = 0; j < r->len; j += vl, s++) {
            const int len = r->len - j < vl ? r->len - j : vl;
            *s = (piece){off + j * sw, r->pos + j, len, (int)least(len, most(0, lo - j)),
                         (int)least(len, most(0, hi - j))};
        }
    }
    return (int)(s - first);
}
#endif

typedef struct { view v; const REAL *src; int64_t group; int64_t out_image, out_size[3], out_step[3], out_at[3];
                 const conv_args *g; int64_t tap0[3], tap_step[3]; } ENG(conv_ctx);

/* One row of X: `room` elements from the pieces, in order, so that a vector may run over into the next piece. */
INLINE void ENG(fill)(REAL *dst, int room, const REAL *x, const piece *s, int count, int64_t step)
{
    for (; count; count--, s++) {
        REAL *d = dst + s->pos;
        const REAL *p = x + s->off;
        if (step == 1) {
            const ENG(vec) v = ENG(load_part)(p, s->lo, s->hi);
            if (s->pos + VL <= room) STORE(d, v);
            else ENG(store_part)(d, v, s->len);
        } else {
            for (int j = 0; j < s->lo; j++) d[j] = 0;
            for (int j = s->lo; j < s->hi; j++) d[j] = p[j * step];
            for (int j = s->hi; j < s->len; j++) d[j] = 0;
        }
    }
}

/* Panel of X(channel x tap, pixel): taps outside, so that the pieces of a tap serve all its channels. */
static void ENG(b_pixels)(const ENG(job) *d, int64_t b, REAL *dst, int64_t n0, int cols, int w, int64_t k0, int kc,
                          REAL *tmp)
{
    const ENG(conv_ctx) *x = d->ctx;
    const view *v = &x->v;
    run runs[PANEL_N + 1];
    piece pieces[2 * PANEL_N + 2];
    const int n_runs = view_runs(v, n0, cols, w, runs);
    (void)tmp;
    for (int64_t tap = 0; tap < v->rs; tap++) {
        int64_t c = k0 <= tap ? 0 : ceil_div(k0 - tap, v->rs), k = c * v->rs + tap - k0;
        if (k >= kc) continue;
        const int count = view_pieces(v, tap, runs, n_runs, VL, pieces);
        const REAL *src = x->src + b * x->group + c * v->cs;
        if (v->step[2] == 1) for (; k < kc; k += v->rs, src += v->cs) ENG(fill)(dst + k * w, w, src, pieces, count, 1);
        else for (; k < kc; k += v->rs, src += v->cs) ENG(fill)(dst + k * w, w, src, pieces, count, v->step[2]);
    }
}

/* Panel of X'(pixel, channel x tap): rows as above, then transposed, VL columns at a time. */
static void ENG(b_taps)(const ENG(job) *d, int64_t b, REAL *dst, int64_t n0, int cols, int w, int64_t k0, int kc,
                        REAL *tmp)
{
    const ENG(conv_ctx) *x = d->ctx;
    const view *v = &x->v;
    run runs[BLOCK_K + 1];
    piece pieces[2 * BLOCK_K + 2];
    const int n_runs = view_runs(v, k0, kc, kc, runs);
    for (int j0 = 0; j0 < w; j0 += VL) {
        const int n = (int)most(0, least(VL, cols - j0));
        for (int i = 0; i < n && i < v->rs; i++) {      /* columns rs apart have the same tap */
            const int count = view_pieces(v, (n0 + j0 + i) % v->rs, runs, n_runs, VL, pieces);
            const REAL *src = x->src + b * x->group + (n0 + j0 + i) / v->rs * v->cs;
            for (int64_t j = i; j < n; j += v->rs, src += v->cs)
                ENG(fill)(tmp + j * kc, kc, src, pieces, count, v->step[2]);
        }
        ENG(pack_rows)(dst + j0, w, VL, tmp, kc, n, kc);
    }
}

static void ENG(a_weight)(const ENG(job) *d, int64_t b, REAL *dst, int64_t m0, int rows, int64_t k0, int kc)
{
    ENG(pack_rows)(dst, MR, MR, d->a + b * d->a_batch + m0 * d->lda + k0, d->lda, rows, kc);
}

/* W'(channel, filter x tap): the taps of this phase of a transposed weight. */
static void ENG(a_weight_trans)(const ENG(job) *d, int64_t b, REAL *dst, int64_t m0, int rows, int64_t k0, int kc)
{
    const ENG(conv_ctx) *x = d->ctx;
    const conv_args *g = x->g;
    const view *v = &x->v;
    const int64_t full = g->kernel[0] * g->kernel[1] * g->kernel[2];
    int64_t f = k0 / v->rs, tap = k0 % v->rs;
    int64_t tx = tap % v->taps[2], ty = tap / v->taps[2] % v->taps[1], tz = tap / v->taps[2] / v->taps[1];
    for (int k = 0; k < kc; k++, dst += MR) {
        const int64_t at = ((x->tap0[0] + tz * x->tap_step[0]) * g->kernel[1] + x->tap0[1] + ty * x->tap_step[1])
                           * g->kernel[2] + x->tap0[2] + tx * x->tap_step[2];
        const REAL *p = d->a + b * d->a_batch + f * d->lda + m0 * full + at;
        if (tx + ty + tz == 0) for (int i = 0; i < rows; i++) __builtin_prefetch(p + 2 * d->lda + i * full);
        if (rows == MR) UNROLL for (int i = 0; i < MR; i++) dst[i] = p[i * full];
        else for (int i = 0; i < MR; i++) dst[i] = i < rows ? p[i * full] : 0;
        if (++tx < v->taps[2]) continue;
        tx = 0;
        if (++ty < v->taps[1]) continue;
        ty = 0;
        if (++tz == v->taps[0]) tz = 0, f++;
    }
}

/* DY(filter, pixel): pixels run on from image to image. */
static void ENG(a_dy)(const ENG(job) *d, int64_t b, REAL *dst, int64_t m0, int rows, int64_t k0, int kc)
{
    const ENG(conv_ctx) *x = d->ctx;
    const int64_t pixels = x->v.pixels;
    int64_t image = k0 / pixels, p = k0 % pixels;
    for (int k = 0; k < kc; image++, p = 0) {
        const int len = (int)least(kc - k, pixels - p);
        const REAL *dy = d->a + image * x->out_image + b * d->a_batch + m0 * pixels + p;
        ENG(pack_rows)(dst + (int64_t)k * MR, MR, MR, dy, pixels, rows, len);
        k += len;
    }
}

static void ENG(place_pixels)(const ENG(job) *d, int64_t n0, int cols, int64_t *off)
{
    const ENG(conv_ctx) *x = d->ctx;
    int64_t image = n0 / x->v.pixels, p = n0 % x->v.pixels;
    for (int j = 0; j < cols; j++) {
        off[j] = image * x->out_image + p;
        if (++p == x->v.pixels) p = 0, image++;
    }
}

static void ENG(place_phase)(const ENG(job) *d, int64_t n0, int cols, int64_t *off)
{
    const ENG(conv_ctx) *x = d->ctx;
    const int64_t *out = x->v.out;
    int64_t image = n0 / x->v.pixels, p = n0 % x->v.pixels;
    int64_t c = p % out[2], b = p / out[2] % out[1], a = p / out[2] / out[1];
    for (int j = 0; j < cols; j++) {
        off[j] = image * x->out_image + ((a * x->out_step[0] + x->out_at[0]) * x->out_size[1] + b * x->out_step[1]
                 + x->out_at[1]) * x->out_size[2] + c * x->out_step[2] + x->out_at[2];
        if (++c == out[2]) {
            c = 0;
            if (++b == out[1]) {
                b = 0;
                if (++a == out[0]) a = 0, image++;
            }
        }
    }
}

/* What forward and wgrad see of the data. */
static void ENG(view_data)(const conv_args *g, ENG(conv_ctx) *x, const REAL *data)
{
    const int64_t in = g->src[0] * g->src[1] * g->src[2];
    *x = (ENG(conv_ctx)){.src = data, .group = g->channels / g->groups * in, .g = g};
    x->v.cs = in;
    x->v.is = g->channels * in;
    for (int i = 0; i < 3; i++) {
        x->v.src[i] = g->src[i], x->v.out[i] = g->dst[i], x->v.step[i] = g->stride[i];
        x->v.taps[i] = g->kernel[i], x->v.off0[i] = -g->pad[i], x->v.doff[i] = g->dilate[i];
    }
    view_finish(&x->v, 1);
    x->out_image = g->filters * x->v.pixels;
}

static void ENG(conv_forward)(mxl_runtime *rt, const mxl_call *c, const conv_args *g)
{
    ENG(conv_ctx) x;
    ENG(view_data)(g, &x, c->in[0].data);
    const int64_t m = g->filters / g->groups, k = g->channels / g->groups * x.v.rs;
    ENG(job) d = {.m = m, .n = g->batch * x.v.pixels, .k = k, .batch = g->groups, .pack_a = ENG(a_weight),
                  .pack_b = ENG(b_pixels), .place = ENG(place_pixels), .c = c->out[0].data, .ldc = x.v.pixels,
                  .c_batch = m * x.v.pixels, .bias_m = c->n_in > 2 ? c->in[2].data : NULL, .bias_batch = m, .ctx = &x,
                  .a = c->in[1].data, .lda = k, .a_batch = m * k, .work = c->work};
    ENG(run)(&d, rt, c->threads);
}

static void ENG(fill_plane)(REAL *y, int64_t n, REAL value)
{
    if (value == 0) memset(y, 0, n * sizeof(REAL));
    else for (int64_t i = 0; i < n; i++) y[i] = value;
}

static void ENG(conv_dgrad)(mxl_runtime *rt, const mxl_call *c, const conv_args *g)
{
    const int64_t f = g->filters / g->groups, m = g->channels / g->groups;
    const int64_t in = g->src[0] * g->src[1] * g->src[2], out = g->dst[0] * g->dst[1] * g->dst[2];
    const int64_t taps = g->kernel[0] * g->kernel[1] * g->kernel[2];
    int64_t at[3];
    const REAL *bias = c->n_in > 2 ? c->in[2].data : NULL;     /* of a Deconvolution, one value a channel */
    /* with gaps between windows some positions are in none: their phases have no taps */
    for (int i = 0; i < 3; i++) if (g->stride[i] > 1 && (g->kernel[i] < g->stride[i] || g->dilate[i] > 1)) {
        for (int64_t t = 0; t < g->batch * g->channels; t++)
            ENG(fill_plane)((REAL *)c->out[0].data + t * in, in, bias ? bias[t % g->channels] : 0);
        break;
    }
    for (at[0] = 0; at[0] < least(g->stride[0], g->src[0]); at[0]++)
    for (at[1] = 0; at[1] < least(g->stride[1], g->src[1]); at[1]++)
    for (at[2] = 0; at[2] < least(g->stride[2], g->src[2]); at[2]++) {
        ENG(conv_ctx) x = {.src = c->in[0].data, .group = f * out, .g = g, .out_image = g->channels * in};
        x.v.cs = out;
        x.v.is = g->filters * out;
        int plain = 1;
        for (int i = 0; i < 3; i++) {
            const int64_t s = g->stride[i];
            x.v.src[i] = g->dst[i];
            x.v.out[i] = g->src[i] > at[i] ? ceil_div(g->src[i] - at[i], s) : 0;
            x.v.step[i] = 1;
            x.out_size[i] = g->src[i], x.out_step[i] = s, x.out_at[i] = at[i];
            plain &= s == 1;
            for (int64_t t = 0; t < g->kernel[i]; t++) {
                const int64_t r = at[i] + g->pad[i] - t * g->dilate[i];
                if (r % s) continue;
                if (x.v.taps[i] == 0) x.tap0[i] = t, x.v.off0[i] = r / s;
                else if (x.v.taps[i] == 1) x.tap_step[i] = t - x.tap0[i], x.v.doff[i] = r / s - x.v.off0[i];
                x.v.taps[i]++;
            }
        }
        view_finish(&x.v, plain);
        if (x.v.rs == 0) continue;
        ENG(job) d = {.m = m, .n = g->batch * x.v.pixels, .k = f * x.v.rs, .batch = g->groups,
                      .pack_a = ENG(a_weight_trans), .pack_b = ENG(b_pixels),
                      .place = plain ? ENG(place_pixels) : ENG(place_phase), .c = c->out[0].data, .ldc = in,
                      .c_batch = m * in, .bias_m = bias, .bias_batch = m, .ctx = &x, .a = c->in[1].data,
                      .lda = m * taps, .a_batch = f * m * taps, .work = c->work};
        ENG(run)(&d, rt, c->threads);
    }
}

static void ENG(conv_wgrad)(mxl_runtime *rt, const mxl_call *c, const conv_args *g)
{
    ENG(conv_ctx) x;
    ENG(view_data)(g, &x, c->in[1].data);
    const int64_t m = g->filters / g->groups, n = g->channels / g->groups * x.v.rs, k = g->batch * x.v.pixels;
    ENG(job) d = {.m = m, .n = n, .k = k, .batch = g->groups, .pack_a = ENG(a_dy), .pack_b = ENG(b_taps),
                  .c = c->out[0].data, .ldc = n, .c_batch = m * n, .ctx = &x, .a = c->in[0].data,
                  .a_batch = m * x.v.pixels, .work = c->work,
                  .tmp_thread = ceil_to(16 * least(k, BLOCK_K) * (int64_t)sizeof(REAL) + 64, 64)};
    ENG(run)(&d, rt, c->threads);
}
