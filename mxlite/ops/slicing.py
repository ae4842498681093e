"""Operators that cut a box out of an array, and Pad, which puts one round it."""
import numpy as np

from . import types as T
from .box import ALL, box, strides
from .record import Op, Param, S, show, unify
from .rules import axis_of
from .shape import first_dtype, known


def slice_box(shape, starts, steps, counts):
    """Arguments of the copy of the box that begins at `starts` with `steps` and has `counts` elements an axis."""
    src = strides(shape)
    return box(counts, [s * k for s, k in zip(src, steps)], strides(counts), sum(b * s for b, s in zip(starts, src)))


def _ranges(p, shape):
    """(start, step, count) of every axis; count None where the axis is unknown. Python's own rules for slices."""
    if len(p.begin) != len(p.end) or (p.step and len(p.step) != len(p.begin)):
        raise ValueError(f"begin {p.begin}, end {p.end} and step {p.step} differ in length")
    if len(p.begin) > len(shape):
        raise ValueError(f"begin {p.begin} has more axes than {show(shape)}")
    steps = p.step or (None,) * len(p.begin)
    if 0 in steps:
        raise ValueError(f"step {p.step} holds a 0")
    out = []
    for i, d in enumerate(shape):
        if d is None:
            out.append((0, 1, None))
        elif i < len(p.begin):
            r = range(d)[slice(p.begin[i], p.end[i], steps[i])]
            out.append((r.start, r.step, len(r)))
        else:
            out.append((0, 1, d))
    return out


class slice_(Op):
    """The box ``data[begin[0]:end[0]:step[0], ...]``, with Python's rules: None, negative and out-of-range bounds and
    negative steps. Axes not named stay whole. Any dtype."""
    name = "slice"
    params = dict(begin=Param(T.slots, help="first index an axis, or None"),
                  end=Param(T.slots, help="index after the last an axis, or None"),
                  step=Param(T.slots, (), "step an axis, or None; empty: all 1"))
    aliases = "crop"
    cpu, cpu_dtypes = "movement.strided", ALL
    samples = (S((5, 4), begin=(1,), end=(4,)), S((5, 4), begin=(None, 1), end=(None, 3)),
               S((7, 3), begin=(-1,), end=(None,), step=(-2,)), S((4, 9), begin=(0, 1), end=(4, 8), step=(1, 3)),
               S((5,), begin=(3,), end=(1,)), S((2, 3, 4), begin=(0, 1, 2), end=(2, -1, 10)))

    def infer(p, ins, outs):
        if ins[0] is None:
            return ins, outs
        return ins, [unify(tuple(c for _, _, c in _ranges(p, ins[0])), outs[0])]

    def ref(xp, p, x):
        steps = p.step or (None,) * len(p.begin)
        return x[tuple(slice(*t) for t in zip(p.begin, p.end, steps))].copy()

    def launch(p, ins, outs):
        return slice_box(ins[0], *zip(*_ranges(p, ins[0])))

    def grad(F, n, dy):
        return into_zeros(F, n, dy, _ranges(n.p, n.in_shapes[0]))


def into_zeros(F, n, dy, ranges):
    start, step, _ = zip(*ranges)
    return F._backward_slice(dy, shape=n.in_shapes[0], begin=start, step=step)


class _backward_slice(Op):
    """Zeros of `shape`, with `dy` written at the box that begins at `begin` and has `step` an axis."""
    inputs = "dy"
    params = dict(shape=Param(T.shape, help="shape of the result, literal"),
                  begin=Param(T.shape, help="first index an axis"), step=Param(T.shape, help="step an axis"))
    cpu, cpu_dtypes = "movement.into_zeros", ALL
    samples = (S((3, 4), shape=(5, 4), begin=(1, 0), step=(1, 1)), S((4,), shape=(7,), begin=(6,), step=(-2,)),
               S((0,), shape=(5,), begin=(3,), step=(1,)), S((2, 2), shape=(4, 9), begin=(1, 1), step=(2, 5)))

    def infer(p, ins, outs):
        if not len(p.shape) == len(p.begin) == len(p.step):
            raise ValueError(f"shape {p.shape}, begin {p.begin} and step {p.step} differ in length")
        dy = unify(ins[0], (None,) * len(p.shape))
        for d, n, b, k in zip(dy, p.shape, p.begin, p.step):
            if d and not (0 <= b < n and 0 <= b + k * (d - 1) < n):
                raise ValueError(f"{d} places from {b} on, {k} apart, are outside an axis of {n}")
        return [dy], [unify(p.shape, outs[0])]

    def ref(xp, p, dy):
        out = xp.zeros(p.shape, dy.dtype)
        ends = [b + k * n for b, k, n in zip(p.begin, p.step, dy.shape)]
        out[tuple(slice(b, None if e < 0 else e, k) for b, e, k in zip(p.begin, ends, p.step))] = dy
        return out

    def launch(p, ins, outs):
        dst = strides(p.shape)
        return box(ins[0], strides(ins[0]), [s * k for s, k in zip(dst, p.step)], 0,
                   sum(b * s for b, s in zip(p.begin, dst)))

    def grad(F, n, ddy):
        end = [b + k * d for b, k, d in zip(n.p.begin, n.p.step, n.in_shapes[0])]
        return F.slice(ddy, begin=n.p.begin, end=tuple(None if e < 0 else e for e in end), step=n.p.step)


