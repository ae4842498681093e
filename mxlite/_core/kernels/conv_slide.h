/* Depthwise with a window of 3x3, 5x5 or 7x7 at stride 1, 3x3 at stride 2, straight from the source: a vector of
 * columns slides down the rows. Every row is loaded once a tap along x, and is used for all the windows that see it,
 * whose sums are in registers. */

/* Source elements that tap k of the windows j.. of a row sees: lanes lo..hi of p. */
INLINE void ENG(lanes_of)(int64_t at, int64_t wide, int64_t lanes, int *lo, int *hi)
{
    *lo = (int)least(VL, most(0, -at));
    *hi = (int)most(*lo, least(lanes, wide - at));
}

#if MXL_VB == 64
/* Lane l of the first `lanes` is lane l + k of v; the others are 0. */
INLINE ENG(vec) ENG(lanes_down)(ENG(vec) v, const int k, int lanes)
{
    const unsigned mask = (1u << lanes) - 1;
    if (sizeof(REAL) == 4) {
        const __m512i at = _mm512_setr_epi32(k, k + 1, k + 2, k + 3, k + 4, k + 5, k + 6, k + 7, k + 8, k + 9, k + 10,
                                             k + 11, k + 12, k + 13, k + 14, k + 15);
        return (ENG(vec))_mm512_maskz_permutexvar_ps((__mmask16)mask, at, (__m512)v);
    }
    const __m512i at = _mm512_setr_epi64(k, k + 1, k + 2, k + 3, k + 4, k + 5, k + 6, k + 7);
    return (ENG(vec))_mm512_maskz_permutexvar_pd((__mmask8)mask, at, (__m512d)v);
}
#else
INLINE ENG(vec) ENG(lanes_down)(ENG(vec) v, const int k, int lanes) { (void)k, (void)lanes; return v; }
#endif
enum { ENG(INSIDE) = 1, ENG(SHORT) };       /* windows reach over no edge; a row and its padding are one vector */
#define IS_SHORT(size, out, k) (MXL_VB == 64 && (out)[2] + (k) - 1 <= VL)

/* One plane: windows' sums, finished. w: kh * kw vectors of one weight each. `rows`: INSIDE, SHORT or 0.
 * ahead: from a row to what is fetched meanwhile. */
INLINE void ENG(slide_columns)(const int kh, const int kw, const int rows, const ENG(tiler) *r, const REAL *src,
                               const int64_t *size, const int64_t *out, int64_t j, int64_t r0, int64_t r1,
                               int64_t ahead, const ENG(vec) *weights, REAL *y, REAL bias, const REAL *add)
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
        __builtin_prefetch(p + ahead);
        UNROLL for (int k = 0; k < kw; k++)
            v[k] = rows == ENG(INSIDE) ? (ENG(vec))LOAD(p + k) : rows == ENG(SHORT) && k
                 ? ENG(lanes_down)(v[0], k, VL - k) : ENG(load_part)(p + k, lo[k], hi[k]);
        UNROLL for (int b = kh - 1; b >= 0; b--) {
            acc[b] = b ? acc[b - 1] : (ENG(vec)){0};
            UNROLL for (int k = 0; k < kw; k++) acc[b] += w[b * kw + k] * v[k];
        }
        const int64_t at = (i - kh + 1) * out[2] + j;
        if (i - kh + 1 >= r0) ENG(finish)(r, y + at, acc[kh - 1], lanes, bias, add ? add + at : NULL);
    }
}

/* Rows of a block of rows that vectors of columns slide down; what comes next to them is fetched ahead: columns where a
 * plane is one block, else the next block. */
static int64_t ENG(slide_rows)(const int64_t *size, const int64_t *out, int64_t least_rows, int64_t *ahead)
{
    const int64_t row = (int64_t)sizeof(REAL) * out[2], rows = most(least_rows, BLOCK_BYTES / row);
    *ahead = TILE_BYTES / row < out[1] ? rows * size[2] : 4 * VL;
    return TILE_BYTES / row < out[1] ? rows : out[1];
}

