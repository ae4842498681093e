"""Division by the 2-norm."""
import numpy as np

from .chain import vjp
from .layer_norm import compute_dtype
from .record import Op, Param, S, show, unify
from .rules import float_dtype, size
from .types import real, text

PARAMS = {
    "eps": Param(real, float(np.float32(1e-10)), "added to the sum of squares, so that its root is never zero"),
    "mode": Param(text, "instance", "over a whole sample, over its channels at each position, or over the positions of "
                                    "each channel", ("channel", "instance", "spatial")),
}


def _view(p, shape):
    """`shape` as (outer, k, inner): the norm is over k."""
    if p.mode == "instance":
        return shape[0], size(shape[1:]), 1
    if p.mode == "spatial":
        return size(shape[:2]), size(shape[2:]), 1
    return shape[0], shape[1], size(shape[2:])


def _infer(p, ins, outs):
    data = outs[0]
    for s in ins:
        data = unify(data, s)
    if data is not None and len(data) < (1 if p.mode == "instance" else 3):
        raise ValueError(f"mode {p.mode!r} needs at least {1 if p.mode == 'instance' else 3} axes, data has shape "
                         f"{show(data)}")
    return [data] * len(ins), [data]


def _launch(p, ins, outs):
    outer, k, inner = _view(p, outs[0])
    return {"outer": outer, "k": k, "inner": inner, "eps": p.eps}


def _norm(xp, p, x):
    x = x.reshape(_view(p, x.shape)).astype(compute_dtype(x))
    return x, xp.sqrt((x * x).sum(axis=1, keepdims=True) + x.dtype.type(p.eps))


class L2Normalization(Op):
    """``data / sqrt(sum(data ** 2) + eps)``, the sum over all of a sample (mode ``instance``), over axis 1
    (``channel``) or over all axes from the third (``spatial``; both need three axes). Floating-point dtypes."""

    params = PARAMS
    mxnet_outputs = 2
    infer, infer_dtype, launch = _infer, float_dtype, _launch
    cpu = "l2norm.l2_norm"
    inplace = {0: 0}
    samples = (S((3, 10)), S((2, 3, 5, 7), eps=0.1), S((2, 3, 5, 7), mode="channel"), S((2, 3, 37), mode="spatial"),
               S((7,), low=0.5), S((0, 3)), S((2, 19, 1), mode="channel"), S((2, 0, 3), mode="channel"))

    def ref(xp, p, data):
        x, norm = _norm(xp, p, data)
        return (x / norm).reshape(data.shape).astype(data.dtype)

    def grad(F, n, dy):
        return F._backward_L2Normalization(dy, n.inputs[0], eps=n.p.eps, mode=n.p.mode)


def _formula(F, n, dy, x):
    shape = _view(n.p, n.in_shapes[1])

    def total(v):
        return F._spread(F.sum(v, axis=1), shape=shape, axes=(1,))
    d, x = F._reshape_to(dy, shape=shape), F._reshape_to(x, shape=shape)
    inverse = F.rsqrt(F._plus_scalar(total(F.square(x)), scalar=n.p.eps))
    y = F.elemwise_mul(x, inverse)
    dx = F.elemwise_mul(F.elemwise_sub(d, F.elemwise_mul(y, total(F.elemwise_mul(d, y)))), inverse)
    return F._reshape_to(dx, shape=n.in_shapes[1])


class _backward_L2Normalization(Op):
    """Gradient of :class:`L2Normalization`: ``(dy - y * sum(dy * y)) / norm``, from the head gradient and the data."""

    inputs = "dy data"
    outputs = "ddata"
    params = PARAMS
    infer, infer_dtype, launch = _infer, float_dtype, _launch
    cpu = "l2norm.l2_norm_backward"
    inplace = {0: (0, 1)}
    samples = tuple(S(*s.shapes, *s.shapes, low=s.low, **s.params) for s in L2Normalization.samples)
    grad = vjp(_formula)

    def ref(xp, p, dy, data):
        x, norm = _norm(xp, p, data)
        y, d = x / norm, dy.reshape(x.shape).astype(x.dtype)
        return ((d - y * (d * y).sum(axis=1, keepdims=True)) / norm).reshape(data.shape).astype(data.dtype)
