/* Batch normalization for one floating type T. Outputs may lie on top of data, its gradient, residual or y: what is
 * read at an index is read before anything is written there. */
#include "rowvec.h"

/* Two vectors that lie `ahead` elements behind p + i come into the second-level cache. Channels lie in pieces, and the
 * processor's own prefetching begins anew at each. */
INLINE void F(fetch)(const T *p, int64_t i, int64_t ahead)
{
    const uintptr_t at = (uintptr_t)p + (uintptr_t)(i + ahead) * sizeof(T);     /* perhaps behind the end: no pointer */
    __builtin_prefetch((const void *)at, 0, 2);
    if (VECTOR_BYTES == 64) __builtin_prefetch((const void *)(at + VECTOR_BYTES), 0, 2);
}

/* Lane by lane, sums over n elements of their squared distances to `at` and, in *rest, of the distances. Meanwhile
 * comes what lies `ahead` elements on. */
INLINE F(vec) F(square_lanes)(const T *x, F(vec) at, int64_t n, F(vec) *rest, int64_t ahead)
{
    F(vec) a = {0}, b = {0}, c = {0}, d = {0};
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        F(fetch)(x, i, ahead);
        F(vec) u = F(load)(x + i) - at, v = F(load)(x + i + LANES) - at;
        c += u;
        d += v;
        a += u * u;
        b += v * v;
    }
    if (i + LANES <= n) {
        F(vec) u = F(load)(x + i) - at;
        c += u;
        a += u * u;
        i += LANES;
    }
    if (i < n) {
        F(vec) u = F(load_part)(x + i, n - i, at) - at;
        d += u;
        b += u * u;
    }
    *rest += c + d;
    return a + b;
}

/* Batch mean and variance of channels [c, c + w), w <= NORM_BLOCK; every run of `inner` elements at stride channels *
 * inner. Chunks are summed in T around a number near their mean (that of the first elements or of the chunks before)
 * and joined in double. Where that was not near, by the chunk's own deviation, it is summed again around its mean: no
 * cancellation, and data is read once. */
static void F(run_moments)(const batch_norm_args *a, const T *x, int64_t c, int64_t w, double *mean, double *var)
{
    int64_t stride = a->channels * a->inner, runs = norm_clamp(NORM_CHUNK / a->inner, INT64_MAX);
    int64_t near = a->inner < NORM_NEAR ? a->inner : NORM_NEAR;
    double n[NORM_BLOCK];
    x += c * a->inner;
    for (int64_t j = 0; j < w; j++) {
        n[j] = var[j] = 0;
        mean[j] = a->outer > 0 ? (double)(F(sum)(x + j * a->inner, near) / (T)near) : 0;
    }
    for (int64_t o = 0; o < a->outer; o += runs) {
        int64_t e = a->outer - o < runs ? a->outer : o + runs;
        for (int64_t i = 0; i < a->inner; i += NORM_CHUNK) {
            int64_t len = a->inner - i < NORM_CHUNK ? a->inner - i : NORM_CHUNK;
            const int64_t ahead = norm_ahead(a, runs, o, i);
            F(vec) q[NORM_BLOCK], rest[NORM_BLOCK];
            double m = (double)(len * (e - o));
            for (int64_t j = 0; j < w; j++) q[j] = rest[j] = (F(vec)){0};
            for (int64_t r = o; r < e; r++)
                for (int64_t j = 0; j < w; j++)
                    q[j] += F(square_lanes)(x + r * stride + j * a->inner + i, F(splat)((T)mean[j]), len, rest + j,
                                              ahead);
            for (int64_t j = 0; j < w; j++) {
                T at = (T)mean[j];
                double off = (double)F(total)(rest[j]) / m, m2 = (double)F(total)(q[j]) - m * off * off;
                if (!(m * off * off <= m2)) {
                    at = (T)((double)at + off);
                    q[j] = rest[j] = (F(vec)){0};
                    for (int64_t r = o; r < e; r++)
                        q[j] += F(square_lanes)(x + r * stride + j * a->inner + i, F(splat)(at), len, rest + j, 0);
                    off = (double)F(total)(rest[j]) / m;
                    m2 = (double)F(total)(q[j]) - m * off * off;
                }
                if (n[j] > 0) norm_join(n + j, mean + j, var + j, m, (double)at + off, m2);
                else { n[j] = m; mean[j] = (double)at + off; var[j] = m2; }
            }
        }
    }
    for (int64_t j = 0; j < w; j++) var[j] = n[j] > 0 && !(var[j] < 0) ? var[j] / n[j] : 0;
}

