"""Normalization of each sample by its own mean and variance: LayerNorm, InstanceNorm and GroupNorm.

All three see their data as (outer, groups, inner), with one gamma and one beta a group. LayerNorm normalizes along the
groups, the other two along what is inside a group.
"""
import numpy as np

from .chain import vjp
from .record import Op, Param, S, show, unify
from .rules import axis_of, float_dtype, size
from .types import boolean, integer, real

EPS = Param(real, float(np.float32(1e-5)), "added to the variance, so that its root is never zero")
STATISTICS = Param(boolean, False, "show the mean and the standard deviation as outputs")
LAYER = {"axis": Param(integer, -1, "the axis to normalize along"), "eps": EPS, "output_mean_var": STATISTICS}
INSTANCE = {"eps": Param(real, float(np.float32(1e-3)), EPS.help)}
GROUP = {"num_groups": Param(integer, 1, "how many groups the channels are cut into", low=1), "eps": EPS,
         "output_mean_var": STATISTICS}


def _layer_view(p, shape):
    axis = axis_of(p.axis, len(shape))
    return (size(shape[:axis]), shape[axis], size(shape[axis + 1:])), 1


def _instance_view(p, shape):
    return (shape[0], shape[1], size(shape[2:])), 2


def _group_view(p, shape):
    return (shape[0], p.num_groups, size(shape[1:]) // p.num_groups), 2


def _layer_shapes(p, data):
    """Shapes of gamma and of the mean."""
    axis = axis_of(p.axis, len(data))
    return (data[axis],), data[:axis] + (1,) + data[axis + 1:]


def _instance_shapes(p, data):
    if len(data) < 3:
        raise ValueError(f"data must have at least three axes, not shape {show(data)}")
    return (data[1],), data[:2]


def _group_shapes(p, data):
    if len(data) < 3:
        raise ValueError(f"data must have at least three axes, not shape {show(data)}")
    if data[1] is not None and (data[1] % p.num_groups or not data[1]):
        raise ValueError(f"the {data[1]} channels of data {show(data)} do not fall into {p.num_groups} equal groups")
    return (p.num_groups,), (data[0], p.num_groups)


def compute_dtype(x):
    """The dtype to compute in: float32 for half precision."""
    return x.dtype if x.dtype.name in ("float32", "float64") else np.dtype("float32")


def _standardize(xp, p, view, x):
    """`x` as (outer, groups, inner) of zero mean and unit variance along `axis`; the mean and standard deviation."""
    shape, axis = view(p, x.shape)
    x = x.reshape(shape).astype(compute_dtype(x))
    count = max(shape[axis], 1)
    mean = x.sum(axis=axis, keepdims=True) / x.dtype.type(count)
    d = x - mean
    std = xp.sqrt((d * d).sum(axis=axis, keepdims=True) / x.dtype.type(count) + x.dtype.type(p.eps))
    return d / std, mean, std, axis


def _blocks(outer, inner, axis):
    """Into how many blocks the backward kernel cuts its work where all samples share a gamma (see
    kernels/layernorm_table.h): of 32 rows at least, or of tiles of 256 columns."""
    if axis == 2:
        return 1
    return max(1, min(16, outer // 32 if inner == 1 else outer * -(-inner // 256)))


def family(name, doc, params, view, shapes, samples):
    """The records of one such normalization and of its backward."""
    visible = (lambda p: 3 if p.output_mean_var else 1) if "output_mean_var" in params else 1
    shared = tuple(k for k in params if k != "output_mean_var")

    def launch(p, ins, outs):
        (outer, groups, inner), axis = view(p, outs[0])
        return {"outer": outer, "groups": groups, "inner": inner, "axis": axis, "eps": p.eps,
                "blocks": _blocks(outer, inner, axis)}

    def infer(p, ins, outs):
        data = unify(ins[0], outs[0])
        if data is None:
            return ins, outs
        gamma, mean = shapes(p, data)
        return [data] + [unify(gamma, s) for s in ins[1:]], [data] + [unify(mean, s) for s in outs[1:]]

    def ref(xp, p, data, gamma, beta):
        normal, mean, std, _ = _standardize(xp, p, view, data)
        dtype = normal.dtype
        y = normal * gamma.astype(dtype).reshape(1, -1, 1) + beta.astype(dtype).reshape(1, -1, 1)
        y = y.reshape(data.shape).astype(data.dtype)
        if not getattr(p, "output_mean_var", False):
            return y
        small = shapes(p, data.shape)[1]
        return y, mean.reshape(small).astype(data.dtype), std.reshape(small).astype(data.dtype)

    def grad(F, n, dy, *unused):
        return getattr(F, "_backward_" + name)(dy, *n.inputs[:2], **{k: getattr(n.p, k) for k in shared})

    def back_infer(p, ins, outs):
        data = unify(unify(ins[0], ins[1]), outs[0])
        if data is None:
            return ins, outs
        gamma = unify(unify(shapes(p, data)[0], ins[2]), unify(*outs[1:]))
        return [data, data, gamma], [data, gamma, gamma]

    def back_ref(xp, p, dy, data, gamma):
        normal, _, std, axis = _standardize(xp, p, view, data)
        dtype = normal.dtype
        g = dy.reshape(normal.shape).astype(dtype)
        dgamma, dbeta = (g * normal).sum(axis=(0, 2)), g.sum(axis=(0, 2))
        g = g * gamma.astype(dtype).reshape(1, -1, 1)
        count = dtype.type(max(normal.shape[axis], 1))
        dx = g - g.sum(axis=axis, keepdims=True) / count - normal * ((g * normal).sum(axis=axis, keepdims=True) / count)
        return tuple(a.astype(data.dtype) for a in ((dx / std).reshape(data.shape), dgamma, dbeta))

    def formula(F, n, dy, x, gamma):
        """What backward computes, in data's (outer, groups, inner)."""
        shape, axis = view(n.p, n.in_shapes[1])
        spread = dict(shape=shape, axes=(0, 2))

        def mean(v):
            return F._spread(F.mean(v, axis=axis), shape=shape, axes=(axis,))
        d3, x3, gamma3 = F._reshape_to(dy, shape=shape), F._reshape_to(x, shape=shape), F._spread(gamma, **spread)
        d = F.elemwise_sub(x3, mean(x3))
        inverse = F.rsqrt(F._plus_scalar(mean(F.square(d)), scalar=n.p.eps))
        normal = F.elemwise_mul(d, inverse)
        g = F.elemwise_mul(d3, gamma3)
        dx = F.elemwise_sub(F.elemwise_sub(g, mean(g)), F.elemwise_mul(normal, mean(F.elemwise_mul(g, normal))))
        return (F._reshape_to(F.elemwise_mul(dx, inverse), shape=n.in_shapes[1]),
                F.sum(F.elemwise_mul(d3, normal), axis=(0, 2)), F.sum(d3, axis=(0, 2)))

    def workspace(p, ins, outs, itemsize, threads):
        (outer, groups, inner), axis = view(p, outs[0])
        if axis == 2:
            return 16 * outer * groups
        return _blocks(outer, inner, axis) * groups * (16 + 2 * itemsize if inner == 1 else 16)

    type(name, (Op,), {
        "__doc__": doc, "__module__": __name__, "inputs": "data gamma beta", "params": params, "infer": infer,
        "outputs": lambda p: "output mean std" if getattr(p, "output_mean_var", False) else "output",
        "visible": visible, "mxnet_outputs": 3, "infer_dtype": float_dtype, "launch": launch, "ref": ref, "grad": grad,
        "cpu": "layernorm.layer_norm", "inplace": {0: 0}, "samples": samples})
    type("_backward_" + name, (Op,), {
        "__doc__": f"Gradients of :class:`{name}` for data, gamma and beta; the statistics are computed anew.",
        "__module__": __name__, "inputs": "dy data gamma", "outputs": "ddata dgamma dbeta",
        "params": {k: params[k] for k in shared}, "infer": back_infer, "infer_dtype": float_dtype, "launch": launch,
        "ref": back_ref, "grad": vjp(formula), "cpu": "layernorm.layer_norm_backward", "inplace": {0: (0, 1)},
        "workspace": workspace,
        "samples": tuple(S(s.shapes[0], s.shapes[0], **{k: v for k, v in s.params.items() if k in shared})
                         for s in samples)})


IGNORED = "Gradients that arrive at the mean and the deviation are ignored, as in MXNet."
family(
    "LayerNorm",
    "Normalizes along one axis to zero mean and unit variance, then scales by gamma and shifts by beta (Ba, Kiros and "
    "Hinton, \"Layer normalization\", 2016): ``(data - mean) / sqrt(var + eps) * gamma + beta``. gamma and beta have "
    "the axis's length; with `output_mean_var` the outputs mean and std, ``sqrt(var + eps)``, have size 1 along it. "
    "Floating-point dtypes. " + IGNORED,
    LAYER, _layer_view, _layer_shapes,
    (S((4, 10)), S((2, 3, 37), eps=0.1), S((3, 5, 4), axis=1), S((6, 2, 3), axis=0),
     S((2, 3, 70), axis=-2), S((5, 16)), S((0, 3)), S((40, 33)), S((7,))))
family(
    "InstanceNorm",
    "Normalizes every channel of every sample over its positions to zero mean and unit variance, then scales by gamma "
    "and shifts by beta (Ulyanov, Vedaldi and Lempitsky, \"Instance normalization\", 2016). data is (batch, channel, "
    "...) with at least three axes; gamma and beta have one number a channel. Floating-point dtypes.",
    INSTANCE, _instance_view, _instance_shapes,
    (S((2, 3, 10)), S((3, 2, 5, 7), eps=0.1), S((1, 4, 2, 3, 2), eps=1e-4), S((0, 3, 2)), S((2, 2, 70))))
family(
    "GroupNorm",
    "Normalizes every group of channels of every sample to zero mean and unit variance, then scales by gamma and "
    "shifts by beta (Wu and He, \"Group normalization\", 2018). data is (batch, channel, ...) with at least three "
    "axes, and `num_groups` divides the channels. gamma and beta have one number a group, as in MXNet 1.9.1; with "
    "`output_mean_var` the outputs mean and std, ``sqrt(var + eps)``, are (batch, num_groups). Floating-point dtypes. "
    + IGNORED,
    GROUP, _group_view, _group_shapes,
    (S((2, 6, 5), num_groups=3), S((3, 4, 2, 3), num_groups=2, eps=0.1), S((2, 3, 7)),
     S((2, 5, 3), num_groups=5), S((0, 4, 2), num_groups=2)))
