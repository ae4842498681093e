"""Activation and LeakyReLU: the two layers that choose an element-wise function by name."""
import numpy as np

from . import special
from .elementwise import FLOATS, floating
from .record import Op, Param, S, show, unify
from .types import real, text
from .unary import TWO_OVER_ROOT_PI, unary

unary("_softrelu", "log(1 + exp(x)), without overflow.",
      lambda xp, x: xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x))),
      "y", lambda xp, dy, y: dy * -xp.expm1(-y), lambda F, y: F.exp(F.negative(y)), high=3.0)

ACTIVATIONS = {"relu": "relu", "sigmoid": "sigmoid", "softrelu": "_softrelu", "softsign": "softsign", "tanh": "tanh"}


class Activation(Op):
    """An activation function chosen by `act_type`: relu, sigmoid, softrelu (log(1 + exp(x))), softsign or tanh."""

    params = {"act_type": Param(text, help="Activation function to be applied.", choices=tuple(ACTIVATIONS))}
    inplace = {0: 0}
    cpu_dtypes = FLOATS + ("uint8", "int8", "int32", "int64")
    samples = tuple(S((2, 3, 4), act_type=a) for a in ACTIVATIONS) + (S((0, 3), act_type="relu"),)
    kinks = (0,)

    def cpu(p):
        return "elementwise." + ACTIVATIONS[p.act_type]

    def ref(xp, p, x):
        from .record import RECORDS
        return RECORDS[ACTIVATIONS[p.act_type]].ref(xp, p, x)

    def grad(F, n, dy):
        keep = n.inputs[0] if n.p.act_type == "softsign" else n.outputs[0]
        return getattr(F, "_backward_" + ACTIVATIONS[n.p.act_type])(dy, keep)


SELU_ALPHA, SELU_LAMBDA = 1.6732632423543772, 1.0507009873554805
ROOT_HALF = 0.7071067811865476
LEAKY_PARAMS = {
    "act_type": Param(text, "leaky", "Activation function to be applied.",
                      ("leaky", "prelu", "rrelu", "elu", "selu", "gelu")),
    "slope": Param(real, 0.25, "Slope of `leaky` below 0, scale of `elu` below 0."),
    "lower_bound": Param(real, 0.125, "Lower bound of `rrelu`'s random slope."),
    "upper_bound": Param(real, float(np.float32(0.334)), "Upper bound of `rrelu`'s random slope."),
}
# MXNet's order of positional parameters.
LEAKY_KERNELS = {"leaky": "_leaky", "rrelu": "_rrelu", "elu": "_elu", "selu": "_selu", "gelu": "_gelu"}


def _slope(p):
    return (p.lower_bound + p.upper_bound) / 2 if p.act_type == "rrelu" else p.slope


def _channels(x, gamma):
    """`gamma` shaped to multiply `x` along its second axis."""
    return gamma.reshape((1, -1) + (1,) * (x.ndim - 2)) if x.ndim > 1 else gamma


def _leaky_shapes(p, data, gamma):
    """Shapes of data and of prelu's gamma: one slope a channel, or one for all."""
    if data is not None and len(data) == 1:
        channels = 1
    else:
        channels = data[1] if data is not None else None
    if gamma is None:
        gamma = None if data is None else (channels,)
    elif len(gamma) != 1:
        raise ValueError(f"gamma must have one axis, not shape {show(gamma)}")
    elif gamma[0] is None and channels is not None:
        gamma = (channels,)
    elif gamma[0] not in (1, None) and channels not in (gamma[0], None):
        raise ValueError(f"gamma of shape {show(gamma)} does not fit the {channels} channels of data {show(data)}")
    return gamma


def _prelu_args(p, ins, outs):
    if p.act_type != "prelu":
        return {"channels": 1, "inner": 1}
    x, gamma = ins[-2:]
    inner = 1
    for d in x[2:]:
        inner *= d
    return {"channels": gamma[0], "inner": inner}


def _by_gamma(F, g, shape, gamma):
    """`g`, of data's `shape`, summed to prelu's gamma."""
    if gamma == (1,):
        return F._unbroadcast(g, shape=(1,), axes=tuple(range(len(shape))))
    return F.sum(g, axis=1, exclude=True)


def _leaky_value(xp, p, x, gamma=None):
    act = p.act_type
    if act == "prelu":
        return xp.where(x > 0, x, x * _channels(x, gamma))
    if act == "elu":
        return xp.where(x > 0, x, p.slope * xp.expm1(xp.minimum(x, 0)))
    if act == "selu":
        return SELU_LAMBDA * xp.where(x > 0, x, SELU_ALPHA * xp.expm1(xp.minimum(x, 0)))
    if act == "gelu":
        return x * (0.5 * (1 + special.erf(xp, x * ROOT_HALF)))
    return xp.where(x > 0, x, x * _slope(p))


