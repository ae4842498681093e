/* Sequences of different lengths in one array, (steps, batch, inner) or (batch, steps, inner). TYPE: the elements, or
 * where they are only moved an unsigned integer of their size; LENGTH: the dtype of lengths; FILL(v): a double as
 * TYPE. */
#include "common.cuh"

struct Sequence { int64_t steps, batch, inner, batch_first, use, size; };

FN int64_t whole(int64_t v) { return v; }
FN int64_t whole(float v) { return to_i64(v); }
FN int64_t whole(double v) { return to_i64(v); }

/* Steps of sequence n, within [0, steps]. */
FN int64_t length_of(const Sequence &a, const LENGTH *length, int64_t n)
{
    if (!a.use) return a.steps;
    const int64_t k = whole(get<computing<LENGTH>::type>(length[n]));
    return k < 0 ? 0 : k > a.steps ? a.steps : k;
}
FN int64_t row_of(const Sequence &a, int64_t t, int64_t n)
{
    return a.batch_first ? n * a.steps + t : t * a.batch + n;
}
/* Element i: step t of sequence n, `at` behind its start. */
FN void place(const Sequence &a, int64_t i, int64_t &t, int64_t &n, int64_t &at)
{
    const int64_t row = i / a.inner, major = a.batch_first ? a.steps : a.batch, high = row / major;
    at = i - row * a.inner;
    t = a.batch_first ? row - high * major : high;
    n = a.batch_first ? high : row - high * major;
}

KERNEL mask(const TYPE *x, const LENGTH *length, TYPE *y, const Sequence a, double value)
{
    const TYPE fill = FILL(value);
    for (int64_t i = THREAD; i < a.size; i += THREADS) {
        int64_t t, n, at;
        place(a, i, t, n, at);
        if (t >= length_of(a, length, n)) y[i] = fill;
        else if (x != y) y[i] = x[i];
    }
}

/* `size` is that of the smaller array: the last steps. A length below 1 sets the error word. */
KERNEL last(const TYPE *x, const LENGTH *length, TYPE *y, const Sequence a, int *error)
{
    for (int64_t i = THREAD; i < a.size; i += THREADS) {
        const int64_t n = i / a.inner, k = length_of(a, length, n);
        if (k < 1) *error = 1;
        else y[i] = x[row_of(a, k - 1, n) * a.inner + (i - n * a.inner)];
    }
}

/* Every element of the larger array: dy at the last steps, else 0. */
KERNEL last_backward(const TYPE *dy, const LENGTH *length, TYPE *dx, const Sequence a, int *error)
{
    for (int64_t i = THREAD; i < a.size; i += THREADS) {
        int64_t t, n, at;
        place(a, i, t, n, at);
        const int64_t k = length_of(a, length, n);
        if (k < 1) *error = 1;
        dx[i] = t == k - 1 ? dy[n * a.inner + at] : (TYPE)0;
    }
}

/* Lengths of sequences without elements are looked at, too. */
KERNEL check_lengths(const LENGTH *length, const Sequence a, int *error)
{
    if (THREAD == 0) *error = 0;
    __syncthreads();
    for (int64_t n = threadIdx.x; n < a.batch; n += blockDim.x) if (length_of(a, length, n) < 1) *error = 1;
}

KERNEL reverse(const TYPE *x, const LENGTH *length, TYPE *y, const Sequence a)
{
    for (int64_t i = THREAD; i < a.size; i += THREADS) {
        int64_t t, n, at;
        place(a, i, t, n, at);
        const int64_t k = length_of(a, length, n);
        y[i] = x[row_of(a, t < k ? k - 1 - t : t, n) * a.inner + at];
    }
}
