// What stands behind a product where its library does not do it: y = act(x + bias[channel] + residual), any of them
// left out; y may be x or residual. TYPE: the dtype.
#include "common.cuh"
typedef computing<TYPE>::type real;
struct Epilogue { int64_t size, channels, inner, act; double lo, hi; };

// act: 0 none, 1 relu, 2 clip to lo..hi; NaN stays NaN.
KERNEL epilogue(const TYPE *x, const TYPE *bias, const TYPE *residual, TYPE *y, Epilogue e)
{
    const real lo = (real)e.lo, hi = (real)e.hi;
    for (int64_t i = THREAD; i < e.size; i += THREADS) {
        real v = get<real>(x[i]);
        if (bias) v += get<real>(bias[i / e.inner % e.channels]);
        if (residual) v += get<real>(residual[i]);
        if (e.act == 1) v = v < 0 ? (real)0 : v;
        else if (e.act == 2) v = v < lo ? lo : v > hi ? hi : v;
        y[i] = put<TYPE>(v);
    }
}
