/* Pooling of planes for one floating type T, a row of outputs at a time and the axes one after another: the rows that a
 * window covers become one padded line, then every output combines its elements of the line. Backward is the same
 * turned round: every element of the input adds up what the windows that cover it give, so nothing is scattered. A
 * window that is the whole plane is treated by itself. The second output of a maximum, where somebody reads it, says
 * which element of its window each comes from (pool_codes.h). */
#include "rowvec.h"
#include "pool_lanes.h"

/* The slow and sure way for maxima that are -inf, where NaN has to be told from nothing: outputs [0, n) of a row, and,
 * where `code` is given, the window element each comes from; -1 for an empty window. */
static void F(exact_max)(const pool_args *g, const T *x, int64_t od, int64_t oh, int64_t n, T *y, I *code)
{
    int64_t z0, z1, y0, y1, x0, x1;
    pool_window(g, 0, od, &z0, &z1);
    pool_window(g, 1, oh, &y0, &y1);
    for (int64_t j = 0; j < n; j++) {
        T best = (T)NAN;
        int64_t at = -1;
        pool_window(g, 2, j, &x0, &x1);
        for (int64_t a = z0; a < z1; a++) for (int64_t b = y0; b < y1; b++) for (int64_t w = x0; w < x1; w++) {
            const T v = x[(a * g->src[1] + b) * g->src[2] + w];
            if (at >= 0 && !(v > best || (best != best && v == v))) continue;
            best = v;
            at = ((a - od * g->stride[0] + g->pad[0]) * g->kernel[1] + b - oh * g->stride[1] + g->pad[1])
                 * g->kernel[2] + w - j * g->stride[2] + g->pad[2];
        }
        if (code) code[j] = (I)at;
        y[j] = at < 0 ? LOWEST : best;
    }
}
static int F(any_lowest)(const T *y, int64_t n)
{
    F(ints) hit = {0};
    const F(vec) low = F(splat)(-(T)INFINITY);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) hit |= (F(ints))(F(load)(y + i) == low);
    if (i < n) hit |= (F(ints))(F(load_part)(y + i, n - i, (F(vec)){0}) == low);
    return F(any)(hit);
}
static void F(fill)(T *p, int64_t n, T v) { for (int64_t i = 0; i < n; i++) p[i] = v; }

/* Columns [0, n) of the rows that windows (od, oh) cover, in one: largest, sum, or sum of powers. */
INLINE void F(join_rows)(const pool_args *g, const T *x, int64_t od, int64_t oh, int64_t n, T *line, int max, int p)
{
    int64_t z0, z1, y0, y1;
    pool_window(g, 0, od, &z0, &z1);
    pool_window(g, 1, oh, &y0, &y1);
    const F(vec) none = F(splat)(max ? -(T)INFINITY : 0);
#define JOIN_(LOAD, STORE) { \
        F(vec) acc = none; \
        for (int64_t a = z0; a < z1; a++) { \
            const T *from = x + (a * g->src[1] + y0) * g->src[2] + i; \
            for (int64_t b = y0; b < y1; b++, from += g->src[2]) \
                acc = max ? F(max)(LOAD, acc) : acc + F(to_power)(LOAD, p); \
        } \
        STORE; }
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) JOIN_(F(load)(from), F(store)(line + i, acc))
    if (i < n) JOIN_(F(load_part)(from, n - i, none), F(store_part)(line + i, n - i, acc))
#undef JOIN_
}

/* n outputs from a line, of kernel[2] elements each, stride[2] apart. */
INLINE void F(join_line)(const T *line, int64_t n, T *y, int max, int64_t kw, int64_t stride)
{
    for (int64_t j = 0; j < n; j += LANES) {
        const T *from = line + j * stride;
        F(vec) acc = F(load_every)(from, stride);
        for (int64_t k = 1; k < kw; k++) {
            F(vec) v = F(load_every)(from + k, stride);
            acc = max ? F(max)(v, acc) : acc + v;
        }
        if (n - j >= LANES) F(store)(y + j, acc);
        else F(store_part)(y + j, n - j, acc);
    }
}

/* n outputs of windows of two columns side by side, all inside the input: without a line in between. Largest, or the
 * sum times `share`. */
