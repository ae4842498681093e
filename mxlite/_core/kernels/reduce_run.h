/* The kernels of the reductions: they walk the loop nest and cut large reductions into parts of fixed size, so that the
 * order of the additions follows from the shape and not from the number of threads. */
#ifndef MXL_REDUCE_RUN_H
#define MXL_REDUCE_RUN_H
#include <math.h>
#include "mxl_parallel.h"
#include "convert.h"
#include "vmath.h"
#include "reduce_ops.h"

enum { WIDTH = 512, COLUMNS = 4096, CHUNK = 4096, TILE = 8192, PLAIN = 0, MEAN, ROOT };
/* Groups of neighbouring axes; kept and reduced ones alternate. */
typedef struct { int64_t ndim, dims[MXL_MAXDIM], reduced[MXL_MAXDIM], parts; } ReduceArgs;
typedef struct { int64_t outer, length, inner; } ArgArgs;
typedef union { double d; int64_t i; } cell;

static mxl_runtime *mxl_rt;
static const mxl_reduce_table *mxl_levels[MXL_ISA_LEVELS] = {
    &mxl_reduce_base,
#ifdef MXL_HAVE_X86_LEVELS
    &mxl_reduce_avx2, &mxl_reduce_avx512,
#endif
};

typedef struct {
    mxl_call *c;
    const mxl_reduce_table *t;
    int op, post, whole, last, row;         /* whole: integer arithmetic; row: the last group is reduced */
    int64_t stride[MXL_MAXDIM], count, outer, width, across, tile, tiles, units, chunks, tasks, parts;
    /* outer: kept positions before the last group; width: size of the last group; across: neighbouring results, of
     * which a task makes up to `tile`; units: what parts divide */
} plan;

#define START_(name, start, step, merge) start,
static const double starts[] = { MXL_REDUCE(START_) };
static int64_t whole_start(int op)
{
    return op == MXL_R_prod || op == MXL_R_nanprod ? 1 : op == MXL_R_max ? INT64_MIN : op == MXL_R_min ? INT64_MAX : 0;
}
static inline int64_t whole_step(int op, int64_t a, int64_t v)
{
    switch (op) {
    case MXL_R_sumabs: return add_i(a, v < 0 ? sub_i(0, v) : v);
    case MXL_R_prod: case MXL_R_nanprod: return mul_i(a, v);
    case MXL_R_max: return v > a ? v : a;
    case MXL_R_min: return v < a ? v : a;
    default: return add_i(a, v);
    }
}
/* A loop over whole_step with the choice of operation taken out of it. */
#define WHOLE(loop) do { \
    if (p->op == MXL_R_sum) { enum { op = MXL_R_sum }; loop; } \
    else if (p->op == MXL_R_max) { enum { op = MXL_R_max }; loop; } \
    else if (p->op == MXL_R_min) { enum { op = MXL_R_min }; loop; } \
    else { const int op = p->op; loop; } \
} while (0)
static cell merged(const plan *p, cell a, cell v)
{
    int op = p->op;
    if (p->whole) a.i = whole_step(op == MXL_R_sumabs ? MXL_R_sum : op, a.i, v.i);
    else if (op == MXL_R_prod || op == MXL_R_nanprod) a.d *= v.d;
    else if (op == MXL_R_max) a.d = v.d > a.d || v.d != v.d ? v.d : a.d;
    else if (op == MXL_R_min) a.d = v.d < a.d || v.d != v.d ? v.d : a.d;
    else a.d += v.d;
    return a;
}

static void finish(const plan *p, cell *acc, int64_t at, int64_t n)
{
    mxl_tensor *y = p->c->out;
    if (p->whole) {
        int64_t *v = &acc->i;
        if (p->post == MEAN) for (int64_t j = 0; j < n; j++) v[j] = p->count ? v[j] / p->count : 0;
        mxl_store_i64(y->dtype, y->data, at, n, v);
        return;
    }
    double *v = &acc->d;
    if (p->post == MEAN) for (int64_t j = 0; j < n; j++) v[j] /= (double)p->count;
    if (p->post == ROOT) for (int64_t j = 0; j < n; j++) v[j] = sqrt(v[j]);
    if (n == 1 && y->dtype == MXL_F32) ((float *)y->data)[at] = (float)*v;
    else mxl_store_f64(y->dtype, y->data, at, n, v);
}

