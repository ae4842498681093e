/* The gradient of batch normalization: sums of parts of a channel, their joint, and dx. */
#include "norm_channel.cuh"

/* dy where the forward's result y was positive (where relu let it through); NaN stays. */
FN A gate(A dy, A y) { return y > 0 ? dy : y != y ? y : (A)0; }

/* The sums of dy and of dy * (x - mean) of one part of a channel; see moments_runs. */
KERNEL __launch_bounds__(256, 1) sums_runs(const T *dy, const T *x, const T *y, const A *mean, A *to, int64_t channels,
                                        int64_t inner, int64_t count, int parts)
{
    const int64_t c = blockIdx.x / parts, part = blockIdx.x % parts, units = count / VEC;
    const int64_t first = units * part / parts, last = units * (part + 1) / parts;
    const A mu = mean[c];
    A s = 0, q = 0;
    #pragma unroll 2
    for (int64_t u = first + threadIdx.x; u < last; u += 256) {
        const int64_t at = run_place(u * VEC, c, channels, inner);
        A d[VEC], v[VEC], f[VEC];
        load(dy + at, VEC, d);
        load(x + at, VEC, v);
        if (y) load(y + at, VEC, f);
        #pragma unroll
        for (int e = 0; e < VEC; e++) {
            const A g = y ? gate(d[e], f[e]) : d[e];
            s += g;
            q += g * (v[e] - mu);
        }
    }
    __shared__ A part_of[8][2];
    s = warp_sum(s);
    q = warp_sum(q);
    if (threadIdx.x % 32 == 0) { part_of[threadIdx.x / 32][0] = s; part_of[threadIdx.x / 32][1] = q; }
    __syncthreads();
    if (threadIdx.x) return;
    for (int w = 1; w < 8; w++) { s += part_of[w][0]; q += part_of[w][1]; }
    to += 2 * (c * parts + part);
    to[0] = s, to[1] = q;
}

/* The same of a (count, channels) matrix: block (32, 8) takes 32 channels. */
KERNEL __launch_bounds__(256, 1) sums_columns(const T *dy, const T *x, const T *y, const A *mean, A *to,
                                              int64_t channels, int64_t count, int parts)
{
    const int64_t c = (int64_t)blockIdx.x / parts * 32 + threadIdx.x, part = blockIdx.x % parts;
    const int64_t first = count * part / parts, last = c < channels ? count * (part + 1) / parts : 0;
    const A mu = c < channels ? mean[c] : (A)0;
    A s = 0, q = 0;
    #pragma unroll 4
    for (int64_t r = first + threadIdx.y; r < last; r += 8) {
        const int64_t at = r * channels + c;
        const A d = up(dy[at]), g = y ? gate(d, up(y[at])) : d;
        s += g;
        q += g * (up(x[at]) - mu);
    }
    __shared__ A part_of[2][8][32];
    part_of[0][threadIdx.y][threadIdx.x] = s;
    part_of[1][threadIdx.y][threadIdx.x] = q;
    __syncthreads();
    if (threadIdx.y || c >= channels) return;
    for (int w = 1; w < 8; w++) { s += part_of[0][w][threadIdx.x]; q += part_of[1][w][threadIdx.x]; }
    to += 2 * (c * parts + part);
    to[0] = s, to[1] = q;
}

struct Finish {
    const A *parts_of, *gamma, *mean, *inv_std;
    A *moving_mean, *moving_var, *dgamma, *dbeta, *fold;
    int64_t channels, count;
    int parts, fix_gamma, batch;
    double eps, keep;
};

