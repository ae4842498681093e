/* Depthwise 3x3 where rows are short or far apart: two rows of windows in one vector, and the data's gradient at
 * stride 2, whose positions see one or two taps along each axis. */

#if MXL_VB == 64
/* Lanes of the vectors a and b, one after the other; 0 where `mask` has no bit. */
INLINE ENG(vec) ENG(pick_lanes)(ENG(vec) a, ENG(vec) b, ENG(ivec) at, unsigned mask)
{
    if (sizeof(REAL) == 4)
        return (ENG(vec))_mm512_maskz_permutex2var_ps((__mmask16)mask, (__m512)a, (__m512i)at, (__m512)b);
    return (ENG(vec))_mm512_maskz_permutex2var_pd((__mmask8)mask, (__m512d)a, (__m512i)at, (__m512d)b);
}

/* Where the taps along x find the lanes of two rows of windows. */
static void ENG(pairs_init)(ENG(tiler) *r, int64_t step, int64_t wide, int64_t cols)
{
    for (int k = 0; k < 3; k++) {
        memset(&r->pair_at[k], 0, sizeof r->pair_at[k]);
        r->pair_mask[k] = 0;
        for (int l = 0; l < 2 * cols; l++) {
            const int64_t row = l >= cols, x = (l - row * cols) * step + r->t.x.low + k;
            if (x >= 0 && x < wide) r->pair_mask[k] |= 1u << l, r->pair_at[k][l] = (int)(row * VL + x);
        }
    }
}

/* One plane. Every row of the source is one load; what the taps see of two of them, one window's row and the next's,
 * is picked from there. Sums for y, or (`dot`) dot products of dy added to `dots`. */
INLINE void ENG(slide_pairs)(const int dot, const int step, const ENG(tiler) *r, const REAL *src, const int64_t *size,
                             const int64_t *out, const ENG(vec) *w, REAL *y, REAL bias, const REAL *add,
                             const REAL *dy, ENG(vec) *dots)
{
    const int64_t wide = size[2], cols = out[2];
    ENG(vec) acc[9];
    ENG(ivec) at[3];
    unsigned mask[3];
    UNROLL for (int k = 0; k < 3; k++) at[k] = r->pair_at[k], mask[k] = r->pair_mask[k];
    UNROLL for (int i = 0; i < 9; i++) acc[i] = dot ? dots[i] : w[i];
    for (int64_t i = 0; i < out[1]; i += 2) {
        const int64_t lanes = least(2, out[1] - i) * cols, from = i * step + r->t.y.low;
        const unsigned seen = (1u << lanes) - 1;        /* nothing is multiplied for a row that is not there */
        ENG(vec) row[5], s = {0}, d = {0};
        UNROLL for (int b = 0; b < 3 + step; b++) {
            const int64_t z = from + b;
            row[b] = z >= 0 && z < size[1] ? ENG(load_part)(src + z * wide, 0, (int)wide) : (ENG(vec)){0};
        }
        if (dot) d = ENG(load_part)(dy + i * cols, 0, (int)lanes);
        UNROLL for (int b = 0; b < 3; b++) UNROLL for (int k = 0; k < 3; k++) {
            const ENG(vec) v = ENG(pick_lanes)(row[b], row[b + step], at[k], mask[k] & seen);
            if (dot) acc[3 * b + k] += d * v;
            else s += acc[3 * b + k] * v;
        }
        if (!dot) ENG(finish)(r, y + i * cols, s, lanes, bias, add ? add + i * cols : NULL);
    }
    if (dot) UNROLL for (int i = 0; i < 9; i++) dots[i] = acc[i];
}
#define SLIDE_PAIRS(step) \
static void ENG(slide_pairs_##step)(const ENG(tiler) *r, const REAL *src, const int64_t *size, const int64_t *out, \
                                    const ENG(vec) *w, REAL *y, REAL bias, const REAL *add) \
{ \
    ENG(slide_pairs)(0, step, r, src, size, out, w, y, bias, add, NULL, NULL); \
} \
static void ENG(pair_dots_##step)(const ENG(tiler) *r, const REAL *src, const int64_t *size, const REAL *dy, \
                                  const int64_t *out, ENG(vec) *dots) \
{ \
    ENG(slide_pairs)(1, step, r, src, size, out, NULL, NULL, 0, NULL, dy, dots); \
}
SLIDE_PAIRS(1)
SLIDE_PAIRS(2)
#undef SLIDE_PAIRS
#endif

