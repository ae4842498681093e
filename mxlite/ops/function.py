"""The calls of ``mx.autograd.Function`` as a graph sees them: Python code whose gradient is Python code.

Not operators that anybody can call by name: the tape makes their nodes and runs their gradients itself.
"""
from .record import Op, Param


def _as_it_is(value):
    return value


class _Call(Op, registered=False):
    """What both directions share: any inputs, and outputs of the shapes and dtypes in the parameters."""

    inputs = "*data"
    params = {"shapes": Param(_as_it_is, (), "shape of each output"), "dtypes": Param(_as_it_is, (), "dtype of each")}

    def outputs(p):
        return [f"output{i}" for i in range(len(p.shapes))]

    def infer(p, ins, outs):
        return list(ins), list(p.shapes)

    def infer_dtype(p, ins, outs):
        return list(ins), list(p.dtypes)

    def ref(xp, p, *inputs):
        raise RuntimeError("an autograd.Function runs when it is called, not from a graph")


class FunctionBackward(_Call, registered=False):
    """The gradients of a recorded Function: what its ``backward`` returns, one an input."""

    name = "_backward_CustomFunction"


class FunctionCall(_Call, registered=False):
    """A recorded call of a Function."""

    name = "_CustomFunction"

    def grad(F, n, *dys):
        p = FunctionBackward.parse({"shapes": tuple(n.in_shapes), "dtypes": tuple(n.in_dtypes)})
        out = F.node(FunctionBackward, p, list(dys), n.node)
        return out if isinstance(out[0], tuple) else (out,)
