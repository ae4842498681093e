/* Convolutions of two axes with filters in the lanes of vectors, for one type and level.
 *
 * A band of rows of the source is copied with its padding; of that every element is broadcast to vectors of filters,
 * so that steps and dilation cost nothing, and no element is packed once a tap as the engine's panels need. Forward, a
 * tile is some pixels by some vectors of filters, over all channels and taps; pixels are numbered on through rows. The
 * data's gradient at stride 1 is the same on dy with the taps turned round. The weight's gradient is some taps by some
 * vectors of filters, over the band's pixels, with dy transposed once. */
#ifndef MXL_CONV_FILTERS
#define MXL_CONV_FILTERS
enum { BAND_BYTES = 3 << 17, BAND_PIXELS = 48, BAND_TASKS = 16, BAND_PARTS = 16, BAND_SUMS = 1 << 20,
       BAND_TAPS = 6, BAND_FEW = 64,
       BAND_ALL = 1 << 22 };        /* ops/conv.py: the same numbers */
typedef struct {
    int64_t channels, filters, groups, k, taps;     /* of a group: of the source, of the result, channels x taps */
    int64_t batch, size[2], out[2], step[2], low[2], at[2], kernel[2];      /* `at`: from tap to tap */
    int64_t rows, bands, tall, pitch;       /* rows of the result a band, and its part of the source */
    int64_t wide;                           /* filters, in whole vectors of the widest level */
} bands;

/* kind: 0 forward, 1 data's gradient, 2 weight's gradient. 0 where bands do not fit the caches. */
static int bands_of(const conv_args *g, int kind, int64_t size, bands *t)
{
    const int back = kind == 1;
    if (g->kernel[0] > 1 || g->src[0] != 1 || g->dst[0] != 1 || g->pad[0] || g->batch < 1) return 0;
    if (g->channels < 1 || g->filters < 1) return 0;
    *t = (bands){.groups = g->groups, .batch = g->batch, .taps = g->kernel[1] * g->kernel[2]};
    t->channels = (back ? g->filters : g->channels) / g->groups;
    t->filters = (back ? g->channels : g->filters) / g->groups;
    t->wide = ceil_to(t->filters, 64 / size);
    t->k = t->channels * t->taps;
    for (int i = 0; i < 2; i++) {
        const int64_t span = (g->kernel[i + 1] - 1) * g->dilate[i + 1];
        if (back && g->stride[i + 1] > 1) return 0;
        t->size[i] = back ? g->dst[i + 1] : g->src[i + 1];
        t->out[i] = back ? g->src[i + 1] : g->dst[i + 1];
        t->step[i] = g->stride[i + 1], t->at[i] = g->dilate[i + 1], t->kernel[i] = g->kernel[i + 1];
        t->low[i] = back ? g->pad[i + 1] - span : -g->pad[i + 1];
        if (t->out[i] < 1 || t->size[i] < 1) return 0;
        if (i) t->pitch = (t->out[1] - 1) * t->step[1] + 1 + span;
    }
    if (t->pitch > BAND_BYTES || t->channels > BAND_BYTES) return 0;
    const int64_t reach = (t->kernel[0] - 1) * t->at[0] + 1;
    const int64_t row = t->channels * t->pitch * size, seen = kind == 2 ? t->out[1] * t->wide * size : 0;
    if (t->taps < 2 || t->k > BAND_SUMS / (t->wide * size)) return 0;
    if (row > BAND_BYTES / reach || seen > BAND_BYTES) return 0;
    t->rows = least((BAND_BYTES / row - reach) / t->step[0] + 1, t->out[0]);
    if (seen) t->rows = least(t->rows, BAND_BYTES / seen);
    t->rows = least(t->rows, ceil_div(t->out[0] * t->batch, BAND_TASKS));
    t->bands = ceil_div(t->out[0], t->rows);
    t->rows = ceil_div(t->out[0], t->bands);
    t->bands = ceil_div(t->out[0], t->rows);
    t->tall = (t->rows - 1) * t->step[0] + reach;
    return 1;
}