/* Columns x.. of a plane of the data's gradient at stride 2, from what rows h0..h1 of dy begin. Positions whose
 * distance from the first window is odd see tap 1, even ones taps 0 and 2: `near` is, spread over the positions, what
 * taps 1 and 2 see of a row of dy, `far` what tap 0 sees. */
INLINE void ENG(spread_columns)(const int odd, const ENG(tiler) *r, const REAL *src, const int64_t *size,
                                const int64_t *out, int64_t x, int64_t h0, int64_t h1, const ENG(vec) *w, REAL *y,
                                REAL bias, const REAL *add)
{
    const int64_t py = r->g->pad[1], px = r->g->pad[2], wide = size[2], j = (x + px) / 2 - 1;
    const int64_t n = least(VL, out[2] - x);
    const int lo = (int)least(VL, most(0, -j)), hi = (int)most(0, least(VL, wide - j));
    ENG(vec) near_w[3], far_w[3], near = {0}, far = {0};
    ENG(ivec) near_at, far_at, even;
    UNROLL for (int l = 0; l < VL; l++) {
        near_at[l] = odd ? l / 2 + 1 : (l + 1) / 2;
        far_at[l] = odd ? (l + 1) / 2 + 1 : l / 2 + 1;
        even[l] = (l + odd) % 2 == 0 ? -1 : 0;
    }
    UNROLL for (int b = 0; b < 3; b++) {        /* weights come turned round, as for stride 1 */
        const ENG(ivec) one = (ENG(ivec))w[8 - (3 * b + 1)], two = (ENG(ivec))w[8 - (3 * b + 2)];
        near_w[b] = (ENG(vec))((two & even) | (one & ~even));
        far_w[b] = (ENG(vec))((ENG(ivec))w[8 - 3 * b] & even);
    }
    for (int64_t h = h0 - 1; h < h1; h++) {
        const ENG(vec) d = h >= 0 && h < size[1] ? ENG(load_part)(src + h * wide + j, lo, hi) : (ENG(vec)){0};
        const ENG(vec) near1 = near, far1 = far;
        near = __builtin_shuffle(d, near_at);
        far = (ENG(vec))((ENG(ivec))__builtin_shuffle(d, far_at) & even);
        if (h < h0) continue;
        const int64_t at = (2 * h - py) * out[2] + x;
        if (2 * h >= py) ENG(finish)(r, y + at, near * near_w[0] + far * far_w[0] + near1 * near_w[2]
                                     + far1 * far_w[2], n, bias, add ? add + at : NULL);
        if (2 * h + 1 >= py && 2 * h + 1 - py < out[1])
            ENG(finish)(r, y + at + out[2], near * near_w[1] + far * far_w[1], n, bias,
                        add ? add + at + out[2] : NULL);
    }
}

static void ENG(slide_spread)(const ENG(tiler) *r, const REAL *src, const int64_t *size, const int64_t *out,
                              const ENG(vec) *w, REAL *y, REAL bias, const REAL *add)
{
    const int64_t first = r->g->pad[1] / 2, end = ceil_div(out[1] + r->g->pad[1], 2);
    const int64_t rows = most(6, TILE_BYTES / (int64_t)sizeof(REAL) / out[2] / 2);
    for (int64_t h = first; h < end; h += rows) for (int64_t x = 0; x < out[2]; x += VL)
        if (r->g->pad[2] % 2)
            ENG(spread_columns)(1, r, src, size, out, x, h, least(end, h + rows), w, y, bias, add);
        else ENG(spread_columns)(0, r, src, size, out, x, h, least(end, h + rows), w, y, bias, add);
}
