/* L2 normalization along the middle axis of (outer, k, inner), inner > 1. */
#include "softmax_columns.cuh"

KERNEL forward(const T *x, T *y, int64_t columns, int64_t k, int64_t inner, double eps)
{
    COLUMN(k)
    const int64_t n = inside ? k : 0;
    A q = 0;
    for (int64_t i = threadIdx.y; i < n; i += Y) { const A v = up(x[first + i * inner]); q += v * v; }
    const A r = 1 / sqrt_(column_sum(q) + (A)eps);
    for (int64_t i = threadIdx.y; i < n; i += Y) y[first + i * inner] = down(up(x[first + i * inner]) * r);
}

KERNEL backward(const T *dy, const T *x, T *dx, int64_t columns, int64_t k, int64_t inner, double eps)
{
    COLUMN(k)
    const int64_t n = inside ? k : 0;
    A q = 0, s = 0;
    for (int64_t i = threadIdx.y; i < n; i += Y) {
        const A v = up(x[first + i * inner]);
        q += v * v;
        s += v * up(dy[first + i * inner]);
    }
    const A square = column_sum(q) + (A)eps, r = 1 / sqrt_(square), pull = column_sum(s) * r / square;
    for (int64_t i = threadIdx.y; i < n; i += Y)
        dx[first + i * inner] = down(up(dy[first + i * inner]) * r - up(x[first + i * inner]) * pull);
}
