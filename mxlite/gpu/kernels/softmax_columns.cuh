/* Columns of (outer, k, inner), along the middle axis. A block has COLS columns and Y threads to a column, which share
 * out its k elements. */
#pragma once
#include "softmax_math.cuh"

template <class F> FN A column_join(A v, F join)
{
    __shared__ A part[Y][COLS];
    if (Y == 1) return v;
    __syncthreads();
    part[threadIdx.y][threadIdx.x] = v;
    __syncthreads();
    v = part[0][threadIdx.x];
    for (int i = 1; i < Y; i++) v = join(v, part[i][threadIdx.x]);
    return v;
}
FN A column_sum(A v) { return column_join(v, [](A a, A b) { return a + b; }); }
FN A column_max(A v) { return column_join(v, [](A a, A b) { return a > b ? a : b; }); }

/* The column's first element, and how many elements count for this thread: none for one behind the last column. */
#define COLUMN(k) \
    const int64_t column = (int64_t)blockIdx.x * COLS + threadIdx.x; \
    const bool inside = column < columns; \
    const int64_t first = inside ? column / inner * (k) * inner + column % inner : 0;
