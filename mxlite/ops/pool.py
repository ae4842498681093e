"""Pooling over 1, 2 or 3 spatial axes, and its gradients."""
from .conv import check_range
from .dot import wide
from .record import Op, Param, S, show, unify
from .rules import float_dtype
from .rules import size as product
from .types import boolean, integer, optional, shape, text

FLOATS = ("float32", "float64", "float16", "bfloat16")
LAYOUTS = ("NCW", "NCHW", "NCDHW", "NWC", "NHWC", "NDHWC")
PARAMS = dict(
    kernel=Param(shape, (), "window: (w,), (h, w) or (d, h, w); may be left out with global_pool"),
    pool_type=Param(text, "max", "how a window becomes one number", choices=("max", "avg", "sum", "lp")),
    global_pool=Param(boolean, False, "one window over the whole input; kernel, stride and pad are ignored"),
    cudnn_off=Param(boolean, False, "accepted, not used"),
    pooling_convention=Param(text, "valid", "valid: windows inside the padded input; full: a last one may stick out; "
                             "same: ceil(input / stride) windows (1-D, no pad)", choices=("valid", "full", "same")),
    stride=Param(shape, (), "step of the window; default 1 along each axis"),
    pad=Param(shape, (), "padding at both ends of each axis; default 0"),
    p_value=Param(optional(integer), None, "exponent of lp pooling: 1, 2 or 3"),
    count_include_pad=Param(optional(boolean), None, "avg: padding counts in the divisor (default) or not"),
    layout=Param(optional(text), None, "order of axes; default by the number of axes", choices=LAYOUTS))
LOWEST = {"float16": -65504.0, "float32": -3.4028234663852886e38, "float64": -1.7976931348623157e308}


