/* Gradients of gamma and beta: parts first, then their sums in one order. */
#include "softmax_math.cuh"

/* dy * (x - mean) * r and dy of a (rows, n) matrix, where `rest` has mean and r of every row; block (32, 8). */
KERNEL __launch_bounds__(256, 1) parts_of_matrix(const T *dy, const T *x, const A *rest, A *to, int64_t rows, int64_t n,
                                              int parts)
{
    const int64_t c = (int64_t)blockIdx.x / parts * 32 + threadIdx.x, part = blockIdx.x % parts;
    const int64_t first = rows * part / parts, last = c < n ? rows * (part + 1) / parts : 0;
    A s = 0, q = 0;
    #pragma unroll 4
    for (int64_t r = first + threadIdx.y; r < last; r += 8) {
        const A d = up(dy[r * n + c]);
        s += d;
        q += d * ((up(x[r * n + c]) - rest[2 * r]) * rest[2 * r + 1]);
    }
    __shared__ A part_of[2][8][32];
    part_of[0][threadIdx.y][threadIdx.x] = q;
    part_of[1][threadIdx.y][threadIdx.x] = s;
    __syncthreads();
    if (threadIdx.y || c >= n) return;
    for (int w = 1; w < 8; w++) { q += part_of[0][w][threadIdx.x]; s += part_of[1][w][threadIdx.x]; }
    to += 2 * (part * n + c);
    to[0] = q, to[1] = s;
}

/* The same of (outer, k, inner), where `rest` has mean and r of every column; a block a part of one number. */
KERNEL __launch_bounds__(256, 1) parts_of_columns(const T *dy, const T *x, const A *rest, A *to, int64_t outer,
                                                  int64_t k, int64_t inner, int parts)
{
    const int64_t g = (int64_t)blockIdx.x / parts, part = blockIdx.x % parts, count = outer * inner;
    const int64_t first = count * part / parts, last = count * (part + 1) / parts;
    A s = 0, q = 0;
    for (int64_t c = first + threadIdx.x; c < last; c += 256) {
        const int64_t o = c / inner, at = (o * k + g) * inner + (c - o * inner);
        const A d = up(dy[at]);
        s += d;
        q += d * ((up(x[at]) - rest[2 * c]) * rest[2 * c + 1]);
    }
    __shared__ A part_of[2][8];
    s = warp_sum(s);
    q = warp_sum(q);
    if (threadIdx.x % 32 == 0) { part_of[0][threadIdx.x / 32] = q; part_of[1][threadIdx.x / 32] = s; }
    __syncthreads();
    if (threadIdx.x) return;
    for (int w = 1; w < 8; w++) { q += part_of[0][w]; s += part_of[1][w]; }
    to += 2 * (part * k + g);
    to[0] = q, to[1] = s;
}

/* A warp a number: `parts` of it lie 2 * n apart. */
KERNEL collect(const A *from, T *dgamma, T *dbeta, int64_t n, int64_t parts)
{
    const int64_t g = THREAD / 32;
    if (g >= n) return;
    double q = 0, s = 0;
    for (int64_t p = threadIdx.x % 32; p < parts; p += 32) {
        q += from[2 * (p * n + g)];
        s += from[2 * (p * n + g) + 1];
    }
    q = warp_sum(q);
    s = warp_sum(s);
    if (threadIdx.x % 32) return;
    if (dgamma) dgamma[g] = down((A)q);
    if (dbeta) dbeta[g] = down((A)s);
}