/* The same for channels [c, c + w), w <= NORM_WIDE, of a (outer, channels) matrix. */
static void F(column_moments)(const batch_norm_args *a, const T *x, int64_t c, int64_t w, double *mean, double *var)
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

/* y = act((x - mu) * k + b [+ z]) over n elements; mu, k and b one an element (`each`) or one for all. */
INLINE void F(affine)(const batch_norm_args *a, const T *x, const T *z, T *y, int64_t n, const T *mu, const T *k,
                      const T *b, int each, int residual, int act, int stream)
{
    F(vec) m1 = F(splat)(*mu), k1 = F(splat)(*k), b1 = F(splat)(*b), none = {0};
    F(vec) lo = F(splat)((T)(a->act == 2 ? a->lo : 0)), hi = F(splat)((T)(a->act == 2 ? a->hi : INFINITY));
#define AFFINE_(X, Z, PARAM) \
    F(vec) v = (X - PARAM(mu, m1)) * PARAM(k, k1) + PARAM(b, b1); \
    if (residual) v += Z; \
    if (act) v = F(min)(hi, F(max)(lo, v));
#define WHOLE_(p, one) (each ? F(load)(p + i) : one)
#define PART_(p, one) (each ? F(load_part)(p + i, len, none) : one)
    int64_t i = 0, len;
    if (stream) {
        len = (int64_t)(-(uintptr_t)y % VECTOR_BYTES / sizeof(T));
        if (len > n) len = n;
        if (len && (uintptr_t)(y + len) % VECTOR_BYTES == 0) {
            AFFINE_(F(load_part)(x, len, none), F(load_part)(z, len, none), PART_)
            F(store_part)(y, len, v);
            i = len;
        } else if (len) stream = 0;                 /* elements that are not even aligned to themselves, or few */
        if (stream)
            for (; i + LANES <= n; i += LANES) {
                AFFINE_(F(load)(x + i), F(load)(z + i), WHOLE_)
                F(stream)(y + i, v);
            }
    }
    for (; i + LANES <= n; i += LANES) {
        AFFINE_(F(load)(x + i), F(load)(z + i), WHOLE_)
        F(store)(y + i, v);
    }
    if (i < n) {
        len = n - i;
        AFFINE_(F(load_part)(x + i, len, none), F(load_part)(z + i, len, none), PART_)
        F(store_part)(y + i, len, v);
    }
#undef AFFINE_
}

#define AFFINE_CASES_(each) \
    if (!z && !a->act) F(affine)(a, x, x, y, n, mu, k, b, each, 0, 0, stream); \
    else if (!z) F(affine)(a, x, x, y, n, mu, k, b, each, 0, 1, stream); \
    else F(affine)(a, x, z, y, n, mu, k, b, each, 1, a->act != 0, stream);
static void F(affine_run)(const batch_norm_args *a, const T *x, const T *z, T *y, int64_t n, const T *mu, const T *k,
                          const T *b, int stream) { AFFINE_CASES_(0) }
static void F(affine_row)(const batch_norm_args *a, const T *x, const T *z, T *y, int64_t n, const T *mu, const T *k,
                          const T *b) { const int stream = 0; AFFINE_CASES_(1) }
#undef AFFINE_CASES_