/* Parts of the batch that sums of the weight's gradient are made for. */
static inline int64_t band_parts(const bands *t, int64_t size)
{
    return least(t->batch * t->bands, least(BAND_PARTS, most(4, BAND_ALL / ((t->k + BAND_TAPS) * t->wide * size))));
}
#endif
#if MXL_VB == 64
#define MOST_VECTORS 4
#else
#define MOST_VECTORS 3
#endif
#define BLOCKS(t) ceil_div(ceil_div((t)->filters, VL), MOST_VECTORS)

typedef struct {
    bands t;
    const mxl_call *c;
    const conv_args *g;
    int turned, few;                    /* the data's gradient; taps of a tile of the weight's */
    int streams;                        /* the output is too large for a cache */
    const REAL *w;                      /* packed: block of filters, channel and tap, filter */
    int32_t *off;                       /* of the taps in a band */
    REAL *sums;
    char *work;
    int64_t per_thread;
} ENG(banded);

/* Block b of the filters: where it begins, and its vectors. */
INLINE int ENG(block_of)(const bands *t, int64_t b, int64_t *from)
{
    const int64_t all = ceil_div(t->filters, VL), n = BLOCKS(t);
    *from = all * b / n * VL;
    return (int)(all * (b + 1) / n - all * b / n);
}

/* Rows of the source that the band from row y0 on sees, with zeros around. */
static void ENG(fill_band)(const bands *t, const REAL *src, int64_t y0, REAL *to)
{
    const int64_t head = least(t->pitch, most(0, -t->low[1]));
    const int64_t end = most(head, least(t->pitch, t->size[1] - t->low[1]));
    for (int64_t c = 0; c < t->channels; c++, src += t->size[0] * t->size[1])
        for (int64_t i = 0; i < t->tall; i++, to += t->pitch) {
            const int64_t z = y0 * t->step[0] + t->low[0] + i;
            if (z < 0 || z >= t->size[0]) {
                memset(to, 0, t->pitch * sizeof(REAL));
                continue;
            }
            const REAL *row = src + z * t->size[1] + t->low[1];
            for (int64_t j = 0; j < head; j++) to[j] = 0;
            int64_t j = head;
            for (; j + VL <= end; j += VL) STORE(to + j, LOAD(row + j));
            if (j < end) ENG(store_part)(to + j, ENG(load_part)(row + j, 0, (int)(end - j)), (int)(end - j));
            for (j = end; j < t->pitch; j++) to[j] = 0;
        }
}

static void ENG(band_offsets)(const ENG(banded) *r)
{
    const bands *t = &r->t;
    int32_t *off = r->off;
    for (int64_t c = 0; c < t->channels; c++)
        for (int64_t a = 0; a < t->kernel[0]; a++) for (int64_t b = 0; b < t->kernel[1]; b++) {
            const int64_t y = r->turned ? t->kernel[0] - 1 - a : a, x = r->turned ? t->kernel[1] - 1 - b : b;
            *off++ = (int32_t)((c * t->tall + y * t->at[0]) * t->pitch + x * t->at[1]);
        }
    for (int i = 0; i < BAND_TAPS; i++) *off++ = 0;
}

/* Weights of source channels c0..c1 of a group: element (channel and tap, filter) of every block. */
static void ENG(pack_filters)(const ENG(banded) *r, const REAL *w, REAL *to, int64_t c0, int64_t c1)
{
    const bands *t = &r->t;
    for (int64_t b = 0; b < BLOCKS(t); b++) {
        int64_t from;
        const int wide = ENG(block_of)(t, b, &from) * VL, n = (int)least(wide, t->filters - from);
        REAL *d = to + from * t->k + c0 * t->taps * wide;
        if (!r->turned) ENG(pack_rows)(d, wide, wide, w + from * t->k + c0 * t->taps, t->k, n,
                                       (int)((c1 - c0) * t->taps));
        else for (int64_t c = c0; c < c1; c++, d += t->taps * wide)
            ENG(pack_rows)(d, wide, wide, w + (c * t->filters + from) * t->taps, t->taps, n, (int)t->taps);
    }
}

