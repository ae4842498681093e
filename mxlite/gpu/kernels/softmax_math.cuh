/* T, TYPE of the module: the dtype of the elements; A: what they are computed in. */
#pragma once
#include "common.cuh"

typedef TYPE T;
typedef computing<T>::type A;
#define INF ((A)INFINITY)
FN A up(T v) { return get<A>(v); }
FN T down(A v) { return put<T>(v); }
FN float exp_(float v) { return expf(v); }
FN double exp_(double v) { return exp(v); }
FN float log_(float v) { return logf(v); }
FN double log_(double v) { return log(v); }
FN float sqrt_(float v) { return sqrtf(v); }
FN double sqrt_(double v) { return sqrt(v); }

/* Sums of long rows, which no thread keeps, are double. */
template <int KEEPS, class R> struct pick_wide { typedef R type; };
template <class R> struct pick_wide<0, R> { typedef double type; };
