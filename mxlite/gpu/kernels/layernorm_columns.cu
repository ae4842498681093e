/* Layer normalization along the middle axis of (outer, k, inner), inner > 1; gamma and beta have k numbers. */
#include "softmax_columns.cuh"

FN void column_moments(const T *x, int64_t n, int64_t inner, int64_t k, double eps, A &mean, A &deviation)
{
    A s = 0;
    const A count = (A)(k > 0 ? k : 1);
    for (int64_t i = threadIdx.y; i < n; i += Y) s += up(x[i * inner]);
    mean = column_sum(s) / count;
    s = 0;
    for (int64_t i = threadIdx.y; i < n; i += Y) { const A v = up(x[i * inner]) - mean; s += v * v; }
    deviation = sqrt_(column_sum(s) / count + (A)eps);
}

KERNEL forward(const T *x, const T *gamma, const T *beta, T *y, T *mean, T *std, int64_t columns, int64_t k,
               int64_t inner, double eps)
{
    COLUMN(k)
    const int64_t n = inside ? k : 0;
    A mu, deviation;
    column_moments(x + first, n, inner, k, eps, mu, deviation);
    if (inside && threadIdx.y == 0) {
        if (mean) mean[column] = down(mu);
        if (std) std[column] = down(deviation);
    }
    if (!y) return;
    const A r = 1 / deviation;
    for (int64_t i = threadIdx.y; i < n; i += Y)
        y[first + i * inner] = down((up(x[first + i * inner]) - mu) * r * up(gamma[i]) + up(beta[i]));
}

/* `rest` gets each column's mean and 1 / deviation. */
KERNEL backward(const T *dy, const T *x, const T *gamma, T *dx, A *rest, int64_t columns, int64_t k, int64_t inner,
                double eps)
{
    COLUMN(k)
    const int64_t n = inside ? k : 0;
    A mu, deviation, s = 0, q = 0;
    column_moments(x + first, n, inner, k, eps, mu, deviation);
    const A r = 1 / deviation;
    if (inside && threadIdx.y == 0) {
        rest[2 * column] = mu;
        rest[2 * column + 1] = r;
    }
    if (!dx) return;
    for (int64_t i = threadIdx.y; i < n; i += Y) {
        const A g = up(dy[first + i * inner]) * up(gamma[i]);
        s += g;
        q += g * (up(x[first + i * inner]) - mu);
    }
    s = column_sum(s);
    q = column_sum(q);
    const A k1 = s / (A)k, k2 = q * r * r / (A)k;
    for (int64_t i = threadIdx.y; i < n; i += Y) {
        const A g = up(dy[first + i * inner]) * up(gamma[i]);
        dx[first + i * inner] = down(r * (g - k1 - (up(x[first + i * inner]) - mu) * k2));
    }
}
