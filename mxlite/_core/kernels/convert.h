/* Conversion between the project's dtypes and the three types that kernels compute in: float, double, int64_t.
 *
 * Loads and stores run over short tiles. float16 and bfloat16 are converted with integer arithmetic that vectorises at
 * every level; rounding is to nearest even.
 */
#ifndef MXL_CONVERT_H
#define MXL_CONVERT_H
#include <stdint.h>
#include <string.h>
#include "mxl.h"

static inline uint32_t mxl_bits(float x) { uint32_t i; memcpy(&i, &x, 4); return i; }
static inline float mxl_float(uint32_t i) { float x; memcpy(&x, &i, 4); return x; }

static inline float mxl_from_f16(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, em = h & 0x7fff;
    float normal = mxl_float((em << 13) + ((em >= 0x7c00 ? 224u : 112u) << 23));
    float small = (float)(int32_t)em * 5.9604644775390625e-8f;          /* subnormal: em * 2^-24 */
    return mxl_float(mxl_bits(em < 0x400 ? small : normal) | sign);
}

static inline uint16_t mxl_to_f16(float x)
{
    uint32_t i = mxl_bits(x), sign = (i >> 16) & 0x8000, a = i & 0x7fffffff;
    uint32_t normal = (a - (112u << 23) + 0xfff + ((a >> 13) & 1)) >> 13;
    uint32_t small = mxl_bits(mxl_float(a) + 0.5f) - mxl_bits(0.5f);    /* the addition rounds to multiples of 2^-24 */
    uint32_t r = a < (113u << 23) ? small : normal;
    r = a >= 0x477ff000 ? 0x7c00 : r;                                   /* 65520 and more round to infinity */
    r = a > 0x7f800000 ? 0x7e00 : r;
    return (uint16_t)(r | sign);
}

static inline float mxl_from_bf16(uint16_t h) { return mxl_float((uint32_t)h << 16); }

static inline uint16_t mxl_to_bf16(float x)
{
    uint32_t i = mxl_bits(x);
    uint32_t r = (i + 0x7fff + ((i >> 16) & 1)) >> 16;
    return (uint16_t)(x != x ? ((i >> 16) | 0x40) : r);
}

/* A double as a float whose last bit records that something was lost, so that rounding once more is right. */
static inline float mxl_round_odd(double x)
{
    float f = (float)x;
    uint32_t i = mxl_bits(f);
    if (!((double)f == x || x != x || (i & 0x7fffffff) == 0x7f800000) && !(i & 1))
        i += ((double)f < x) == !(i >> 31) ? 1u : (uint32_t)-1;
    return mxl_float(i);
}

/* Floats to integers as x86 does it: truncated; what does not fit becomes the lowest value; narrow types wrap. */
static inline int64_t mxl_to_i64(double x)
{
    return x >= -9223372036854775808.0 && x < 9223372036854775808.0 ? (int64_t)x : INT64_MIN;
}
static inline int32_t mxl_to_i32(double x) { return x > -2147483649.0 && x < 2147483648.0 ? (int32_t)x : INT32_MIN; }
/* A scalar parameter for integer arithmetic: truncated, and limited to what int64 holds. */
static inline int64_t mxl_saturate(double x)
{
    return x != x ? 0 : x >= 9223372036854775808.0 ? INT64_MAX : x < -9223372036854775808.0 ? INT64_MIN : (int64_t)x;
}

#define MXL_EACH(body) for (int64_t i = 0; i < n; i++) { body; } break
#define MXL_LOADER(T, name) \
static void name(int dtype, const void *p, int64_t at, int64_t n, T *to) \
{ \
    switch (dtype) { \
    case MXL_F32: { const float *q = (const float *)p + at; MXL_EACH(to[i] = (T)q[i]); } \
    case MXL_F64: { const double *q = (const double *)p + at; MXL_EACH(to[i] = (T)q[i]); } \
    case MXL_F16: { const uint16_t *q = (const uint16_t *)p + at; MXL_EACH(to[i] = (T)mxl_from_f16(q[i])); } \
    case MXL_BF16: { const uint16_t *q = (const uint16_t *)p + at; MXL_EACH(to[i] = (T)mxl_from_bf16(q[i])); } \
    case MXL_U8: case MXL_BOOL: { const uint8_t *q = (const uint8_t *)p + at; MXL_EACH(to[i] = (T)q[i]); } \
    case MXL_I8: { const int8_t *q = (const int8_t *)p + at; MXL_EACH(to[i] = (T)q[i]); } \
    case MXL_I32: { const int32_t *q = (const int32_t *)p + at; MXL_EACH(to[i] = (T)q[i]); } \
    case MXL_I64: { const int64_t *q = (const int64_t *)p + at; MXL_EACH(to[i] = (T)q[i]); } \
    default: break; \
    } \
}
#define MXL_STORER(T, name, HALF, I32, I64) \
static void name(int dtype, void *p, int64_t at, int64_t n, const T *v) \
{ \
    switch (dtype) { \
    case MXL_F32: { float *q = (float *)p + at; MXL_EACH(q[i] = (float)v[i]); } \
    case MXL_F64: { double *q = (double *)p + at; MXL_EACH(q[i] = (double)v[i]); } \
    case MXL_F16: { uint16_t *q = (uint16_t *)p + at; MXL_EACH(q[i] = mxl_to_f16(HALF(v[i]))); } \
    case MXL_BF16: { uint16_t *q = (uint16_t *)p + at; MXL_EACH(q[i] = mxl_to_bf16(HALF(v[i]))); } \
    case MXL_BOOL: { uint8_t *q = (uint8_t *)p + at; MXL_EACH(q[i] = v[i] != 0); } \
    case MXL_U8: { uint8_t *q = (uint8_t *)p + at; MXL_EACH(q[i] = (uint8_t)I32(v[i])); } \
    case MXL_I8: { int8_t *q = (int8_t *)p + at; MXL_EACH(q[i] = (int8_t)I32(v[i])); } \
    case MXL_I32: { int32_t *q = (int32_t *)p + at; MXL_EACH(q[i] = (int32_t)I32(v[i])); } \
    case MXL_I64: { int64_t *q = (int64_t *)p + at; MXL_EACH(q[i] = I64(v[i])); } \
    default: break; \
    } \
}
MXL_LOADER(float, mxl_load_f32)
MXL_LOADER(double, mxl_load_f64)
MXL_LOADER(int64_t, mxl_load_i64)
MXL_STORER(float, mxl_store_f32, (float), mxl_to_i32, mxl_to_i64)
MXL_STORER(double, mxl_store_f64, mxl_round_odd, mxl_to_i32, mxl_to_i64)
MXL_STORER(int64_t, mxl_store_i64, mxl_round_odd, (int32_t), (int64_t))
#undef MXL_EACH

static inline int mxl_itemsize(int dtype)
{
    return dtype == MXL_F64 || dtype == MXL_I64 ? 8 : dtype == MXL_F32 || dtype == MXL_I32 ? 4
        : dtype == MXL_F16 || dtype == MXL_BF16 ? 2 : 1;
}
static inline int mxl_is_half(int dtype) { return dtype == MXL_F16 || dtype == MXL_BF16; }
#endif
