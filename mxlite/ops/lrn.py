"""Local response normalization."""
import numpy as np

from .chain import vjp
from .layer_norm import compute_dtype
from .record import Op, Param, S, show, unify
from .rules import float_dtype, size
from .types import integer, real

PARAMS = {
    "alpha": Param(real, float(np.float32(1e-4)), "weight of the mean square"),
    "beta": Param(real, 0.75, "the power"),
    "knorm": Param(real, 2.0, "added to the weighted mean square"),
    "nsize": Param(integer, help="how many neighbouring channels count", low=1),
}
MOST = 63           # the largest window of the kernels (kernels/lrn_table.h)


def _reach(p):
    """How many channels the window reaches to either side."""
    return (p.nsize - 1) // 2


def _infer(p, ins, outs):
    data = outs[0]
    for s in ins:
        data = unify(data, s)
    if data is not None and len(data) < 2:
        raise ValueError(f"data must have at least two axes, not shape {show(data)}")
    return [data] * len(ins), [data]


def _launch(p, ins, outs):
    shape = outs[0]
    return {"outer": shape[0], "channels": shape[1], "inner": size(shape[2:]), "reach": _reach(p),
            "alpha": p.alpha / p.nsize, "beta": p.beta, "knorm": p.knorm}


def _kernel(name):
    """The kernels take the power by way of the logarithm, and keep a window of channels at hand."""
    return lambda p: name if 2 * _reach(p) + 1 <= MOST and p.knorm > 0 and p.alpha >= 0 else None


def _window(xp, p, x):
    """Sum over the window of channels."""
    total, c = xp.zeros_like(x), x.shape[1]
    for step in range(max(-_reach(p), 1 - c), min(_reach(p) + 1, c)):
        total[:, max(-step, 0):c - max(step, 0)] += x[:, max(step, 0):c - max(-step, 0)]
    return total


def _norm(xp, p, x):
    return x.dtype.type(p.knorm) + x.dtype.type(p.alpha / p.nsize) * _window(xp, p, x * x)


class LRN(Op):
    """Local response normalization (Krizhevsky, Sutskever and Hinton, 2012): ``data * norm ** -beta`` with ``norm =
    knorm + alpha / nsize * (sum of squares over nsize channels)``, the window of channels being centred and cut off at
    the ends. An even `nsize` counts one channel less, but still divides alpha, as MXNet does on CPUs. data is (batch,
    channel, ...) with any number of axes from two. Floating-point dtypes."""

    params = PARAMS
    mxnet_outputs = 2
    infer, infer_dtype, launch = _infer, float_dtype, _launch
    cpu = _kernel("lrn.lrn")
    samples = (S((2, 7, 3, 5), nsize=5, alpha=0.9, knorm=1.0), S((2, 4, 6), nsize=3, alpha=1.0, beta=0.6),
               S((3, 6, 2, 2), nsize=4, alpha=2.0, beta=2.0, knorm=0.5), S((3, 9), nsize=3, alpha=0.3),
               S((2, 3, 300), nsize=7, alpha=1.0, knorm=0.2), S((0, 3, 2), nsize=3), S((2, 0, 2), nsize=3),
               S((2, 5, 3), nsize=1, alpha=0.5), S((1, 70, 3), nsize=65, alpha=2.0))

    def ref(xp, p, data):
        x = data.astype(compute_dtype(data))
        return (x * _norm(xp, p, x) ** x.dtype.type(-p.beta)).astype(data.dtype)

    def grad(F, n, dy):
        return F._backward_LRN(dy, n.inputs[0], **{k: getattr(n.p, k) for k in PARAMS})


def _formula(F, n, dy, x):
    p = n.p
    channels = n.in_shapes[1][1]

    reach = min(_reach(p), channels)

    def window(v):
        """Pad the channels with zeros, then add up shifted slices."""
        shape = (n.in_shapes[1][0], 1, channels, size(n.in_shapes[1][2:]))
        padded = F.Pad(F._reshape_to(v, shape=shape), mode="constant", pad_width=(0, 0, 0, 0, reach, reach, 0, 0))
        parts = [F.slice_axis(padded, axis=2, begin=i, end=i + channels) for i in range(2 * reach + 1)]
        return F._reshape_to(F.add_n(*parts, num_args=len(parts)), shape=n.in_shapes[1])
    norm = F._plus_scalar(F._mul_scalar(window(F.square(x)), scalar=p.alpha / p.nsize), scalar=p.knorm)
    power = F._power_scalar(norm, scalar=-p.beta)
    terms = F.elemwise_div(F.elemwise_mul(F.elemwise_mul(dy, x), power), norm)
    pull = F._mul_scalar(window(terms), scalar=2 * p.alpha * p.beta / p.nsize)
    return F.elemwise_sub(F.elemwise_mul(dy, power), F.elemwise_mul(x, pull))


class _backward_LRN(Op):
    """Gradient of :class:`LRN`, from the head gradient and the data."""

    inputs = "dy data"
    outputs = "ddata"
    params = PARAMS
    infer, infer_dtype, launch = _infer, float_dtype, _launch
    cpu = _kernel("lrn.lrn_backward")
    inplace = {0: 0}
    samples = tuple(S(*s.shapes, *s.shapes, **s.params) for s in LRN.samples)
    grad = vjp(_formula)

    def ref(xp, p, dy, data):
        x, d = (a.astype(compute_dtype(data)) for a in (data, dy))
        norm, kind = _norm(xp, p, x), x.dtype.type
        power = norm ** kind(-p.beta)
        pull = _window(xp, p, d * x * power / norm)
        return (d * power - kind(2 * p.alpha * p.beta / p.nsize) * x * pull).astype(data.dtype)
