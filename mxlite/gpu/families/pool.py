"""Pooling forward and backward, where the kind of pooling is an argument, and nearest-neighbour upsampling. Beside the
CPU's arguments ``channels`` (default 0) says that images have that many channels, which lie last; threads then take as
many of them as travel in 16 bytes."""
import ctypes
from math import prod

from ..launch import FLOATS, ITEMSIZE, Launch, Module, Plan, Tensor, blocks, i32, i64, ptr
from ..source import CTYPE

KINDS = ("max", "avg", "sum", "lp")
LARGE = 64              # elements of a window that a warp adds up, where there are few outputs
FEW = 1 << 16
LOWEST = {"float32": "(-3.402823466e+38f)", "float64": "(-1.7976931348623157e308)", "float16": "(-INFINITY)",
          "bfloat16": "(-INFINITY)"}       # halves are rounded from float's lowest number


class Pool(ctypes.Structure):
    """`struct Pool` of pool_window.cuh."""

    _fields_ = [*((k, ctypes.c_int64) for k in ("planes", "p_value", "include_pad", "channels")),
                *((k, ctypes.c_int64 * 3) for k in ("kernel", "stride", "pad", "src", "dst"))]


def geometry(args):
    three = [(ctypes.c_int64 * 3)(*args[k]) for k in ("kernel", "stride", "pad", "src", "dst")]
    return Pool(args["planes"], args["p_value"], args["include_pad"], args.get("channels", 0), *three)


def module(file, args, dtype, codes, tensors, vec=None):
    """Places and codes are numbered in 32 bits where they fit, padding and what sticks out included."""
    reach = max(prod(args["kernel"]), *(max(d, s) + k + 2 * q + t for d, s, k, q, t in zip(*(
        args[k] for k in ("src", "dst", "kernel", "pad", "stride")))))
    narrow = max([reach, *(t.size for t in tensors)]) < 1 << 30
    return Module(file, {"TYPE": CTYPE[dtype], "KIND": args["kind"], "CODE": CTYPE[codes],
                         "INDEX": "int" if narrow else "int64_t", "LOWEST": LOWEST[dtype],
                         **({"VEC": vec} if vec else {})})


def neighbours(args, dtype, tensors):
    """How many channels a thread takes: 16 bytes of them, or 1 where they do not divide or tensors do not lie so."""
    channels, vec = args.get("channels", 0), 16 // ITEMSIZE[dtype]
    return vec if channels and channels % vec == 0 and not any(t.address % 16 for t in tensors) else 1


def forward(name, args, ins, outs, scalars):
    x, y = ins[0], outs[0]
    codes = outs[1] if args["kind"] == 0 and len(outs) > 1 and outs[1].address else None
    if x.dtype not in FLOATS or codes is not None and codes.dtype not in ("uint8", "int64"):
        return None
    if not y.size or not (y.address or codes):
        return Plan([])
    code = module("pool.cu", args, x.dtype, codes.dtype if codes else "uint8", (x, y))
    vec = neighbours(args, x.dtype, [t for t in (x, y, codes) if t])
    if vec > 1:
        code = module("pool_last.cu", args, x.dtype, codes.dtype if codes else "uint8", (x, y), vec)
        return Plan([Launch(code, "forward_last", blocks(y.size // vec, 256), 256,
                            [ptr(x), ptr(y), ptr(codes or 0), geometry(args), i64(y.size // vec)])])
    warp = prod(args["kernel"]) >= LARGE and y.size <= FEW and not args.get("channels")
    return Plan([Launch(code, "forward_warp" if warp else "forward", blocks(y.size * (32 if warp else 1), 256), 256,
                        [ptr(x), ptr(y), ptr(codes or 0), geometry(args), i64(y.size)])])


def backward(name, args, ins, outs, scalars):
    """dy; codes of a maximum, data and output for lp."""
    dy, dx, kind = ins[0], outs[0], args["kind"]
    codes = ins[1] if kind == 0 else None
    if dy.dtype not in FLOATS or codes is not None and codes.dtype not in ("uint8", "int64"):
        return None
    if not dx.size or not dx.address:
        return Plan([])
    code = module("pool_backward.cu", args, dy.dtype, codes.dtype if codes else "uint8", (dx, dy))
    power = kind == 3 and args["p_value"] > 1
    vec = neighbours(args, dy.dtype, [*ins, dx])
    last = module("pool_last.cu", args, dy.dtype, codes.dtype if codes else "uint8", (dx, dy), vec)
    scaled = power or kind == 1

    def launches(work):
        first = [Launch(code, "scale", blocks(dy.size, 256, 1 << 16), 256, [
            ptr(dy), ptr(ins[2] if power else 0), ptr(work), geometry(args), i64(dy.size)])]
        run = Launch(last if vec > 1 else code, "backward_last" if vec > 1 else "backward", blocks(dx.size // vec, 256),
                     256, [ptr(dy), ptr(codes or 0), ptr(ins[1] if power else 0), ptr(work if scaled else 0), ptr(dx),
                           geometry(args), i64(dx.size // vec)])
        return [*first, run] if scaled and dy.size else [run]
    return Plan(launches, dy.size * (8 if dy.dtype == "float64" else 4) if scaled else 0)


def upsample(name, args, ins, outs, scalars):
    """Inputs follow each other along the channels, or are added one after another."""
    y, add, first, launches = outs[0], name == "pool.upsample_sum", 0, []
    if y.dtype not in FLOATS or any(x.dtype != y.dtype for x in ins):
        return None
    if not y.size or not y.address:
        return Plan([])
    if add and len(ins) > 1 and y.dtype in ("float16", "bfloat16"):
        return None                         # the sum would be rounded after every input
    code = Module("pool_upsample.cu", {"TYPE": CTYPE[y.dtype]})
    for i, x in enumerate(ins):
        n, channels, height, width = x.shape
        if not x.size:
            continue
        scale = y.shape[2] // height
        size = x.size * scale * scale
        launches.append(Launch(code, "upsample", blocks(size, 256, 1 << 20), 256, [
            ptr(x), ptr(y), i64(size), i64(channels), i64(height), i64(width), i64(scale), i64(y.shape[1]), i64(first),
            i32(add and i > 0)]))
        first += 0 if add else channels
    return Plan(launches)


KERNELS = {"pool.forward": forward, "pool.backward": backward, "pool.upsample_concat": upsample,
           "pool.upsample_sum": upsample}


def MODULES():
    args = {k: (3, 3, 3) for k in ("kernel", "stride", "pad", "src", "dst")}
    for dtype in FLOATS:
        for kind in range(4):
            for file in ("pool.cu", "pool_backward.cu"):
                for codes in ("uint8", "int64")[:1 + (kind == 0)]:
                    yield module(file, {**args, "kind": kind}, dtype, codes, [])
            for codes in ("uint8", "int64")[:1 + (kind == 0)]:
                yield module("pool_last.cu", {**args, "kind": kind}, dtype, codes, [], 16 // ITEMSIZE[dtype])
        yield Module("pool_upsample.cu", {"TYPE": CTYPE[dtype]})
    yield module("pool.cu", {**args, "kind": 0}, "float32", "int64", [Tensor((1 << 31,), "float32", 0)])
    yield module("pool_backward.cu", {**args, "kind": 0}, "float32", "int64", [Tensor((1 << 31,), "float32", 0)])
