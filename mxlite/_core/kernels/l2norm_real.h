/* L2 normalization for one floating type T. Outputs may lie on top of data or its gradient. */
#include "rowvec.h"

/* Sums of squares and, where dy is given, of dy * x, of n contiguous elements. */
INLINE void F(row_sums)(const T *x, const T *dy, int64_t n, double *q, double *s)
{
    *q = *s = 0;
    for (int64_t i = 0; i < n; i += L2_CHUNK) {
        int64_t len = n - i < L2_CHUNK ? n - i : L2_CHUNK;
        *q += F(dot)(x + i, x + i, len);
        if (dy) *s += F(dot)(dy + i, x + i, len);
    }
}

/* The same for w <= L2_WIDE columns of a->k rows. */
INLINE void F(column_sums)(const l2_norm_args *a, const T *x, const T *dy, int64_t w, double *q, double *s)
{
    T u[L2_WIDE], v[L2_WIDE];
    for (int64_t j = 0; j < w; j++) q[j] = s[j] = 0;
    for (int64_t k = 0; k < a->k; k += L2_ROWS) {
        int64_t stop = a->k - k < L2_ROWS ? a->k : k + L2_ROWS;
        for (int64_t j = 0; j < w; j++) u[j] = v[j] = 0;
        for (int64_t i = k; i < stop; i++) {
            const T *p = x + i * a->inner, *d = dy + i * a->inner;
            if (dy) for (int64_t j = 0; j < w; j++) { u[j] += p[j] * p[j]; v[j] += d[j] * p[j]; }
            else for (int64_t j = 0; j < w; j++) u[j] += p[j] * p[j];
        }
        for (int64_t j = 0; j < w; j++) { q[j] += u[j]; s[j] += v[j]; }
    }
}

static void F(forward)(const mxl_call *call, int64_t begin, int64_t end)
{
    const l2_norm_args *a = call->args;
    const T *x = call->in[0].data;
    T *y = call->out[0].data;
    int64_t tiles = (a->inner + L2_WIDE - 1) / L2_WIDE;
    for (int64_t u = begin; u < end; u++) {
        int64_t c = u % tiles * L2_WIDE, w = a->inner - c < L2_WIDE ? a->inner - c : L2_WIDE;
        int64_t at = u / tiles * a->k * a->inner + c;
        if (a->inner == 1) {
            double q, s;
            F(row_sums)(x + at, 0, a->k, &q, &s);
            T r = (T)(1 / sqrt(q + a->eps));
            INDEPENDENT
            for (int64_t i = 0; i < a->k; i++) y[at + i] = x[at + i] * r;
            continue;
        }
        double q[L2_WIDE], s[L2_WIDE];
        T r[L2_WIDE];
        F(column_sums)(a, x + at, 0, w, q, s);
        for (int64_t j = 0; j < w; j++) r[j] = (T)(1 / sqrt(q[j] + a->eps));
        for (int64_t i = 0; i < a->k; i++) {
            const T *p = x + at + i * a->inner;
            T *o = y + at + i * a->inner;
            INDEPENDENT
            for (int64_t j = 0; j < w; j++) o[j] = p[j] * r[j];
        }
    }
}

/* in = dy, data: dx = dy / norm - data * sum(dy * data) / norm^3 */
static void F(backward)(const mxl_call *call, int64_t begin, int64_t end)
{
    const l2_norm_args *a = call->args;
    const T *dy = call->in[0].data, *x = call->in[1].data;
    T *dx = call->out[0].data;
    int64_t tiles = (a->inner + L2_WIDE - 1) / L2_WIDE;
    for (int64_t u = begin; u < end; u++) {
        int64_t c = u % tiles * L2_WIDE, w = a->inner - c < L2_WIDE ? a->inner - c : L2_WIDE;
        int64_t at = u / tiles * a->k * a->inner + c;
        if (a->inner == 1) {
            double q, s;
            F(row_sums)(x + at, dy + at, a->k, &q, &s);
            double root = sqrt(q + a->eps);
            T r = (T)(1 / root), k = (T)(s / root / (q + a->eps));
            INDEPENDENT
            for (int64_t i = 0; i < a->k; i++) dx[at + i] = dy[at + i] * r - x[at + i] * k;
            continue;
        }
        double q[L2_WIDE], s[L2_WIDE];
        T r[L2_WIDE], k[L2_WIDE];
        F(column_sums)(a, x + at, dy + at, w, q, s);
        for (int64_t j = 0; j < w; j++) {
            double root = sqrt(q[j] + a->eps);
            r[j] = (T)(1 / root);
            k[j] = (T)(s[j] / root / (q[j] + a->eps));
        }
        for (int64_t i = 0; i < a->k; i++) {
            const T *p = x + at + i * a->inner, *d = dy + at + i * a->inner;
            T *o = dx + at + i * a->inner;
            INDEPENDENT
            for (int64_t j = 0; j < w; j++) o[j] = d[j] * r[j] - p[j] * k[j];
        }
    }
}
