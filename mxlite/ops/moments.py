"""Mean and variance together."""
import numpy as np

from .elementwise import is_float, quiet, to_dtype
from .record import Op, Param, S, unify
from .reduce import over, reduced_shape
from .rules import size
from .types import axes, boolean, optional


@quiet
def _ref(xp, p, x):
    """Floats compute in float64; integers in their own arithmetic, truncated, as MXNet does."""
    gone = over(_as_reduction(p), x.ndim)
    shape = reduced_shape(_as_reduction(p), x.shape)
    wide = x.astype("float64" if is_float(x) else "int64")
    count = size(x.shape[i] for i in gone)

    def mean(v):
        total = v.sum(axis=gone, keepdims=True)
        if is_float(v):
            return total / np.float64(count)
        return xp.where(total < 0, -(-total // max(count, 1)), total // max(count, 1))
    middle = mean(wide)
    d = wide - middle
    return tuple(to_dtype(xp, v.reshape(shape), x.dtype) for v in (middle, mean(d * d)))


class _as_reduction:
    """`moments`' parameters under the names that reductions have."""

    __slots__ = ("axis", "keepdims")

    def __init__(self, p):
        self.axis, self.keepdims = p.axes, p.keepdims


class moments(Op):
    """Mean and (biased) variance over `axes`, which must be given. Integers are truncated; NaN of no elements. Both
    outputs have data's dtype, and both pass gradients on."""

    outputs = "output0 output1"
    params = {"axes": Param(optional(axes), None, "The axes to reduce; all of them have to be named."),
              "keepdims": Param(boolean, False, "Keep reduced axes, with size 1.")}
    ref = _ref
    samples = (S((2, 3), axes=(0,)), S((4, 5, 6), axes=(0, 2)), S((4, 5, 6), axes=(1, -1), keepdims=True),
               S((3, 70), axes=(0, 1)), S((0, 3), axes=(1,)))

    def infer(p, ins, outs):
        if p.axes is None or p.axes == ():
            raise ValueError("axes must be given: name all axes for the moments of all elements")
        if ins[0] is None:
            return ins, outs
        shape = reduced_shape(_as_reduction(p), ins[0])
        return ins, [unify(shape, s) for s in outs]

    def infer_dtype(p, ins, outs):
        d = next((i for i in (*ins, *outs) if i is not None), None)
        return [d], [d, d]

    def grad(F, n, dmean, dvar):
        shape = n.in_shapes[0]
        gone = over(_as_reduction(n.p), len(shape))
        spread = dict(shape=shape, axes=gone)
        count = size(shape[i] for i in gone) or 1
        total = None
        if dmean is not None:
            total = F._spread(F._mul_scalar(dmean, scalar=1 / count), **spread)
        if dvar is not None:
            d = F.elemwise_sub(n.inputs[0], F._spread(n.outputs[0], **spread))
            by_var = F.elemwise_mul(d, F._spread(F._mul_scalar(dvar, scalar=2 / count), **spread))
            total = by_var if total is None else F.elemwise_add(total, by_var)
        return total