/* Pixels at p by nv vectors of filters, over k of channel and tap. */
INLINE void ENG(filter_tile)(const int nv, const int np, const REAL *const *p0, const int32_t *off, const REAL *w,
                             int64_t k, REAL *to)
{
    ENG(vec) acc[8][MOST_VECTORS];
    const REAL *p[8];
    UNROLL for (int i = 0; i < np; i++) p[i] = p0[i];
    UNROLL for (int i = 0; i < np; i++) UNROLL for (int v = 0; v < nv; v++) acc[i][v] = (ENG(vec)){0};
    for (; k; k--, off++, w += nv * VL) {
        ENG(vec) wv[MOST_VECTORS];
        const int64_t at = *off;
        UNROLL for (int v = 0; v < nv; v++) wv[v] = LOAD(w + v * VL);
        UNROLL for (int i = 0; i < np; i++) {
            const REAL s = p[i][at];
            UNROLL for (int v = 0; v < nv; v++) acc[i][v] += s * wv[v];
        }
    }
    UNROLL for (int i = 0; i < np; i++) UNROLL for (int v = 0; v < nv; v++) STORE(to + (i * nv + v) * VL, acc[i][v]);
}

/* Sums of nt taps by nv vectors of filters, over the pixels of a band, added to `sums`. */
INLINE void ENG(tap_tile)(const int nv, const int nt, REAL *sums, const REAL *src, const int32_t *off, const REAL *dy,
                          int64_t rows, const bands *t)
{
    ENG(vec) acc[BAND_TAPS][MOST_VECTORS];
    const REAL *p[BAND_TAPS];
    const int64_t step = t->step[1], cols = t->out[1], next = t->step[0] * t->pitch - cols * step;
    UNROLL for (int i = 0; i < nt; i++) p[i] = src + off[i];
    UNROLL for (int i = 0; i < nt; i++) UNROLL for (int v = 0; v < nv; v++) acc[i][v] = LOAD(sums + (i * nv + v) * VL);
    int64_t at = 0;
    for (; rows; rows--, at += next) for (int64_t x = cols; x; x--, at += step, dy += nv * VL) {
        ENG(vec) d[MOST_VECTORS];
        UNROLL for (int v = 0; v < nv; v++) d[v] = LOAD(dy + v * VL);
        UNROLL for (int i = 0; i < nt; i++) {
            const REAL s = p[i][at];
            UNROLL for (int v = 0; v < nv; v++) acc[i][v] += s * d[v];
        }
    }
    UNROLL for (int i = 0; i < nt; i++) UNROLL for (int v = 0; v < nv; v++) STORE(sums + (i * nv + v) * VL, acc[i][v]);
}

