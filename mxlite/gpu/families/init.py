"""Arrays made from numbers."""
import numpy as np

from ..launch import Launch, Module, Plan, blocks, f64, i32, i64, ptr, u64
from ..source import CTYPE
from .movement import BLOCK, bits_of


def _module(dtype):
    return Module("init.cu", {"TYPE": CTYPE[dtype]})


def fill(name, args, ins, outs, scalars):
    y = outs[0]
    if y.size == 0:
        return Plan([])
    bits = bits_of(float(args["value"]), y.dtype) & (1 << 8 * y.itemsize) - 1
    low = int.from_bytes(bits.to_bytes(y.itemsize, "little") * (8 // y.itemsize), "little")
    # bits travel: unsigned integers of the size keep every pattern
    kind = {1: "uint8", 2: "float16", 4: "int32", 8: "int64"}[y.itemsize]
    n = 0 if y.address % 16 else y.nbytes // 16
    tail = y.size - n * 16 // y.itemsize
    return Plan([Launch(_module(kind), "fill", blocks(max(n, tail), BLOCK, 8192), BLOCK,
                        [ptr(y), i64(n), i64(tail), u64(low), u64(low)])])


def arange(name, args, ins, outs, scalars):
    y, start, step = outs[0], float(args["start"]), float(args["step"])
    if y.dtype == "bool":
        return None
    if y.size == 0:
        return Plan([])
    if y.dtype == "float16":            # rounded to the dtype first
        with np.errstate(over="ignore"):
            start, step = float(np.float16(start)), float(np.float16(step))
    return Plan([Launch(_module(y.dtype), "arange", blocks(y.size, BLOCK), BLOCK,
                        [ptr(y), i64(y.size), f64(start), f64(step), i64(args["repeat"])])])


def linspace(name, args, ins, outs, scalars):
    y = outs[0]
    if y.size == 0:
        return Plan([])
    return Plan([Launch(_module(y.dtype), "linspace", blocks(y.size, BLOCK), BLOCK,
                        [ptr(y), i64(y.size), f64(args["start"]), f64(args["stop"]), f64(args["step"]),
                         i32(args["endpoint"])])])


def eye(name, args, ins, outs, scalars):
    y = outs[0]
    if y.size == 0:
        return Plan([])
    return Plan([Launch(_module(y.dtype), "eye", blocks(y.size, BLOCK), BLOCK,
                        [ptr(y), i64(y.size), i64(y.shape[1]), i64(args["k"])])])


KERNELS = {"init." + f.__name__: f for f in (fill, arange, linspace, eye)}


def MODULES():
    return map(_module, CTYPE)
