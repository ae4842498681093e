"""Kernels of LRN."""
import ctypes

from ..launch import FLOATS, Launch, Module, Plan, blocks, ptr
from ..source import CTYPE

Lrn = type("Lrn", (ctypes.Structure,), {"_fields_": [
    *((k, ctypes.c_int64) for k in ("size", "channels", "inner", "reach")),
    *((k, ctypes.c_double) for k in ("alpha", "beta", "knorm"))]})


def module(dtype):
    return Module("lrn.cu", {"TYPE": CTYPE[dtype]})


def rule(name, args, ins, outs, scalars):
    """data; or dy, data."""
    x, y = ins[-1], outs[0]
    if x.dtype not in FLOATS or ins[0].dtype != x.dtype:
        return None
    if not y.size or not y.address:
        return Plan([])
    a = Lrn(x.size, *(args[k] for k in ("channels", "inner", "reach", "alpha", "beta", "knorm")))
    code, grid, given = module(x.dtype), blocks(x.size, 256, 1 << 18), [*map(ptr, ins)]
    if name == "lrn.lrn":
        return Plan([Launch(code, "forward", grid, 256, [*given, ptr(y), a])])
    half = -(-x.size * (8 if x.dtype == "float64" else 4) // 256) * 256

    def launches(work):
        made = [ptr(work), ptr(work + half)]
        return [Launch(code, "terms", grid, 256, [*given, *made, a]),
                Launch(code, "backward", grid, 256, [*given, ptr(y), *made, a])]
    return Plan(launches, 2 * half)


KERNELS = {"lrn.lrn": rule, "lrn.lrn_backward": rule}


def MODULES():
    return map(module, FLOATS)