/* A warp a channel: joins its sums in double; moves the moving statistics where those of the `batch` count. */
KERNEL finish(const Finish a)
{
    const int64_t c = THREAD / 32;
    if (c >= a.channels) return;
    double s = 0, q = 0;
    for (int p = threadIdx.x % 32; p < a.parts; p += 32) {
        s += a.parts_of[2 * (c * a.parts + p)];
        q += a.parts_of[2 * (c * a.parts + p) + 1];
    }
    s = warp_sum(s);
    q = warp_sum(q);
    if (threadIdx.x % 32) return;
    const A mu = a.batch ? a.mean[c] : a.moving_mean[c];
    const A r = a.batch ? a.inv_std[c] : (A)(1 / sqrt((double)a.moving_var[c] + a.eps));
    a.fold[4 * c] = mu;
    a.fold[4 * c + 1] = a.fix_gamma ? r : r * a.gamma[c];
    a.fold[4 * c + 2] = a.batch ? (A)(s / (double)a.count) : (A)0;
    a.fold[4 * c + 3] = a.batch ? (A)(q * r * r / (double)a.count) : (A)0;
    if (a.dgamma) a.dgamma[c] = a.fix_gamma ? (A)0 : (A)(q * r);
    if (a.dbeta) a.dbeta[c] = (A)s;
    if (!a.batch) return;
    a.moving_mean[c] = (A)(a.moving_mean[c] * a.keep + (double)mu * (1 - a.keep));
    a.moving_var[c] = (A)(a.moving_var[c] * a.keep + (1 / ((double)r * r) - a.eps) * (1 - a.keep));
}

/* dx = k * (g - k1 - (x - mean) * k2), where g is dy, masked by y, and goes to dm. */
KERNEL __launch_bounds__(256, 1) apply(const T *dy, const T *x, const T *y, T *dx, T *dm, const A *fold, int64_t size,
                                    int64_t channels, int64_t inner)
{
    for (INDEX at = (INDEX)THREAD * VEC; at < (INDEX)size; at += (INDEX)THREADS * VEC) {
        const int n = (INDEX)size - at < VEC ? (int)((INDEX)size - at) : VEC;
        A g[VEC], v[VEC], f[VEC], mu, k, k1, k2;
        load(dy + at, n, g);
        load(x + at, n, v);
        if (y) load(y + at, n, f);
        channels_of(at, (INDEX)channels, (INDEX)inner, [&](int e, INDEX c, bool other) {
            if (other) {
                mu = fold[4 * c];
                k = fold[4 * c + 1];
                k1 = fold[4 * c + 2];
                k2 = fold[4 * c + 3];
            }
            if (y) g[e] = gate(g[e], f[e]);
            v[e] = k * (g[e] - k1 - (v[e] - mu) * k2);
        });
        if (dm) store(dm + at, n, g);
        if (dx) store(dx + at, n, v);
    }
}

/* The same of a (rows, channels) matrix; see norm.cu. */
KERNEL __launch_bounds__(256, 1) apply_columns(const T *dy, const T *x, const T *y, T *dx, T *dm, const A *fold,
                                            int64_t rows, int64_t channels)
{
    const int64_t c = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) * VEC;
    if (c >= channels) return;
    A mu[VEC], k[VEC], k1[VEC], k2[VEC];
    #pragma unroll
    for (int e = 0; e < VEC; e++) {
        mu[e] = fold[4 * (c + e)];
        k[e] = fold[4 * (c + e) + 1];
        k1[e] = fold[4 * (c + e) + 2];
        k2[e] = fold[4 * (c + e) + 3];
    }
    for (int64_t row = (int64_t)blockIdx.y * blockDim.y + threadIdx.y; row < rows;
         row += (int64_t)gridDim.y * blockDim.y) {
        const int64_t at = row * channels + c;
        A g[VEC], v[VEC], f[VEC];
        load(dy + at, VEC, g);
        load(x + at, VEC, v);
        if (y) load(y + at, VEC, f);
        #pragma unroll
        for (int e = 0; e < VEC; e++) {
            if (y) g[e] = gate(g[e], f[e]);
            v[e] = k[e] * (g[e] - k1[e] - (v[e] - mu[e]) * k2[e]);
        }
        if (dm) store(dm + at, VEC, g);
        if (dx) store(dx + at, VEC, v);
    }
}
