// A stable sort of row numbers with the places they came from, four bits a pass: what lets gradients of lookups add the
// rows of a result in the order of the indices, without float atomics.
#ifndef MXL_INDEX_SORT_CUH
#define MXL_INDEX_SORT_CUH
#include "common.cuh"
enum { SORT_THREADS = 256, SORT_EACH = 4, SORT_TILE = SORT_THREADS * SORT_EACH, DIGITS = 16 };

// How many keys of each tile have each digit: counts[digit][tile].
KERNEL digits(const uint32_t *keys, uint32_t *counts, int64_t n, int shift)
{
    __shared__ int total[DIGITS];
    if (threadIdx.x < DIGITS) total[threadIdx.x] = 0;
    __syncthreads();
    for (int j = 0; j < SORT_EACH; j++) {
        const int64_t i = (int64_t)blockIdx.x * SORT_TILE + threadIdx.x * SORT_EACH + j;
        if (i < n) atomicAdd(&total[keys[i] >> shift & 15], 1);
    }
    __syncthreads();
    if (threadIdx.x < DIGITS) counts[(int64_t)threadIdx.x * gridDim.x + blockIdx.x] = total[threadIdx.x];
}

// The sum before each thread's value, over a block of SORT_THREADS; *total is that of all.
FN uint32_t before(uint32_t v, uint32_t *shared, uint32_t *total)
{
    const int lane = threadIdx.x % 32, w = threadIdx.x / 32;
    uint32_t s = v;
    for (int d = 1; d < 32; d <<= 1) {
        const uint32_t t = __shfl_up_sync(0xffffffffu, s, d);
        if (lane >= d) s += t;
    }
    __syncthreads();
    if (lane == 31) shared[w] = s;
    __syncthreads();
    uint32_t base = 0, sum = 0;
    for (int k = 0; k < SORT_THREADS / 32; k++) {
        if (k < w) base += shared[k];
        sum += shared[k];
    }
    *total = sum;
    return base + s - v;
}

// counts become where each tile's keys of each digit begin; one block.
KERNEL starts(uint32_t *counts, int64_t n)
{
    __shared__ uint32_t shared[SORT_THREADS / 32];
    uint32_t base = 0, total;
    for (int64_t from = 0; from < n; from += SORT_THREADS) {
        const int64_t i = from + threadIdx.x;
        const uint32_t s = before(i < n ? counts[i] : 0, shared, &total);
        if (i < n) counts[i] = base + s;
        base += total;
    }
}

KERNEL order(const uint32_t *keys, const uint32_t *places, uint32_t *keys_to, uint32_t *places_to,
             const uint32_t *counts, int64_t n, int shift)
{
    __shared__ uint32_t shared[SORT_THREADS / 32];
    const int64_t first = (int64_t)blockIdx.x * SORT_TILE + threadIdx.x * SORT_EACH;
    uint32_t key[SORT_EACH], total;
#pragma unroll
    for (int j = 0; j < SORT_EACH; j++) key[j] = first + j < n ? keys[first + j] : 0;
#pragma unroll 1
    for (int digit = 0; digit < DIGITS; digit++) {
        uint32_t mine = 0;
#pragma unroll
        for (int j = 0; j < SORT_EACH; j++) mine += first + j < n && (int)(key[j] >> shift & 15) == digit;
        uint32_t at = counts[(int64_t)digit * gridDim.x + blockIdx.x] + before(mine, shared, &total);
#pragma unroll
        for (int j = 0; j < SORT_EACH; j++)
            if (first + j < n && (int)(key[j] >> shift & 15) == digit) {
                keys_to[at] = key[j];
                places_to[at++] = places[first + j];
            }
    }
}
#endif
