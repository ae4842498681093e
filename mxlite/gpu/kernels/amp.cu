// Looks at many arrays of TYPE at once: are all finite, sums of squares. A block takes CHUNK elements of one array.
#include "common.cuh"

typedef computing<TYPE>::type C;
enum { LANES = 256, VECTORS = 8, VEC = 16 / sizeof(TYPE), CHUNK = LANES * VEC * VECTORS };
struct Part { const TYPE *x; int64_t size, first; };        // first: of the blocks that take it
struct Parts { Part p[MOST]; };

FN int part_of(const Parts &all, int parts)
{
    int low = 0, high = parts - 1;
    while (low < high) {
        const int middle = (low + high + 1) / 2;
        if (all.p[middle].first <= (int64_t)blockIdx.x) low = middle;
        else high = middle - 1;
    }
    return low;
}

// f(element) of the CHUNK elements of this block that there are.
template <class F> FN void each(const Part &a, F f)
{
    const int64_t begin = ((int64_t)blockIdx.x - a.first) * CHUNK;
    const int64_t end = begin + CHUNK < a.size ? begin + CHUNK : a.size;
    int64_t i = begin + (int64_t)threadIdx.x * VEC;
    if (((uintptr_t)a.x & 15) == 0) {
        for (; i + VEC <= end; i += LANES * VEC) {
            const pack<TYPE, VEC> p = *(const pack<TYPE, VEC> *)(a.x + i);
            #pragma unroll
            for (int j = 0; j < VEC; j++) f(get<C>(p.v[j]));
        }
    }
    for (; i < end; i += LANES * VEC)
        for (int j = 0; j < VEC && i + j < end; j++) f(get<C>(a.x[i + j]));
}

KERNEL begin(float *out)
{
    out[0] = 1;
}

// Whoever meets a number that is not finite writes the same 0.
KERNEL __launch_bounds__(256, 1) all_finite(const __grid_constant__ Parts all, int parts, float *out)
{
    bool finite = true;
    each(all.p[part_of(all, parts)], [&](C v) { finite = finite && v - v == 0; });
    if (!finite) out[0] = 0;
}

KERNEL __launch_bounds__(256, 1) sum_sq(const __grid_constant__ Parts all, int parts, double *sums)
{
    __shared__ double warps[LANES / 32];
    C own = 0;
    each(all.p[part_of(all, parts)], [&](C v) { own += v * v; });
    const double sum = warp_sum((double)own);
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        double total = 0;
        for (int k = 0; k < LANES / 32; k++) total += warps[k];
        sums[blockIdx.x] = total;
    }
}

// The sums of one array's blocks, in an order of their own; a block of 32 threads an array.
KERNEL finish(const __grid_constant__ Parts all, const double *sums, float *out)
{
    const Part &a = all.p[blockIdx.x];
    const int64_t blocks = (a.size + CHUNK - 1) / CHUNK;
    double total = 0;
    for (int64_t i = threadIdx.x; i < blocks; i += 32) total += sums[a.first + i];
    total = warp_sum(total);
    if (threadIdx.x == 0) out[blockIdx.x] = (float)total;
}