#define FILTER_TILE(nv, np) \
static void ENG(filter_tile_##nv)(const REAL *const *p, const int32_t *off, const REAL *w, int64_t k, REAL *to) \
{ \
    ENG(filter_tile)(nv, np, p, off, w, k, to); \
}
#define TAP_TILE(nv, nt) \
static void ENG(tap_tile_##nv##_##nt)(REAL *sums, const REAL *src, const int32_t *off, const REAL *dy, int64_t rows, \
                                      const bands *t) \
{ \
    ENG(tap_tile)(nv, nt, sums, src, off, dy, rows, t); \
}
typedef void (*ENG(filter_tile_fn))(const REAL *const *, const int32_t *, const REAL *, int64_t, REAL *);
typedef void (*ENG(tap_tile_fn))(REAL *, const REAL *, const int32_t *, const REAL *, int64_t, const bands *);
#if MXL_VB == 64
FILTER_TILE(1, 8) FILTER_TILE(2, 8) FILTER_TILE(3, 8) FILTER_TILE(4, 6)
TAP_TILE(1, 5) TAP_TILE(2, 5) TAP_TILE(3, 5) TAP_TILE(4, 5)
TAP_TILE(1, 6) TAP_TILE(2, 6) TAP_TILE(3, 6) TAP_TILE(4, 6)
static const ENG(filter_tile_fn) ENG(filter_tiles)[] = {ENG(filter_tile_1), ENG(filter_tile_2), ENG(filter_tile_3),
                                                        ENG(filter_tile_4)};
static const int ENG(tile_pixels)[] = {8, 8, 8, 6};
static const ENG(tap_tile_fn) ENG(tap_tiles)[2][MOST_VECTORS] = {
    {ENG(tap_tile_1_5), ENG(tap_tile_2_5), ENG(tap_tile_3_5), ENG(tap_tile_4_5)},
    {ENG(tap_tile_1_6), ENG(tap_tile_2_6), ENG(tap_tile_3_6), ENG(tap_tile_4_6)}};
#define FEWER 5
#define MORE 6
#else
FILTER_TILE(1, 8) FILTER_TILE(2, 6) FILTER_TILE(3, 4)
TAP_TILE(1, 3) TAP_TILE(2, 3) TAP_TILE(3, 3) TAP_TILE(1, 4) TAP_TILE(2, 4) TAP_TILE(3, 4)
static const ENG(filter_tile_fn) ENG(filter_tiles)[] = {ENG(filter_tile_1), ENG(filter_tile_2), ENG(filter_tile_3)};
static const int ENG(tile_pixels)[] = {8, 6, 4};
static const ENG(tap_tile_fn) ENG(tap_tiles)[2][MOST_VECTORS] = {
    {ENG(tap_tile_1_3), ENG(tap_tile_2_3), ENG(tap_tile_3_3)},
    {ENG(tap_tile_1_4), ENG(tap_tile_2_4), ENG(tap_tile_3_4)}};
#define FEWER 3
#define MORE 4
#endif
#undef FILTER_TILE
#undef TAP_TILE

/* n pixels of a filter to their place, with all that is added to them. */
INLINE void ENG(put_pixels)(const conv_args *g, int streams, REAL *y, const REAL *from, int n, REAL bias,
                            const REAL *add)
{
    const ENG(vec) lo = (ENG(vec)){0} + (g->act == 2 ? (REAL)g->lo : 0);
    const ENG(vec) hi = (ENG(vec)){0} + (g->act == 2 ? (REAL)g->hi : (REAL)INFINITY);
    for (; n > 0; n -= VL, y += VL, from += VL) {
        const int m = (int)least(n, VL);
        ENG(vec) v = LOAD(from) + bias;
        if (add) v += ENG(load_first)(add, m), add += VL;
        if (g->act) v = ENG(vmin)(hi, ENG(vmax)(lo, v));
        if (streams && m == VL && (uintptr_t)y % MXL_VB == 0) ENG(stream)(y, v);
        else ENG(store_first)(y, v, m);
    }
}

/* Forward, or the data's gradient at stride 1: a band of a group of an image. */
static void ENG(band_forward)(const ENG(banded) *r, int64_t task, int thread)
{
    const bands *t = &r->t;
    const conv_args *g = r->g;
    const int64_t band = task % t->bands, image = task / t->bands, group = image % t->groups, cols = t->out[1];
    const int64_t y0 = band * t->rows, pixels = least(t->rows, t->out[0] - y0) * cols, area = t->out[0] * cols;
    const REAL *bias = CONV_BIAS(r->c, g), *residual = CONV_RESIDUAL(r->c, g);
    const REAL *w = r->w + group * ceil_to(t->filters, VL) * t->k;
    char *work = r->work + thread * r->per_thread;
    REAL *tile = (REAL *)work, *turned = tile + (BAND_PIXELS + 8) * MOST_VECTORS * VL;
    REAL *src = turned + (BAND_PIXELS + VL) * MOST_VECTORS * VL;
    ENG(fill_band)(t, (const REAL *)r->c->in[0].data + image * t->channels * t->size[0] * t->size[1], y0, src);
    for (int64_t b = 0; b < BLOCKS(t); b++) {
        int64_t f0, x = 0;
        const int nv = ENG(block_of)(t, b, &f0), np = ENG(tile_pixels)[nv - 1];
        const int n = (int)least(nv * VL, t->filters - f0);
        const ENG(filter_tile_fn) fn = ENG(filter_tiles)[nv - 1];
        const REAL *p = src;            /* of the next pixel */
        for (int64_t q0 = 0; q0 < pixels; q0 += BAND_PIXELS) {
            const int count = (int)least(BAND_PIXELS, pixels - q0);
            for (int q = 0; q < count; q += np) {
                const REAL *at[8];
                for (int i = 0; i < np; i++) {
                    at[i] = p;
                    if (q0 + q + i + 1 >= pixels) continue;         /* the last one again: what nobody reads */
                    p += t->step[1];
                    if (++x == cols) x = 0, p += t->step[0] * t->pitch - cols * t->step[1];
                }
                fn(at, r->off, w + f0 * t->k, t->k, tile + q * nv * VL);
            }
            ENG(pack_rows)(turned, BAND_PIXELS, (int)ceil_to(count, VL), tile, nv * VL, count, n);
            for (int f = 0; f < n; f++) {
                const int64_t to = (image * t->filters + f0 + f) * area + y0 * cols + q0;
                ENG(put_pixels)(g, r->streams, (REAL *)r->c->out[0].data + to, turned + f * BAND_PIXELS, count,
                                bias ? bias[group * t->filters + f0 + f] : 0, residual ? residual + to : NULL);
            }
        }
    }
}

/* The weight's gradient: the sums of a part of a group's bands. */
static void ENG(band_dots)(const ENG(banded) *r, int64_t task, int thread)
{
    const bands *t = &r->t;
    const int64_t parts = band_parts(t, sizeof(REAL)), part = task % parts, group = task / parts;
    const int64_t all = t->batch * t->bands;
    const int64_t area = t->out[0] * t->out[1], ldw = ceil_to(t->filters, VL), high = t->k + MORE;
    REAL *dy = (REAL *)(r->work + thread * r->per_thread), *src = dy + t->rows * t->out[1] * t->wide;
    REAL *sums = r->sums + task * high * ldw;
    memset(sums, 0, high * ldw * sizeof(REAL));
    for (int64_t i = all * part / parts; i < all * (part + 1) / parts; i++) {
        const int64_t image = i / t->bands * t->groups + group, y0 = i % t->bands * t->rows;
        const int64_t rows = least(t->rows, t->out[0] - y0), pixels = rows * t->out[1];
        if (rows <= 0) continue;
        ENG(fill_band)(t, (const REAL *)r->c->in[1].data + image * t->channels * t->size[0] * t->size[1], y0, src);
        for (int64_t b = 0; b < BLOCKS(t); b++) {
            int64_t f0;
            const int nv = ENG(block_of)(t, b, &f0);
            const int n = (int)least(nv * VL, t->filters - f0);
            const REAL *from = (const REAL *)r->c->in[0].data + (image * t->filters + f0) * area + y0 * t->out[1];
            ENG(pack_rows)(dy, nv * VL, nv * VL, from, area, n, (int)pixels);
            for (int64_t k = 0; k < t->k; k += r->few)
                ENG(tap_tiles)[r->few == MORE][nv - 1](sums + f0 * high + k * nv * VL, src, r->off + k, dy, rows, t);
        }
    }
}

/* Sums of all parts, then in the weight's order: a block of filters of a group. */
static void ENG(band_weight)(const ENG(banded) *r, int64_t task)
{
    const bands *t = &r->t;
    const int64_t parts = band_parts(t, sizeof(REAL)), b = task % BLOCKS(t), group = task / BLOCKS(t);
    const int64_t high = t->k + MORE;
    const int64_t part = high * ceil_to(t->filters, VL);
    int64_t f0;
    const int64_t wide = ENG(block_of)(t, b, &f0) * VL;
    REAL *sums = r->sums + group * parts * part + f0 * high;
    for (int64_t i = 0; i < t->k * wide; i += VL) {
        ENG(vec) v = LOAD(sums + i);
        for (int64_t p = 1; p < parts; p++) v += LOAD(sums + p * part + i);
        STORE(sums + i, v);
    }
    ENG(pack_rows)((REAL *)r->c->out[0].data + (group * t->filters + f0) * t->k, (int)t->k, (int)t->k, sums, wide,
                   (int)t->k, (int)least(wide, t->filters - f0));
}

#define BAND_REGION(tasks, call) do { \
        const int nt = mxl_enter(rt, c->threads, work, 2 * MXL_GRAIN); \
        if (nt == 1) for (int64_t i = 0; i < (tasks); i++) { const int thread = 0; (void)thread; call; } \
        else BAND_SHARED(tasks, call) \
        mxl_leave(rt, nt); \
    } while (0)
