// Running sums along the middle axis of (outer, n, inner), in the result's type. Defined from outside: FROM and TYPE.
#include "common.cuh"
typedef FROM X;
typedef TYPE Y;
typedef computing<Y>::type C;       // integers add in 64 bits and are cut after: the same as wrapping on the way

template <class T, class F> struct converted { FN C of(F v) { return get<C>(v); } };
template <> struct converted<int64_t, float> { FN int64_t of(float v) { return to_i64(v); } };
template <> struct converted<int64_t, double> { FN int64_t of(double v) { return to_i64(v); } };
template <> struct converted<int32_t, float> { FN int64_t of(float v) { return to_i32(v); } };
template <> struct converted<int32_t, double> { FN int64_t of(double v) { return to_i32(v); } };

// One thread a column, in order: the CPU's sums to the last bit.
KERNEL columns(const X *x, Y *y, int64_t outer, int64_t n, int64_t inner, int reverse)
{
    const int64_t id = THREAD;
    if (id >= outer * inner) return;
    const int64_t step = reverse ? -inner : inner;
    int64_t at = id / inner * n * inner + id % inner + (reverse ? (n - 1) * inner : 0);
    C sum = 0;
    for (int64_t k = 0; k < n; k++, at += step) {
        const C v = converted<Y, X>::of(x[at]);
        sum = k ? sum + v : v;
        y[at] = put<Y>(sum);
    }
}

// One block a row (inner is 1), a tile at a time: sums of warps, then of what came before.
KERNEL rows(const X *x, Y *y, int64_t n, int reverse)
{
    __shared__ C ends[8];
    const int64_t base = blockIdx.x * n;
    const int lane = threadIdx.x % 32, w = threadIdx.x / 32;
    C carried = 0;
    for (int64_t from = 0; from < n; from += 256) {
        const int64_t k = from + threadIdx.x, at = base + (reverse ? n - 1 - k : k);
        C s = k < n ? converted<Y, X>::of(x[at]) : (C)0;
        for (int d = 1; d < 32; d <<= 1) {
            const C t = __shfl_up_sync(0xffffffffu, s, d);
            if (lane >= d) s += t;
        }
        __syncthreads();
        if (lane == 31) ends[w] = s;
        __syncthreads();
        C before = carried;
        for (int j = 0; j < 8; j++) {
            if (j < w) before += ends[j];
            carried += ends[j];
        }
        if (k < n) y[at] = put<Y>(before + s);
    }
}
