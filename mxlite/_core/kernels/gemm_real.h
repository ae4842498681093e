/* Matrix products of stored matrices, one type and level: the packed engine; paths for a few rows or columns, and for
 * small products. */
#include "engine.h"

/* ---- y[i][l] = sum over k of v[i][k] X(l, k) for up to THIN vectors v: reads X once, packs nothing of it ---- */
enum { ENG(STRIP) = 512 };

typedef struct {
    const REAL *x, *v, *bias_l, *bias_v, *residual;
    REAL *y, lo, hi;
    int64_t length, k, ldx, yl, yv;     /* y[i][l] is y[i * yv + l * yl]; so is the residual */
    int vectors, by_row, act;           /* X(l, k) is x[l * ldx + k] by row, else x[k * ldx + l] */
} ENG(thin_job);

static __attribute__((noinline)) void ENG(thin_put)(const ENG(thin_job) *d, int64_t l, int64_t j, REAL s)
{
    const int64_t at = j * d->yv + l * d->yl;
    if (d->residual) s += d->residual[at];
    if (d->bias_l) s += d->bias_l[l];
    if (d->bias_v) s += d->bias_v[j];
    if (d->act) s = s < d->lo ? d->lo : s > d->hi ? d->hi : s;
    d->y[at] = s;
}

static __attribute__((noinline)) REAL ENG(dot_tail)(const REAL *a, const REAL *b, int64_t k, int64_t n)
{
    REAL s = 0;
    for (; k < n; k++) s += a[k] * b[k];
    return s;
}

INLINE void ENG(dots)(const ENG(thin_job) *d, int64_t l, const int rows, const int vectors)
{
    ENG(vec) acc[4][4];
    const int64_t n = d->k;
    int64_t k = 0;
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < vectors; j++) acc[i][j] = (ENG(vec)){0};
    for (; k + VL <= n; k += VL) {
        UNROLL for (int i = 0; i < rows; i++) {
            const ENG(vec) xv = LOAD(d->x + (l + i) * d->ldx + k);
            UNROLL for (int j = 0; j < vectors; j++) acc[i][j] += xv * LOAD(d->v + j * n + k);
        }
    }
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < vectors; j++) {
        REAL s = 0;
        UNROLL for (int q = 0; q < VL; q++) s += acc[i][j][q];
        ENG(thin_put)(d, l + i, j, s + ENG(dot_tail)(d->x + (l + i) * d->ldx, d->v + j * n, k, n));
    }
}

/* sums[l] += the products of 8 rows of X with 8 elements of v; each vector of them in two chains. */
static __attribute__((noinline)) void ENG(eight_rows)(REAL *sums, const REAL *x, int64_t ldx, const REAL *v, int n)
{
    int l = 0;
    for (; l + VL <= n; l += VL) {
        ENG(vec) a = LOAD(sums + l), b = v[0] * LOAD(x + l);
        UNROLL for (int i = 1; i < 8; i++) {
            if (i & 1) a += v[i] * LOAD(x + i * ldx + l);
            else b += v[i] * LOAD(x + i * ldx + l);
        }
        STORE(sums + l, a + b);
    }
    for (; l < n; l++) {
        REAL a = sums[l];
        for (int i = 0; i < 8; i++) a += v[i] * x[i * ldx + l];
        sums[l] = a;
    }
}

#define DOTS(v) case v: \
    for (; l + 4 <= l1; l += 4) ENG(dots)(d, l, 4, v); \
    for (; l < l1; l++) ENG(dots)(d, l, 1, v); \
    break

/* One strip of l; a strip's results do not depend on the others. */
static void ENG(thin_task)(const ENG(thin_job) *d, int64_t t)
{
    const int64_t l0 = t * ENG(STRIP), l1 = least(d->length, l0 + ENG(STRIP));
    if (d->by_row) {
        int64_t l = l0;
        switch (d->vectors) { DOTS(1); DOTS(2); DOTS(3); DOTS(4); }
        return;
    }
    const int n = (int)(l1 - l0);
    REAL sums[THIN][ENG(STRIP)];
    memset(sums, 0, d->vectors * sizeof sums[0]);
    const REAL *x = d->x + l0;
    int64_t k = 0;
    for (; k + 8 <= d->k; k += 8, x += 8 * d->ldx)
        for (int j = 0; j < d->vectors; j++) ENG(eight_rows)(sums[j], x, d->ldx, d->v + j * d->k + k, n);
    for (; k < d->k; k++, x += d->ldx) for (int j = 0; j < d->vectors; j++)
        for (int l = 0; l < n; l++) sums[j][l] += d->v[j * d->k + k] * x[l];
    for (int j = 0; j < d->vectors; j++) for (int l = 0; l < n; l++) ENG(thin_put)(d, l0 + l, j, sums[j][l]);
}
#undef DOTS