class Windows:
    """The windows of a pooling node over an input of known number of axes, checked. `x` may have unknown axes."""

    __slots__ = ("nd", "last", "x", "kernel", "stride", "pad", "out")

    def __init__(self, p, data, v1=False):
        nd = self.nd = len(data) - 2
        if not 1 <= nd <= 3:
            raise ValueError(f"data {show(data)} must have 3, 4 or 5 axes: batch, channels and 1 to 3 spatial ones")
        layout = None if v1 else p.layout
        if layout is not None and len(layout) != nd + 2:
            raise ValueError(f"layout {layout} does not fit data {show(data)}")
        self.last = layout in ("NWC", "NHWC", "NDHWC")
        x = self.x = tuple(data[1:-1] if self.last else data[2:])
        if p.global_pool:
            self.kernel, self.stride, self.pad, self.out = x, (1,) * nd, (0,) * nd, (1,) * nd
            return
        if not p.kernel:
            raise ValueError("kernel is required, unless global_pool is set")
        self.kernel = p.kernel
        for name, fill, low in (("kernel", 1, 1), ("stride", 1, 1), ("pad", 0, 0)):
            v = getattr(p, name) or (fill,) * nd
            if len(v) != nd:
                raise ValueError(f"{name} {v} must have {nd} axes, as many as data {show(data)} has spatial ones")
            check_range(name, v, low)
            setattr(self, name, v)
        if not v1 and p.pool_type in ("max", "avg") and any(q >= k for q, k in zip(self.pad, self.kernel)):
            raise ValueError(f"pad {self.pad} must be smaller than kernel {self.kernel}: a window would be empty")
        if p.pooling_convention == "same" and (nd != 1 or any(self.pad)):
            raise ValueError("pooling_convention='same' is for one spatial axis and no pad")
        self.out = tuple(None if d is None else self._out_size(d, k, s, q, p.pooling_convention)
                         for d, k, s, q in zip(x, self.kernel, self.stride, self.pad))

    @staticmethod
    def _out_size(d, k, s, q, convention):
        if convention == "same":
            return -(-d // s)
        if k > d + 2 * q:
            raise ValueError(f"kernel size {k} exceeds the input: {d}, padded to {d + 2 * q}")
        room = d + 2 * q - k
        if convention == "valid":
            return room // s + 1
        return -(-room // s) + 1

    def shape(self, data):
        return (data[0], *self.out, data[-1]) if self.last else (data[0], data[1], *self.out)

    def moved(self, xp, a):
        return xp.moveaxis(a, -1, 1) if self.last else a

    def moved_back(self, xp, a):
        return xp.ascontiguousarray(xp.moveaxis(a, 1, -1)) if self.last else a

    def padded(self, xp, a, value):
        """`a` with `value` around it, wide enough for every window."""
        after = [max(0, (o - 1) * s + k - d - q)
                 for d, k, s, q, o in zip(self.x, self.kernel, self.stride, self.pad, self.out)]
        return xp.pad(a, ((0, 0), (0, 0), *zip(self.pad, after)), constant_values=value)

    def inner(self):
        """Where the unpadded input lies in a padded one."""
        return (slice(None), slice(None), *(slice(q, q + d) for d, q in zip(self.x, self.pad)))

    def taps(self):
        """For each window element: the slices of the padded input that it sees over all outputs."""
        todo = [()]
        for k, s, o in zip(self.kernel, self.stride, self.out):
            todo = [(*t, slice(i, i + (o - 1) * s + 1, s)) for t in todo for i in range(k)]
        return [(slice(None), slice(None), *t) for t in todo]

    def counts(self, xp, with_pad, dtype):
        """Elements in each window, of the input alone or of the padded input, at least 1."""
        total = xp.ones((1,) * self.nd, dtype)
        for i, (d, k, s, q, o) in enumerate(zip(self.x, self.kernel, self.stride, self.pad, self.out)):
            begin = xp.arange(o) * s - q
            end = xp.minimum(begin + k, d + q if with_pad else d)
            n = xp.maximum(end - (begin if with_pad else xp.maximum(begin, 0)), 1)
            total = total * n.astype(dtype).reshape(tuple(-1 if j == i else 1 for j in range(self.nd)))
        return total


def infer_windows(p, ins, outs, v1=False):
    x = ins[0]
    if not v1:
        if p.pool_type == "lp" and p.p_value not in (1, 2, 3):
            raise ValueError(f"pool_type='lp' needs p_value 1, 2 or 3, not {p.p_value}")
        if p.kernel and len(p.kernel) > 3:
            raise ValueError(f"kernel {p.kernel} must have 1, 2 or 3 axes")
    if x is None:
        return ins, outs
    y = Windows(p, x, v1).shape(x)
    return [x], [unify(y, out) for out in outs]


def _max(xp, w, x):
    """(maximum, index of the window element it comes from, -1 for none). NaN loses against any number; the first wins a
    tie."""
    inside = w.padded(xp, xp.ones(x.shape, bool), False)
    padded = w.padded(xp, x, 0)
    best = index = None
    for i, at in enumerate(w.taps()):
        v, legal = padded[at], inside[at]
        if best is None:
            best, index = xp.zeros_like(v), xp.full(v.shape, -1)
        better = legal & ((index < 0) | (v > best) | ((best != best) & (v == v)))
        best, index = xp.where(better, v, best), xp.where(better, i, index)
    if best is None:
        best = xp.zeros(x.shape[:2] + w.out, x.dtype)
        index = xp.full(best.shape, -1)
    return xp.where(index < 0, xp.asarray(LOWEST[x.dtype.name], x.dtype), best), index


def code_dtype(p):
    """The dtype of the second output of max pooling, which says what element of its window each maximum is: 8 bits
    where they number a window's elements and none (255), else 64, and none is -1."""
    return "uint8" if not p.global_pool and product(p.kernel) <= 255 else "int64"


def _power_sum(xp, p, w, x):
    """Sum over each window of x, x**2 or x**3."""
    q = p.p_value if p.pool_type == "lp" else 1
    padded = w.padded(xp, x * x if q == 2 else x * x * x if q == 3 else x, 0)
    total = xp.zeros(x.shape[:2] + w.out, x.dtype)
    for at in w.taps():
        total += padded[at]
    return total


def spread(xp, w, each, dtype):
    """The input-shaped sum over window elements i of each(i), put where the element lies."""
    n, c = each(0).shape[:2]
    dx = w.padded(xp, xp.zeros((n, c, *w.x), dtype), 0)
    for i, at in enumerate(w.taps()):
        dx[at] += each(i)
    return dx[w.inner()]


def _scratch(w, backward, codes):
    """Elements of scratch that a thread has: lines of padded input and of outputs; backward all outputs, with a byte
    each where there are `codes`. As laid out by `place` in kernels/pool_real.h."""
    def whole(n):
        return -(-n // 16) * 16
    (n, s, k, pad, size), slack = (v[-1] for v in (w.out, w.stride, w.kernel, w.pad, w.x)), 48
    m = whole(-(-(pad + size) // s))
    pitch = whole((k - 1) // s + 1 + max(whole(n), m) + slack)
    lines, all = 2 * ((whole(n) - 1) * s + k + slack) + whole(n) + pitch, backward * product(w.out[:-1]) * pitch
    return whole(lines + all + (-(-all // 4) if codes else 0))


def _workspace(p, data, itemsize, threads, backward):
    w = Windows(p, data)
    scratch = _scratch(w, backward, p.pool_type == "max")
    if itemsize == 2:                           # float planes to compute on
        scratch += sum(2 * -(-product(v) // 16) * 16 for v in (w.x, w.out))
    return threads * scratch * max(itemsize, 4)


def _launch(p, data, backward=False):
    w = Windows(p, data)
    one, zero = (1,) * (3 - w.nd), (0,) * (3 - w.nd)
    last = {"channels": data[-1]} if w.last else {}         # which no CPU kernel takes
    return {**last, "planes": data[0] * data[-1 if w.last else 1], "p_value": p.p_value if p.pool_type == "lp" else 1,
            "scratch": _scratch(w, backward, p.pool_type == "max"),
            "kind": ("max", "avg", "sum", "lp").index(p.pool_type),
            "include_pad": int(p.count_include_pad is not False), "kernel": one + w.kernel, "stride": one + w.stride,
            "pad": zero + w.pad, "src": one + w.x, "dst": one + w.out}


def _kernel(name, layouts=(None, "NCW", "NCHW", "NCDHW")):
    def rule(p):
        # A window's elements are numbered in 32 bits.
        return name if p.layout in layouts and product(p.kernel) < 2**30 else None
    return rule


class Pooling(Op):
    """Maximum, average, sum or p-norm over windows of 1, 2 or 3 spatial axes.

    (N, C, *X) gives (N, C, *Y); a channels-last `layout` has C at the end. ``Y = (X + 2 pad - kernel) // stride + 1``,
    rounded up with pooling_convention 'full'. Padding never wins a maximum; it counts in the divisor of an average
    unless `count_include_pad` is false. NaN loses a maximum against any number; the gradient of a tie goes to its
    first element. A window wholly outside the input (possible with 'full') gives the lowest finite number for max,
    else 0. lp is ``(sum x**p) ** (1 / p)``, without absolute values, as in MXNet. ValueError where the kernel exceeds
    the padded input, or where pad could fill a window of max or avg.
    """
    params = PARAMS
    # What backward of a maximum needs: less to keep, and to search, than the data.
    outputs = lambda p: "output codes" if p.pool_type == "max" else "output"
    visible = 1
    # MXNet's oneDNN path keeps the places of the maxima as a second output.
    mxnet_outputs = lambda p: 2 if p.pool_type == "max" and p.kernel and p.layout in (
        None, "NCW", "NCHW", "NCDHW") else 1

    infer = infer_windows

    def infer_dtype(p, ins, outs):
        ins, out = float_dtype(p, ins, outs[:1])
        return ins, [*out, code_dtype(p)][:len(outs)]

    def ref(xp, p, x):
        w = Windows(p, x.shape)
        dtype, x = x.dtype, w.moved(xp, x)
        if p.pool_type == "max":
            y, index = _max(xp, w, x)
            return w.moved_back(xp, y), w.moved_back(xp, index.astype(code_dtype(p)))
        y = _power_sum(xp, p, w, wide(xp, x))
        if p.pool_type == "avg":
            y = y / w.counts(xp, p.count_include_pad is not False, y.dtype)
        elif p.pool_type == "lp" and p.p_value > 1:
            y = xp.sqrt(y) if p.p_value == 2 else xp.cbrt(y)
        return w.moved_back(xp, y.astype(dtype, copy=False))

    cpu, gpu = _kernel("pool.forward"), _kernel("pool.forward", (None, *LAYOUTS))
    cpu_dtypes = FLOATS

    def launch(p, ins, outs):
        return _launch(p, ins[0])

    def workspace(p, ins, outs, itemsize, threads):
        return _workspace(p, ins[0], itemsize, threads, False)

    def grad(F, n, dy, *unused):
        if dy is None:
            return None
        given = {k: getattr(n.p, k) for k in PARAMS}
        extra = {"max": n.outputs[1:], "lp": [n.inputs[0], n.outputs[0]]}.get(n.p.pool_type, [])
        return F._backward_Pooling(dy, *extra, shape=n.in_shapes[0], **given)

    samples = (
        S((2, 3, 7, 8), kernel=(3, 3), stride=(2, 2), pad=(1, 1)), S((2, 3, 9), kernel=(3,), pool_type="avg", pad=(1,)),
        S((2, 3, 6, 7), kernel=(3, 2), pool_type="avg", pad=(1, 1), stride=(2, 1), count_include_pad=False),
        S((2, 2, 5, 6, 7), kernel=(2, 3, 3), stride=(1, 2, 2), pooling_convention="full"),
        S((2, 2, 5, 6, 7), kernel=(2, 3, 3), pad=(1, 1, 1), stride=(2, 2, 2), pool_type="avg",
          pooling_convention="full"),
        S((2, 3, 6, 5), kernel=(2, 2), stride=(2, 2), pool_type="sum", pooling_convention="full"),
        S((2, 3, 6, 5), kernel=(2, 2), pool_type="lp", p_value=2), S((2, 3, 8), kernel=(3,), pool_type="lp", p_value=3,
                                                                   stride=(2,), low=0.2),
        S((2, 3, 8), kernel=(3,), pool_type="lp", p_value=1), S((3, 2, 5, 4), global_pool=True),
        S((3, 2, 5, 4), global_pool=True, pool_type="avg"), S((0, 3, 5, 5), kernel=(2, 2)),
        S((1, 2, 7), kernel=(2,), stride=(3,), pooling_convention="same"), S((1, 2, 6), kernel=(1,), stride=(4,),
                                                         pooling_convention="full", pool_type="avg"),
        S((2, 5, 6, 3), kernel=(2, 3), layout="NHWC"), S((2, 5, 600), kernel=(5,), stride=(2,), pad=(2,)),
        S((1, 3, 20, 70), kernel=(3, 3), pool_type="avg", pad=(1, 1)), S((4, 2, 28, 28), kernel=(2, 2), stride=(2, 2)))


def _lp_gradients(F, n, ddx, given):
    """Gradients of lp pooling's gradient ``dx = spread(dy / y**q) x**q``, q = p_value - 1, with respect to dy, data and
    output. Windows whose output is 0 have no gradient, and none of it."""
    q, given = n.p.p_value - 1, dict(given, pool_type="sum")
    dy, x, y = n.inputs
    if q == 0:
        return F.Pooling(ddx, **given), None, None
    zero = F._equal_scalar(y, scalar=0.0)
    inverse = F.elemwise_sub(F.reciprocal(F.elemwise_add(y, zero)), zero)       # 1 / y, 0 where y is
    scale = F.elemwise_mul(inverse, inverse) if q == 2 else inverse
    seen = F.elemwise_mul(F.Pooling(F.elemwise_mul(ddx, F.elemwise_mul(x, x) if q == 2 else x), **given), scale)
    each = F._backward_Pooling(F.elemwise_mul(dy, scale), shape=n.in_shapes[1], **given)
    slope = F.elemwise_mul(each, F._mul_scalar(F.elemwise_mul(ddx, x), scalar=2.0) if q == 2 else ddx)
    return seen, slope, F._mul_scalar(F.elemwise_mul(F.elemwise_mul(dy, seen), inverse), scalar=-float(q))


def _dtypes_with_codes(p, ins, outs):
    first, out = float_dtype(p, ins[:1], outs)
    if ins[1] not in (None, code_dtype(p)):
        raise ValueError(f"codes must be {code_dtype(p)}, not {ins[1]}")
    return [*first, code_dtype(p)], out


class _backward_Pooling(Op):
    """Gradient of Pooling: from `dy`, and the codes of where maxima come from for max, data and output for lp.

    `shape` is the shape of the data. Codes of elements that lie in the padding, or in no window, give nothing.
    """
    def inputs(p):
        return {"max": "dy codes", "lp": "dy data output"}.get(p.pool_type, "dy")

    params = dict(PARAMS, shape=Param(shape, help="shape of the data"))

    def infer(p, ins, outs):
        y = Windows(p, p.shape).shape(p.shape)
        want = [y, y if p.pool_type == "max" else p.shape, y]
        return [unify(a, b) for a, b in zip(want, ins)], [unify(p.shape, outs[0])]

    def infer_dtype(p, ins, outs):
        return _dtypes_with_codes(p, ins, outs) if p.pool_type == "max" else float_dtype(p, ins, outs)

    def ref(xp, p, dy, x=None, y=None):
        w = Windows(p, p.shape)
        dtype, dy = dy.dtype, wide(xp, w.moved(xp, dy))
        if p.pool_type == "max":
            codes = w.moved(xp, x)
            dx = spread(xp, w, lambda i: xp.where(codes == i, dy, 0), dy.dtype)
        elif p.pool_type == "lp" and p.p_value > 1:
            x, y = wide(xp, w.moved(xp, x)), wide(xp, w.moved(xp, y))
            padded, taps, q = w.padded(xp, x, 0), w.taps(), p.p_value - 1
            scale = xp.where(y == 0, 0, dy / xp.where(y == 0, 1, y) ** q)
            dx = spread(xp, w, lambda i: scale * padded[taps[i]] ** q, dy.dtype)
        else:
            if p.pool_type == "avg":
                dy = dy / w.counts(xp, p.count_include_pad is not False, dy.dtype)
            dx = spread(xp, w, lambda i: dy, dy.dtype)
        return w.moved_back(xp, xp.ascontiguousarray(dx.astype(dtype, copy=False)))

    cpu, gpu = _kernel("pool.backward"), _kernel("pool.backward", (None, *LAYOUTS))
    cpu_dtypes = FLOATS

    def launch(p, ins, outs):
        return _launch(p, p.shape, True)

    def workspace(p, ins, outs, itemsize, threads):
        return _workspace(p, p.shape, itemsize, threads, True)

    def grad(F, n, ddx):
        given = {k: getattr(n.p, k) for k in PARAMS}
        if n.p.pool_type == "max":
            return F._pool_pick(ddx, n.inputs[1], shape=n.p.shape, **given), None
        if n.p.pool_type == "lp":
            return _lp_gradients(F, n, ddx, given)
        return F.Pooling(ddx, **given)

    samples = (
        S((2, 3, 4, 4), (2, 3, 4, 4), kernel=(3, 3), stride=(2, 2), pad=(1, 1), shape=(2, 3, 7, 8), index={1: 9}),
        S((2, 3, 9), kernel=(3,), pool_type="avg", pad=(1,), shape=(2, 3, 9)),
        S((2, 3, 3, 8), kernel=(3, 2), pool_type="avg", pad=(1, 1), stride=(2, 1), count_include_pad=False,
          shape=(2, 3, 6, 7)),
        S((2, 2, 4, 3, 3), (2, 2, 4, 3, 3), kernel=(2, 3, 3), stride=(1, 2, 2), pooling_convention="full",
          shape=(2, 2, 5, 6, 7), index={1: 20}),
        S((2, 3, 3, 3), kernel=(2, 2), stride=(2, 2), pool_type="sum", pooling_convention="full", shape=(2, 3, 6, 5)),
        S((3, 2, 1, 1), (3, 2, 1, 1), global_pool=True, shape=(3, 2, 5, 4), index={1: 25}),
        S((0, 3, 4, 4), (0, 3, 4, 4), kernel=(2, 2), shape=(0, 3, 5, 5), index={1: 4}),
        S((2, 3, 5, 4), (2, 3, 6, 5), (2, 3, 5, 4), kernel=(2, 2), pool_type="lp", p_value=2, shape=(2, 3, 6, 5),
          low=0.2),
        S((2, 3, 3), (2, 3, 8), (2, 3, 3), kernel=(3,), pool_type="lp", p_value=3, stride=(2,), shape=(2, 3, 8),
          low=0.2),
        S((2, 3, 6), (2, 3, 8), (2, 3, 6), kernel=(3,), pool_type="lp", p_value=1, shape=(2, 3, 8)),
        S((2, 4, 4, 3), (2, 4, 4, 3), kernel=(2, 3), layout="NHWC", shape=(2, 5, 6, 3), index={1: 6}),
        S((2, 5, 300), (2, 5, 300), kernel=(5,), stride=(2,), pad=(2,), shape=(2, 5, 600), index={1: 6}),
        S((2, 3, 31), (2, 3, 31), kernel=(300,), stride=(3,), pad=(70,), shape=(2, 3, 250), index={1: 320}))


class _pool_pick(Op):
    """The elements of `values` at the places that `codes` name, those of Pooling: the gradient of max pooling's
    gradient with respect to dy. `values` has the shape `shape` of the data; places in the padding, or in no window,
    give 0."""
    inputs = "values codes"
    params = _backward_Pooling.params
    infer_dtype = _dtypes_with_codes

    def infer(p, ins, outs):
        y = Windows(p, p.shape).shape(p.shape)
        return [unify(p.shape, ins[0]), unify(y, ins[1])], [unify(y, outs[0])]

    def ref(xp, p, values, codes):
        w = Windows(p, p.shape)
        codes, padded = w.moved(xp, codes), w.padded(xp, w.moved(xp, values), 0)
        y = xp.zeros(codes.shape, values.dtype)
        for i, at in enumerate(w.taps()):
            y = xp.where(codes == i, padded[at], y)
        return w.moved_back(xp, y)

    def grad(F, n, dy):
        given = {k: getattr(n.p, k) for k in _backward_Pooling.params}
        return F._backward_Pooling(dy, n.inputs[1], **given), None

    samples = (S((2, 3, 7, 8), (2, 3, 4, 4), kernel=(3, 3), stride=(2, 2), pad=(1, 1), shape=(2, 3, 7, 8),
                 index={1: 9}),
               S((2, 3, 7), (2, 3, 3), kernel=(1,), stride=(4,), pooling_convention="full", shape=(2, 3, 7),
                 index={1: 2}))
