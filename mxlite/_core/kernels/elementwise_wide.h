/* Elementary functions of float that compute in double: exact to float's rounding, but for one case in some thousands.
 *
 * Plain scalar C without branches, as in vmath.h; compilers make vectors of it. A function of double has no such
 * luxury and is libm's. Polynomials are Chebyshev interpolants on the reduced range, relative error in the comments.
 */
#ifndef MXL_WIDE_H
#define MXL_WIDE_H
#include <math.h>
#include <stdint.h>
#include <string.h>

#define VW static inline __attribute__((always_inline))
VW uint64_t wide_bits(double x) { uint64_t i; memcpy(&i, &x, 8); return i; }
VW double wide_double(uint64_t i) { double x; memcpy(&x, &i, 8); return x; }
VW double wide_abs(double x) { return wide_double(wide_bits(x) & 0x7fffffffffffffffu); }
VW double wide_sign(double x, double s)
{
    return wide_double((wide_bits(x) & 0x7fffffffffffffffu) | (wide_bits(s) & 0x8000000000000000u));
}
#define WIDE_SHIFTER 6755399441055744.0     /* 1.5 * 2^52: adding it rounds to an integer, in the low bits */

/* exp(x), 2^-43; beyond what float holds it stops growing or falling */
VW double wide_exp(double x)
{
    double c = x > 200.0 ? 200.0 : x < -200.0 ? -200.0 : x;
    double t = c * 1.4426950408889634 + WIDE_SHIFTER, n = t - WIDE_SHIFTER;
    double r = c - n * 0.6931471805599453, p = 2.7621122611993019e-06;
    p = p * r + 2.4876156333079918e-05;
    p = p * r + 0.00019841217774408854;
    p = p * r + 0.0013888821692698875;
    p = p * r + 0.0083333333473827806;
    p = p * r + 0.04166666689087279;
    p = p * r + 0.16666666666662175;
    p = p * r + 0.49999999999798056;
    p = p * r + 1.0;
    p = p * r + 1.0;
    double y = wide_double(wide_bits(p) + (wide_bits(t) << 52));
    return x != x ? x : y;
}

/* log(x) of what a float, or the sum or product of a few, can be; 2^-47 of it */
VW double wide_log(double x)
{
    uint64_t i = wide_bits(x) + (0x3ff0000000000000u - 0x3fe6a09e00000000u);
    double e = wide_double((i >> 52) | 0x4330000000000000u) - (4503599627370496.0 + 1023.0);
    double m = wide_double((i & 0x000fffffffffffffu) + 0x3fe6a09e00000000u);
    double s = (m - 1.0) / (m + 1.0), z = s * s, p = 0.08491313274940121;
    p = p * z + 0.090544388117378805;
    p = p * z + 0.11111940473280017;
    p = p * z + 0.14285704422673307;
    p = p * z + 0.20000000057783185;
    p = p * z + 0.33333333333199378;
    double y = e * 0.6931471805599453 + 2.0 * (s + s * z * p);
    y = x == INFINITY ? x : y;
    y = x == 0.0 ? -INFINITY : y;
    return x >= 0.0 ? y : NAN;
}

/* Quadrant and rest of x / (pi/2), for |x| below WIDE_FAR: pi/2 in 25 bits, whose products are exact, and a tail. */
#define WIDE_FAR 4.0e8f
VW double wide_quadrant(double x, uint64_t *q)
{
    double t = x * 0.63661977236758134 + WIDE_SHIFTER, n = t - WIDE_SHIFTER;
    *q = wide_bits(t);
    return (x - n * 1.57079631090164184570) - n * 1.58932547735281966916e-08;
}
VW double wide_sin_near(double r)       /* |r| <= pi/4, 2^-33 */
{
    double z = r * r, p = -2.4805535675532755e-08;
    p = p * z + 2.7555989747696101e-06;
    p = p * z - 0.00019841266912569867;
    p = p * z + 0.0083333333310736824;
    p = p * z - 0.16666666666663874;
    return r + r * z * p;
}
VW double wide_cos_near(double r)       /* 2^-37 */
{
    double z = r * r, p = -2.72370633958823e-07;
    p = p * z + 2.4799861335596415e-05;
    p = p * z - 0.0013888885088450481;
    p = p * z + 0.041666666637363209;
    p = p * z - 0.49999999999963829;
    return 1.0 + z * p;
}
VW double wide_sin(double x, uint64_t ahead)        /* sin(x + ahead * pi/2) */
{
    uint64_t q;
    double r = wide_quadrant(x, &q), s = wide_sin_near(r), c = wide_cos_near(r);
    q += ahead;
    double y = q & 1 ? c : s;
    return wide_double(wide_bits(y) ^ ((q & 2) << 62));
}
VW double wide_tan(double x)
{
    uint64_t q;
    double r = wide_quadrant(x, &q), s = wide_sin_near(r), c = wide_cos_near(r);
    return (q & 1 ? -c : s) / (q & 1 ? s : c);
}
/* A loop over these says with a local constant `far` which arguments it has: vector loops the near ones, then one by
 * one the far ones, if any, whose reduction takes hundreds of bits of pi. */
