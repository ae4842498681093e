"""Kernels of the Sequence operators. Elements of two bytes and more are moved as they are."""
import ctypes

from ..launch import ITEMSIZE, Launch, Module, Plan, blocks, f64, ptr
from ..source import CTYPE

FILLS = {"float32": "(float)", "float64": "", "float16": "put<__half>", "bfloat16": "put<__nv_bfloat16>",
         "bool": "0 !=", "int64": "to_i64", "int32": "(int32_t)to_i64", "int8": "(int8_t)to_i64",
         "uint8": "(uint8_t)to_i64"}
MOVED = {1: "uint8_t", 2: "uint16_t", 4: "uint32_t", 8: "uint64_t"}
NAMES = ("steps", "batch", "inner", "batch_first", "use", "size")
Sequence = type("Sequence", (ctypes.Structure,), {"_fields_": [(k, ctypes.c_int64) for k in NAMES]})


def module(dtype, length, fill):
    return Module("sequence.cu", {"TYPE": CTYPE[dtype] if fill else MOVED[ITEMSIZE[dtype]], "LENGTH": CTYPE[length],
                                  "FILL": FILLS[dtype] if fill else "(TYPE)"})


def rule(name, args, ins, outs, scalars):
    x, y, entry = ins[0], outs[0], name.partition(".")[2]
    length = ins[1] if args["use"] else None
    if x.dtype not in CTYPE or length is not None and length.dtype not in CTYPE:
        return None
    if not args["batch"] or not y.address:
        return Plan([])
    a = Sequence(*(args[k] for k in NAMES[:-1]), y.size)
    code = module(x.dtype, length.dtype if length is not None else "int64", entry == "mask")
    given = [ptr(x), ptr(length or 0), ptr(y), a]
    grid = blocks(y.size, 256, 1 << 16)
    if not entry.startswith("last"):
        more = [f64(scalars[0])] if entry == "mask" else []
        return Plan([Launch(code, entry, grid, 256, given + more)] if y.size else [])

    def launches(work):
        return [Launch(code, "check_lengths", 1, 256, [given[1], a, ptr(work)]),
                *([Launch(code, entry, grid, 256, [*given, ptr(work)])] if y.size else [])]
    return Plan(launches, 4, error=0)


KERNELS = {"sequence." + k: rule for k in ("mask", "last", "last_backward", "reverse")}


def MODULES():
    for dtype in CTYPE:
        yield module(dtype, dtype, True)
        yield module(dtype, "float32", False)
