/* Batch normalization of (outer, channels, inner): moments of parts of a channel, their joint, and y = act(x * k + b +
 * z). inner 1 is also what an image with its channels last looks like. Parameters and statistics are of the computing
 * type. */
#include "norm_channel.cuh"

/* Count, mean and sum of squared deviations (Chan, Golub and LeVeque, 1979): no cancellation. */
template <class R> struct Moments {
    R n, mean, m2;
    FN Moments zero() { Moments m; m.n = m.mean = m.m2 = 0; return m; }
    __device__ __forceinline__ void join(R count, R its_mean, R its_m2)
    {
        if (!(count > 0)) return;
        const R all = n + count, share = count / all, d = its_mean - mean;
        m2 += its_m2 + d * d * n * share;
        mean += d * share;
        n = all;
    }
    __device__ __forceinline__ void join_lanes()
    {
        for (int m = 16; m; m >>= 1) {
            const R a = __shfl_xor_sync(0xffffffffu, n, m), b = __shfl_xor_sync(0xffffffffu, mean, m);
            const R c = __shfl_xor_sync(0xffffffffu, m2, m);
            join(a, b, c);
        }
    }
};

/* COUNT elements of which `valid` says that they are there. */
template <int COUNT> FN void take(Moments<A> &m, const A *v, const bool *valid)
{
    A n = 0, s = 0, q = 0;
    #pragma unroll
    for (int i = 0; i < COUNT; i++) if (valid[i]) { n += 1; s += v[i]; }
    if (n == 0) return;
    s /= n;
    #pragma unroll
    for (int i = 0; i < COUNT; i++) if (valid[i]) q += (v[i] - s) * (v[i] - s);
    m.join(n, s, q);
}

/* Part `blockIdx.x % parts` of channel `blockIdx.x / parts`, whose elements lie in runs of `inner`. */
KERNEL __launch_bounds__(256, 1) moments_runs(const T *x, A *to, int64_t channels, int64_t inner, int64_t count,
                                              int parts)
{
    const int64_t c = blockIdx.x / parts, part = blockIdx.x % parts, units = count / VEC;
    const int64_t first = units * part / parts, last = units * (part + 1) / parts;
    enum { STEPS = VEC < 8 ? 8 / VEC : 1 };
    Moments<A> m = Moments<A>::zero();
    for (int64_t u = first + threadIdx.x; u < last; u += 256 * STEPS) {
        A v[STEPS * VEC];
        bool valid[STEPS * VEC];
        #pragma unroll
        for (int k = 0; k < STEPS; k++) {
            const bool there = u + k * 256 < last;
            Pack w;
            if (there) w = *(const Pack *)(x + run_place((u + k * 256) * VEC, c, channels, inner));
            #pragma unroll
            for (int e = 0; e < VEC; e++) { v[k * VEC + e] = there ? up(w.v[e]) : (A)0; valid[k * VEC + e] = there; }
        }
        take<STEPS * VEC>(m, v, valid);
    }
    __shared__ A part_of[8][3];
    m.join_lanes();
    const int warp = threadIdx.x / 32;
    if (threadIdx.x % 32 == 0) { part_of[warp][0] = m.n; part_of[warp][1] = m.mean; part_of[warp][2] = m.m2; }
    __syncthreads();
    if (threadIdx.x) return;
    for (int w = 1; w < 8; w++) m.join(part_of[w][0], part_of[w][1], part_of[w][2]);
    to += 3 * (c * parts + part);
    to[0] = m.n, to[1] = m.mean, to[2] = m.m2;
}

/* The same of a (count, channels) matrix: block (32, 8) takes 32 channels. */
KERNEL __launch_bounds__(256, 1) moments_columns(const T *x, A *to, int64_t channels, int64_t count, int parts)
{
    const int64_t c = (int64_t)blockIdx.x / parts * 32 + threadIdx.x, part = blockIdx.x % parts;
    const int64_t first = count * part / parts, last = c < channels ? count * (part + 1) / parts : 0;
    Moments<A> m = Moments<A>::zero();
    for (int64_t r = first + threadIdx.y; r < last; r += 64) {
        A v[8];
        bool valid[8];
        #pragma unroll
        for (int k = 0; k < 8; k++) {
            valid[k] = r + k * 8 < last;
            v[k] = valid[k] ? up(x[(r + k * 8) * channels + c]) : (A)0;
        }
        take<8>(m, v, valid);
    }
    __shared__ A part_of[3][8][32];
    part_of[0][threadIdx.y][threadIdx.x] = m.n;
    part_of[1][threadIdx.y][threadIdx.x] = m.mean;
    part_of[2][threadIdx.y][threadIdx.x] = m.m2;
    __syncthreads();
    if (threadIdx.y || c >= channels) return;
    for (int w = 1; w < 8; w++)
        m.join(part_of[0][w][threadIdx.x], part_of[1][w][threadIdx.x], part_of[2][w][threadIdx.x]);
    to += 3 * (c * parts + part);
    to[0] = m.n, to[1] = m.mean, to[2] = m.m2;
}

