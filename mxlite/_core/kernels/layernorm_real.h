/* Layer normalization for one floating type T. Outputs may lie on top of data or its gradient. */
#include "norm_table.h"
#include "rowvec.h"

/* Of n elements of a row the sums of d = x - at and of its squares, and where there is dy, those of g = dy (times
 * gamma, where there is one) and of g * d. */
INLINE void F(row_chunk)(const T *x, const T *dy, const T *gamma, T at, int64_t n, double sums[4])
{
    const F(vec) shift = F(splat)(at);
    F(vec) s[4] = {{0}}, t[4] = {{0}};
    int64_t i = 0;
#define ADD_(s, w, how) { \
        const F(vec) d = (how == F(PART) ? F(load_part)(x + i, w, shift) : F(load)(x + i)) - shift; \
        s[0] += d; \
        s[1] += d * d; \
        if (dy) { \
            F(vec) g = F(get)(dy + i, w, how); \
            if (gamma) g *= F(get)(gamma + i, w, how); \
            s[2] += g; \
            s[3] += g * d; \
        } }
    for (; i + 2 * LANES <= n; i += LANES) {
        ADD_(s, LANES, F(WHOLE))
        i += LANES;
        ADD_(t, LANES, F(WHOLE))
    }
    if (i + LANES <= n) { ADD_(s, LANES, F(WHOLE)) i += LANES; }
    if (i < n) ADD_(t, n - i, F(PART))
#undef ADD_
    for (int k = 0; k < (dy ? 4 : 2); k++) sums[k] = (double)F(total)(s[k] + t[k]);
}

/* Mean and variance of n contiguous elements, and where there is dy, the sums of g and of g * (x - mean). Chunks are
 * summed in T around a number near their mean (that of the first elements or of the chunks before) and joined in
 * double. What was not near, by the chunk's own deviation, is summed again around the mean: no cancellation. */
INLINE void F(row_sums)(const T *x, const T *dy, const T *gamma, int64_t n, double *mean, double *var, double *s,
                        double *q)
{
    double count = 0, mu = 0, m2 = 0, first = 0;
    *s = *q = 0;
    for (int64_t i = 0; i < n; i += LN_CHUNK) {
        const int64_t len = n - i < LN_CHUNK ? n - i : LN_CHUNK, near = len < LN_NEAR ? len : LN_NEAR;
        const double m = (double)len;
        T at = i ? (T)mu : F(sum)(x, near) / (T)near;
        double sums[4], off, rest;
        for (int again = 0; again < 2; again++) {
            F(row_chunk)(x + i, dy ? dy + i : 0, gamma ? gamma + i : 0, at, len, sums);
            off = sums[0] / m;
            rest = sums[1] - m * off * off;
            if (again || m * off * off <= rest) break;
            at = (T)((double)at + off);
        }
        if (i) norm_join(&count, &mu, &m2, m, (double)at + off, rest);
        else { count = m; mu = (double)at + off; m2 = rest; first = (double)at; }
        if (!dy) continue;
        *s += sums[2];
        *q += sums[3] + sums[2] * ((double)at - first);     /* around `first` until the mean is known */
    }
    *q -= *s * (mu - first);
    *mean = mu;
    *var = count > 0 && !(m2 < 0) ? m2 / count : 0;
}
INLINE void F(moments)(const T *x, int64_t n, double *mean, double *var)
{
    double s, q;
    F(row_sums)(x, 0, 0, n, mean, var, &s, &q);
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

/* y = (x - mu) * r * gamma + beta; gamma and beta one an element or (`each`) one for all. */
INLINE void F(normal)(const T *x, T *y, int64_t n, T mu, T r, const T *gamma, const T *beta, int each, int stream)
{
    const F(vec) m = F(splat)(mu), k = F(splat)(each ? r * *gamma : r), b = F(splat)(each ? *beta : 0);
#define NORMAL_(w, how) { \
        const F(vec) v = (F(get)(x + i, w, how) - m) * k; \
        F(set)(y + i, each ? v + b : v * F(get)(gamma + i, w, how) + F(get)(beta + i, w, how), w, how); }
    ALONG(y, n, stream, NORMAL_)
#undef NORMAL_
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
    const int each = kind == LN_EACH, stream = F(streams)(call, 1);
    const int64_t n = each ? a->inner : a->groups;
    for (int64_t u = begin; u < end; u++) {
        const T *p = x + u * n;
        double m, v;
        F(moments)(p, n, &m, &v);
        double s = sqrt(v + a->eps);
        T mu = (T)m, r = (T)(1 / s);
        if (mean) mean[u] = mu;
        if (std) std[u] = (T)s;
        if (!y) continue;
        if (each) F(normal)(p, y + u * n, n, mu, r, gamma + u % a->groups, beta + u % a->groups, 1, stream);
        else F(normal)(p, y + u * n, n, mu, r, gamma, beta, 0, stream);
    }
    if (stream) stream_done();
}