INLINE void F(pairs)(const pool_args *g, const T *x, int64_t od, int64_t oh, int64_t n, T *y, int max, T share)
{
    int64_t z0, z1, y0, y1;
    pool_window(g, 0, od, &z0, &z1);
    pool_window(g, 1, oh, &y0, &y1);
    const F(vec) none = F(splat)(max ? -(T)INFINITY : 0);
#define JOIN_(v, acc) acc = max ? F(max)(v, acc) : acc + v;
#define PAIRS_(A, B, STORE) { \
        F(vec) p = none, q = none; \
        for (int64_t a = z0; a < z1; a++) { \
            const T *from = x + (a * g->src[1] + y0) * g->src[2] + 2 * j; \
            for (int64_t b = y0; b < y1; b++, from += g->src[2]) { JOIN_(A, p) JOIN_(B, q) } \
        } \
        F(vec) v = F(evens)(p, q), w = F(odds)(p, q); \
        JOIN_(w, v) \
        if (!max) v *= share; \
        STORE; }
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES) PAIRS_(F(load)(from), F(load)(from + LANES), F(store)(y + j, v))
    const int64_t left = 2 * (n - j);
    if (left >= LANES)
        PAIRS_(F(load)(from), F(load_part)(from + LANES, left - LANES, none), F(store_part)(y + j, n - j, v))
    else if (left) PAIRS_(F(load_part)(from, left, none), none, F(store_part)(y + j, n - j, v))
#undef JOIN_
#undef PAIRS_
}
static __attribute__((noinline)) void F(pairs_max)(const pool_args *g, const T *x, int64_t od, int64_t oh, T *y)
{ F(pairs)(g, x, od, oh, g->dst[2], y, 1, 1); }
static __attribute__((noinline)) void F(pairs_sum)(const pool_args *g, const T *x, int64_t od, int64_t oh, T *y,
                                                   T share)
{ F(pairs)(g, x, od, oh, g->dst[2], y, 0, share); }

/* 1 / n, where multiplying by it is dividing by n; else 0. */
static T F(exact_inverse)(T n)
{
    int e;
    return frexp(n, &e) == 0.5 ? 1 / n : 0;
}

/* Sums of windows become what the kind asks for; count[j]: elements along the last axis. */
INLINE void F(finish)(const pool_args *g, T *y, const T *count, int64_t od, int64_t oh, int64_t n)
{
    if (g->kind == POOL_AVG) {
        const T rest = (T)(pool_extent(g, 0, od) * pool_extent(g, 1, oh));
        INDEPENDENT
        for (int64_t j = 0; j < n; j++) y[j] /= rest * count[j];
    } else if (g->kind == POOL_LP && g->p_value == 2) {
        for (int64_t j = 0; j < n; j++) y[j] = (T)sqrt(y[j]);
    } else if (g->kind == POOL_LP && g->p_value == 3) {
        for (int64_t j = 0; j < n; j++) y[j] = (T)cbrt(y[j]);
    }
}

/* Where a thread's scratch holds what; all lines have room for whole vectors. `pitch`: of a row of outputs with room on
 * both sides for windows that are not there, `margin` of it in front. */
typedef struct {
    int64_t n, whole, span, lead, m, margin, pitch;
    T *line, *count, *row, *each;
    I *at;
    uint8_t *codes;
} F(layout);

static void F(place)(const pool_args *g, T *work, F(layout) *l)
{
    const int64_t s = g->stride[2], kw = g->kernel[2];
    l->n = g->dst[2];
    l->whole = POOL_WHOLE(l->n);
    l->span = (l->whole - 1) * s + kw + POOL_SLACK;
    l->lead = lesser(g->src[2], (l->n - 1) * s + kw - g->pad[2]);     /* columns of the input that windows see */
    if (l->lead < 0) l->lead = 0;
    l->m = POOL_WHOLE((g->pad[2] + g->src[2] + s - 1) / s);
    l->margin = (kw - 1) / s + 1;
    l->pitch = POOL_WHOLE(l->margin + greater(l->whole, l->m) + POOL_SLACK);
    const int64_t rows = g->dst[0] * g->dst[1];
    l->line = work;
    l->at = (I *)(l->line + l->span);
    l->count = (T *)(l->at + l->span);
    l->row = l->count + l->whole;
    l->each = l->row + l->pitch;
    l->codes = (uint8_t *)(l->each + rows * l->pitch);
}

