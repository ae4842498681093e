"""Gather and scatter of rows: take, Embedding, gather_nd, scatter_nd and the gradients; pick; one_hot.

Indices are checked on the device. Where the CPU raises, the plan's error word is set, gathers give zeros for the tuple
and scatters leave it out.
"""
import ctypes
from math import prod

from ..launch import FLOATS, ITEMSIZE, Launch, Module, Plan, blocks, i32, i64, ptr, u64
from ..places import divisor
from ..source import CTYPE
from .movement import BLOCK, MANY, bits_of, fill_zero, widest

RAISE, NEGATIVE = 2, 3          # the modes that refuse an index
HEAD = 256                      # bytes of the workspace before its arrays: the error word
TILE = 1024                     # keys that a block sorts, index_sort.cuh's SORT_TILE


class Rows(ctypes.Structure):
    _fields_ = [(k, ctypes.c_int64) for k in ("m", "count", "mode")] + [("dims", ctypes.c_int64 * 8)]


def _rows(args):
    return Rows(args["m"], args["count"], args["mode"], (ctypes.c_int64 * 8)(*args["dims"]))


def _may_fail(args):
    return args["mode"] in (RAISE, NEGATIVE) or any(d <= 0 for d in args["dims"][:args["m"]])


def module(file, index, unit, wide, **defines):
    return Module(file, {"INDEX": CTYPE[index], "UNIT": unit, **({"WIDE": 1} if wide else {}), **defines})


def _d(d, wide):
    return i64(d) if wide else divisor(max(d, 1))


def _gather(args, data, index, out):
    count, outer, rows = args["count"], args["outer"], prod(args["dims"][:args["m"]])
    if out.size == 0:
        return Plan([])
    item = out.itemsize
    v = widest(item, args["inner"] * item, data.address, out.address)
    inner, total = args["inner"] // v, out.size // v
    wide = max(total, outer * rows * inner) > MANY
    m = module("index.cu", index.dtype, item * v, wide)
    fails = _may_fail(args)

    def launches(work):
        first = fill_zero(work, 16) if fails else []
        return first + [Launch(m, "gather", blocks(total, BLOCK), BLOCK, [
            ptr(data), ptr(index), ptr(out), i64(total), i64(rows), _d(inner, wide), _d(count, wide), _rows(args),
            ptr(work if fails else 0)])]
    return Plan(launches, HEAD if fails else 0, 0 if fails else None)


def take(name, args, ins, outs, scalars):
    return _gather(args, ins[0], ins[1], outs[0])


def embedding(name, args, ins, outs, scalars):
    return _gather(args, ins[1], ins[0], outs[0])


