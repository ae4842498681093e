/* The gradient of pooling, a row at a time, for one floating type T; included by pool_real.h. */

/* dy of a row of outputs, times what the derivative of the window's value has in common for all its elements. */
static void F(scale)(const pool_args *g, const T *dy, const T *y, const T *count, T *each, int64_t od, int64_t oh,
                     int64_t n)
{
    memcpy(each, dy, (size_t)n * sizeof(T));
    if (g->kind == POOL_AVG) F(finish)(g, each, count, od, oh, n);
    else if (g->kind == POOL_LP && g->p_value == 2)
        for (int64_t j = 0; j < n; j++) each[j] = y[j] == 0 ? 0 : each[j] / y[j];
    else if (g->kind == POOL_LP && g->p_value == 3)
        for (int64_t j = 0; j < n; j++) each[j] = y[j] == 0 ? 0 : each[j] / (y[j] * y[j]);
}

/* Windows along axis i that cover position `at`: [*lo, *hi). */
static inline void F(covering)(const pool_args *g, int i, int64_t at, int64_t *lo, int64_t *hi)
{
    const int64_t from = at + g->pad[i] - g->kernel[i] + 1;
    *lo = from > 0 ? (from + g->stride[i] - 1) / g->stride[i] : 0;
    *hi = lesser(g->dst[i], (at + g->pad[i]) / g->stride[i] + 1);
}

/* A row of outputs, with room in front: what each gives, whose code is which, and the code of a row of the input. */
typedef struct { const T *each; const uint8_t *codes; int first; } F(given);

/* Elements r, r + stride, ... of a padded row of the input, LANES of them from m on: what rows of outputs give them. */
INLINE F(vec) F(gather)(const F(given) *from, const int rows, int64_t m, const int64_t r, int64_t kw, int64_t stride,
                        const int max)
{
    F(vec) acc = {0};
    for (int q = 0; q < rows; q++) {
        const T *each = from[q].each + m;
        const uint8_t *codes = from[q].codes + m;
        for (int64_t k = r; k < kw; k += stride, each--, codes--)
            acc = max ? F(add_where)(acc, codes, from[q].first + (int)k, F(load)(each)) : acc + F(load)(each);
    }
    return acc;
}

/* A row of the input: what `rows` rows of outputs give it, `add`: and what is there. past: whole vectors, past the
 * caches. */
INLINE void F(take)(const pool_args *g, const F(given) *all, const int rows, T *dx, const int max, int64_t kw,
                    int64_t stride, int add, int past)
{
    const int64_t w = g->src[2], pad = g->pad[2];
    F(given) from[3];
    for (int q = 0; q < rows; q++) from[q] = all[q];
#define PUT_(p, n, v) { \
        const int64_t n_ = n; \
        if (past) F(stream)(p, v); \
        else if (n_ >= LANES) F(store)(p, add ? F(load)(p) + v : v); \
        else F(store_part)(p, n_, add ? F(load_part)(p, n_, v) + v : v); }
    if (stride == 1) {
        for (int64_t m = 0; m < w; m += LANES) {
            F(vec) v = F(gather)(from, rows, m + pad, 0, kw, 1, max);
            PUT_(dx + m, w - m, v)
        }
        return;
    }
    if (stride == 2) {
        const int64_t even = (pad + 1) / 2, odd = pad / 2;
        for (int64_t m = 0; 2 * m < w; m += LANES) {
            F(vec) a = F(gather)(from, rows, m + even, 0, kw, 2, max), c, e;
            F(vec) b = F(gather)(from, rows, m + odd, 1, kw, 2, max);
            F(zip)(pad % 2 ? b : a, pad % 2 ? a : b, &c, &e);
            PUT_(dx + 2 * m, w - 2 * m, c)
            if (w - 2 * m > LANES) PUT_(dx + 2 * m + LANES, w - 2 * m - LANES, e)
        }
        return;
    }
#undef PUT_
    for (int64_t r = 0; r < stride; r++)
        for (int64_t m = 0; m * stride + r < w; m += LANES) {
            F(vec) a = F(gather)(from, rows, m + (pad + r) / stride, (pad + r) % stride, kw, stride, max);
            T *to = dx + m * stride + r;
            for (int64_t i = 0; i < LANES && (m + i) * stride + r < w; i++, to += stride)
                *to = add ? *to + a[i] : a[i];
        }
}

/* Row h of plane d of the input, from the outputs' rows in scratch; up to `most` of them at a time. */
INLINE void F(input_row)(const pool_args *g, const F(layout) *l, int64_t d, int64_t h, T *dx, const int max, int64_t kw,
                         int64_t stride, const int most, int past)
{
    int64_t d0, d1, h0, h1;
    F(given) from[3];
    F(covering)(g, 0, d, &d0, &d1);
    F(covering)(g, 1, h, &h0, &h1);
    if (!max) {
        for (int64_t j = 0; j < l->pitch; j += LANES) {
            F(vec) acc = {0};
            for (int64_t od = d0; od < d1; od++) for (int64_t oh = h0; oh < h1; oh++)
                acc += F(load)(l->each + (od * g->dst[1] + oh) * l->pitch + j);
            F(store)(l->row + j, acc);
        }
        from[0] = (F(given)){l->row + l->margin, l->codes, 0};
        F(take)(g, from, 1, dx, 0, kw, stride, 0, past);
        return;
    }
    int rows = 0, add = 0;
    if ((d1 - d0) * (h1 - h0) > most) past = 0;
    for (int64_t od = d0; od < d1; od++) for (int64_t oh = h0; oh < h1; oh++) {
        const int64_t at = (od * g->dst[1] + oh) * l->pitch + l->margin;
        from[rows++] = (F(given)){l->each + at, l->codes + at, (int)(((d - od * g->stride[0] + g->pad[0]) * g->kernel[1]
                                  + h - oh * g->stride[1] + g->pad[1]) * kw)};
        if (rows < most) continue;
        F(take)(g, from, most, dx, 1, kw, stride, add, past);
        add = 1;
        rows = 0;
    }
    if (rows == 1) F(take)(g, from, 1, dx, 1, kw, stride, add, past);
    else if (rows == 2 && most > 2) F(take)(g, from, 2, dx, 1, kw, stride, add, past);
    else if (!add) memset(dx, 0, (size_t)g->src[2] * sizeof(T));
}
