/* Elementary functions in plain scalar C without branches, so that compilers turn loops over them into vector code.
 *
 * float: own versions where they are worth it (errors measured in tests/test_kernels_accuracy.py), here in float,
 * in elementwise_wide.h by way of double; the rest, and all of double, is libm. `name_f` is for float, `name_d` for
 * double. Polynomials of exp and log: Moshier's Cephes; erf: N. Juffa.
 */
#ifndef MXL_VMATH_H
#define MXL_VMATH_H
#include <math.h>
#include "convert.h"
#include "elementwise_wide.h"

#define VM static inline __attribute__((always_inline))
#define SHIFTER 12582912.0f             /* 1.5 * 2^23: adding it rounds to an integer, in the low bits */

VM float power_of_two(int32_t n) { return mxl_float((uint32_t)(n + 127) << 23); }
VM float copysign_f(float x, float s) { return mxl_float((mxl_bits(x) & 0x7fffffff) | (mxl_bits(s) & 0x80000000)); }
VM float abs_f(float x) { return mxl_float(mxl_bits(x) & 0x7fffffff); }

/* exp(r) - 1 for r = x - t ln 2, where t is a whole number */
VM float exp_rest(float x, float t)
{
    float r = x - t * 0.693359375f;
    r = r + t * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return p * (r * r) + r;
}
/* x = n ln 2 + r; returns exp(r) - 1 */
VM float exp_reduced(float x, int32_t *n)
{
    float t = x * 1.44269504088896341f + SHIFTER;
    *n = (int32_t)(mxl_bits(t) - mxl_bits(SHIFTER));
    return exp_rest(x, t - SHIFTER);
}
/* The shifter carries the exponent's bias with it, so that the low bits of the sum, moved up, are a power of two; one
 * that stays normal and leaves the rest of the way to a second factor, so that subnormal results come out right. */
VM float exp_f(float x)
{
    float c = x < -104.0f ? -104.0f : x;
    c = c > 89.0f ? 89.0f : c;
    float shifter = x < 0 ? SHIFTER + (127 + 24) : SHIFTER + (127 - 24);
    float t = c * 1.44269504088896341f + shifter;
    float p = exp_rest(c, t - shifter) + 1.0f;
    return p * mxl_float(mxl_bits(t) << 23) * (x < 0 ? 0x1p-24f : 0x1p24f);
}
/* exp(-a) for a >= 0 */
VM float exp_minus_f(float a)
{
    float c = a > 104.0f ? 104.0f : a;
    float t = c * -1.44269504088896341f + (SHIFTER + (127 + 64));
    float p = exp_rest(-c, t - (SHIFTER + (127 + 64))) + 1.0f;
    return p * mxl_float(mxl_bits(t) << 23) * 0x1p-64f;
}
VM double exp_minus_d(double a) { return exp(-a); }
VM float expm1_f(float x)
{
    int32_t n;
    float c = x < -18.0f ? -18.0f : x;
    c = c > 89.0f ? 89.0f : c;
    float q = exp_reduced(c, &n);
    float s = power_of_two(n - 1);
    float y = (q * s + (s - 0.5f)) * 2.0f;
    return abs_f(x) < 2.98023224e-8f ? x : y;
}

/* Mantissa of x in [sqrt(1/2), sqrt(2)), minus 1; exponent in *e; *tail is log(1 + f) - f */
VM float log_reduced(float x, float *e, float *tail)
{
    int small = x < 1.17549435e-38f;
    float big = small ? x * 8388608.0f : x;
    uint32_t i = mxl_bits(big);
    int32_t k = (int32_t)(i - 0x3f3504f3u) >> 23;
    float f = mxl_float(i - ((uint32_t)k << 23)) - 1.0f;
    *e = (float)k - (small ? 23.0f : 0.0f);
    float z = f * f, p = 7.0376836292e-2f;
    p = p * f - 1.1514610310e-1f;
    p = p * f + 1.1676998740e-1f;
    p = p * f - 1.2420140846e-1f;
    p = p * f + 1.4249322787e-1f;
    p = p * f - 1.6668057665e-1f;
    p = p * f + 2.0000714765e-1f;
    p = p * f - 2.4999993993e-1f;
    p = p * f + 3.3333331174e-1f;
    *tail = p * f * z - 0.5f * z;
    return f;
}
VM float log_special(float x, float y)
{
    y = x == INFINITY ? x : y;
    y = x == 0.0f ? -INFINITY : y;
    return x >= 0.0f ? y : NAN;
}
VM float log_f(float x)
{
    float e, t, f = log_reduced(x, &e, &t);
    float y = t + e * -2.12194440e-4f;
    return log_special(x, (f + y) + e * 0.693359375f);
}
VM float log2_f(float x)
{
    float e, t, f = log_reduced(x, &e, &t);
    float y = t * 0.44269504088896340735992f + f * 0.44269504088896340735992f;
    return log_special(x, ((y + t) + f) + e);
}
VM float log10_f(float x)
{
    float e, t, f = log_reduced(x, &e, &t);
    float y = (f + t) * 7.00731903251827651129e-4f + t * 4.3359375e-1f + e * 2.48745663981195213739e-4f;
    return log_special(x, (y + f * 4.3359375e-1f) + e * 3.0078125e-1f);
}
VM float log1p_f(float x)
{
    float u = 1.0f + x, lost = (x - (u - 1.0f)) / u;
    lost = u == 0.0f || u == INFINITY ? 0.0f : lost;
    return u == 1.0f ? x : log_f(u) + lost;
}

