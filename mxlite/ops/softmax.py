"""Softmax along an axis, its logarithm and relatives, and the softmax output layer with its own gradient."""
from .record import Op, Param, S, show, unify
from .rules import axis_of, size
from .types import boolean, dtype, integer, optional, real, text

FLOATS = ("float16", "bfloat16", "float32", "float64")
SOFTMAX = {
    "axis": Param(integer, -1, "the axis to normalize"),
    "temperature": Param(optional(real), None, "divides the data first"),
    "dtype": Param(optional(dtype), None, "dtype of the output; the data's where None",
                   ("float16", "float32", "float64")),
    "use_length": Param(lambda v: bool(optional(boolean)(v)), False, "take the number of valid elements from `length`"),
}


def split(shape, axis):
    """`shape` as (outer, k, inner) around `axis`."""
    return size(shape[:axis]), shape[axis], size(shape[axis + 1:])


def _inputs(p):
    return "data length" if p.use_length else "data"


def _no_length(p):
    if p.use_length:
        raise ValueError("use_length is for softmax only")


def _infer(p, ins, outs):
    data = unify(ins[0], outs[0])
    if data is None:
        return ins, outs
    axis = axis_of(p.axis, len(data))
    return [data] + [unify(s, data[:axis] + data[axis + 1:]) for s in ins[1:]], [data]


def _infer_dtype(p, ins, outs):
    data = ins[0] or (outs[0] if p.dtype is None else None)
    if data is not None and data not in FLOATS:
        raise ValueError(f"data must be of a floating type, not {data}")
    if len(ins) > 1 and ins[1] not in (None, "int32", "int64"):
        raise ValueError(f"length must be int32 or int64, not {ins[1]}")
    return [data, *ins[1:]], [p.dtype or data]


def _scale(p):
    """What the data is multiplied by: 1 / temperature, NaN for temperature 0 as in MXNet."""
    if p.temperature is None:
        return 1.0
    return 1.0 / p.temperature if p.temperature else float("nan")


def _launcher(sign, data=0):
    def launch(p, ins, outs):
        outer, k, inner = split(ins[data], axis_of(p.axis, len(ins[data])))
        return {"outer": outer, "k": k, "inner": inner, "scale": sign * _scale(p)}
    return launch


def _log_softmax(xp, z, axis):
    if not z.size:
        return z
    z = z - z.max(axis=axis, keepdims=True)
    return z - xp.log(xp.exp(z).sum(axis=axis, keepdims=True))


def _softmax(xp, z, axis):
    if not z.size:
        return z
    e = xp.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def _valid(xp, x, length, axis):
    """True where an element's place along `axis` is below its row's length."""
    place = xp.arange(x.shape[axis]).reshape((-1,) + (1,) * (x.ndim - axis - 1))
    return place < xp.expand_dims(length, axis)


def _work(p, x):
    """The dtype to compute in: the wider of data and result, float32 at least."""
    wide = {x.dtype.name, p.dtype} - {None}
    return "float64" if "float64" in wide else "float32"


def _kernel(name):
    return lambda p: None if p.dtype is not None else name


class softmax(Op):
    """exp(data / temperature), divided by its sum along `axis`. With `use_length` only the first `length` elements
    of each row count, the others give 0; `length` has the data's shape without `axis`, int32 or int64."""

    inputs = _inputs
    params = SOFTMAX
    infer, infer_dtype = _infer, _infer_dtype
    cpu = _kernel("softmax.softmax")
    launch = _launcher(1.0)
    inplace = {0: 0}
    samples = (S((3, 10)), S((2, 5, 7), axis=1), S((4, 33), temperature=2.0), S((5, 2, 3, 4), axis=0), S((0, 3)),
               S((6, 100), low=-30.0, high=30.0), S((2, 3, 20), axis=1))

    def ref(xp, p, data, length=None):
        axis = axis_of(p.axis, data.ndim)
        z = data.astype(_work(p, data)) * _scale(p)
        if length is None:
            y = _softmax(xp, z, axis)
        else:
            valid = _valid(xp, z, length, axis)
            if z.size:
                # Elements past the length stand aside as the row's first one, so that they cannot overflow.
                z = xp.where(valid, z, xp.take(z, xp.asarray([0]), axis=axis))
                y = xp.where(valid, xp.exp(z - z.max(axis=axis, keepdims=True)), xp.zeros((), dtype=z.dtype))
                total = y.sum(axis=axis, keepdims=True)
                z = y / xp.where(total == 0, xp.ones((), dtype=z.dtype), total)
            y = z
        return y.astype(p.dtype or data.dtype)

    def grad(F, n, dy):
        extra = n.inputs[1:]
        dx = F._backward_softmax(dy, n.outputs[0], axis=n.p.axis, temperature=n.p.temperature,
                                 dtype=n.in_dtypes[0] if n.p.dtype is not None else None)
        return (dx, *(None for _ in extra))