static void ENG(thin)(ENG(thin_job) *d, const REAL *v, int64_t vk, int64_t vv, REAL *work, mxl_runtime *rt, int threads)
{
    d->v = v;
    if (vk != 1 || (d->vectors > 1 && vv != d->k)) {
        for (int j = 0; j < d->vectors; j++) for (int64_t k = 0; k < d->k; k++) work[j * d->k + k] = v[j * vv + k * vk];
        d->v = work;
    }
    const int64_t tasks = ceil_div(d->length, ENG(STRIP));
    const int nt = tasks < 2 ? 1 : mxl_enter(rt, threads, d->length * most(d->k, 1), 2 * MXL_GRAIN);
    if (nt == 1) {
        for (int64_t t = 0; t < tasks; t++) ENG(thin_task)(d, t);
    } else {
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(nt)
        for (int64_t t = 0; t < tasks; t++) ENG(thin_task)(d, t);
#endif
    }
    if (nt > 1) mxl_leave(rt, nt);
}

/* What all paths know of the call; epilogue and strides. */
static ENG(job) ENG(stored)(const mxl_call *c, const gemm_args *g)
{
    const int64_t m = g->m, n = g->n, k = g->k;
    return (ENG(job)){
        .m = m, .n = n, .k = k, .batch = g->batch, .c = c->out[0].data, .ldc = n, .c_batch = m * n,
        .bias_n = g->bias ? c->in[2].data : NULL, .residual = g->residual ? c->in[g->bias ? 3 : 2].data : NULL,
        .act = (int)g->act, .lo = (REAL)g->lo, .hi = (REAL)g->hi, .a = c->in[0].data, .b = c->in[1].data,
        .lda = g->ta ? m : k, .ldb = g->tb ? k : n, .a_batch = m * k, .b_batch = k * n, .work = c->work,
        .pack_a = g->ta ? ENG(a_trans) : ENG(a_plain), .pack_b = g->tb ? ENG(b_trans) : ENG(b_plain),
        .a_row = g->ta ? 1 : k, .a_k = g->ta ? m : 1, .b_k = g->tb ? 0 : n, .a_step = g->ta ? 32 : 0};
}

/* Few elements, each a long sum: parts of k side by side, then the parts in order. How many depends on the shape. */
static void ENG(gemm_long)(mxl_runtime *rt, const mxl_call *c, const gemm_args *g)
{
    const int64_t size = g->m * g->n, parts = least(LONG_PARTS, g->k / LONG_PART), each = g->k / parts;
    ENG(job) d = ENG(stored)(c, g), all = d;
    REAL *sums = c->work;
    d.bias_n = d.residual = NULL, d.act = 0;
    d.k = each, d.batch = parts, d.c = sums;
    d.a_batch = g->ta ? each * g->m : each;
    d.b_batch = g->tb ? each : each * g->n;
    d.work = (char *)c->work + ceil_to((parts + 1) * size * (int64_t)sizeof(REAL), 64);
    ENG(job) rest = d;
    ENG(run)(&d, rt, c->threads);
    rest.k = g->k - parts * each, rest.batch = 1, rest.c = sums + parts * size;
    rest.a += parts * rest.a_batch, rest.b += parts * rest.b_batch;
    ENG(run)(&rest, rt, 1);
    const REAL lo = g->act == 2 ? all.lo : 0, hi = g->act == 2 ? all.hi : (REAL)INFINITY;
    for (int64_t i = 0; i < size; i++) {
        REAL s = sums[i];
        for (int64_t p = 1; p <= parts; p++) s += sums[p * size + i];
        if (all.residual) s += all.residual[i];
        if (all.bias_n) s += all.bias_n[i % g->n];
        if (g->act) s = s < lo ? lo : s > hi ? hi : s;
        all.c[i] = s;
    }
}

/* ---- small products: tiles straight from where the factors lie. Of B, only what tiles cannot read is copied ---- */
static void ENG(small)(const gemm_args *g, const REAL *a, const REAL *b, const REAL *bias, const REAL *residual,
                       REAL *c)
{
    REAL panel[SMALL_K * NR] __attribute__((aligned(64)));
    const int64_t m = g->m, n = g->n, k = g->k, a_row = g->ta ? 1 : k;
    ENG(epilogue) e = {.act = (int)g->act, .lo = g->act == 2 ? (REAL)g->lo : 0,
                       .hi = g->act == 2 ? (REAL)g->hi : (REAL)INFINITY};
    ENG(tile_args) t = {.a_k = g->ta ? m : 1, .ldc = n, .kc = (int)k, .e = bias || e.act ? &e : NULL};
    for (int64_t n0 = 0; n0 < n; n0 += NR) {
        const int cols = (int)least(NR, n - n0), w = (int)ceil_to(cols, VL);
        t.b = panel, t.ldb = w, t.lanes = cols - w + VL;
        if (g->prepared) t.b = b + n0 * k;
        else if (g->tb) ENG(pack_rows)(panel, w, w, b + n0 * k, k, cols, (int)k);
        else if (MXL_VB < 64 && cols < w) ENG(pack_columns)(panel, w, b + n0, n, cols, (int)k);
        else t.b = b + n0, t.ldb = n;
        if (bias) e.bias_n = bias + n0;
        for (int64_t i = 0; i < m; i += t.rows) {
            const int left = (int)(m - i);
            t.rows = left >= MR ? MR : left > 1 ? left & ~1 : 1;
            t.a = a + i * a_row, t.a_row = t.rows > 1 ? a_row : 0;      /* a tile reads its rows of A in pairs */
            t.c = c + i * n + n0, t.add = residual ? residual + i * n + n0 : NULL;
            ENG(tiles)[(t.rows - 1) / 2][w / VL - 1](&t);
        }
    }
}

