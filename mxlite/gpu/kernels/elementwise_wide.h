/* Elementary functions of float for vmath.h, in place of the CPU's file of this name: there they compute in double, of
 * which many GPUs have little; here they are CUDA's own, within 2 ulp (pow: 4). */
#ifndef MXL_WIDE_H
#define MXL_WIDE_H
#define MXL_CUDA1(fn) static inline __device__ float fn##_f(float x) { return fn##f(x); }
MXL_CUDA1(sin) MXL_CUDA1(cos) MXL_CUDA1(tan) MXL_CUDA1(asin) MXL_CUDA1(acos) MXL_CUDA1(atan) MXL_CUDA1(sinh)
MXL_CUDA1(cosh) MXL_CUDA1(asinh) MXL_CUDA1(acosh) MXL_CUDA1(atanh) MXL_CUDA1(cbrt)
static inline __device__ float pow_f(float a, float b) { return powf(a, b); }
#endif