/* A warp a channel: joins its parts in double; `fold` gets mean, scale and shift. */
KERNEL finish(const A *parts_of, const A *gamma, const A *beta, A *mean, A *inv_std, A *fold, int64_t channels,
              int parts, int fix_gamma, double eps)
{
    const int64_t c = THREAD / 32;
    if (c >= channels) return;
    Moments<double> m = Moments<double>::zero();
    for (int p = threadIdx.x % 32; p < parts; p += 32) {
        const A *from = parts_of + 3 * (c * parts + p);
        m.join(from[0], from[1], from[2]);
    }
    m.join_lanes();
    if (threadIdx.x % 32) return;
    const double var = m.n > 0 && !(m.m2 < 0) ? m.m2 / m.n : 0;
    const A r = (A)(1 / sqrt(var + eps)), mu = (A)m.mean;
    fold[3 * c] = mu;
    fold[3 * c + 1] = fix_gamma ? r : r * gamma[c];
    fold[3 * c + 2] = beta[c];
    if (mean) mean[c] = mu;
    if (inv_std) inv_std[c] = r;
}

struct Apply {
    const T *x, *z;
    T *y;
    const A *gamma, *beta, *moving_mean, *moving_var, *fold;
    A *mean, *inv_std;
    int64_t size, channels, inner;
    int fix_gamma, act;
    double eps, lo, hi;
};

/* y = act((x - mean) * k + b + z), by `fold` or else by the moving statistics, which then become the outputs. */
KERNEL __launch_bounds__(256, 1) apply(const Apply a)
{
    const A eps = (A)a.eps, lo = a.act == 2 ? (A)a.lo : (A)0, hi = a.act == 2 ? (A)a.hi : INF;
    if (!a.fold) for (int64_t c = THREAD; c < a.channels; c += THREADS) {
        if (a.mean) a.mean[c] = a.moving_mean[c];
        if (a.inv_std) a.inv_std[c] = 1 / sqrt_(a.moving_var[c] + eps);
    }
    if (!a.y) return;
    for (INDEX at = (INDEX)THREAD * VEC; at < (INDEX)a.size; at += (INDEX)THREADS * VEC) {
        const int n = (INDEX)a.size - at < VEC ? (int)((INDEX)a.size - at) : VEC;
        A v[VEC], z[VEC], mu, k, b;
        load(a.x + at, n, v);
        if (a.z) load(a.z + at, n, z);
        channels_of(at, (INDEX)a.channels, (INDEX)a.inner, [&](int e, INDEX c, bool other) {
            if (other && a.fold) {
                mu = a.fold[3 * c];
                k = a.fold[3 * c + 1];
                b = a.fold[3 * c + 2];
            } else if (other) {
                mu = a.moving_mean[c];
                k = 1 / sqrt_(a.moving_var[c] + eps);
                if (!a.fix_gamma) k *= a.gamma[c];
                b = a.beta[c];
            }
            v[e] = (v[e] - mu) * k + b;
            if (a.z) v[e] += z[e];
            if (a.act) v[e] = v[e] < lo ? lo : v[e] > hi ? hi : v[e];
        });
        store(a.y + at, n, v);
    }
}

/* The same of a (rows, channels) matrix: a thread keeps VEC channels' numbers in registers and walks down rows. */
KERNEL __launch_bounds__(256, 1) apply_columns(const Apply a)
{
    const A eps = (A)a.eps, lo = a.act == 2 ? (A)a.lo : (A)0, hi = a.act == 2 ? (A)a.hi : INF;
    const int64_t c = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) * VEC, rows = a.size / a.channels;
    if (c >= a.channels) return;
    A mu[VEC], k[VEC], b[VEC];
    #pragma unroll
    for (int e = 0; e < VEC; e++) {
        if (a.fold) {
            mu[e] = a.fold[3 * (c + e)];
            k[e] = a.fold[3 * (c + e) + 1];
            b[e] = a.fold[3 * (c + e) + 2];
            continue;
        }
        const A r = 1 / sqrt_(a.moving_var[c + e] + eps);
        mu[e] = a.moving_mean[c + e];
        k[e] = a.fix_gamma ? r : r * a.gamma[c + e];
        b[e] = a.beta[c + e];
        if (blockIdx.y || threadIdx.y) continue;
        if (a.mean) a.mean[c + e] = mu[e];
        if (a.inv_std) a.inv_std[c + e] = r;
    }
    for (int64_t row = (int64_t)blockIdx.y * blockDim.y + threadIdx.y; row < rows;
         row += (int64_t)gridDim.y * blockDim.y) {
        const int64_t at = row * a.channels + c;
        A v[VEC], z[VEC];
        load(a.x + at, VEC, v);
        if (a.z) load(a.z + at, VEC, z);
        #pragma unroll
        for (int e = 0; e < VEC; e++) {
            v[e] = (v[e] - mu[e]) * k[e] + b[e];
            if (a.z) v[e] += z[e];
            if (a.act) v[e] = v[e] < lo ? lo : v[e] > hi ? hi : v[e];
        }
        store(a.y + at, VEC, v);
    }
}
