/* Local response normalization for one floating type T: y = x * norm^-beta, norm = knorm + alpha * (sum of x^2 over the
 * window of channels). knorm is above and alpha not below zero. */
#include "rowvec.h"

/* norm of channel c and, in power, norm^-beta, of w columns; x is the tile's channel 0. */
INLINE void F(lrn_norm)(const lrn_args *a, const T *x, int64_t c, int64_t w, T *norm, T *power)
{
    int64_t from = c < a->reach ? 0 : c - a->reach;
    int64_t to = a->channels - c <= a->reach ? a->channels : c + a->reach + 1;
    const T *p = x + from * a->inner, *q;
    if ((to - from) % 2) {
        for (int64_t j = 0; j < w; j++) norm[j] = p[j] * p[j];
        p += a->inner;
    } else for (int64_t j = 0; j < w; j++) norm[j] = 0;
    for (int64_t i = (to - from) / 2; i > 0; i--, p = q + a->inner) {
        q = p + a->inner;
        INDEPENDENT
        for (int64_t j = 0; j < w; j++) norm[j] += p[j] * p[j] + q[j] * q[j];
    }
    T alpha = (T)a->alpha, knorm = (T)a->knorm, beta = (T)a->beta;
    for (int64_t j = 0; j < w; j++) norm[j] = knorm + alpha * norm[j];
    if (a->beta == 0.75)
        for (int64_t j = 0; j < w; j++) { T r = 1 / F(sqrt)(norm[j]); power[j] = r * F(sqrt)(r); }
    else
        for (int64_t j = 0; j < w; j++) power[j] = F(exp)(-beta * F(log)(norm[j]));
}

static void F(lrn_forward)(const mxl_call *call, int64_t begin, int64_t end)
{
    const lrn_args *a = call->args;
    int64_t tiles = lrn_tiles(a), width = lrn_width(a);
    T norm[256], power[256];
    for (int64_t u = begin; u < end; u++) {
        int64_t at = u % tiles * width, w = a->inner - at < width ? a->inner - at : width;
        at += u / tiles * a->channels * a->inner;
        const T *x = (const T *)call->in[0].data + at;
        T *y = (T *)call->out[0].data + at;
        for (int64_t c = 0; c < a->channels; c++) {
            const T *p = x + c * a->inner;
            T *q = y + c * a->inner;
            F(lrn_norm)(a, x, c, w, norm, power);
            INDEPENDENT
            for (int64_t j = 0; j < w; j++) q[j] = p[j] * power[j];
        }
    }
}

/* in = dy, data; dx may lie on dy. With the sum over channels c whose window j is in, which are those of j's own:
 * dx_j = dy_j norm_j^-beta - 2 alpha beta x_j * sum of dy_c x_c norm_c^(-beta - 1). */
static void F(lrn_backward)(const mxl_call *call, int64_t begin, int64_t end)
{
    const lrn_args *a = call->args;
    int64_t tiles = lrn_tiles(a), width = lrn_width(a), h = a->reach, n = 2 * h + 1;
    T norm[256], sum[256], terms[LRN_RING], powers[LRN_RING], k = (T)(2 * a->alpha * a->beta);
    for (int64_t u = begin; u < end; u++) {
        int64_t at = u % tiles * width, w = a->inner - at < width ? a->inner - at : width;
        at += u / tiles * a->channels * a->inner;
        const T *dy = (const T *)call->in[0].data + at, *x = (const T *)call->in[1].data + at;
        T *dx = (T *)call->out[0].data + at;
        for (int64_t c = 0; c < a->channels + h; c++) {
            if (c < a->channels) {
                const T *p = x + c * a->inner, *d = dy + c * a->inner;
                T *power = powers + c % n * width, *term = terms + c % n * width;
                F(lrn_norm)(a, x, c, w, norm, power);
                INDEPENDENT
                for (int64_t j = 0; j < w; j++) term[j] = d[j] * p[j] * power[j] / norm[j];
            }
            int64_t i = c - h;
            if (i < 0) continue;
            int64_t from = c - n + 1 < 0 ? 0 : c - n + 1, to = c < a->channels ? c : a->channels - 1;
            for (int64_t j = 0; j < w; j++) sum[j] = 0;
            for (int64_t m = from; m <= to; m++) {
                const T *term = terms + m % n * width;
                INDEPENDENT
                for (int64_t j = 0; j < w; j++) sum[j] += term[j];
            }
            const T *p = x + i * a->inner, *d = dy + i * a->inner, *power = powers + i % n * width;
            T *q = dx + i * a->inner;
            INDEPENDENT
            for (int64_t j = 0; j < w; j++) q[j] = d[j] * power[j] - k * p[j] * sum[j];
        }
    }
}
