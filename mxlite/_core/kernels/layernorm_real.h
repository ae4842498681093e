/* Layer normalization for one floating type T. Outputs may lie on top of data or its gradient. */
#include "norm_table.h"
#include "rowvec.h"

/* Mean and variance of n contiguous elements: summed in T twice, for the mean and then around it (what the mean lacks
 * comes out too), chunks joined in double. */
INLINE void F(moments)(const T *x, int64_t n, double *mean, double *var)
{
    double count = 0, mu = 0, m2 = 0;
    if (n > 0 && n <= LN_CHUNK) {                   /* one chunk has nothing to join */
        T at = F(sum)(x, n) / (T)n, rest, q = F(squares)(x, at, n, &rest);
        double part = 1 / (double)n, off = (double)rest * part;
        m2 = (double)q * part - off * off;
        *mean = (double)at + off;
        *var = !(m2 < 0) ? m2 : 0;
        return;
    }
    for (int64_t i = 0; i < n; i += LN_CHUNK) {
        int64_t len = n - i < LN_CHUNK ? n - i : LN_CHUNK;
        T at = F(sum)(x + i, len) / (T)len, rest, q = F(squares)(x + i, at, len, &rest);
        double m = (double)len, off = (double)rest / m;
        norm_join(&count, &mu, &m2, m, (double)at + off, (double)q - m * off * off);
    }
    *mean = mu;
    *var = count > 0 && !(m2 < 0) ? m2 / count : 0;
}

/* The same for w <= LN_WIDE columns of n rows at the given stride. */
INLINE void F(column_moments)(const T *x, int64_t n, int64_t stride, int64_t w, double *mean, double *var)
{
    T s[LN_WIDE], q[LN_WIDE], at[LN_WIDE];
    double count = 0;
    for (int64_t j = 0; j < w; j++) mean[j] = var[j] = 0;
    for (int64_t k = 0; k < n; k += LN_ROWS) {
        int64_t rows = n - k < LN_ROWS ? n - k : LN_ROWS;
        const T *p = x + k * stride;
        for (int64_t j = 0; j < w; j++) s[j] = 0;
        for (int64_t r = 0; r < rows; r++)
            for (int64_t j = 0; j < w; j++) s[j] += p[r * stride + j];
        for (int64_t j = 0; j < w; j++) { at[j] = s[j] / (T)rows; s[j] = q[j] = 0; }
        for (int64_t r = 0; r < rows; r++)
            for (int64_t j = 0; j < w; j++) {
                T d = p[r * stride + j] - at[j];
                s[j] += d;
                q[j] += d * d;
            }
        double m = (double)rows, all = count + m, share = m / all, weight = count * share;
        for (int64_t j = 0; j < w; j++) {
            double off = (double)s[j] / m, d = (double)at[j] + off - mean[j];
            var[j] += (double)q[j] - m * off * off + d * d * weight;
            mean[j] += d * share;
        }
        count = all;
    }
    for (int64_t j = 0; j < w; j++) var[j] = count > 0 && !(var[j] < 0) ? var[j] / count : 0;
}

static void F(forward_columns)(const mxl_call *call, const layer_norm_args *a, int64_t begin, int64_t end)
{
    const T *x = call->in[0].data, *gamma = call->in[1].data, *beta = call->in[2].data;
    T *y = call->out[0].data, *mean = call->n_out > 1 ? call->out[1].data : 0;
    T *std = call->n_out > 1 ? call->out[2].data : 0;
    int64_t tiles = (a->inner + LN_WIDE - 1) / LN_WIDE;
    for (int64_t u = begin; u < end; u++) {
        int64_t o = u / tiles, c = u % tiles * LN_WIDE, w = a->inner - c < LN_WIDE ? a->inner - c : LN_WIDE;
        int64_t at = o * a->groups * a->inner + c;
        double m[LN_WIDE], v[LN_WIDE];
        T mu[LN_WIDE], r[LN_WIDE];
        F(column_moments)(x + at, a->groups, a->inner, w, m, v);
        for (int64_t j = 0; j < w; j++) {
            double s = sqrt(v[j] + a->eps);
            mu[j] = (T)m[j];
            r[j] = (T)(1 / s);
            if (mean) mean[o * a->inner + c + j] = mu[j];
            if (std) std[o * a->inner + c + j] = (T)s;
        }
        if (!y) continue;
        for (int64_t k = 0; k < a->groups; k++) {
            const T *p = x + at + k * a->inner;
            T *q = y + at + k * a->inner, g = gamma[k], b = beta[k];
            INDEPENDENT
            for (int64_t j = 0; j < w; j++) q[j] = (p[j] - mu[j]) * r[j] * g + b;
        }
    }
}

