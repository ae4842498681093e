/* One number in any dtype: the bytes of a double converted to it, and an index read from it. */
#ifndef MXL_VALUE_H
#define MXL_VALUE_H
#include <stdint.h>
#include <string.h>
#include "mxl.h"

static inline int64_t mxl_itemsize(int32_t dtype)
{
    switch (dtype) {
    case MXL_F64: case MXL_I64: return 8;
    case MXL_F32: case MXL_I32: return 4;
    case MXL_F16: case MXL_BF16: return 2;
    default: return 1;
    }
}

static inline uint32_t mxl_bits32(float f) { uint32_t u; memcpy(&u, &f, 4); return u; }
static inline float mxl_float32(uint32_t u) { float f; memcpy(&f, &u, 4); return f; }

/* A double rounded to odd in float: rounding that once more to 16 bits gives what rounding the double would. */
static inline uint32_t mxl_to_odd(double v)
{
    float f = (float)v;
    uint32_t u = mxl_bits32(f);
    if (v == v && (double)f != v) {
        if ((u & 0x7fffffff) == 0x7f800000) return u;       /* too large for float: infinite in 16 bits as well */
        if ((f < 0 ? -(double)f : (double)f) > (v < 0 ? -v : v)) u -= 1;
        u |= 1;
    }
    return u;
}

static inline uint16_t mxl_to_f16(double v)
{
    uint32_t u = mxl_to_odd(v), sign = (u >> 16) & 0x8000, a = u & 0x7fffffff;
    if (a > 0x7f800000) return (uint16_t)(sign | 0x7e00);
    if (a >= 0x47800000) return (uint16_t)(sign | 0x7c00);
    if (a < 0x33000000) return (uint16_t)sign;
    uint32_t e = a >> 23, m = (a & 0x7fffff) | 0x800000, shift = e < 113 ? 126 - e : 13;
    uint32_t h = m >> shift, rest = m & ((1u << shift) - 1), half = 1u << (shift - 1);
    h += rest > half || (rest == half && (h & 1));
    return (uint16_t)(sign | (e < 113 ? h : h + ((e - 113) << 10)));
}

static inline uint16_t mxl_to_bf16(double v)
{
    uint32_t u = mxl_to_odd(v);
    if (v != v) return 0x7fc0;
    return (uint16_t)((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

static inline float mxl_from_f16(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, e = (h >> 10) & 31, m = h & 1023;
    if (e == 31) return mxl_float32(sign | 0x7f800000 | (m << 13));
    if (e) return mxl_float32(sign | ((e + 112) << 23) | (m << 13));
    float f = (float)m * 0x1p-24f;
    return sign ? -f : f;
}

/* What an x86 conversion gives for a float that fits no int64, NaN included. */
static inline int64_t mxl_to_i64(double v)
{
    return v >= -0x1p63 && v < 0x1p63 ? (int64_t)v : INT64_MIN;
}

/* The bytes of `v` in `dtype`, in the low end of the result. Integers drop the fraction and wrap round. */
static inline uint64_t mxl_bits_of(double v, int32_t dtype)
{
    uint64_t u = 0;
    switch (dtype) {
    case MXL_F64: memcpy(&u, &v, 8); return u;
    case MXL_F32: return mxl_bits32((float)v);
    case MXL_F16: return mxl_to_f16(v);
    case MXL_BF16: return mxl_to_bf16(v);
    case MXL_BOOL: return v != 0;
    default: return (uint64_t)mxl_to_i64(v);
    }
}

static inline void mxl_put(void *at, int64_t size, uint64_t bits)
{
    switch (size) {
    case 8: memcpy(at, &bits, 8); break;
    case 4: { uint32_t u = (uint32_t)bits; memcpy(at, &u, 4); break; }
    case 2: { uint16_t u = (uint16_t)bits; memcpy(at, &u, 2); break; }
    default: *(uint8_t *)at = (uint8_t)bits;
    }
}

/* `n` elements of `size` bytes, each `bits`. */
static inline void mxl_fill(void *at, int64_t n, int64_t size, uint64_t bits)
{
    if (size == 8) for (int64_t i = 0; i < n; i++) ((uint64_t *)at)[i] = bits;
    else if (size == 4) for (int64_t i = 0; i < n; i++) ((uint32_t *)at)[i] = (uint32_t)bits;
    else if (size == 2) for (int64_t i = 0; i < n; i++) ((uint16_t *)at)[i] = (uint16_t)bits;
    else if (n > 0) memset(at, (int)(bits & 255), (size_t)n);
}

/* Element `i` as an index: fractions cut off towards zero. */
static inline int64_t mxl_index(const void *at, int32_t dtype, int64_t i)
{
    switch (dtype) {
    case MXL_F32: return mxl_to_i64(((const float *)at)[i]);
    case MXL_I64: return ((const int64_t *)at)[i];
    case MXL_I32: return ((const int32_t *)at)[i];
    case MXL_F64: return mxl_to_i64(((const double *)at)[i]);
    case MXL_F16: return mxl_to_i64(mxl_from_f16(((const uint16_t *)at)[i]));
    case MXL_BF16: return mxl_to_i64(mxl_float32((uint32_t)((const uint16_t *)at)[i] << 16));
    case MXL_I8: return ((const int8_t *)at)[i];
    case MXL_BOOL: return ((const uint8_t *)at)[i] != 0;
    default: return ((const uint8_t *)at)[i];
    }
}

enum { MXL_CLIP = 0, MXL_WRAP = 1, MXL_RAISE = 2, MXL_NEGATIVE = 3 };

/* `i` brought into [0, n) by `mode`; -1 where that cannot be. */
static inline int64_t mxl_inside(int64_t i, int64_t n, int mode)
{
    if ((uint64_t)i < (uint64_t)n) return i;
    if (n <= 0) return -1;
    if (mode == MXL_CLIP) return i < 0 ? 0 : n - 1;
    if (mode == MXL_WRAP) { i %= n; return i < 0 ? i + n : i; }
    if (mode == MXL_NEGATIVE && i < 0 && i >= -n) return i + n;
    return -1;
}
#endif
