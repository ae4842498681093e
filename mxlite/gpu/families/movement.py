"""Copies between a contiguous tensor and a box of another. All go by item size; neighbours that stay neighbours
travel up to 16 bytes together."""
import ctypes
from functools import cache
from math import prod

import numpy as np

from ..codegen import Input, segment
from ..launch import FLOATS, Launch, Module, Plan, blocks, i32, i64, ptr, u64
from ..places import Divisor, divisor
from ..source import CTYPE

BLOCK = 256
PIECES = 16                     # of a row, that one launch moves
MANY = 2 ** 31 - 2 ** 20        # positions from here on need 64 bits
LONG = ctypes.c_int64


@cache
def structures(wide):
    """The structures of movement.cu: Box, Pieces, Border of padding, Border of its gradient."""
    d = LONG if wide else Divisor
    fields = {"Box": [("n", LONG), ("from_", LONG), ("to", LONG), ("dims", d * 16), ("src", LONG * 16),
                      ("dst", LONG * 16)],
              "Pieces": [("data", ctypes.c_void_p * PIECES), ("at", LONG * PIECES), ("length", d * PIECES)],
              "Border": [("ndim", LONG), ("mode", LONG), ("in_", LONG * 8), ("before", LONG * 8), ("out", d * 8)],
              "Back": [("ndim", LONG), ("mode", LONG), ("in_", LONG * 8), ("before", LONG * 8), ("out", LONG * 8),
                       ("dims", d * 8)]}
    return {k: type(k, (ctypes.Structure,), {"_fields_": f}) for k, f in fields.items()}


def _divide(d, wide):
    return d if wide else divisor(d)


def module(unit, wide, **defines):
    return Module("movement.cu", {"UNIT": unit, **({"WIDE": 1} if wide else {}), **defines})


def widest(itemsize, *multiples):
    """How many elements travel together: the most whose bytes are at most 16 and whose number, in bytes, divides all
    of `multiples` (lengths, steps, addresses)."""
    most = 16 // itemsize
    while any(m % (most * itemsize) for m in multiples):
        most //= 2
    return most


def fill_zero(address, nbytes):
    """Launches that zero `nbytes` bytes."""
    if not nbytes:
        return []
    unit = widest(1, address, nbytes)
    n = nbytes // unit
    return [Launch(module(unit, False), "zero", blocks(n, BLOCK, 4096), BLOCK, [ptr(address), i64(n)])]


