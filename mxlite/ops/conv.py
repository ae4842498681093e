"""Convolution and its two gradients. Each gradient is a record of its own, so that one nobody wants is never made.

All three are bilinear, and differentiate into each other. Sizes of the spatial axes are the last ones (NCW, NCHW,
NCDHW); of the channels-last layouts the CPU runs the reference.
"""
from . import conv_bands, winograd
from .dot import BLOCK_K_BYTES, BLOCK_N, FLOATS, PANEL_N, block_bytes, ceil_to, product, wide
from .record import Op, Param, S, show, unify
from .rules import float_dtype, size
from .types import boolean, integer, optional, shape, text

LAYOUTS = ("NCW", "NCHW", "NCDHW", "NHWC", "NDHWC")
PARAMS = dict(
    kernel=Param(shape, help="window: (w,), (h, w) or (d, h, w)"),
    stride=Param(shape, (), "step of the window; default 1 along each axis"),
    dilate=Param(shape, (), "distance of the window's elements; default 1"),
    pad=Param(shape, (), "zeros at both ends of each axis; default 0"),
    num_filter=Param(integer, help="number of output channels", low=1),
    num_group=Param(integer, 1, "groups of channels that do not see each other", low=1),
    workspace=Param(integer, 1024, "accepted, not used", low=0),
    no_bias=Param(boolean, False, "leave out the bias"),
    cudnn_tune=Param(optional(text), None, "accepted, not used", choices=("off", "limited_workspace", "fastest")),
    cudnn_off=Param(boolean, False, "accepted, not used"),
    layout=Param(optional(text), None, "order of axes; default by the length of kernel", choices=LAYOUTS))
SHAPE = Param(shape, help="shape of the result")
MOST = 1 << 30


def check_range(name, value, low):
    """ValueError where an element of the tuple is too small, or so large that kernels' products of two may overflow."""
    if min(value) < low:
        raise ValueError(f"{name} {value} must be at least {low} along each axis")
    if max(value) > MOST:
        raise ValueError(f"{name} {value} must be at most {MOST} along each axis")


class Geometry:
    """The parameters of a convolution with defaults filled in, checked."""

    __slots__ = ("nd", "kernel", "stride", "dilate", "pad", "last")

    def __init__(self, p):
        self.kernel, self.nd = p.kernel, len(p.kernel)
        if not 1 <= self.nd <= 3:
            raise ValueError(f"kernel {p.kernel} must have 1, 2 or 3 axes")
        for name, fill, low in (("stride", 1, 1), ("dilate", 1, 1), ("pad", 0, 0)):
            v = getattr(p, name) or (fill,) * self.nd
            if len(v) != self.nd:
                raise ValueError(f"{name} {v} must have as many axes as kernel {p.kernel}")
            check_range(name, v, low)
            setattr(self, name, v)
        check_range("kernel", p.kernel, 1)
        if p.layout is not None and len(p.layout) != self.nd + 2:
            raise ValueError(f"layout {p.layout} does not fit kernel {p.kernel}")
        self.last = p.layout in ("NHWC", "NDHWC")

    def span(self, i):
        """Elements that the dilated window covers along axis i."""
        return self.dilate[i] * (self.kernel[i] - 1) + 1

    def out_size(self, x, i):
        if x is None:
            return None
        if x + 2 * self.pad[i] < self.span(i):
            raise ValueError(f"kernel covers {self.span(i)} elements of axis {i}, the padded input has only "
                             f"{x + 2 * self.pad[i]}")
        return (x + 2 * self.pad[i] - self.span(i)) // self.stride[i] + 1

    def first(self, s):
        """A shape of this layout with its channels second."""
        return (s[0], s[-1], *s[1:-1]) if self.last else tuple(s)

    def back(self, s):
        return (s[0], *s[2:], s[1]) if self.last else tuple(s)

    def moved(self, xp, a):
        return xp.ascontiguousarray(xp.moveaxis(a, -1, 1)) if self.last else a

    def moved_back(self, xp, a):
        return xp.ascontiguousarray(xp.moveaxis(a, 1, -1)) if self.last else a

    def taps(self, out):
        """For each window element: its index, and the slices of the padded input that it sees over all outputs."""
        todo = [()]
        for i in range(self.nd):
            todo = [(*t, k) for t in todo for k in range(self.kernel[i])]
        for tap in todo:
            yield tap, tuple(slice(k * d, k * d + (o - 1) * s + 1, s)
                             for k, d, s, o in zip(tap, self.dilate, self.stride, out))

    def padded(self, xp, x):
        return xp.pad(x, ((0, 0), (0, 0), *((q, q) for q in self.pad)))