/* Offset of position k among the groups before the last that are kept (or reduced). */
static int64_t offset(const plan *p, int64_t k, int reduced)
{
    const ReduceArgs *g = (const ReduceArgs *)p->c->args;
    int64_t at = 0;
    for (int d = p->last - 1; d >= 0; d--) {
        if ((int)g->reduced[d] != reduced) continue;
        if (d < 2) return at + k * p->stride[d];        /* groups alternate: this is the first of its sort */
        at += k % g->dims[d] * p->stride[d];
        k /= g->dims[d];
    }
    return at;
}

/* `count` rows of n values, `stride` apart from `at` on, each into its own accumulator */
static void take_rows(const plan *p, int64_t at, int64_t stride, int64_t count, int64_t n, cell *acc)
{
    const mxl_tensor *x = p->c->in;
    if (!p->whole && x->dtype == MXL_F32) {
        p->t->rows_f32[p->op]((const float *)x->data + at, stride, count, n, &acc->d);
        return;
    }
    if (!p->whole && x->dtype == MXL_F64) {
        p->t->rows_f64[p->op]((const double *)x->data + at, stride, count, n, &acc->d);
        return;
    }
    for (int64_t r = 0; r < count; r++, acc++, at += stride)
        for (int64_t i = 0; i < n; i += WIDTH) {
            int64_t m = n - i < WIDTH ? n - i : WIDTH;
            if (p->whole) {
                int64_t t[WIDTH], a = acc->i;
                mxl_load_i64(x->dtype, x->data, at + i, m, t);
                WHOLE(for (int64_t j = 0; j < m; j++) a = whole_step(op, a, t[j]));
                acc->i = a;
            } else {
                float t[WIDTH];
                mxl_load_f32(x->dtype, x->data, at + i, m, t);
                p->t->rows_f32[p->op](t, 0, 1, m, &acc->d);
            }
        }
}
/* `rows` rows of n values, `stride` apart, into n */
static void take_cols(const plan *p, int64_t at, int64_t stride, int64_t rows, int64_t n, cell *acc)
{
    const mxl_tensor *x = p->c->in;
    if (!p->whole && x->dtype == MXL_F32) {
        p->t->cols_f32[p->op]((const float *)x->data + at, stride, rows, n, &acc->d);
        return;
    }
    if (!p->whole && x->dtype == MXL_F64) {
        p->t->cols_f64[p->op]((const double *)x->data + at, stride, rows, n, &acc->d);
        return;
    }
    union { float f[WIDTH]; int64_t i[WIDTH]; } t;
    for (int64_t r = 0; r < rows; r++, at += stride)
        for (int64_t col = 0; col < n; col += WIDTH) {
            const int64_t m = n - col < WIDTH ? n - col : WIDTH;
            cell *a = acc + col;
            if (p->whole) {
                mxl_load_i64(x->dtype, x->data, at + col, m, t.i);
                WHOLE(for (int64_t j = 0; j < m; j++) a[j].i = whole_step(op, a[j].i, t.i[j]));
            } else {
                mxl_load_f32(x->dtype, x->data, at + col, m, t.f);
                p->t->cols_f32[p->op](t.f, m, 1, m, &a->d);
            }
        }
}