static void F(forward)(const mxl_call *call, int64_t begin, int64_t end)
{
    const layer_norm_args *a = call->args;
    int kind = ln_kind(a);
    if (kind == LN_COLUMNS) {
        F(forward_columns)(call, a, begin, end);
        return;
    }
    const T *x = call->in[0].data, *gamma = call->in[1].data, *beta = call->in[2].data;
    T *y = call->out[0].data, *mean = call->n_out > 1 ? call->out[1].data : 0;
    T *std = call->n_out > 1 ? call->out[2].data : 0;
    int64_t n = kind == LN_EACH ? a->inner : a->groups;
    for (int64_t u = begin; u < end; u++) {
        const T *p = x + u * n;
        double m, v;
        F(moments)(p, n, &m, &v);
        double s = sqrt(v + a->eps);
        T mu = (T)m, r = (T)(1 / s);
        if (mean) mean[u] = mu;
        if (std) std[u] = (T)s;
        if (!y) continue;
        T *q = y + u * n;
        if (kind == LN_EACH) {
            T k = r * gamma[u % a->groups], b = beta[u % a->groups];
            INDEPENDENT
            for (int64_t j = 0; j < n; j++) q[j] = (p[j] - mu) * k + b;
        } else {
            INDEPENDENT
            for (int64_t j = 0; j < n; j++) q[j] = (p[j] - mu) * r * gamma[j] + beta[j];
        }
    }
}

/* Sum of dy * gamma * (x - shift) and, in *plain, of dy * gamma. */
INLINE T F(dot_weighted)(const T *x, const T *dy, const T *gamma, T shift, int64_t n, T *plain)
{
    F(vec) a = {0}, b = {0}, c = {0}, d = {0};
    F(quad) e = {0}, f = {0};
    T s = 0, t = 0;
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        F(vec) u = F(load)(dy + i) * F(load)(gamma + i), v = F(load)(dy + i + LANES) * F(load)(gamma + i + LANES);
        c += u;
        d += v;
        a += u * (F(load)(x + i) - shift);
        b += v * (F(load)(x + i + LANES) - shift);
    }
    if (i + LANES <= n) {
        F(vec) u = F(load)(dy + i) * F(load)(gamma + i);
        c += u;
        a += u * (F(load)(x + i) - shift);
        i += LANES;
    }
    for (; i + QUAD <= n; i += QUAD) {
        F(quad) u = F(load4)(dy + i) * F(load4)(gamma + i);
        f += u;
        e += u * (F(load4)(x + i) - shift);
    }
    for (; i < n; i++) { T u = dy[i] * gamma[i]; t += u; s += u * (x[i] - shift); }
    *plain = t + F(lanes)(c + d, f);
    return s + F(lanes)(a + b, e);
}

/* Sum of dy * (x - mu) * r over w columns and, in *plain, of dy. */
INLINE T F(dot_columns)(const T *x, const T *dy, const T *mu, const T *r, int64_t w, T *plain)
{
    F(vec) a = {0}, c = {0};
    F(quad) e = {0}, f = {0};
    T s = 0, t = 0;
    int64_t i = 0;
    for (; i + LANES <= w; i += LANES) {
        F(vec) u = F(load)(dy + i);
        c += u;
        a += u * ((F(load)(x + i) - F(load)(mu + i)) * F(load)(r + i));
    }
    for (; i + QUAD <= w; i += QUAD) {
        F(quad) u = F(load4)(dy + i);
        f += u;
        e += u * ((F(load4)(x + i) - F(load4)(mu + i)) * F(load4)(r + i));
    }
    for (; i < w; i++) { t += dy[i]; s += dy[i] * ((x[i] - mu[i]) * r[i]); }
    *plain = t + F(lanes)(c, f);
    return s + F(lanes)(a, e);
}

