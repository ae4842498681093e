/* Pooling of planes, a row of outputs at a time: every window element is one pass over the row, clipped to the outputs
 * for which it lies inside the input. So there is no padding to read, and the passes are plain loops, which compilers
 * turn into vector code. Windows wider than the row of outputs (global pooling) are treated one by one instead. */
#ifndef MXL_POOL_COMMON
#define MXL_POOL_COMMON
#include <float.h>
#include <math.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif
#include "mxl_parallel.h"
enum { ROW = 256, LANES = 16 };     /* outputs of a row treated at once; partial sums of a wide window */

static inline int64_t lesser(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t greater(int64_t a, int64_t b) { return a > b ? a : b; }

/* Outputs lo..hi of `n` whose element lies inside the input: 0 <= j * stride + at < size. */
static inline void pool_inside(int64_t at, int64_t stride, int64_t size, int64_t n, int64_t *lo, int64_t *hi)
{
    *lo = at >= 0 ? 0 : stride == 1 ? -at : (-at + stride - 1) / stride;
    *hi = at >= size ? 0 : lesser(n, (stride == 1 ? size - 1 - at : (size - 1 - at) / stride) + 1);
    if (*hi < *lo) *hi = *lo;
}

/* Elements of window o along axis i that an average divides by; never 0. */
static inline int64_t pool_extent(const pool_args *g, int i, int64_t o)
{
    const int64_t begin = o * g->stride[i] - g->pad[i];
    const int64_t end = lesser(begin + g->kernel[i], g->src[i] + (g->include_pad ? g->pad[i] : 0));
    return greater(1, end - (g->include_pad ? begin : greater(begin, 0)));
}

/* The part of window o along axis i that lies inside the input. */
static inline void pool_window(const pool_args *g, int i, int64_t o, int64_t *lo, int64_t *hi)
{
    *lo = o * g->stride[i] - g->pad[i];
    *hi = lesser(*lo + g->kernel[i], g->src[i]);
    *lo = greater(*lo, 0);
}

/* For every window element of output row (od, oh), outputs j0 .. j0 + n: the given code, for each output j that sees
 * it at element q of the plane. */
#define FOR_EACH_TAP(...) do { \
    const int64_t sw = g->stride[2]; \
    int64_t z0, z1, y0, y1; \
    pool_window(g, 0, od, &z0, &z1); \
    pool_window(g, 1, oh, &y0, &y1); \
    for (int64_t a = z0; a < z1; a++) for (int64_t b = y0; b < y1; b++) { \
        const int64_t row = (a * g->src[1] + b) * g->src[2]; \
        for (int64_t k = 0; k < g->kernel[2]; k++) { \
            const int64_t at = j0 * sw - g->pad[2] + k, from = row + at; \
            int64_t lo, hi; \
            pool_inside(at, sw, g->src[2], n, &lo, &hi); \
            if (sw == 1) for (int64_t j = lo; j < hi; j++) { const int64_t q = from + j; __VA_ARGS__; } \
            else if (sw == 2) for (int64_t j = lo; j < hi; j++) { const int64_t q = from + 2 * j; __VA_ARGS__; } \
            else for (int64_t j = lo; j < hi; j++) { const int64_t q = from + sw * j; __VA_ARGS__; } \
        } \
    } } while (0)

/* For every row piece q0 .. q1 of the plane that the one window (od, oh, ow) sees. */
#define FOR_EACH_PIECE(...) do { \
    int64_t z0, z1, y0, y1, x0, x1; \
    pool_window(g, 0, od, &z0, &z1); \
    pool_window(g, 1, oh, &y0, &y1); \
    pool_window(g, 2, ow, &x0, &x1); \
    for (int64_t a = z0; a < z1; a++) for (int64_t b = y0; b < y1; b++) { \
        const int64_t q0 = (a * g->src[1] + b) * g->src[2] + x0, q1 = q0 + x1 - x0; \
        __VA_ARGS__ \
    } } while (0)

#define FOR_EACH_ROW \
    for (int64_t od = 0; od < g->dst[0]; od++) for (int64_t oh = 0; oh < g->dst[1]; oh++) \
    for (int64_t j0 = 0; j0 < g->dst[2]; j0 += ROW)
#endif

/* NaN loses against any number, as in fmax. */
#define LARGER(v, best) ((((best) >= (v)) | ((v) != (v))) ? (best) : (v))
#define POWER(v) (p == 1 ? (v) : p == 2 ? (v) * (v) : (v) * (v) * (v))

static inline __attribute__((always_inline)) void POOL(sum_row)(const pool_args *g, const REAL *restrict x,
                                                               REAL *restrict acc, int64_t od, int64_t oh, int64_t j0,
                                                               int64_t n, const int p)
{
    FOR_EACH_TAP(acc[j] += POWER(x[q]));
}