def check_groups(p, channels):
    if p.num_filter % p.num_group:
        raise ValueError(f"num_filter {p.num_filter} is not divisible by num_group {p.num_group}")
    if channels is not None and channels % p.num_group:
        raise ValueError(f"{channels} input channels are not divisible by num_group {p.num_group}")


def fast(p):
    """The kernels know the channels-first layouts."""
    return p.layout not in ("NHWC", "NDHWC")


GRADIENTS = {(2, 1, 0): "dgrad", (1, 2, 0): "wgrad"}        # by where data, weight and output are


def launch(kind):
    """Rule: the kernel's arguments, from the positions of data, weight and output among the shapes. Keywords are those
    of the epilogue: ``act lo hi bias residual prepared winograd``, all 0 by default; ``last`` is there, and 1, where
    all three have their channels last, which no CPU kernel takes."""
    def rule(p, ins, outs, **epilogue):
        g, s = Geometry(p), [*ins, *outs]
        x, w, y = (g.first(s[i]) for i in kind)
        one, zero = (1,) * (3 - g.nd), (0,) * (3 - g.nd)
        way = winograd.way(g, p.num_group, GRADIENTS.get(kind, "forward"), x, w, y, epilogue.get("prepared", 0))
        if g.last:
            epilogue["last"] = 1
        return {"batch": x[0], "channels": x[1], "filters": w[0], "groups": p.num_group, "kernel": one + g.kernel,
                "stride": one + g.stride, "dilate": one + g.dilate, "pad": zero + g.pad, "src": one + x[2:],
                "dst": one + y[2:], "winograd": way, **epilogue}
    return rule


def winograd_workspace(kind, p, x, w, y, itemsize, threads):
    """Bytes of scratch where the kernel `kind` runs by Winograd for these shapes; None where it does not."""
    prepared = getattr(p, "prepared", 0)
    way = winograd.way(Geometry(p), p.num_group, kind, x, w, y, prepared) if itemsize == 4 else 0
    return winograd.scratch(kind, way, x, w, y, threads, prepared) if way else None


# The limits of conv_tiles.h, conv_columns.h and conv_real.h.
TILE_BYTES, TILE_SPARE, TAP_BYTES = 24576, 1024, 16 + 64 + 8
COLUMNS_BYTES, PARTS, PARTS_BYTES, CHUNK_BYTES, CHUNK, PIECE_BYTES = 1 << 20, 8, 1 << 20, 1 << 22, 2048, 16
COLUMNS_SHARE, LONG_RUN = 1 << 18, 128


