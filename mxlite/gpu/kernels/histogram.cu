// Counts of elements between edges. A bin holds its left edge and not its right one, the last bin both.
#include "common.cuh"

typedef TYPE T;
typedef computing<T>::type C;
typedef unsigned long long Count;
enum { THREADS_ = 256, FEW = 2048 };            // FEW: bins that a block counts in shared memory

// Evenly spaced in double, converted last; and no counts.
KERNEL edges(T *y, int64_t *counts, double low, double high, double step, int64_t bins)
{
    for (int64_t i = THREAD; i <= bins; i += THREADS) {
        y[i] = put<T>(i == bins ? high : __dadd_rn(low, __dmul_rn((double)i, step)));
        if (i < bins) counts[i] = 0;
    }
}

// The bin of v, or -1: NaN is nowhere.
FN int64_t bin_of(C v, const T *edge, int64_t bins)
{
    if (!(v >= get<C>(edge[0]) && v <= get<C>(edge[bins]))) return -1;
    int64_t low = 0, high = bins + 1;           // edge[low] <= v < edge[high]
    while (high - low > 1) {
        const int64_t middle = (low + high) / 2;
        if (get<C>(edge[middle]) <= v) low = middle;
        else high = middle;
    }
    return low < bins ? low : bins - 1;
}

KERNEL __launch_bounds__(256, 1) count(const T *x, const T *edge, Count *counts, int64_t n, int64_t bins)
{
    __shared__ unsigned few[FEW];
    if (bins > FEW) {
        for (int64_t i = THREAD; i < n; i += THREADS) {
            const int64_t at = bin_of(get<C>(x[i]), edge, bins);
            if (at >= 0) atomicAdd(counts + at, (Count)1);
        }
        return;
    }
    for (int i = threadIdx.x; i < bins; i += THREADS_) few[i] = 0;
    __syncthreads();
    for (int64_t i = THREAD; i < n; i += THREADS) {
        const int64_t at = bin_of(get<C>(x[i]), edge, bins);
        if (at >= 0) atomicAdd(few + at, 1u);
    }
    __syncthreads();
    for (int i = threadIdx.x; i < bins; i += THREADS_)
        if (few[i]) atomicAdd(counts + i, (Count)few[i]);
}
