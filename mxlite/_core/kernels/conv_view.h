/* Packed panels of what a convolution's windows see, for one type and level.
 *
 * X is what a `view` shows of a source tensor: element (channel, tap, pixel) is the source at stride * pixel +
 * offset(tap), zero outside of it. Pixels are numbered through the whole batch, so that small images fill whole panels.
 * A vector of pixels is cut into spans, one for each output row it touches; what a tap sees of a span is one load with
 * a mask of lanes, the same for all channels. */
#ifndef MXL_CONV_VIEW
#define MXL_CONV_VIEW
typedef struct {
    int64_t src[3], out[3], step[3];        /* source size, how many pixels, from pixel to pixel in the source */
    int64_t taps[3], off0[3], doff[3];      /* offset of tap t along an axis: off0 + t * doff */
    int64_t cs, is;                         /* source strides: channel, image */
    int64_t pixels, rs;                     /* products of out and of taps */
} view;

/* Pixels of one vector in one output row: lanes lane .. lane + len. z, y, x: where the first lies in the source,
 * without tap; at: where lane 0 would. */
typedef struct { int64_t at, z, y, x; int vector, lane, len; } span;
/* How far a tap is from its window's first pixel, and by how many elements of the source. */
typedef struct { int64_t by, z, y, x; } shift;
/* What one tap sees of a span: the lanes of `mask`, of a vector whose lane 0 is at `at`. */
typedef struct { int64_t at; unsigned mask; int vector; } piece;

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

/* The spans of pixels q0 .. q0 + n in vectors of vl lanes. Returns how many: at most n. */
static int view_spans(const view *v, int64_t q0, int n, int vl, span *s)
{
    int64_t image = q0 / v->pixels, p = q0 % v->pixels;
    int64_t x = p % v->out[2], y = p / v->out[2] % v->out[1], z = p / v->out[2] / v->out[1];
    int count = 0, pos = 0;
    while (pos < n) {
        const int row = (int)least(n - pos, v->out[2] - x);
        for (int done = 0; done < row; count++) {
            const int lane = (pos + done) % vl, len = row - done < vl - lane ? row - done : vl - lane;
            const int64_t sx = (x + done) * v->step[2], sy = y * v->step[1], sz = z * v->step[0];
            s[count] = (span){image * v->is + (sz * v->src[1] + sy) * v->src[2] + sx - lane * v->step[2], sz, sy, sx,
                              (pos + done) / vl, lane, len};
            done += len;
        }
        pos += row;
        x = 0;
        if (++y == v->out[1]) {
            y = 0;
            if (++z == v->out[0]) z = 0, image++;
        }
    }
    return count;
}

static shift view_shift(const view *v, int64_t t)
{
    const int64_t c = t % v->taps[2], b = t / v->taps[2] % v->taps[1], a = t / v->taps[2] / v->taps[1];
    const shift d = {0, v->off0[0] + a * v->doff[0], v->off0[1] + b * v->doff[1], v->off0[2] + c * v->doff[2]};
    return (shift){(d.z * v->src[1] + d.y) * v->src[2] + d.x, d.z, d.y, d.x};
}

/* What a tap sees of spans; pieces without lanes are left out. Returns how many pieces. */
static int view_pieces(const view *v, const shift *d, const span *s, int count, piece *to)
{
    const int64_t wide = v->src[2], step = v->step[2];
    const piece *first = to;
    for (; count; count--, s++) {
        const int64_t x = s->x + d->x;
        if ((uint64_t)(s->z + d->z) >= (uint64_t)v->src[0] || (uint64_t)(s->y + d->y) >= (uint64_t)v->src[1]) continue;
        int64_t lo = 0, hi = s->len;
        if (x < 0) lo = step == 1 ? -x : (step - 1 - x) / step;
        if (x + (hi - 1) * step >= wide) hi = x >= wide ? 0 : step == 1 ? wide - x : (wide - 1 - x) / step + 1;
        if (lo >= hi) continue;
        *to++ = (piece){s->at + d->by, ((1u << (hi - lo)) - 1) << (s->lane + lo), s->vector};
    }
    return (int)(to - first);
}
#endif

