/* Groups of few channels (depthwise), too thin for a matrix product: by tiles.
 *
 * A tile of the source with its padding is copied into rows of one pitch, a plane for each phase of the stride; there
 * every tap is one offset, and the sums run over all the tile's rows as over one long row:
 *
 *   sum[q] = weight[0] tile[q + offset[0]] + weight[1] tile[q + offset[1]] + ...
 *
 * What lies between the end of a row of windows and the next row comes out as nothing that anybody reads. The data's
 * gradient is the same on dy, with the taps dealt out to the phases of the position; the weight's is the dot products
 * of dy with those offsets. Tiles stay in the first-level cache. */
#ifndef MXL_CONV_TILES
#define MXL_CONV_TILES
enum { TILE_BYTES = 24576, TILE_SPARE = 1024, TILE_STRIDE = 8, TILE_TAPS = 8,     /* ops/conv.py: the same numbers */
       STREAM_BYTES = 1 << 24, BLOCK_BYTES = 8192 };
typedef struct { int64_t at, weight; } tap;

/* The axes y and x of a tile. Position j of phase f is the source's element (first + j) * step + f + low. */
typedef struct {
    int64_t step, low, reach, phases;       /* of the source; `reach`: how much longer than its windows a tile is */
    int64_t split, count;                   /* phases of the output, positions of one of them */
} tile_axis;
typedef struct {
    tile_axis y, x;
    int64_t srcs, dsts, depth;              /* planes of a group; taps along z */
    int64_t rows, cols, pitch, plane;       /* a tile's windows, and what it takes */
} tiles;

static inline int64_t floor_mod(int64_t a, int64_t b) { return (a % b + b) % b; }

static inline tile_axis tile_axis_of(const conv_args *g, int i, int back)
{
    const int64_t s = g->stride[i], span = (g->kernel[i] - 1) * g->dilate[i];
    if (!back) return (tile_axis){s, -g->pad[i], span / s, s, 1, g->dst[i]};
    const int64_t low = (g->pad[i] - span + floor_mod(span - g->pad[i], s)) / s;
    return (tile_axis){1, low, ceil_div(g->pad[i], s) - low, 1, s, ceil_div(g->src[i], s)};
}

/* Which phase tap t of an axis belongs to, and how far along it starts. */
static inline void tile_tap(const conv_args *g, int i, int back, const tile_axis *x, int64_t t, int64_t *phase,
                            int64_t *at)
{
    const int64_t s = g->stride[i], d = t * g->dilate[i];
    *phase = back ? floor_mod(d - g->pad[i], s) : d % s;
    *at = back ? (*phase + g->pad[i] - d) / s - x->low : d / s;
}

/* 0 where not even one vector of windows fits a tile. */
static inline int tiles_of(const conv_args *g, int back, int64_t size, tiles *t)
{
    const int64_t per = g->channels / g->groups, many = g->filters / g->groups;
    if (g->stride[1] > TILE_STRIDE || g->stride[2] > TILE_STRIDE || (back && g->stride[0] > 1)) return 0;
    t->y = tile_axis_of(g, 1, back);
    t->x = tile_axis_of(g, 2, back);
    t->srcs = back ? many : per;
    t->dsts = back ? per : many;
    t->depth = g->kernel[0];
    const int64_t planes = t->srcs * t->depth * t->y.phases * t->x.phases, room = TILE_BYTES / size;
    for (t->cols = t->x.count;; t->cols = ceil_div(t->cols, 2)) {
        t->pitch = t->cols + t->x.reach;
        t->rows = least(t->y.count, least(room / planes / t->pitch - t->y.reach, room / t->x.split / t->pitch));
        if (t->rows > 0) break;
        if (t->cols < 64) return 0;
    }
    t->rows = ceil_div(t->y.count, ceil_div(t->y.count, t->rows));
    t->plane = (t->rows + t->y.reach) * t->pitch;
    return 1;
}
#endif

/* Rows from..to of a plane of a tile, whose elements lo..hi lie in the source's row at `row` and below. A vector may
 * run over the end of its row: what it spoils is written later. */
