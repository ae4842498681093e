/* Matrix products of stored matrices, one type and level: the packed engine, and a path for a few rows or columns. */
#include "engine.h"

static void ENG(a_plain)(const ENG(job) *d, int64_t b, REAL *dst, int64_t m0, int rows, int64_t k0, int kc)
{
    ENG(pack_rows)(dst, MR, MR, d->a + b * d->a_batch + m0 * d->lda + k0, d->lda, rows, kc);
}

static void ENG(a_trans)(const ENG(job) *d, int64_t b, REAL *dst, int64_t m0, int rows, int64_t k0, int kc)
{
    ENG(pack_columns)(dst, MR, d->a + b * d->a_batch + k0 * d->lda + m0, d->lda, rows, kc);
}

static void ENG(b_plain)(const ENG(job) *d, int64_t b, REAL *dst, int64_t n0, int cols, int w, int64_t k0, int kc,
                         REAL *tmp)
{
    (void)tmp;
    ENG(pack_columns)(dst, w, d->b + b * d->b_batch + k0 * d->ldb + n0, d->ldb, cols, kc);
}

static void ENG(b_trans)(const ENG(job) *d, int64_t b, REAL *dst, int64_t n0, int cols, int w, int64_t k0, int kc,
                         REAL *tmp)
{
    (void)tmp;
    ENG(pack_rows)(dst, w, w, d->b + b * d->b_batch + n0 * d->ldb + k0, d->ldb, cols, kc);
}

/* ---- y[i][l] = sum over k of v[i][k] X(l, k) for up to THIN vectors v: reads X once, packs nothing of it ---- */
enum { ENG(STRIP) = 512 };

typedef struct {
    const REAL *x, *v, *bias_l, *bias_v;
    REAL *y;
    int64_t length, k, ldx, yl, yv;     /* y[i][l] is y[i * yv + l * yl] */
    int vectors, by_row;                /* X(l, k) is x[l * ldx + k] by row, else x[k * ldx + l] */
} ENG(thin_job);

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
        for (int q = 0; q < VL; q++) s += acc[i][j][q];
        for (int64_t q = k; q < n; q++) s += d->x[(l + i) * d->ldx + q] * d->v[j * n + q];
        if (d->bias_l) s += d->bias_l[l + i];
        if (d->bias_v) s += d->bias_v[j];
        d->y[j * d->yv + (l + i) * d->yl] = s;
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
    for (int j = 0; j < d->vectors; j++) {
        REAL s[ENG(STRIP)] = {0};
        const REAL *v = d->v + j * d->k, *x = d->x + l0;
        int64_t k = 0;
        for (; k + 8 <= d->k; k += 8, x += 8 * d->ldx) {
            int l = 0;
            for (; l + VL <= n; l += VL) {
                ENG(vec) a = LOAD(s + l), b = v[k] * LOAD(x + l);
                UNROLL for (int i = 1; i < 8; i++) {
                    if (i & 1) a += v[k + i] * LOAD(x + i * d->ldx + l);
                    else b += v[k + i] * LOAD(x + i * d->ldx + l);
                }
                STORE(s + l, a + b);
            }
            for (; l < n; l++) {
                REAL a = s[l];
                for (int i = 0; i < 8; i++) a += v[k + i] * x[i * d->ldx + l];
                s[l] = a;
            }
        }
        for (; k < d->k; k++, x += d->ldx) for (int l = 0; l < n; l++) s[l] += v[k] * x[l];
        for (int l = 0; l < n; l++)
            d->y[j * d->yv + (l0 + l) * d->yl] = s[l] + (d->bias_l ? d->bias_l[l0 + l] : 0)
                                                 + (d->bias_v ? d->bias_v[j] : 0);
    }
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

static void ENG(gemm)(mxl_runtime *rt, const mxl_call *c, const gemm_args *g)
{
    const REAL *a = c->in[0].data, *b = c->in[1].data, *bias = c->n_in > 2 ? c->in[2].data : NULL;
    const int64_t m = g->m, n = g->n, k = g->k;
    if (m <= 0 || n <= 0 || g->batch <= 0) return;
    if (g->batch == 1 && (m <= THIN || n <= THIN)) {
        ENG(thin_job) d = {.y = c->out[0].data, .k = k};
        if (m <= n) {
            d.x = b, d.length = n, d.vectors = (int)m, d.by_row = (int)g->tb, d.ldx = g->tb ? k : n;
            d.yl = 1, d.yv = n, d.bias_l = bias;
            ENG(thin)(&d, a, g->ta ? m : 1, g->ta ? 1 : k, c->work, rt, c->threads);
        } else {
            d.x = a, d.length = m, d.vectors = (int)n, d.by_row = !g->ta, d.ldx = g->ta ? m : k;
            d.yl = n, d.yv = 1, d.bias_v = bias;
            ENG(thin)(&d, b, g->tb ? 1 : n, g->tb ? k : 1, c->work, rt, c->threads);
        }
        return;
    }
    ENG(job) d = {.m = m, .n = n, .k = k, .batch = g->batch, .c = c->out[0].data, .ldc = n, .c_batch = m * n,
                  .bias_n = bias, .a = a, .b = b, .lda = g->ta ? m : k, .ldb = g->tb ? k : n, .a_batch = m * k,
                  .b_batch = k * n, .work = c->work, .pack_a = g->ta ? ENG(a_trans) : ENG(a_plain),
                  .pack_b = g->tb ? ENG(b_trans) : ENG(b_plain)};
    ENG(run)(&d, rt, c->threads);
}