/* What becomes of a sum: divided for an average, its root for lp. */
static void POOL(finish)(const pool_args *g, REAL *acc, int64_t od, int64_t oh, int64_t j0, int64_t n)
{
    if (g->kind == POOL_AVG) {
        const int64_t rest = pool_extent(g, 0, od) * pool_extent(g, 1, oh);
        for (int64_t j = 0; j < n; j++) acc[j] /= (REAL)(rest * pool_extent(g, 2, j0 + j));
    } else if (g->kind == POOL_LP && g->p_value == 2) {
        for (int64_t j = 0; j < n; j++) acc[j] = (REAL)sqrt(acc[j]);
    } else if (g->kind == POOL_LP && g->p_value == 3) {
        for (int64_t j = 0; j < n; j++) acc[j] = (REAL)cbrt(acc[j]);
    }
}

static void POOL(rows_forward)(const pool_args *g, const REAL *restrict x, REAL *restrict y)
{
    FOR_EACH_ROW {
        const int64_t n = lesser(ROW, g->dst[2] - j0);
        REAL acc[ROW];
        if (g->kind == POOL_MAX) {
            for (int64_t j = 0; j < n; j++) acc[j] = (REAL)NAN;
            FOR_EACH_TAP(const REAL v = x[q]; acc[j] = LARGER(v, acc[j]));
            /* windows that begin behind the input's end are empty */
            const int64_t end = g->src[2] - j0 * g->stride[2] + g->pad[2];
            const int none = od * g->stride[0] - g->pad[0] >= g->src[0] || oh * g->stride[1] - g->pad[1] >= g->src[1];
            const int64_t first = none || end <= 0 ? 0 : (end + g->stride[2] - 1) / g->stride[2];
            for (int64_t j = first; j < n; j++) acc[j] = LOWEST;
        } else {
            memset(acc, 0, sizeof acc);
            const int64_t p = g->kind == POOL_LP ? g->p_value : 1;
            if (p == 1) POOL(sum_row)(g, x, acc, od, oh, j0, n, 1);
            else if (p == 2) POOL(sum_row)(g, x, acc, od, oh, j0, n, 2);
            else POOL(sum_row)(g, x, acc, od, oh, j0, n, 3);
            POOL(finish)(g, acc, od, oh, j0, n);
        }
        memcpy(y + (od * g->dst[1] + oh) * g->dst[2] + j0, acc, n * sizeof(REAL));
    }
}

static void POOL(wide_forward)(const pool_args *g, const REAL *restrict x, REAL *restrict y)
{
    const int64_t p = g->kind == POOL_LP ? g->p_value : 1;
    for (int64_t od = 0; od < g->dst[0]; od++) for (int64_t oh = 0; oh < g->dst[1]; oh++)
    for (int64_t ow = 0; ow < g->dst[2]; ow++, y++) {
        REAL acc[LANES];
        int64_t seen = 0;
        for (int i = 0; i < LANES; i++) acc[i] = g->kind == POOL_MAX ? (REAL)NAN : 0;
        if (g->kind == POOL_MAX) {
            FOR_EACH_PIECE({
                int64_t q = q0;
                for (; q + LANES <= q1; q += LANES)
                    for (int i = 0; i < LANES; i++) acc[i] = LARGER(x[q + i], acc[i]);
                for (int i = 0; q + i < q1; i++) acc[i] = LARGER(x[q + i], acc[i]);
                seen += greater(0, q1 - q0);
            });
            for (int i = 1; i < LANES; i++) acc[0] = LARGER(acc[i], acc[0]);
            *y = seen ? acc[0] : LOWEST;
            continue;
        }
        FOR_EACH_PIECE({
            int64_t q = q0;
            for (; q + LANES <= q1; q += LANES) for (int i = 0; i < LANES; i++) acc[i] += POWER(x[q + i]);
            for (int i = 0; q + i < q1; i++) acc[i] += POWER(x[q + i]);
        });
        for (int w = LANES / 2; w; w /= 2) for (int i = 0; i < w; i++) acc[i] += acc[i + w];
        POOL(finish)(g, acc, od, oh, ow, 1);
        *y = acc[0];
    }
}

/* dy of a row of outputs, times what the derivative of the window's value has in common for all its elements. */
static void POOL(scale)(const pool_args *g, const REAL *dy, const REAL *y, REAL *each, int64_t od, int64_t oh,
                        int64_t j0, int64_t n)
{
    memcpy(each, dy, n * sizeof(REAL));
    if (g->kind == POOL_AVG) POOL(finish)(g, each, od, oh, j0, n);
    else if (g->kind == POOL_LP && g->p_value == 2)
        for (int64_t j = 0; j < n; j++) each[j] = y[j] == 0 ? 0 : each[j] / y[j];
    else if (g->kind == POOL_LP && g->p_value == 3)
        for (int64_t j = 0; j < n; j++) each[j] = y[j] == 0 ? 0 : each[j] / (y[j] * y[j]);
}

