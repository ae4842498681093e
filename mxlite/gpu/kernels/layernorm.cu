/* Layer normalization along contiguous rows (see softmax_rows.cuh). gamma and beta: one number an element, or one a row
 * (`groups` > 0: row r has number r % groups). */
#include "softmax_rows.cuh"

typedef pick_wide<PER, A>::type Wide;

/* Mean and 1 / deviation of a row, in two passes; x is kept. */
FN void row_moments(const T *x, int64_t n, A *kept, double eps, A &mean, A &deviation)
{
    const Wide count = (Wide)(n > 0 ? n : 1);
    Wide s = 0;
    row_load(x, n, kept);
    row_each(x, n, kept, [&](int64_t, A &v) { s += v; });
    mean = (A)(row_sum(s) / count);
    s = 0;
    row_each(x, n, kept, [&](int64_t, A &v) { s += (v - mean) * (v - mean); });
    deviation = sqrt_((A)(row_sum(s) / count + (Wide)eps));
}

extern "C" __global__ void __launch_bounds__(ROW_BLOCK, 1)
forward(const T *x, const T *gamma, const T *beta, T *y, T *mean, T *std, int64_t rows, int64_t n, int64_t groups,
        double eps)
{
    const int64_t r = row_number();
    if (r >= rows) return;
    A kept[KEPT], mu, deviation;
    x += r * n;
    row_moments(x, n, kept, eps, mu, deviation);
    if (row_lane() == 0) {
        if (mean) mean[r] = down(mu);
        if (std) std[r] = down(deviation);
    }
    if (!y) return;
    const A k = 1 / deviation;
    if (groups) {
        const A g = k * up(gamma[r % groups]), b = up(beta[r % groups]);
        row_map(x, y + r * n, n, kept, [&](int64_t, A v) { return (v - mu) * g + b; });
    } else row_map(x, y + r * n, n, kept, [&](int64_t i, A v) { return (v - mu) * k * up(gamma[i]) + up(beta[i]); });
}

/* `rest` gets two numbers a row: mean and 1 / deviation; with `groups` the row's part of dgamma and of dbeta. */
extern "C" __global__ void __launch_bounds__(ROW_BLOCK, 1)
backward(const T *dy, const T *x, const T *gamma, T *dx, A *rest, int64_t rows, int64_t n, int64_t groups, double eps)
{
    const int64_t r = row_number();
    if (r >= rows) return;
    A kept[KEPT], d[KEPT], mu, deviation;
    x += r * n;
    dy += r * n;
    row_moments(x, n, kept, eps, mu, deviation);
    const A k = 1 / deviation;
    row_load(dy, n, d);
    Wide s = 0, q = 0;
    row_each(dy, x, n, d, kept, [&](int64_t i, A g, A v) {
        if (!groups) g *= up(gamma[i]);
        s += g;
        q += g * (v - mu);
    });
    s = row_sum(s);
    q = row_sum(q);
    if (row_lane() == 0) {
        rest[2 * r] = groups ? (A)(q * k) : mu;
        rest[2 * r + 1] = groups ? (A)s : k;
    }
    if (!dx) return;
    const Wide count = (Wide)(n > 0 ? n : 1);
    const A scale = groups ? k * up(gamma[r % groups]) : k, k1 = (A)(s / count), k2 = (A)(q * k * k / count);
    row_map(dy, x, dx + r * n, n, d, kept, [&](int64_t i, A g, A v) {
        if (!groups) g *= up(gamma[i]);
        return scale * (g - k1 - (v - mu) * k2);
    });
}
