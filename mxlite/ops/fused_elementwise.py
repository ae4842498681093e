"""A chain of element-wise operators as one operator, which ``_core/chains.pyx`` makes of a bound graph's nodes."""
from .record import Op, Param
from .types import text


def _names(p):
    return ["output"] if len(p.outs) == 1 else [f"output{i}" for i in range(len(p.outs))]


class ElementwiseChain(Op, registered=False):
    """Element-wise operators of one shape and dtype, run tile by tile so that what is between them stays in cache.

    `steps` are (record, parameters, operands): operands number the inputs first, then the steps' results; `outs` are
    those of them that somebody else reads. `code` is the same for the kernel, `claims` the memory that an output may
    take over. Inputs have the chain's shape or are repeated along it.
    """

    inputs = "*args"
    outputs = _names
    params = {k: Param(text) for k in ("steps", "outs", "code", "claims")}
    cpu = "elementwise.chain"

    def launch(p, ins, outs):
        inputs, steps, registers, cost = p.code
        return {"inputs": inputs, "outputs": len(p.outs), "steps": steps, "registers": registers, "cost": cost}

    def inplace(p):
        return dict(p.claims)

    def infer(p, ins, outs):
        raise ValueError("a chain is made of nodes whose shapes are known")

    def ref(xp, p, *inputs):
        values = list(inputs)
        for op, q, operands in p.steps:
            values.append(op.ref(xp, q, *(values[v] for v in operands)))
        return tuple(values[v] for v in p.outs)
