// Reductions over groups of axes. Defined from outside: ELEMENT (the dtype), RESULT (the result's), OPERATION (what is
// accumulated), VALUE (the type that values come in), POST, VECTOR (neighbours of a load), and WIDE where positions
// need 64 bits.
//
// Results lie over the groups that are kept; the elements of one over those that are reduced. Each result may be cut
// into parts, whose accumulators go to `work` and are joined by `finish`: all orders follow from the shape.
#include "reduce.cuh"
#include "units.cuh"
typedef ELEMENT X;
typedef RESULT Y;
typedef OPERATION O;
typedef VALUE C;
typedef O::A A;
enum { BLOCK = 256, V = VECTOR };

FN void give(A a, int64_t o, int64_t part, int64_t results, Y *y, A *work, double n)
{
    if (work) work[part * results + o] = a;
    else y[o] = last<Y, POST>(a, n);
}

// The last group is reduced: `lanes` threads (a power of two, up to a warp; or a whole block) make one part.
KERNEL rows(const X *x, Y *y, A *work, int64_t results, int64_t count, int64_t each, int64_t parts, int lanes, D width,
            NestOf<D> kept, NestOf<D> reduced, double n)
{
    const int64_t id = THREAD / lanes, part = id / results, o = id - part * results;
    const int lane = (int)(THREAD % lanes);
    A a = O::first();
    if (part < parts) {
        const X *from = x + place(kept, (I)o);
        const int64_t end = (part + 1) * each < count ? (part + 1) * each : count;
#pragma unroll 4
        for (int64_t e = part * each + lane * V; e < end; e += (int64_t)lanes * V) {
            const I row = over(width, (I)e);
            const pack<X, V> p = *(const pack<X, V> *)(from + place(reduced, row) + (e - (int64_t)row * width.d));
            if (V >= 4) {
#pragma unroll
                for (int j = 0; j + 3 < V; j += 4) {
                    C v[4];
#pragma unroll
                    for (int k = 0; k < 4; k++) v[k] = get<C>(p.v[j + k < V ? j + k : 0]);
                    a = four<O, C>::of(a, v[0], v[1], v[2], v[3], e + j, 1);
                }
            } else {
#pragma unroll
                for (int j = 0; j < V; j++) a = O::add(a, get<C>(p.v[j]), e + j);
            }
        }
    }
    for (int m = (lanes < 32 ? lanes : 32) / 2; m; m >>= 1) a = O::join(a, across(a, m));
    if (lanes > 32) {
        __shared__ A warps[BLOCK / 32];
        if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = a;
        __syncthreads();
        if (threadIdx.x == 0) for (int w = 1; w < BLOCK / 32; w++) a = O::join(a, warps[w]);
    }
    if (lane == 0 && part < parts) give(a, o, part, results, y, work, n);
}

// The last group is kept: a block has blockDim.x neighbouring results, and blockDim.y threads for each.
KERNEL cols(const X *x, Y *y, A *work, int64_t results, int64_t count, int64_t each, int64_t across_, int64_t tiles,
            NestOf<D> kept, NestOf<D> reduced, double n)
{
    __shared__ A shared[BLOCK];
    const int64_t k = blockIdx.x / tiles, col = blockIdx.x % tiles * blockDim.x + threadIdx.x, part = blockIdx.y;
    const int step = blockDim.y, me = threadIdx.y * blockDim.x + threadIdx.x;
    A a = O::first();
    if (col < across_) {
        const X *from = x + place(kept, (I)k) + col;
        const int64_t end = (part + 1) * each < count ? (part + 1) * each : count;
        int64_t r = part * each + threadIdx.y;
        for (; r + 3 * step < end; r += 4 * step) {
            const C p = get<C>(from[place(reduced, (I)r)]), q = get<C>(from[place(reduced, (I)(r + step))]);
            const C s = get<C>(from[place(reduced, (I)(r + 2 * step))]);
            const C t = get<C>(from[place(reduced, (I)(r + 3 * step))]);
            a = four<O, C>::of(a, p, q, s, t, r, step);
        }
        for (; r < end; r += step) a = O::add(a, get<C>(from[place(reduced, (I)r)]), r);
    }
    shared[me] = a;
    __syncthreads();
    if (threadIdx.y || col >= across_) return;
    for (int w = 1; w < step; w++) a = O::join(a, shared[w * blockDim.x + threadIdx.x]);
    give(a, k * across_ + col, part, results, y, work, n);
}

// One warp a result: the accumulators of its parts.
KERNEL finish(const A *work, Y *y, int64_t results, int64_t parts, double n)
{
    const int64_t o = THREAD / 32;
    A a = O::first();
    if (o < results) for (int64_t p = threadIdx.x % 32; p < parts; p += 32) a = O::join(a, work[p * results + o]);
    for (int m = 16; m; m >>= 1) a = O::join(a, across(a, m));
    if (o < results && threadIdx.x % 32 == 0) y[o] = last<Y, POST>(a, n);
}
