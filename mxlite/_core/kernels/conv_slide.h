/* Depthwise with a window of 3x3, 5x5 or 7x7 at stride 1, 3x3 at stride 2, straight from the source: a vector of
 * columns slides down the rows. Every row is loaded once a tap along x, and is used for all the windows that see it,
 * whose sums are in registers. */

/* Source elements that tap k of the windows j.. of a row sees: lanes lo..hi of p. */
INLINE void ENG(lanes_of)(int64_t at, int64_t wide, int64_t lanes, int *lo, int *hi)
{
    *lo = (int)least(VL, most(0, -at));
    *hi = (int)most(*lo, least(lanes, wide - at));
}

/* One plane: windows' sums, finished. w: kh * kw vectors of one weight each. `full`: no window reaches over an edge. */
INLINE void ENG(slide_columns)(const int kh, const int kw, const int full, const ENG(tiler) *r, const REAL *src,
                               const int64_t *size, const int64_t *out, int64_t j, int64_t r0, int64_t r1,
                               const ENG(vec) *weights, REAL *y, REAL bias, const REAL *add)
{
    static const REAL zeros[VL + 8] = {0};
    const int64_t wide = size[2], top = r->t.y.low, left = j + r->t.x.low, lanes = least(VL, out[2] - j);
    ENG(vec) acc[7], w[49];
    int lo[7], hi[7];
    UNROLL for (int i = 0; i < kh * kw; i++) w[i] = weights[i];
    UNROLL for (int b = 0; b < kh; b++) acc[b] = (ENG(vec)){0};
    UNROLL for (int k = 0; k < kw; k++) ENG(lanes_of)(left + k, wide, VL, &lo[k], &hi[k]);
    for (int64_t i = r0; i < r1 + kh - 1; i++) {
        const REAL *p = i + top >= 0 && i + top < size[1] ? src + (i + top) * wide + left : zeros;
        ENG(vec) v[7];
        __builtin_prefetch(p + 4 * VL);         /* of the row, for columns to come */
        UNROLL for (int k = 0; k < kw; k++) v[k] = full ? (ENG(vec))LOAD(p + k) : ENG(load_part)(p + k, lo[k], hi[k]);
        UNROLL for (int b = kh - 1; b >= 0; b--) {
            acc[b] = b ? acc[b - 1] : (ENG(vec)){0};
            UNROLL for (int k = 0; k < kw; k++) acc[b] += w[b * kw + k] * v[k];
        }
        const int64_t at = (i - kh + 1) * out[2] + j;
        if (i - kh + 1 >= r0) ENG(finish)(r, y + at, acc[kh - 1], lanes, bias, add ? add + at : NULL);
    }
}

#define SLIDE(k) \
static void ENG(slide_##k)(const ENG(tiler) *r, const REAL *src, const int64_t *size, const int64_t *out, \
                           const ENG(vec) *w, REAL *y, REAL bias, const REAL *add) \
{ \
    const int64_t rows = most(4 * k, TILE_BYTES / (int64_t)sizeof(REAL) / out[2]); \
    for (int64_t r0 = 0; r0 < out[1]; r0 += rows) for (int64_t j = 0; j < out[2]; j += VL) { \
        const int64_t left = j + r->t.x.low, r1 = least(out[1], r0 + rows); \
        if (left >= 0 && left + VL + k - 1 <= size[2]) \
            ENG(slide_columns)(k, k, 1, r, src, size, out, j, r0, r1, w, y, bias, add); \
        else ENG(slide_columns)(k, k, 0, r, src, size, out, j, r0, r1, w, y, bias, add); \
    } \
}
SLIDE(3)
SLIDE(5)
SLIDE(7)
#undef SLIDE

