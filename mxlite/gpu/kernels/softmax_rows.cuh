/* Rows of `n` contiguous elements, LANES threads to a row (a warp, or a whole block). With PER a thread keeps its
 * elements, PER packs of VEC, in registers, so that the row is read once; with PER 0 (rows too long for that) every
 * pass reads it anew. */
#pragma once
#include "softmax_math.cuh"

#define ROW_BLOCK (LANES > 32 ? LANES : 128)
#define ROWS (ROW_BLOCK / LANES)                  /* rows of a block */
#define KEPT (PER ? PER * VEC : 1)

typedef pack<T, VEC> Pack;

FN int row_lane() { return threadIdx.x % LANES; }
FN int64_t row_number() { return (int64_t)blockIdx.x * ROWS + threadIdx.x / LANES; }

/* Every thread of the row gets the result; always in one order. */
template <class R, class F> FN R row_join(R v, R none, F join)
{
    for (int m = 16; m; m >>= 1) v = join(v, __shfl_xor_sync(0xffffffffu, v, m));
    if (LANES > 32) {
        __shared__ R part[32];
        __syncthreads();
        if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = v;
        __syncthreads();
        v = (int)(threadIdx.x % 32) < LANES / 32 ? part[threadIdx.x % 32] : none;
        for (int m = 16; m; m >>= 1) v = join(v, __shfl_xor_sync(0xffffffffu, v, m));
    }
    return v;
}
template <class R> FN R row_sum(R v) { return row_join(v, (R)0, [](R a, R b) { return a + b; }); }
FN A row_max(A v) { return row_join(v, -INF, [](A a, A b) { return a > b ? a : b; }); }

/* The row's elements of this thread come into `kept`. */
FN void row_load(const T *x, int64_t n, A *kept)
{
    #pragma unroll
    for (int p = 0; p < PER; p++) {
        const int64_t at = ((int64_t)p * LANES + row_lane()) * VEC;
        if (at >= n) continue;
        const Pack u = *(const Pack *)(x + at);
        #pragma unroll
        for (int e = 0; e < VEC; e++) kept[p * VEC + e] = up(u.v[e]);
    }
}

/* f(place, value) for each of them; a kept value may be changed. */
template <class F> FN void row_each(const T *x, int64_t n, A *kept, F f)
{
    #pragma unroll
    for (int p = 0; p < PER; p++) {
        const int64_t at = ((int64_t)p * LANES + row_lane()) * VEC;
        if (at >= n) continue;
        #pragma unroll
        for (int e = 0; e < VEC; e++) f(at + e, kept[p * VEC + e]);
    }
    if (PER) return;
    for (int64_t at = (int64_t)row_lane() * VEC; at < n; at += LANES * VEC) {
        const Pack u = *(const Pack *)(x + at);
        #pragma unroll
        for (int e = 0; e < VEC; e++) { A v = up(u.v[e]); f(at + e, v); }
    }
}

/* The same for two rows side by side. */
template <class F> FN void row_each(const T *x, const T *z, int64_t n, A *kept, A *kept_z, F f)
{
    #pragma unroll
    for (int p = 0; p < PER; p++) {
        const int64_t at = ((int64_t)p * LANES + row_lane()) * VEC;
        if (at >= n) continue;
        #pragma unroll
        for (int e = 0; e < VEC; e++) f(at + e, kept[p * VEC + e], kept_z[p * VEC + e]);
    }
    if (PER) return;
    for (int64_t at = (int64_t)row_lane() * VEC; at < n; at += LANES * VEC) {
        const Pack u = *(const Pack *)(x + at), w = *(const Pack *)(z + at);
        #pragma unroll
        for (int e = 0; e < VEC; e++) f(at + e, up(u.v[e]), up(w.v[e]));
    }
}

/* y = f(place, value), a pack at a time; y may be x. */
template <class F> FN void row_map(const T *x, T *y, int64_t n, A *kept, F f)
{
    for (int64_t at = (int64_t)row_lane() * VEC, p = 0; !PER && at < n; at += LANES * VEC, p++) {
        const Pack u = *(const Pack *)(x + at);
        Pack w;
        #pragma unroll
        for (int e = 0; e < VEC; e++) w.v[e] = down(f(at + e, up(u.v[e])));
        *(Pack *)(y + at) = w;
    }
    #pragma unroll
    for (int p = 0; p < PER; p++) {
        const int64_t at = ((int64_t)p * LANES + row_lane()) * VEC;
        if (at >= n) continue;
        Pack w;
        #pragma unroll
        for (int e = 0; e < VEC; e++) w.v[e] = down(f(at + e, kept[p * VEC + e]));
        *(Pack *)(y + at) = w;
    }
}

template <class F> FN void row_map(const T *x, const T *z, T *y, int64_t n, A *kept, A *kept_z, F f)
{
    for (int64_t at = (int64_t)row_lane() * VEC, p = 0; !PER && at < n; at += LANES * VEC, p++) {
        const Pack u = *(const Pack *)(x + at), v = *(const Pack *)(z + at);
        Pack w;
        #pragma unroll
        for (int e = 0; e < VEC; e++) w.v[e] = down(f(at + e, up(u.v[e]), up(v.v[e])));
        *(Pack *)(y + at) = w;
    }
    #pragma unroll
    for (int p = 0; p < PER; p++) {
        const int64_t at = ((int64_t)p * LANES + row_lane()) * VEC;
        if (at >= n) continue;
        Pack w;
        #pragma unroll
        for (int e = 0; e < VEC; e++) w.v[e] = down(f(at + e, kept[p * VEC + e], kept_z[p * VEC + e]));
        *(Pack *)(y + at) = w;
    }
}