def _axis_ranges(p, shape):
    """(start, step, count) of every axis for slice_axis; count None where the axis is unknown."""
    axis = axis_of(p.axis, len(shape))
    n = shape[axis]
    out = [(0, 1, d) for d in shape]
    if n is not None:
        begin = p.begin + n if p.begin < 0 else p.begin
        end = n if p.end is None else p.end + n if p.end < 0 else p.end
        if not 0 <= begin < end <= n:
            raise ValueError(f"begin={p.begin}, end={p.end} is no range within axis {axis} of size {n}")
        out[axis] = (begin, 1, end - begin)
    return out


class slice_axis(Op):
    """``data[..., begin:end, ...]`` along one axis; `end` None is the end of it, negative bounds count from there. The
    range must lie inside and not be empty. Any dtype."""
    params = dict(axis=Param(T.integer, help="axis to cut"), begin=Param(T.integer, help="first index"),
                  end=Param(T.optional(T.integer), help="index after the last, or None"))
    cpu, cpu_dtypes = "movement.strided", ALL
    samples = (S((5, 4), axis=0, begin=1, end=3), S((2, 5, 3), axis=1, begin=-3, end=None),
               S((2, 5), axis=-1, begin=0, end=-1), S((3, 0, 2), axis=0, begin=1, end=2))

    def infer(p, ins, outs):
        if ins[0] is None:
            return ins, outs
        return ins, [unify(tuple(c for _, _, c in _axis_ranges(p, ins[0])), outs[0])]

    def ref(xp, p, x):
        return x[(slice(None),) * (p.axis % x.ndim) + (slice(p.begin, p.end),)].copy()

    def launch(p, ins, outs):
        return slice_box(ins[0], *zip(*_axis_ranges(p, ins[0])))

    def grad(F, n, dy):
        return into_zeros(F, n, dy, _axis_ranges(n.p, n.in_shapes[0]))


class slice_like(Op):
    """The leading part of `data` in the size of `shape_like`, on all axes (then both have as many) or on `axes`. Any
    dtypes; the result has that of `data`."""
    inputs = "data shape_like"
    params = dict(axes=Param(T.shape, (), "axes to cut, negative from the end; empty: all"))
    infer_dtype = first_dtype
    cpu, cpu_dtypes = "movement.strided", ALL
    samples = (S((5, 4), (2, 3)), S((5, 4, 3), (9, 9, 2), axes=(-1,)), S((5, 4), (3,), axes=(0,)), S((2, 3), (0, 3)))

    def infer(p, ins, outs):
        data, like = ins
        if data is None or like is None:
            return ins, outs
        if not p.axes and len(data) != len(like):
            raise ValueError(f"data {show(data)} and shape_like {show(like)} differ in their number of axes")
        out = list(data)
        for a in p.axes or range(len(data)):
            i, j = axis_of(a, len(data)), axis_of(a, len(like))
            if None not in (data[i], like[j]) and like[j] > data[i]:
                raise ValueError(f"axis {i} of data {show(data)} is smaller than that of shape_like {show(like)}")
            out[i] = like[j]
        return ins, [unify(tuple(out), outs[0])]

    def ref(xp, p, x, like):
        return x[tuple(slice(0, d) for d in slice_like.infer(p, [x.shape, like.shape], [None])[1][0])].copy()

    def launch(p, ins, outs):
        return slice_box(ins[0], [0] * len(ins[0]), [1] * len(ins[0]), outs[0])

    def grad(F, n, dy):
        return into_zeros(F, n, dy, [(0, 1, d) for d in n.in_shapes[0]]), None


MODES = ("constant", "edge", "reflect")


