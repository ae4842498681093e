/* Windows of pooling. TYPE, KIND, CODE (the dtype of codes) and INDEX are the module's; planes of three spatial axes
 * lie one after another, or, with `channels` > 0, an image's channels lie side by side. */
#pragma once
#include "softmax_math.cuh"

enum { POOL_MAX, POOL_AVG, POOL_SUM, POOL_LP };
struct Pool {
    int64_t planes, p_value, include_pad, channels;
    int64_t kernel[3], stride[3], pad[3], src[3], dst[3];
};

FN INDEX lesser(INDEX a, INDEX b) { return a < b ? a : b; }
FN INDEX greater(INDEX a, INDEX b) { return a > b ? a : b; }

/* Where a plane's elements lie: the first, and the distance of neighbours. */
struct Plane { int64_t first; INDEX step; };
FN Plane plane_at(const Pool &g, INDEX plane, const int64_t *size)
{
    const int64_t volume = size[0] * size[1] * size[2];
    Plane p;
    if (g.channels) {
        const INDEX c = (INDEX)g.channels;
        p.first = plane / c * volume * c + plane % c;
        p.step = c;
    } else {
        p.first = plane * volume;
        p.step = 1;
    }
    return p;
}

/* Element number `i` of a tensor as its plane and the place in it. */
FN void split(const Pool &g, INDEX i, const int64_t *size, INDEX &plane, INDEX *at)
{
    const INDEX a = (INDEX)size[0], b = (INDEX)size[1], w = (INDEX)size[2];
    INDEX channel = 0;
    if (g.channels) {
        const INDEX next = i / (INDEX)g.channels;
        channel = i - next * (INDEX)g.channels;
        i = next;
    }
    const INDEX row = i / w, deep = row / b, n = deep / a;
    at[2] = i - row * w;
    at[1] = row - deep * b;
    at[0] = deep - n * a;
    plane = g.channels ? n * (INDEX)g.channels + channel : n;
}

/* The part of window o along axis i that lies inside the input. */
FN void inside(const Pool &g, int i, INDEX o, INDEX &lo, INDEX &hi)
{
    lo = o * (INDEX)g.stride[i] - (INDEX)g.pad[i];
    hi = lesser(lo + (INDEX)g.kernel[i], (INDEX)g.src[i]);
    lo = greater(lo, 0);
}

/* Windows along axis i that cover position `at`: [lo, hi). */
FN void covering(const Pool &g, int i, INDEX at, INDEX &lo, INDEX &hi)
{
    const INDEX from = at + (INDEX)g.pad[i] - (INDEX)g.kernel[i] + 1, s = (INDEX)g.stride[i];
    lo = from > 0 ? (from + s - 1) / s : 0;
    hi = lesser((INDEX)g.dst[i], (at + (INDEX)g.pad[i]) / s + 1);
}

/* The number of element (a, b, w) of the data within window o. */
FN INDEX code_of(const Pool &g, const INDEX *o, INDEX a, INDEX b, INDEX w)
{
    INDEX code = a - o[0] * (INDEX)g.stride[0] + (INDEX)g.pad[0];
    code = code * (INDEX)g.kernel[1] + b - o[1] * (INDEX)g.stride[1] + (INDEX)g.pad[1];
    return code * (INDEX)g.kernel[2] + w - o[2] * (INDEX)g.stride[2] + (INDEX)g.pad[2];
}

/* Elements of window o along axis i that an average divides by; never 0. */
FN INDEX extent(const Pool &g, int i, INDEX o)
{
    const INDEX begin = o * (INDEX)g.stride[i] - (INDEX)g.pad[i];
    const INDEX end = lesser(begin + (INDEX)g.kernel[i], (INDEX)g.src[i] + (g.include_pad ? (INDEX)g.pad[i] : 0));
    return greater(1, end - (g.include_pad ? begin : greater(begin, 0)));
}

FN float root3(float v) { return cbrtf(v); }
FN double root3(double v) { return cbrt(v); }

/* The number of elements that an average divides by. */
FN A volume(const Pool &g, const INDEX *o)
{
    return (A)((int64_t)extent(g, 0, o[0]) * extent(g, 1, o[1]) * extent(g, 2, o[2]));
}

/* A window's value so far. The first of equal maxima counts; NaN loses against any number; `at` -1 is no element. */
struct Best {
    A value;
    INDEX at;
    __device__ __forceinline__ void offer(A v, INDEX code)
    {
        if (at >= 0 && !(v > value || (value != value && v == v))) return;
        value = v;
        at = code;
    }
    __device__ __forceinline__ void join(A v, INDEX code)       /* of elements in any order */
    {
        const bool less = v > value || (value != value && v == v);
        const bool same = v == value || (value != value && v != v);
        if (code < 0 || (at >= 0 && !less && !(same && code < at))) return;
        value = v;
        at = code;
    }
};
FN A powered(A v, int64_t p) { return p == 1 ? v : p == 2 ? v * v : v * v * v; }
FN A finished(const Pool &g, A sum, const INDEX *o)
{
    if (KIND == POOL_AVG) return sum / volume(g, o);
    if (KIND == POOL_LP && g.p_value == 2) return sqrt_(sum);
    if (KIND == POOL_LP && g.p_value == 3) return root3(sum);
    return sum;
}
