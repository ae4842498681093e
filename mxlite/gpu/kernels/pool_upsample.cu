/* Nearest-neighbour upsampling of one input: every element becomes a square. The input's channels are those from
 * `first` on of the output's; `add`: it is added to what lies there. */
#include "softmax_math.cuh"

KERNEL upsample(const T *x, T *y, int64_t size, int64_t channels, int64_t height, int64_t width, int64_t scale,
                int64_t all, int64_t first, int add)
{
    for (int64_t i = THREAD; i < size; i += THREADS) {
        const int64_t w = i % (width * scale), row = i / (width * scale);
        const int64_t h = row % (height * scale), plane = row / (height * scale);
        const int64_t n = plane / channels, c = plane % channels;
        const int64_t to = ((n * all + first + c) * height * scale + h) * width * scale + w;
        const A v = up(x[(plane * height + h / scale) * width + w / scale]);
        y[to] = down(add ? up(y[to]) + v : v);
    }
}