static void ENG(copy_rows)(REAL *d, int64_t pitch, const REAL *row, int64_t wide, int64_t rows, int64_t lo, int64_t hi)
{
    if (pitch <= VL) {
        for (; rows > 0; rows--, d += pitch, row += wide) STORE(d, ENG(window)(row, lo, hi));
        return;
    }
    const int64_t head = least(VL, pitch), inside = least(hi, pitch) - VL;
    for (; rows > 0; rows--, d += pitch, row += wide) {
        int64_t j = head;
        STORE(d, ENG(window)(row, lo, hi));
        if (lo <= VL) for (; j <= inside; j += VL) STORE(d + j, LOAD(row + j));
        for (; j < pitch; j += VL) STORE(d + j, ENG(window)(row + j, lo - j, hi - j));
    }
}

/* The same for a stride of 2, into two planes. */
static void ENG(copy_pairs)(REAL *d, int64_t pitch, int64_t plane, const REAL *row, int64_t wide, int64_t rows,
                            int64_t lo, int64_t hi)
{
    for (; rows > 0; rows--, d += pitch, row += wide)
        for (int64_t j = 0; j < pitch; j += VL) {
            const ENG(vec) a = ENG(window)(row + 2 * j, lo - 2 * j, hi - 2 * j);
            const ENG(vec) b = ENG(window)(row + 2 * j + VL, lo - 2 * j - VL, hi - 2 * j - VL);
            ENG(vec) even, odd;
            ENG(split_pairs)(a, b, &even, &odd);
            STORE(d + plane + j, odd);
            if (j + VL <= pitch) STORE(d + j, even);
            else ENG(store_part)(d + j, even, (int)(pitch - j));     /* row 0 of the odd ones is there already */
        }
}

/* One plane of the source, or (NULL) zeros, as the planes of its phases at windows y0, x0 and on. */
static void ENG(fill_tile)(const tiles *t, const REAL *src, const int64_t *size, int64_t y0, int64_t x0, REAL *to)
{
    const int64_t sx = t->x.step, sy = t->y.step, left = x0 * sx + t->x.low, wide = size[2];
    const int64_t rows = t->rows + t->y.reach;
    for (int64_t fy = 0; fy < t->y.phases; fy++, to += t->x.phases * t->plane) {
        const int64_t top = y0 * sy + fy + t->y.low;            /* rows before, in and behind the source */
        const int64_t before = src ? least(rows, top < 0 ? (sy - 1 - top) / sy : 0) : rows;
        const int64_t end = src && top < size[1] ? most(before, least(rows, (size[1] - 1 - top) / sy + 1)) : before;
        const REAL *row = src + (top + before * sy) * wide + left;
        REAL *d = to + before * t->pitch;
        if (before) for (int64_t f = 0; f < sx; f++) memset(to + f * t->plane, 0, before * t->pitch * sizeof(REAL));
        if (sx == 1) ENG(copy_rows)(d, t->pitch, row, wide * sy, end - before, -left, wide - left);
        else if (sx == 2) ENG(copy_pairs)(d, t->pitch, t->plane, row, wide * sy, end - before, -left, wide - left);
        else for (int64_t i = before; i < end; i++, d += t->pitch, row += wide * sy)
            for (int64_t f = 0; f < sx; f++) for (int64_t j = 0; j < t->pitch; j++)
                d[f * t->plane + j] = j * sx + f >= -left && j * sx + f < wide - left ? row[j * sx + f] : 0;
        if (end < rows) for (int64_t f = 0; f < sx; f++)
            memset(to + f * t->plane + end * t->pitch, 0, (rows - end) * t->pitch * sizeof(REAL));
    }
}

/* What a thread needs: its tile, sums of it, the taps, and dot products of them. */
typedef struct {
    tiles t;
    const conv_args *g;
    const mxl_call *c;
    REAL *tile, *sums;
    tap *taps;
    int streams;                    /* the output is too large for a cache, and its rows are whole lines of it */
    ENG(ivec) pair_at[3];           /* conv_pairs.h */
    unsigned pair_mask[3];
    int64_t n_taps, first[TILE_STRIDE * TILE_STRIDE + 1];      /* where the taps of each phase of the output begin */
    ENG(vec) *dots, lo, hi;
    double *totals;
} ENG(tiler);

