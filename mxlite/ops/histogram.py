"""Counting values by bins."""
from . import types as T
from .elementwise import to_dtype
from .record import Op, Param, S, show, unify
from .shape import known

KINDS = ("float32", "float64", "int32", "int64", "uint8", "int8")


def _edges(xp, p, dtype):
    """The bins' edges in `dtype`: evenly spaced in double, converted last."""
    low, high = p.range
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = low + xp.arange(p.bin_cnt + 1) * ((high - low) / max(p.bin_cnt, 1))
    edges[-1] = high
    return to_dtype(xp, edges, "float32" if dtype == "bfloat16" else dtype)


class _histogram(Op):
    """How many elements of `data` lie in every bin, as int64, and the bins' edges in the data's dtype.

    The edges are the array `bins`, ascending, or with `bin_cnt` and `range` so many bins of one width from range[0] to
    range[1]. A bin holds its left edge and not its right one; the last bin holds both. Elements outside, and NaN, are
    not counted. Edges that do not ascend are an error at run time (MXNet counts something). No gradient.
    """
    params = dict(bin_cnt=Param(T.optional(T.integer), None, "number of bins, with range and without bins"),
                  range=Param(T.optional(T.reals), None, "left and right end of all bins, with bin_cnt"))
    outputs = "output0 output1"
    cpu, cpu_dtypes = "histogram.histogram", KINDS
    samples = (S((40,), bin_cnt=5, range=(-0.5, 0.7)), S((3, 4), bin_cnt=3, range=(0, 0)),
               S((300,), bin_cnt=1, range=(-1, 1)), S((0,), bin_cnt=2, range=(0, 1)))

    def inputs(p):
        return "data" if p.bin_cnt is not None else "data bins"

    def infer(p, ins, outs):
        if (p.bin_cnt is None) != (p.range is None):
            raise ValueError("bin_cnt and range are given together or not at all")
        if p.bin_cnt is None:
            if not known(ins[1]):
                return ins, outs
            if len(ins[1]) != 1 or ins[1][0] < 2:
                raise ValueError(f"bins {show(ins[1])} must be a vector of at least 2 edges")
            n = ins[1][0] - 1
        else:
            if p.bin_cnt < 1:
                raise ValueError(f"bin_cnt={p.bin_cnt} must be positive")
            if len(p.range) != 2 or not abs(p.range[1] - p.range[0]) < float("inf") or p.range[0] > p.range[1]:
                raise ValueError(f"range={p.range} must be two finite numbers, the smaller first")
            n = p.bin_cnt
        return ins, [unify((n,), outs[0]), unify((n + 1,), outs[1])]

    def infer_dtype(p, ins, outs):
        dtype = ins[0] or outs[1] or (ins[1] if len(ins) > 1 else None)
        return [dtype] * len(ins), ["int64", dtype]

    def ref(xp, p, x, bins=None):
        edges = _edges(xp, p, x.dtype.name) if bins is None else bins.copy()
        if not bool((edges[1:] >= edges[:-1]).all()):
            raise ValueError("the edges of the bins do not ascend")
        x = x.ravel()
        inside = x[(x >= edges[0]) & (x <= edges[-1])]
        at = xp.minimum(xp.searchsorted(edges, inside, side="right") - 1, edges.size - 2)
        return xp.bincount(at, minlength=edges.size - 1).astype("int64"), edges

    def launch(p, ins, outs):
        low, high = p.range or (0.0, 0.0)
        return dict(given=p.range is None, low=low - 0.5 * (low == high), high=high + 0.5 * (low == high))

    def workspace(p, ins, outs, itemsize, threads):
        return 8 * (outs[0][0] * threads + outs[1][0])