static void F(prepare)(const pool_args *g, F(layout) *l, int backward)
{
    const int64_t all = backward ? g->dst[0] * g->dst[1] * l->pitch : 0;
    F(fill)(l->each, all, 0);
    if (g->kind == POOL_MAX) memset(l->codes, POOL_NONE, (size_t)all);
    F(fill)(l->line, l->span, g->kind == POOL_MAX ? -(T)INFINITY : 0);
    for (int64_t i = 0; i < l->span; i++) l->at[i] = 0;
    for (int64_t j = 0; j < l->whole; j++) l->count[j] = j < l->n ? (T)pool_extent(g, 2, j) : 1;
}

/* Outputs from `first` on are of windows that begin behind the input's end along the last axis. */
static int64_t F(first_empty)(const pool_args *g, int64_t od, int64_t oh)
{
    if (od * g->stride[0] - g->pad[0] >= g->src[0] || oh * g->stride[1] - g->pad[1] >= g->src[1]) return 0;
    return lesser(g->dst[2], (g->src[2] + g->pad[2] + g->stride[2] - 1) / g->stride[2]);
}

#include "pool_codes.h"
#include "pool_back.h"

/* The usual windows by themselves, so that the loops over their elements unroll. Each in a function of its own:
 * together they have more values than registers. */