/* The dot products of dy with the source at every tap, added to `dots`. */
INLINE void ENG(slide_dots)(const int kh, const int kw, const ENG(tiler) *r, const REAL *src, const int64_t *size,
                            const REAL *dy, const int64_t *out, ENG(vec) *dots)
{
    static const REAL zeros[VL + 8] = {0};
    const int64_t wide = size[2], rows = most(4 * kh, TILE_BYTES / (int64_t)sizeof(REAL) / out[2]);
    ENG(vec) acc[25];
    UNROLL for (int i = 0; i < kh * kw; i++) acc[i] = dots[i];
    for (int64_t r0 = 0; r0 < out[1]; r0 += rows) for (int64_t j = 0; j < out[2]; j += VL) {
        const int64_t r1 = least(out[1], r0 + rows), left = j + r->t.x.low, lanes = least(VL, out[2] - j);
        ENG(vec) d[5];
        int lo[5], hi[5];
        UNROLL for (int k = 0; k < kw; k++) ENG(lanes_of)(left + k, wide, lanes, &lo[k], &hi[k]);
        UNROLL for (int b = 0; b < kh; b++) d[b] = (ENG(vec)){0};
        for (int64_t i = r0; i < r1 + kh - 1; i++) {
            const int64_t z = i + r->t.y.low;
            const REAL *p = z >= 0 && z < size[1] ? src + z * wide + left : zeros;
            __builtin_prefetch(p + 4 * VL);
            UNROLL for (int b = kh - 1; b > 0; b--) d[b] = d[b - 1];
            d[0] = i < r1 ? ENG(load_part)(dy + i * out[2] + j, 0, (int)lanes) : (ENG(vec)){0};
            UNROLL for (int k = 0; k < kw; k++) {
                const ENG(vec) v = ENG(load_part)(p + k, lo[k], hi[k]);
                UNROLL for (int b = 0; b < kh; b++) acc[b * kw + k] += d[b] * v;
            }
        }
    }
    UNROLL for (int i = 0; i < kh * kw; i++) dots[i] = acc[i];
}

static void ENG(slide_dots_3)(const ENG(tiler) *r, const REAL *src, const int64_t *size, const REAL *dy,
                              const int64_t *out, ENG(vec) *dots)
{
    ENG(slide_dots)(3, 3, r, src, size, dy, out, dots);
}

#if MXL_VB == 64
static void ENG(slide_dots_5)(const ENG(tiler) *r, const REAL *src, const int64_t *size, const REAL *dy,
                              const int64_t *out, ENG(vec) *dots)
{
    ENG(slide_dots)(5, 5, r, src, size, dy, out, dots);
}
#endif

/* What the three taps along x see of a source row at stride 2, from p on; lo, hi: of its vectors at 0, VL, 2,
 * VL + 2. */
INLINE void ENG(three_apart)(const REAL *p, const int *lo, const int *hi, ENG(vec) *v)
{
    ENG(vec) odd;
    ENG(split_pairs)(ENG(load_part)(p, lo[0], hi[0]), ENG(load_part)(p + VL, lo[1], hi[1]), v, v + 1);
    ENG(split_pairs)(ENG(load_part)(p + 2, lo[2], hi[2]), ENG(load_part)(p + VL + 2, lo[3], hi[3]), v + 2, &odd);
}

/* 3x3 at stride 2: a vector of windows slides down, two rows of the source at a time. Sums for y, or (`dot`) dot
 * products of dy with what the taps see. */
