// The gradient of padding by copies of elements: each one gathers, in the order of the bordered array, what its copies
// got. Defined from outside: TYPE, and WIDE where positions need 64 bits.
#include "units.cuh"
typedef TYPE T;
typedef computing<T>::type C;
enum { PAD_EDGE = 1, PAD_REFLECT };
struct Border { int64_t ndim, mode, in[8], before[8], out[8]; D dims[8]; };       // the fastest axis first

// The places of an axis that element k has a copy at: `next` of -1 is the first, -1 after the last.
FN int64_t next_copy(const Border &p, int a, int64_t k, int64_t i)
{
    const int64_t n = p.in[a], before = p.before[a], end = p.out[a];
    if (p.mode == PAD_EDGE) {
        const int64_t low = k == 0 ? 0 : before + k, high = k == n - 1 ? end - 1 : before + k;
        i = i < low ? low : i + 1;
        return i <= high ? i : -1;
    }
    const int64_t copies[3] = {before - k, before + k, before + 2 * (n - 1) - k};
    for (int c = 0; c < 3; c++) {
        if ((c == 0 && k == 0) || (c == 2 && k == n - 1)) continue;
        if (copies[c] > i && copies[c] >= 0 && copies[c] < end) return copies[c];
    }
    return -1;
}

KERNEL pad_backward(const T *dy, T *dx, int64_t n, Border p)
{
    const int64_t i = THREAD;
    if (i >= n) return;
    int64_t k[3], plane = 0, area = p.out[0] * p.out[1] * p.out[2];
    I rest_ = (I)i;
#pragma unroll
    for (int a = 0; a < 3; a++) {
        const I q = over(p.dims[a], rest_);
        k[a] = rest_ - q * p.dims[a].d;
        rest_ = q;
    }
    plane = (int64_t)rest_ * area;
    C sum = 0;
    for (int64_t c = next_copy(p, 2, k[2], -1); c >= 0; c = next_copy(p, 2, k[2], c))
        for (int64_t b = next_copy(p, 1, k[1], -1); b >= 0; b = next_copy(p, 1, k[1], b))
            for (int64_t a = next_copy(p, 0, k[0], -1); a >= 0; a = next_copy(p, 0, k[0], a))
                sum += get<C>(dy[plane + (c * p.out[1] + b) * p.out[0] + a]);
    dx[i] = put<T>(sum);
}