#define SLIDE(k) \
static void ENG(slide_##k)(const ENG(tiler) *r, const REAL *src, const int64_t *size, const int64_t *out, \
                           const ENG(vec) *w, REAL *y, REAL bias, const REAL *add) \
{ \
    int64_t ahead; \
    const int64_t rows = ENG(slide_rows)(size, out, 4 * k, &ahead); \
    for (int64_t r0 = 0; r0 < out[1]; r0 += rows) for (int64_t j = 0; j < out[2]; j += VL) { \
        const int64_t left = j + r->t.x.low, r1 = least(out[1], r0 + rows); \
        if (IS_SHORT(size, out, k)) \
            ENG(slide_columns)(k, k, ENG(SHORT), r, src, size, out, j, r0, r1, ahead, w, y, bias, add); \
        else if (left >= 0 && left + VL + k - 1 <= size[2]) \
            ENG(slide_columns)(k, k, ENG(INSIDE), r, src, size, out, j, r0, r1, ahead, w, y, bias, add); \
        else ENG(slide_columns)(k, k, 0, r, src, size, out, j, r0, r1, ahead, w, y, bias, add); \
    } \
}
SLIDE(3)
SLIDE(5)
SLIDE(7)
#undef SLIDE

/* The dot products of dy with the source at every tap, added to `dots`. */
INLINE void ENG(slide_dots)(const int kh, const int kw, const int is_short, const ENG(tiler) *r, const REAL *src,
                            const int64_t *size, const REAL *dy, const int64_t *out, ENG(vec) *dots)
{
    static const REAL zeros[VL + 8] = {0};
    const int64_t wide = size[2], rows = most(4 * kh, BLOCK_BYTES / (int64_t)sizeof(REAL) / out[2]);
    ENG(vec) acc[25];
    UNROLL for (int i = 0; i < kh * kw; i++) acc[i] = dots[i];
    for (int64_t r0 = 0; r0 < out[1]; r0 += rows) for (int64_t j = 0; j < out[2]; j += VL) {
        const int64_t r1 = least(out[1], r0 + rows), left = j + r->t.x.low, lanes = least(VL, out[2] - j);
        ENG(vec) d[5];
        int lo[5], hi[5];
        UNROLL for (int k = 0; k < kw; k++) ENG(lanes_of)(left + k, wide, is_short ? VL : lanes, &lo[k], &hi[k]);
        UNROLL for (int b = 0; b < kh; b++) d[b] = (ENG(vec)){0};
        for (int64_t i = r0; i < r1 + kh - 1; i++) {
            const int64_t z = i + r->t.y.low;
            const REAL *p = z >= 0 && z < size[1] ? src + z * wide + left : zeros;
            __builtin_prefetch(p + (r1 - r0) * wide);
            __builtin_prefetch(dy + (i + r1 - r0) * out[2] + j);
            UNROLL for (int b = kh - 1; b > 0; b--) d[b] = d[b - 1];
            if (i < r1) d[0] = ENG(load_part)(dy + i * out[2] + j, 0, (int)lanes);
            const int64_t first = most(0, i - r1 + 1), last = least(kh - 1, i - r0);
            const ENG(vec) whole = is_short ? ENG(load_part)(p, lo[0], hi[0]) : (ENG(vec)){0};
#define SEEN(k) (is_short ? ENG(lanes_down)(whole, k, (int)lanes) : ENG(load_part)(p + (k), lo[k], hi[k]))
            if (last - first == kh - 1) UNROLL for (int k = 0; k < kw; k++) {
                const ENG(vec) v = SEEN(k);
                UNROLL for (int b = 0; b < kh; b++) acc[b * kw + k] += d[b] * v;
            } else UNROLL for (int b = 0; b < kh; b++) if (b >= first && b <= last)     /* infinity times 0 is NaN */
                UNROLL for (int k = 0; k < kw; k++) acc[b * kw + k] += d[b] * SEEN(k);
#undef SEEN
        }
    }
    UNROLL for (int i = 0; i < kh * kw; i++) dots[i] = acc[i];
}

