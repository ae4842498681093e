/* The gradient of pooling: every element of the input adds up, in order, what the windows that cover it give. */
#include "pool_window.cuh"

/* What a window's elements have in common in the derivative of its average, or of its p-norm for p 2 or 3. */
KERNEL scale(const T *dy, const T *y, A *each, const Pool g, int64_t size)
{
    for (int64_t i = THREAD; i < size; i += THREADS) {
        if (KIND == POOL_AVG) {
            INDEX plane, o[3];
            split(g, (INDEX)i, g.dst, plane, o);
            each[i] = up(dy[i]) / volume(g, o);
        } else {
            const A v = up(y[i]);
            each[i] = v == 0 ? (A)0 : up(dy[i]) / (g.p_value == 2 ? v : v * v);
        }
    }
}

/* `each`: that of every window where the kind is such. */
KERNEL __launch_bounds__(256, 1) backward(const T *dy, const CODE *codes, const T *x, const A *each, T *dx,
                                       const Pool g, int64_t size)
{
    for (int64_t i = THREAD; i < size; i += THREADS) {
        INDEX plane, at[3], d0, d1, h0, h1, w0, w1;
        split(g, (INDEX)i, g.src, plane, at);
        const Plane p = plane_at(g, plane, g.dst);
        covering(g, 0, at[0], d0, d1);
        covering(g, 1, at[1], h0, h1);
        covering(g, 2, at[2], w0, w1);
        A sum = 0;
        #pragma unroll 1
        for (INDEX d = d0; d < d1; d++)
        #pragma unroll 1
        for (INDEX h = h0; h < h1; h++)
        #pragma unroll 1
        for (INDEX w = w0; w < w1; w++) {
            const int64_t from = p.first + (((int64_t)d * g.dst[1] + h) * g.dst[2] + w) * p.step;
            if (KIND == POOL_MAX) {
                const INDEX o[3] = {d, h, w};
                if (codes[from] == code_of(g, o, at[0], at[1], at[2])) sum += up(dy[from]);
            } else if (each) {
                sum += each[from];
            } else sum += up(dy[from]);
        }
        if (KIND == POOL_LP && each) {
            const A v = up(x[i]);
            sum *= g.p_value == 2 ? v : v * v;
        }
        dx[i] = down(sum);
    }
}