#ifdef _OPENMP
#define BAND_SHARED(tasks, call) { \
        _Pragma("omp parallel for schedule(dynamic, 1) num_threads(nt)") \
        for (int64_t i = 0; i < (tasks); i++) { const int thread = omp_get_thread_num(); (void)thread; call; } \
    }
#else
#define BAND_SHARED(tasks, call) ;
#endif

static int64_t ENG(pack_bands)(ENG(banded) *r, mxl_runtime *rt, const mxl_call *c, const REAL *from, REAL *to)
{
    const bands *t = &r->t;
    const int64_t some = ceil_div(128, t->taps), chunks = ceil_div(t->channels, some);
    const int64_t work = t->groups * t->k * t->filters;
    BAND_REGION(t->groups * chunks, ENG(pack_filters)(
        r, from + i / chunks * t->filters * t->k, to + i / chunks * ceil_to(t->filters, VL) * t->k, i % chunks * some,
        least(t->channels, (i % chunks + 1) * some)));
    return t->groups * ceil_to(t->filters, VL) * t->k;
}

/* Whether they fit, and leave few enough lanes idle. */
static int ENG(fits_bands)(const conv_args *g, int kind, bands *t)
{
    if (!bands_of(g, kind, sizeof(REAL), t)) return 0;
    const int64_t wide = ceil_to(t->filters, VL);
    return t->k <= BAND_FEW || (kind == 2 ? wide <= 2 * t->filters : 5 * wide <= 6 * t->filters);
}