static void ENG(tiler_init)(ENG(tiler) *r, const mxl_call *c, const conv_args *g, int thread, int back)
{
    const tiles *t = &r->t;
    const int64_t n = g->kernel[0] * g->kernel[1] * g->kernel[2], window = t->depth * g->kernel[1] * g->kernel[2];
    const int64_t per = g->channels / g->groups, phases = t->y.split * t->x.split;
    const int64_t entries = n * per * (g->filters / g->groups);
    char *work = (char *)c->work + thread * (2 * (TILE_BYTES + TILE_SPARE) + ceil_to(
        entries * (int64_t)(sizeof(tap) + 64 + sizeof(double)), 64));
    r->c = c, r->g = g;
    const int64_t row = (back ? g->src : g->dst)[2] * (int64_t)sizeof(REAL);
    r->streams = c->out[0].size >= STREAM_BYTES / (int64_t)sizeof(REAL) && row % 64 == 0;
    r->tile = (REAL *)work;
    r->sums = (REAL *)(work + TILE_BYTES + TILE_SPARE);
    r->dots = (ENG(vec) *)(work + 2 * (TILE_BYTES + TILE_SPARE));
    r->taps = (tap *)(r->dots + entries);
    r->totals = (double *)(r->taps + entries);
    r->n_taps = t->srcs * n;
    memset(r->tile, 0, TILE_BYTES + TILE_SPARE);        /* what nobody reads is at least a number */
    r->lo = (ENG(vec)){0} + (g->act == 2 ? (REAL)g->lo : 0);
    r->hi = (ENG(vec)){0} + (g->act == 2 ? (REAL)g->hi : (REAL)INFINITY);
    int64_t count = 0;
    for (int64_t phase = 0; phase < phases; phase++) {
        r->first[phase] = count;
        for (int64_t i = 0; i < t->srcs * window; i++) {
            const int64_t k = i % g->kernel[2], b = i / g->kernel[2] % g->kernel[1];
            const int64_t a = i / g->kernel[2] / g->kernel[1];
            int64_t fy, fx, y, x;
            tile_tap(g, 1, back, &t->y, b, &fy, &y);
            tile_tap(g, 2, back, &t->x, k, &fx, &x);
            if (back && fy * t->x.split + fx != phase) continue;
            const int64_t src = a / t->depth, plane = back ? a : (a * t->y.phases + fy) * t->x.phases + fx;
            r->taps[count++] = (tap){plane * t->plane + y * t->pitch + x, src * (back ? per * n : n) + i % window};
        }
    }
    r->first[phases] = count;
}

INLINE void ENG(sum_block)(const int nv, REAL *to, const REAL *tile, const tap *t, int64_t count, const REAL *w)
{
    ENG(vec) acc[4];
    UNROLL for (int v = 0; v < nv; v++) acc[v] = (ENG(vec)){0};
    for (; count; count--, t++) {
        const REAL s = w[t->weight], *p = tile + t->at;
        UNROLL for (int v = 0; v < nv; v++) acc[v] += s * LOAD(p + v * VL);
    }
    UNROLL for (int v = 0; v < nv; v++) STORE(to + v * VL, acc[v]);
}

static void ENG(sum_taps)(REAL *to, int64_t n, const REAL *tile, const tap *t, int64_t count, const REAL *w)
{
    for (; n > 3 * VL; n -= 4 * VL, to += 4 * VL, tile += 4 * VL) ENG(sum_block)(4, to, tile, t, count, w);
    if (n > 2 * VL) ENG(sum_block)(3, to, tile, t, count, w);
    else if (n > VL) ENG(sum_block)(2, to, tile, t, count, w);
    else if (n > 0) ENG(sum_block)(1, to, tile, t, count, w);
}

/* n sums to their place in the output, with all that is added to them. */
INLINE void ENG(finish)(const ENG(tiler) *r, REAL *y, ENG(vec) v, int64_t n, REAL bias, const REAL *add)
{
    v += bias;
    if (add) v += ENG(window)(add, 0, n);
    if (r->g->act) v = ENG(vmin)(r->hi, ENG(vmax)(r->lo, v));
    if (n < VL) ENG(store_part)(y, v, (int)n);
    else if (r->streams && (uintptr_t)y % MXL_VB == 0) ENG(stream)(y, v);
    else STORE(y, v);
}

