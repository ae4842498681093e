// The gradient of a lookup: rows of dy added to the rows that their tuples name, in the order of the tuples. Defined
// from outside: TYPE, INDEX, UNIT (of T) and WIDE as in index.cu.
#include "index.cu"
#include "index_sort.cuh"
typedef TYPE T;
typedef computing<T>::type C;

// Row numbers of the tuples as keys; what is out of range gets the number behind the last.
KERNEL keys(const INDEX *index, uint32_t *key, uint32_t *place, int64_t rows, Rows p, int *error)
{
    const int64_t k = THREAD;
    if (k >= p.count) return;
    const int64_t row = row_at(p, index, k);
    if (row < 0) *error = 1;
    key[k] = (uint32_t)(row < 0 ? rows : row);
    place[k] = (uint32_t)k;
}

// Threads over columns and sorted tuples: the first tuple of each row adds up all that follow it.
KERNEL add_rows(const T *dy, const uint32_t *key, const uint32_t *place, T *dx, int64_t count, int64_t rows,
                int64_t inner, int64_t outer)
{
    const int64_t p = (int64_t)blockIdx.x * blockDim.y + threadIdx.y;
    if (p >= count) return;
    const uint32_t row = key[p];
    if (row >= rows || (p && key[p - 1] == row)) return;
    const int64_t first = (int64_t)blockIdx.y * blockDim.x + threadIdx.x;
    for (int64_t o = blockIdx.z; o < outer; o += gridDim.z)
        for (int64_t c = first; c < inner; c += (int64_t)gridDim.y * blockDim.x) {
            C sum = 0;
            for (int64_t q = p; q < count && key[q] == row; q++)
                sum += get<C>(dy[(o * count + place[q]) * inner + c]);
            dx[(o * rows + row) * inner + c] = put<T>(sum);
        }
}
