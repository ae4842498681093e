/* Packs of VEC elements of (outer, channels, inner), and where they lie. */
#pragma once
#include "softmax_math.cuh"

typedef pack<T, VEC> Pack;

/* Element `i` of channel c, all its runs of `inner` put end to end. */
FN int64_t run_place(int64_t i, int64_t c, int64_t channels, int64_t inner)
{
    const int64_t o = (INDEX)i / (INDEX)inner;
    return (o * channels + c) * inner + (i - o * inner);
}

/* n <= VEC elements from x on. */
FN void load(const T *x, int n, A *v)
{
    if (n == VEC) {
        const Pack w = *(const Pack *)x;
        #pragma unroll
        for (int e = 0; e < VEC; e++) v[e] = up(w.v[e]);
    } else {
        #pragma unroll
        for (int e = 0; e < VEC; e++) v[e] = e < n ? up(x[e]) : (A)0;
    }
}
FN void store(T *y, int n, const A *v)
{
    if (n == VEC) {
        Pack w;
        #pragma unroll
        for (int e = 0; e < VEC; e++) w.v[e] = down(v[e]);
        *(Pack *)y = w;
    } else {
        #pragma unroll
        for (int e = 0; e < VEC; e++) if (e < n) y[e] = down(v[e]);
    }
}

/* The channel of every element of a pack: f(e, channel, is it another one than before?). */
template <class F> FN void channels_of(INDEX at, INDEX channels, INDEX inner, F f)
{
    const INDEX row = at / inner;
    INDEX rest = at - row * inner, c = row % channels;
    #pragma unroll
    for (int e = 0; e < VEC; e++) {
        f(e, c, e == 0 || rest == 0);
        if (++rest == inner) {
            rest = 0;
            if (++c == channels) c = 0;
        }
    }
}
