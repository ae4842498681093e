/* Batch normalization for one floating type T. Outputs may lie on top of data or its gradient. */
#include "rowvec.h"

/* Batch mean and variance of channel c, every run of `inner` elements at stride channels * inner. Chunks are summed in
 * T twice, for the mean and then around it (what the mean lacks comes out too), and joined in double: no cancellation,
 * and data is read from memory once. */
INLINE void F(channel_moments)(const batch_norm_args *a, const T *x, int64_t c, double *mean, double *var)
{
    int64_t stride = a->channels * a->inner, runs = NORM_CHUNK / a->inner;
    double n = 0, mu = 0, m2 = 0;
    x += c * a->inner;
    if (runs < 1) runs = 1;
    for (int64_t o = 0; o < a->outer; o += runs) {
        int64_t e = a->outer - o < runs ? a->outer : o + runs;
        for (int64_t i = 0; i < a->inner; i += NORM_CHUNK) {
            int64_t len = a->inner - i < NORM_CHUNK ? a->inner - i : NORM_CHUNK;
            T s = 0, q = 0, rest = 0, part;
            for (int64_t r = o; r < e; r++) s += F(sum)(x + r * stride + i, len);
            T at = s / (T)(len * (e - o));
            for (int64_t r = o; r < e; r++) { q += F(squares)(x + r * stride + i, at, len, &part); rest += part; }
            double m = (double)(len * (e - o)), off = (double)rest / m;
            norm_join(&n, &mu, &m2, m, (double)at + off, (double)q - m * off * off);
        }
    }
    *mean = mu;
    *var = n > 0 && m2 > 0 ? m2 / n : m2 != m2 ? m2 : 0;
}

/* The same for channels [c, c + w), w <= NORM_WIDE, of a (outer, channels) matrix. */
INLINE void F(column_moments)(const batch_norm_args *a, const T *x, int64_t c, int64_t w, double *mean, double *var)
{
    T s[NORM_WIDE], q[NORM_WIDE], at[NORM_WIDE];
    double n = 0;
    for (int64_t j = 0; j < w; j++) mean[j] = var[j] = 0;
    for (int64_t o = 0; o < a->outer; o += NORM_ROWS) {
        int64_t rows = a->outer - o < NORM_ROWS ? a->outer - o : NORM_ROWS;
        const T *p = x + o * a->channels + c;
        for (int64_t j = 0; j < w; j++) s[j] = 0;
        for (int64_t r = 0; r < rows; r++)
            for (int64_t j = 0; j < w; j++) s[j] += p[r * a->channels + j];
        for (int64_t j = 0; j < w; j++) { at[j] = s[j] / (T)rows; s[j] = q[j] = 0; }
        for (int64_t r = 0; r < rows; r++)
            for (int64_t j = 0; j < w; j++) {
                T d = p[r * a->channels + j] - at[j];
                s[j] += d;
                q[j] += d * d;
            }
        double m = (double)rows, all = n + m, share = m / all, weight = n * share;
        for (int64_t j = 0; j < w; j++) {
            double off = (double)s[j] / m, d = (double)at[j] + off - mean[j];
            var[j] += (double)q[j] - m * off * off + d * d * weight;
            mean[j] += d * share;
        }
        n = all;
    }
    for (int64_t j = 0; j < w; j++) var[j] = n > 0 && !(var[j] < 0) ? var[j] / n : 0;
}

static void F(forward)(const mxl_call *call, int64_t begin, int64_t end)
{
    batch_norm_args own = *(const batch_norm_args *)call->args, *a = &own;
    if (!call->in[0].size) a->outer = 0;            /* an empty axis may also be an inner one */
    const T *x = call->in[0].data, *gamma = call->in[1].data, *beta = call->in[2].data;
    const T *moving_mean = call->in[3].data, *moving_var = call->in[4].data;
    T *y = call->out[0].data, *mean = call->out[1].data, *inv_std = call->out[2].data;
    int batch = call->is_train && !a->use_global_stats;
    int64_t width = a->inner > 1 ? 1 : NORM_WIDE;
    if (a->inner <= 1) {
        begin *= NORM_COLUMNS;
        end = end * NORM_COLUMNS < a->channels ? end * NORM_COLUMNS : a->channels;
    }
    for (int64_t c = begin; c < end; c += width) {
        int64_t w = end - c < width ? end - c : width;
        double m[NORM_WIDE], v[NORM_WIDE];
        T mu[NORM_WIDE], k[NORM_WIDE], b[NORM_WIDE];
        if (batch && a->inner > 1) F(channel_moments)(a, x, c, m, v);
        else if (batch) F(column_moments)(a, x, c, w, m, v);
        else for (int64_t j = 0; j < w; j++) { m[j] = moving_mean[c + j]; v[j] = moving_var[c + j]; }
        for (int64_t j = 0; j < w; j++) {
            T r = (T)(1 / sqrt(v[j] + a->eps));
            mu[j] = (T)m[j];
            k[j] = a->fix_gamma ? r : r * gamma[c + j];
            b[j] = beta[c + j];
            if (mean) mean[c + j] = mu[j];
            if (inv_std) inv_std[c + j] = r;
        }
        if (!y) continue;
        for (int64_t o = 0; o < a->outer; o++) {
            const T *p = x + (o * a->channels + c) * a->inner;
            T *q = y + (o * a->channels + c) * a->inner;
            if (a->inner > 1) {
                T mu0 = mu[0], k0 = k[0], b0 = b[0];
                INDEPENDENT
                for (int64_t i = 0; i < a->inner; i++) q[i] = (p[i] - mu0) * k0 + b0;
            } else {
                INDEPENDENT
                for (int64_t j = 0; j < w; j++) q[j] = (p[j] - mu[j]) * k[j] + b[j];
            }
        }
    }
}

