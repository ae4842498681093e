"""Kernels of draws other than uniform and normal ones: integers."""
import ctypes

from ..launch import Launch, Module, Plan, blocks, i64, ptr, u64
from ..source import CTYPE

u32 = ctypes.c_uint32
DTYPES = ("int32", "int64")


def module(dtype, narrow):
    return Module("sampling.cu", {"TYPE": CTYPE[dtype], "NARROW": int(narrow)})


def randint(name, args, ins, outs, scalars, rng, rng_id):
    y, span = outs[0], args["span"]
    if y.dtype not in DTYPES:
        return None
    if not y.size or not y.address:
        return Plan([])
    narrow = 0 < span <= 1 << 32
    return Plan([Launch(module(y.dtype, narrow), "randint", blocks(y.size, 256 * (4 if narrow else 2)), 256, [
        ptr(y), ptr(rng), u32(rng_id), i64(args["low"]), u64(span), i64(y.size)])])


KERNELS = {"sampling.randint": randint}


def MODULES():
    for dtype in DTYPES:
        for narrow in (True, False):
            yield module(dtype, narrow)