typedef struct { view v; const REAL *src; int64_t group; int64_t out_image, out_size[3], out_step[3], out_at[3];
                 const conv_args *g; int64_t tap0[3], tap_step[3]; } ENG(conv_ctx);
/* Steps 1 and 2. */
INLINE ENG(vec) ENG(load_stepped)(ENG(vec) v, const REAL *p, unsigned mask, int step)
{
    return step == 1 ? ENG(load_lanes)(v, p, mask) : ENG(load_apart)(v, p, mask, 2);
}

INLINE ENG(vec) ENG(load_piece)(ENG(vec) v, const REAL *p, const piece *e, int64_t step)
{
    if (step != 1) return ENG(load_apart)(v, p + e->at, e->mask, step);
    return e->mask == ALL_LANES ? (ENG(vec))LOAD(p + e->at) : ENG(load_lanes)(v, p + e->at, e->mask);
}

/* A vector of each row, from up to `most` pieces, steps 1 and 2. */
INLINE void ENG(fill_from)(const int most, const int step, REAL *dst, int64_t ldd, const REAL *src, int64_t cs,
                           int64_t rows, const piece *e, int count)
{
    const REAL *p[4];
    unsigned mask[4];
    UNROLL for (int i = 0; i < most; i++) p[i] = i < count ? src + e[i].at : src, mask[i] = i < count ? e[i].mask : 0;
    for (; rows > 0; rows--, dst += ldd) {
        ENG(vec) x = {0};
        UNROLL for (int i = 0; i < most; i++) {
            if (mask[i]) x = ENG(load_stepped)(x, p[i], mask[i], step);
            p[i] += cs;
        }
        STORE(dst, x);
    }
}

/* A vector of each row, from its pieces. */
static void ENG(fill_vector)(REAL *dst, int64_t ldd, const REAL *src, int64_t cs, int64_t rows, const piece *e,
                             int count, int64_t step)
{
    if (count <= 2 && step == 1) ENG(fill_from)(2, 1, dst, ldd, src, cs, rows, e, count);
    else if (count <= 2 && step == 2) ENG(fill_from)(2, 2, dst, ldd, src, cs, rows, e, count);
    else if (count <= 4 && step == 1) ENG(fill_from)(4, 1, dst, ldd, src, cs, rows, e, count);
    else if (count <= 4 && step == 2) ENG(fill_from)(4, 2, dst, ldd, src, cs, rows, e, count);
    else for (; rows > 0; rows--, dst += ldd, src += cs) {
        ENG(vec) x = {0};
        for (int i = 0; i < count; i++) x = ENG(load_piece)(x, src, e + i, step);
        STORE(dst, x);
    }
}

/* Rows of X, one a channel: `nv` vectors of pixels from `count` pieces, in order. */
INLINE void ENG(fill_rows)(const int nv, REAL *dst, int64_t ldd, const REAL *src, int64_t cs, int64_t rows,
                           const piece *e, int count, int64_t step)
{
    int whole = count == nv && step <= 2;
    for (int i = 0; i < count; i++) whole &= e[i].mask == ALL_LANES;
    if (whole) {
        const REAL *p[NV];
        UNROLL for (int v = 0; v < nv; v++) p[v] = src + e[v].at;
        if (step == 2) {
            for (; rows > 0; rows--, dst += ldd) UNROLL for (int v = 0; v < nv; v++) {
                ENG(vec) even, odd;
                ENG(split_pairs)(LOAD(p[v]), ENG(load_part)(p[v] + VL, 0, VL - 1), &even, &odd);
                STORE(dst + v * VL, even);
                p[v] += cs;
            }
            return;
        }
        for (; rows > 0; rows--, dst += ldd) UNROLL for (int v = 0; v < nv; v++) {
            STORE(dst + v * VL, LOAD(p[v]));
            __builtin_prefetch(p[v] + NR);      /* the next panel: no stream that the processor would see */
            p[v] += cs;
        }
        return;
    }
    int first[NV + 1], at = 0;
    for (int v = 0; v < nv; v++) {
        first[v] = at;
        while (at < count && e[at].vector == v) at++;
    }
    first[nv] = at;
    for (int v = 0; v < nv; v++)
        ENG(fill_vector)(dst + v * VL, ldd, src, cs, rows, e + first[v], first[v + 1] - first[v], step);
}

