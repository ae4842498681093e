"""Kernels of the histogram with bins of one width; edges that are given may be wrong, which the reference looks at."""
from ..launch import Launch, Module, Plan, blocks, f64, i64, ptr
from ..source import CTYPE

DTYPES = ("float32", "float64", "int32", "int64", "uint8", "int8")
WHOLE = {"int32": (-2 ** 31, 2 ** 31 - 1), "int64": (-2 ** 62, 2 ** 62), "uint8": (0, 255), "int8": (-128, 127)}
PER_BLOCK, MOST_BLOCKS = 256 * 16, 1 << 12


def histogram(name, args, ins, outs, scalars):
    """data -> counts, edges; counts whose edges nobody reads have them in the workspace, and the other way round."""
    x, (counts, edges) = ins[0], outs
    if args["given"] or x.dtype not in DTYPES:
        return None
    low, high = WHOLE.get(x.dtype, (-float("inf"), float("inf")))
    if not (low <= args["low"] and args["high"] <= high):       # edges that wrap do not ascend: the reference objects
        return None
    bins = counts.size
    step = (args["high"] - args["low"]) / max(bins, 1)
    code = Module("histogram.cu", {"TYPE": CTYPE[x.dtype]})
    room = -(-8 * bins // 256) * 256

    def launches(work):
        at, lines = counts.address or work, edges.address or work + room
        out = [Launch(code, "edges", blocks(bins + 1, 256, 1 << 16), 256, [
            ptr(lines), ptr(at), f64(args["low"]), f64(args["high"]), f64(step), i64(bins)])]
        if x.size and counts.address:
            out.append(Launch(code, "count", blocks(x.size, PER_BLOCK, MOST_BLOCKS), 256, [
                ptr(x), ptr(lines), ptr(at), i64(x.size), i64(bins)]))
        return out
    return Plan(launches, 0 if counts.address and edges.address else room + 8 * (bins + 1))


KERNELS = {"histogram.histogram": histogram}


def MODULES():
    for dtype in DTYPES:
        yield Module("histogram.cu", {"TYPE": CTYPE[dtype]})
