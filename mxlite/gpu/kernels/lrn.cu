/* Local response normalization of (outer, channels, inner): y = x * norm^-beta, norm = knorm + alpha * (sum of x^2 over
 * the channels within `reach`). knorm is above and alpha not below zero. A thread an element. */
#include "softmax_math.cuh"

struct Lrn { int64_t size, channels, inner, reach; double alpha, beta, knorm; };

FN A norm_at(const Lrn &a, const T *x, int64_t i, int64_t c)
{
    const int64_t from = c < a.reach ? 0 : c - a.reach;
    const int64_t to = a.channels - c <= a.reach ? a.channels - 1 : c + a.reach;
    A s = 0;
    for (int64_t k = from; k <= to; k++) { const A v = up(x[i + (k - c) * a.inner]); s += v * v; }
    return (A)a.knorm + (A)a.alpha * s;
}
FN A power_of(const Lrn &a, A norm)
{
    if (a.beta != 0.75) return exp_(-(A)a.beta * log_(norm));
    const A r = 1 / sqrt_(norm);
    return r * sqrt_(r);
}

KERNEL forward(const T *x, T *y, const Lrn a)
{
    for (int64_t i = THREAD; i < a.size; i += THREADS)
        y[i] = down(up(x[i]) * power_of(a, norm_at(a, x, i, i / a.inner % a.channels)));
}

/* Of every element norm^-beta and dy * x * norm^(-beta - 1). */
KERNEL terms(const T *dy, const T *x, A *powers, A *each, const Lrn a)
{
    for (int64_t i = THREAD; i < a.size; i += THREADS) {
        const A norm = norm_at(a, x, i, i / a.inner % a.channels), power = power_of(a, norm);
        powers[i] = power;
        each[i] = up(dy[i]) * up(x[i]) * power / norm;
    }
}

/* dx may lie on dy. */
KERNEL backward(const T *dy, const T *x, T *dx, const A *powers, const A *each, const Lrn a)
{
    const A k = (A)(2 * a.alpha * a.beta);
    for (int64_t i = THREAD; i < a.size; i += THREADS) {
        const int64_t c = i / a.inner % a.channels, from = c < a.reach ? 0 : c - a.reach;
        const int64_t to = a.channels - c <= a.reach ? a.channels - 1 : c + a.reach;
        A s = 0;
        for (int64_t m = from; m <= to; m++) s += each[i + (m - c) * a.inner];
        dx[i] = down(up(dy[i]) * powers[i] - k * up(x[i]) * s);
    }
}
