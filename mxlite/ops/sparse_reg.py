"""IdentityAttachKLSparseReg: a sparseness penalty on activations, for sparse autoencoders."""
import numpy as np

from .record import Op, Param, S, show, unify
from .rules import float_dtype
from .types import real

PARAMS = {
    "sparseness_target": Param(real, float(np.float32(0.1)), "the mean activation wanted of each unit",
                               low=0.0, high=1.0),
    "penalty": Param(real, float(np.float32(0.001)), "weight of the penalty"),
    "momentum": Param(real, float(np.float32(0.9)), "how much of the moving mean stays at an update",
                      low=0.0, high=1.0),
}


def _infer(p, ins, outs):
    data = outs[0]
    for s in ins[:-1]:
        data = unify(data, s)
    if data is None:
        return ins, outs
    if len(data) < 2:
        raise ValueError(f"data must have at least two axes, not shape {show(data)}")
    return [data] * (len(ins) - 1) + [unify((data[1],), ins[-1])], [data]


class IdentityAttachKLSparseReg(Op):
    """Passes the activations on, which should lie between 0 and 1; adds to their gradient that of ``penalty`` times the
    Kullback-Leibler divergence between `sparseness_target` and each unit's moving mean: ``penalty * (-target / mean +
    (1 - target) / (1 - mean))``. Units lie along axis 1. The moving mean is updated in backward, once a call, before it
    is used, as in MXNet, which takes two axes and float32 only."""

    aux = "moving_avg"
    aux_init = {"moving_avg": '["zero", {}]'}
    params = PARAMS
    infer, infer_dtype = _infer, float_dtype
    cpu = "elementwise._copy"
    inplace = {0: 0}
    loss = True
    samples = (S((4, 3)), S((2, 3, 4)), S((0, 3)))

    def ref(xp, p, data, moving_avg):
        return data.copy()

    def grad(F, n, dy):
        return F._backward_IdentityAttachKLSparseReg(dy, *n.inputs, **{k: getattr(n.p, k) for k in PARAMS})


class _backward_IdentityAttachKLSparseReg(Op):
    """Gradient of :class:`IdentityAttachKLSparseReg` for its data; updates the moving mean."""

    inputs = "dy data"
    aux = "moving_avg"
    outputs = "ddata"
    params = PARAMS
    infer, infer_dtype = _infer, float_dtype
    loss = True
    samples = (S((4, 3), (4, 3), low=0.1, high=0.9), S((2, 3, 4), (2, 3, 4), low=0.1, high=0.9, momentum=0.5),
               S((0, 3), (0, 3)))

    def ref(xp, p, dy, data, moving_avg):
        if data.size:
            axes = tuple(i for i in range(data.ndim) if i != 1)
            batch = data.mean(axis=axes, dtype="float64")
            moving_avg[...] = p.momentum * moving_avg + (1 - p.momentum) * batch
        mean, t = moving_avg.astype("float64"), p.sparseness_target
        pull = p.penalty * (-t / mean + (1 - t) / (1 - mean))
        return (dy + pull.reshape((-1,) + (1,) * (data.ndim - 2))).astype(data.dtype)
