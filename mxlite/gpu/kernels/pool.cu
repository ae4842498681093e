/* Pooling forward: a thread an output, or, where windows are large and outputs few, a warp an output. */
#include "pool_window.cuh"

FN void put_result(const Best &best, T *y, CODE *codes, int64_t at)
{
    if (y) y[at] = best.at < 0 ? (T)LOWEST : down(best.value);
    if (codes) codes[at] = (CODE)best.at;
}

KERNEL __launch_bounds__(256, 1) forward(const T *x, T *y, CODE *codes, const Pool g, int64_t size)
{
    for (int64_t i = THREAD; i < size; i += THREADS) {
        INDEX plane, o[3], z0, z1, y0, y1, x0, x1;
        split(g, (INDEX)i, g.dst, plane, o);
        const Plane p = plane_at(g, plane, g.src);
        const T *from = x + p.first;
        inside(g, 0, o[0], z0, z1);
        inside(g, 1, o[1], y0, y1);
        inside(g, 2, o[2], x0, x1);
        const INDEX kw = (INDEX)g.kernel[2], kh = (INDEX)g.kernel[1];
        const INDEX left = o[2] * (INDEX)g.stride[2] - (INDEX)g.pad[2];
        const INDEX top = o[1] * (INDEX)g.stride[1] - (INDEX)g.pad[1];
        Best best;
        best.value = 0;
        best.at = -1;
        A sum = 0;
        for (INDEX a = z0; a < z1; a++) for (INDEX b = y0; b < y1; b++) {
            const int64_t row = ((int64_t)a * g.src[1] + b) * g.src[2];
            const INDEX code = ((a - o[0] * (INDEX)g.stride[0] + (INDEX)g.pad[0]) * kh + b - top) * kw - left;
            for (INDEX w = x0; w < x1; w++) {
                const A v = up(from[(row + w) * p.step]);
                if (KIND == POOL_MAX) best.offer(v, code + w);
                else sum += KIND == POOL_LP ? powered(v, g.p_value) : v;
            }
        }
        if (KIND == POOL_MAX) put_result(best, y, codes, i);
        else y[i] = down(finished(g, sum, o));
    }
}

KERNEL __launch_bounds__(256, 1) forward_warp(const T *x, T *y, CODE *codes, const Pool g, int64_t size)
{
    const int64_t i = THREAD / 32;
    if (i >= size) return;
    INDEX plane, o[3], lo[3], hi[3];
    split(g, (INDEX)i, g.dst, plane, o);
    const Plane p = plane_at(g, plane, g.src);
    const T *from = x + p.first;
    for (int k = 0; k < 3; k++) inside(g, k, o[k], lo[k], hi[k]);
    const INDEX rows = greater(hi[1] - lo[1], 0), wide = greater(hi[2] - lo[2], 0);
    const INDEX count = greater(hi[0] - lo[0], 0) * rows * wide;
    Best best;
    best.value = 0;
    best.at = -1;
    A sum = 0;
    for (INDEX e = threadIdx.x % 32; e < count; e += 32) {
        const INDEX row = e / wide, w = lo[2] + e - row * wide, deep = row / rows, b = lo[1] + row - deep * rows;
        const INDEX a = lo[0] + deep;
        const A v = up(from[(((int64_t)a * g.src[1] + b) * g.src[2] + w) * p.step]);
        if (KIND == POOL_MAX) best.offer(v, code_of(g, o, a, b, w));
        else sum += KIND == POOL_LP ? powered(v, g.p_value) : v;
    }
    if (KIND == POOL_MAX) {
        for (int m = 16; m; m >>= 1) {
            const A v = __shfl_xor_sync(0xffffffffu, best.value, m);
            const INDEX code = __shfl_xor_sync(0xffffffffu, best.at, m);
            best.join(v, code);
        }
    } else sum = warp_sum(sum);
    if (threadIdx.x % 32) return;
    if (KIND == POOL_MAX) put_result(best, y, codes, i);
    else y[i] = down(finished(g, sum, o));
}
