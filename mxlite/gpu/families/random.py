"""Random kernels: the words of :mod:`mxlite.ops.philox`, bit for bit. Seed and step are read on the device."""
import ctypes

import numpy as np

from ..launch import FLOATS, ITEMSIZE, Launch, Module, Plan, blocks, f64, i64, ptr
from ..source import CTYPE

u32 = ctypes.c_uint32


def module(dtype, four=True):
    return Module("random.cu", {"TYPE": CTYPE[dtype], "FOUR": int(four), "WIDE": int(dtype == "float64")})


def aligned(tensors, elements):
    return all(t.address % min(16, elements * ITEMSIZE[t.dtype]) == 0 for t in tensors)


class Shared(ctypes.Structure):
    """`struct Shared` of random.cu."""

    _fields_ = [("ndim", ctypes.c_int64), ("size", ctypes.c_int64 * 8), ("stride", ctypes.c_int64 * 8)]


def shared(args):
    ndim, stride, s = args["ndim"], [0] * 8, 1
    size = [args[f"size{i}"] for i in range(8)]
    for i in reversed(range(ndim)):
        if not args[f"shared{i}"]:
            stride[i], s = s, s * size[i]
    return Shared(ndim, (ctypes.c_int64 * 8)(*size), (ctypes.c_int64 * 8)(*stride))


def dropout(name, args, ins, outs, scalars, rng, rng_id, is_train):
    x, y = ins[0], outs[0]
    if x.dtype not in FLOATS:
        return None
    if not y.size or not y.address:
        return Plan([])
    threshold = args["threshold"]
    if threshold == 0 or not (is_train or args["always"]):
        return Plan([] if x.address == y.address else [
            Launch(module(x.dtype), "copy", blocks(x.size, 256, 1 << 16), 256, [ptr(x), ptr(y), i64(x.size)])])
    if threshold >> 32:
        return Plan([Launch(module(x.dtype), "zero", blocks(x.size, 256, 1 << 16), 256, [ptr(y), i64(x.size)])])
    given = [ptr(x), ptr(y), ptr(rng), u32(rng_id), u32(threshold), f64(args["scale"]), i64(x.size)]
    if any(args[f"shared{i}"] for i in range(args["ndim"])):
        return Plan([Launch(module(x.dtype), "dropout_shared", blocks(x.size, 256), 256, [*given, shared(args)])])
    return Plan([Launch(module(x.dtype, aligned((x, y), 4)), "dropout", blocks(x.size, 1024), 256, given)])


def draw(name, args, ins, outs, scalars, rng, rng_id):
    y = outs[0]
    if y.dtype not in FLOATS:
        return None
    first, second = scalars[:2]
    if name == "random.uniform":
        if not second >= first:
            raise ValueError(f"low={first} must not exceed high={second}")
        if y.dtype == "float64":
            second -= first
        else:                               # the bounds and their span as float32 has them
            first = float(np.float32(first))
            second = float(np.float32(float(np.float32(second)) - first))
    elif not second > 0:
        raise ValueError(f"scale={second} must be positive")
    if not y.size or not y.address:
        return Plan([])
    each = 2 if y.dtype == "float64" else 4
    return Plan([Launch(module(y.dtype), name.partition(".")[2], blocks(y.size, 256 * each), 256, [
        ptr(y), ptr(rng), u32(rng_id), f64(first), f64(second), i64(y.size)])])


KERNELS = {"random.dropout": dropout, "random.uniform": draw, "random.normal": draw}


def MODULES():
    for dtype in FLOATS:
        for four in (True, False):
            yield module(dtype, four)