class log_softmax(Op):
    """Logarithm of :class:`softmax`, without overflow or loss of small values."""

    params = SOFTMAX
    infer_dtype = _infer_dtype
    cpu = _kernel("softmax.log_softmax")
    launch = _launcher(1.0)
    inplace = {0: 0}
    samples = (S((3, 10)), S((2, 5, 7), axis=1), S((4, 33), temperature=2.0), S((0, 3)),
               S((6, 100), low=-30.0, high=30.0))

    def infer(p, ins, outs):
        _no_length(p)
        return _infer(p, ins, outs)

    def ref(xp, p, data):
        z = data.astype(_work(p, data)) * _scale(p)
        return _log_softmax(xp, z, p.axis).astype(p.dtype or data.dtype)

    def grad(F, n, dy):
        return F._backward_log_softmax(dy, n.outputs[0], axis=n.p.axis, temperature=n.p.temperature,
                                       dtype=n.in_dtypes[0] if n.p.dtype is not None else None)


class softmin(Op):
    """:class:`softmax` of the negated data."""

    params = SOFTMAX
    infer_dtype = _infer_dtype
    cpu = _kernel("softmax.softmax")
    launch = _launcher(-1.0)
    inplace = {0: 0}
    samples = (S((3, 10)), S((2, 5, 7), axis=1), S((4, 33), temperature=2.0))

    def infer(p, ins, outs):
        _no_length(p)
        return _infer(p, ins, outs)

    def ref(xp, p, data):
        z = data.astype(_work(p, data)) * -_scale(p)
        return _softmax(xp, z, p.axis).astype(p.dtype or data.dtype)

    def grad(F, n, dy):
        return F._backward_softmin(dy, n.outputs[0], axis=n.p.axis, temperature=n.p.temperature,
                                   dtype=n.in_dtypes[0] if n.p.dtype is not None else None)


def _backward_infer_dtype(p, ins, outs):
    y = ins[1] or ins[0]
    return [y, y], [p.dtype or y]


def _d_softmax(xp, p, sign, dy, y):
    work = _work(p, y)
    dy, wide = dy.astype(work), y.astype(work)
    total = (dy * wide).sum(axis=p.axis, keepdims=True)
    return (sign * _scale(p) * wide * (dy - total)).astype(p.dtype or y.dtype)


def _second(sign):
    """Gradient of ``s * y * (dy - sum(dy * y))`` for dy and y."""
    def grad(F, n, g):
        p, (dy, y) = n.p, n.inputs
        if p.dtype is not None and p.dtype != n.in_dtypes[1]:
            g = F.Cast(g, dtype=n.in_dtypes[1])
        name = F._backward_softmax if sign > 0 else F._backward_softmin
        for_dy = name(g, y, axis=p.axis, temperature=p.temperature)
        gy = F.sum(F.elemwise_mul(g, y), axis=p.axis, keepdims=True)
        dyy = F.sum(F.elemwise_mul(dy, y), axis=p.axis, keepdims=True)
        for_y = F.elemwise_sub(F.broadcast_mul(g, F.broadcast_sub(dy, dyy)), F.broadcast_mul(dy, gy))
        return for_dy, F._mul_scalar(for_y, scalar=sign * _scale(p))
    return grad


BACKWARD = {k: SOFTMAX[k] for k in ("axis", "temperature", "dtype")}