/* One part of one task: a result, or a tile of neighbouring results. */
static void reduce_task(const plan *p, int64_t task, int64_t part)
{
    const ReduceArgs *g = (const ReduceArgs *)p->c->args;
    int64_t from = part * p->units / p->parts, to = (part + 1) * p->units / p->parts;
    cell acc[COLUMNS];
    /* a tile of neighbouring results: of the kept group that is last (columns) or last but one (rows) */
    const int64_t k = p->tiles == 1 ? task : task / p->tiles, col = p->tiles == 1 ? 0 : task % p->tiles * p->tile;
    const int64_t n = p->across - col < p->tile ? p->across - col : p->tile, out = k * p->across + col;
    const int64_t base = p->row ? offset(p, out, 0) : offset(p, k, 0) + col;
    for (int64_t j = 0; j < n; j++) {
        if (p->whole) acc[j].i = whole_start(p->op);
        else acc[j].d = starts[p->op];
    }
    if (p->row) {
        for (int64_t u = from; u < to; u++) {
            int64_t r = p->chunks == 1 ? u : u / p->chunks, i = p->chunks == 1 ? 0 : u % p->chunks * CHUNK;
            int64_t m = p->width - i < CHUNK ? p->width - i : CHUNK;
            take_rows(p, base + i + (p->last ? offset(p, r, 1) : 0), p->width, n, m, acc);
        }
    } else {
        int d = p->last - 1;                            /* the reduced group next to the kept columns */
        for (int64_t u = from; u < to;) {
            int64_t left = g->dims[d] - u % g->dims[d], m = left < to - u ? left : to - u;
            take_cols(p, base + offset(p, u, 1), p->stride[d], m, n, acc);
            u += m;
        }
    }
    if (p->parts == 1) finish(p, acc, out, n);
    else memcpy((cell *)p->c->work + part * p->c->out->size + out, acc, n * sizeof(cell));
}

static int reduce(mxl_call *c, int op, int post)
{
    const ReduceArgs *g = (const ReduceArgs *)c->args;
    plan p = {.c = c, .t = mxl_levels[mxl_rt->isa], .op = op, .post = post, .last = (int)g->ndim - 1, .count = 1,
              .outer = 1, .parts = g->parts};
    int dtype = c->in->dtype;
    int64_t step = 1, rows = 1;
    p.whole = !(dtype == MXL_F32 || dtype == MXL_F64 || mxl_is_half(dtype) || post == ROOT);
    p.row = (int)g->reduced[p.last];
    p.width = g->dims[p.last];
    for (int d = p.last; d >= 0; d--) {
        p.stride[d] = step;
        step *= g->dims[d];
        if (g->reduced[d]) p.count *= g->dims[d];
        if (d == p.last) continue;
        if (g->reduced[d]) rows *= g->dims[d];
        else p.outer *= g->dims[d];
    }
    if (c->out->size == 0) return MXL_OK;
    p.chunks = p.row ? (p.width + CHUNK - 1) / CHUNK : 1;
    p.across = !p.row ? p.width : p.last ? g->dims[p.last - 1] : 1;
    p.tile = !p.row ? COLUMNS : p.width >= TILE ? 1 : p.width * WIDTH <= TILE ? WIDTH : TILE / p.width;
    p.tiles = (p.across + p.tile - 1) / p.tile;
    p.units = p.count == 0 ? 0 : p.row ? rows * p.chunks : p.last ? rows : 0;
    p.tasks = (p.row ? p.outer / (p.across ? p.across : 1) : p.outer) * p.tiles;
    int64_t jobs = p.tasks * p.parts;
    if (!p.row && p.last == 0) {                        /* nothing is reduced: every value is its own result */
        p.parts = 1;
        cell acc[WIDTH];
        for (int64_t i = 0; i < c->out->size; i += WIDTH) {
            int64_t n = c->out->size - i < WIDTH ? c->out->size - i : WIDTH;
            for (int64_t j = 0; j < n; j++) {
                if (p.whole) acc[j].i = whole_start(op);
                else acc[j].d = starts[op];
            }
            take_cols(&p, i, n, 1, n, acc);
            finish(&p, acc, i, n);
        }
        return MXL_OK;
    }
    int nt = jobs < 2 ? 1 : mxl_enter(mxl_rt, jobs < c->threads ? (int)jobs : c->threads, c->in->size, MXL_GRAIN);
    if (nt == 1) {
        for (int64_t j = 0; j < jobs; j++) reduce_task(&p, j / p.parts, j % p.parts);
    } else {
#pragma omp parallel for num_threads(nt) schedule(static)
        for (int64_t j = 0; j < jobs; j++) reduce_task(&p, j / p.parts, j % p.parts);
        mxl_leave(mxl_rt, nt);
    }
    if (p.parts > 1) {                                  /* the parts of each result are joined in order */
        cell *w = (cell *)c->work, *row = w;
        const int64_t n = c->out->size;
        for (int64_t k = 1; k < p.parts; k++) {
            row += n;
            if (!p.whole && op == MXL_R_sum) for (int64_t i = 0; i < n; i++) w[i].d += row[i].d;
            else for (int64_t i = 0; i < n; i++) w[i] = merged(&p, w[i], row[i]);
        }
        finish(&p, w, 0, n);
    }
    return MXL_OK;
}

