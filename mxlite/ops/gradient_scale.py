"""Loss scaling: an operator that changes nothing but the gradient that passes through it."""
from .record import Op, Param, S, unify
from .rules import float_dtype
from .types import boolean


class _scale_gradient(Op):
    """Passes `data` on; multiplies its gradient by the one number in `scale`, or with `inverse` divides it.

    data of any shape and floating dtype; scale of shape (1,), float32. The scale is an array so that a new value
    changes neither graph nor program. Gradients of half precision are scaled in float32 and rounded once.
    """

    inputs = "data scale"
    params = {"inverse": Param(boolean, False, "divide the gradient")}
    view, cpu, cpu_dtypes = {0: 0}, "movement.copy", ("float16", "bfloat16", "float32", "float64")
    loss = True         # what it declares is no derivative: it ignores no head gradient, and makes none
    samples = (S((2, 3), (1,)), S((), (1,), inverse=True), S((0, 3), (1,)))

    def infer(p, ins, outs):
        data = unify(ins[0], outs[0])
        return [data, unify((1,), ins[1])], [data]

    def infer_dtype(p, ins, outs):
        (data,), (out,) = float_dtype(p, ins[:1], outs)
        return [data, "float32"], [out]

    def ref(xp, p, data, scale):
        return data.copy()

    def grad(F, n, dy):
        if dy is None:
            return None, None
        dtype, scale = n.in_dtypes[0], n.inputs[1]
        wide = "float64" if dtype == "float64" else "float32"
        if dtype != wide:
            dy = F.Cast(dy, dtype=wide)
        if wide != "float32":
            scale = F.Cast(scale, dtype=wide)
        shape = n.in_shapes[0]
        if not shape:       # broadcasting is between arrays of as many axes
            dy = F._reshape_to(dy, shape=(1,))
        scale = F._reshape_to(scale, shape=(1,) * max(len(shape), 1))
        dy = (F.broadcast_div if n.p.inverse else F.broadcast_mul)(dy, scale)
        if not shape:
            dy = F._reshape_to(dy, shape=())
        return (dy if dtype == wide else F.Cast(dy, dtype=dtype)), None
