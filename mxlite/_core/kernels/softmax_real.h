/* The softmax kernels for one floating type T. Every function may run with its output on top of an input. */
#include "rowvec.h"

/* Class index from data: -1 where it is no class. */
INLINE int64_t F(class_of)(T label, int64_t k)
{
    if (!(label > (T)-1 && label < (T)9e15)) return -1;     /* truncation takes (-1, 0) to class 0, as MXNet's does */
    int64_t i = (int64_t)label;
    return i < k ? i : -1;
}

INLINE int64_t F(whole)(T label)
{
    return label > (T)-9e15 && label < (T)9e15 ? (int64_t)label : INT64_MIN;
}

#if VECTOR_BYTES == 64 && defined(__AVX512F__)
#define EXP_LANES (sizeof(T) == 4)
/* exp_f of vmath.h for arguments that are not above 0, with this level's way to round and to scale. */
INLINE F(vec) F(exp_lanes)(F(vec) x)
{
    __m512 c = _mm512_max_ps(_mm512_set1_ps(-104.0f), (__m512)x);       /* NaN, the second, stays */
    __m512 n = _mm512_roundscale_ps(c * 1.44269504088896341f, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 r = c - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    __m512 p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return (F(vec))_mm512_scalef_ps(p * (r * r) + r + 1.0f, n);
}
#else
#define EXP_LANES 0
INLINE F(vec) F(exp_lanes)(F(vec) x) { return x; }
#endif

/* y = exp(x * scale - m), m the largest x * scale; returns the sum: chunks in T, those in double. */
INLINE T F(exponentials)(const T *x, T *y, int64_t n, T scale, T m)
{
    double s = 0;
    for (int64_t at = 0; at < n; at += SOFTMAX_CHUNK) {
        const int64_t len = n - at < SOFTMAX_CHUNK ? n - at : SOFTMAX_CHUNK;
        const T *p = x + at;
        T *q = y + at;
        if (!EXP_LANES) {
            INDEPENDENT
            for (int64_t i = 0; i < len; i++) q[i] = F(exp)(p[i] * scale - m);
            s += F(sum)(q, len);
            continue;
        }
        F(vec) a = {0}, b = {0};
        int64_t i = 0;
        for (; i + 2 * LANES <= len; i += 2 * LANES) {
            F(vec) u = F(exp_lanes)(F(load)(p + i) * scale - m), v = F(exp_lanes)(F(load)(p + i + LANES) * scale - m);
            F(store)(q + i, u);
            F(store)(q + i + LANES, v);
            a += u;
            b += v;
        }
        for (; i < len; i += LANES) {
            const int64_t w = len - i < LANES ? len - i : LANES;
            F(vec) none = {0}, u;
            if (w == LANES) F(store)(q + i, u = F(exp_lanes)(F(load)(p + i) * scale - m));
            else {
                F(store_part)(q + i, w, F(exp_lanes)(F(load_part)(p + i, w, none) * scale - m));
                u = F(load_part)(q + i, w, none);
            }
            a += u;
        }
        s += F(total)(a + b);
    }
    return (T)s;
}
#undef EXP_LANES

INLINE void F(row)(const T *x, T *y, int64_t n, T scale)
{
    T m = F(largest)(x, scale, n), r = 1 / F(exponentials)(x, y, n, scale, m);
    INDEPENDENT
    for (int64_t i = 0; i < n; i++) y[i] *= r;
}

/* log(sum(exp(x * scale))) of one row without storing anything: exponentials of one tile at a time. */
INLINE T F(log_sum)(const T *x, int64_t n, T scale, T *largest)
{
    T tile[256], m = F(largest)(x, scale, n), s = 0;
    for (int64_t i = 0; i < n; i += 256)
        s += F(exponentials)(x + i, tile, n - i < 256 ? n - i : 256, scale, m);
    *largest = m;
    return F(log)(s);
}

/* Blocks of columns of a (k, inner) matrix: x and y point at the first column, b <= COLUMNS of them. */
INLINE void F(column_sums)(const T *x, int64_t k, int64_t inner, int64_t b, T scale, T *m, T *s)
{
    for (int64_t j = 0; j < b; j++) { m[j] = x[j] * scale; s[j] = 0; }
    for (int64_t c = 1; c < k; c++)
        for (int64_t j = 0; j < b; j++) { T v = x[c * inner + j] * scale; m[j] = v > m[j] ? v : m[j]; }
    for (int64_t c = 0; c < k; c++)
        for (int64_t j = 0; j < b; j++) s[j] += F(exp)(x[c * inner + j] * scale - m[j]);
}

INLINE void F(columns)(const T *x, T *y, int64_t k, int64_t inner, int64_t b, T scale)
{
    T m[COLUMNS], s[COLUMNS];
    for (int64_t j = 0; j < b; j++) { m[j] = x[j] * scale; s[j] = 0; }
    for (int64_t c = 1; c < k; c++)
        for (int64_t j = 0; j < b; j++) { T v = x[c * inner + j] * scale; m[j] = v > m[j] ? v : m[j]; }
    for (int64_t c = 0; c < k; c++) {
        const T *p = x + c * inner;
        T *q = y + c * inner;
        INDEPENDENT
        for (int64_t j = 0; j < b; j++) { T e = F(exp)(p[j] * scale - m[j]); q[j] = e; s[j] += e; }
    }
    for (int64_t j = 0; j < b; j++) s[j] = 1 / s[j];
    for (int64_t c = 0; c < k; c++) {
        T *q = y + c * inner;
        INDEPENDENT
        for (int64_t j = 0; j < b; j++) q[j] *= s[j];
    }
}

/* A row of which only the first `n` elements count; stride `inner`. */
static void F(row_of_length)(const T *x, T *y, int64_t k, int64_t inner, int64_t n, T scale)
{
    n = n < 0 ? 0 : n > k ? k : n;
    T m = n ? x[0] * scale : 0, s = 0;
    for (int64_t i = 1; i < n; i++) m = x[i * inner] * scale > m ? x[i * inner] * scale : m;
    for (int64_t i = 0; i < n; i++) s += y[i * inner] = F(exp)(x[i * inner] * scale - m);
    for (int64_t i = 0; i < n; i++) y[i * inner] /= s;
    for (int64_t i = n; i < k; i++) y[i * inner] = 0;
}

static void F(softmax)(const mxl_call *c, int64_t begin, int64_t end)
{
    const softmax_args *a = c->args;
    const T *x = c->in[0].data;
    T *y = c->out[0].data, scale = (T)a->scale;
    if (c->n_in > 1) {
        const int32_t *len32 = c->in[1].data;
        const int64_t *len64 = c->in[1].data;
        int wide = c->in[1].dtype == MXL_I64;
        EACH_BLOCK(a, {
            for (int64_t j = 0; j < b; j++) {
                int64_t r = o * a->inner + j0 + j;
                F(row_of_length)(x + at + j, y + at + j, a->k, a->inner, wide ? len64[r] : len32[r], scale);
            }
        });
    } else if (a->inner == 1) {
        for (int64_t r = begin; r < end; r++) F(row)(x + r * a->k, y + r * a->k, a->k, scale);
    } else {
        EACH_BLOCK(a, F(columns)(x + at, y + at, a->k, a->inner, b, scale););
    }
}

static void F(log_softmax)(const mxl_call *c, int64_t begin, int64_t end)
{
    const softmax_args *a = c->args;
    const T *x = c->in[0].data;
    T *y = c->out[0].data, scale = (T)a->scale;
    if (a->inner == 1) {
        for (int64_t r = begin; r < end; r++) {
            const T *p = x + r * a->k;
            T *q = y + r * a->k, m, l = F(log_sum)(p, a->k, scale, &m);
            INDEPENDENT
            for (int64_t i = 0; i < a->k; i++) q[i] = p[i] * scale - m - l;
        }
        return;
    }
    EACH_BLOCK(a, {
        T m[COLUMNS], s[COLUMNS];
        F(column_sums)(x + at, a->k, a->inner, b, scale, m, s);
        for (int64_t j = 0; j < b; j++) s[j] = F(log)(s[j]);
        for (int64_t i = 0; i < a->k; i++) {
            const T *p = x + at + i * a->inner;
            T *q = y + at + i * a->inner;
            INDEPENDENT
            for (int64_t j = 0; j < b; j++) q[j] = p[j] * scale - m[j] - s[j];
        }
    });
}

static void F(softmax_backward)(const mxl_call *c, int64_t begin, int64_t end)
{
    const softmax_args *a = c->args;
    const T *dy = c->in[0].data, *y = c->in[1].data;
    T *dx = c->out[0].data, scale = (T)a->scale;
    if (a->inner == 1) {
        for (int64_t r = begin; r < end; r++) {
            const T *d = dy + r * a->k, *p = y + r * a->k;
            T *q = dx + r * a->k, t = F(dot)(d, p, a->k);
            INDEPENDENT
            for (int64_t i = 0; i < a->k; i++) q[i] = scale * p[i] * (d[i] - t);
        }
        return;
    }
    EACH_BLOCK(a, {
        T t[COLUMNS] = {0};
        for (int64_t i = 0; i < a->k; i++)
            for (int64_t j = 0; j < b; j++) t[j] += dy[at + i * a->inner + j] * y[at + i * a->inner + j];
        for (int64_t i = 0; i < a->k; i++) {
            const T *d = dy + at + i * a->inner;
            const T *p = y + at + i * a->inner;
            T *q = dx + at + i * a->inner;
            INDEPENDENT
            for (int64_t j = 0; j < b; j++) q[j] = scale * p[j] * (d[j] - t[j]);
        }
    });
}

static void F(log_softmax_backward)(const mxl_call *c, int64_t begin, int64_t end)
{
    const softmax_args *a = c->args;
    const T *dy = c->in[0].data, *y = c->in[1].data;
    T *dx = c->out[0].data, scale = (T)a->scale;
    if (a->inner == 1) {
        for (int64_t r = begin; r < end; r++) {
            const T *d = dy + r * a->k, *p = y + r * a->k;
            T *q = dx + r * a->k, t = F(sum)(d, a->k);
            INDEPENDENT
            for (int64_t i = 0; i < a->k; i++) q[i] = scale * (d[i] - F(exp)(p[i]) * t);
        }
        return;
    }
    EACH_BLOCK(a, {
        T t[COLUMNS] = {0};
        for (int64_t i = 0; i < a->k; i++)
            for (int64_t j = 0; j < b; j++) t[j] += dy[at + i * a->inner + j];
        for (int64_t i = 0; i < a->k; i++) {
            const T *d = dy + at + i * a->inner;
            const T *p = y + at + i * a->inner;
            T *q = dx + at + i * a->inner;
            INDEPENDENT
            for (int64_t j = 0; j < b; j++) q[j] = scale * (d[j] - F(exp)(p[j]) * t[j]);
        }
    });
}

/* SoftmaxOutput's declared gradient; units are rows of `k * inner` (the outer axis). */
static void F(softmax_output_backward)(const mxl_call *c, int64_t begin, int64_t end)
{
    const softmax_output_args *a = c->args;
    const T *y = c->in[0].data, *label = c->in[1].data, *dy = a->out_grad ? c->in[2].data : 0;
    T *dx = c->out[0].data;
    int64_t k = a->k, inner = a->inner, n = k * inner;
    double s = a->grad_scale;
    if (!a->probability) {
        if (a->valid) {
            int64_t count = 0, ignored = (int64_t)a->ignore_label;
            for (int64_t i = 0; i < c->in[1].size; i++) count += F(whole)(label[i]) != ignored;
            s /= (double)(count ? count : 1);
        } else {
            if (a->multi_output && inner) s /= (double)inner;
            if (a->by_batch && a->batch) s /= (double)a->batch;
        }
    }
    T scale = (T)s, low = k > 1 ? (T)(a->smooth_alpha / (double)(k - 1)) : 0, high = (T)(1 - a->smooth_alpha);
    for (int64_t o = begin; o < end; o++) {
        const T *p = y + o * n, *d = dy ? dy + o * n : 0;
        T *q = dx + o * n;
        if (a->probability) {
            const T *l = label + o * n;
            if (d) {
                INDEPENDENT
                for (int64_t i = 0; i < n; i++) q[i] = (p[i] - l[i]) * scale * d[i];
            } else {
                INDEPENDENT
                for (int64_t i = 0; i < n; i++) q[i] = (p[i] - l[i]) * scale;
            }
        } else if (inner == 1) {
            int64_t hot = F(class_of)(label[o], k);
            T at_hot = hot >= 0 ? (p[hot] - high) * scale : 0;
            if (a->use_ignore && F(whole)(label[o]) == (int64_t)a->ignore_label) {
                memset(q, 0, (size_t)n * sizeof(T));
                continue;
            }
            if (d && hot >= 0) at_hot *= d[hot];
            if (d) {
                INDEPENDENT
                for (int64_t i = 0; i < n; i++) q[i] = (p[i] - low) * scale * d[i];
            } else {
                INDEPENDENT
                for (int64_t i = 0; i < n; i++) q[i] = (p[i] - low) * scale;
            }
            if (hot >= 0) q[hot] = at_hot;
        } else {
            const T *l = label + o * inner;
            for (int64_t j0 = 0; j0 < inner; j0 += COLUMNS) {
                int64_t b = inner - j0 < COLUMNS ? inner - j0 : COLUMNS;
                I hot[COLUMNS];
                T factor[COLUMNS];
                for (int64_t j = 0; j < b; j++) {
                    int skip = a->use_ignore && F(whole)(l[j0 + j]) == (int64_t)a->ignore_label;
                    hot[j] = (I)F(class_of)(l[j0 + j], k);
                    factor[j] = skip ? 0 : scale;
                }
                for (int64_t i = 0; i < k; i++) {
                    const T *r = p + i * inner + j0;
                    T *g = q + i * inner + j0;
                    if (d) {
                        const T *h = d + i * inner + j0;
                        INDEPENDENT
                        for (int64_t j = 0; j < b; j++)
                            g[j] = (r[j] - (hot[j] == (I)i ? (T)1 : (T)0)) * factor[j] * h[j];
                    } else {
                        INDEPENDENT
                        for (int64_t j = 0; j < b; j++) g[j] = (r[j] - (hot[j] == (I)i ? (T)1 : (T)0)) * factor[j];
                    }
                }
            }
        }
    }
}

/* One range only: the sum over rows has one order. */
static void F(cross_entropy)(const mxl_call *c, int64_t begin, int64_t end)
{
    const softmax_args *a = c->args;
    const T *x = c->in[0].data, *label = c->in[1].data;
    double loss = 0, most = 18.420680743952367;         /* -log(1e-8) */
    for (int64_t r = begin; r < end; r++) {
        int64_t hot = F(class_of)(label[r], a->k);
        if (hot < 0) continue;
        T m, l = F(log_sum)(x + r * a->k, a->k, 1, &m), v = m + l - x[r * a->k + hot];
        loss += v > (T)most ? most : v;
    }
    *(T *)c->out[0].data = (T)loss;
}

static void F(cross_entropy_backward)(const mxl_call *c, int64_t begin, int64_t end)
{
    const softmax_args *a = c->args;
    const T *x = c->in[1].data, *label = c->in[2].data;
    T *dx = c->out[0].data, scale = *(const T *)c->in[0].data;
    for (int64_t r = begin; r < end; r++) {
        T *q = dx + r * a->k;
        int64_t hot = F(class_of)(label[r], a->k);
        if (hot < 0) {
            memset(q, 0, (size_t)a->k * sizeof(T));
            continue;
        }
        F(row)(x + r * a->k, q, a->k, 1);
        q[hot] -= 1;
        INDEPENDENT
        for (int64_t i = 0; i < a->k; i++) q[i] *= scale;
    }
}