static void F(forward)(const mxl_call *call, int64_t begin, int64_t end)
{
    batch_norm_args own = *(const batch_norm_args *)call->args, *a = &own;
    if (!call->in[0].size) a->outer = 0;            /* an empty axis may also be an inner one */
    const T *x = call->in[0].data, *gamma = call->in[1].data, *beta = call->in[2].data;
    const T *z = a->residual ? call->in[3].data : 0;
    const mxl_tensor *moving = call->in + 3 + (a->residual != 0);
    const T *moving_mean = moving[0].data, *moving_var = moving[1].data;
    T *y = call->out[0].data, *mean = call->out[1].data, *inv_std = call->out[2].data;
    const int batch = norm_by_batch(call), runs = a->inner > 1, stream = norm_long(a, sizeof(T)) && F(streams)(call, 4);
    int64_t width = norm_width((const batch_norm_args *)call->args, !batch), blocks = (a->channels + width - 1) / width;
    for (int64_t u = begin; u < end; u++) {
        int64_t c = u % blocks * width, w = a->channels - c < width ? a->channels - c : width;
        int64_t o0 = !batch && runs ? u / blocks * NORM_SAMPLES : 0, o1 = a->outer;
        if (!batch && runs && o1 > o0 + NORM_SAMPLES) o1 = o0 + NORM_SAMPLES;
        if (!runs)                                  /* as many units as there are in a row, together */
            for (; u + 1 < end && w + width <= NORM_WIDE && c + w < a->channels; u++)
                w = a->channels - c - w < width ? a->channels - c : w + width;
        double m[NORM_WIDE], v[NORM_WIDE];
        T mu[NORM_WIDE], k[NORM_WIDE], b[NORM_WIDE];
        if (batch && runs) F(run_moments)(a, x, c, w, m, v);
        else if (batch) F(column_moments)(a, x, c, w, m, v);
        else for (int64_t j = 0; j < w; j++) { m[j] = moving_mean[c + j]; v[j] = moving_var[c + j]; }
        for (int64_t j = 0; j < w; j++) {
            T r = (T)(1 / sqrt(v[j] + a->eps));
            mu[j] = (T)m[j];
            k[j] = a->fix_gamma ? r : r * gamma[c + j];
            b[j] = beta[c + j];
            if (mean && o0 == 0) mean[c + j] = mu[j];
            if (inv_std && o0 == 0) inv_std[c + j] = r;
        }
        if (!y) continue;
        for (int64_t o = o1 - 1; o >= o0; o--) {    /* what was read last is still in the cache */
            int64_t at = (o * a->channels + c) * a->inner;
            if (!runs) { F(affine_row)(a, x + at, z ? z + at : 0, y + at, w, mu, k, b); continue; }
            for (int64_t j = 0; j < w; j++, at += a->inner)
                F(affine_run)(a, x + at, z ? z + at : 0, y + at, a->inner, mu + j, k + j, b + j, stream);
        }
    }
    if (stream) stream_done();
}

/* dy where the forward's result y was positive (where relu let it through); NaN stays. */
INLINE F(vec) F(gate)(F(vec) dy, F(vec) y)
{
    return (F(vec))(((F(ints))dy & (F(ints))(y > 0)) | ((F(ints))y & (F(ints))(y != y)));
}

/* Lane by lane, sums over a run of dy and, in *q, of dy * (x - mu). Meanwhile comes what lies `ahead` elements on. */
INLINE F(vec) F(gradient_lanes)(const T *dy, const T *x, const T *y, int64_t n, F(vec) mu, F(vec) *q, int masked,
                                int64_t ahead)
{
    F(vec) a = {0}, b = {0}, c = {0}, d = {0}, none = {0};
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        F(fetch)(dy, i, ahead);
        F(fetch)(x, i, ahead);
        F(vec) u = F(load)(dy + i), v = F(load)(dy + i + LANES);
        if (masked) { u = F(gate)(u, F(load)(y + i)); v = F(gate)(v, F(load)(y + i + LANES)); }
        a += u;
        b += v;
        c += u * (F(load)(x + i) - mu);
        d += v * (F(load)(x + i + LANES) - mu);
    }
    if (i + LANES <= n) {
        F(vec) u = F(load)(dy + i);
        if (masked) u = F(gate)(u, F(load)(y + i));
        a += u;
        c += u * (F(load)(x + i) - mu);
        i += LANES;
    }
    if (i < n) {
        F(vec) u = F(load_part)(dy + i, n - i, none);
        if (masked) u = F(gate)(u, F(load_part)(y + i, n - i, none));
        b += u;
        d += u * (F(load_part)(x + i, n - i, mu) - mu);
    }
    *q += c + d;
    return a + b;
}

