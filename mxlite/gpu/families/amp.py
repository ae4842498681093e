"""Kernels of mixed precision: whether many arrays are finite, sums of their squares, casts of many arrays. The host
waits for none of them."""
import ctypes

from ..launch import FLOATS, Launch, Module, Plan, i32, ptr
from ..source import CTYPE
from .elementwise import cast

LANES, VECTORS = 256, 8
MOST = 120                      # arrays of a launch: its table travels as an argument


class Part(ctypes.Structure):
    _fields_ = [("x", ctypes.c_void_p), ("size", ctypes.c_int64), ("first", ctypes.c_int64)]


class Parts(ctypes.Structure):
    _fields_ = [("p", Part * MOST)]


def module(dtype):
    return Module("amp.cu", {"TYPE": CTYPE[dtype], "MOST": MOST})


def tables(tensors):
    """(module, table, how many arrays, their blocks, number of the first) of each launch: arrays of one dtype that
    follow each other."""
    start = 0
    while start < len(tensors):
        dtype, table, total, stop = tensors[start].dtype, Parts(), 0, start
        chunk = LANES * VECTORS * (16 // tensors[start].itemsize)
        while stop < len(tensors) and stop - start < MOST and tensors[stop].dtype == dtype:
            x = tensors[stop]
            table.p[stop - start] = Part(x.address if x.size else 0, x.size, total)
            total += -(-x.size // chunk)
            stop += 1
        yield module(dtype), table, stop - start, total, start
        start = stop


def all_finite(name, args, ins, outs, scalars):
    """Any number of arrays -> [1.0] or [0.0]."""
    if any(x.dtype not in FLOATS for x in ins):
        return None
    if not outs[0].address:
        return Plan([])
    launches = [Launch(module("float32"), "begin", 1, 1, [ptr(outs[0])])]
    # An empty array is no block's; kept out, it does not stand between two that are.
    for code, table, parts, blocks, _ in tables([x for x in ins if x.size]):
        launches.append(Launch(code, "all_finite", blocks, LANES, [table, i32(parts), ptr(outs[0])]))
    return Plan(launches)


def sum_sq(name, args, ins, outs, scalars):
    """Any number of arrays -> the sum of squares of each, added in double."""
    if any(x.dtype not in FLOATS for x in ins):
        return None
    if not outs[0].address:
        return Plan([])
    found = list(tables(ins))

    def launches(work):
        out = []
        for code, table, parts, blocks, first in found:
            if blocks:
                out.append(Launch(code, "sum_sq", blocks, LANES, [table, i32(parts), ptr(work)]))
            out.append(Launch(code, "finish", parts, 32, [table, ptr(work), ptr(outs[0].address + 4 * first)]))
        return out
    return Plan(launches, 8 * max([blocks for *_, blocks, _ in found], default=1) or 8)


def multicast(name, args, ins, outs, scalars):
    """Each array in its output's dtype."""
    launches = []
    for x, y in zip(ins, outs):
        launches += cast(name, None, [x], [y], ()).launches(0)
    return Plan(launches)


KERNELS = {"amp.all_finite": all_finite, "amp.sum_sq": sum_sq, "amp.multicast": multicast}


def MODULES():
    for dtype in FLOATS:
        yield module(dtype)