/* One row: sums of dy (times gamma, where there is one an element) and of that times (x - mean). */
INLINE void F(row_sums)(const T *x, const T *dy, const T *gamma, T mu, int64_t n, double *s, double *q)
{
    *s = *q = 0;
    for (int64_t i = 0; i < n; i += LN_CHUNK) {
        int64_t len = n - i < LN_CHUNK ? n - i : LN_CHUNK;
        T plain, d = gamma ? F(dot_weighted)(x + i, dy + i, gamma + i, mu, len, &plain)
                           : F(dot_shifted)(x + i, dy + i, mu, len, &plain);
        *s += plain;
        *q += d;
    }
}

static void F(backward_each)(const mxl_call *call, const layer_norm_args *a, int64_t begin, int64_t end)
{
    const T *dy = call->in[0].data, *x = call->in[1].data, *gamma = call->in[2].data;
    T *dx = call->out[0].data;
    double *sums = call->work;
    int64_t n = a->inner;
    for (int64_t u = begin; u < end; u++) {
        const T *p = x + u * n, *d = dy + u * n;
        double m, v, s, q;
        F(moments)(p, n, &m, &v);
        double r = 1 / sqrt(v + a->eps);
        T mu = (T)m;
        F(row_sums)(p, d, 0, mu, n, &s, &q);
        sums[2 * u] = q * r;
        sums[2 * u + 1] = s;
        if (!dx || !n) continue;
        T *e = dx + u * n, k = (T)(r * gamma[u % a->groups]), k1 = (T)(s / (double)n);
        T k2 = (T)(q * r * r / (double)n);
        INDEPENDENT
        for (int64_t j = 0; j < n; j++) e[j] = k * (d[j] - k1 - (p[j] - mu) * k2);
    }
}

/* Blocks [begin, end) of rows that share gamma. */
static void F(backward_matrix)(const mxl_call *call, const layer_norm_args *a, int64_t begin, int64_t end)
{
    const T *dy = call->in[0].data, *x = call->in[1].data, *gamma = call->in[2].data;
    T *dx = call->out[0].data;
    int64_t n = a->groups, blocks = a->blocks, wanted = call->out[1].data || call->out[2].data;
    double *all = call->work;
    T *near_all = (T *)(all + 2 * n * blocks);
    for (int64_t b = begin; b < end; b++) {
        int64_t from = a->outer * b / blocks, to = a->outer * (b + 1) / blocks;
        double *ggamma = all + 2 * n * b;                /* dbeta stands behind dgamma */
        T *tgamma = near_all + 2 * n * b, *tbeta = tgamma + n;
        for (int64_t j = 0; j < 2 * n; j++) { ggamma[j] = 0; tgamma[j] = 0; }
        for (int64_t u = from; u < to; u++) {
            const T *p = x + u * n, *d = dy + u * n;
            double m, v, s, q;
            F(moments)(p, n, &m, &v);
            double r = 1 / sqrt(v + a->eps);
            T mu = (T)m, k = (T)r;
            if (dx) {
                F(row_sums)(p, d, gamma, mu, n, &s, &q);
                T *e = dx + u * n, k1 = (T)(s / (double)n), k2 = (T)(q * r * r / (double)n);
                if (wanted) {
                    INDEPENDENT
                    for (int64_t j = 0; j < n; j++) {
                        T g = d[j], z = p[j] - mu;
                        tbeta[j] += g;
                        tgamma[j] += g * (z * k);
                        e[j] = k * (g * gamma[j] - k1 - z * k2);
                    }
                } else {
                    INDEPENDENT
                    for (int64_t j = 0; j < n; j++) e[j] = k * (d[j] * gamma[j] - k1 - (p[j] - mu) * k2);
                }
            } else {
                INDEPENDENT
                for (int64_t j = 0; j < n; j++) {
                    tbeta[j] += d[j];
                    tgamma[j] += d[j] * ((p[j] - mu) * k);
                }
            }
            if ((u - from) % LN_SPAN == LN_SPAN - 1 || u == to - 1)
                for (int64_t j = 0; j < 2 * n; j++) { ggamma[j] += tgamma[j]; tgamma[j] = 0; }
        }
    }
}

