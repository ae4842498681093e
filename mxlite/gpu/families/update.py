"""Optimizer steps: weight and gradient in, new weight out, states moved in place; and :func:`many`, one launch for all
the weights of an optimizer, whose tables lie in the device's memory.

`scalars` may also be a :class:`Tensor` of float64 in the device's memory: it is read at every run, so that a captured
graph follows the learning rate."""
import ctypes

from ..launch import FLOATS, Launch, Module, Plan, Tensor, blocks, i32, i64, ptr
from ..source import CTYPE

COUNTS = {"sgd": 4, "sgd_mom": 5, "nag_mom": 5, "adam": 7, "rmsprop": 7, "rmspropalex": 8, "ftrl": 6, "signsgd": 4,
          "signum": 6}                      # of scalars
CHUNK = 2048            # elements of a block of multi_sgd
MOST = (8, 64, 400)     # weights of a launch, whose table travels as an argument: of those there are 32764 bytes
Scalars = type("Scalars", (ctypes.Structure,), {"_fields_": [("v", ctypes.c_double * 12)]})
Weight = type("Weight", (ctypes.Structure,), {"_fields_": [
    *((k, ctypes.c_void_p) for k in ("x", "d", "y", "mom", "wide")), ("size", ctypes.c_int64),
    ("first", ctypes.c_int64), ("lr", ctypes.c_double), ("wd", ctypes.c_double)]})
TABLES = {n: type(f"Weights{n}", (ctypes.Structure,), {"_fields_": [("w", Weight * n)]}) for n in MOST}


Row = type("Row", (ctypes.Structure,), {"_fields_": [
    *((k, ctypes.c_void_p) for k in ("w", "g", "s0", "s1", "s2", "wide")), ("size", ctypes.c_int64),
    ("first", ctypes.c_int64), ("aligned", ctypes.c_int64)]})
STATES = {"sgd": 0, "sgd_mom": 1, "nag_mom": 1, "adam": 2, "rmsprop": 1, "rmspropalex": 3, "ftrl": 2, "signsgd": 0,
          "signum": 1}
DECAY = {"sgd": 1, "sgd_mom": 2, "nag_mom": 2, "adam": 4, "rmsprop": 3, "rmspropalex": 4, "ftrl": 3, "signsgd": 1,
         "signum": 2}       # which scalar is the weight decay; the learning rate is the first


def given(scalars, before=()):
    """The kernels' arguments for scalars: by value, and an address that takes their place unless 0."""
    if isinstance(scalars, Tensor):
        return [Scalars(), ptr(scalars)]
    return [Scalars((ctypes.c_double * 12)(*before, *scalars)), ptr(0)]


def single(name, args, ins, outs, scalars):
    step = name.partition(".")[2]
    weight, grad, *states = ins
    y = outs[0]
    if weight.dtype not in FLOATS or any(t.dtype != weight.dtype for t in ins):
        return None
    if not y.size or not y.address:
        return Plan([])
    kind = CTYPE[weight.dtype]
    at = [ptr(states[i] if i < len(states) else 0) for i in range(3)]
    code = Module("update.cu", {"WEIGHT": kind, "STATE": kind})
    return Plan([Launch(code, step, blocks(y.size, 1024, 1 << 16), 256, [
        ptr(weight), ptr(grad), ptr(y), *at, i64(y.size), *given(scalars), i32(COUNTS[step])])])


def overlap(a, b):
    return a.address < b.address + b.nbytes and b.address < a.address + a.nbytes


def tangled(groups, outs):
    """Is something written that belongs to another weight, or is a gradient? Then the order of the steps matters."""
    written = [(i, t) for i, (g, y) in enumerate(zip(groups, outs)) for t in (y, *g[2:])]
    spans = sorted([(t.address, t.address + t.nbytes, i, True, t) for i, t in written if t.nbytes]
                   + [(t.address, t.address + t.nbytes, i, False, t) for i, g in enumerate(groups) for t in g[:2]
                      if t.nbytes], key=lambda s: s[:2])
    for n, (_, end, i, writes, t) in enumerate(spans):
        for start, _, k, others, u in spans[n + 1:]:
            if start >= end:
                break
            own = i == k and {id(t), id(u)} == {id(groups[i][0]), id(outs[i])} and t.address == u.address
            if (writes or others) and not own:
                return True
    return False