static void POOL(rows_backward)(const pool_args *g, const REAL *restrict dy, const REAL *restrict x,
                                const REAL *restrict y, REAL *restrict dx)
{
    FOR_EACH_ROW {
        const int64_t n = lesser(ROW, g->dst[2] - j0), o = (od * g->dst[1] + oh) * g->dst[2] + j0;
        if (g->kind == POOL_MAX) {
            REAL best[ROW];
            INDEX where[ROW];
            for (int64_t j = 0; j < n; j++) best[j] = (REAL)NAN, where[j] = -1;
            FOR_EACH_TAP(const REAL v = x[q];
                         const int take = (where[j] < 0) | (v > best[j]) | ((best[j] != best[j]) & (v == v));
                         best[j] = take ? v : best[j];
                         where[j] = take ? (INDEX)q : where[j]);
            for (int64_t j = 0; j < n; j++) if (where[j] >= 0) dx[where[j]] += dy[o + j];
            continue;
        }
        REAL each[ROW];
        POOL(scale)(g, dy + o, y ? y + o : NULL, each, od, oh, j0, n);
        if (g->kind != POOL_LP || g->p_value == 1) FOR_EACH_TAP(dx[q] += each[j]);
        else if (g->p_value == 2) FOR_EACH_TAP(dx[q] += each[j] * x[q]);
        else FOR_EACH_TAP(dx[q] += each[j] * x[q] * x[q]);
    }
}

static void POOL(wide_backward)(const pool_args *g, const REAL *restrict dy, const REAL *restrict x,
                                const REAL *restrict y, REAL *restrict dx)
{
    int64_t o = 0;
    for (int64_t od = 0; od < g->dst[0]; od++) for (int64_t oh = 0; oh < g->dst[1]; oh++)
    for (int64_t ow = 0; ow < g->dst[2]; ow++, o++) {
        if (g->kind == POOL_MAX) {
            REAL best = (REAL)NAN;
            int64_t where = -1;
            FOR_EACH_PIECE({
                for (int64_t q = q0; q < q1; q++) {
                    const REAL v = x[q];
                    if (where < 0 || v > best || (best != best && v == v)) best = v, where = q;
                }
            });
            if (where >= 0) dx[where] += dy[o];
            continue;
        }
        REAL each;
        POOL(scale)(g, dy + o, y ? y + o : NULL, &each, od, oh, ow, 1);
        if (g->kind != POOL_LP || g->p_value == 1)
            FOR_EACH_PIECE({ for (int64_t q = q0; q < q1; q++) dx[q] += each; });
        else if (g->p_value == 2)
            FOR_EACH_PIECE({ for (int64_t q = q0; q < q1; q++) dx[q] += each * x[q]; });
        else
            FOR_EACH_PIECE({ for (int64_t q = q0; q < q1; q++) dx[q] += each * x[q] * x[q]; });
    }
}

static void POOL(plane)(const mxl_call *c, const pool_args *g, int64_t t, int backward)
{
    const int64_t in = g->src[0] * g->src[1] * g->src[2], out = g->dst[0] * g->dst[1] * g->dst[2];
    const int wide = g->kernel[2] > g->dst[2] || in > INT32_MAX;    /* a row's places fit 32 bits */
    if (!backward) {
        const REAL *x = (const REAL *)c->in[0].data + t * in;
        REAL *y = (REAL *)c->out[0].data + t * out;
        if (wide) POOL(wide_forward)(g, x, y);
        else POOL(rows_forward)(g, x, y);
        return;
    }
    const REAL *dy = (const REAL *)c->in[0].data + t * out;
    const REAL *x = c->n_in > 1 ? (const REAL *)c->in[1].data + t * in : NULL;
    const REAL *y = c->n_in > 2 ? (const REAL *)c->in[2].data + t * out : NULL;
    REAL *dx = (REAL *)c->out[0].data + t * in;
    memset(dx, 0, in * sizeof(REAL));
    if (wide) POOL(wide_backward)(g, dy, x, y, dx);
    else POOL(rows_backward)(g, dy, x, y, dx);
}

static void POOL(planes)(mxl_runtime *rt, const mxl_call *c, const pool_args *g, int backward)
{
    const int64_t work = g->planes * g->dst[0] * g->dst[1] * g->dst[2] * g->kernel[0] * g->kernel[1] * g->kernel[2];
    const int nt = mxl_enter(rt, c->threads, work, MXL_GRAIN);
    if (nt == 1) {
        for (int64_t t = 0; t < g->planes; t++) POOL(plane)(c, g, t, backward);
    } else {
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic, 4) num_threads(nt)
        for (int64_t t = 0; t < g->planes; t++) POOL(plane)(c, g, t, backward);
#endif
    }
    mxl_leave(rt, nt);
}

static void POOL(forward)(mxl_runtime *rt, const mxl_call *c, const pool_args *g) { POOL(planes)(rt, c, g, 0); }
static void POOL(backward)(mxl_runtime *rt, const mxl_call *c, const pool_args *g) { POOL(planes)(rt, c, g, 1); }
#undef LARGER
#undef POWER
