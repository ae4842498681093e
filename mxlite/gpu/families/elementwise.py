"""Element-wise kernels: every one is a segment of one step or more (:mod:`mxlite.gpu.codegen`)."""
import math

import numpy as np

from .. import formulas
from ..codegen import ONE, PERIODIC, Input, nest_of, segment
from ..launch import FLOATS, Plan, Tensor

HALVES = ("float16", "bfloat16")
MOST_TERMS = 64                 # of a kernel of add_n: more become too long a one


def computing_of(dtype):
    """The type that a kernel computes in whose dtype is `dtype`: "f"loat, "d"ouble or "i"nt64."""
    return "f" if dtype == "float32" or dtype in HALVES else "d" if dtype == "float64" else "i"


def prepare(formula, dtype, scalars):
    """(formula, scalars) as the function wants them beside arrays of `dtype`: elementwise_run.h's `prepare`."""
    v = [float(s) for s in scalars] + [0.0] * (3 - len(scalars))
    if dtype == "float16":
        with np.errstate(over="ignore"):
            v = [float(np.float16(np.float32(s))) for s in v]
    if formula.symbol == "g_rpower_scalar":
        v[1] = math.log(v[0]) if v[0] > 0 else -math.inf if v[0] == 0 else math.nan
    if formula.symbol == "vs_power" and v[0] == 2 and (dtype == "float32" or dtype in HALVES):
        formula = formulas.table()[1]["square"]
    return formula, v


def _saturate(x):
    """A number beside int64: truncated, and limited to what fits."""
    return 0 if x != x else 2 ** 63 - 1 if x >= 2.0 ** 63 else -2 ** 63 if x < -2.0 ** 63 else int(x)


def flat(name, args, ins, outs, scalars):
    """out = f(one or two arrays of its shape, numbers)."""
    formula, v = prepare(formulas.table()[1][name.partition(".")[2]], ins[0].dtype, scalars)
    computing = computing_of(ins[0].dtype)
    if computing == "i" and (ins[0].dtype != outs[0].dtype or formula.whole is None):
        computing = "d"
    if computing == "i":
        v = [_saturate(s) for s in v]
    operands = range(formula.arrays)
    return segment([Input(ins[i]) for i in operands], outs[:1], [(formula, list(operands), v)], [formula.arrays],
                   computing)


def broadcast(name, args, ins, outs, scalars):
    """out = f(a, b), each with strides of 0 along what it repeats."""
    formula = formulas.table()[1][name.partition(".")[2]]
    dims, n = args["dims"], args["ndim"]
    inputs = [Input(x, *nest_of(dims[:n], args[k][:n])) for x, k in zip(ins, "ab")]
    return segment(inputs, outs, [(formula, [0, 1], [])], [2], computing_of(ins[0].dtype))


def repeat(name, args, ins, outs, scalars):
    """One array repeated along the axes whose stride is 0: bits are moved."""
    n = args["ndim"]
    return segment([Input(ins[0], *nest_of(args["dims"][:n], args["a"][:n]))], outs, [], [0], "f", raw=True)


def copy(name, args, ins, outs, scalars):
    if ins[0].address == outs[0].address:
        return Plan([])
    return segment([Input(ins[0])], outs, [], [0], "f", raw=True)


def cast(name, args, ins, outs, scalars):
    if ins[0].dtype == outs[0].dtype:
        return copy(name, args, ins, outs, scalars)
    return segment([Input(ins[0])], outs, [], [0], computing_of(ins[0].dtype))


def add_n(name, args, ins, outs, scalars):
    """Terms are added in their order, and rounded to the dtype once; more than a kernel takes go on from a sum in the
    workspace."""
    y, computing = outs[0], computing_of(outs[0].dtype)
    if len(ins) <= MOST_TERMS:
        return _sum([Input(x) for x in ins], y, computing)
    # The result's memory may be that of a term which is still to come.
    wide = "float32" if y.dtype in HALVES else y.dtype

    def launches(work):
        so_far = Tensor(y.shape, wide, work)
        out = _sum([Input(x) for x in ins[:MOST_TERMS]], so_far, computing).launches(0)
        for at in range(MOST_TERMS, len(ins), MOST_TERMS - 1):
            more = [Input(so_far), *map(Input, ins[at:at + MOST_TERMS - 1])]
            out = out + _sum(more, y if at + MOST_TERMS - 1 >= len(ins) else so_far, computing).launches(0)
        return out
    return Plan(launches, Tensor(y.shape, wide, 0).nbytes) if y.address and y.size else Plan([])