/* Rows of the output, `step` apart, from the sums of their phases, `area` apart: `wide` elements a row, position j of
 * phase f at j * s + f. */
static void ENG(finish_rows)(const ENG(tiler) *r, REAL *y, int64_t step, int rows, int64_t area, int64_t wide,
                             int64_t s, REAL bias, const REAL *add)
{
    const REAL *sums = r->sums;
    for (; rows > 0; rows--, sums += r->t.pitch, y += step, add = add ? add + step : NULL) {
        if (s == 1) {
            int64_t j = 0;
            for (; j + VL <= wide; j += VL) ENG(finish)(r, y + j, LOAD(sums + j), VL, bias, add ? add + j : NULL);
            if (j < wide) ENG(finish)(r, y + j, LOAD(sums + j), wide - j, bias, add ? add + j : NULL);
        } else if (s == 2) {
            for (int64_t j = 0; j < wide; j += 2 * VL) {
                ENG(vec) a, b;
                ENG(join_pairs)(LOAD(sums + j / 2), LOAD(sums + area + j / 2), &a, &b);
                ENG(finish)(r, y + j, a, wide - j, bias, add ? add + j : NULL);
                if (wide - j > VL) ENG(finish)(r, y + j + VL, b, wide - j - VL, bias, add ? add + j + VL : NULL);
            }
        } else for (int64_t j = 0; j < wide; j += VL) {
            ENG(vec) v = {0};
            for (int i = 0; i < VL && j + i < wide; i++) v[i] = sums[(j + i) % s * area + (j + i) / s];
            ENG(finish)(r, y + j, v, wide - j, bias, add ? add + j : NULL);
        }
    }
}

#include "conv_slide.h"

/* The tile's planes for the windows at z, y0, x0 of a group of an image. */
static void ENG(load_tile)(const ENG(tiler) *r, const REAL *src, int64_t z, int64_t y0, int64_t x0, int back)
{
    const conv_args *g = r->g;
    const tiles *t = &r->t;
    const int64_t *size = back ? g->dst : g->src;
    REAL *to = r->tile;
    for (int64_t s = 0; s < t->srcs; s++, src += size[0] * size[1] * size[2])
        for (int64_t a = 0; a < t->depth; a++, to += t->y.phases * t->x.phases * t->plane) {
            const int64_t at = back ? z + g->pad[0] - a * g->dilate[0]
                                    : z * g->stride[0] - g->pad[0] + a * g->dilate[0];
            ENG(fill_tile)(t, at < 0 || at >= size[0] ? NULL : src + at * size[1] * size[2], size, y0, x0, to);
        }
}

/* All of one group of one image: forward, or the data's gradient. */
static void ENG(tile_sums)(const ENG(tiler) *r, int64_t task, const int back)
{
    const conv_args *g = r->g;
    const tiles *t = &r->t;
    const int64_t *size = back ? g->dst : g->src, *out = back ? g->src : g->dst;
    const int64_t n = g->kernel[0] * g->kernel[1] * g->kernel[2], plane = out[0] * out[1] * out[2];
    const int64_t group = task % g->groups, per = back ? t->dsts : t->srcs, sy = t->y.split, sx = t->x.split;
    const REAL *src = (const REAL *)r->c->in[0].data + task * t->srcs * size[0] * size[1] * size[2];
    const REAL *w = (const REAL *)r->c->in[1].data + group * t->srcs * t->dsts * n;
    const REAL *bias = CONV_BIAS(r->c, g), *residual = CONV_RESIDUAL(r->c, g);
    REAL *y = (REAL *)r->c->out[0].data;
    for (int64_t z = 0; z < out[0]; z++)
    for (int64_t y0 = 0; y0 < t->y.count; y0 += t->rows) for (int64_t x0 = 0; x0 < t->x.count; x0 += t->cols) {
        const int64_t rows = least(t->rows, t->y.count - y0), cols = least(t->cols, t->x.count - x0);
        const int64_t area = t->rows * t->pitch, wide = least(cols * sx, out[2] - x0 * sx);
        ENG(load_tile)(r, src, z, y0, x0, back);
        for (int64_t d = 0; d < t->dsts; d++) for (int64_t fy = 0; fy < sy; fy++) {
            for (int64_t fx = 0; fx < sx; fx++) {
                const int64_t *first = r->first + fy * sx + fx;
                ENG(sum_taps)(r->sums + fx * area, (rows - 1) * t->pitch + cols, r->tile, r->taps + first[0],
                              first[1] - first[0], w + d * (back ? n : per * n));
            }
            const int64_t at = (task * t->dsts + d) * plane + (z * out[1] + y0 * sy + fy) * out[2] + x0 * sx;
            const int real = (int)least(rows, ceil_div(most(0, out[1] - fy), sy) - y0);
            ENG(finish_rows)(r, y + at, sy * out[2], real, area, wide, sx,
                             bias ? bias[group * t->dsts + d] : 0, residual ? residual + at : NULL);
        }
    }
}