/* Panel of X(channel x tap, pixel): taps outside, so that the pieces of a tap serve all its channels. */
static void ENG(b_pixels)(const ENG(job) *d, int64_t b, REAL *dst, int64_t n0, int cols, int w, int64_t k0, int kc,
                          REAL *tmp)
{
    const ENG(conv_ctx) *x = d->ctx;
    const view *v = &x->v;
    span spans[PANEL_N];
    piece pieces[PANEL_N];
    const int n_spans = view_spans(v, n0, cols, VL, spans);
    const int64_t c0 = k0 / v->rs, t0 = k0 % v->rs;
    (void)tmp;
    for (int64_t i = 0, tap = t0, c = c0; i < v->rs && i < kc; i++) {
        const shift to_tap = view_shift(v, tap);
        const int count = view_pieces(v, &to_tap, spans, n_spans, pieces);
        const REAL *src = x->src + b * x->group + c * v->cs;
        const int64_t rows = (kc - 1 - i) / v->rs + 1;
        REAL *to = dst + i * w;
        if (w == NR) ENG(fill_rows)(NV, to, v->rs * w, src, v->cs, rows, pieces, count, v->step[2]);
        else if (w == VL) ENG(fill_rows)(1, to, v->rs * w, src, v->cs, rows, pieces, count, v->step[2]);
#if MXL_VB > 16
        else ENG(fill_rows)(2, to, v->rs * w, src, v->cs, rows, pieces, count, v->step[2]);
#endif
        if (++tap == v->rs) tap = 0, c++;
    }
}

/* A channel a row: from its first pixel's window to the last one's. */
static void ENG(source_pixels)(const ENG(job) *d, int64_t b, int64_t n0, int64_t n1, int64_t k0, int kc,
                               ENG(lines) *l)
{
    const ENG(conv_ctx) *x = d->ctx;
    const view *v = &x->v;
    span first, end;
    view_spans(v, n0, 1, VL, &first);
    view_spans(v, n1 - 1, 1, VL, &end);
    const int64_t in = first.at % v->is, size = v->src[0] * v->src[1] * v->src[2];
    const int64_t len = (end.at / v->is > first.at / v->is ? size - in : end.at - first.at + 1) * (int64_t)sizeof(REAL);
    *l = (ENG(lines)){x->src + b * x->group + first.at + k0 / v->rs * v->cs, v->cs, (int)ceil_div(kc, v->rs),
                      (int)ceil_div(len, 64) + 1};
}

/* The pixels of a block, a channel a row; for one tap. */
static void ENG(source_taps)(const ENG(job) *d, int64_t b, int64_t n0, int64_t n1, int64_t k0, int kc, ENG(lines) *l)
{
    const ENG(conv_ctx) *x = d->ctx;
    const view *v = &x->v;
    if (v->rs > 1) return;
    span first;
    k0 += d->k_from + b * d->k_part;
    if (d->k_part) b = 0;
    view_spans(v, k0, 1, VL, &first);
    const int64_t len = kc * v->step[0] * v->step[1] * v->step[2] * (int64_t)sizeof(REAL);
    *l = (ENG(lines)){x->src + b * x->group + first.at + n0 * v->cs, v->cs, (int)(n1 - n0), (int)ceil_div(len, 64) + 1};
}

/* Bytes of `tmp` that b_taps needs: what each tap of a panel sees of every span; ops/conv.py has the same rule. */
INLINE int64_t ENG(taps_bytes)(const view *v, int64_t k)
{
    return ceil_to(least(v->rs, PANEL_N) * least(k, BLOCK_K) * (int64_t)sizeof(piece), 64);
}

/* Panel of X'(pixel, channel x tap): VL columns at a time, that many streams through memory, transposed in
 * registers. */
