"""Operators that give an array another shape (views where the planner allows) or order its axes anew."""
from . import types as T
from .box import ALL, box, strides
from .record import Op, Param, S, same_dtype, show, unify
from .rules import axis_of, size


def first_dtype(p, ins, outs):
    """The output has the first input's dtype; further inputs may have any."""
    d = ins[0] if ins[0] is not None else outs[0]
    return [d, *ins[1:]], [d] * len(outs)


def known(shape):
    return shape is not None and None not in shape


def fill_one(shape, other):
    """`shape` with its only unknown dimension computed from the element count of the known shape `other`."""
    if known(shape) or shape is None or not known(other) or shape.count(None) != 1:
        return shape
    rest = size(d for d in shape if d is not None)
    if rest == 0 or size(other) % rest:
        return shape
    return tuple(size(other) // rest if d is None else d for d in shape)


def same_size(a, b):
    if known(a) and known(b) and size(a) != size(b):
        raise ValueError(f"cannot reshape {show(a)} ({size(a)} elements) to {show(b)} ({size(b)} elements)")


def reshape_codes(shape, data, reverse=False):
    """`data` (partial) under MXNet's shape codes: 0 copies a dimension, -1 takes what is left, -2 copies all that
    remain, -3 merges two, -4 splits one into the next two values (one of which may be -1)."""
    codes, src = list(shape), list(data)
    if reverse:
        codes, src = codes[::-1], src[::-1]
    out, left, at, i = [], None, 0, 0
    while i < len(codes):
        c = codes[i]
        if c in (0, -3, -4) and at + (c == -3) >= len(src):
            raise ValueError(f"shape code {c} at position {i} of {shape} finds no dimension left in {show(data)}")
        if c == 0:
            out.append(src[at])
            at += 1
        elif c == -1:
            if left is not None:
                raise ValueError(f"shape {shape} has more than one -1")
            left = len(out)
            out.append(1)
            at += 1
        elif c == -2:
            out += src[at:]
            at = max(at, len(src))
        elif c == -3:
            out.append(None if None in src[at:at + 2] else src[at] * src[at + 1])
            at += 2
        elif c == -4:
            if i + 2 >= len(codes):
                raise ValueError(f"shape code -4 in {shape} needs two values after it")
            whole, a, b = src[at], codes[i + 1], codes[i + 2]
            if a == b == -1 or min(a, b) < -1 or a == 0 or b == 0:
                raise ValueError(f"shape code -4 cannot split a dimension into {a} and {b}")
            if whole is not None:
                a = whole // b if a == -1 else a
                b = whole // a if b == -1 and a else b
                if a * b != whole:
                    raise ValueError(f"shape code -4 cannot split a dimension of {whole} into {a} and {b}")
            out += [None if a == -1 else a, None if b == -1 else b]
            at += 1
            i += 2
        elif c > 0:
            out.append(c)
            at += 1
        else:
            raise ValueError(f"shape code {c} in {shape} is not one of 0, -1, -2, -3, -4 or a positive size")
        i += 1
    if left is not None:
        if known(data):
            out[left] = _rest(out, left, data)
        else:
            out[left] = None
    return tuple(out[::-1] if reverse else out)


def _rest(out, left, data):
    """What stands for -1. Sizes of zero on both sides cancel: (0, 4, 5) under (0, -1) is (0, 20)."""
    mine, theirs = out[:left] + out[left + 1:], list(data)
    if 0 in mine and 0 in theirs:
        mine.remove(0)
        theirs.remove(0)
    n, m = size(theirs), size(mine)
    if m == 0 or n % m:
        raise ValueError(f"cannot reshape {show(data)} ({size(data)} elements): -1 cannot make up for {tuple(mine)}")
    return n // m


def _reshape_infer(p, ins, outs):
    data, out = ins[0], outs[0]
    if data is None:
        return ins, outs
    if p.shape:
        new = reshape_codes(p.shape, data, p.reverse)
    elif p.target_shape:
        new = list(p.target_shape)
        if p.keep_highest:
            new[0] = data[0]
        free = [i for i in range(1 if p.keep_highest else 0, len(new)) if new[i] == 0]
        if len(free) == 1:
            new[free[0]] = None
            rest = size(d for d in new if d) or 1
            new[free[0]] = size(data) // rest if known(data) and None not in new[:free[0]] + new[free[0] + 1:] else None
        new = tuple(new)
    else:
        new = out
    new = unify(new, out)
    data = fill_one(data, new)
    same_size(data, new)
    return [data], [new]


def _to_input(F, n, dy):
    return F._reshape_to(dy, shape=n.in_shapes[0])


class Reshape(Op):
    """`data` under another shape, elements in the same order.

    `shape` may hold codes: 0 copies the input's dimension, -1 takes what is left, -2 copies all dimensions that
    remain, -3 merges two, -4 splits one into the next two values. With ``reverse`` codes are read from the right.
    Any dtype. The element count must stay: MXNet reads past the end where it does not, here it is an error.
    """
    params = dict(
        shape=Param(T.shape, (), "new shape, codes allowed"),
        reverse=Param(T.boolean, False, "read the codes from the right"),
        target_shape=Param(T.shape, (), "older spelling: one 0 takes what is left"),
        keep_highest=Param(T.boolean, False, "with target_shape: keep the first dimension"))
    aliases = "reshape"
    infer, infer_dtype = _reshape_infer, same_dtype
    view, cpu, cpu_dtypes = {0: 0}, "movement.copy", ALL
    grad = _to_input
    samples = (S((2, 3, 4), shape=(-1, 4)), S((2, 3, 4), shape=(0, -3)), S((6, 4, 5), shape=(-4, 2, -1, -2)),
               S((2, 3, 4), shape=(0, -1), reverse=True), S((0, 4, 5), shape=(0, -1)),
               S((2, 3, 4), target_shape=(0, 6)), S((2, 3, 4), target_shape=(0, 2, 0), keep_highest=True))

    def ref(xp, p, x):
        return x.reshape(_reshape_infer(p, [x.shape], [None])[1][0]).copy()


class _reshape_to(Op):
    """`data` under the literal `shape`: no codes, so that zero sizes are sizes. The gradient of all reshapes."""
    params = dict(shape=Param(T.shape, help="new shape, literal"))
    view, cpu, cpu_dtypes = {0: 0}, "movement.copy", ALL
    grad = _to_input
    samples = (S((2, 3, 4), shape=(4, 6)), S((0, 3), shape=(3, 0, 2)), S((1, 1), shape=()))

    def infer(p, ins, outs):
        data = fill_one(ins[0], p.shape)
        same_size(data, p.shape)
        return [data], [unify(p.shape, outs[0])]

    def ref(xp, p, x):
        return x.reshape(p.shape).copy()


class Flatten(Op):
    """All axes but the first merged into one: (n, a, b) becomes (n, a * b), (n,) becomes (n, 1). Any dtype."""
    aliases = "flatten"
    view, cpu, cpu_dtypes = {0: 0}, "movement.copy", ALL
    grad = _to_input
    samples = (S((2, 3, 4)), S((5,)), S((3, 0, 2)))

    def infer(p, ins, outs):
        data = ins[0]
        if not known(data):
            return ins, outs
        if not data:
            raise ValueError("Flatten needs at least one axis")
        return ins, [unify((data[0], size(data[1:])), outs[0])]

    def ref(xp, p, x):
        return x.reshape((x.shape[0], size(x.shape[1:]))).copy()


class expand_dims(Op):
    """`data` with a new axis of size 1 at position `axis` of the result (negative: from its end). Any dtype."""
    params = dict(axis=Param(T.integer, help="position of the new axis"))
    view, cpu, cpu_dtypes = {0: 0}, "movement.copy", ALL
    grad = _to_input
    samples = (S((2, 3), axis=1), S((2, 3), axis=-1), S((0, 3), axis=0))

    def infer(p, ins, outs):
        data, out = ins[0], outs[0]
        if data is None and out is None:
            return ins, outs
        ndim = len(data) if data is not None else len(out) - 1
        axis = axis_of(p.axis, ndim + 1)
        if data is not None:
            out = unify(data[:axis] + (1,) + data[axis:], out)
        out = unify((None,) * axis + (1,) + (None,) * (ndim - axis), out)
        return [out[:axis] + out[axis + 1:]], [out]

    def ref(xp, p, x):
        return xp.expand_dims(x, p.axis).copy()


class squeeze(Op):
    """`data` without its axes of size 1: all of them, or those of `axis`. At least one axis stays. Any dtype."""
    params = dict(axis=Param(T.axes, None, "axis or axes to drop; None: all of size 1"))
    view, cpu, cpu_dtypes = {0: 0}, "movement.copy", ALL
    grad = _to_input
    samples = (S((1, 3, 1, 2)), S((1, 3, 1, 2), axis=(0, -2)), S((1, 0, 1), axis=2), S((1, 1)))

    def infer(p, ins, outs):
        data = ins[0]
        if not known(data):
            return ins, outs
        if p.axis is None:
            drop = [i for i, d in enumerate(data) if d == 1]
        else:
            drop = [axis_of(a, len(data)) for a in ((p.axis,) if isinstance(p.axis, int) else p.axis)]
            if len(set(drop)) != len(drop):
                raise ValueError(f"axis {p.axis} names one axis twice")
            for a in drop:
                if data[a] != 1:
                    raise ValueError(f"axis {a} of {show(data)} has size {data[a]}: only size 1 can be squeezed out")
        out = tuple(d for i, d in enumerate(data) if i not in drop)
        return ins, [unify(out or data[:1], outs[0])]

    def ref(xp, p, x):
        return x.reshape(squeeze.infer(p, [x.shape], [None])[1][0]).copy()


def _like_range(begin, end, ndim, which):
    """Axes [begin, end) of one side of reshape_like."""
    b = 0 if begin is None else begin + ndim if begin < 0 else begin
    e = ndim if end is None else end + ndim if end < 0 else end
    if not 0 <= b < e <= ndim:
        raise ValueError(f"{which}_begin={begin}, {which}_end={end} is no range of {ndim} axes")
    return b, e


class reshape_like(Op):
    """`lhs` in the shape of `rhs`; or axes [lhs_begin, lhs_end) of `lhs` replaced by [rhs_begin, rhs_end) of `rhs`.
    Any dtypes; the result has that of `lhs`."""
    inputs = "lhs rhs"
    params = dict(
        lhs_begin=Param(T.optional(T.integer), None, "first axis of lhs to replace"),
        lhs_end=Param(T.optional(T.integer), None, "axis of lhs after the last to replace"),
        rhs_begin=Param(T.optional(T.integer), None, "first axis of rhs to take"),
        rhs_end=Param(T.optional(T.integer), None, "axis of rhs after the last to take"))
    infer_dtype = first_dtype
    view, cpu, cpu_dtypes = {0: 0}, "movement.copy", ALL
    samples = (S((2, 6), (3, 4)), S((6, 7), (1, 2, 3, 4), lhs_begin=0, lhs_end=1, rhs_begin=1, rhs_end=3),
               S((7, 12), (1, 2, 3, 4), lhs_begin=-1, rhs_begin=-2), S((0, 3), (3, 0)))

    def infer(p, ins, outs):
        a, b = ins
        if a is None or b is None:
            return ins, outs
        if a == b == ():
            return ins, [unify((), outs[0])]
        i, j = _like_range(p.lhs_begin, p.lhs_end, len(a), "lhs") if a else (0, 0)
        k, m = _like_range(p.rhs_begin, p.rhs_end, len(b), "rhs") if b else (0, 0)
        out = a[:i] + b[k:m] + a[j:]
        same_size(a, out)
        return ins, [unify(out, outs[0])]

    def ref(xp, p, x, y):
        return x.reshape(reshape_like.infer(p, [x.shape, y.shape], [None])[1][0]).copy()

    def grad(F, n, dy):
        return F._reshape_to(dy, shape=n.in_shapes[0]), None


def _axes(p, ndim):
    axes = p.axes or tuple(reversed(range(ndim)))
    if sorted(axes) != list(range(ndim)):
        raise ValueError(f"axes {p.axes} is not a permutation of the {ndim} axes, counted from 0")
    return axes


def permuted(shape, axes):
    """Arguments of the copy that makes axis ``axes[i]`` of a `shape` array axis ``i``."""
    src, out = strides(shape), tuple(shape[a] for a in axes)
    return box(out, [src[a] for a in axes], strides(out))


class transpose(Op):
    """`data` with its axes in the order `axes`; without `axes`, in reverse order. Up to 8 axes, any dtype."""
    params = dict(axes=Param(T.shape, (), "which axis of data becomes axis 0, 1, ...; empty: reverse order"))
    cpu, cpu_dtypes = "movement.strided", ALL
    samples = (S((3, 4)), S((2, 3, 4), axes=(1, 0, 2)), S((2, 3, 4, 5), axes=(0, 2, 3, 1)),
               S((40, 3, 70), axes=(2, 1, 0)), S((0, 3)), S((2, 3, 2, 4), axes=(3, 1, 2, 0)))

    def infer(p, ins, outs):
        data, out = ins[0], outs[0]
        if data is None and out is None:
            return ins, outs
        axes = _axes(p, len(data if data is not None else out))
        if data is not None:
            out = unify(tuple(data[a] for a in axes), out)
        data = [None] * len(axes)
        for i, a in enumerate(axes):
            data[a] = out[i]
        return [tuple(data)], [out]

    def ref(xp, p, x):
        return xp.ascontiguousarray(xp.transpose(x, p.axes or None)).reshape([x.shape[a] for a in _axes(p, x.ndim)])

    def launch(p, ins, outs):
        return permuted(ins[0], _axes(p, len(ins[0])))

    def grad(F, n, dy):
        axes = _axes(n.p, len(n.in_shapes[0]))
        return F.transpose(dy, axes=tuple(axes.index(i) for i in range(len(axes))))


def _swapped(p, ndim):
    axes = list(range(ndim))
    a, b = axis_of(p.dim1, ndim, "dim1"), axis_of(p.dim2, ndim, "dim2")
    axes[a], axes[b] = b, a
    return axes


class SwapAxis(Op):
    """`data` with axes `dim1` and `dim2` exchanged (negative: from the end). Any dtype."""
    params = dict(dim1=Param(T.integer, 0, "one axis"), dim2=Param(T.integer, 0, "the other"))
    aliases = "swapaxes"
    cpu, cpu_dtypes = "movement.strided", ALL
    samples = (S((2, 3, 4), dim1=0, dim2=2), S((2, 3, 4), dim1=1, dim2=-1), S((2, 3)), S((0, 3), dim1=0, dim2=1))

    def infer(p, ins, outs):
        data = ins[0]
        if data is None:
            return ins, outs
        return ins, [unify(tuple(data[a] for a in _swapped(p, len(data))), outs[0])]

    def ref(xp, p, x):
        return xp.swapaxes(x, p.dim1, p.dim2).copy()

    def launch(p, ins, outs):
        return permuted(ins[0], _swapped(p, len(ins[0])))

    def grad(F, n, dy):
        return F.SwapAxis(dy, dim1=n.p.dim1, dim2=n.p.dim2)