/* dots[i] += dy . tile at the offset of tap i, for nt taps at once. */
INLINE void ENG(dot_block)(const int nt, ENG(vec) *dots, const tap *taps, const REAL *tile, const REAL *dy, int64_t ldy,
                           int64_t rows, int64_t cols, int64_t pitch)
{
    ENG(vec) acc[TILE_TAPS];
    const REAL *p[TILE_TAPS];
    const int64_t whole = cols / VL * VL;
    UNROLL for (int i = 0; i < nt; i++) acc[i] = dots[i], p[i] = tile + taps[i].at;
    for (int64_t r = 0; r < rows; r++, dy += ldy) {
        for (int64_t j = 0; j < whole; j += VL) {
            const ENG(vec) v = LOAD(dy + j);
            UNROLL for (int i = 0; i < nt; i++) acc[i] += v * LOAD(p[i] + r * pitch + j);
        }
        if (whole < cols) {         /* what lies behind the row is not to be multiplied even by 0: it may be infinite */
            const ENG(vec) v = ENG(load_part)(dy + whole, 0, (int)(cols - whole));
            UNROLL for (int i = 0; i < nt; i++)
                acc[i] += v * ENG(load_part)(p[i] + r * pitch + whole, 0, (int)(cols - whole));
        }
    }
    UNROLL for (int i = 0; i < nt; i++) dots[i] = acc[i];
}

static void ENG(dot_taps)(ENG(vec) *dots, const tap *taps, int64_t count, const REAL *tile, const REAL *dy, int64_t ldy,
                          int64_t rows, int64_t cols, int64_t pitch)
{
    while (count) {
        const int64_t n = ceil_div(count, ceil_div(count, TILE_TAPS));
#define DOT(nt) case nt: ENG(dot_block)(nt, dots, taps, tile, dy, ldy, rows, cols, pitch); break;
        switch (n) { DOT(1) DOT(2) DOT(3) DOT(4) DOT(5) DOT(6) DOT(7) DOT(8) }
#undef DOT
        dots += n, taps += n, count -= n;
    }
}

static void ENG(flush_dots)(ENG(tiler) *r, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double s = 0;
        for (int j = 0; j < VL; j++) s += r->dots[i][j];
        r->totals[i] += s;
        r->dots[i] = (ENG(vec)){0};
    }
}

