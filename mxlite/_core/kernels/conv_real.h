/* Convolution and its gradients as matrix products whose second factor exists only as packed panels.
 *
 *   forward   C(filter, pixel)      = W(filter, channel x tap)  X(channel x tap, pixel)
 *   dgrad     C(channel, position)  = W'(channel, filter x tap) DY(filter x tap, position), once a stride phase;
 *             with a bias it is the forward pass of Deconvolution
 *   wgrad     C(filter, channel x tap) = DY(filter, pixel)      X'(pixel, channel x tap)
 *
 * X is what a view (conv_view.h) shows of a source tensor, pixels numbered through the whole batch.
 * With a stride, the positions of dgrad fall into phases: all positions of one phase see the same taps, in a view of
 * stride 1 of dy, so nothing is multiplied by inserted zeros.
 */
#include "engine.h"
#include "conv_lanes.h"
#include "conv_view.h"

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
    if (full == 1) {
        const REAL *p = d->a + b * d->a_batch + k0 * d->lda + m0;
        for (int k = 0; k < kc; k++, dst += MR, p += d->lda) {
            __builtin_prefetch(p + 16 * d->lda);
            if (rows == MR) memcpy(dst, p, MR * sizeof(REAL));
            else for (int i = 0; i < MR; i++) dst[i] = i < rows ? p[i] : 0;
        }
        return;
    }
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

/* Rows of pixels, which run on from image to image: DY(filter, pixel), or X(channel, pixel) of a 1x1. */
INLINE void ENG(image_rows)(const ENG(job) *d, int64_t b, const REAL *from, int64_t image_size, REAL *dst, int ldd,
                            int w, int64_t r0, int rows, int64_t k0, int kc)
{
    const int64_t pixels = ((const ENG(conv_ctx) *)d->ctx)->v.pixels;
    k0 += d->k_from + b * d->k_part;
    int64_t image = k0 / pixels, p = k0 % pixels;
    for (int k = 0; k < kc; image++, p = 0) {
        const int len = (int)least(kc - k, pixels - p);
        ENG(pack_rows)(dst + (int64_t)k * ldd, ldd, w, from + image * image_size + r0 * pixels + p, pixels, rows, len);
        k += len;
    }
}

static void ENG(a_rows)(const ENG(job) *d, int64_t b, REAL *dst, int64_t m0, int rows, int64_t k0, int kc)
{
    ENG(image_rows)(d, b, d->a + b * d->a_batch, d->a_run, dst, MR, MR, m0, rows, k0, kc);
}