static int k_sum(mxl_call *c) { return reduce(c, MXL_R_sum, PLAIN); }
static int k_mean(mxl_call *c) { return reduce(c, MXL_R_sum, MEAN); }
static int k_prod(mxl_call *c) { return reduce(c, MXL_R_prod, PLAIN); }
static int k_nansum(mxl_call *c) { return reduce(c, MXL_R_nansum, PLAIN); }
static int k_nanprod(mxl_call *c) { return reduce(c, MXL_R_nanprod, PLAIN); }
static int k_max(mxl_call *c) { return reduce(c, MXL_R_max, PLAIN); }
static int k_min(mxl_call *c) { return reduce(c, MXL_R_min, PLAIN); }
static int k_norm1(mxl_call *c) { return reduce(c, MXL_R_sumabs, PLAIN); }
static int k_norm2(mxl_call *c) { return reduce(c, MXL_R_sumsq, ROOT); }

/* -- positions ------------------------------------------------------------------------------------------------- */
/* Columns [col, col + n) of one outer position; `sign` -1 turns the search for the smallest into the same. */
#define SEARCH(T, S) \
static void search_##S(mxl_call *c, const ArgArgs *g, int64_t o, int64_t col, int64_t n, int largest) \
{ \
    const mxl_tensor *x = c->in; \
    T t[WIDTH], best[WIDTH]; \
    int64_t at[WIDTH]; \
    int64_t base = o * g->length * g->inner + col; \
    for (int64_t i = 0; i < g->length; i++) { \
        const T *v = t; \
        mxl_load_##S(x->dtype, x->data, base + i * g->inner, n, t); \
        if (i == 0) for (int64_t j = 0; j < n; j++) best[j] = v[j], at[j] = 0; \
        else for (int64_t j = 0; j < n; j++) { \
            int better = (largest ? v[j] > best[j] : v[j] < best[j]) | ((v[j] != v[j]) & (best[j] == best[j])); \
            best[j] = better ? v[j] : best[j]; \
            at[j] = better ? i : at[j]; \
        } \
    } \
    mxl_store_i64(c->out->dtype, c->out->data, o * g->inner + col, n, at); \
} \
static inline void scan_##S(mxl_call *c, const ArgArgs *g, int64_t o, int largest) \
{ \
    const mxl_tensor *x = c->in; \
    T t[WIDTH], best = 0; \
    int64_t at = -1; \
    for (int64_t i = 0; i < g->length; i += WIDTH) { \
        int64_t n = g->length - i < WIDTH ? g->length - i : WIDTH; \
        mxl_load_##S(x->dtype, x->data, o * g->length + i, n, t); \
        if (at < 0) best = t[0], at = 0; \
        for (int64_t j = 0; j < n; j++) \
            if ((largest ? t[j] > best : t[j] < best) | ((t[j] != t[j]) & (best == best))) best = t[j], at = i + j; \
    } \
    mxl_store_i64(c->out->dtype, c->out->data, o, 1, &at); \
}
SEARCH(float, f32)
SEARCH(int64_t, i64)