class _backward_softmax(Op):
    """Gradient of :class:`softmax` from that of its output `dy` and the output `y`; `dtype` is the data's."""

    inputs = "dy y"
    params = BACKWARD
    infer_dtype = _backward_infer_dtype
    cpu = _kernel("softmax.softmax_backward")
    launch = _launcher(1.0)
    inplace = {0: (0, 1)}
    samples = (S((3, 10)), S((2, 5, 7), axis=1), S((4, 33), temperature=2.0), S((0, 3)), S((2, 3, 20), axis=1))
    grad = _second(1.0)

    def ref(xp, p, dy, y):
        return _d_softmax(xp, p, 1.0, dy, y)


class _backward_softmin(Op):
    """Gradient of :class:`softmin` from that of its output `dy` and the output `y`; `dtype` is the data's."""

    inputs = "dy y"
    params = BACKWARD
    infer_dtype = _backward_infer_dtype
    cpu = _kernel("softmax.softmax_backward")
    launch = _launcher(-1.0)
    inplace = {0: (0, 1)}
    samples = (S((3, 10)), S((2, 5, 7), axis=1))
    grad = _second(-1.0)

    def ref(xp, p, dy, y):
        return _d_softmax(xp, p, -1.0, dy, y)


class _backward_log_softmax(Op):
    """Gradient of :class:`log_softmax` from that of its output `dy` and the output `y`; `dtype` is the data's."""

    inputs = "dy y"
    params = BACKWARD
    infer_dtype = _backward_infer_dtype
    cpu = _kernel("softmax.log_softmax_backward")
    launch = _launcher(1.0)
    inplace = {0: (0, 1)}
    samples = (S((3, 10)), S((2, 5, 7), axis=1), S((4, 33), temperature=2.0), S((2, 3, 20), axis=1))

    def ref(xp, p, dy, y):
        work = _work(p, y)
        dy, wide = dy.astype(work), y.astype(work)
        return (_scale(p) * (dy - xp.exp(wide) * dy.sum(axis=p.axis, keepdims=True))).astype(p.dtype or y.dtype)

    def grad(F, n, g):
        p, (dy, y) = n.p, n.inputs
        if p.dtype is not None and p.dtype != n.in_dtypes[1]:
            g = F.Cast(g, dtype=n.in_dtypes[1])
        g = F._mul_scalar(g, scalar=_scale(p))
        ge = F.elemwise_mul(g, F.exp(y))
        total = F.sum(ge, axis=p.axis, keepdims=True)
        return F.broadcast_sub(g, total), F._mul_scalar(
            F.broadcast_mul(ge, F.sum(dy, axis=p.axis, keepdims=True)), scalar=-1.0)


class SoftmaxActivation(Op):
    """Softmax along the last axis (mode ``instance``) or along axis 1 (mode ``channel``, at least three axes). The
    gradient is the derivative; MXNet's is not, for ``instance`` and more than two axes."""

    params = {"mode": Param(text, "instance", "along the last axis, or over channels", ("channel", "instance"))}
    cpu = "softmax.softmax"
    inplace = {0: 0}
    samples = (S((3, 10)), S((2, 5, 7), mode="channel"), S((2, 5, 7)))

    def infer(p, ins, outs):
        data = unify(ins[0], outs[0])
        if p.mode == "channel" and data is not None and len(data) < 3:
            raise ValueError(f"mode 'channel' needs at least three axes, data has shape {show(data)}")
        return [data], [data]

    def infer_dtype(p, ins, outs):
        d = ins[0] or outs[0]
        if d is not None and d not in FLOATS:
            raise ValueError(f"data must be of a floating type, not {d}")
        return [d], [d]

    def launch(p, ins, outs):
        outer, k, inner = split(ins[0], 1 if p.mode == "channel" else len(ins[0]) - 1)
        return {"outer": outer, "k": k, "inner": inner, "scale": 1.0}

    def ref(xp, p, data):
        z = data.astype("float32") if data.dtype.name == "float16" else data
        return _softmax(xp, z, 1 if p.mode == "channel" else -1).astype(data.dtype)

    def grad(F, n, dy):
        return F._backward_softmax(dy, n.outputs[0], axis=1 if n.p.mode == "channel" else -1)
