/* Sorting rows of (outer, n, inner). An element becomes an integer that orders as it does (NaN the largest, -0 as 0;
 * turned round for descending order) with its place behind it: no two are equal, so any way of sorting gives the one
 * stable order. Bitonic networks: SPAN elements at a time in shared memory, longer rows in the workspace. TYPE: the
 * elements, INDEXED: the dtype of indices, WIDE: keys of 64 bits. */
#include "common.cuh"

typedef TYPE T;
#if WIDE
struct __align__(16) Entry { uint64_t key; uint64_t place; };
FN bool before(const Entry &a, const Entry &b) { return a.key < b.key || (a.key == b.key && a.place < b.place); }
FN Entry make(uint64_t key, int64_t place) { Entry e; e.key = key; e.place = (uint64_t)place; return e; }
FN int64_t place_of(const Entry &e) { return (int64_t)e.place; }
#else
typedef uint64_t Entry;
FN bool before(Entry a, Entry b) { return a < b; }
FN Entry make(uint64_t key, int64_t place) { return key >> 32 << 32 | (uint64_t)place; }
FN int64_t place_of(Entry e) { return (int64_t)(e & 0xffffffffu); }
#endif

/* The key, its first bits those that count. */
FN uint64_t key_of(float x)
{
    x += 0.0f;
    const int b = __float_as_int(x);
    const uint32_t k = (uint32_t)(x != x ? INT32_MAX : b ^ (b >> 31 & INT32_MAX)) ^ 0x80000000u;
    return (uint64_t)k << 32;
}
FN uint64_t key_of(double x)
{
    x += 0.0;
    const int64_t b = __double_as_longlong(x);
    return (uint64_t)(x != x ? INT64_MAX : b ^ (b >> 63 & INT64_MAX)) ^ 0x8000000000000000u;
}
FN uint64_t key_of(int32_t x) { return (uint64_t)((uint32_t)x ^ 0x80000000u) << 32; }
FN uint64_t key_of(int64_t x) { return (uint64_t)x ^ 0x8000000000000000u; }
FN uint64_t key_of(int8_t x) { return key_of((int32_t)x); }
FN uint64_t key_of(uint8_t x) { return key_of((int32_t)x); }
FN uint64_t key_of(__half x) { return key_of(__half2float(x)); }
FN uint64_t key_of(__nv_bfloat16 x) { return key_of(__bfloat162float(x)); }

struct Sort { int64_t n, inner, k, span; int turn; };       /* span: a row's length in the workspace, a power of two */

FN Entry entry_of(const Sort &a, const T *x, int64_t i)
{
    if (i >= a.n) return make(~(uint64_t)0, i);             /* behind everything: its place is larger, too */
    const uint64_t key = key_of(x[i * a.inner]);
    return make(a.turn ? ~key : key, i);
}

FN void put_row(const Sort &a, int64_t row, int64_t j, int64_t place, const T *x, T *value, INDEXED *index, T *mask)
{
    if (j >= a.k) return;
    const int64_t o = row / a.inner, i = row % a.inner, at = (o * a.k + j) * a.inner + i;
    if (value) value[at] = x[place * a.inner];
    if (index) index[at] = put<INDEXED>(place);
    if (mask) mask[(o * a.n + place) * a.inner + i] = put<T>((int64_t)1);
}

/* Steps of distance `from` and below of the stage `size`, of SPAN entries, of which the first is number `base`. */
FN void merge(Entry *e, int64_t base, int64_t size, int from)
{
    for (int d = from; d; d >>= 1) {
        __syncthreads();
        for (int t = threadIdx.x; t < SPAN / 2; t += blockDim.x) {
            const int i = 2 * t - (t & (d - 1)), k = i + d;
            const bool up = ((base + i) & size) == 0;
            const Entry p = e[i], q = e[k];
            if (before(q, p) == up) { e[i] = q; e[k] = p; }
        }
    }
    __syncthreads();
}

/* Rows of at most SPAN elements, from beginning to end. */
KERNEL __launch_bounds__(256, 1) sort_short(const T *x, T *value, INDEXED *index, T *mask, int64_t rows, const Sort a)
{
    __shared__ Entry e[SPAN];
    for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
        const T *from = x + row / a.inner * a.n * a.inner + row % a.inner;
        for (int i = threadIdx.x; i < SPAN; i += blockDim.x) e[i] = entry_of(a, from, i);
        for (int size = 2; size <= SPAN; size *= 2) merge(e, 0, size == SPAN ? (int64_t)1 << 62 : size, size / 2);
        for (int j = threadIdx.x; j < a.k; j += blockDim.x)
            put_row(a, row, j, place_of(e[j]), from, value, index, mask);
        __syncthreads();
    }
}

/* SPAN entries of a long row, by themselves, up to stage SPAN; the next stage turns every other block round. */
KERNEL __launch_bounds__(256, 1) sort_blocks(const T *x, Entry *work, int64_t rows, const Sort a)
{
    __shared__ Entry e[SPAN];
    const int64_t each = a.span / SPAN, row = blockIdx.x / each, base = blockIdx.x % each * SPAN;
    const T *from = x + row / a.inner * a.n * a.inner + row % a.inner;
    for (int i = threadIdx.x; i < SPAN; i += blockDim.x) e[i] = entry_of(a, from, base + i);
    for (int size = 2; size <= SPAN; size *= 2) merge(e, base, size, size / 2);
    for (int i = threadIdx.x; i < SPAN; i += blockDim.x) work[row * a.span + base + i] = e[i];
}

/* One step of distance `d` >= SPAN of stage `size`. */
KERNEL __launch_bounds__(256, 1) sort_step(Entry *work, int64_t pairs, int64_t span, int64_t size, int64_t d)
{
    for (int64_t t = THREAD; t < pairs; t += THREADS) {
        const int64_t i = 2 * t - (t & (d - 1)), k = i + d;
        const bool up = (i & (span - 1) & size) == 0;
        const Entry p = work[i], q = work[k];
        if (before(q, p) == up) { work[i] = q; work[k] = p; }
    }
}

/* The rest of stage `size`, within SPAN entries. */
KERNEL __launch_bounds__(256, 1) sort_merge(Entry *work, int64_t span, int64_t size)
{
    __shared__ Entry e[SPAN];
    const int64_t start = (int64_t)blockIdx.x * SPAN;
    for (int i = threadIdx.x; i < SPAN; i += blockDim.x) e[i] = work[start + i];
    merge(e, start & (span - 1), size, SPAN / 2);
    for (int i = threadIdx.x; i < SPAN; i += blockDim.x) work[start + i] = e[i];
}

KERNEL sort_put(const T *x, const Entry *work, T *value, INDEXED *index, T *mask, int64_t rows, const Sort a)
{
    for (int64_t t = THREAD; t < rows * a.k; t += THREADS) {
        const int64_t row = t / a.k, j = t - row * a.k;
        const T *from = x + row / a.inner * a.n * a.inner + row % a.inner;
        put_row(a, row, j, place_of(work[row * a.span + j]), from, value, index, mask);
    }
}

KERNEL zero(T *y, int64_t n) { for (int64_t i = THREAD; i < n; i += THREADS) y[i] = put<T>((int64_t)0); }