class LeakyReLU(Op):
    """Rectifiers that keep something of negative inputs, chosen by `act_type`.

    leaky: ``slope * x`` below 0. prelu: the same with a learned slope `gamma`, one a channel (axis 1) or one for all.
    elu: ``slope * (exp(x) - 1)`` (Clevert 2015). selu: elu with fixed constants (Klambauer 2017). gelu: x times the
    normal distribution function (Hendrycks 2016). rrelu: leaky with the mean of the two bounds, its rule at
    prediction; it has a second output `mask`, zeros. Floating-point only.
    """

    params = LEAKY_PARAMS
    aux_init = {"gamma": '["Constant", {"value": 0.25}]'}
    dynamic = "slope lower_bound upper_bound"
    inplace = {0: 0}
    launch = _prelu_args
    cpu_dtypes = FLOATS
    kinks = (0,)
    samples = (*(S((2, 3, 4), act_type=a) for a in LEAKY_KERNELS), S((2, 3, 4), act_type="prelu"),
               S((4, 70), act_type="prelu"), S((4, 5), (1,), act_type="prelu"), S((7,), act_type="prelu"),
               S((0, 3), act_type="prelu"), S((5, 1), slope=0.1))

    def inputs(p):
        return "data gamma" if p.act_type == "prelu" else "data"

    def outputs(p):
        return "output mask" if p.act_type == "rrelu" else "output"

    def cpu(p):
        return "elementwise." + LEAKY_KERNELS.get(p.act_type, "_prelu")

    def infer(p, ins, outs):
        shape = unify(ins[0], outs[0])
        if p.act_type == "rrelu":
            shape = unify(shape, outs[1])
        gamma = [_leaky_shapes(p, shape, ins[1])] if p.act_type == "prelu" else []
        return [shape, *gamma], [shape] * len(outs)

    def infer_dtype(p, ins, outs):
        dtype = next((d for d in (*ins, *outs) if d is not None), None)
        if dtype is not None and dtype not in FLOATS:
            raise ValueError(f"LeakyReLU takes floating-point arrays, not {dtype}")
        return [dtype] * len(ins), [dtype] * len(outs)

    @floating
    def ref(xp, p, *xs):
        return _leaky_value(xp, p, *xs)

    def grad(F, n, dy, dmask=None):
        p, x = n.p, n.inputs[0]
        values = {k: getattr(p, k) for k in LEAKY_PARAMS}
        dx = F._backward_LeakyReLU(dy, *n.inputs, **values)
        if p.act_type != "prelu":
            return dx
        return dx, _by_gamma(F, F.elemwise_mul(dy, F._minimum_scalar(x, scalar=0.0)), *n.in_shapes)


def _rrelu_ref(ref):
    """rrelu has a second output."""
    def both(xp, p, *xs):
        y = ref(xp, p, *xs)
        return (y, xp.zeros_like(y)) if p.act_type == "rrelu" else y
    return both


LeakyReLU.ref = staticmethod(_rrelu_ref(LeakyReLU.ref))


class _backward_LeakyReLU(Op):
    """Gradient of `LeakyReLU` by its data, from the head gradient and the data (and gamma)."""

    params = LEAKY_PARAMS
    aux_init = {"gamma": '["Constant", {"value": 0.25}]'}
    dynamic = "slope lower_bound upper_bound"
    inplace = {0: (0, 1)}
    launch = _prelu_args
    cpu_dtypes = FLOATS
    samples = (*(S((2, 3, 4), (2, 3, 4), act_type=a) for a in LEAKY_KERNELS),
               S((2, 3, 4), (2, 3, 4), (3,), act_type="prelu"), S((2, 3, 4), (2, 3, 4), (1,), act_type="prelu"))

    def inputs(p):
        return "ograd data gamma" if p.act_type == "prelu" else "ograd data"

    def cpu(p):
        return "elementwise._backward_" + LEAKY_KERNELS.get(p.act_type, "_prelu")

    def infer(p, ins, outs):
        shape = unify(unify(ins[0], ins[1]), outs[0])
        return [shape, shape, *ins[2:]], [shape]

    @floating
    def ref(xp, p, dy, x, gamma=None):
        act = p.act_type
        if act == "prelu":
            return xp.where(x > 0, dy, dy * _channels(x, gamma))
        if act == "elu":
            return xp.where(x > 0, dy, dy * (p.slope * xp.exp(xp.minimum(x, 0))))
        if act == "selu":
            return dy * xp.where(x > 0, SELU_LAMBDA, SELU_LAMBDA * SELU_ALPHA * xp.exp(xp.minimum(x, 0)))
        if act == "gelu":
            return dy * (0.5 * (1 + special.erf(xp, x * ROOT_HALF))
                         + x * (0.5 * ROOT_HALF * TWO_OVER_ROOT_PI) * xp.exp(-0.5 * x * x))
        return xp.where(x > 0, dy, dy * _slope(p))

    def grad(F, n, g):
        """For the head gradient the same once more; for data the slope's own slope."""
        p, (dy, x) = n.p, n.inputs[:2]
        again = F._backward_LeakyReLU(g, *n.inputs[1:], **{k: getattr(p, k) for k in LEAKY_PARAMS})
        both = F.elemwise_mul(g, dy)
        if p.act_type == "prelu":
            below = F.elemwise_mul(both, F._lesser_equal_scalar(x, scalar=0.0))
            return again, None, _by_gamma(F, below, n.in_shapes[1], n.in_shapes[2])
        if p.act_type in ("elu", "selu"):
            scale = p.slope if p.act_type == "elu" else SELU_LAMBDA * SELU_ALPHA
            below = F._lesser_equal_scalar(x, scalar=0.0)
            bend = F._mul_scalar(F.elemwise_mul(below, F.exp(F._minimum_scalar(x, scalar=0.0))), scalar=scale)
        elif p.act_type == "gelu":
            square = F.square(x)
            density = F._mul_scalar(F.exp(F._mul_scalar(square, scalar=-0.5)),
                                    scalar=0.5 * ROOT_HALF * TWO_OVER_ROOT_PI)
            bend = F.elemwise_mul(density, F._rminus_scalar(square, scalar=2.0))
        else:
            return again, None
        return again, F.elemwise_mul(both, bend)