static void ENG(b_rows)(const ENG(job) *d, int64_t b, REAL *dst, int64_t n0, int cols, int w, int64_t k0, int kc,
                        REAL *tmp)
{
    (void)tmp;
    ENG(image_rows)(d, b, d->b, d->ldb, dst, w, w, n0, cols, k0, kc);
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

static ENG(job) ENG(forward_job)(const mxl_call *c, const conv_args *g, ENG(conv_ctx) *x)
{
    ENG(view_data)(g, x, c->in[0].data);
    const int64_t m = g->filters / g->groups, k = g->channels / g->groups * x->v.rs;
    return (ENG(job)){.m = m, .n = g->batch * x->v.pixels, .k = k, .batch = g->groups, .pack_a = ENG(a_weight),
                      .pack_b = ENG(b_pixels), .source = ENG(source_pixels), .place = ENG(place_pixels),
                      .ldc = x->v.pixels,
                      .c_batch = m * x->v.pixels, .bias_batch = m, .ctx = x, .lda = k, .a_batch = m * k,
                      .work = c->work};
}

static void ENG(conv_forward)(mxl_runtime *rt, const mxl_call *c, const conv_args *g)
{
    ENG(conv_ctx) x;
    ENG(job) d = ENG(forward_job)(c, g, &x);
    d.a = c->in[1].data;
    if (g->prepared) d.packed_a = d.a;
    d.c = c->out[0].data;
    d.bias_m = CONV_BIAS(c, g);
    d.residual = CONV_RESIDUAL(c, g);
    d.act = (int)g->act, d.lo = (REAL)g->lo, d.hi = (REAL)g->hi;
    ENG(run)(&d, rt, c->threads);
}

/* The weight as forward's packed_a; what the output has beyond it is 0. */
static void ENG(pack_weight)(mxl_runtime *rt, const mxl_call *c, const conv_args *g)
{
    ENG(conv_ctx) x;
    mxl_tensor in[2] = {{0}, c->in[0]};
    mxl_call like = *c;
    like.in = in;
    ENG(job) d = ENG(forward_job)(&like, g, &x);
    REAL *to = c->out[0].data;
    const int64_t size = ENG(packed_a_size)(&d) * d.batch;
    d.a = c->in[0].data;
    ENG(pack_whole_a)(&d, to, rt, c->threads);
    memset(to + size, 0, (c->out[0].size - size) * sizeof(REAL));
}

static void ENG(fill_plane)(REAL *y, int64_t n, REAL value)
{
    if (value == 0) memset(y, 0, n * sizeof(REAL));
    else for (int64_t i = 0; i < n; i++) y[i] = value;
}

/* The channels' biases (NULL: 0) all over planes of n elements. */
static void ENG(fill_planes)(REAL *y, int64_t planes, int64_t n, const REAL *bias, int64_t channels, mxl_runtime *rt,
                             int threads)
{
    const int nt = mxl_enter(rt, threads, planes * n, MXL_GRAIN);
#define FILL(a, b) for (int64_t t = a; t < b; t++) ENG(fill_plane)(y + t * n, n, bias ? bias[t % channels] : 0);
    if (nt == 1) {
        FILL(0, planes)
    } else {
#ifdef _OPENMP
#pragma omp parallel for schedule(static, 1) num_threads(nt)
        for (int i = 0; i < nt; i++) FILL(planes * i / nt, planes * (i + 1) / nt)
#endif
    }
#undef FILL
    mxl_leave(rt, nt);
}

static void ENG(conv_dgrad)(mxl_runtime *rt, const mxl_call *c, const conv_args *g)
{
    const int64_t f = g->filters / g->groups, m = g->channels / g->groups;
    const int64_t in = g->src[0] * g->src[1] * g->src[2], out = g->dst[0] * g->dst[1] * g->dst[2];
    const int64_t taps = g->kernel[0] * g->kernel[1] * g->kernel[2];
    int64_t at[3];
    const REAL *bias = CONV_BIAS(c, g);     /* of a Deconvolution, one value a channel */
    /* with gaps between windows some positions are in none: their phases have no taps */
    for (int i = 0; i < 3; i++) if (g->stride[i] > 1 && (g->kernel[i] < g->stride[i] || g->dilate[i] > 1)) {
        ENG(fill_planes)(c->out[0].data, g->batch * g->channels, in, bias, g->channels, rt, c->threads);
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
                      .pack_a = ENG(a_weight_trans), .pack_b = ENG(b_pixels), .source = ENG(source_pixels),
                      .place = plain ? ENG(place_pixels) : ENG(place_phase), .c = c->out[0].data, .ldc = in,
                      .c_batch = m * in, .bias_m = bias, .bias_batch = m, .residual = CONV_RESIDUAL(c, g),
                      .ctx = &x, .a = c->in[1].data, .a_step = 32, .lda = m * taps,
                      .a_batch = f * m * taps, .work = c->work};
        ENG(run)(&d, rt, c->threads);
    }
}

#ifndef MXL_CONV_PARTS
#define MXL_CONV_PARTS
enum { PARTS = 8, PARTS_BYTES = 1 << 20, CHUNK_BYTES = 1 << 22, CHUNK = 2048,
       LONG_RUN = 128 };        /* ops/conv.py has the same */
/* Pixels of a part of a weight's gradient m x n over k pixels. Where C is a few blocks only, parts are summed for
 * themselves and then added up (`apart`), so that threads have parts to share out; elsewhere one after another onto
 * what is there, so that dy's part stays in a cache. By size alone, in whole blocks of k. */
static inline int64_t wgrad_part(int64_t m, int64_t n, int64_t k, int64_t groups, int64_t size, int *apart)
{
    const int64_t block = BLOCK_K_BYTES / size;
    const int64_t parts = least(least(PARTS, k / (2 * block)), PARTS_BYTES / (m * n * size));
    *apart = groups == 1 && n <= BLOCK_N && parts > 1;
    if (*apart) return ceil_to(ceil_div(k, parts), block);
    return groups > 1 ? k : ceil_to(most(CHUNK, CHUNK_BYTES / (m * size)), block);
}
/* Whether the gradient is computed transposed: of a 1x1, whose data is a matrix as it is, and the larger one. */
static inline int wgrad_flips(const conv_args *g, const view *v)
{
    int plain = v->rs == 1 && g->groups == 1 && g->channels > g->filters && v->pixels >= LONG_RUN;
    for (int i = 0; i < 3; i++) plain &= g->stride[i] == 1 && g->src[i] == g->dst[i];
    return plain;
}
#endif

