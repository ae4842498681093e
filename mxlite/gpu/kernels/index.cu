// Lookups and scatters by index. Defined from outside: INDEX (the dtype of indices), UNIT (bytes that travel together),
// and WIDE where positions need 64 bits.
//
// A tensor is (outer, rows, inner); tuple k of the indices (m, count) names a row by its position in `dims`. A tuple
// out of range reads and writes nothing but *error; gathers put zeros.
#include "units.cuh"

struct Rows { int64_t m, count, mode, dims[8]; };
enum { CLIP, WRAP, RAISE, NEGATIVE };

template <class T> FN int64_t whole(T v) { return is_float<T>::value ? to_i64(get<double>(v)) : get<int64_t>(v); }
FN int64_t inside(int64_t i, int64_t n, int64_t mode)
{
    if ((uint64_t)i < (uint64_t)n) return i;
    if (n <= 0) return -1;
    if (mode == CLIP) return i < 0 ? 0 : n - 1;
    if (mode == WRAP) { i %= n; return i < 0 ? i + n : i; }
    if (mode == NEGATIVE && i < 0 && i >= -n) return i + n;
    return -1;
}
FN int64_t row_at(const Rows &p, const INDEX *index, int64_t k)
{
    int64_t at = 0;
    for (int64_t d = 0; d < p.m; d++) {
        const int64_t j = inside(whole(index[d * p.count + k]), p.dims[d], p.mode);
        if (j < 0) return -1;
        at = at * p.dims[d] + j;
    }
    return at;
}

KERNEL gather(const U *x, const INDEX *index, U *y, int64_t total, int64_t rows, D inner, D count, Rows p, int *error)
{
    const int64_t i = THREAD;
    if (i >= total) return;
    const I q = over(inner, (I)i), o = over(count, q);
    const int64_t row = row_at(p, index, q - (int64_t)o * count.d);
    U v = {};
    if (row >= 0) v = x[(o * rows + row) * inner.d + (i - (int64_t)q * inner.d)];
    else *error = 1;
    y[i] = v;
}

// scatter: which tuple comes last for a row, plus 1; then every element of the result asks for it.
KERNEL winners(const INDEX *index, int *winner, Rows p, int *error)
{
    const int64_t k = THREAD;
    if (k >= p.count) return;
    const int64_t row = row_at(p, index, k);
    if (row >= 0) atomicMax(winner + row, (int)(k + 1));
    else *error = 1;
}
KERNEL scatter(const U *x, const int *winner, U *y, int64_t total, int64_t count, D inner, D rows)
{
    const int64_t i = THREAD;
    if (i >= total) return;
    const I q = over(inner, (I)i), o = over(rows, q);
    const int k = winner[q - (int64_t)o * rows.d];
    U v = {};
    if (k) v = x[((int64_t)o * count + k - 1) * inner.d + (i - (int64_t)q * inner.d)];
    y[i] = v;
}

// pick: one element along an axis for every position of the others.
KERNEL pick(const U *x, const INDEX *index, U *y, int64_t total, int64_t n, D inner, int64_t mode)
{
    const int64_t k = THREAD;
    if (k >= total) return;
    const I o = over(inner, (I)k);
    const int64_t row = inside(whole(index[k]), n, mode);
    U v = {};
    if (row >= 0) v = x[(o * n + row) * inner.d + (k - (int64_t)o * inner.d)];
    y[k] = v;
}
KERNEL pick_backward(const U *dy, const INDEX *index, U *dx, int64_t total, D n, D inner, int64_t mode)
{
    const int64_t i = THREAD;
    if (i >= total) return;
    const I q = over(inner, (I)i), o = over(n, q);
    const int64_t k = (int64_t)o * inner.d + (i - (int64_t)q * inner.d);
    U v = {};
    if (inside(whole(index[k]), n.d, mode) == (int64_t)(q - o * n.d)) v = dy[k];
    dx[i] = v;
}
#if UNIT <= 8
KERNEL one_hot(const INDEX *index, U *y, int64_t total, D depth, uint64_t on, uint64_t off)
{
    const int64_t i = THREAD;
    if (i >= total) return;
    const I q = over(depth, (I)i);
    y[i] = whole(index[q]) == i - (int64_t)q * depth.d ? (U)on : (U)off;
}
#endif
