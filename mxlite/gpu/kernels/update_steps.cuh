/* The optimizer steps of the CPU's update_table.h, of which only the formulas are wanted. S: the type of weight and
 * gradient, Q: that of states, T: what they are computed in. */
#pragma once
#include "common.cuh"
#define MXL_RANGES_H
typedef int mxl_range;
#include "update_table.h"

typedef WEIGHT S;
typedef STATE Q;
typedef computing<S>::type T;

FN float root(float v) { return sqrtf(v); }
FN double root(double v) { return sqrt(v); }
#define ROOT(x) root(x)
#define P(i) p.v[i]
#define REST(i) p.rest[i]
/* Comparisons are put so that NaN passes through, and a negative bound does nothing. */
#define CLIP(x, bound) ((bound) < 0 ? (x) : (x) > (bound) ? (bound) : (x) < -(bound) ? -(bound) : (x))
#define SIGN(x) ((x) > 0 ? (T)1 : (x) < 0 ? (T)-1 : (x))
#define ABS(x) ((x) < 0 ? -(x) : (x))

/* The record's scalars: by value, or read from the device's memory, so that a captured graph sees new ones. */
struct Scalars { double v[12]; };
struct Numbers { T v[12], rest[12]; };
FN Numbers numbers(const Scalars &given, const double *at, int count)
{
    Numbers n;
    #pragma unroll
    for (int i = 0; i < 12; i++) {
        const double v = i < count ? (at ? at[i] : given.v[i]) : 0;
        n.v[i] = (T)v;
        n.rest[i] = (T)(1 - v);
    }
    return n;
}
