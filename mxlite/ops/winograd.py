"""When a 3x3 convolution runs by Winograd's F(4x4, 3x3) (kernels/winograd.h), and how much scratch that takes.

Only float32, two spatial axes, stride 1, no dilation, no groups, padding of at most 2. `option winograd` turns it off.
A NaN or an infinity in the data may spread over the tile of 4x4 outputs that sees it, and values beyond about 1e37 may
overflow on the way: both are the price of sums that the plain way does not form.
"""
from . import settings

TILES, FILTERS = 1, 2           # which loop is outside: what `winograd` of the kernel's arguments says
DEPTH, PANEL, UNIT, PAD = 128, 48, 16, 16
IMAGE = (396 + 16) * 16         # floats of one vector of channels of a unit of tiles
MOST_CHANNELS = 4096            # scratch grows with them
LEAST = 0.9                     # estimated speed from which on it is taken: small cases come out better than that
WHOLE = 128 * 128               # channels times filters up to which a transformed weight is made whole
GAIN = 1.05                     # by how much a weight transformed beforehand has to be faster


def _up(a, b):
    return -(-a // b)


def _pitch(channels):
    """Floats from tile to tile: an odd number of cache lines."""
    return (_up(channels, 16) | 1) * 16


def tiles(y):
    """Tiles of an output (N, K, H, W)."""
    return y[0] * _up(y[2], 4) * _up(y[3], 4)


def _block_tiles(y, budget, row_bytes, most):
    """Tiles of the largest block, as kernels/winograd_run.h cuts it."""
    th, tw = _up(y[2], 4), _up(y[3], 4)
    cols = _up(tw, _up(tw, UNIT))
    across = _up(tw, cols)
    rows = min(max(1, UNIT // cols), max(1, y[0] * th * across // 8))
    rows = _up(th, _up(th, rows))
    units = y[0] * _up(th, rows) * across
    block = max(1, min(most, max(16, budget // (36 * row_bytes))) // (rows * cols))
    return _up(units, _up(units, block)) * rows * cols


def weight_floats(filters, channels):
    """Elements of a transformed weight, the output of ``conv.winograd_weight``; levels need no more."""
    return 36 * (_up(filters, 16) * 16 * channels + PAD * _up(filters, 8) * _up(channels, DEPTH))


def scratch(kind, way, x, w, y, threads, prepared=False):
    """Bytes of workspace: the shared part and each thread's. `kind` is "forward", "dgrad" or "wgrad"; `x`, `w`, `y` are
    the shapes of data, weight and output of the convolution, whichever of them the kernel writes."""
    c, k = w[1], w[0]
    threads = max(1, threads)
    if kind == "wgrad":
        t = _block_tiles(y, 10 << 20, 4 * (_pitch(c) + _pitch(k)), 128)
        high = 64 if c * k > 4096 else 32
        return 4 * (36 * (t * (_pitch(c) + _pitch(k)) + 2 * PAD) + threads * (IMAGE + 36 * (high * PANEL + PAD)))
    if kind == "dgrad":
        c, k, y = k, c, x
    pitch = _pitch(c)
    t = _block_tiles(y, 768 << 10, 4 * pitch, 64) if way == TILES else _block_tiles(y, 9 << 20, 4 * pitch, 128)
    t = _up(t, 8) * 8
    v, m = 36 * (t * pitch + PAD), 36 * (t * PANEL + PAD)
    if way == TILES:
        return 4 * ((0 if prepared else weight_floats(k, c)) + threads * (IMAGE + v + m))
    return 4 * (v + threads * (IMAGE + m + (0 if prepared else 36 * (DEPTH * PANEL + PAD))))


def speed(kind, x, w, y, prepared=False):
    """How many times as fast as the plain way this is, estimated: a model of what both take, in multiplications of a
    vector, with the constants that fit measurements on a Zen 4 (AVX-512 and AVX2 alike)."""
    c, k, out = w[1], w[0], y
    if kind == "dgrad":
        c, k, out = k, c, x
    c16, k16, n = _up(c, 16) * 16, _up(k, 16) * 16, tiles(out)
    plain = 9 / 16 * out[0] * out[2] * out[3] * c * k16 / 0.85
    product = 36 / 16 * n * (c + 8) * k16 / 0.8
    transforms = n * (17 * c16 + 14 * k16)
    weight = 0 if prepared else (23 if kind == "wgrad" else 9) * c16 * k16
    return plain / (product + transforms + weight)


def way(g, groups, kind, x, w, y, prepared=0):
    """`winograd` of the kernel's arguments: 0, or how the work is cut. `g` is the Geometry of the convolution, `x`, `w`
    and `y` are as in :func:`scratch`, `prepared` is 2 for a weight that is transformed already."""
    if prepared:
        return 0 if prepared == 1 else FILTERS if w[0] * w[1] > WHOLE else TILES
    return choose(g, groups, kind, x, w, y, False)


def prepares(g, groups, x, w, y):
    """Whether to transform the weight of this convolution once, for many forward runs. It takes four times the weight's
    memory: where there are enough tiles for the transform not to matter, the kernel had better do it on the way."""
    if not choose(g, groups, "forward", x, w, y, True):
        return False
    return (not choose(g, groups, "forward", x, w, y, False)
            or speed("forward", x, w, y, True) > GAIN * speed("forward", x, w, y))


def choose(g, groups, kind, x, w, y, ready):
    if not (settings.winograd and g.nd == 2 and groups == 1 and g.kernel == (3, 3) and g.stride == g.dilate == (1, 1)
            and not g.last and max(g.pad) <= 2 and min(x[0], *y[2:], *x[2:]) > 0):
        return 0
    c, k = w[1], w[0]
    if min(c, k) < 8 or max(c, k) > MOST_CHANNELS or speed(kind, x, w, y, ready) < LEAST:
        return 0
    return FILTERS if c * k > WHOLE else TILES