def box_launches(args, source, target, itemsize, value=None):
    """Launches of a box copy from address `source`; of `value`, the bits of a number, where that is not None."""
    axes = [(d, s, t) for d, s, t in zip(args["shape"][:args["n"]], args["src"], args["dst"]) if d != 1]
    total = prod(d for d, _, _ in axes)
    if total == 0:
        return []
    wide = total > MANY
    start, stop = args["src_offset"], args["dst_offset"]
    v = 1
    if value is None and axes and axes[-1][1] == axes[-1][2] == 1:
        others = [n * itemsize for d, s, t in axes[:-1] for n in (s, t)]
        v = widest(itemsize, axes[-1][0] * itemsize, start * itemsize, stop * itemsize, source, target, *others)
        axes = [(d, s // v, t // v) for d, s, t in axes[:-1]] + [(axes[-1][0] // v, 1, 1)]
        total, start, stop = total // v, start // v, stop // v
    b = structures(wide)["Box"](len(axes), start, stop)
    for k in range(16):
        d, s, t = axes[-1 - k] if k < len(axes) else (1, 0, 0)
        b.dims[k], b.src[k], b.dst[k] = _divide(d, wide), s, t
    m = module(itemsize * v, wide)
    if value is not None:
        return [Launch(m, "fill_box", blocks(total, BLOCK), BLOCK, [u64(value), ptr(target), i64(total), b])]
    turned = len(axes) > 1 and axes[-2][1] == 1 and axes[-1][2] == 1 and axes[-1][1] != 1
    if turned and min(axes[-1][0], axes[-2][0]) >= 8:
        n0, n1 = axes[-1][0], axes[-2][0]
        t0, t1 = -(-n0 // 32), -(-n1 // 32)
        return [Launch(m, "turned", total // (n0 * n1) * t0 * t1, (32, 8),
                       [ptr(source), ptr(target), i64(n0), i64(n1), i64(t0), i64(t1), b])]
    return [Launch(m, "strided", blocks(total, BLOCK), BLOCK, [ptr(source), ptr(target), i64(total), b])]


def bits_of(value, dtype):
    """The bits of a number in `dtype`: value.h's mxl_bits_of. Integers drop the fraction and wrap round."""
    with np.errstate(all="ignore"):
        if dtype == "bool":
            return int(value != 0)
        if dtype == "bfloat16":
            f = np.float32(value)
            u = int(f.view(np.uint32))
            if value != value:
                return 0x7fc0
            if float(f) != value and not np.isinf(f):      # rounded to odd first, so that the rounding is one
                u = (u - (abs(float(f)) > abs(value))) | 1
            return (u + 0x7fff + (u >> 16 & 1)) >> 16
        if dtype.startswith("float"):
            return int.from_bytes(np.dtype(dtype).type(value).tobytes(), "little")
    fits = -2.0 ** 63 <= value < 2.0 ** 63
    return (int(value) if fits else -2 ** 63) & (1 << 64) - 1


def raw_copy(x, y):
    if y.size == 0 or x.address == y.address:
        return []
    return segment([Input(x)], [y], [], [0], "f", raw=True).launches(0)


def copy(name, args, ins, outs, scalars):
    return Plan(raw_copy(ins[0], outs[0]))


def strided(name, args, ins, outs, scalars):
    return Plan(box_launches(args, ins[0].address, outs[0].address, outs[0].itemsize))


def into_zeros(name, args, ins, outs, scalars):
    first = fill_zero(outs[0].address, outs[0].nbytes) if ins[0].size != outs[0].size else []
    return Plan(first + box_launches(args, ins[0].address, outs[0].address, outs[0].itemsize))


def assign(name, args, ins, outs, scalars):
    return Plan(raw_copy(ins[0], outs[0]) + box_launches(args, ins[1].address, outs[0].address, outs[0].itemsize))


def assign_scalar(name, args, ins, outs, scalars):
    value = bits_of(float(scalars[0]), outs[0].dtype)
    return Plan(raw_copy(ins[0], outs[0]) + box_launches(args, 0, outs[0].address, outs[0].itemsize, value))


def _pieces(whole, parts, outer, join):
    """Rows of `whole` made of, or taken apart into, one piece of every part after another."""
    if whole.size == 0 or outer == 0:
        return Plan([])
    item, row, at, todo = whole.itemsize, whole.size // outer, 0, []
    for part in parts:
        length = part.size // outer
        if length and part.address:
            todo.append((part.address, at, length))
        at += length
    wide, launches = whole.size > MANY, []
    for k in range(0, len(todo), PIECES):
        some = todo[k:k + PIECES]
        v = widest(item, row * item, whole.address, *(n for a, b, c in some for n in (a, b * item, c * item)))
        p = structures(wide)["Pieces"]()
        for i in range(PIECES):
            address, at, length = some[i] if i < len(some) else (0, 0, v)
            p.data[i], p.at[i], p.length[i] = address, at // v, _divide(length // v, wide)
        longest = max(length for _, _, length in some) // v * outer
        launches.append(Launch(module(item * v, wide), "pieces", (blocks(longest, BLOCK, 65536), len(some)), BLOCK,
                               [ptr(whole), i64(row // v), i64(outer), i32(join), p]))
    return Plan(launches)


def join(name, args, ins, outs, scalars):
    return _pieces(outs[0], ins, args["outer"], 1)


def split(name, args, ins, outs, scalars):
    return _pieces(ins[0], outs, args["outer"], 0)


SIGNLESS = {"float32": 2 ** 31 - 1, "float64": 2 ** 63 - 1, "float16": 2 ** 15 - 1, "bfloat16": 2 ** 15 - 1}


def _choose(cond, a, b, y0, y1):
    n = a.size
    if n == 0 or not (y0 or y1):
        return Plan([])
    inner, item, wide = n // cond.size, a.itemsize, n > MANY
    v = 1
    if inner == 1:
        v = 16 // max(item, cond.itemsize)
        while n % v or any(t % (v * item) for t in (a.address, b, y0, y1)) or cond.address % (v * cond.itemsize):
            v //= 2
    return Plan([Launch(module(item, wide, CUNIT=cond.itemsize, V=v), "choose", blocks(n // v, BLOCK), BLOCK,
                        [ptr(cond), ptr(a), ptr(b), ptr(y0), ptr(y1), i64(n),
                         u64(SIGNLESS.get(cond.dtype, 2 ** 64 - 1)), i64(inner) if wide else divisor(inner)])])


def where(name, args, ins, outs, scalars):
    return _choose(ins[0], ins[1], ins[2].address, outs[0].address, 0)


def where_backward(name, args, ins, outs, scalars):
    return _choose(ins[0], ins[1], 0, outs[0].address, outs[1].address)


def pad(name, args, ins, outs, scalars):
    x, y = ins[0], outs[0]
    if y.size == 0:
        return Plan([])
    wide, n = y.size > MANY, args["ndim"]
    p = structures(wide)["Border"](n, args["mode"])
    for k in range(8):
        axis = n - 1 - k
        p.in_[k], p.before[k] = (x.shape[axis], args["before"][axis]) if axis >= 0 else (1, 0)
        p.out[k] = _divide(y.shape[axis] if axis >= 0 else 1, wide)
    value = bits_of(float(args["value"]), y.dtype)
    return Plan([Launch(module(y.itemsize, wide), "bordered", blocks(y.size, BLOCK), BLOCK,
                        [ptr(x), ptr(y), i64(y.size), u64(value), p])])


def pad_backward(name, args, ins, outs, scalars):
    dy, dx, n = ins[0], outs[0], args["ndim"]
    if dx.dtype not in FLOATS or n > 5:
        return None
    if dx.size == 0:
        return Plan([])
    wide = dx.size > MANY
    p = structures(wide)["Back"](n, args["mode"])
    for k in range(8):              # the first two axes have no border: they are planes
        axis = n - 1 - k
        inside = axis >= 2
        p.in_[k], p.out[k] = (dx.shape[axis], dy.shape[axis]) if inside else (1, 1)
        p.before[k] = args["before"][axis] if inside else 0
        p.dims[k] = _divide(dx.shape[axis] if inside else 1, wide)
    m = Module("movement_pad.cu", {"TYPE": CTYPE[dx.dtype], **({"WIDE": 1} if wide else {})})
    return Plan([Launch(m, "pad_backward", blocks(dx.size, BLOCK), BLOCK, [ptr(dy), ptr(dx), i64(dx.size), p])])


KERNELS = {"movement." + f.__name__: f for f in (copy, strided, into_zeros, assign, assign_scalar, join, split, where,
                                                where_backward, pad, pad_backward)}


def MODULES():
    for unit in (1, 2, 4, 8, 16):
        yield module(unit, unit == 4)
        yield module(unit, False, CUNIT=4, V=2)
    for dtype in FLOATS:
        yield Module("movement_pad.cu", {"TYPE": CTYPE[dtype]})
