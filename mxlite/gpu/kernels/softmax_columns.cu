/* Softmax and its relatives along the middle axis of (outer, k, inner), inner > 1. */
#include "softmax_columns.cuh"

extern "C" __global__ void softmax(const T *x, T *y, const void *length, int64_t columns, int64_t k, int64_t inner,
                                   A scale, int wide, int logarithm)
{
    COLUMN(k)
    int64_t n = inside ? k : 0;
    if (inside && length) {
        n = wide ? ((const int64_t *)length)[column] : ((const int32_t *)length)[column];
        n = n < 0 ? 0 : n > k ? k : n;
    }
    A m = -INF, s = 0;
    for (int64_t i = threadIdx.y; i < n; i += Y) { A v = up(x[first + i * inner]) * scale; m = v > m ? v : m; }
    m = column_max(m);
    for (int64_t i = threadIdx.y; i < n; i += Y) s += exp_(up(x[first + i * inner]) * scale - m);
    s = column_sum(s);
    s = logarithm ? log_(s) : 1 / s;
    for (int64_t i = threadIdx.y; i < n; i += Y) {
        const A v = up(x[first + i * inner]) * scale - m;
        y[first + i * inner] = down(logarithm ? v - s : exp_(v) * s);
    }
    if (inside && length) for (int64_t i = threadIdx.y; i < k; i += Y) if (i >= n) y[first + i * inner] = down((A)0);
}

extern "C" __global__ void softmax_backward(const T *dy, const T *y, T *dx, int64_t columns, int64_t k, int64_t inner,
                                            A scale, int logarithm)
{
    COLUMN(k)
    const int64_t n = inside ? k : 0;
    A t = 0;
    for (int64_t i = threadIdx.y; i < n; i += Y) {
        const A d = up(dy[first + i * inner]);
        t += logarithm ? d : d * up(y[first + i * inner]);
    }
    t = column_sum(t);
    for (int64_t i = threadIdx.y; i < n; i += Y) {
        const A d = up(dy[first + i * inner]), v = up(y[first + i * inner]);
        dx[first + i * inner] = down(logarithm ? scale * (d - exp_(v) * t) : scale * v * (d - t));
    }
}