static void ENG(slide_dots_3)(const ENG(tiler) *r, const REAL *src, const int64_t *size, const REAL *dy,
                              const int64_t *out, ENG(vec) *dots)
{
    if (IS_SHORT(size, out, 3)) ENG(slide_dots)(3, 3, 1, r, src, size, dy, out, dots);
    else ENG(slide_dots)(3, 3, 0, r, src, size, dy, out, dots);
}

#if MXL_VB == 64
static void ENG(slide_dots_5)(const ENG(tiler) *r, const REAL *src, const int64_t *size, const REAL *dy,
                              const int64_t *out, ENG(vec) *dots)
{
    ENG(slide_dots)(5, 5, 0, r, src, size, dy, out, dots);
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
    const int64_t wide = size[2], top = r->t.y.low, rows = most(12, BLOCK_BYTES / (int64_t)sizeof(REAL) / wide / 2);
    ENG(vec) acc[9];
    UNROLL for (int i = 0; i < 9; i++) acc[i] = dot ? dots[i] : (ENG(vec)){0};
#define ROW(i, v) do { \
        const int64_t z = (i) + top; \
        const REAL *p = z >= 0 && z < size[1] ? src + z * wide + left : zeros; \
        __builtin_prefetch(p + 2 * (r1 - r0) * wide); \
        __builtin_prefetch(p + 2 * (r1 - r0) * wide + VL); \
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
                __builtin_prefetch(dy + at + (r1 - r0) * out[2]);
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

#include "conv_pairs.h"

/* Whether two rows of 3x3 windows go into a vector. */
static int ENG(in_pairs)(const conv_args *g, int kind)
{
    const int64_t *size = kind == 1 ? g->dst : g->src, *out = kind == 1 ? g->src : g->dst;
    return MXL_VB == 64 && g->kernel[2] == 3 && 2 * out[2] <= VL && size[2] <= VL && (kind != 1 || g->stride[2] == 1);
}

static void ENG(slides_init)(ENG(tiler) *r, int kind)
{
#if MXL_VB == 64
    const conv_args *g = r->g;
    if (ENG(in_pairs)(g, kind)) ENG(pairs_init)(r, g->stride[2], (kind == 1 ? g->dst : g->src)[2],
                                                (kind == 1 ? g->src : g->dst)[2]);
#endif
    (void)r, (void)kind;
}

static int ENG(slides)(const conv_args *g, int kind)
{
    const int64_t k = g->kernel[2], step = g->stride[2];
    if (g->kernel[0] > 1 || g->src[0] > 1 || g->dst[0] > 1) return 0;
    if (g->channels != g->groups || g->filters != g->groups) return 0;
    if (g->kernel[1] != k || g->stride[1] != step || g->dilate[1] > 1 || g->dilate[2] > 1) return 0;
    if (MXL_VB == 16 && (kind == 2 || step == 2)) return 0;        /* parts of rows cost too much there */
    if (step == 2) return k == 3;
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
    void (*slide)(const ENG(tiler) *, const REAL *, const int64_t *, const int64_t *, const ENG(vec) *, REAL *, REAL,
                  const REAL *) = k == 3 ? ENG(slide_3) : k == 5 ? ENG(slide_5) : ENG(slide_7);
    if (g->stride[2] == 2) slide = back ? ENG(slide_spread) : ENG(slide_2);
#if MXL_VB == 64
    if (ENG(in_pairs)(g, back)) slide = g->stride[2] == 2 ? ENG(slide_pairs_2) : ENG(slide_pairs_1);
#endif
    slide(r, src, size, out, weights, y, bias ? bias[channel] : 0, add ? add + at : NULL);
}