/* The weights of one group, over the whole batch. Lanes are summed in REAL over some tiles, those in double. */
static void ENG(tile_dots)(ENG(tiler) *r, int64_t group)
{
    enum { MOST_SUMS = 512 };
    const conv_args *g = r->g;
    const tiles *t = &r->t;
    const int64_t in = g->src[0] * g->src[1] * g->src[2], out = g->dst[0] * g->dst[1] * g->dst[2];
    const int64_t all = r->n_taps * t->dsts;
    REAL *dw = (REAL *)r->c->out[0].data + group * all;
    int64_t sums = 0;
    memset(r->dots, 0, all * sizeof *r->dots);
    memset(r->totals, 0, all * sizeof *r->totals);
    for (int64_t n = 0; n < g->batch; n++) {
        const REAL *x = (const REAL *)r->c->in[1].data + (n * g->groups + group) * t->srcs * in;
        const REAL *dy = (const REAL *)r->c->in[0].data + (n * g->groups + group) * t->dsts * out;
        if (ENG(slides)(g, 2)) {
#if MXL_VB == 64
            if (g->kernel[2] == 5) ENG(slide_dots_5)(r, x, g->src, dy, g->dst, r->dots);
            else if (ENG(in_pairs)(g, 2)) (g->stride[2] == 2 ? ENG(pair_dots_2) : ENG(pair_dots_1))(
                r, x, g->src, dy, g->dst, r->dots);
            else
#endif
            if (g->stride[2] == 2) ENG(slide_dots_2)(r, x, g->src, dy, g->dst, r->dots);
            else ENG(slide_dots_3)(r, x, g->src, dy, g->dst, r->dots);
            sums += g->dst[1] * ceil_div(g->dst[2], VL);
        } else for (int64_t z = 0; z < g->dst[0]; z++)
        for (int64_t y0 = 0; y0 < t->y.count; y0 += t->rows) for (int64_t x0 = 0; x0 < t->x.count; x0 += t->cols) {
            const int64_t rows = least(t->rows, t->y.count - y0), cols = least(t->cols, t->x.count - x0);
            ENG(load_tile)(r, x, z, y0, x0, 0);
            for (int64_t d = 0; d < t->dsts; d++)
                ENG(dot_taps)(r->dots + d * r->n_taps, r->taps, r->n_taps, r->tile,
                              dy + d * out + (z * g->dst[1] + y0) * g->dst[2] + x0, g->dst[2], rows, cols, t->pitch);
            sums += rows * ceil_div(cols, VL);
        }
        if (sums < MOST_SUMS) continue;
        ENG(flush_dots)(r, all);
        sums = 0;
    }
    ENG(flush_dots)(r, all);
    for (int64_t i = 0; i < all; i++) dw[i] = (REAL)r->totals[i];
}

/* kind: 0 forward, 1 data's gradient, 2 weight's gradient. Returns 0, with nothing done, where tiles do not fit. */
static int ENG(by_tiles)(mxl_runtime *rt, const mxl_call *c, const conv_args *g, const int kind)
{
    tiles t;
    if (!tiles_of(g, kind == 1, sizeof(REAL), &t)) return 0;
    const int slides = ENG(slides)(g, kind);
    const int64_t tasks = kind == 2 ? g->groups : g->batch * g->groups;
    const int64_t work = g->batch * g->filters * g->dst[0] * g->dst[1] * g->dst[2] * (g->channels / g->groups)
                         * g->kernel[0] * g->kernel[1] * g->kernel[2];
    const int nt = mxl_enter(rt, c->threads, work, 2 * MXL_GRAIN);
    const int64_t chunk = most(1, least(tasks / (8 * nt), 16 * MXL_GRAIN / most(1, work / most(tasks, 1))));
#define TILE_TASK(i) do { \
        if (kind == 2) ENG(tile_dots)(&r, i); \
        else if (slides) ENG(slide_plane)(&r, i, kind); \
        else ENG(tile_sums)(&r, i, kind); \
    } while (0)
    if (nt == 1) {
        ENG(tiler) r = {.t = t};
        ENG(tiler_init)(&r, c, g, 0, kind == 1);
        if (slides) ENG(slides_init)(&r, kind);
        for (int64_t i = 0; i < tasks; i++) TILE_TASK(i);
        ENG(fence)();
    } else {
#ifdef _OPENMP
#pragma omp parallel num_threads(nt)
        {
            ENG(tiler) r = {.t = t};
            ENG(tiler_init)(&r, c, g, omp_get_thread_num(), kind == 1);
            if (slides) ENG(slides_init)(&r, kind);
#pragma omp for schedule(dynamic, chunk) nowait
            for (int64_t i = 0; i < tasks; i++) TILE_TASK(i);
            ENG(fence)();
        }
#endif
    }
    (void)chunk;
#undef TILE_TASK
    mxl_leave(rt, nt);
    return 1;
}