def scatter(name, args, ins, outs, scalars):
    """The last tuple that names a row wins it."""
    dy, index, out = ins[0], ins[1], outs[0]
    count, rows = args["count"], prod(args["dims"][:args["m"]])
    if out.size == 0 or count >= 2 ** 31 - 1:
        return Plan([]) if out.size == 0 else None
    if count == 0:
        return Plan(fill_zero(out.address, out.nbytes))
    item = out.itemsize
    v = widest(item, args["inner"] * item, dy.address, out.address)
    inner, total = args["inner"] // v, out.size // v
    wide = total > MANY
    m = module("index.cu", index.dtype, item * v, wide)
    nbytes = HEAD + -(-4 * rows // 16) * 16

    def launches(work):
        return [*fill_zero(work, nbytes),
                Launch(m, "winners", blocks(count, BLOCK), BLOCK,
                       [ptr(index), ptr(work + HEAD), _rows(args), ptr(work)]),
                Launch(m, "scatter", blocks(total, BLOCK), BLOCK, [ptr(dy), ptr(work + HEAD), ptr(out), i64(total),
                                                                  i64(count), _d(inner, wide), _d(rows, wide)])]
    return Plan(launches, nbytes, 0)


def scatter_add(name, args, ins, outs, scalars):
    """Tuples sorted by row, stably; then each row adds up its own in order: the CPU's sums to the last bit."""
    dy, index, out = ins[0], ins[1], outs[0]
    count, inner, outer = args["count"], args["inner"], args["outer"]
    rows = prod(args["dims"][:args["m"]])
    if out.dtype not in FLOATS or max(count, rows) >= 2 ** 31 - 1:
        return None
    if out.size == 0:
        return Plan([])
    if count == 0:
        return Plan(fill_zero(out.address, out.nbytes))
    m = module("index_add.cu", index.dtype, out.itemsize, False, TYPE=CTYPE[out.dtype])
    passes = max(1, -(-rows.bit_length() // 4))         # keys go up to `rows` itself
    tiles = -(-count // TILE)
    step = -(-4 * count // 256) * 256
    nbytes = HEAD + 4 * step + 4 * 16 * tiles
    width = 32 if inner >= 32 else 1 << max(0, inner - 1).bit_length()

    def launches(work):
        key, place, key2, place2, counts = (work + HEAD + k * step for k in range(5))
        todo = [*fill_zero(out.address, out.nbytes), *fill_zero(work, 16),
                Launch(m, "keys", blocks(count, BLOCK), BLOCK,
                       [ptr(index), ptr(key), ptr(place), i64(rows), _rows(args), ptr(work)])]
        for k in range(passes):
            todo += [Launch(m, "digits", tiles, 256, [ptr(key), ptr(counts), i64(count), i32(4 * k)]),
                     Launch(m, "starts", 1, 256, [ptr(counts), i64(16 * tiles)]),
                     Launch(m, "order", tiles, 256, [ptr(key), ptr(place), ptr(key2), ptr(place2), ptr(counts),
                                                     i64(count), i32(4 * k)])]
            key, place, key2, place2 = key2, place2, key, place
        grid = (blocks(count, BLOCK // width), blocks(inner, width, 65535), min(outer, 65535))
        return todo + [Launch(m, "add_rows", grid, (width, BLOCK // width), [
            ptr(dy), ptr(key), ptr(place), ptr(out), i64(count), i64(rows), i64(inner), i64(outer)])]
    return Plan(launches, nbytes, 0)


def pick(name, args, ins, outs, scalars):
    total, n = args["outer"] * args["inner"], args["dims"][0]
    if total and n <= 0:
        return None
    if total == 0:
        return Plan([])
    wide = max(total * n, total) > MANY
    m = module("index.cu", ins[1].dtype, outs[0].itemsize, wide)
    if name == "index.pick":
        return Plan([Launch(m, "pick", blocks(total, BLOCK), BLOCK,
                            [ptr(ins[0]), ptr(ins[1]), ptr(outs[0]), i64(total), i64(n), _d(args["inner"], wide),
                             i64(args["mode"])])])
    size = outs[0].size
    return Plan([Launch(m, "pick_backward", blocks(size, BLOCK), BLOCK,
                        [ptr(ins[0]), ptr(ins[1]), ptr(outs[0]), i64(size), _d(n, wide), _d(args["inner"], wide),
                         i64(args["mode"])])])


def one_hot(name, args, ins, outs, scalars):
    out = outs[0]
    if out.size == 0:
        return Plan([])
    wide = out.size > MANY
    m = module("index.cu", ins[0].dtype, out.itemsize, wide)
    return Plan([Launch(m, "one_hot", blocks(out.size, BLOCK), BLOCK,
                        [ptr(ins[0]), ptr(out), i64(out.size), _d(args["depth"], wide),
                         u64(bits_of(float(args["on"]), out.dtype)), u64(bits_of(float(args["off"]), out.dtype))])])


KERNELS = {"index." + k: v for k, v in dict(take=take, embedding=embedding, scatter=scatter, scatter_add=scatter_add,
                                            pick=pick, pick_backward=pick, one_hot=one_hot).items()}


def MODULES():
    for index in CTYPE:
        yield module("index.cu", index, 4, index == "int64")
    for unit in (1, 2, 8, 16):
        yield module("index.cu", "float32", unit, False)
    for dtype in FLOATS:
        yield module("index_add.cu", "int32", ITEMSIZE[dtype], False, TYPE=CTYPE[dtype])