static void ENG(gemm_small)(mxl_runtime *rt, const mxl_call *c, const gemm_args *g)
{
    const int64_t m = g->m, n = g->n, k = g->k, b_batch = g->prepared ? ceil_to(n, VL) * k : n * k, batch = g->batch;
    const REAL *a = c->in[0].data, *b = c->in[1].data, *bias = g->bias ? c->in[2].data : NULL;
    const REAL *residual = g->residual ? c->in[g->bias ? 3 : 2].data : NULL;
    REAL *to = c->out[0].data;
#define SMALL_ONE(i) ENG(small)(g, a + (i) * m * k, b + (i) * b_batch, bias, residual ? residual + (i) * m * n : NULL, \
                                to + (i) * m * n)
    const double work = (double)batch * (double)(m * n * most(k, 8));
    const int nt = mxl_enter(rt, batch < 2 ? 1 : c->threads, work > 1e15 ? (int64_t)1e15 : (int64_t)work,
                             4 * MXL_GRAIN);
    const int64_t chunk = most(1, batch / (16 * nt));
    if (nt == 1) {
        for (int64_t i = 0; i < batch; i++) SMALL_ONE(i);
    } else {
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic, chunk) num_threads(nt)
        for (int64_t i = 0; i < batch; i++) SMALL_ONE(i);
#endif
    }
#undef SMALL_ONE
    (void)chunk;
    mxl_leave(rt, nt);
}

static void ENG(gemm)(mxl_runtime *rt, const mxl_call *c, const gemm_args *g)
{
    const int64_t m = g->m, n = g->n, k = g->k;
    if (m <= 0 || n <= 0 || g->batch <= 0) return;
    if (gemm_is_small(g)) {
        ENG(gemm_small)(rt, c, g);
        return;
    }
    ENG(job) d = ENG(stored)(c, g);
    if (g->prepared) d.packed_b = d.b;
    else if (g->batch == 1 && (m <= THIN || n <= THIN)) {
        ENG(thin_job) t = {.y = d.c, .k = k, .residual = d.residual, .act = d.act,
                           .lo = d.act == 2 ? d.lo : 0, .hi = d.act == 2 ? d.hi : (REAL)INFINITY};
        if (m <= n) {
            t.x = d.b, t.length = n, t.vectors = (int)m, t.by_row = g->tb || n == 1, t.ldx = n == 1 ? k : d.ldb;
            t.yl = 1, t.yv = n, t.bias_l = d.bias_n;
            ENG(thin)(&t, d.a, d.a_k, d.a_row, c->work, rt, c->threads);
        } else {
            t.x = d.a, t.length = m, t.vectors = (int)n, t.by_row = !g->ta, t.ldx = d.lda;
            t.yl = n, t.yv = 1, t.bias_v = d.bias_n;
            ENG(thin)(&t, d.b, g->tb ? 1 : n, g->tb ? k : 1, c->work, rt, c->threads);
        }
        return;
    } else if (g->batch == 1 && m * n <= LONG_SIZE && k >= LONG_K) {
        ENG(gemm_long)(rt, c, g);
        return;
    }
    ENG(run)(&d, rt, c->threads);
}

/* B(k, n) as panels, then zeros to the end of the output: its length is an upper bound over levels. */
static void ENG(pack_weight)(mxl_runtime *rt, const mxl_call *c, const gemm_args *g)
{
    mxl_tensor in[4] = {{0}, c->in[0]};     /* as the product would get it: A is not there, nor what comes behind B */
    mxl_call like = *c;
    like.in = in;
    ENG(job) d = ENG(stored)(&like, g);
    REAL *to = c->out[0].data;
    const int64_t used = ENG(packed_b_size)(&d);
    ENG(pack_whole_b)(&d, to, rt, c->threads);
    if (c->out[0].size > used) memset(to + used, 0, (c->out[0].size - used) * sizeof(REAL));
}
