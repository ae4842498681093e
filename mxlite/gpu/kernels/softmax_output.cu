/* The gradient that SoftmaxOutput declares, and sums of losses. */
#include "softmax_label.cuh"

struct Output {
    int64_t size, k, inner, labels, ignored, valid, use_ignore, probability, parts;
    double scale, low, high;
};

/* Labels other than `ignored`, counted a block at a time. */
extern "C" __global__ void count_valid(const T *label, int *parts, int64_t n, int64_t ignored)
{
    __shared__ int part[8];
    int c = 0;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (int64_t)gridDim.x * blockDim.x)
        c += whole(up(label[i])) != ignored;
    for (int m = 16; m; m >>= 1) c += __shfl_xor_sync(0xffffffffu, c, m);
    if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = c;
    __syncthreads();
    if (threadIdx.x) return;
    for (int i = 1; i < 8; i++) c += part[i];
    parts[blockIdx.x] = c;
}

extern "C" __global__ void softmax_output_backward(const T *y, const T *label, const T *dy, T *dx, const int *parts,
                                                   const Output a)
{
    __shared__ A shared_scale;
    if (threadIdx.x == 0) {
        double s = a.scale;
        if (a.valid) {
            int64_t count = 0;
            for (int64_t i = 0; i < a.parts; i++) count += parts[i];
            s /= (double)(count ? count : 1);
        }
        shared_scale = (A)s;
    }
    __syncthreads();
    const A scale = shared_scale, low = (A)a.low, high = (A)a.high;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < a.size; i += (int64_t)gridDim.x * blockDim.x) {
        A v = up(y[i]);
        if (a.probability) {
            v = (v - up(label[i])) * scale;
        } else {
            const int64_t row = i / a.inner, o = row / a.k, c = row - o * a.k;
            const A l = up(label[o * a.inner + (i - row * a.inner)]);
            if (a.use_ignore && whole(l) == a.ignored) {
                dx[i] = down((A)0);
                continue;
            }
            v = (v - (class_of(l, a.k) == c ? high : low)) * scale;
        }
        dx[i] = down(dy ? v * up(dy[i]) : v);
    }
}

/* The sum of n losses by one block, in one order. */
extern "C" __global__ void total(const A *loss, T *y, int64_t n)
{
    __shared__ double part[256];
    double s = 0;
    for (int64_t i = threadIdx.x; i < n; i += 256) s += loss[i];
    part[threadIdx.x] = s;
    for (int m = 128; m; m >>= 1) {
        __syncthreads();
        if ((int)threadIdx.x < m) part[threadIdx.x] += part[threadIdx.x + m];
    }
    if (threadIdx.x == 0) *y = down((A)part[0]);
}