/* dx = k * (g - k1 - (x - mu) * k2) where there is a dx, g = dy (times gamma, where there is one); and dy and
 * dy * (x - mu) * r are added to tbeta and tgamma, where there are such. */
INLINE void F(gradient)(const T *x, const T *dy, T *dx, int64_t n, T mu, T r, T k, T k1, T k2, const T *gamma,
                        T *tgamma, T *tbeta, int stream)
{
    const F(vec) m = F(splat)(mu), scale = F(splat)(r), ka = F(splat)(k), kb = F(splat)(k1), kc = F(splat)(k2);
    /* All loads come first: rows tend to lie a multiple of 4096 bytes apart, and a load seems to wait for a store that
     * agrees with it in the last twelve bits of the address. */
#define GRADIENT_(w, how) { \
        const F(vec) d = F(get)(dy + i, w, how), z = F(get)(x + i, w, how) - m; \
        const F(vec) g = gamma ? d * F(get)(gamma + i, w, how) : d; \
        if (tgamma) { \
            const F(vec) u = F(get)(tbeta + i, w, how) + d, v = F(get)(tgamma + i, w, how) + d * (z * scale); \
            F(set)(tbeta + i, u, w, how == F(STREAM) ? F(WHOLE) : how); \
            F(set)(tgamma + i, v, w, how == F(STREAM) ? F(WHOLE) : how); \
        } \
        if (dx) F(set)(dx + i, ka * (g - kb - z * kc), w, how); }
    ALONG(dx, n, stream, GRADIENT_)
#undef GRADIENT_
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

static void F(backward_each)(const mxl_call *call, const layer_norm_args *a, int64_t begin, int64_t end)
{
    const T *dy = call->in[0].data, *x = call->in[1].data, *gamma = call->in[2].data;
    T *dx = call->out[0].data;
    double *sums = call->work;
    const int stream = F(streams)(call, 2);
    const int64_t n = a->inner;
    for (int64_t u = begin; u < end; u++) {
        const T *p = x + u * n, *d = dy + u * n;
        double m, v, s, q;
        F(row_sums)(p, d, 0, n, &m, &v, &s, &q);
        double r = 1 / sqrt(v + a->eps);
        sums[2 * u] = q * r;
        sums[2 * u + 1] = s;
        if (!dx || !n) continue;
        F(gradient)(p, d, dx + u * n, n, (T)m, (T)r, (T)(r * gamma[u % a->groups]), (T)(s / (double)n),
                    (T)(q * r * r / (double)n), 0, 0, 0, stream);
    }
    if (stream) stream_done();
}

/* Blocks [begin, end) of rows that share gamma. */
static void F(backward_matrix)(const mxl_call *call, const layer_norm_args *a, int64_t begin, int64_t end)
{
    const T *dy = call->in[0].data, *x = call->in[1].data, *gamma = call->in[2].data;
    T *dx = call->out[0].data;
    const int stream = F(streams)(call, 2);
    const int64_t n = a->groups, blocks = a->blocks;
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
            F(row_sums)(p, d, gamma, n, &m, &v, &s, &q);
            const double r = 1 / sqrt(v + a->eps);
            const T mu = (T)m, k = (T)r, k1 = (T)(s / (double)n), k2 = (T)(q * r * r / (double)n);
            if (dx) F(gradient)(p, d, dx + u * n, n, mu, k, k, k1, k2, gamma, tgamma, tbeta, stream);
            else F(gradient)(p, d, 0, n, mu, k, k, k1, k2, gamma, tgamma, tbeta, 0);
            if ((u - from) % LN_SPAN == LN_SPAN - 1 || u == to - 1)
                for (int64_t j = 0; j < 2 * n; j++) { ggamma[j] += tgamma[j]; tgamma[j] = 0; }
        }
    }
    if (stream) stream_done();
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
