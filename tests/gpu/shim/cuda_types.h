// CUDA's vector types, and its 16-bit floats: two bytes in memory, float in arithmetic, rounded to nearest even.
#pragma once
#define SHIM_VECTOR(T, name, a) \
struct name##1 { T x; }; \
struct alignas(2 * sizeof(T)) name##2 { T x, y; }; \
struct name##3 { T x, y, z; }; \
struct alignas(a) name##4 { T x, y, z, w; }; \
static inline name##1 make_##name##1(T x) { return {x}; } \
static inline name##2 make_##name##2(T x, T y) { return {x, y}; } \
static inline name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; } \
static inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
SHIM_VECTOR(float, float, 16) SHIM_VECTOR(double, double, 16) SHIM_VECTOR(int, int, 16)
SHIM_VECTOR(unsigned, uint, 16) SHIM_VECTOR(long long, longlong, 16) SHIM_VECTOR(unsigned long long, ulonglong, 16)
SHIM_VECTOR(short, short, 8) SHIM_VECTOR(unsigned short, ushort, 8) SHIM_VECTOR(signed char, char, 4)
SHIM_VECTOR(unsigned char, uchar, 4)
#undef SHIM_VECTOR

namespace half_bits {
static inline unsigned bits(float f) { unsigned u; memcpy(&u, &f, 4); return u; }
static inline float value(unsigned u) { float f; memcpy(&f, &u, 4); return f; }
static inline unsigned short from_float(float x)
{
    unsigned u = bits(x), sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
    if (a > 0x7f800000) return 0x7fff;                              // CUDA's canonical NaN
    if (a >= 0x47800000) return sign | 0x7c00;
    if (a < 0x33000000) return sign;
    unsigned e = a >> 23, m = (a & 0x7fffff) | 0x800000, shift = e < 113 ? 126 - e : 13;
    unsigned h = m >> shift, rest = m & ((1u << shift) - 1), half = 1u << (shift - 1);
    h += rest > half || (rest == half && (h & 1));
    return sign | (e < 113 ? h : h + ((e - 113) << 10));
}
static inline float to_float(unsigned short h)
{
    unsigned sign = (unsigned)(h & 0x8000) << 16, e = h >> 10 & 31, m = h & 1023;
    if (e == 31) return value(sign | 0x7f800000 | m << 13);
    if (e) return value(sign | (e + 112) << 23 | m << 13);
    float f = m * 5.9604644775390625e-8f;
    return sign ? -f : f;
}
static inline unsigned short brain_from_float(float x)
{
    unsigned u = bits(x);
    return x != x ? 0x7fff : (u + 0x7fff + (u >> 16 & 1)) >> 16;
}
static inline float brain_to_float(unsigned short h) { return value((unsigned)h << 16); }
// a double rounded to odd in float: rounding that again gives what rounding the double would
static inline float odd(double v)
{
    float f = (float)v;
    unsigned u = bits(f);
    if ((double)f == v || v != v || (u & 0x7fffffff) == 0x7f800000 || (u & 1)) return f;
    return value(((double)f < v) == !(u >> 31) ? u + 1 : u - 1);
}
}
#define SHIM_HALF(name, from, to) \
struct name { \
    unsigned short bits_; \
    name() = default; \
    name(float x) : bits_(half_bits::from(x)) {} \
    name(double x) : bits_(half_bits::from(half_bits::odd(x))) {} \
    name(int x) : name((float)x) {} \
    name(unsigned x) : name((float)x) {} \
    name(long x) : name((float)x) {} \
    name(long long x) : name((float)x) {} \
    operator float() const { return half_bits::to(bits_); } \
}; \
struct alignas(4) name##2 { name x, y; };
SHIM_HALF(__half, from_float, to_float)
SHIM_HALF(__nv_bfloat16, brain_from_float, brain_to_float)
#undef SHIM_HALF
typedef __half half;
typedef __half2 half2;
typedef __nv_bfloat162 __nv_bfloat162_;
static inline float __half2float(__half h) { return h; }
static inline __half __float2half(float f) { return __half(f); }
static inline __half __float2half_rn(float f) { return __half(f); }
static inline __half __double2half(double f) { return __half(f); }
static inline float __bfloat162float(__nv_bfloat16 h) { return h; }
static inline __nv_bfloat16 __float2bfloat16(float f) { return __nv_bfloat16(f); }
static inline __nv_bfloat16 __float2bfloat16_rn(float f) { return __nv_bfloat16(f); }
static inline __nv_bfloat16 __double2bfloat16(double f) { return __nv_bfloat16(f); }
static inline unsigned short __half_as_ushort(__half h) { return h.bits_; }
static inline __half __ushort_as_half(unsigned short u) { __half h; h.bits_ = u; return h; }
static inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 h) { return h.bits_; }
static inline __nv_bfloat16 __ushort_as_bfloat16(unsigned short u) { __nv_bfloat16 h; h.bits_ = u; return h; }
