"""Softmax kernels: along rows, along columns, and the gradients of the softmax layers."""
import ctypes

from ..launch import FLOATS, ITEMSIZE, Launch, Module, Plan, blocks, f32, f64, i32, i64, ptr
from ..source import CTYPE

COUNTERS = 128          # blocks that count labels


def computed(dtype):
    """The ctypes type of a scalar in the kernels' computing type."""
    return f64 if dtype == "float64" else f32


def row_defines(n, dtype, tensors, most=16):
    """The ``#define`` values of softmax_rows.cuh for rows of `n` elements that lie one after another in `tensors`. A
    thread keeps at most `most` elements, and none of float64: their functions need the registers."""
    vec = 16 // ITEMSIZE[dtype]
    if n % vec or any(t.address % 16 for t in tensors):
        vec = 1
    if dtype == "float64":
        return {"TYPE": CTYPE[dtype], "LANES": 128, "PER": 0, "VEC": vec}
    for lanes in (32, 128, 256, 512) + (1024,) * (vec > 1):
        per = 1
        while per * lanes * vec < n:
            per *= 2
        if per * vec <= most:
            return {"TYPE": CTYPE[dtype], "LANES": lanes, "PER": per, "VEC": vec}
    return {"TYPE": CTYPE[dtype], "LANES": 512, "PER": 0, "VEC": vec}


