"""Running sums. Along an axis that is not the last, additions stand in the CPU's order; along the last one, tiles are
summed by the threads of a block together, in an order that follows from the length alone."""
from ..launch import Launch, Module, Plan, blocks, i32, i64, ptr
from ..source import CTYPE

BLOCK = 256
FEW = 64                        # elements that one thread adds up as fast as a block
SOURCES = ("float32", "float64", "int32", "int64", "int8", "uint8", "bool")
RESULTS = ("float32", "float64", "int32", "int64")


def _module(source, result):
    return Module("cumsum.cu", {"FROM": CTYPE[source], "TYPE": CTYPE[result]})


def cumsum(name, args, ins, outs, scalars):
    x, y = ins[0], outs[0]
    small = x.dtype == y.dtype and x.dtype in ("int8", "uint8")
    if not small and (x.dtype not in SOURCES or y.dtype not in RESULTS):
        return None
    if y.size == 0:
        return Plan([])
    outer, n, inner, reverse = (args[k] for k in ("outer", "n", "inner", "reverse"))
    m = _module(x.dtype, y.dtype)
    if inner == 1 and n > FEW:
        return Plan([Launch(m, "rows", outer, BLOCK, [ptr(x), ptr(y), i64(n), i32(reverse)])])
    return Plan([Launch(m, "columns", blocks(outer * inner, BLOCK), BLOCK,
                        [ptr(x), ptr(y), i64(outer), i64(n), i64(inner), i32(reverse)])])


KERNELS = {"cumsum.cumsum": cumsum}


def MODULES():
    for source in SOURCES:
        for result in ("float32", "int64"):
            yield _module(source, result)
