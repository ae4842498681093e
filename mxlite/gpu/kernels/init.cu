// Arrays made from numbers. Defined from outside: TYPE.
#include "common.cuh"
typedef TYPE T;

// `n` units of 16 bytes, then `tail` elements: 16 bytes of whatever dtype repeat in `low` and `high`.
KERNEL fill(T *y, int64_t n, int64_t tail, uint64_t low, uint64_t high)
{
    const ulonglong2 v = make_ulonglong2(low, high);
    for (int64_t i = THREAD; i < n; i += THREADS) ((ulonglong2 *)y)[i] = v;
    const int64_t done = n * (16 / sizeof(T));
    for (int64_t i = THREAD; i < tail; i += THREADS) y[done + i] = ((const T *)&low)[i % (8 / sizeof(T))];
}

// The product is rounded on its own, as on the CPU: no fused multiply-add.
template <class U> struct ranged {
    FN U of(int64_t k, double start, double step)
    {
        return (U)((uint64_t)to_i64(start) + (uint64_t)k * (uint64_t)to_i64(step));
    }
};
template <> struct ranged<float> {
    FN float of(int64_t k, double start, double step)
    {
        return __fadd_rn(__fmul_rn((float)k, (float)step), (float)start);
    }
};
template <> struct ranged<double> {
    FN double of(int64_t k, double start, double step) { return __dadd_rn(__dmul_rn((double)k, step), start); }
};
template <> struct ranged<__half> {
    FN __half of(int64_t k, double start, double step)
    {
        const float product = __half2float(__float2half_rn(__fmul_rn((float)k, (float)step)));
        return __float2half_rn(__fadd_rn(product, (float)start));
    }
};
template <> struct ranged<__nv_bfloat16> {
    FN __nv_bfloat16 of(int64_t k, double start, double step)
    {
        return __float2bfloat16_rn(__fadd_rn(__fmul_rn((float)k, (float)step), (float)start));
    }
};
KERNEL arange(T *y, int64_t n, double start, double step, int64_t repeat)
{
    const int64_t i = THREAD;
    if (i < n) y[i] = ranged<T>::of(repeat == 1 ? i : i / repeat, start, step);
}

KERNEL linspace(T *y, int64_t n, double start, double stop, double step, int endpoint)
{
    const int64_t i = THREAD;
    if (i >= n) return;
    const double v = endpoint && i > 0 && i == n - 1 ? stop : __dadd_rn(start, __dmul_rn((double)i, step));
    y[i] = is_float<T>::value || sizeof(T) == 8 ? put<T>(v) : put<T>(to_i64(v));
}

KERNEL eye(T *y, int64_t n, int64_t columns, int64_t k)
{
    const int64_t i = THREAD;
    if (i < n) y[i] = put<T>((float)(i % columns - i / columns == k));
}