class Pad(Op):
    """`data` (n, c, ...; 4 or 5 axes) with a border: of `constant_value`, of the nearest element (``edge``), or of its
    mirror image without the edge itself (``reflect``, narrower than the axis). Any dtype; a negative width
    cuts. The first two axes take no border, as in MXNet."""
    params = dict(mode=Param(T.text, help="what the border holds", choices=MODES),
                  pad_width=Param(T.shape, help="(before, after) of every axis, flattened"),
                  constant_value=Param(T.real, 0.0, "value of a constant border"))
    aliases = "pad"
    cpu, cpu_dtypes = "movement.pad", ALL
    samples = (S((2, 3, 4, 5), mode="constant", pad_width=(0, 0, 0, 0, 1, 2, 0, 3), constant_value=2.5),
               S((1, 2, 3, 4), mode="edge", pad_width=(0, 0, 0, 0, 2, 0, 1, 1)),
               S((1, 2, 2, 3, 4), mode="reflect", pad_width=(0, 0, 0, 0, 1, 1, 2, 0, 3, 1)),
               S((1, 1, 3, 4), mode="constant", pad_width=(0, 0, 0, 0, -1, 1, 1, -2)),
               S((1, 2, 4, 5), mode="reflect", pad_width=(0, 0, 0, 0, -1, 2, 2, -1)),
               S((0, 1, 2, 2), mode="edge", pad_width=(0, 0, 0, 0, 1, 1, 1, 1)))

    def infer(p, ins, outs):
        data = ins[0]
        if data is None:
            return ins, outs
        if len(data) not in (4, 5):
            raise ValueError(f"Pad takes 4 or 5 axes, not {show(data)}")
        w = p.pad_width
        if len(w) != 2 * len(data):
            raise ValueError(f"pad_width {w} must have two values for each of {len(data)} axes")
        if any(w[:4]):
            raise ValueError(f"pad_width {w} must be 0 on the first two axes")
        for i, d in enumerate(data):
            wide = max(w[2 * i:2 * i + 2])
            if d is not None and wide > 0 and p.mode != "constant" and (d == 0 or (p.mode == "reflect" and wide >= d)):
                raise ValueError(f"a border of {wide} in mode {p.mode!r} needs a longer axis {i} than {d}")
        out = tuple(None if d is None else d + w[2 * i] + w[2 * i + 1] for i, d in enumerate(data))
        if any(d is not None and d < 0 for d in out):
            raise ValueError(f"pad_width {w} cuts more than {show(data)} has")
        return ins, [unify(out, outs[0])]

    def launch(p, ins, outs):
        return dict(mode=MODES.index(p.mode), value=p.constant_value, ndim=len(ins[0]),
                    before=list(p.pad_width[::2]) + [0] * (8 - len(ins[0])))

    def ref(xp, p, x):
        w = p.pad_width
        if p.mode == "constant":
            x = x[tuple(slice(max(0, -w[2 * i]), d - max(0, -w[2 * i + 1])) for i, d in enumerate(x.shape))]
            value = np.asarray(p.constant_value).astype(x.dtype)        # on the host: CuPy's pad takes no other
            return xp.pad(x, [(max(0, w[2 * i]), max(0, w[2 * i + 1])) for i in range(x.ndim)], constant_values=value)
        for i in range(x.ndim):
            if w[2 * i] or w[2 * i + 1]:
                x = xp.take(x, xp.asarray(border(p.mode, x.shape[i], w[2 * i], w[2 * i + 1])), axis=i)
        return x.copy()

    def grad(F, n, dy):
        if n.p.mode == "constant":
            begin = tuple(max(0, b) for b in n.p.pad_width[::2])
            if min(n.p.pad_width) >= 0:
                return F.slice(dy, begin=begin, end=tuple(b + d for b, d in zip(begin, n.in_shapes[0])))
            return F.Pad(dy, mode="constant", pad_width=tuple(-w for w in n.p.pad_width))
        return F._backward_Pad(dy, mode=n.p.mode, pad_width=n.p.pad_width)


def border(mode, d, before, after):
    """Which element of an axis of `d` stands at each place of the bordered axis."""
    if mode == "edge":
        return [min(max(i, 0), d - 1) for i in range(-before, d + after)]
    return [abs(i) if i < d else 2 * (d - 1) - i for i in range(-before, d + after)]


class _backward_Pad(Op):
    """Gradient of Pad with an ``edge`` or ``reflect`` border: every element gathers `dy` from all places it went to.
    Floating point."""
    inputs = "dy"
    params = dict(mode=Param(T.text, choices=("edge", "reflect"), help="as in Pad"),
                  pad_width=Param(T.shape, help="as in Pad"))
    cpu = "movement.pad_backward"
    samples = (S((1, 2, 5, 6), mode="edge", pad_width=(0, 0, 0, 0, 2, 0, 1, 1)),
               S((1, 2, 4, 5, 8), mode="reflect", pad_width=(0, 0, 0, 0, 1, 1, 2, 0, 3, 1)),
               S((1, 2, 5, 6), mode="reflect", pad_width=(0, 0, 0, 0, -1, 2, 2, -1)))

    def infer(p, ins, outs):
        w = p.pad_width
        if not known(ins[0]):
            return ins, outs
        return ins, [unify(tuple(d - w[2 * i] - w[2 * i + 1] for i, d in enumerate(ins[0])), outs[0])]

    def launch(p, ins, outs):
        return dict(mode=MODES.index(p.mode), value=0.0, ndim=len(ins[0]),
                    before=list(p.pad_width[::2]) + [0] * (8 - len(ins[0])))

    def ref(xp, p, dy):
        w, out = p.pad_width, dy
        for i in range(dy.ndim):
            before, after = w[2 * i:2 * i + 2]
            if before or after:
                at = border(p.mode, out.shape[i] - before - after, before, after)
                parts = [xp.zeros_like(xp.take(out, 0, axis=i))] * (out.shape[i] - before - after)
                for j, a in enumerate(at):
                    parts[a] = parts[a] + xp.take(out, j, axis=i)
                out = xp.stack(parts, axis=i)
        return out.astype(dy.dtype)

    def grad(F, n, ddy):
        return F.Pad(ddy, mode=n.p.mode, pad_width=n.p.pad_width)