static void ENG(b_taps)(const ENG(job) *d, int64_t b, REAL *dst, int64_t n0, int cols, int w, int64_t k0, int kc,
                        REAL *tmp)
{
    enum { VECTORS = BLOCK_K_BYTES / MXL_VB };
    const ENG(conv_ctx) *x = d->ctx;
    const view *v = &x->v;
    const int64_t step = v->step[2];
    const int taps = (int)least(v->rs, cols), vectors = (int)ceil_div(kc, VL);
    span spans[BLOCK_K];
    short first[PANEL_N][VECTORS + 1];      /* where the pieces of a tap and vector begin */
    char whole[VECTORS + 1], most_pieces[VECTORS + 1];  /* every tap sees one full vector; how many pieces, at most */
    k0 += d->k_from + b * d->k_part;
    if (d->k_part) b = 0;
    const int n_spans = view_spans(v, k0, kc, VL, spans);
    memset(whole, step <= 2, sizeof whole);
    memset(most_pieces, 0, sizeof most_pieces);
    for (int j = 0; j < taps; j++) {        /* columns rs apart have the same tap */
        const shift by = view_shift(v, (n0 + j) % v->rs);
        const piece *e = (piece *)tmp + j * kc;
        const int count = view_pieces(v, &by, spans, n_spans, (piece *)e);
        int at = 0;
        for (int i = 0; i < vectors; i++) {
            first[j][i] = (short)at;
            whole[i] &= at < count && e[at].vector == i && e[at].mask == ALL_LANES;
            while (at < count && e[at].vector == i) at++;
            if (at - first[j][i] > most_pieces[i]) most_pieces[i] = (char)(at - first[j][i]);
        }
        first[j][vectors] = (short)at;
    }
    for (int j0 = 0; j0 < w; j0 += VL) {
        const int n = (int)most(0, least(VL, cols - j0));
        const REAL *src[VL];
        const piece *pieces[VL];
        const short *from[VL];
        for (int i = 0; i < n; i++) {
            const int j = (j0 + i) % taps;
            src[i] = x->src + b * x->group + (n0 + j0 + i) / v->rs * v->cs;
            pieces[i] = (piece *)tmp + j * kc;
            from[i] = first[j];
        }
        REAL *to = dst + j0;
        for (int k = 0; k < vectors; k++, to += (int64_t)VL * w) {
            const int deep = kc - k * VL < VL ? kc - k * VL : VL;
            ENG(vec) r[VL];
            if (whole[k] && n == VL && step == 2) {
                UNROLL for (int i = 0; i < VL; i++) {
                    const REAL *p = src[i] + pieces[i][from[i][k]].at;
                    ENG(vec) odd;
                    ENG(split_pairs)(LOAD(p), ENG(load_part)(p + VL, 0, VL - 1), r + i, &odd);
                }
            } else if (whole[k] && n == VL) {
                UNROLL for (int i = 0; i < VL; i++) r[i] = LOAD(src[i] + pieces[i][from[i][k]].at);
            } else if (most_pieces[k] <= 2 && step <= 2 && n == VL) {
                UNROLL for (int i = 0; i < VL; i++) {       /* without a branch: which pieces there are, varies */
                    const int count = from[i][k + 1] - from[i][k];
                    const piece *e = pieces[i] + from[i][k], *f = e + (count > 1);
                    const REAL *p = src[i] + (count ? e->at : 0);
                    const unsigned mask = count ? e->mask : 0;
                    r[i] = ENG(load_stepped)((ENG(vec)){0}, p, mask, (int)step);
                    if (most_pieces[k] > 1) r[i] = ENG(load_stepped)(r[i], count > 1 ? src[i] + f->at : p,
                                                                     count > 1 ? f->mask : 0, (int)step);
                }
            } else for (int i = 0; i < VL; i++) {
                r[i] = (ENG(vec)){0};
                if (i < n) for (int e = from[i][k]; e < from[i][k + 1]; e++)
                    r[i] = ENG(load_piece)(r[i], src[i], pieces[i] + e, step);
            }
            if (HAS_TRANSPOSE) {
                ENG(transpose)(r);
                if (deep == VL) UNROLL for (int i = 0; i < VL; i++) STORE(to + (int64_t)i * w, r[i]);
                else for (int i = 0; i < deep; i++) memcpy(to + (int64_t)i * w, r + i, sizeof *r);
            } else for (int l = 0; l < deep; l++) for (int i = 0; i < VL; i++) to[(int64_t)l * w + i] = r[i][l];
        }
    }
}