/* Sums over a channel of dy and of dy * (x - mean). */
INLINE void F(channel_sums)(const batch_norm_args *a, const T *dy, const T *x, int64_t c, T mean, double *s, double *q)
{
    int64_t stride = a->channels * a->inner;
    *s = *q = 0;
    for (int64_t o = 0; o < a->outer; o++)
        for (int64_t i = 0; i < a->inner; i += NORM_CHUNK) {
            int64_t at = o * stride + c * a->inner + i, len = a->inner - i < NORM_CHUNK ? a->inner - i : NORM_CHUNK;
            T plain, d = F(dot_shifted)(x + at, dy + at, mean, len, &plain);
            *s += plain;
            *q += d;
        }
}

INLINE void F(column_sums)(const batch_norm_args *a, const T *dy, const T *x, int64_t c, int64_t w, const T *mean,
                           double *s, double *q)
{
    T u[NORM_WIDE], v[NORM_WIDE];
    for (int64_t j = 0; j < w; j++) s[j] = q[j] = 0;
    for (int64_t o = 0; o < a->outer; o += NORM_ROWS) {
        int64_t rows = a->outer - o < NORM_ROWS ? a->outer - o : NORM_ROWS;
        for (int64_t j = 0; j < w; j++) u[j] = v[j] = 0;
        for (int64_t r = 0; r < rows; r++) {
            const T *d = dy + (o + r) * a->channels + c, *p = x + (o + r) * a->channels + c;
            for (int64_t j = 0; j < w; j++) { u[j] += d[j]; v[j] += d[j] * (p[j] - mean[j]); }
        }
        for (int64_t j = 0; j < w; j++) { s[j] += u[j]; q[j] += v[j]; }
    }
}

static void F(backward)(const mxl_call *call, int64_t begin, int64_t end)
{
    batch_norm_args own = *(const batch_norm_args *)call->args, *a = &own;
    if (!call->in[0].size) a->outer = 0;            /* an empty axis may also be an inner one */
    const T *dy = call->in[0].data, *x = call->in[1].data, *gamma = call->in[2].data;
    const T *mean = call->in[3].data, *inv_std = call->in[4].data;
    T *moving_mean = call->in[5].data, *moving_var = call->in[6].data;
    T *dx = call->out[0].data, *dgamma = call->out[1].data, *dbeta = call->out[2].data;
    double count = (double)a->outer * (double)a->inner, keep = a->momentum;
    int batch = call->is_train && !a->use_global_stats && count > 0;
    int64_t width = a->inner > 1 ? 1 : NORM_WIDE;
    if (a->inner <= 1) {
        begin *= NORM_COLUMNS;
        end = end * NORM_COLUMNS < a->channels ? end * NORM_COLUMNS : a->channels;
    }
    for (int64_t c = begin; c < end; c += width) {
        int64_t w = end - c < width ? end - c : width;
        double s[NORM_WIDE], q[NORM_WIDE];
        T mu[NORM_WIDE], k[NORM_WIDE], k1[NORM_WIDE], k2[NORM_WIDE];
        mu[0] = 0;                                  /* compilers do not see that w > 0 */
        for (int64_t j = 0; j < w; j++) {
            mu[j] = batch ? mean[c + j] : moving_mean[c + j];
            k[j] = batch ? inv_std[c + j] : (T)(1 / sqrt((double)moving_var[c + j] + a->eps));
        }
        if (a->inner > 1) F(channel_sums)(a, dy, x, c, mu[0], s, q);
        else F(column_sums)(a, dy, x, c, w, mu, s, q);
        for (int64_t j = 0; j < w; j++) {
            double r = k[j];
            if (!a->fix_gamma) k[j] *= gamma[c + j];
            k1[j] = batch ? (T)(s[j] / count) : 0;
            k2[j] = batch ? (T)(q[j] * r * r / count) : 0;
            if (dgamma) dgamma[c + j] = a->fix_gamma ? 0 : (T)(q[j] * r);
            if (dbeta) dbeta[c + j] = (T)s[j];
            if (batch) {
                moving_mean[c + j] = (T)(moving_mean[c + j] * keep + (double)mu[j] * (1 - keep));
                moving_var[c + j] = (T)(moving_var[c + j] * keep + (1 / (r * r) - a->eps) * (1 - keep));
            }
        }
        if (!dx) continue;
        for (int64_t o = 0; o < a->outer; o++) {
            int64_t at = (o * a->channels + c) * a->inner;
            const T *d = dy + at, *p = x + at;
            T *e = dx + at;
            if (a->inner > 1) {
                T mu0 = mu[0], k0 = k[0], ka = k1[0], kb = k2[0];
                INDEPENDENT
                for (int64_t i = 0; i < a->inner; i++) e[i] = k0 * (d[i] - ka - (p[i] - mu0) * kb);
            } else {
                INDEPENDENT
                for (int64_t j = 0; j < w; j++) e[j] = k[j] * (d[j] - k1[j] - (p[j] - mu[j]) * k2[j]);
            }
        }
    }
}
