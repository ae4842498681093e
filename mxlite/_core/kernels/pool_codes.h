/* Where maxima come from, for one floating type T; included by pool_real.h. A code is the number of an element in its
 * window, padding counted; none is POOL_NONE in 8 bits and -1 in 64. */

/* Columns of the rows that windows (od, oh) cover: the largest of each, and the code of its row, which is that of the
 * row's first element. */
static __attribute__((noinline)) void F(best_rows)(const pool_args *g, const F(layout) *l, const T *x, int64_t od,
                                                   int64_t oh)
{
    const int64_t kw = g->kernel[2], n = l->lead;
    const F(vec) low = F(splat)(-(T)INFINITY);
    T *line = l->line + g->pad[2];
    I *at = l->at + g->pad[2];
    int64_t z0, z1, y0, y1;
    pool_window(g, 0, od, &z0, &z1);
    pool_window(g, 1, oh, &y0, &y1);
    const int64_t first = (y0 - oh * g->stride[1] + g->pad[1]) * kw;
    for (int64_t i = 0; i < n; i += LANES) {
        F(vec) best = low;
        F(ints) where = {0};
        for (int64_t a = z0; a < z1; a++) {
            const T *from = x + (a * g->src[1] + y0) * g->src[2] + i;
            F(ints) row = (I)((a - od * g->stride[0] + g->pad[0]) * g->kernel[1] * kw + first) - (F(ints)){0};
            for (int64_t b = y0; b < y1; b++, from += g->src[2], row += (I)kw) {
                F(vec) v = n - i >= LANES ? F(load)(from) : F(load_part)(from, n - i, low);
                F(above)(v, row, &best, &where);
            }
        }
        if (n - i >= LANES) {
            F(store)(line + i, best);
            memcpy(at + i, &where, sizeof where);
        } else {
            F(store_part)(line + i, n - i, best);
            F(store_part)((T *)at + i, n - i, (F(vec))where);
        }
    }
}

/* The largest of each window of a line to y, and which element of its window it is first to `row`. */
INLINE void F(line_codes)(const pool_args *g, const F(layout) *l, T *y, int64_t kw, int64_t stride)
{
    const F(ints) behind = (I)(g->kernel[0] * g->kernel[1] * kw) - (F(ints)){0};
    const T *line = l->line, *at = (const T *)l->at;
    for (int64_t j = 0; j < l->n; j += LANES) {
        F(vec) best = F(splat)(-(T)INFINITY);
        F(ints) where = behind;
        for (int64_t k = 0; k < kw; k++)
            F(first_max)(F(load_every)(line + j * stride + k, stride),
                         (F(ints))F(load_every)(at + j * stride + k, stride) + (I)k, &best, &where);
        F(store)(l->row + j, (F(vec))where);
        if (l->n - j >= LANES) F(store)(y + j, best);
        else F(store_part)(y + j, l->n - j, best);
    }
}

static void F(put_codes)(const I *code, int64_t n, const mxl_tensor *to, int64_t at)
{
    if (to->dtype == MXL_U8) {
        uint8_t *p = (uint8_t *)to->data + at;
        INDEPENDENT
        for (int64_t j = 0; j < n; j++) p[j] = (uint8_t)code[j];
    } else {
        int64_t *p = (int64_t *)to->data + at;
        for (int64_t j = 0; j < n; j++) p[j] = code[j];
    }
}

/* Where `best`, the largest of n > 0 elements, is first; for -inf also where there is no number at all: 0. */
static int64_t F(first_of)(const T *x, int64_t n, T best)
{
    int64_t at = 0;
    while (at + LANES < n && !F(any)((F(ints))(F(load)(x + at) == best))) at += LANES;
    while (at < n && x[at] != best) at++;
    return at < n ? at : 0;
}

/* The gradient of a plane of large windows, an output at a time; codes that lie outside of the input give nothing. */
static void F(scatter)(const pool_args *g, const T *dy, const int64_t *code, T *dx, int64_t n)
{
    const int64_t area = g->kernel[1] * g->kernel[2], taps = area * g->kernel[0];
    memset(dx, 0, (size_t)n * sizeof(T));
    for (int64_t od = 0; od < g->dst[0]; od++) for (int64_t oh = 0; oh < g->dst[1]; oh++)
        for (int64_t j = 0; j < g->dst[2]; j++, dy++, code++) {
            if (*code < 0 || *code >= taps) continue;
            const int64_t a = od * g->stride[0] - g->pad[0] + *code / area;
            const int64_t b = oh * g->stride[1] - g->pad[1] + *code % area / g->kernel[2];
            const int64_t w = j * g->stride[2] - g->pad[2] + *code % g->kernel[2];
            if (a < 0 || a >= g->src[0] || b < 0 || b >= g->src[1] || w < 0 || w >= g->src[2]) continue;
            dx[(a * g->src[1] + b) * g->src[2] + w] += *dy;
        }
}
