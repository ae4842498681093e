/* Softmax and its relatives along contiguous rows: see softmax_rows.cuh for LANES, PER and VEC. */
#include "softmax_rows.cuh"
#include "softmax_label.cuh"

/* How many of a row's k elements count. */
FN int64_t row_length(const void *length, int wide, int64_t r, int64_t k)
{
    if (!length) return k;
    const int64_t n = wide ? ((const int64_t *)length)[r] : ((const int32_t *)length)[r];
    return n < 0 ? 0 : n > k ? k : n;
}

/* The largest scaled element, and exponentials in `kept` where elements are kept; returns their sum. */
FN A row_exponentials(const T *x, int64_t n, A scale, A *kept, A *largest)
{
    A m = -INF, s = 0;
    row_load(x, n, kept);
    row_each(x, n, kept, [&](int64_t, A &v) { v *= scale; m = v > m ? v : m; });
    m = row_max(m);
    row_each(x, n, kept, [&](int64_t, A &v) { v = exp_(PER ? v - m : v * scale - m); s += v; });
    *largest = m;
    return row_sum(s);
}

extern "C" __global__ void __launch_bounds__(ROW_BLOCK, 1)
softmax(const T *x, T *y, const void *length, int64_t rows, int64_t k, A scale, int wide)
{
    const int64_t r = row_number();
    if (r >= rows) return;
    A kept[KEPT], m;
    x += r * k;
    y += r * k;
    const int64_t n = row_length(length, wide, r, k);
    const A f = 1 / row_exponentials(x, n, scale, kept, &m);
    row_map(x, y, n, kept, [&](int64_t, A v) { return (PER ? v : exp_(v * scale - m)) * f; });
    for (int64_t i = n + row_lane(); i < k; i += LANES) y[i] = down((A)0);
}

extern "C" __global__ void __launch_bounds__(ROW_BLOCK, 1)
log_softmax(const T *x, T *y, int64_t rows, int64_t k, A scale)
{
    const int64_t r = row_number();
    if (r >= rows) return;
    A kept[KEPT], m = -INF, s = 0;
    x += r * k;
    row_load(x, k, kept);
    row_each(x, k, kept, [&](int64_t, A &v) { v *= scale; m = v > m ? v : m; });
    m = row_max(m);
    row_each(x, k, kept, [&](int64_t, A &v) { s += exp_(PER ? v - m : v * scale - m); });
    const A l = log_(row_sum(s));
    row_map(x, y + r * k, k, kept, [&](int64_t, A v) { return (PER ? v : v * scale) - m - l; });
}

/* Of the softmax, or with LOG of its logarithm, whose value is y. */
template <int LOG> FN void backward_row(const T *dy, const T *y, T *dx, int64_t rows, int64_t k, A scale)
{
    const int64_t r = row_number();
    if (r >= rows) return;
    A d[KEPT], p[KEPT], t = 0;
    dy += r * k;
    y += r * k;
    row_load(dy, k, d);
    row_load(y, k, p);
    if (LOG) row_each(dy, k, d, [&](int64_t, A g) { t += g; });
    else row_each(dy, y, k, d, p, [&](int64_t, A g, A v) { t += g * v; });
    t = row_sum(t);
    row_map(dy, y, dx + r * k, k, d, p,
            [&](int64_t, A g, A v) { return LOG ? scale * (g - exp_(v) * t) : scale * v * (g - t); });
}

extern "C" __global__ void __launch_bounds__(ROW_BLOCK, 1)
softmax_backward(const T *dy, const T *y, T *dx, int64_t rows, int64_t k, A scale)
{
    backward_row<0>(dy, y, dx, rows, k, scale);
}

extern "C" __global__ void __launch_bounds__(ROW_BLOCK, 1)
log_softmax_backward(const T *dy, const T *y, T *dx, int64_t rows, int64_t k, A scale)
{
    backward_row<1>(dy, y, dx, rows, k, scale);
}

/* Each row's -log(softmax[label]), at most -log(1e-8); 0 where the label is no class. */
extern "C" __global__ void __launch_bounds__(ROW_BLOCK, 1)
cross_entropy(const T *x, const T *label, A *loss, int64_t rows, int64_t k)
{
    const int64_t r = row_number();
    if (r >= rows) return;
    A kept[KEPT], m, most = (A)18.420680743952367;
    x += r * k;
    const int64_t hot = class_of(up(label[r]), k);
    const A l = log_(row_exponentials(x, k, (A)1, kept, &m));
    if (row_lane()) return;
    const A v = hot < 0 ? (A)0 : m + l - up(x[hot]);
    loss[r] = v > most ? most : v;
}

extern "C" __global__ void __launch_bounds__(ROW_BLOCK, 1)
cross_entropy_backward(const T *dy, const T *x, const T *label, T *dx, int64_t rows, int64_t k)
{
    const int64_t r = row_number();
    if (r >= rows) return;
    A kept[KEPT], m;
    x += r * k;
    dx += r * k;
    const int64_t hot = class_of(up(label[r]), k);
    const A scale = up(*dy), f = 1 / row_exponentials(x, k, (A)1, kept, &m);
    row_map(x, dx, k, kept, [&](int64_t i, A v) {
        v = (PER ? v : exp_(v - m)) * f;
        return hot < 0 ? (A)0 : (v - (i == hot ? (A)1 : (A)0)) * scale;
    });
}