def multi_sgd(name, args, ins, outs, scalars):
    """Inputs are weight, gradient, momentum if any, float32 weight if `mixed` of every weight, then, if `preloaded`,
    learning rates and weight decays."""
    n, momentum, mixed = args["weights"], args["momentum"], args["mixed"]
    fields = 2 + momentum + mixed
    groups = [ins[i * fields:(i + 1) * fields] for i in range(n)]
    last = ins[n * fields:]
    for group, y in zip(groups, outs):
        if y.dtype not in FLOATS or any(t.dtype != ("float32" if mixed and k > 1 else y.dtype)
                                        for k, t in enumerate(group)):
            return None
    if any(t.dtype not in ("float32", "float64") for t in last) or len({t.dtype for t in last}) > 1:
        return None
    rest = given(scalars, [0.0] * (not momentum))                           # momentum, rescale_grad, clip_gradient
    rates = CTYPE[last[0].dtype] if last else "double"
    lrs, wds = [ptr(t) for t in last] or [ptr(0), ptr(0)]
    most = 1 if tangled(groups, outs) else next((m for m in MOST if m >= n), MOST[-1])
    launches = []
    start = 0
    while start < n:
        stop = start + 1                                                    # weights of one dtype go together
        while stop < min(n, start + most) and outs[stop].dtype == outs[start].dtype:
            stop += 1
        room = next(m for m in MOST if m >= stop - start)
        table, total = TABLES[room](), 0
        for k, i in enumerate(range(start, stop)):
            group, y = groups[i], outs[i]
            lr, wd = (0.0, 0.0) if last else (args["lrs"][i], args["wds"][i])
            table.w[k] = Weight(group[0].address, group[1].address, y.address, group[2].address if momentum else 0,
                                group[-1].address if mixed else 0, y.size, total, lr, wd)
            total += -(-y.size // CHUNK)
        code = module(outs[start].dtype, mixed, rates, room)
        if total:
            launches.append(Launch(code, "multi_sgd", total, 256, [
                table, i32(stop - start), i32(start), lrs, wds, *rest, i32(momentum)]))
        start = stop
    return Plan(launches)


def module(dtype, mixed, rates, room):
    return Module("update_multi.cu", {"WEIGHT": CTYPE[dtype], "STATE": "float" if mixed else CTYPE[dtype],
                                      "RATE": rates, "MOST": room})


def rows(weights):
    """(bytes of the table of :func:`many`, bytes of the numbers of the weights that its blocks work on: int32, one a
    block). `weights`: a tuple a weight, of size and addresses of weight, gradient, list of states, float32 copy (0:
    none)."""
    table, owners, total = (Row * max(len(weights), 1))(), [], 0
    for k, (size, weight, grad, states, wide) in enumerate(weights):
        at = [*states, 0, 0, 0][:3]
        aligned = not any(a % 16 for a in (weight, grad, *at, wide))
        table[k] = Row(weight, grad, *at, wide, size, total, aligned)
        owners += [k] * -(-size // CHUNK)
        total = len(owners)
    return bytes(table), bytes((ctypes.c_int32 * total)(*owners))


def many(step, dtype, mixed, table, owners, rates, now, blocks):
    """The launch of `step` on the weights of one dtype that ``rows`` described: `table`, `owners`, `rates` and `now`
    are addresses of what it gave, of float64 multipliers of (learning rate, weight decay) a weight, and of float64
    {learning rate, its correction, weight decay, the step's scalars}."""
    return Launch(many_module(step, dtype, mixed), "update_many", blocks, 256, [
        ptr(table), ptr(owners), ptr(rates), ptr(now)])


def many_module(step, dtype, mixed):
    return Module("update_many.cu", {"WEIGHT": CTYPE[dtype], "STATE": "float" if mixed else CTYPE[dtype],
                                     "MIXED": int(mixed), "KIND": step, "STATES": STATES[step],
                                     "COUNT": COUNTS[step], "DECAY": DECAY[step]})


KERNELS = {**{"update." + k: single for k in COUNTS}, "update.multi_sgd": multi_sgd}


def MODULES():
    for dtype in FLOATS:
        yield Module("update.cu", {"WEIGHT": CTYPE[dtype], "STATE": CTYPE[dtype]})
        yield module(dtype, False, "double", MOST[-1])
        yield module(dtype, True, "float", MOST[0])
    for step in COUNTS:
        yield many_module(step, "float32", False)
        yield many_module(step, "float16", True)
    yield many_module("adam", "bfloat16", False)
    yield many_module("rmspropalex", "float64", False)