/* log(1 + x) for x in [0, 1] */
VM float log1p_unit_f(float x)
{
    float u = 1.0f + x, lost = (x - (u - 1.0f)) / u, e, t;
    float f = log_reduced(u, &e, &t);
    return ((f + (t + e * -2.12194440e-4f)) + e * 0.693359375f) + lost;
}

VM float tanh_f(float x)
{
    float a = abs_f(x), c = a > 10.0f ? 10.0f : a, z = x * x;
    float t = c * 2.88539008177792681f + (SHIFTER + 127);
    float e = exp_rest(c + c, t - (SHIFTER + 127)) + 1.0f;
    float big = 1.0f - 2.0f / (e * mxl_float(mxl_bits(t) << 23) + 1.0f);
    float p = -5.70498872745e-3f;
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    float small = p * z * x + x;
    return copysign_f(a < 0.625f ? small : big, x);
}
VM float erf_f(float x)
{
    float t = abs_f(x), s = x * x;
    float r = -1.72853470e-5f * t + 3.83197126e-4f, u = -3.88396438e-3f * t + 2.42546219e-2f;
    r = r * s + u;
    r = r * t - 1.06777877e-1f;
    r = r * t - 6.34846687e-1f;
    r = r * t - 1.28717512e-1f;
    r = r * t - t;
    float big = copysign_f(1.0f - exp_f(r), x);
    float q = -5.96761703e-4f;
    q = q * s + 4.99119423e-3f;
    q = q * s - 2.67681349e-2f;
    q = q * s + 1.12819925e-1f;
    q = q * s - 3.76125336e-1f;
    q = q * s + 1.28379166e-1f;
    return t > 0.927734375f ? big : q * x + x;
}
VM float hypot_f(float a, float b)
{
    float y = (float)sqrt((double)a * a + (double)b * b);
    return abs_f(a) == INFINITY || abs_f(b) == INFINITY ? INFINITY : y;
}

/* x / (1 + exp(-x)) forms that neither overflow nor lose the tail */
#define MXL_LOGISTIC(T, s) \
VM T sigmoid_##s(T x) { T e = exp_minus_##s(abs_##s(x)); return (x < 0 ? e : 1) / (1 + e); } \
VM T softrelu_##s(T x) { T p = x > 0 ? x : 0; return p + log1p_unit_##s(exp_minus_##s(abs_##s(x))); } \
VM T sign_##s(T x) { return (T)((x > 0) - (x < 0)); } \
VM T round_##s(T x) { T f = trunc_##s(abs_##s(x)); return copysign_##s(abs_##s(x) - f >= (T)0.5 ? f + 1 : f, x); } \
VM T rint_##s(T x) { T f = floor_##s(x), c = ceil_##s(x); return x - f <= c - x ? f : c; } \
VM T mod_##s(T a, T b) \
{ \
    T r = fmod_##s(a, b); \
    if (b == 0) return 0; \
    if (r != 0) return (r < 0) != (b < 0) ? r + b : r; \
    return (a < 0) != (b < 0) ? abs_##s(r) : r; \
} \
VM T erfinv_##s(T x) { return (T)mxl_erfinv((double)x); } \
VM T gamma_##s(T x) { return (T)mxl_gamma((double)x); } \
VM T gammaln_##s(T x) { return (T)mxl_gammaln((double)x); } \
VM T digamma_##s(T x) { return (T)mxl_digamma((double)x); } \
VM T trigamma_##s(T x) { return (T)mxl_trigamma((double)x); }