/* dw[i] = the sum of `parts` arrays of `size` elements, for i in a..b. `dw` may be the first of them. */
static void ENG(add_parts)(REAL *dw, const REAL *sums, int64_t size, int64_t parts, int64_t a, int64_t b)
{
    for (int64_t i = a; i < b; i++) {
        REAL s = sums[i];
        for (int64_t j = 1; j < parts; j++) s += sums[j * size + i];
        dw[i] = s;
    }
}

/* The gradient from its parts, each m x n, or n x m where it was computed transposed. */
static void ENG(finish_weight)(REAL *dw, REAL *sums, int64_t parts, int64_t m, int64_t n, int flip, mxl_runtime *rt,
                               int threads)
{
    const int64_t size = m * n;
    const int nt = mxl_enter(rt, threads, (parts + flip) * size, MXL_GRAIN);
#define ADD(i) ENG(add_parts)(flip ? sums : dw, sums, size, parts, size * (i) / nt, size * ((i) + 1) / nt)
/* columns of dw: whole vectors of them */
#define FROM(i) (ceil_div(n, VL) * (i) / nt * VL)
#define TURN(i) ENG(pack_rows)(dw + FROM(i), (int)n, (int)(least(n, FROM((i) + 1)) - FROM(i)), sums + FROM(i) * m, m, \
                               (int)(least(n, FROM((i) + 1)) - FROM(i)), (int)m)
    if (nt == 1) {
        if (!flip || parts > 1) ADD(0);
        if (flip) TURN(0);
    } else {
#ifdef _OPENMP
        if (!flip || parts > 1) {
#pragma omp parallel for schedule(static, 1) num_threads(nt)
            for (int i = 0; i < nt; i++) ADD(i);
        }
        if (flip) {
#pragma omp parallel for schedule(static, 1) num_threads(nt)
            for (int i = 0; i < nt; i++) TURN(i);
        }
#endif
    }
#undef ADD
#undef FROM
#undef TURN
    mxl_leave(rt, nt);
}

static void ENG(conv_wgrad)(mxl_runtime *rt, const mxl_call *c, const conv_args *g)
{
    ENG(conv_ctx) x;
    ENG(view_data)(g, &x, c->in[1].data);
    const int64_t filters = g->filters / g->groups, columns = g->channels / g->groups * x.v.rs, pixels = x.v.pixels;
    const int64_t size = filters * columns, k = g->batch * pixels;
    if (size == 0) return;
    const int flip = wgrad_flips(g, &x.v);
    const int64_t m = flip ? columns : filters, n = flip ? filters : columns;
    int apart;
    const int64_t part = wgrad_part(m, n, k, g->groups, sizeof(REAL), &apart);
    const int64_t parts = most(1, ceil_div(k, most(1, part)));
    REAL *dw = c->out[0].data, *sums = c->work;
    ENG(job) d = {.m = m, .n = n, .k = k, .batch = g->groups, .pack_a = ENG(a_rows), .pack_b = ENG(b_taps),
                  .source = ENG(source_taps), .c = dw, .ldc = n, .c_batch = size, .ctx = &x, .a = c->in[0].data,
                  .a_batch = m * pixels, .a_row = pixels, .a_run = g->filters * pixels, .work = c->work,
                  .tmp_thread = ENG(taps_bytes)(&x.v, least(k, part))};
    if (flip) {
        d.pack_b = ENG(b_rows), d.b = d.a, d.ldb = d.a_run;
        d.source = NULL;
        d.a = c->in[1].data, d.a_run = x.v.is;
    }
    if (pixels >= LONG_RUN) d.k_run = pixels, d.a_k = d.a_as_is = 1;        /* A as it lies in memory */
    if (apart || flip) {
        d.c = sums;
        d.work += ceil_to((apart ? parts : 1) * size * (int64_t)sizeof(REAL), 64);
    }
    if (!apart) {
        for (int64_t i = 0; i < parts; i++) {
            ENG(job) one = d;
            if (parts > 1) one.k_part = part, one.k_from = i * part;
            one.k = least(part, k - i * part);
            one.residual = i ? one.c : NULL;
            ENG(run)(&one, rt, c->threads);
        }
        if (flip) ENG(finish_weight)(dw, sums, 1, filters, columns, 1, rt, c->threads);
        return;
    }
    ENG(job) rest = d;              /* the last one is shorter */
    d.k = d.k_part = part;
    d.a_batch = 0;
    d.batch = parts - 1;
    ENG(run)(&d, rt, c->threads);
    rest.k_part = part, rest.k_from = (parts - 1) * part;
    rest.k = k - rest.k_from;
    rest.batch = 1;
    rest.c = sums + (parts - 1) * size;
    ENG(run)(&rest, rt, c->threads);
    ENG(finish_weight)(dw, sums, parts, filters, columns, flip, rt, c->threads);
}
