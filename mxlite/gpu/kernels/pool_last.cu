/* Pooling where channels lie last: a thread takes VEC neighbouring channels of an output, and of an input backward. */
#include "pool_window.cuh"

typedef pack<T, VEC> Pack;
typedef pack<CODE, VEC> Codes;
typedef pack<A, VEC> Wide;

/* Unit number i as image, place in the image and first channel. */
FN void unit_at(const Pool &g, INDEX i, const int64_t *size, INDEX &n, INDEX *at, INDEX &c)
{
    const INDEX lanes = (INDEX)g.channels / VEC, pixel = i / lanes;
    const INDEX row = pixel / (INDEX)size[2], deep = row / (INDEX)size[1];
    c = (i - pixel * lanes) * VEC;
    n = deep / (INDEX)size[0];
    at[2] = pixel - row * (INDEX)size[2];
    at[1] = row - deep * (INDEX)size[1];
    at[0] = deep - n * (INDEX)size[0];
}

/* Where channel c of an element lies. */
FN int64_t lies(const Pool &g, INDEX n, const int64_t *size, INDEX d, INDEX h, INDEX w, INDEX c)
{
    return ((((int64_t)n * size[0] + d) * size[1] + h) * size[2] + w) * g.channels + c;
}

KERNEL __launch_bounds__(256, 1) forward_last(const T *x, T *y, CODE *codes, const Pool g, int64_t units)
{
    for (int64_t i = THREAD; i < units; i += THREADS) {
        INDEX n, o[3], c, z0, z1, y0, y1, x0, x1;
        unit_at(g, (INDEX)i, g.dst, n, o, c);
        inside(g, 0, o[0], z0, z1);
        inside(g, 1, o[1], y0, y1);
        inside(g, 2, o[2], x0, x1);
        Best best[VEC];
        A sum[VEC];
        #pragma unroll
        for (int e = 0; e < VEC; e++) { best[e].value = 0; best[e].at = -1; sum[e] = 0; }
        for (INDEX a = z0; a < z1; a++) for (INDEX b = y0; b < y1; b++) for (INDEX w = x0; w < x1; w++) {
            const Pack v = *(const Pack *)(x + lies(g, n, g.src, a, b, w, c));
            const INDEX code = code_of(g, o, a, b, w);
            #pragma unroll
            for (int e = 0; e < VEC; e++) {
                if (KIND == POOL_MAX) best[e].offer(up(v.v[e]), code);
                else sum[e] += KIND == POOL_LP ? powered(up(v.v[e]), g.p_value) : up(v.v[e]);
            }
        }
        Pack r;
        Codes k;
        #pragma unroll
        for (int e = 0; e < VEC; e++) {
            if (KIND == POOL_MAX) {
                r.v[e] = best[e].at < 0 ? (T)LOWEST : down(best[e].value);
                k.v[e] = (CODE)best[e].at;
            } else r.v[e] = down(finished(g, sum[e], o));
        }
        if (y) *(Pack *)(y + i * VEC) = r;
        if (KIND == POOL_MAX && codes) *(Codes *)(codes + i * VEC) = k;
    }
}

/* See pool_backward.cu. */
KERNEL __launch_bounds__(256, 1) backward_last(const T *dy, const CODE *codes, const T *x, const A *each, T *dx,
                                            const Pool g, int64_t units)
{
    for (int64_t i = THREAD; i < units; i += THREADS) {
        INDEX n, at[3], c, d0, d1, h0, h1, w0, w1;
        unit_at(g, (INDEX)i, g.src, n, at, c);
        covering(g, 0, at[0], d0, d1);
        covering(g, 1, at[1], h0, h1);
        covering(g, 2, at[2], w0, w1);
        A sum[VEC];
        #pragma unroll
        for (int e = 0; e < VEC; e++) sum[e] = 0;
        #pragma unroll 1
        for (INDEX d = d0; d < d1; d++)
        #pragma unroll 1
        for (INDEX h = h0; h < h1; h++)
        #pragma unroll 1
        for (INDEX w = w0; w < w1; w++) {
            const int64_t from = lies(g, n, g.dst, d, h, w, c);
            if (KIND == POOL_MAX) {
                const INDEX o[3] = {d, h, w}, code = code_of(g, o, at[0], at[1], at[2]);
                const Codes k = *(const Codes *)(codes + from);
                const Pack v = *(const Pack *)(dy + from);
                #pragma unroll
                for (int e = 0; e < VEC; e++) if (k.v[e] == code) sum[e] += up(v.v[e]);
            } else if (each) {
                const Wide v = *(const Wide *)(each + from);
                #pragma unroll
                for (int e = 0; e < VEC; e++) sum[e] += v.v[e];
            } else {
                const Pack v = *(const Pack *)(dy + from);
                #pragma unroll
                for (int e = 0; e < VEC; e++) sum[e] += up(v.v[e]);
            }
        }
        Pack r;
        if (KIND == POOL_LP && each) {
            const Pack p = *(const Pack *)(x + i * VEC);
            #pragma unroll
            for (int e = 0; e < VEC; e++) sum[e] *= g.p_value == 2 ? up(p.v[e]) : up(p.v[e]) * up(p.v[e]);
        }
        #pragma unroll
        for (int e = 0; e < VEC; e++) r.v[e] = down(sum[e]);
        *(Pack *)(dx + i * VEC) = r;
    }
}