/* Sums over channels [c, c + w) of dy and of dy * (x - mean), chunks in T and those in double. */
INLINE void F(run_sums)(const batch_norm_args *a, const T *dy, const T *x, const T *y, int64_t c, int64_t w,
                        const T *mean, double *s, double *q, int masked)
{
    int64_t stride = a->channels * a->inner, runs = norm_clamp(NORM_CHUNK / a->inner, INT64_MAX);
    for (int64_t j = 0; j < w; j++) s[j] = q[j] = 0;
    for (int64_t o = 0; o < a->outer; o += runs) {
        int64_t e = a->outer - o < runs ? a->outer : o + runs;
        for (int64_t i = 0; i < a->inner; i += NORM_CHUNK) {
            int64_t len = a->inner - i < NORM_CHUNK ? a->inner - i : NORM_CHUNK;
            const int64_t ahead = norm_ahead(a, runs, o, i);
            F(vec) u[NORM_BLOCK], v[NORM_BLOCK];
            for (int64_t j = 0; j < w; j++) u[j] = v[j] = (F(vec)){0};
            for (int64_t r = o; r < e; r++)
                for (int64_t j = 0; j < w; j++) {
                    int64_t at = r * stride + (c + j) * a->inner + i;
                    u[j] += F(gradient_lanes)(dy + at, x + at, y + at, len, F(splat)(mean[j]), v + j, masked, ahead);
                }
            for (int64_t j = 0; j < w; j++) { s[j] += F(total)(u[j]); q[j] += F(total)(v[j]); }
        }
    }
}

static void F(column_sums)(const batch_norm_args *a, const T *dy, const T *x, const T *y, int64_t c, int64_t w,
                           const T *mean, double *s, double *q)
{
    T u[NORM_WIDE], v[NORM_WIDE];
    for (int64_t j = 0; j < w; j++) s[j] = q[j] = 0;
    for (int64_t o = 0; o < a->outer; o += NORM_ROWS) {
        int64_t rows = a->outer - o < NORM_ROWS ? a->outer - o : NORM_ROWS;
        for (int64_t j = 0; j < w; j++) u[j] = v[j] = 0;
        for (int64_t r = 0; r < rows; r++) {
            int64_t at = (o + r) * a->channels + c;
            const T *d = dy + at, *p = x + at, *f = y + at;
            if (a->masked)
                for (int64_t j = 0; j < w; j++) {
                    T g = f[j] > 0 ? d[j] : f[j] != f[j] ? f[j] : 0;
                    u[j] += g;
                    v[j] += g * (p[j] - mean[j]);
                }
            else for (int64_t j = 0; j < w; j++) { u[j] += d[j]; v[j] += d[j] * (p[j] - mean[j]); }
        }
        for (int64_t j = 0; j < w; j++) { s[j] += u[j]; q[j] += v[j]; }
    }
}

/* dx = k * (g - k1 - (x - mu) * k2) over n elements, where g is dy, masked by y, and goes to dm where there is one. */
INLINE void F(spread)(const T *dy, const T *x, const T *y, T *dx, T *dm, int64_t n, const T *mu, const T *k,
                      const T *k1, const T *k2, int each, int masked, int stream)
{
    F(vec) m0 = F(splat)(*mu), ka = F(splat)(*k), kb = F(splat)(*k1), kc = F(splat)(*k2), none = {0};
#define SPREAD_(LOAD, PARAM, STORE, STORE_M) { \
        F(vec) g = LOAD(dy + i), p = LOAD(x + i); \
        if (masked) g = F(gate)(g, LOAD(y + i)); \
        F(vec) e = PARAM(k, ka) * (g - PARAM(k1, kb) - (p - PARAM(mu, m0)) * PARAM(k2, kc)); \
        if (dm) { STORE_M(dm + i, g); } \
        if (dx) { STORE(dx + i, e); } }
#define LOAD_PART_(p) F(load_part)(p, len, none)
#define STORE_PART_(p, v) F(store_part)(p, len, v)
    int64_t i = 0, len;
    if (stream && dx) {
        len = (int64_t)(-(uintptr_t)dx % VECTOR_BYTES / sizeof(T));
        if (len <= n && (uintptr_t)(dx + len) % VECTOR_BYTES == 0) {
            if (len) { SPREAD_(LOAD_PART_, PART_, STORE_PART_, STORE_PART_) i = len; }
            for (; i + LANES <= n; i += LANES) SPREAD_(F(load), WHOLE_, F(stream), F(store))
        }
    }
    for (; i + LANES <= n; i += LANES) SPREAD_(F(load), WHOLE_, F(store), F(store))
    if (i < n) {
        len = n - i;
        SPREAD_(LOAD_PART_, PART_, STORE_PART_, STORE_PART_)
    }