def row_launch(file, defines, entry, rows, args):
    lanes = defines["LANES"]
    return Launch(Module(file, defines), entry, blocks(rows, max(128 // lanes, 1)), max(lanes, 128), args)


def column_defines(k, columns, dtype):
    """Of softmax_columns.cuh's kind: COLS columns to a block, Y threads to a column of `k` elements."""
    cols, y = (128, 1) if k < 16 or columns >= 1 << 18 else (32, 8) if k < 1024 else (32, 16)
    return {"TYPE": CTYPE[dtype], "COLS": cols, "Y": y}


def column_launch(file, defines, entry, columns, args):
    return Launch(Module(file, defines), entry, blocks(columns, defines["COLS"]), (defines["COLS"], defines["Y"]), args)


def _forward(name, args, ins, outs, scalars):
    x, y = ins[0], outs[0]
    logarithm = name == "softmax.log_softmax"
    length = ins[1] if len(ins) > 1 and name == "softmax.softmax" else None
    if x.dtype not in FLOATS or length is not None and length.dtype not in ("int32", "int64"):
        return None
    outer, k, inner = args["outer"], args["k"], args["inner"]
    if not y.size or not y.address:
        return Plan([])
    scale, wide = computed(x.dtype)(args["scale"]), i32(length is not None and length.dtype == "int64")
    if inner > 1:
        n = outer * inner
        return Plan([column_launch("softmax_columns.cu", column_defines(k, n, x.dtype), "softmax", n, [
            ptr(x), ptr(y), ptr(length or 0), i64(n), i64(k), i64(inner), scale, wide, i32(logarithm)])])
    defines = row_defines(k, x.dtype, (x, y))
    if logarithm:
        return Plan([row_launch("softmax.cu", defines, "log_softmax", outer,
                                [ptr(x), ptr(y), i64(outer), i64(k), scale])])
    if length is not None:                  # rows end anywhere: elements one by one, not kept where that were many
        defines.update(PER=defines["PER"] * defines["VEC"] * (defines["LANES"] <= 512), VEC=1)
    return Plan([row_launch("softmax.cu", defines, "softmax", outer,
                            [ptr(x), ptr(y), ptr(length or 0), i64(outer), i64(k), scale, wide])])


def _backward(name, args, ins, outs, scalars):
    (dy, y), dx = ins, outs[0]
    if y.dtype not in FLOATS or dy.dtype != y.dtype:
        return None
    outer, k, inner = args["outer"], args["k"], args["inner"]
    if not dx.size or not dx.address:
        return Plan([])
    logarithm, scale = name == "softmax.log_softmax_backward", computed(y.dtype)(args["scale"])
    if inner > 1:
        n = outer * inner
        return Plan([column_launch("softmax_columns.cu", column_defines(k, n, y.dtype), "softmax_backward", n, [
            ptr(dy), ptr(y), ptr(dx), i64(n), i64(k), i64(inner), scale, i32(logarithm)])])
    return Plan([row_launch("softmax.cu", row_defines(k, y.dtype, (dy, y, dx)),
                            "log_softmax_backward" if logarithm else "softmax_backward", outer,
                            [ptr(dy), ptr(y), ptr(dx), i64(outer), i64(k), scale])])


class Output(ctypes.Structure):
    """`struct Output` of softmax_output.cu."""

    _fields_ = [(k, ctypes.c_int64) for k in ("size", "k", "inner", "labels", "ignored", "valid", "use_ignore",
                                              "probability", "parts")] + [(k, ctypes.c_double) for k in
                                                                          ("scale", "low", "high")]


def _output_backward(name, args, ins, outs, scalars):
    y, label, dx = ins[0], ins[1], outs[0]
    if y.dtype not in FLOATS or label.dtype != y.dtype:
        return None
    if not dx.size or not dx.address:
        return Plan([])
    k, inner, probability = args["k"], args["inner"], args["probability"]
    valid, scale, alpha = args["valid"] and not probability, args["grad_scale"], args["smooth_alpha"]
    if not valid and not probability:
        scale /= inner if args["multi_output"] and inner else 1
        scale /= args["batch"] if args["by_batch"] and args["batch"] else 1
    smooth = inner == 1                     # several labels a row are those of multi_output, which is not smoothed
    low = alpha / (k - 1) if smooth and k > 1 else 0.0
    a = Output(dx.size, k, inner, label.size, int(args["ignore_label"]), valid, args["use_ignore"], probability, 0,
               scale, low, 1 - alpha if smooth else 1.0)
    a.parts = blocks(label.size, 1024, COUNTERS) if valid else 0
    module = Module("softmax_output.cu", {"TYPE": CTYPE[y.dtype]})

    def launches(work):
        run = Launch(module, "softmax_output_backward", blocks(dx.size, 256, 1 << 16), 256, [
            ptr(y), ptr(label), ptr(ins[2] if args["out_grad"] else 0), ptr(dx), ptr(work), a])
        return [Launch(module, "count_valid", a.parts, 256, [ptr(label), ptr(work), i64(label.size), i64(a.ignored)]),
                run] if valid else [run]
    return Plan(launches, 4 * a.parts)


def _cross_entropy(name, args, ins, outs, scalars):
    x, label = ins
    if x.dtype not in FLOATS or label.dtype != x.dtype:
        return None
    rows, k = args["outer"], args["k"]

    def launches(work):
        last = Launch(Module("softmax_output.cu", {"TYPE": CTYPE[x.dtype]}), "total", 1, 256,
                      [ptr(work), ptr(outs[0]), i64(rows)])
        return [row_launch("softmax.cu", row_defines(k, x.dtype, (x,)), "cross_entropy", rows,
                           [ptr(x), ptr(label), ptr(work), i64(rows), i64(k)]), last] if rows else [last]
    return Plan(launches if outs[0].address else [], rows * ctypes.sizeof(computed(x.dtype)))


def _cross_entropy_backward(name, args, ins, outs, scalars):
    (dy, x, label), dx = ins, outs[0]
    if x.dtype not in FLOATS or label.dtype != x.dtype or dy.dtype != x.dtype:
        return None
    if not dx.size or not dx.address:
        return Plan([])
    rows, k = args["outer"], args["k"]
    return Plan([row_launch("softmax.cu", row_defines(k, x.dtype, (x, dx)), "cross_entropy_backward", rows,
                            [ptr(dy), ptr(x), ptr(label), ptr(dx), i64(rows), i64(k)])])


KERNELS = {"softmax.softmax": _forward, "softmax.softmax_output": _forward, "softmax.log_softmax": _forward,
           "softmax.softmax_backward": _backward, "softmax.log_softmax_backward": _backward,
           "softmax.softmax_output_backward": _output_backward, "softmax.softmax_cross_entropy": _cross_entropy,
           "softmax.softmax_cross_entropy_backward": _cross_entropy_backward}


def row_modules(file, most=16):
    """Modules of the largest register footprints for rows."""
    for dtype in FLOATS:
        for n in (500, 512) if dtype == "float64" else (500, 512, most * 512 - 1, most * 1024, most * 1024 + 1):
            yield Module(file, row_defines(n, dtype, (), most))


def MODULES():
    yield from row_modules("softmax.cu")
    for dtype in FLOATS:
        for k in (3, 2000):
            yield Module("softmax_columns.cu", column_defines(k, 50, dtype))
        yield Module("softmax_output.cu", {"TYPE": CTYPE[dtype]})