#define LIBM1(fn) VM float fn##_f(float x) { return fn##f(x); } VM double fn##_d(double x) { return fn(x); }
#define LIBM1D(fn) VM double fn##_d(double x) { return fn(x); }
LIBM1(sqrt) LIBM1(floor) LIBM1(ceil) LIBM1(trunc)
LIBM1D(sin) LIBM1D(cos) LIBM1D(tan) LIBM1D(asin) LIBM1D(acos) LIBM1D(atan) LIBM1D(sinh) LIBM1D(cosh) LIBM1D(asinh)
LIBM1D(acosh) LIBM1D(atanh) LIBM1D(cbrt)
LIBM1D(exp) LIBM1D(expm1) LIBM1D(log) LIBM1D(log2) LIBM1D(log10) LIBM1D(log1p) LIBM1D(tanh) LIBM1D(erf)
VM double log1p_unit_d(double x) { return log1p(x); }
VM double abs_d(double x) { return fabs(x); }
VM double copysign_d(double x, double s) { return copysign(x, s); }
VM double hypot_d(double a, double b) { return hypot(a, b); }
VM float fmod_f(float a, float b) { return fmodf(a, b); }
VM double fmod_d(double a, double b) { return fmod(a, b); }
VM double pow_d(double a, double b) { return pow(a, b); }

static double mxl_erfinv(double x)
{
    double a = fabs(x), q = 1 - a;
    if (!(a <= 1)) return NAN;
    if (a == 1 || a == 0) return a == 1 ? copysign(INFINITY, x) : x;
    double w = log(q * (1 + a)), t = 2 / (3.14159265358979323846 * 0.147) + w / 2;      /* Winitzki's estimate */
    double y = sqrt(fmax(sqrt(t * t - w / 0.147) - t, 0));
    if (y == 0) y = a * 0.886226925452758;
    for (int i = 0; i < 3; i++) {                                                       /* Halley's steps */
        double err = a < 0.5 ? erf(y) - a : q - erfc(y);
        double step = err / (1.1283791670955126 * exp(-y * y));
        y -= step / (1 + y * step);
    }
    return copysign(y, x);
}
static double mxl_gamma(double x) { return x == -INFINITY ? NAN : tgamma(x); }
static double mxl_gammaln(double x)
{
#if defined(__GLIBC__)
    int sign;
    return lgamma_r(x, &sign);          /* lgamma writes a global */
#else
    return lgamma(x);
#endif
}
static double mxl_digamma(double x)
{
    double y = 0;
    if (x != x || x == INFINITY) return x;
    if (x <= 0) {
        if (x == floor(x)) return INFINITY;          /* poles, as MXNet has them */
        double part = x - floor(x);
        y = -3.14159265358979323846 / tan(3.14159265358979323846 * part);
        x = 1 - x;
    }
    for (; x < 12; x += 1) y -= 1 / x;
    double z = 1 / (x * x);
    double tail = z * (1. / 12 - z * (1. / 120 - z * (1. / 252 - z * (1. / 240 - z * (1. / 132 - z * 691. / 32760)))));
    return y + log(x) - 0.5 / x - tail;
}
static double mxl_trigamma(double x)
{
    const double pi = 3.14159265358979323846;
    double y = 0, sign = 1;
    if (x != x || x == INFINITY) return x != x ? x : 0;
    if (x <= 0) {
        if (x == floor(x)) return INFINITY;
        double s = pi / sin(pi * (x - floor(x)));
        y = s * s;
        sign = -1;
        x = 1 - x;
    }
    double up = 0;
    for (; x < 12; x += 1) up += 1 / (x * x);
    double z = 1 / (x * x);
    double tail = z * (5. / 66 - z * (691. / 2730 - z * 7. / 6));
    tail = z * (1. / 6 - z * (1. / 30 - z * (1. / 42 - z * (1. / 30 - tail))));
    return y + sign * (up + (1 + tail) / x + z / 2);
}
MXL_LOGISTIC(float, f)
MXL_LOGISTIC(double, d)

/* Exact integer arithmetic: wraps like the machine's, and never traps. */
static inline int64_t add_i(int64_t a, int64_t b) { return (int64_t)((uint64_t)a + (uint64_t)b); }
static inline int64_t sub_i(int64_t a, int64_t b) { return (int64_t)((uint64_t)a - (uint64_t)b); }
static inline int64_t mul_i(int64_t a, int64_t b) { return (int64_t)((uint64_t)a * (uint64_t)b); }
static inline int64_t div_i(int64_t a, int64_t b) { return b == 0 ? 0 : b == -1 ? sub_i(0, a) : a / b; }
static inline int64_t mod_i(int64_t a, int64_t b)
{
    if (b == 0 || b == -1) return 0;
    int64_t r = a % b;
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
static inline int64_t pow_i(int64_t a, int64_t b)
{
    if (b < 0) return a == 1 ? 1 : a == -1 ? (b & 1 ? -1 : 1) : 0;
    int64_t y = 1;
    for (; b; b >>= 1, a = mul_i(a, a)) if (b & 1) y = mul_i(y, a);
    return y;
}
#endif
