/* The gates of one step of an lstm, a thread a unit. A thread reads what it needs before it writes, and outputs may lie
 * on the inputs that its own numbers come from. */
#include "softmax_math.cuh"

FN float tanh_(float v) { return tanhf(v); }
FN double tanh_(double v) { return tanh(v); }
FN A sigmoid_(A v)
{
    const A e = exp_(v < 0 ? v : -v);
    return (v >= 0 ? (A)1 : e) / (1 + e);
}

/* `gates` (rows, 4 units): input, forget, candidate, output. Outputs that nobody reads are null. */
KERNEL forward(const T *gates, const T *cell, T *hidden, T *new_cell, T *activated, int64_t rows, int64_t units)
{
    for (int64_t k = THREAD; k < rows * units; k += THREADS) {
        const int64_t at = k / units * 4 * units + k % units;
        const A i = sigmoid_(up(gates[at])), f = sigmoid_(up(gates[at + units]));
        const A u = tanh_(up(gates[at + 2 * units])), o = sigmoid_(up(gates[at + 3 * units]));
        const A c = f * up(cell[k]) + i * u;
        if (hidden) hidden[k] = down(o * tanh_(c));
        if (new_cell) new_cell[k] = down(c);
        if (activated) {
            activated[at] = down(i);
            activated[at + units] = down(f);
            activated[at + 2 * units] = down(u);
            activated[at + 3 * units] = down(o);
        }
    }
}

KERNEL backward(const T *dhidden, const T *dnew_cell, const T *activated, const T *cell, const T *new_cell, T *dgates,
                T *dcell, int64_t rows, int64_t units)
{
    for (int64_t k = THREAD; k < rows * units; k += THREADS) {
        const int64_t at = k / units * 4 * units + k % units;
        const A i = up(activated[at]), f = up(activated[at + units]), u = up(activated[at + 2 * units]);
        const A o = up(activated[at + 3 * units]), dh = up(dhidden[k]), t = tanh_(up(new_cell[k])), old = up(cell[k]);
        const A d = up(dnew_cell[k]) + dh * o * (1 - t * t);
        if (dgates) {
            dgates[at] = down(d * u * i * (1 - i));
            dgates[at + units] = down(d * old * f * (1 - f));
            dgates[at + 2 * units] = down(d * i * (1 - u * u));
            dgates[at + 3 * units] = down(dh * t * o * (1 - o));
        }
        if (dcell) dcell[k] = down(d * f);
    }
}