/* Blocks of tiles of columns. */
static void F(backward_columns)(const mxl_call *call, const layer_norm_args *a, int64_t begin, int64_t end)
{
    const T *dy = call->in[0].data, *x = call->in[1].data, *gamma = call->in[2].data;
    T *dx = call->out[0].data;
    int64_t tiles = (a->inner + LN_WIDE - 1) / LN_WIDE, units = ln_units(a), blocks = a->blocks, n = a->groups;
    for (int64_t b = begin; b < end; b++) {
        int64_t from = units * b / blocks, to = units * (b + 1) / blocks;
        double *ggamma = (double *)call->work + 2 * n * b, *gbeta = ggamma + n;
        for (int64_t k = 0; k < 2 * n; k++) ggamma[k] = 0;
        for (int64_t u = from; u < to; u++) {
            int64_t o = u / tiles, c = u % tiles * LN_WIDE, w = a->inner - c < LN_WIDE ? a->inner - c : LN_WIDE;
            int64_t at = o * n * a->inner + c;
            double m[LN_WIDE], v[LN_WIDE], s[LN_WIDE], q[LN_WIDE];
            T mu[LN_WIDE], r[LN_WIDE], k1[LN_WIDE], k2[LN_WIDE];
            F(column_moments)(x + at, n, a->inner, w, m, v);
            for (int64_t j = 0; j < w; j++) {
                mu[j] = (T)m[j];
                r[j] = (T)(1 / sqrt(v[j] + a->eps));
                s[j] = q[j] = 0;
            }
            for (int64_t k = 0; k < n; k += LN_ROWS) {
                int64_t stop = n - k < LN_ROWS ? n : k + LN_ROWS;
                for (int64_t j = 0; j < w; j++) k1[j] = k2[j] = 0;
                for (int64_t i = k; i < stop; i++) {
                    const T *p = x + at + i * a->inner, *d = dy + at + i * a->inner;
                    T plain, g = gamma[i], dot = F(dot_columns)(p, d, mu, r, w, &plain);
                    ggamma[i] += dot;
                    gbeta[i] += plain;
                    for (int64_t j = 0; j < w; j++) { k1[j] += d[j] * g; k2[j] += d[j] * g * (p[j] - mu[j]); }
                }
                for (int64_t j = 0; j < w; j++) { s[j] += k1[j]; q[j] += k2[j]; }
            }
            if (!dx) continue;
            for (int64_t j = 0; j < w; j++) {
                k1[j] = (T)(s[j] / (double)n);
                k2[j] = (T)(q[j] / (v[j] + a->eps) / (double)n);
            }
            for (int64_t i = 0; i < n; i++) {
                const T *p = x + at + i * a->inner, *d = dy + at + i * a->inner;
                T *e = dx + at + i * a->inner, g = gamma[i];
                INDEPENDENT
                for (int64_t j = 0; j < w; j++) e[j] = r[j] * (d[j] * g - k1[j] - (p[j] - mu[j]) * k2[j]);
            }
        }
    }
}

static void F(backward)(const mxl_call *call, int64_t begin, int64_t end)
{
    const layer_norm_args *a = call->args;
    switch (ln_kind(a)) {
    case LN_EACH: F(backward_each)(call, a, begin, end); break;
    case LN_MATRIX: F(backward_matrix)(call, a, begin, end); break;
    default: F(backward_columns)(call, a, begin, end);
    }
}

/* dgamma and dbeta of groups [begin, end), from what rows or blocks have added up. */
static void F(collect)(const mxl_call *call, int64_t begin, int64_t end)
{
    const layer_norm_args *a = call->args;
    T *dgamma = call->out[1].data, *dbeta = call->out[2].data;
    const double *work = call->work;
    int64_t n = a->groups, each = ln_kind(a) == LN_EACH, parts = each ? a->outer : a->blocks;
    for (int64_t g = begin; g < end; g++) {
        double s = 0, q = 0;
        for (int64_t i = 0; i < parts; i++) {
            q += each ? work[2 * (i * n + g)] : work[2 * n * i + g];
            s += each ? work[2 * (i * n + g) + 1] : work[2 * n * i + n + g];
        }
        if (dgamma) dgamma[g] = (T)q;
        if (dbeta) dbeta[g] = (T)s;
    }
}
