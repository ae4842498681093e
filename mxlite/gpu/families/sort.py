"""Sorting along an axis: topk, sort and argsort are one kernel that writes what is asked for. Rows of up to 2^31 - 1
elements."""
import ctypes

from ..launch import ITEMSIZE, Launch, Module, Plan, blocks, i64, ptr
from ..source import CTYPE

KEYS = ("float32", "float64", "int32", "int64", "uint8", "int8", "float16", "bfloat16")
Sort = type("Sort", (ctypes.Structure,), {"_fields_": [
    *((k, ctypes.c_int64) for k in ("n", "inner", "k", "span")), ("turn", ctypes.c_int)]})


def module(dtype, index, n):
    """Of rows of `n`: as many entries at a time as there are, or as 32 KiB hold."""
    wide = ITEMSIZE[dtype] == 8
    span = 2
    while span < n and span < (2048 if wide else 4096):
        span *= 2
    return Module("sort.cu", {"TYPE": CTYPE[dtype], "INDEXED": CTYPE[index], "WIDE": int(wide), "SPAN": span}), span


def rule(name, args, ins, outs, scalars):
    x, n, k, rows = ins[0], args["n"], args["k"], args["outer"] * args["inner"]
    value, index, mask = (outs[i] if i >= 0 and outs[i].address else None
                          for i in (args["value"], args["index"], args["mask"]))
    if x.dtype not in KEYS or n >= 1 << 31 or index is not None and index.dtype not in CTYPE:
        return None
    if not x.size or not (value or index or mask):
        return Plan([])
    code, span = module(x.dtype, index.dtype if index is not None else "int64", n)
    a, item = Sort(n, args["inner"], k, span, not args["ascend"]), 16 if ITEMSIZE[x.dtype] == 8 else 8
    to = [ptr(value or 0), ptr(index or 0), ptr(mask or 0)]
    first = [Launch(code, "zero", blocks(x.size, 256, 1 << 16), 256, [ptr(mask), i64(x.size)])] if mask else []
    if n <= span:
        threads = max(32, min(256, span // 2))
        return Plan([*first, Launch(code, "sort_short", blocks(rows, 1, 1 << 20), threads, [
            ptr(x), *to, i64(rows), a])])
    while a.span < n:
        a.span *= 2
    total = rows * a.span

    def launches(work):
        todo = [*first, Launch(code, "sort_blocks", total // span, 256, [ptr(x), ptr(work), i64(rows), a])]
        size = 2 * span
        while size <= a.span:
            stage = size if size < a.span else 1 << 62          # the last one has one direction
            d = size // 2
            while d >= span:
                todo.append(Launch(code, "sort_step", blocks(total // 2, 256, 1 << 16), 256, [
                    ptr(work), i64(total // 2), i64(a.span), i64(stage), i64(d)]))
                d //= 2
            todo.append(Launch(code, "sort_merge", total // span, 256, [ptr(work), i64(a.span), i64(stage)]))
            size *= 2
        return [*todo, Launch(code, "sort_put", blocks(rows * k, 256, 1 << 16), 256, [
            ptr(x), ptr(work), *to, i64(rows), a])]
    return Plan(launches, total * item)


KERNELS = {"sort.sort": rule}


def MODULES():
    for dtype in KEYS:
        yield module(dtype, "float32", 1 << 20)[0]
    for dtype in CTYPE:
        yield module("float32", dtype, 100)[0]