/* The weight for forward, once for many runs; 0 where it does not go by bands. */
static int ENG(prepare_bands)(mxl_runtime *rt, const mxl_call *c, const conv_args *g)
{
    ENG(banded) r = {.c = c, .g = g};
    if (!ENG(fits_bands)(g, 0, &r.t)) return 0;
    REAL *to = c->out[0].data;
    const int64_t size = ENG(pack_bands)(&r, rt, c, c->in[0].data, to);
    memset(to + size, 0, (c->out[0].size - size) * sizeof(REAL));
    return 1;
}

/* Returns 0, with nothing done, where bands do not fit. */
static int ENG(by_bands)(mxl_runtime *rt, const mxl_call *c, const conv_args *g, int kind)
{
    ENG(banded) r = {.c = c, .g = g, .turned = kind == 1};
    const bands *t = &r.t;
    if (!ENG(fits_bands)(g, kind, &r.t)) return 0;
    r.streams = c->out[0].size >= STREAM_BYTES / (int64_t)sizeof(REAL);
    const int64_t work = t->batch * t->groups * t->filters * t->out[0] * t->out[1] * t->k;
    r.few = ceil_to(t->k, FEWER) * 51 < ceil_to(t->k, MORE) * 50 ? FEWER : MORE;
    r.off = c->work;
    r.work = (char *)c->work + ceil_to((t->k + BAND_TAPS) * (int64_t)sizeof(int32_t), 64);
    ENG(band_offsets)(&r);
    const int64_t band = t->channels * t->tall * t->pitch;
    if (kind == 2) {
        const int64_t tasks = t->groups * band_parts(t, sizeof(REAL));
        r.sums = (REAL *)r.work;
        r.work += tasks * (t->k + MORE) * ceil_to(t->filters, VL) * (int64_t)sizeof(REAL);
        r.per_thread = ceil_to((band + t->rows * t->out[1] * t->wide) * (int64_t)sizeof(REAL), 64);
        BAND_REGION(tasks, ENG(band_dots)(&r, i, thread));
        BAND_REGION(t->groups * BLOCKS(t), ENG(band_weight)(&r, i));
        return 1;
    }
    r.w = c->in[1].data;
    if (!g->prepared) {
        r.w = (REAL *)r.work;
        r.work += ENG(pack_bands)(&r, rt, c, c->in[1].data, (REAL *)r.work) * sizeof(REAL);
    }
    r.per_thread = ceil_to((band + (2 * BAND_PIXELS + 8 + VL) * MOST_VECTORS * VL) * (int64_t)sizeof(REAL), 64);
    BAND_REGION(t->batch * t->groups * t->bands, (ENG(band_forward)(&r, i, thread), ENG(fence)()));
    return 1;
}
#undef BAND_REGION
#undef BAND_SHARED
#undef BLOCKS
#undef FEWER
#undef MORE
#undef MOST_VECTORS