#define USUAL_(V) V(1, 3) V(2, 2) V(2, 3)
#define ROWS_(s, kw) \
static __attribute__((noinline)) void F(line_max_##s##kw)(const pool_args *g, const F(layout) *l, T *y) \
{ F(join_line)(l->line, l->n, y, 1, kw, s); (void)g; } \
static __attribute__((noinline)) void F(line_sum_##s##kw)(const pool_args *g, const F(layout) *l, T *y) \
{ F(join_line)(l->line, l->n, y, 0, kw, s); (void)g; } \
static __attribute__((noinline)) void F(codes_##s##kw)(const pool_args *g, const F(layout) *l, T *y) \
{ F(line_codes)(g, l, y, kw, s); } \
static __attribute__((noinline)) void F(row_max_##s##kw)(const pool_args *g, const F(layout) *l, int64_t d, \
                                                         int64_t h, T *dx, int past) \
{ F(input_row)(g, l, d, h, dx, 1, kw, s, 3, past); } \
static __attribute__((noinline)) void F(row_sum_##s##kw)(const pool_args *g, const F(layout) *l, int64_t d, \
                                                         int64_t h, T *dx, int past) \
{ F(input_row)(g, l, d, h, dx, 0, kw, s, 3, past); }
#define ENTRY_(s, kw) if (g->stride[2] == s && g->kernel[2] == kw) return (F(rows)){ \
    F(line_max_##s##kw), F(line_sum_##s##kw), F(codes_##s##kw), F(row_max_##s##kw), F(row_sum_##s##kw)};
USUAL_(ROWS_)
#define s_ g->stride[2]
#define k_ g->kernel[2]
static void F(line_max)(const pool_args *g, const F(layout) *l, T *y) { F(join_line)(l->line, l->n, y, 1, k_, s_); }
static void F(line_sum)(const pool_args *g, const F(layout) *l, T *y) { F(join_line)(l->line, l->n, y, 0, k_, s_); }
static void F(codes)(const pool_args *g, const F(layout) *l, T *y) { F(line_codes)(g, l, y, k_, s_); }
static void F(row_max)(const pool_args *g, const F(layout) *l, int64_t d, int64_t h, T *dx, int past)
{
    F(input_row)(g, l, d, h, dx, 1, k_, s_, 1, past);
}
static void F(row_sum)(const pool_args *g, const F(layout) *l, int64_t d, int64_t h, T *dx, int past)
{
    F(input_row)(g, l, d, h, dx, 0, k_, s_, 1, past);
}
#undef s_
#undef k_
typedef struct {
    void (*line_max)(const pool_args *, const F(layout) *, T *y);
    void (*line_sum)(const pool_args *, const F(layout) *, T *y);
    void (*codes)(const pool_args *, const F(layout) *, T *y);
    void (*row_max)(const pool_args *, const F(layout) *, int64_t d, int64_t h, T *dx, int past);
    void (*row_sum)(const pool_args *, const F(layout) *, int64_t d, int64_t h, T *dx, int past);
} F(rows);
static F(rows) F(rows_for)(const pool_args *g)
{
    USUAL_(ENTRY_)
    return (F(rows)){F(line_max), F(line_sum), F(codes), F(row_max), F(row_sum)};
}
#undef USUAL_
#undef ROWS_
#undef ENTRY_

/* Plane t; `codes` NULL: nobody reads them. */
static void F(plane_forward)(const pool_args *g, const F(layout) *l, const F(rows) *f, const T *x, T *y,
                             const mxl_tensor *codes, int64_t t)
{
    T *line = l->line + g->pad[2];
    const int pair = g->kernel[2] == 2 && g->stride[2] == 2 && g->pad[2] == 0 && 2 * l->n <= g->src[2];
    for (int64_t od = 0; od < g->dst[0]; od++) for (int64_t oh = 0; oh < g->dst[1]; oh++, y += l->n) {
        if (g->kind == POOL_MAX) {
            const int64_t first = F(first_empty)(g, od, oh);
            I *code = codes ? (I *)l->row : NULL;
            if (codes) {
                F(best_rows)(g, l, x, od, oh);
                f->codes(g, l, y);
            } else if (pair) F(pairs_max)(g, x, od, oh, y);
            else {
                F(join_rows)(g, x, od, oh, l->lead, line, 1, 1);
                f->line_max(g, l, y);
            }
            if (F(any_lowest)(y, first)) F(exact_max)(g, x, od, oh, first, y, code);
            F(fill)(y + first, l->n - first, LOWEST);
            if (!codes) continue;
            for (int64_t j = first; j < l->n; j++) code[j] = -1;
            F(put_codes)(code, l->n, codes, ((t * g->dst[0] + od) * g->dst[1] + oh) * l->n);
        } else {
            const int64_t p = g->kind == POOL_LP ? g->p_value : 1;
            const T share = !pair || p != 1 ? 0 : g->kind != POOL_AVG ? 1
                : F(exact_inverse)((T)(2 * pool_extent(g, 0, od) * pool_extent(g, 1, oh)));
            if (share != 0) { F(pairs_sum)(g, x, od, oh, y, share); continue; }
            if (p == 1) F(join_rows)(g, x, od, oh, l->lead, line, 0, 1);
            else if (p == 2) F(join_rows)(g, x, od, oh, l->lead, line, 0, 2);
            else F(join_rows)(g, x, od, oh, l->lead, line, 0, 3);
            f->line_sum(g, l, y);
            F(finish)(g, y, l->count, od, oh, l->n);
        }
    }
}

static void F(plane_backward)(const pool_args *g, const F(layout) *l, const F(rows) *f, const T *dy, const T *x,
                              const T *y, T *dx, const uint8_t *codes, int stream)
{
    const int64_t rows = g->dst[0] * g->dst[1];
    for (int64_t r = 0; r < rows; r++) {
        F(scale)(g, dy + r * l->n, y ? y + r * l->n : NULL, l->count, l->each + r * l->pitch + l->margin,
                 r / g->dst[1], r % g->dst[1], l->n);
        if (codes) memcpy(l->codes + r * l->pitch + l->margin, codes + r * l->n, (size_t)l->n);
    }
    for (int64_t d = 0; d < g->src[0]; d++) for (int64_t h = 0; h < g->src[1]; h++, dx += g->src[2]) {
        (g->kind == POOL_MAX ? f->row_max : f->row_sum)(g, l, d, h, dx, stream);
        if (g->kind == POOL_LP && g->p_value == 2) for (int64_t j = 0; j < g->src[2]; j++) dx[j] *= x[j];
        if (g->kind == POOL_LP && g->p_value == 3) for (int64_t j = 0; j < g->src[2]; j++) dx[j] *= x[j] * x[j];
        if (x) x += g->src[2];
    }
}

/* One window that is the whole plane of n elements. Sums: chunks in T, those in double. */
static void F(global_forward)(const pool_args *g, const F(layout) *l, const T *x, T *y, int64_t n,
                              const mxl_tensor *codes, int64_t t)
{
    if (g->kind == POOL_MAX) {
        *y = n ? F(largest_of)(x, n) : LOWEST;
        if (codes) pool_put_code(codes, t, n ? F(first_of)(x, n, *y) : -1);
        if (n && *y == -(T)INFINITY) F(exact_max)(g, x, 0, 0, 1, y, NULL);
        return;
    }
    const int64_t p = g->kind == POOL_LP ? g->p_value : 1;
    double sum = 0;
    for (int64_t i = 0; i < n; i += POOL_CHUNK) {
        int64_t len = lesser(POOL_CHUNK, n - i);
        sum += p == 1 ? F(power_total)(x + i, len, 1) : p == 2 ? F(power_total)(x + i, len, 2)
             : F(power_total)(x + i, len, 3);
    }
    *y = (T)sum;
    F(finish)(g, y, l->count, 0, 0, 1);
}

static void F(global_backward)(const pool_args *g, const F(layout) *l, const T *dy, const T *x, const T *y, T *dx,
                               int64_t n, const mxl_tensor *codes, int64_t t)
{
    if (g->kind == POOL_MAX) {
        const int64_t at = pool_code(codes, t);
        memset(dx, 0, (size_t)n * sizeof(T));
        if (at >= 0 && at < n) dx[at] = *dy;
        return;
    }
    T each;
    F(scale)(g, dy, y, l->count, &each, 0, 0, 1);
    if (g->kind != POOL_LP || g->p_value == 1) F(fill)(dx, n, each);
    else if (g->p_value == 2) for (int64_t q = 0; q < n; q++) dx[q] = each * x[q];
    else for (int64_t q = 0; q < n; q++) dx[q] = each * x[q] * x[q];
}

/* Planes [begin, end), with scratch of one thread. */
static void F(forward)(const mxl_call *c, const pool_args *g, int64_t begin, int64_t end, void *work)
{
    const int64_t in = g->src[0] * g->src[1] * g->src[2], out = g->dst[0] * g->dst[1] * g->dst[2];
    const int whole = pool_is_global(g);
    const F(rows) f = F(rows_for)(g);
    const mxl_tensor *codes = c->n_out > 1 && c->out[1].data ? c->out + 1 : NULL;
    F(layout) l;
    F(place)(g, work, &l);
    F(prepare)(g, &l, 0);
    for (int64_t t = begin; t < end; t++) {
        const T *x = (const T *)c->in[0].data + t * in;
        T *y = (T *)c->out[0].data + t * out;
        if (whole) F(global_forward)(g, &l, x, y, in, codes, t);
        else F(plane_forward)(g, &l, &f, x, y, codes, t);
    }
}

static void F(backward)(const mxl_call *c, const pool_args *g, int64_t begin, int64_t end, void *work)
{
    const int64_t in = g->src[0] * g->src[1] * g->src[2], out = g->dst[0] * g->dst[1] * g->dst[2];
    const int whole = pool_is_global(g), max = g->kind == POOL_MAX, bytes = max && c->in[1].dtype == MXL_U8;
    const int stream = g->kind != POOL_LP && c->out->size * (int64_t)sizeof(T) >= STREAM_BYTES
                       && !(((uintptr_t)c->out->data | (uintptr_t)g->src[2] * sizeof(T)) & (VECTOR_BYTES - 1));
    const F(rows) f = F(rows_for)(g);
    F(layout) l;
    F(place)(g, work, &l);
    F(prepare)(g, &l, !whole);
    for (int64_t t = begin; t < end; t++) {
        const T *dy = (const T *)c->in[0].data + t * out;
        const T *x = !max && c->n_in > 1 ? (const T *)c->in[1].data + t * in : NULL;
        const T *y = c->n_in > 2 ? (const T *)c->in[2].data + t * out : NULL;
        T *dx = (T *)c->out[0].data + t * in;
        if (whole) F(global_backward)(g, &l, dy, x, y, dx, in, c->in + 1, t);
        else if (max && !bytes) F(scatter)(g, dy, (const int64_t *)c->in[1].data + t * out, dx, in);
        else F(plane_backward)(g, &l, &f, dy, x, y, dx, max ? (const uint8_t *)c->in[1].data + t * out : NULL, stream);
    }
    if (stream) stream_done();
}
