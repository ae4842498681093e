"""Scratch of convolutions with filters in the lanes of vectors (kernels/conv_filters.h), which has the same rules and
numbers: bands of the source's rows, and packed weights or sums of the weight's gradient, that fit the caches."""
from .dot import ceil_to
from .rules import size

BYTES, PIXELS, TASKS, PARTS, SUMS, TAPS, ALL = 3 << 17, 48, 16, 16, 1 << 20, 6, 1 << 22


def scratch(kind, g, groups, x, w, y, itemsize, threads):
    """Bytes of workspace, at any level; 0 where no level goes that way. `kind` is "forward", "dgrad" or "wgrad", `g`
    the Geometry of the convolution; `x`, `w`, `y` are the shapes of its data, weight and output."""
    back = kind == "dgrad"
    spare = (1,) * (3 - g.nd)
    kernel, stride, dilate, src, dst = (spare + v for v in (g.kernel, g.stride, g.dilate, x[2:], y[2:]))
    if kernel[0] * src[0] * dst[0] != 1 or g.nd == 3 and g.pad[0]:
        return 0
    if min(*x, *w, *dst) < 1 or back and max(stride[1:]) > 1:
        return 0
    kernel, stride, dilate, out, taps = kernel[1:], stride[1:], dilate[1:], (src if back else dst)[1:], size(kernel)
    filters, channels = (w[1], w[0] // groups) if back else (w[0] // groups, w[1])
    wide, k = ceil_to(filters, 64 // itemsize), channels * taps
    reach, pitch = dilate[0] * (kernel[0] - 1) + 1, (out[1] - 1) * stride[1] + 1 + dilate[1] * (kernel[1] - 1)
    row, seen = channels * pitch * itemsize, out[1] * wide * itemsize if kind == "wgrad" else 0
    if taps < 2 or k > SUMS // (wide * itemsize) or row > BYTES // reach or seen > BYTES:
        return 0
    rows = min((BYTES // row - reach) // stride[0] + 1, out[0], -(-out[0] * x[0] // TASKS))
    if seen:
        rows = min(rows, BYTES // seen)
    rows = -(-out[0] // -(-out[0] // rows))
    bands, tall = -(-out[0] // rows), (rows - 1) * stride[0] + reach
    if seen:
        parts = min(x[0] * bands, PARTS, max(4, ALL // ((k + TAPS) * wide * itemsize)))
        shared, each = groups * parts * (k + TAPS) * wide, rows * out[1] * wide
    else:
        shared, each = groups * wide * k, (2 * PIXELS + 8 + 64 // itemsize) * 256 // itemsize
    return (ceil_to((k + TAPS) * 4, 64) + ceil_to(shared * itemsize, 64)
            + max(1, threads) * ceil_to((channels * tall * pitch + each) * itemsize, 64))
