"""Reductions over any axes. Sums and products of floats accumulate in float64 (float32 in fours, as on the CPU),
integers in int64; extremes and positions in their own type.

The order of the additions follows from the shape, the dtype and whether the input lies on a 16-byte boundary (which it
does unless it is a view that begins in between): never from the device or from chance.
"""
from math import prod

from ..launch import FLOATS, ITEMSIZE, Launch, Module, Plan, blocks, f64, i32, i64, ptr
from ..places import divisor, nest
from ..source import CTYPE

BLOCK = 256
ENOUGH = 1024                   # blocks that keep any GPU busy; parts are made up to here
OPS = {"sum": ("sum", "PLAIN"), "mean": ("sum", "MEAN"), "prod": ("prod", "PLAIN"), "nansum": ("nansum", "PLAIN"),
       "nanprod": ("nanprod", "PLAIN"), "max": ("max", "PLAIN"), "min": ("min", "PLAIN"),
       "norm1": ("sumabs", "PLAIN"), "norm2": ("sumsq", "ROOT")}


def _module(op, post, x, y, vector, wide):
    """(module, bytes of an accumulator) of an operation on dtype `x` with results of dtype `y`."""
    real = x in FLOATS or post == "ROOT"
    c = "double" if x == "float64" else "float" if real else "int64_t"
    if op.startswith("arg"):
        o, size = f"position<{c}, {'true' if op == 'argmax' else 'false'}>", 16
    elif op in ("max", "min") and real:
        o, size = f"extreme<{c}, {'true' if op == 'max' else 'false'}>", 8 if c == "double" else 4
    else:
        o, size = f"{'real' if real else 'whole'}_{op}", 8
    defines = {"ELEMENT": CTYPE[x], "RESULT": CTYPE[y], "OPERATION": o, "VALUE": c, "POST": post, "VECTOR": vector}
    if wide:
        defines["WIDE"] = 1
    return Module("reduce.cu", defines), size


def _up(n, step):
    return -(-n // step) * step


def _power_of_two(n, most):
    return min(most, 1 << max(0, n - 1).bit_length())


def _reduction(op, post, dims, reduced, x, y):
    """The plan of one reduction: groups of axes `dims`, of which those flagged in `reduced` go."""
    if y.size == 0 or not y.address:
        return Plan([])
    strides, step = [0] * len(dims), 1
    for d in reversed(range(len(dims))):
        strides[d], step = step, step * dims[d]
    count, results = prod(d for d, r in zip(dims, reduced) if r), y.size
    wide = max(count, results, x.size) > 2 ** 31 - 2 ** 20
    by_row = bool(reduced[-1])
    # the last group is walked by the threads: nests hold the others
    groups = list(zip(dims, strides, reduced))[:-1]
    kept = nest([d for d, _, r in groups if not r and d], [s for d, s, r in groups if not r and d], wide)
    gone = nest([max(d, 1) for d, _, r in groups if r], [s for _, s, r in groups if r], wide)
    if by_row:
        width = dims[-1]
        vector = 16 // x.itemsize
        if width % vector or x.address % 16 or count < vector:
            vector = 1
        units = -(-count // vector)
        lanes = _power_of_two(-(-units // 4), 32) if units <= 1024 else BLOCK
        grid, least, grain = blocks(results, BLOCK // lanes), lanes * vector * 8, lanes * vector
    else:
        across = dims[-1]
        bx = _power_of_two(across, 32)
        by = min(BLOCK // bx, _power_of_two(max(1, count // 4), BLOCK))
        tiles = -(-across // bx)
        vector, grid, least, grain = 1, results // across * tiles, by * 16, by * 4
    parts = max(1, min(-(-count // least), ENOUGH // grid))
    each = _up(_up(count, parts) // parts, grain) if count else grain
    parts = max(1, -(-count // each))
    module, size = _module(op, post, x.dtype, y.dtype, vector, wide)
    n = f64(count)

    def launches(work):
        to = [ptr(x), ptr(y), ptr(work if parts > 1 else 0), i64(results), i64(count), i64(each)]
        if by_row:
            row = max(width, 1)
            w = i64(row) if wide else divisor(row)
            one = Launch(module, "rows", blocks(results * parts, BLOCK // lanes), BLOCK,
                         [*to, i64(parts), i32(lanes), w, kept, gone, n])
        else:
            one = Launch(module, "cols", (grid, parts), (bx, by), [*to, i64(across), i64(tiles), kept, gone, n])
        if parts == 1:
            return [one]
        return [one, Launch(module, "finish", blocks(results, BLOCK // 32), BLOCK,
                            [ptr(work), ptr(y), i64(results), i64(parts), n])]
    return Plan(launches, size * results * parts if parts > 1 else 0)


def reduction(name, args, ins, outs, scalars):
    op, post = OPS[name.partition(".")[2]]
    n = args["ndim"]
    return _reduction(op, post, args["dims"][:n], args["reduced"][:n], ins[0], outs[0])


def position(name, args, ins, outs, scalars):
    dims = [args["outer"], args["length"], args["inner"]]
    if dims[2] == 1:
        return _reduction(name.partition(".")[2], "PLAIN", dims[:2], [0, 1], ins[0], outs[0])
    return _reduction(name.partition(".")[2], "PLAIN", dims, [0, 1, 0], ins[0], outs[0])


KERNELS = {"reduce." + name: reduction for name in OPS} | {"reduce.argmax": position, "reduce.argmin": position}


def MODULES():
    some = (("sum", "MEAN"), ("argmax", "PLAIN"), ("max", "PLAIN"), ("sumsq", "ROOT"), ("prod", "PLAIN"))
    for dtype, n in (("float32", 5), ("float64", 5), ("int32", 5), ("float16", 2), ("bfloat16", 2), ("uint8", 2)):
        for op, post in some[:n]:
            yield _module(op, post, dtype, dtype, 16 // ITEMSIZE[dtype], dtype == "float64")[0]
