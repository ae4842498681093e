"""Kernels of L2Normalization."""
from ..launch import FLOATS, Module, Plan, f64, i64, ptr
from .softmax import column_defines, column_launch, row_defines, row_launch, row_modules


def rule(name, args, ins, outs, scalars):
    """data; or dy, data."""
    x, y, entry = ins[-1], outs[0], "backward" if name.endswith("backward") else "forward"
    if x.dtype not in FLOATS or ins[0].dtype != x.dtype:
        return None
    if not y.size or not y.address:
        return Plan([])
    given, rows, k, inner = [*map(ptr, ins), ptr(y)], args["outer"] * args["inner"], args["k"], args["inner"]
    if inner > 1:
        return Plan([column_launch("l2norm_columns.cu", column_defines(k, rows, x.dtype), entry, rows, [
            *given, i64(rows), i64(k), i64(inner), f64(args["eps"])])])
    return Plan([row_launch("l2norm.cu", row_defines(k, x.dtype, (*ins, y), 8), entry, rows, [
        *given, i64(rows), i64(k), f64(args["eps"])])])


KERNELS = {"l2norm.l2_norm": rule, "l2norm.l2_norm_backward": rule}


def MODULES():
    yield from row_modules("l2norm.cu", 8)
    for dtype in FLOATS:
        for k in (3, 2000):
            yield Module("l2norm_columns.cu", column_defines(k, 50, dtype))