INLINE void ENG(slide_apart)(const int dot, const ENG(tiler) *r, const REAL *src, const int64_t *size,
                             const int64_t *out,
                             const ENG(vec) *w, REAL *y, REAL bias, const REAL *add, const REAL *dy, ENG(vec) *dots)
{
    static const REAL zeros[2 * VL + 2] = {0};
    const int64_t wide = size[2], top = r->t.y.low, rows = most(12, TILE_BYTES / (int64_t)sizeof(REAL) / wide / 2);
    ENG(vec) acc[9];
    UNROLL for (int i = 0; i < 9; i++) acc[i] = dot ? dots[i] : (ENG(vec)){0};
#define ROW(i, v) do { \
        const int64_t z = (i) + top; \
        const REAL *p = z >= 0 && z < size[1] ? src + z * wide + left : zeros; \
        __builtin_prefetch(p + 4 * VL); \
        ENG(three_apart)(p, lo, hi, v); \
    } while (0)
    for (int64_t r0 = 0; r0 < out[1]; r0 += rows) for (int64_t j = 0; j < out[2]; j += VL) {
        const int64_t left = 2 * j + r->t.x.low, r1 = least(out[1], r0 + rows), lanes = least(VL, out[2] - j);
        int lo[4], hi[4];
        for (int i = 0; i < 4; i++) {
            const int64_t to = most(0, least(VL, 2 * lanes - i % 2 * VL));
            ENG(lanes_of)(left + i % 2 * VL + i / 2 * 2, wide, to, &lo[i], &hi[i]);
        }
        ENG(vec) v[9] = {{0}};
        ROW(2 * r0, v + 6);
        for (int64_t i = r0; i < r1; i++) {
            UNROLL for (int k = 0; k < 3; k++) v[k] = v[6 + k];
            ROW(2 * i + 1, v + 3);
            ROW(2 * i + 2, v + 6);
            const int64_t at = i * out[2] + j;
            if (dot) {
                const ENG(vec) d = ENG(load_part)(dy + at, 0, (int)lanes);
                UNROLL for (int k = 0; k < 9; k++) acc[k] += d * v[k];
            } else {
                ENG(vec) s = {0};
                UNROLL for (int k = 0; k < 9; k++) s += w[k] * v[k];
                ENG(finish)(r, y + at, s, lanes, bias, add ? add + at : NULL);
            }
        }
    }
#undef ROW
    if (dot) UNROLL for (int i = 0; i < 9; i++) dots[i] = acc[i];
}

static void ENG(slide_2)(const ENG(tiler) *r, const REAL *src, const int64_t *size, const int64_t *out,
                         const ENG(vec) *w, REAL *y, REAL bias, const REAL *add)
{
    ENG(vec) none[9];
    ENG(slide_apart)(0, r, src, size, out, w, y, bias, add, NULL, none);
}

static void ENG(slide_dots_2)(const ENG(tiler) *r, const REAL *src, const int64_t *size, const REAL *dy,
                              const int64_t *out, ENG(vec) *dots)
{
    ENG(slide_apart)(1, r, src, size, out, dots, NULL, 0, NULL, dy, dots);
}

static int ENG(slides)(const conv_args *g, int kind)
{
    const int64_t k = g->kernel[2], step = g->stride[2];
    if (g->kernel[0] > 1 || g->src[0] > 1 || g->dst[0] > 1) return 0;
    if (g->channels != g->groups || g->filters != g->groups) return 0;
    if (g->kernel[1] != k || g->stride[1] != step || g->dilate[1] > 1 || g->dilate[2] > 1) return 0;
    if (step == 2) return k == 3 && kind != 1;
    return step == 1 && (k == 3 || (k == 5 && (kind != 2 || MXL_VB == 64)) || (k == 7 && kind != 2));
}

static void ENG(slide_plane)(const ENG(tiler) *r, int64_t task, const int back)
{
    const conv_args *g = r->g;
    const int64_t *size = back ? g->dst : g->src, *out = back ? g->src : g->dst, k = g->kernel[2], n = k * k;
    const int64_t channel = task % g->groups, at = task * out[1] * out[2];
    const REAL *src = (const REAL *)r->c->in[0].data + task * size[1] * size[2];
    const REAL *w = (const REAL *)r->c->in[1].data + channel * n;
    const REAL *bias = CONV_BIAS(r->c, g), *add = CONV_RESIDUAL(r->c, g);
    REAL *y = (REAL *)r->c->out[0].data + at;
    ENG(vec) weights[49];
    for (int64_t i = 0; i < n; i++) weights[back ? n - 1 - i : i] = w[i] - (ENG(vec)){0};
    (g->stride[2] == 2 ? ENG(slide_2) : k == 3 ? ENG(slide_3) : k == 5 ? ENG(slide_5) : ENG(slide_7))(
        r, src, size, out, weights, y,
                                                                   bias ? bias[channel] : 0, add ? add + at : NULL);
}
