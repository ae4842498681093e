/* L2 normalization along contiguous rows: see softmax_rows.cuh. */
#include "softmax_rows.cuh"

typedef pick_wide<PER, A>::type Wide;

extern "C" __global__ void __launch_bounds__(ROW_BLOCK, 1)
forward(const T *x, T *y, int64_t rows, int64_t n, double eps)
{
    const int64_t r = row_number();
    if (r >= rows) return;
    A kept[KEPT];
    Wide q = 0;
    x += r * n;
    row_load(x, n, kept);
    row_each(x, n, kept, [&](int64_t, A &v) { q += (Wide)v * v; });
    const A k = 1 / sqrt_((A)(row_sum(q) + (Wide)eps));
    row_map(x, y + r * n, n, kept, [&](int64_t, A v) { return v * k; });
}

/* dx = dy / norm - x * sum(dy * x) / norm^3 */
extern "C" __global__ void __launch_bounds__(ROW_BLOCK, 1)
backward(const T *dy, const T *x, T *dx, int64_t rows, int64_t n, double eps)
{
    const int64_t r = row_number();
    if (r >= rows) return;
    A kept[KEPT], d[KEPT];
    Wide q = 0, s = 0;
    x += r * n;
    dy += r * n;
    row_load(x, n, kept);
    row_load(dy, n, d);
    row_each(dy, x, n, d, kept, [&](int64_t, A g, A v) {
        q += (Wide)v * v;
        s += (Wide)g * v;
    });
    const A square = (A)(row_sum(q) + (Wide)eps), k = 1 / sqrt_(square), pull = (A)row_sum(s) * k / square;
    row_map(dy, x, dx + r * n, n, d, kept, [&](int64_t, A g, A v) { return g * k - v * pull; });
}
