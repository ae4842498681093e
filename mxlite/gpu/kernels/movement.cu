// Copies by size alone. Defined from outside: UNIT (bytes that travel together: 1, 2, 4, 8 or 16), for `choose` CUNIT
// (of the condition) and V, and WIDE where positions need 64 bits.
#include "units.cuh"

// Two strides an axis, the fastest axis first; families/movement.py packs it.
struct Box { int64_t n, from, to; D dims[16]; int64_t src[16], dst[16]; };
FN void place(const Box &b, I i, int64_t first, int64_t &s, int64_t &d)
{
    s = b.from, d = b.to;
#pragma unroll
    for (int k = 0; k < 16; k++) {
        if (k < first) continue;
        if (k >= b.n) break;
        const I q = over(b.dims[k], i), r = i - q * b.dims[k].d;
        s += (int64_t)r * b.src[k];
        d += (int64_t)r * b.dst[k];
        i = q;
    }
}

KERNEL strided(const U *x, U *y, int64_t total, Box b)
{
    const int64_t i = THREAD;
    if (i >= total) return;
    int64_t s, d;
    place(b, (I)i, 0, s, d);
    y[d] = x[s];
}

// Axis 0 is the result's fastest and axis 1 the source's: tiles turn in shared memory.
#if UNIT <= 8
KERNEL turned(const U *x, U *y, int64_t n0, int64_t n1, int64_t tiles0, int64_t tiles1, Box b)
{
    __shared__ U tile[32][33];
    int64_t t = blockIdx.x;
    const int64_t i0 = t % tiles0 * 32, i1 = t / tiles0 % tiles1 * 32;
    int64_t s, d;
    place(b, (I)(t / tiles0 / tiles1), 2, s, d);
    for (int k = threadIdx.y; k < 32; k += blockDim.y) {
        const int64_t a = i0 + k, c = i1 + threadIdx.x;
        if (a < n0 && c < n1) tile[k][threadIdx.x] = x[s + a * b.src[0] + c];
    }
    __syncthreads();
    for (int k = threadIdx.y; k < 32; k += blockDim.y) {
        const int64_t a = i0 + threadIdx.x, c = i1 + k;
        if (a < n0 && c < n1) y[d + a + c * b.dst[1]] = tile[threadIdx.x][k];
    }
}

// A number to every place of a box.
KERNEL fill_box(uint64_t value, U *y, int64_t total, Box b)
{
    const int64_t i = THREAD;
    if (i >= total) return;
    int64_t s, d;
    place(b, (I)i, 0, s, d);
    y[d] = (U)value;
}
#endif

KERNEL zero(U *y, int64_t total)
{
    const U none = {};
    for (int64_t i = THREAD; i < total; i += THREADS) y[i] = none;
}

// Pieces of a row, one a value of blockIdx.y: to or from where they stand in the whole.
struct Pieces { U *data[16]; int64_t at[16]; D length[16]; };
KERNEL pieces(U *whole, int64_t row, int64_t outer, int join, Pieces p)
{
    U *const piece = p.data[blockIdx.y];
    const D length = p.length[blockIdx.y];
    const int64_t total = outer * length.d, at = p.at[blockIdx.y];
    for (int64_t i = THREAD; i < total; i += THREADS) {
        const I r = over(length, (I)i);
        U *const w = whole + (int64_t)r * row + at + (i - (int64_t)r * length.d);
        if (join) *w = piece[i];
        else piece[i] = *w;
    }
}

// y0 takes a where the condition holds, else b (none: zero); y1 the other way round with a alone. `bits` leaves out the
// sign of a float.
#if UNIT <= 8
#ifndef CUNIT
#define CUNIT 4
#define V 1
#endif
typedef unit_of<CUNIT>::type W;
KERNEL choose(const W *c, const U *a, const U *b, U *y0, U *y1, int64_t n, uint64_t bits, D inner)
{
    const int64_t i = THREAD * V;
    if (i >= n) return;
    pack<U, V> p, q, r0, r1;
    pack<W, V> m;
    if (V > 1) m = *(const pack<W, V> *)(c + i);
    else m.v[0] = c[over(inner, (I)i)];
    p = *(const pack<U, V> *)(a + i);
    if (b) q = *(const pack<U, V> *)(b + i);
#pragma unroll
    for (int j = 0; j < V; j++) {
        const bool holds = (m.v[j] & (W)bits) != 0;
        r0.v[j] = holds ? p.v[j] : b ? q.v[j] : (U)0;
        r1.v[j] = holds ? (U)0 : p.v[j];
    }
    if (y0) *(pack<U, V> *)(y0 + i) = r0;
    if (y1) *(pack<U, V> *)(y1 + i) = r1;
}

// Padding: which element of an axis of n stands at place i of the bordered axis, or -1.
enum { PAD_CONSTANT, PAD_EDGE, PAD_REFLECT };
struct Border { int64_t ndim, mode, in[8], before[8]; D out[8]; };      // the fastest axis first
FN int64_t pad_source(int64_t i, int64_t n, int64_t mode)
{
    if ((uint64_t)i < (uint64_t)n) return i;
    if (mode == PAD_CONSTANT) return -1;
    if (mode == PAD_EDGE) return i < 0 ? 0 : n - 1;
    return i < 0 ? -i : 2 * (n - 1) - i;
}
KERNEL bordered(const U *x, U *y, int64_t n, uint64_t value, Border p)
{
    const int64_t i = THREAD;
    if (i >= n) return;
    I rest_ = (I)i;
    int64_t at = 0, step = 1;
    bool inside = true;
#pragma unroll
    for (int k = 0; k < 8; k++) {
        if (k >= p.ndim) break;
        const I q = over(p.out[k], rest_);
        const int64_t j = pad_source((int64_t)(rest_ - q * p.out[k].d) - p.before[k], p.in[k], p.mode);
        inside = inside && j >= 0;
        at += j * step;
        step *= p.in[k];
        rest_ = q;
    }
    y[i] = inside ? x[at] : (U)value;
}
#endif