#define sin_f(x) ((far) ? (float)sin((double)(x)) : near_sin_f(x))
#define cos_f(x) ((far) ? (float)cos((double)(x)) : near_cos_f(x))
#define tan_f(x) ((far) ? (float)tan((double)(x)) : near_tan_f(x))
VW float near_sin_f(float x) { return x == 0 ? x : (float)wide_sin(x, 0); }
VW float near_cos_f(float x) { return (float)wide_sin(x, 1); }
VW float near_tan_f(float x) { return x == 0 ? x : (float)wide_tan(x); }

VW double wide_asin_near(double t)      /* |t| <= 0.5, 2^-44 */
{
    double z = t * t, p = 0.031942749023437501;
    p = p * z - 0.0028531074523925745;
    p = p * z + 0.018636009097099292;
    p = p * z + 0.016473656799644243;
    p = p * z + 0.02247244346062871;
    p = p * z + 0.030375068340856626;
    p = p * z + 0.044643125506728505;
    p = p * z + 0.074999994720988325;
    p = p * z + 0.1666666667066338;
    return t + t * z * p;
}
#define HALF_PI 1.5707963267948966
VW float asin_f(float x)
{
    double a = wide_abs(x), t = a > 0.5 ? sqrt(0.5 - 0.5 * a) : a, y = wide_asin_near(t);
    return (float)wide_sign(a > 0.5 ? HALF_PI - 2.0 * y : y, x);
}
VW float acos_f(float x)
{
    double a = wide_abs(x), t = a > 0.5 ? sqrt(0.5 - 0.5 * a) : (double)x, y = wide_asin_near(t);
    double far_end = x < 0 ? 2.0 * HALF_PI - 2.0 * y : 2.0 * y;
    return (float)(a > 0.5 ? far_end : HALF_PI - y);
}
VW float atan_f(float x)
{
    double a = wide_abs(x), top = a - 1.0, under = a + 1.0, base = 0.5 * HALF_PI;
    top = a > 2.414213562373095 ? -1.0 : top;
    under = a > 2.414213562373095 ? a : under;
    base = a > 2.414213562373095 ? HALF_PI : base;
    top = a > 0.41421356237309503 ? top : a;
    under = a > 0.41421356237309503 ? under : 1.0;
    base = a > 0.41421356237309503 ? base : 0.0;
    double t = top / under, z = t * t, p = -0.037654452426140017;
    p = p * z + 0.069741595776086046;
    p = p * z - 0.089925441043537307;
    p = p * z + 0.11103455890504235;
    p = p * z - 0.1428538649252275;
    p = p * z + 0.19999993051777545;
    p = p * z - 0.33333333276902671;
    double y = base + (t + t * z * p);
    return (float)wide_sign(x != x ? (double)x : y, x);
}
VW float sinh_f(float x)
{
    double a = wide_abs(x), z = a * a, e = wide_exp(a), p = 1.0 / 39916800;
    p = p * z + 1.0 / 362880;
    p = p * z + 1.0 / 5040;
    p = p * z + 1.0 / 120;
    p = p * z + 1.0 / 6;
    return (float)wide_sign(a < 1.0 ? a + a * z * p : 0.5 * (e - 1.0 / e), x);
}
VW float cosh_f(float x)
{
    double e = wide_exp(wide_abs(x));
    return (float)(0.5 * (e + 1.0 / e));
}
VW float asinh_f(float x)
{
    double a = wide_abs(x), z = a * a, small = a - a * z * (1.0 / 6 - z * 0.075);
    return (float)wide_sign(a < 0.02 ? small : wide_log(a + sqrt(z + 1.0)), x);
}
VW float acosh_f(float x)
{
    double a = x, y = wide_log(a + sqrt(a * a - 1.0));
    return (float)(a >= 1.0 ? y : NAN);
}
VW float atanh_f(float x)
{
    double a = wide_abs(x), z = a * a, small = a + a * z * (1.0 / 3 + z * 0.2);
    return (float)wide_sign(a < 0.01 ? small : 0.5 * wide_log((1.0 + a) / (1.0 - a)), x);
}
VW float cbrt_f(float x)
{
    double y = wide_sign(wide_exp(wide_log(wide_abs(x)) * (1.0 / 3)), x);
    float inf = x * 2.0f;
    return x == 0 || inf == x ? x : (float)y;
}
/* Conditions come one at a time: compilers make no vectors of conditions that they have joined. */
VW float pow_f(float a, float b)
{
    double x = a, y = b, u = wide_abs(x), v = wide_abs(y), p = wide_exp(y * wide_log(u));
    double whole = (v + 4503599627370496.0) - 4503599627370496.0;
    double half = 0.5 * v, half_whole = (half + 4503599627370496.0) - 4503599627370496.0;
    double at_zero = y < 0 ? INFINITY : 0.0, at_infinity = y < 0 ? 0.0 : INFINITY;
    double sign = half_whole != half ? x : 1.0, root = whole != v ? x : 1.0;
    sign = whole != v ? 1.0 : sign;
    root = u == INFINITY ? 1.0 : root;
    p = u == 1.0 ? 1.0 : p;
    p = u == 0.0 ? at_zero : p;
    p = u == INFINITY ? at_infinity : p;
    p = wide_sign(p, sign);
    p = root < 0 ? NAN : p;                 /* a negative number to a power that is not whole */
    p = x != x ? x : p;
    p = y != y ? y : p;
    p = y == 0.0 ? 1.0 : p;
    p = x == 1.0 ? 1.0 : p;
    return (float)p;
}
#endif