/* The same by vector code, where places fit the lanes. */
static void places_f32(mxl_call *c, const ArgArgs *g, int64_t o, int64_t col, int64_t n, int largest)
{
    int64_t at[WIDTH];
    mxl_levels[mxl_rt->isa]->places_f32[largest]((const float *)c->in->data + o * g->length * g->inner + col, g->inner,
                                                 g->length, n, at);
    mxl_store_i64(c->out->dtype, c->out->data, o * g->inner + col, n, at);
}
static void places_f64(mxl_call *c, const ArgArgs *g, int64_t o, int64_t col, int64_t n, int largest)
{
    int64_t at[WIDTH];
    mxl_levels[mxl_rt->isa]->places_f64[largest]((const double *)c->in->data + o * g->length * g->inner + col, g->inner,
                                                 g->length, n, at);
    mxl_store_i64(c->out->dtype, c->out->data, o * g->inner + col, n, at);
}

/* Contiguous rows: the extreme by vector code, then where it stands first. */
#define FIND(T, S) \
static void find_##S(mxl_call *c, const ArgArgs *g, int64_t o, int largest) \
{ \
    const T *x = (const T *)c->in->data + o * g->length; \
    int op = largest ? MXL_R_max : MXL_R_min; \
    double extreme = starts[op]; \
    mxl_levels[mxl_rt->isa]->rows_##S[op](x, 0, 1, g->length, &extreme); \
    T best = (T)extreme; \
    int64_t at = 0, n = g->length; \
    if (best != best) while (at < n - 1 && x[at] == x[at]) at++; \
    else { \
        for (; at + 16 <= n; at += 16) { \
            int hit = 0; \
            for (int k = 0; k < 16; k++) hit |= x[at + k] == best; \
            if (hit) break; \
        } \
        while (at < n - 1 && x[at] != best) at++; \
    } \
    mxl_store_i64(c->out->dtype, c->out->data, o, 1, &at); \
}
FIND(float, f32)
FIND(double, f64)

static int position(mxl_call *c, int largest)
{
    const ArgArgs *g = (const ArgArgs *)c->args;
    int dtype = c->in->dtype;
    if (c->out->size == 0) return MXL_OK;
    int64_t tiles = g->inner == 1 ? 1 : (g->inner + WIDTH - 1) / WIDTH, jobs = g->outer * tiles;
    int nt = jobs < 2 ? 1 : mxl_enter(mxl_rt, jobs < c->threads ? (int)jobs : c->threads, c->in->size, MXL_GRAIN);
    void (*tile)(mxl_call *, const ArgArgs *, int64_t, int64_t, int64_t, int) =
        dtype == MXL_F32 && g->length <= INT32_MAX ? places_f32 : dtype == MXL_F32 || mxl_is_half(dtype) ? search_f32
        : dtype == MXL_F64 ? places_f64 : search_i64;
    void (*scan)(mxl_call *, const ArgArgs *, int64_t, int) =
        dtype == MXL_F32 ? find_f32 : dtype == MXL_F64 ? find_f64 : mxl_is_half(dtype) ? scan_f32 : scan_i64;
#define JOB(j) if (g->inner == 1) scan(c, g, j, largest); else { int64_t col = (j) % tiles * WIDTH; \
    tile(c, g, (j) / tiles, col, g->inner - col < WIDTH ? g->inner - col : WIDTH, largest); }
    if (nt == 1) {
        for (int64_t j = 0; j < jobs; j++) { JOB(j) }
    } else {
#pragma omp parallel for num_threads(nt) schedule(static)
        for (int64_t j = 0; j < jobs; j++) { JOB(j) }
        mxl_leave(mxl_rt, nt);
    }
    return MXL_OK;
}
static int k_argmax(mxl_call *c) { return position(c, 1); }
static int k_argmin(mxl_call *c) { return position(c, 0); }

typedef struct { const char *name; mxl_kernel fn; } Row;
static const Row mxl_reduce_rows[] = {
    {"sum", k_sum}, {"mean", k_mean}, {"prod", k_prod}, {"nansum", k_nansum}, {"nanprod", k_nanprod}, {"max", k_max},
    {"min", k_min}, {"norm1", k_norm1}, {"norm2", k_norm2}, {"argmax", k_argmax}, {"argmin", k_argmin}, {0, 0}};
#endif
