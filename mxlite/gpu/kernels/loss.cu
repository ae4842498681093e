/* Layers that end a network with a declared gradient. The output may be the first input. */
#include "softmax_math.cuh"

KERNEL copy(const T *x, T *y, int64_t n) { for (int64_t i = THREAD; i < n; i += THREADS) y[i] = x[i]; }

KERNEL sigmoid(const T *x, T *y, int64_t n)
{
    for (int64_t i = THREAD; i < n; i += THREADS) {
        const A v = up(x[i]), e = exp_(v < 0 ? v : -v);
        y[i] = down((v >= 0 ? (A)1 : e) / (1 + e));
    }
}

KERNEL difference(const T *x, const T *label, T *y, int64_t n, double factor)
{
    for (int64_t i = THREAD; i < n; i += THREADS) y[i] = down((up(x[i]) - up(label[i])) * (A)factor);
}

KERNEL sign_difference(const T *x, const T *label, T *y, int64_t n, double factor)
{
    for (int64_t i = THREAD; i < n; i += THREADS)
        y[i] = down(up(x[i]) - up(label[i]) > 0 ? (A)factor : -(A)factor);
}

/* Elements above `least`, counted a block at a time. */
KERNEL count_above(const T *x, int64_t *parts, int64_t n, double least)
{
    __shared__ int64_t part[8];
    int64_t c = 0;
    for (int64_t i = THREAD; i < n; i += THREADS) c += up(x[i]) > (A)least;
    c = warp_sum(c);
    if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = c;
    __syncthreads();
    if (threadIdx.x) return;
    for (int i = 1; i < 8; i++) c += part[i];
    parts[blockIdx.x] = c;
}

/* `scale`, divided by the count where there is one. */
KERNEL fill(T *y, int64_t n, double scale, const int64_t *parts, int count)
{
    if (count) {
        int64_t c = 0;
        for (int i = 0; i < count; i++) c += parts[i];
        scale /= (double)(c ? c : 1);
    }
    const T v = down((A)scale);
    for (int64_t i = THREAD; i < n; i += THREADS) y[i] = v;
}