def few(p, w):
    """Whether groups have too few channels for a matrix product: tiles then, where they fit."""
    return p.num_group > 1 and w[1] * (w[0] // p.num_group) <= 8


def tile_bytes(p, w, threads):
    taps = size(p.kernel) * w[1] * (w[0] // p.num_group)
    return max(1, threads) * (2 * (TILE_BYTES + TILE_SPARE) + ceil_to(taps * TAP_BYTES, 64))


def other_bytes(kind, p, x, w, y, itemsize, threads):
    """Bytes of scratch of the ways that are no matrix product."""
    if few(p, w):
        return tile_bytes(p, w, threads)
    return conv_bands.scratch(kind, Geometry(p), p.num_group, x, w, y, itemsize, threads)


def copies(*shapes):
    """Bytes of float32 copies of tensors: what conv_half.h computes with."""
    return sum(ceil_to(4 * size(s), 64) for s in shapes)


def forward_workspace(p, ins, outs, itemsize, threads):
    x, w = ins[:2]
    if itemsize < 4:
        return copies(*ins, *outs) + plain_forward_workspace(p, x, w, outs[0], 4, threads)
    fast = winograd_workspace("forward", p, x, w, outs[0], itemsize, threads)
    return plain_forward_workspace(p, x, w, outs[0], itemsize, threads) if fast is None else fast


def plain_forward_workspace(p, x, w, y, itemsize, threads):
    whole = block_bytes(w[0] // p.num_group, x[0] * size(y[2:]), size(w[1:]), itemsize, threads, p.num_group)
    return max(whole, other_bytes("forward", p, x, w, y, itemsize, threads))


def dgrad_workspace(p, dy, w, x, itemsize, threads, *more):
    """Scratch of ``conv.dgrad`` for dy, weight and data of those shapes, and `more` inputs; conv_choice.h and
    conv_columns.h have the same rules and limits."""
    if itemsize < 4:
        return copies(dy, w, x, *more) + plain_dgrad_workspace(p, dy, w, x, 4, threads)
    fast = winograd_workspace("dgrad", p, x, w, dy, itemsize, threads)
    return plain_dgrad_workspace(p, dy, w, x, itemsize, threads) if fast is None else fast


def plain_dgrad_workspace(p, dy, w, x, itemsize, threads):
    groups, taps, pixels = p.num_group, size(p.kernel), size(dy[2:])
    channels, filters = w[1], w[0] // groups
    whole = block_bytes(channels, x[0] * size(x[2:]), filters * taps, itemsize, threads, groups)
    whole = max(whole, other_bytes("dgrad", p, x, w, dy, itemsize, threads))
    rim = 2 * size(x[2:]) >= 3 * pixels * size(Geometry(p).stride)
    image = channels * groups * taps * pixels * itemsize
    if (channels <= 4 or rim) and filters >= 16 and not few(p, w) and image <= COLUMNS_BYTES:
        columns = max(1, COLUMNS_SHARE // max(image, 1)) * image
        block = min(filters, BLOCK_K_BYTES // itemsize) * itemsize
        packed = ceil_to(groups * ceil_to(channels * taps, 8) * filters * itemsize, 64)
        whole = max(whole, packed + max(1, threads) * (ceil_to(columns, 64) + ceil_to(8 * block, 64) + BLOCK_N * block))
    return whole


def wgrad_workspace(p, dy, x, w, itemsize, threads):
    if itemsize < 4:
        return copies(dy, x, w) + plain_wgrad_workspace(p, dy, x, w, 4, threads)
    fast = winograd_workspace("wgrad", p, x, w, dy, itemsize, threads)
    return plain_wgrad_workspace(p, dy, x, w, itemsize, threads) if fast is None else fast


def wgrad_flips(p, x, w, pixels):
    """Whether the weight's gradient is computed transposed: of a 1x1 whose data is a matrix as it is, and the larger
    one. Then the larger factor is not packed."""
    plain = all(k == s == 1 and q == 0 for k, s, q in zip(p.kernel, Geometry(p).stride, Geometry(p).pad))
    return plain and p.num_group == 1 and x[1] > w[0] and pixels >= LONG_RUN


def plain_wgrad_workspace(p, dy, x, w, itemsize, threads):
    m, n, pixels = w[0] // p.num_group, size(w[1:]), size(dy[2:])
    flip = wgrad_flips(p, x, w, pixels)
    if flip:
        m, n = n, m
    k, block = x[0] * pixels, BLOCK_K_BYTES // itemsize
    parts, sums = min(PARTS, k // (2 * block), PARTS_BYTES // max(1, m * n * itemsize)), int(flip)
    part, batch = k, p.num_group
    if p.num_group == 1 and n <= BLOCK_N and parts > 1:
        part, batch = ceil_to(-(-k // parts), block), 1
        sums = parts
    elif p.num_group == 1:
        part = ceil_to(max(CHUNK, CHUNK_BYTES // max(1, m * itemsize)), block)
    k = min(k, part)
    # besides the packed blocks, what every tap sees of a block of pixels
    seen = max(1, threads) * ceil_to(min(size(p.kernel), PANEL_N) * min(k, block) * PIECE_BYTES, 64)
    whole = ceil_to(sums * m * n * itemsize, 64) + block_bytes(m, n, k, itemsize, threads, batch) + seen
    return max(whole, other_bytes("wgrad", p, x, w, dy, itemsize, threads))


def dgrad_adds(p):
    """Whether ``conv.dgrad`` takes a residual, which may be the output's own memory: where no step leaves gaps, whose
    positions no product would reach."""
    g = Geometry(p)
    return all(s == 1 or (k >= s and d == 1) for k, s, d in zip(g.kernel, g.stride, g.dilate))


def packed_weight_floats(p, w):
    """Elements of the output of ``conv.pack_weight`` for a weight of shape `w`, at any level; 0: forward takes none."""
    if few(p, w):
        return 0
    return p.num_group * ceil_to(w[0] // p.num_group, 16) * size(w[1:])


def _given(n):
    """The convolution's own parameters of a node, for another node of it."""
    return {k: getattr(n.p, k) for k in PARAMS}


class Convolution(Op):
    """N-dimensional convolution (cross-correlation) over 1, 2 or 3 spatial axes, with groups, strides and dilation.

    data (N, C, *X), weight (num_filter, C / num_group, *kernel), bias (num_filter,): output (N, num_filter, *Y) with
    ``Y = (X + 2 pad - dilate (kernel - 1) - 1) // stride + 1``. With a channels-last `layout`, data and output are
    (N, *X, C) and the weight is (num_filter, *kernel, C / num_group). ValueError where the kernel exceeds the padded
    input or channels are not divisible by `num_group`.
    """
    def inputs(p):
        return "data weight" if p.no_bias else "data weight bias"

    params = PARAMS
    infer_dtype = float_dtype

    def infer(p, ins, outs):
        g = Geometry(p)
        x, w, y = ins[0], ins[1], outs[0]
        check_groups(p, None)
        if x is not None and len(x) != g.nd + 2:
            raise ValueError(f"data {show(x)} must have {g.nd + 2} axes for kernel {p.kernel}")
        w = unify(w, g.back((p.num_filter, None, *p.kernel)))
        cin = g.first(w)[1]
        if x is not None:
            x = g.first(x)
            check_groups(p, x[1])
            if x[1] is None and cin is not None:
                x = (x[0], cin * p.num_group, *x[2:])
            y = g.first(unify(g.back((x[0], p.num_filter, *(g.out_size(d, i) for i, d in enumerate(x[2:])))), y))
            # With stride 1 the input's size follows from the output's.
            x = (y[0], x[1], *(o + g.span(i) - 1 - 2 * g.pad[i] if d is None and o is not None and g.stride[i] == 1
                               else d for i, (d, o) in enumerate(zip(x[2:], y[2:]))))
            if x[1] is not None:
                w = unify(w, g.back((p.num_filter, x[1] // p.num_group, *p.kernel)))
            x, y = g.back(x), g.back(y)
        bias = [] if p.no_bias else [unify(ins[2], (p.num_filter,))]
        return [x, w, *bias], [y]

    def ref(xp, p, x, w, bias=None):
        g = Geometry(p)
        dtype, x, w = x.dtype, g.moved(xp, wide(xp, x)), g.moved(xp, wide(xp, w))
        out = tuple(g.out_size(d, i) for i, d in enumerate(x.shape[2:]))
        q, groups, cin = size(out), p.num_group, w.shape[1]
        x = g.padded(xp, x)
        y = xp.zeros((x.shape[0], groups, p.num_filter // groups, q), x.dtype)
        for tap, at in g.taps(out):
            seen = x[(slice(None), slice(None), *at)].reshape(x.shape[0], groups, cin, q)
            y += product(xp, w[(slice(None), slice(None), *tap)].reshape(groups, -1, cin), seen)
        y = y.astype(dtype, copy=False).reshape(x.shape[0], p.num_filter, *out)
        if bias is not None:
            y = y + bias.reshape(-1, *(1,) * g.nd)
        return g.moved_back(xp, y)

    def cpu(p):
        return "conv.forward" if fast(p) else None

    gpu, cpu_dtypes = "conv.forward", FLOATS

    def launch(p, ins, outs):
        return launch((0, 1, len(ins)))(p, ins, outs, bias=int(len(ins) > 2))

    workspace = forward_workspace

    def grad(F, n, dy):
        x, w = n.inputs[:2]
        dx = F._conv_dgrad(dy, w, shape=n.in_shapes[0], **_given(n))
        dw = F._conv_wgrad(dy, x, shape=n.in_shapes[1], **_given(n))
        axis = -1 if Geometry(n.p).last else 1
        return (dx, dw) if n.p.no_bias else (dx, dw, F.sum(dy, axis=axis, exclude=True))

    samples = (
        S((2, 3, 7, 8), kernel=(3, 3), num_filter=4), S((2, 3, 9), kernel=(3,), num_filter=5, stride=(2,), pad=(1,)),
        S((2, 4, 9, 8), kernel=(3, 2), num_filter=6, stride=(2, 1), pad=(1, 2), dilate=(2, 1), num_group=2),
        S((2, 2, 5, 6, 7), kernel=(2, 3, 3), num_filter=3, pad=(1, 1, 0), stride=(1, 2, 1)),
        S((2, 6, 8, 9), kernel=(3, 3), num_filter=6, num_group=6, pad=(1, 1), no_bias=True),
        S((2, 6, 8, 9), kernel=(3, 3), num_filter=12, num_group=6, pad=(1, 1), stride=(2, 2)),
        S((3, 5, 6, 6), kernel=(1, 1), num_filter=7, no_bias=True), S((1, 3, 9, 9), kernel=(1, 1), num_filter=7,
                                                                        stride=(2, 2)),
        S((0, 3, 5, 5), kernel=(3, 3), num_filter=4), S((2, 5, 6, 3), kernel=(3, 3), num_filter=4, layout="NHWC"),
        S((5, 16, 14, 14), kernel=(3, 3), num_filter=33, pad=(1, 1)),
        S((4, 20, 7, 7), kernel=(5, 5), num_filter=50, pad=(2, 2), stride=(3, 3)))


class _conv_dgrad(Op):
    """Gradient of Convolution with respect to data: the transposed convolution of `dy` with `weight`.

    dy is the gradient of Convolution's output, `shape` the shape of its data.
    """
    inputs = "dy weight"
    params = dict(PARAMS, shape=SHAPE)

    def infer(p, ins, outs):
        g = Geometry(p)
        x = g.first(p.shape)
        check_groups(p, x[1])
        dy = g.back((x[0], p.num_filter, *(g.out_size(d, i) for i, d in enumerate(x[2:]))))
        w = g.back((p.num_filter, x[1] // p.num_group, *p.kernel))
        return [unify(dy, ins[0]), unify(w, ins[1])], [unify(p.shape, outs[0])]

    def ref(xp, p, dy, w):
        g = Geometry(p)
        dtype, (n, cin, *xs) = dy.dtype, g.first(p.shape)
        dy, w = g.moved(xp, wide(xp, dy)), g.moved(xp, wide(xp, w))
        out, groups = dy.shape[2:], p.num_group
        dx = xp.zeros((n, cin, *(d + 2 * q for d, q in zip(xs, g.pad))), dy.dtype)
        dyg = dy.reshape(n, groups, p.num_filter // groups, size(out))
        for tap, at in g.taps(out):
            wt = w[(slice(None), slice(None), *tap)].reshape(groups, -1, cin // groups).swapaxes(1, 2)
            dx[(slice(None), slice(None), *at)] += product(xp, wt, dyg).reshape(n, cin, *out)
        dx = dx[(slice(None), slice(None), *(slice(q, q + d) for d, q in zip(xs, g.pad)))]
        return g.moved_back(xp, xp.ascontiguousarray(dx.astype(dtype, copy=False)))

    def cpu(p):
        return "conv.dgrad" if fast(p) else None

    gpu, cpu_dtypes = "conv.dgrad", FLOATS

    launch = launch((2, 1, 0))

    def workspace(p, ins, outs, itemsize, threads):
        return dgrad_workspace(p, *ins, p.shape, itemsize, threads)

    def grad(F, n, ddx):
        dy, w = n.inputs
        return (F.Convolution(ddx, w, **dict(_given(n), no_bias=True)),
                F._conv_wgrad(dy, ddx, shape=n.in_shapes[1], **_given(n)))

    samples = (
        S((2, 4, 5, 6), (4, 3, 3, 3), kernel=(3, 3), num_filter=4, shape=(2, 3, 7, 8)),
        S((2, 5, 5), (5, 3, 3), kernel=(3,), num_filter=5, stride=(2,), pad=(1,), shape=(2, 3, 9)),
        S((2, 6, 4, 11), (6, 2, 3, 2), kernel=(3, 2), num_filter=6, stride=(2, 1), pad=(1, 2), dilate=(2, 1),
          num_group=2, shape=(2, 4, 9, 8)),
        S((2, 3, 6, 3, 5), (3, 2, 2, 3, 3), kernel=(2, 3, 3), num_filter=3, pad=(1, 1, 0), stride=(1, 2, 1),
          shape=(2, 2, 5, 6, 7)),
        S((1, 7, 5, 5), (7, 3, 1, 1), kernel=(1, 1), num_filter=7, stride=(2, 2), shape=(1, 3, 9, 9)),
        S((2, 6, 4, 5), (6, 1, 3, 3), kernel=(3, 3), num_filter=6, num_group=6, pad=(1, 1), stride=(2, 2),
          shape=(2, 6, 8, 9)),
        S((0, 4, 3, 3), (4, 3, 3, 3), kernel=(3, 3), num_filter=4, shape=(0, 3, 5, 5)),
        S((4, 50, 3, 3), (50, 20, 5, 5), kernel=(5, 5), num_filter=50, pad=(2, 2), stride=(3, 3), shape=(4, 20, 7, 7)),
        S((2, 3, 4, 4), (4, 3, 3, 3), kernel=(3, 3), num_filter=4, layout="NHWC", shape=(2, 5, 6, 3)))


class _conv_wgrad(Op):
    """Gradient of Convolution with respect to weight.

    dy is the gradient of Convolution's output, data its input, `shape` the shape of its weight.
    """
    inputs = "dy data"
    params = dict(PARAMS, shape=SHAPE)

    def infer(p, ins, outs):
        g = Geometry(p)
        dy, x = ins
        if x is not None:
            x = g.first(x)
            check_groups(p, x[1])
            dy = unify(g.back((x[0], p.num_filter, *(g.out_size(d, i) for i, d in enumerate(x[2:])))), dy)
        return [dy, ins[1]], [unify(p.shape, outs[0])]

    def ref(xp, p, dy, x):
        g = Geometry(p)
        dtype, shape = x.dtype, g.first(p.shape)
        dy, x = g.moved(xp, wide(xp, dy)), g.moved(xp, wide(xp, x))
        out, groups, n = dy.shape[2:], p.num_group, x.shape[0]
        x = g.padded(xp, x)
        # (groups, filters, batch * pixels) against (groups, batch * pixels, channels)
        dyg = dy.reshape(n, groups, -1, size(out)) if n else dy.reshape(0, groups, p.num_filter // groups, size(out))
        dyg = dyg.transpose(1, 2, 0, 3).reshape(groups, p.num_filter // groups, n * size(out))
        dw = xp.zeros(shape, x.dtype)
        for tap, at in g.taps(out):
            seen = x[(slice(None), slice(None), *at)].reshape(n, groups, shape[1], size(out))
            seen = seen.transpose(1, 0, 3, 2).reshape(groups, n * size(out), shape[1])
            dw[(slice(None), slice(None), *tap)] = product(xp, dyg, seen).reshape(shape[:2])
        return g.moved_back(xp, dw.astype(dtype, copy=False))

    def cpu(p):
        return "conv.wgrad" if fast(p) else None

    gpu, cpu_dtypes = "conv.wgrad", FLOATS

    launch = launch((1, 2, 0))

    def workspace(p, ins, outs, itemsize, threads):
        dy, x = ins
        return wgrad_workspace(p, dy, x, p.shape, itemsize, threads)

    def grad(F, n, ddw):
        dy, x = n.inputs
        return (F.Convolution(x, ddw, **dict(_given(n), no_bias=True)),
                F._conv_dgrad(dy, ddw, shape=n.in_shapes[1], **_given(n)))

    samples = (
        S((2, 4, 5, 6), (2, 3, 7, 8), kernel=(3, 3), num_filter=4, shape=(4, 3, 3, 3)),
        S((2, 5, 5), (2, 3, 9), kernel=(3,), num_filter=5, stride=(2,), pad=(1,), shape=(5, 3, 3)),
        S((2, 6, 4, 11), (2, 4, 9, 8), kernel=(3, 2), num_filter=6, stride=(2, 1), pad=(1, 2), dilate=(2, 1),
          num_group=2, shape=(6, 2, 3, 2)),
        S((2, 3, 6, 3, 5), (2, 2, 5, 6, 7), kernel=(2, 3, 3), num_filter=3, pad=(1, 1, 0), stride=(1, 2, 1),
          shape=(3, 2, 2, 3, 3)),
        S((1, 7, 5, 5), (1, 3, 9, 9), kernel=(1, 1), num_filter=7, stride=(2, 2), shape=(7, 3, 1, 1)),
        S((2, 6, 4, 5), (2, 6, 8, 9), kernel=(3, 3), num_filter=6, num_group=6, pad=(1, 1), stride=(2, 2),
          shape=(6, 1, 3, 3)),
        S((0, 4, 3, 3), (0, 3, 5, 5), kernel=(3, 3), num_filter=4, shape=(4, 3, 3, 3)),
        S((4, 50, 3, 3), (4, 20, 7, 7), kernel=(5, 5), num_filter=50, pad=(2, 2), stride=(3, 3), shape=(50, 20, 5, 5)),
        S((2, 3, 4, 4), (2, 5, 6, 3), kernel=(3, 3), num_filter=4, layout="NHWC", shape=(4, 3, 3, 3)))


class Convolution_v1(Convolution):
    """The first version of Convolution (2 or 3 spatial axes), kept for old symbol files: the same function."""
    name = "Convolution_v1"
    params = dict(PARAMS, layout=Param(optional(text), None, "order of axes",
                                       choices=("NCHW", "NHWC", "NCDHW", "NDHWC")))
    samples = (S((2, 3, 7, 8), kernel=(3, 3), num_filter=4), S((1, 3, 5, 5, 4), kernel=(3, 3, 3), num_filter=2))
