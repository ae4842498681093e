"""Operators that return an array with a part of it replaced, and copies that MXNet keeps under names of their own."""
from . import types as T
from .at import last_at
from .box import ALL, box, strides
from .index import _flat, _nd_shapes, integers
from .record import Op, Param, S, show, unify
from .rules import size
from .shape import first_dtype, known
from .slicing import _ranges
from .values import as_value

BOX = dict(begin=Param(T.slots, help="first index an axis, or None"),
           end=Param(T.slots, help="index after the last an axis, or None"),
           step=Param(T.slots, (), "step an axis, or None; empty: all 1"))


def _key(p):
    return tuple(slice(*t) for t in zip(p.begin, p.end, p.step or (None,) * len(p.begin)))


def _target(ranges, shape):
    """Strides and offset of the box of `ranges` within an array of `shape`."""
    dst = strides(shape)
    start, step, _ = zip(*ranges)
    return [s * k for s, k in zip(dst, step)], sum(b * s for b, s in zip(start, dst))


class _slice_assign(Op):
    """`lhs` with ``rhs`` in the place of the box ``lhs[begin:end:step]`` (see slice). Any dtype, one for both."""
    inputs = "lhs rhs"
    params = BOX
    aliases = "_crop_assign"
    cpu, cpu_dtypes, inplace = "movement.assign", ALL, {0: 0}
    samples = (S((3, 4), (2, 2), begin=(1, 0), end=(3, 2)), S((5, 4), (3, 2), begin=(None, 3), end=(None, None),
                                                              step=(2, -2)),
               S((5,), (0,), begin=(3,), end=(1,)), S((2, 3, 4), (1, 3, 4), begin=(1,), end=(2,)))

    def infer(p, ins, outs):
        lhs = unify(ins[0], outs[0])
        if lhs is None:
            return ins, outs
        return [lhs, unify(ins[1], tuple(c for _, _, c in _ranges(p, lhs)))], [lhs]

    def ref(xp, p, lhs, rhs):
        y = lhs.copy()
        y[_key(p)] = rhs
        return y

    def launch(p, ins, outs):
        if not ins[0]:
            return box((), (), ())
        step, offset = _target(_ranges(p, ins[0]), ins[0])
        return box(ins[1], strides(ins[1]), step, 0, offset)

    def grad(F, n, dy):
        return (F._slice_assign_scalar(dy, begin=n.p.begin, end=n.p.end, step=n.p.step),
                F.slice(dy, begin=n.p.begin, end=n.p.end, step=n.p.step))


class _slice_assign_scalar(Op):
    """`data` with `scalar` everywhere in the box ``data[begin:end:step]`` (see slice). Any dtype."""
    params = dict(scalar=Param(T.real, 0.0, "value to write"), **BOX)
    aliases = "_crop_assign_scalar"
    cpu, cpu_dtypes, inplace, dynamic = "movement.assign_scalar", ALL, {0: 0}, "scalar"
    samples = (S((3, 4), scalar=2.5, begin=(1, 0), end=(3, 2)), S((5, 4), begin=(None, 3), end=(None, None),
                                                                  step=(2, -2)), S((5,), begin=(3,), end=(1,)))

    def infer(p, ins, outs):
        data = unify(ins[0], outs[0])
        if data is not None:
            _ranges(p, data)
        return [data], [data]

    def ref(xp, p, x):
        y = x.copy()
        y[_key(p)] = as_value(xp, p.scalar, x.dtype.name)
        return y

    def launch(p, ins, outs):
        if not ins[0]:
            return box((), (), ())
        ranges = _ranges(p, ins[0])
        step, offset = _target(ranges, ins[0])
        return box([c for _, _, c in ranges], [0] * len(step), step, 0, offset)

    def grad(F, n, dy):
        return F._slice_assign_scalar(dy, begin=n.p.begin, end=n.p.end, step=n.p.step)