#undef SPREAD_
#undef LOAD_PART_
#undef STORE_PART_
}
#undef WHOLE_
#undef PART_
static void F(spread_run)(const T *dy, const T *x, const T *y, T *dx, T *dm, int64_t n, const T *mu, const T *k,
                          const T *k1, const T *k2, int masked, int stream)
{
    if (masked) F(spread)(dy, x, y, dx, dm, n, mu, k, k1, k2, 0, 1, stream);
    else F(spread)(dy, x, x, dx, dm, n, mu, k, k1, k2, 0, 0, stream);
}
static void F(spread_row)(const T *dy, const T *x, const T *y, T *dx, T *dm, int64_t n, const T *mu, const T *k,
                          const T *k1, const T *k2, int masked)
{
    if (masked) F(spread)(dy, x, y, dx, dm, n, mu, k, k1, k2, 1, 1, 0);
    else F(spread)(dy, x, x, dx, dm, n, mu, k, k1, k2, 1, 0, 0);
}

static void F(backward)(const mxl_call *call, int64_t begin, int64_t end)
{
    batch_norm_args own = *(const batch_norm_args *)call->args, *a = &own;
    if (!call->in[0].size) a->outer = 0;            /* an empty axis may also be an inner one */
    const T *dy = call->in[0].data, *x = call->in[1].data, *gamma = call->in[2].data;
    const T *mean = call->in[3].data, *inv_std = call->in[4].data, *y = a->masked ? call->in[5].data : x;
    const mxl_tensor *moving = call->in + 5 + (a->masked != 0);
    T *moving_mean = moving[0].data, *moving_var = moving[1].data;
    T *dx = call->out[0].data, *dgamma = call->out[1].data, *dbeta = call->out[2].data;
    T *dm = call->n_out > 3 ? call->out[3].data : 0;
    double count = (double)a->outer * (double)a->inner, keep = a->momentum;
    const int batch = norm_by_batch(call) && count > 0, runs = a->inner > 1, masked = a->masked != 0;
    const int stream = norm_long(a, sizeof(T)) && F(streams)(call, masked ? 6 : 2);
    int64_t width = norm_width((const batch_norm_args *)call->args, 0);
    for (int64_t u = begin; u < end; u++) {
        int64_t c = u * width, w = a->channels - c < width ? a->channels - c : width;
        if (!runs)
            for (; u + 1 < end && w + width <= NORM_WIDE && c + w < a->channels; u++)
                w = a->channels - c - w < width ? a->channels - c : w + width;
        double s[NORM_WIDE], q[NORM_WIDE];
        T mu[NORM_WIDE], k[NORM_WIDE], k1[NORM_WIDE], k2[NORM_WIDE];
        for (int64_t j = 0; j < w; j++) {
            mu[j] = batch ? mean[c + j] : moving_mean[c + j];
            k[j] = batch ? inv_std[c + j] : (T)(1 / sqrt((double)moving_var[c + j] + a->eps));
        }
        if (!runs) F(column_sums)(a, dy, x, y, c, w, mu, s, q);
        else if (masked) F(run_sums)(a, dy, x, y, c, w, mu, s, q, 1);
        else F(run_sums)(a, dy, x, x, c, w, mu, s, q, 0);
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
        if (!dx && !dm) continue;
        for (int64_t o = a->outer - 1; o >= 0; o--) {       /* what was read last is still in the cache */
            int64_t at = (o * a->channels + c) * a->inner;
            if (!runs) {
                F(spread_row)(dy + at, x + at, y + at, dx ? dx + at : 0, dm ? dm + at : 0, w, mu, k, k1, k2, masked);
                continue;
            }
            for (int64_t j = 0; j < w; j++, at += a->inner)
                F(spread_run)(dy + at, x + at, y + at, dx ? dx + at : 0, dm ? dm + at : 0, a->inner, mu + j, k + j,
                              k1 + j, k2 + j, masked, stream);
        }
    }
    if (stream) stream_done();
}
