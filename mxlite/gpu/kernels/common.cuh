// What every module starts with: C's names where NVRTC has no headers, numbers of the project's dtypes, sums of a warp.
#ifndef MXL_COMMON_CUH
#define MXL_COMMON_CUH
#include <cuda_fp16.h>
#include <cuda_bf16.h>
#ifdef __CUDACC_RTC__
#pragma nv_diag_suppress 177        // headers have more functions than a module uses
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
typedef unsigned long long uintptr_t;
#define INT32_MAX 2147483647
#define INT32_MIN (-2147483647 - 1)
#define INT64_MAX 9223372036854775807LL
#define INT64_MIN (-9223372036854775807LL - 1)
#ifndef NAN
#define NAN __int_as_float(0x7fffffff)
#endif
#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#endif
#endif
#ifndef DYN_SHARED
#define DYN_SHARED(T, n) extern __shared__ __align__(16) unsigned char n##_[]; T *n = reinterpret_cast<T *>(n##_)
#endif
#define FN static __device__ __forceinline__
#define KERNEL extern "C" __global__ void
#define THREAD ((int64_t)blockIdx.x * blockDim.x + threadIdx.x)
#define THREADS ((int64_t)gridDim.x * blockDim.x)

// The type that a dtype is computed in: float for the 16-bit ones, double, and int64 for integers.
template <class T> struct computing { typedef int64_t type; };
template <> struct computing<float> { typedef float type; };
template <> struct computing<__half> { typedef float type; };
template <> struct computing<__nv_bfloat16> { typedef float type; };
template <> struct computing<double> { typedef double type; };
template <class T> struct is_float { enum { value = 0 }; };
template <> struct is_float<float> { enum { value = 1 }; };
template <> struct is_float<double> { enum { value = 1 }; };
template <> struct is_float<__half> { enum { value = 1 }; };
template <> struct is_float<__nv_bfloat16> { enum { value = 1 }; };

// Element `v` of a dtype in computing type C.
template <class C, class T> struct getter { FN C of(T v) { return (C)v; } };
template <class C> struct getter<C, __half> { FN C of(__half v) { return (C)__half2float(v); } };
template <class C> struct getter<C, __nv_bfloat16> { FN C of(__nv_bfloat16 v) { return (C)__bfloat162float(v); } };
template <class C, class T> FN C get(T v) { return getter<C, T>::of(v); }

// Floats to integers as the CPU does it: truncated; what does not fit becomes the lowest value; narrow types wrap.
FN int64_t to_i64(double x)
{
    return x >= -9223372036854775808.0 && x < 9223372036854775808.0 ? (int64_t)x : INT64_MIN;
}
FN int32_t to_i32(double x) { return x > -2147483649.0 && x < 2147483648.0 ? (int32_t)x : INT32_MIN; }
// A double rounded to odd in float, so that rounding once more to 16 bits gives what rounding the double would.
FN float to_odd(double x)
{
    float f = (float)x;
    int i = __float_as_int(f);
    if (!((double)f == x || x != x || (i & 0x7fffffff) == 0x7f800000) && !(i & 1))
        i += ((double)f < x) == (i >= 0) ? 1 : -1;
    return __int_as_float(i);
}

// A value of computing type C as an element of T; `put<T>(v)`.
template <class T> struct putter {
    FN T of(int64_t v) { return (T)v; }
    FN T of(double v) { return (T)to_i32(v); }
    FN T of(float v) { return (T)to_i32(v); }
};
template <> struct putter<int64_t> {
    FN int64_t of(int64_t v) { return v; }
    FN int64_t of(double v) { return to_i64(v); }
    FN int64_t of(float v) { return to_i64(v); }
};
template <> struct putter<bool> {
    FN bool of(int64_t v) { return v != 0; }
    FN bool of(double v) { return v != 0; }
    FN bool of(float v) { return v != 0; }
};
template <> struct putter<float> {
    FN float of(int64_t v) { return (float)v; }
    FN float of(double v) { return (float)v; }
    FN float of(float v) { return v; }
};
template <> struct putter<double> {
    FN double of(int64_t v) { return (double)v; }
    FN double of(double v) { return v; }
    FN double of(float v) { return v; }
};
template <> struct putter<__half> {
    FN __half of(int64_t v) { return __float2half_rn(to_odd((double)v)); }
    FN __half of(double v) { return __float2half_rn(to_odd(v)); }
    FN __half of(float v) { return __float2half_rn(v); }
};
template <> struct putter<__nv_bfloat16> {
    FN __nv_bfloat16 of(int64_t v) { return __float2bfloat16_rn(to_odd((double)v)); }
    FN __nv_bfloat16 of(double v) { return __float2bfloat16_rn(to_odd(v)); }
    FN __nv_bfloat16 of(float v) { return __float2bfloat16_rn(v); }
};
template <class T, class C> FN T put(C v) { return putter<T>::of(v); }

// N neighbours that travel as one load or store of up to 16 bytes; the address is a multiple of their size.
template <class T, int N> struct __align__(sizeof(T) * N > 16 ? 16 : sizeof(T) * N) pack { T v[N]; };

template <class T> FN T warp_sum(T v)
{
    for (int m = 16; m; m >>= 1) v += __shfl_xor_sync(0xffffffffu, v, m);
    return v;
}
#endif