class _scatter_set_nd(Op):
    """`lhs` of `shape` with `rhs` written at the index tuples ``indices[:, ...]`` (see scatter_nd); where a tuple
    occurs twice the last one stays. Any dtype, one for lhs and rhs. (MXNet runs it only with ``out=lhs``.)"""
    inputs = "lhs rhs indices"
    params = dict(shape=Param(T.shape, help="shape of lhs"))
    # One tuple a sample: where one occurs twice, the gradient of rhs is that of the last for all.
    samples = (S((5, 4), (1, 4), (1, 1), shape=(5, 4), index={2: 5}), S((3, 4), (0,), (2, 0), shape=(3, 4)),
               S((9, 9), (1,), (2, 1), shape=(9, 9), index={2: 9}))

    def infer(p, ins, outs):
        lhs = unify(unify(ins[0], outs[0]), p.shape)
        return [lhs, unify(ins[1], _nd_shapes(lhs, ins[2])), ins[2]], [lhs]

    def infer_dtype(p, ins, outs):
        d = ins[0] or ins[1] or outs[0]
        return [d, d, ins[2]], [d]

    def ref(xp, p, lhs, rhs, index):
        m = index.shape[0]
        out = lhs.reshape((size(p.shape[:m]), size(p.shape[m:]))).copy()
        at = _flat(xp, p.shape, index)
        last = last_at(xp, out.shape[0], at)
        out[last >= 0] = rhs.reshape(at.size, out.shape[1])[last[last >= 0]]
        return out.reshape(p.shape)

    def grad(F, n, dy):
        nothing = F.zeros_like(n.inputs[1])
        return F._scatter_set_nd(dy, nothing, n.inputs[2], shape=n.p.shape), F.gather_nd(dy, n.inputs[2]), None


class fill_element_0index(Op):
    """`lhs` (n, k) with ``mhs[i]`` at column ``rhs[i]`` of row i; an index out of range writes nothing. No gradient."""
    inputs = "lhs mhs rhs"
    infer_dtype = first_dtype
    samples = (S((3, 4), (3,), (3,), index={2: 4}), S((2, 3), (2,), (2,), index={2: 9}), S((0, 3), (0,), (0,)))

    def infer(p, ins, outs):
        lhs = unify(ins[0], outs[0])
        if lhs is None:
            return ins, outs
        if len(lhs) != 2:
            raise ValueError(f"lhs must have 2 axes, not {show(lhs)}")
        return [lhs, unify(ins[1], lhs[:1]), unify(ins[2], lhs[:1])], [lhs]

    def ref(xp, p, lhs, mhs, rhs):
        hit = xp.arange(lhs.shape[1]) == integers(xp, rhs)[:, None]
        return xp.where(hit, mhs.astype(lhs.dtype)[:, None], lhs)

    def grad(F, n, dy):
        return None, None, None


class _onehot_encode(Op):
    """Rows that are 1 at the indices `lhs` (n,) and 0 elsewhere, in shape and dtype of `rhs` (n, k)."""
    inputs = "lhs rhs"
    samples = (S((3,), (3, 4), index={0: 6}), S((0,), (0, 2)))

    def infer(p, ins, outs):
        rhs = unify(ins[1], outs[0])
        if rhs is not None and len(rhs) != 2:
            raise ValueError(f"rhs must have 2 axes, not {show(rhs)}")
        return [ins[0] if rhs is None else unify(ins[0], rhs[:1]), rhs], [rhs]

    def infer_dtype(p, ins, outs):
        d = ins[1] or outs[0]
        return [ins[0], d], [d]

    def ref(xp, p, index, like):
        return (xp.arange(like.shape[1]) == integers(xp, index)[:, None]).astype(like.dtype)

    def grad(F, n, dy):
        return None, None


class _copyto(Op):
    """A copy of `data`. Any dtype."""
    view, cpu, cpu_dtypes = {}, "movement.copy", ALL
    samples = (S((2, 3)), S((0,)))

    def ref(xp, p, x):
        return x.copy()

    def grad(F, n, dy):
        return dy


class _identity_with_attr_like_rhs(Op):
    """`lhs`, whose shape and dtype are those of `rhs`."""
    inputs = "lhs rhs"
    cpu, cpu_dtypes, inplace = "movement.copy", ALL, {0: 0}
    samples = (S((2, 3), (2, 3)), S((0,), (0,)))

    def ref(xp, p, x, like):
        return x.copy()

    def grad(F, n, dy):
        return dy, None