def _sum(inputs, y, computing):
    add = formulas.table()[1]["add"]
    steps, at = [], 0
    for k in range(1, len(inputs)):
        steps.append((add, [at, k], []))
        at = len(inputs) + k - 1
    return segment(inputs, [y], steps, [at], computing)


def prelu(name, args, ins, outs, scalars):
    """One slope a channel: data, gamma; or ograd, data, gamma."""
    # Forward is backward with ograd = data, as on the CPU.
    dy, x, gamma = ins[0], ins[-2], ins[-1]
    slope = Input(gamma, PERIODIC, (args["channels"], args["inner"]))
    formula = formulas.Formula("own", "prelu", "q_ > 0 ? p_ : p_ * r_", None, 3)
    return segment([Input(dy), Input(x), slope], outs[:1], [(formula, [0, 1, 2], [])], [3],
                   "d" if outs[0].dtype == "float64" else "f")


def rrelu(name, args, ins, outs, scalars):
    """The mask, which prediction does not draw, is zeros."""
    plan = flat(name, args, ins, outs, scalars)
    if len(outs) > 1 and outs[1].address and outs[1].size:
        zeros = formulas.Formula("own", "zero", "0", "0", 0)
        mask = segment([], [outs[1]], [(zeros, [], [])], [0], "f")
        return Plan(mask.launches(0) + plan.launches(0))
    return plan


def chain(name, args, ins, outs, scalars):
    """The fused segment. Steps number inputs, outputs, registers; here they become values that are written once."""
    if outs[0].dtype not in FLOATS:
        return None
    order, _ = formulas.table()
    inputs = [Input(x, kind, (channels, inner)) for x, (kind, channels, inner) in zip(ins, args["inputs"])]
    holds, steps = {i: i for i in range(len(ins))}, []
    for op, y, a, b, v in args["steps"]:
        formula, v = prepare(order[op], outs[0].dtype, v)
        steps.append((formula, [holds.get(a), holds.get(b)], v))
        holds[y] = len(ins) + len(steps) - 1
    return segment(inputs, outs, steps, [holds[len(ins) + i] for i in range(len(outs))], computing_of(outs[0].dtype))


def _kernels():
    rules = {}
    for name in formulas.table()[1]:
        rules["elementwise." + name] = broadcast if name.startswith("broadcast_") else flat
    rules.update({"elementwise." + k: v for k, v in dict(
        _copy=copy, cast=cast, add_n=add_n, broadcast=repeat, _prelu=prelu, _backward__prelu=prelu, _rrelu=rrelu,
        chain=chain).items()})
    return rules


KERNELS = _kernels()


def MODULES():
    """Every function at every computing type, alone and beside inputs that repeat themselves."""
    for dtype in ("float32", "float64", "int32", "float16", "bfloat16"):
        tensor = Tensor((64, 6), dtype, 256)
        whole = computing_of(dtype) == "i"
        found = [f for f in formulas.table()[0] if f is not None and (not whole or f.whole is not None)]
        for at in range(0, 16 if dtype in HALVES else len(found), 16):
            some = found[at:at + 16]
            plan = segment([Input(tensor), Input(tensor), Input(tensor, PERIODIC, (6, 1)), Input(tensor, ONE),
                            Input(tensor, *nest_of([2, 32, 3, 2], [1, 0, 2, 0]))],
                           [tensor] * len(some), [(f, [k % 5, (k + 1) % 5], [1, 2, 3]) for k, f in enumerate(some)],
                           range(5, 5 + len(some)), computing_of(dtype))
            yield plan.launches(0)[0].source
