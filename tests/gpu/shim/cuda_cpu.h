// Runs CUDA C++ kernels on the processor: one fiber a CUDA thread, one block at a time, one kernel at a time.
//
// Threads of a block take turns; a thread keeps running until it ends or meets a barrier or shuffle, so that missing
// barriers show as wrong numbers (run with `reversed` as well: then the last thread comes first). Shared memory is
// filled with 0xff bytes (dynamic) or keeps what the last block left (static).
#pragma once
#include <sys/mman.h>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>
#include "fiber.h"
#include "cuda_types.h"

struct dim3 { unsigned x, y, z; };
static dim3 threadIdx, blockIdx, blockDim, gridDim;
static const int warpSize = 32;
#define __CUDA_SHIM__ 1
#define __CUDA_ARCH__ 900
#define __CUDACC__ 1
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__
#define __shared__ static
#define __restrict__
#define __align__(n) alignas(n)
#define __launch_bounds__(...)
#define __constant__ static const
#define __grid_constant__
#define CUDART_INF_F __builtin_inff()

namespace cc {
enum { STACK = 1 << 17, MOST = 1024, DYNAMIC = 1 << 18 };
struct Thread { Fiber fiber; bool done; dim3 at; };
static Fiber scheduler;
static Thread threads[MOST];
static char *stacks;
static int cur, count, living, block_phase, block_here;
static int warp_phase[32], warp_here[32], warp_living[32];
alignas(16) static char slots[MOST][16];
alignas(256) static unsigned char dynamic_[DYNAMIC];
static void (*body)(void *);
static void *body_arg;
static bool reversed;

static inline void yield() { fiber_switch(&threads[cur].fiber, &scheduler); }
static inline void leave_barriers()
{
    int w = cur / 32;
    living--, warp_living[w]--;
    if (block_here && block_here == living) block_here = 0, block_phase++;
    if (warp_here[w] && warp_here[w] == warp_living[w]) warp_here[w] = 0, warp_phase[w]++;
}
static void start()
{
    body(body_arg);
    threads[cur].done = true;
    leave_barriers();
    for (;;) yield();
}
static inline void sync()
{
    int phase = block_phase;
    if (++block_here == living) block_here = 0, block_phase++;
    while (phase == block_phase) yield();
}
static inline void warp_sync()
{
    int w = cur / 32, phase = warp_phase[w];
    if (++warp_here[w] == warp_living[w]) warp_here[w] = 0, warp_phase[w]++;
    while (phase == warp_phase[w]) yield();
}
template <class T> static T exchange(T v, int src)
{
    static_assert(sizeof(T) <= 16, "a shuffle moves at most 16 bytes here");
    int base = cur / 32 * 32;
    memcpy(slots[cur], &v, sizeof v);
    warp_sync();
    if (base + src >= count) src = cur - base;
    T r;
    memcpy(&r, slots[base + src], sizeof r);
    warp_sync();
    return r;
}
static void run(dim3 grid, dim3 block, unsigned shared, void (*f)(void *), void *arg)
{
    body = f, body_arg = arg, gridDim = grid, blockDim = block;
    count = block.x * block.y * block.z;
    if (count > MOST || shared > DYNAMIC) { fprintf(stderr, "block or shared memory too large\n"); abort(); }
    if (!stacks) stacks = (char *)mmap(0, (size_t)STACK * MOST, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (unsigned z = 0; z < grid.z; z++) for (unsigned y = 0; y < grid.y; y++) for (unsigned x = 0; x < grid.x; x++) {
        blockIdx = {x, y, z};
        memset(dynamic_, 0xff, shared);
        living = count, block_here = 0;
        for (int w = 0; w < 32; w++) warp_here[w] = warp_living[w] = 0;
        for (unsigned i = 0; i < (unsigned)count; i++) {
            Thread &t = threads[i];
            t.done = false;
            t.at = {i % block.x, i / block.x % block.y, i / (block.x * block.y)};
            warp_living[i / 32]++;
            fiber_make(&t.fiber, stacks + (size_t)i * STACK, STACK, start);
        }
        while (living) for (int k = 0; k < count; k++) {
            cur = reversed ? count - 1 - k : k;
            if (threads[cur].done) continue;
            threadIdx = threads[cur].at;
            fiber_switch(&scheduler, &threads[cur].fiber);
        }
    }
}
template <class... A, size_t... I> static void call(void (*k)(A...), void **a, std::index_sequence<I...>)
{
    k(*(std::remove_const_t<A> *)a[I]...);
}
template <class... A> static int launch(void (*k)(A...), const unsigned *g, int n, void **a)
{
    if (n != (int)sizeof...(A)) return (int)sizeof...(A) + 1;
    static void (*kernel)(A...);
    static void **args;
    kernel = k, args = a, reversed = g[7];
    run({g[0], g[1], g[2]}, {g[3], g[4], g[5]}, g[6],
        [](void *) { call(kernel, args, std::index_sequence_for<A...>{}); }, nullptr);
    return 0;
}
template <class... A> static void sizes(void (*)(A...), int *to)
{
    int n = 0;
    ((to[n++] = (int)sizeof(A)), ...);
    to[n] = -1;
}
}

#define DYN_SHARED(T, n) T *n = (T *)cc::dynamic_
#define __syncthreads() cc::sync()
#define __syncwarp(...) cc::warp_sync()
// What all threads agree on before any of them goes on.
template <class F> static int agree(int v, F merge)
{
    static int all;
    cc::sync();
    all = 0;
    cc::sync();
    all = merge(all, v);
    cc::sync();
    return all;
}
static inline int __syncthreads_or(int v) { return agree(v != 0, [](int a, int b) { return a | b; }); }
static inline int __syncthreads_count(int v) { return agree(v != 0, [](int a, int b) { return a + b; }); }
static inline int __syncthreads_and(int v) { return !__syncthreads_or(!v); }
static inline int lane_() { return cc::cur % 32; }
template <class T> static T __shfl_sync(unsigned, T v, int s, int w = 32)
{
    return cc::exchange(v, lane_() / w * w + (s & (w - 1)));
}
template <class T> static T __shfl_xor_sync(unsigned, T v, int m, int w = 32)
{
    int l = lane_(), s = l ^ m;
    return cc::exchange(v, s / w == l / w ? s : l);
}
template <class T> static T __shfl_down_sync(unsigned, T v, int d, int w = 32)
{
    int l = lane_();
    return cc::exchange(v, l % w + d < w ? l + d : l);
}
template <class T> static T __shfl_up_sync(unsigned, T v, int d, int w = 32)
{
    int l = lane_();
    return cc::exchange(v, l % w >= d ? l - d : l);
}
static inline unsigned __ballot_sync(unsigned, int p)
{
    unsigned r = 0;
    int base = cc::cur / 32 * 32;
    memcpy(cc::slots[cc::cur], &p, 4);
    cc::warp_sync();
    for (int i = 0; i < 32 && base + i < cc::count; i++) {
        int q;
        memcpy(&q, cc::slots[base + i], 4);
        if (q && !cc::threads[base + i].done) r |= 1u << i;
    }
    cc::warp_sync();
    return r;
}
static inline int __any_sync(unsigned m, int p) { return __ballot_sync(m, p) != 0; }
static inline int __all_sync(unsigned m, int p) { return __ballot_sync(m, !p) == 0; }
static inline unsigned __activemask() { return 0xffffffffu; }
static inline void __threadfence() {}
static inline void __threadfence_block() {}

// Atomics exist for integers only: sums of floats in an order of chance are not allowed in this project.
template <class T, class = std::enable_if_t<std::is_integral<T>::value>> static T atomicAdd(T *p, T v)
{
    T old = *p;
    *p = old + v;
    return old;
}
#define SHIM_ATOMIC(name, e) template <class T, class = std::enable_if_t<std::is_integral<T>::value>> \
    static T name(T *p, T v) { T old = *p; *p = (e); return old; }
SHIM_ATOMIC(atomicMax, old > v ? old : v)
SHIM_ATOMIC(atomicMin, old < v ? old : v)
SHIM_ATOMIC(atomicOr, old | v)
SHIM_ATOMIC(atomicAnd, old & v)
SHIM_ATOMIC(atomicExch, v)
#undef SHIM_ATOMIC
template <class T> static T atomicCAS(T *p, T a, T v) { T old = *p; if (old == a) *p = v; return old; }

static inline unsigned __umulhi(unsigned a, unsigned b) { return (uint64_t)a * b >> 32; }
static inline int __mulhi(int a, int b) { return (int64_t)a * b >> 32; }
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b)
{
    return (unsigned __int128)a * b >> 64;
}
static inline int __popc(unsigned v) { return __builtin_popcount(v); }
static inline int __clz(int v) { return v ? __builtin_clz(v) : 32; }
static inline int __ffs(int v) { return __builtin_ffs(v); }
static inline float __int_as_float(int v) { float f; memcpy(&f, &v, 4); return f; }
static inline float __uint_as_float(unsigned v) { float f; memcpy(&f, &v, 4); return f; }
static inline int __float_as_int(float f) { int v; memcpy(&v, &f, 4); return v; }
static inline unsigned __float_as_uint(float f) { unsigned v; memcpy(&v, &f, 4); return v; }
static inline double __longlong_as_double(long long v) { double f; memcpy(&f, &v, 8); return f; }
static inline long long __double_as_longlong(double f) { long long v; memcpy(&v, &f, 8); return v; }
#define __expf expf
#define __logf logf
#define __log2f log2f
#define __powf powf
#define __sinf sinf
#define __cosf cosf
static inline float __fdividef(float a, float b) { return a / b; }
static inline float __frcp_rn(float a) { return 1 / a; }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __fsqrt_rn(float a) { return sqrtf(a); }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline float rsqrtf(float x) { return 1 / sqrtf(x); }
static inline double rsqrt(double x) { return 1 / sqrt(x); }
static inline void sincospif(float x, float *s, float *c)
{
    *s = sinf(x * 3.14159265358979f);
    *c = cosf(x * 3.14159265358979f);
}
template <class T> static T __ldg(const T *p) { return *p; }
template <class T> static T __ldcs(const T *p) { return *p; }
template <class T> static void __stcs(T *p, T v) { *p = v; }
template <class A, class B> static inline auto min(A a, B b) { return b < a ? b : a; }
template <class A, class B> static inline auto max(A a, B b) { return a < b ? b : a; }