class _zeros_without_dtype(Op):
    """Zeros of `shape`; the dtype is `dtype` or, with -1, what the rest of the graph says, else float32."""
    inputs = ""
    params = dict(shape=Param(T.shape, (), "shape; 0 or -1: told by the rest of the graph"),
                  ctx=Param(T.text, "", "device of an imperative result"),
                  dtype=Param(lambda v: None if v in (-1, "-1", None) else T.dtype(int(v) if isinstance(v, str)
                                                                                   and v.isdigit() else v),
                              None, "dtype of the result; -1: told by the rest of the graph"))
    samples = (S(shape=(2, 3)), S(shape=(4,)))

    def infer(p, ins, outs):
        shape = tuple(d if d > 0 else None for d in p.shape) if p.shape else None
        return ins, [unify(shape, outs[0])]

    def infer_dtype(p, ins, outs):
        return ins, [p.dtype or outs[0] or "float32"]

    def ref(xp, p):
        return xp.zeros(p.shape, p.dtype or "float32")

    def grad(F, n, dy):
        return ()


def _codes(p):
    if not p.shape:
        raise ValueError("shape is needed")
    return p.shape


class _ravel_multi_index(Op):
    """Flat indices of the index tuples ``data[:, i]`` into an array of `shape`; data is (axes, n). The first size of
    `shape` does not matter and may be -1; nothing is checked against the sizes. Any dtype; no gradient."""
    params = dict(shape=Param(T.shape, (), "shape of the array that is indexed"))
    aliases = "ravel_multi_index"
    samples = (S((2, 5), shape=(3, 4), index={0: 3}), S((3, 2), shape=(-1, 4, 5), index={0: 4}, dtype="int64"),
               S((1, 3), shape=(9,), index={0: 9}), S((2, 0), shape=(3, 4)))

    def infer(p, ins, outs):
        data = ins[0]
        if data is None:
            return ins, outs
        if len(data) != 2 or data[0] not in (None, len(_codes(p))):
            raise ValueError(f"data {show(data)} must be ({len(_codes(p))}, n): a row for each axis of {p.shape}")
        return ins, [unify(data[1:], outs[0])]

    def ref(xp, p, x):
        at = integers(xp, x)
        flat = at[0]
        for d, row in zip(p.shape[1:], at[1:]):
            flat = flat * d + row
        return flat.astype(x.dtype)

    def grad(F, n, dy):
        return None


class _unravel_index(Op):
    """Index tuples of the flat indices `data` into an array of `shape`, along a new first axis: (axes, ...). The first
    size of `shape` does not matter and may be -1: what is left goes to the first axis. Any dtype; no gradient.
    (MXNet overwrites memory where data has more than one axis.)"""
    params = dict(shape=Param(T.shape, (), "shape of the array that is indexed"))
    aliases = "unravel_index"
    samples = (S((5,), shape=(3, 4), index={0: 12}), S((2, 3), shape=(-1, 4, 5), index={0: 90}, dtype="int32"),
               S((0,), shape=(3, 4)))

    def infer(p, ins, outs):
        rank = len(_codes(p))
        if 0 in p.shape[1:]:
            raise ValueError(f"an array of shape {p.shape} has no elements to index")
        return ins, [unify((rank,) + ins[0] if known(ins[0]) else None, outs[0])]

    def ref(xp, p, x):
        at, rows = integers(xp, x), []
        for d in p.shape[:0:-1]:
            quotient = xp.sign(at) * xp.sign(d) * (xp.abs(at) // abs(d))    # towards zero, as C divides
            rows.append(at - quotient * d)
            at = quotient
        return xp.stack([at, *rows[::-1]]).astype(x.dtype)

    def grad(F, n, dy):
        return None


class shape_array(Op):
    """The shape of `data`, as a vector of int64."""
    samples = (S((2, 3, 4)), S((0, 2)))

    def infer(p, ins, outs):
        return ins, [unify((None if ins[0] is None else len(ins[0]),), outs[0])]

    def infer_dtype(p, ins, outs):
        return ins, ["int64"]

    def ref(xp, p, x):
        return xp.asarray(x.shape, dtype="int64")

    def grad(F, n, dy):
        return None


class size_array(Op):
    """The number of elements of `data`, as one int64."""
    samples = (S((2, 3, 4)), S((0, 2)))

    def infer(p, ins, outs):
        return ins, [unify((1,), outs[0])]

    def infer_dtype(p, ins, outs):
        return ins, ["int64"]

    def ref(xp, p, x):
        return xp.asarray([x.size], dtype="int64")

    def grad(F, n, dy):
        return None
