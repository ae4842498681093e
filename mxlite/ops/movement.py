"""Operators that join, cut, repeat, reverse and pad arrays. Every kernel here moves elements by their size alone, so
all of them take any dtype."""
from . import types as T
from .box import ALL, box, strides
from .record import Op, Param, S, show, unify
from .rules import axis_of, size
from .shape import known


def zeros_for(F, n, dys):
    """`dys` with zeros where no gradient arrives."""
    return [F.zeros_like(y) if dy is None else dy for y, dy in zip(n.outputs, dys)]


def _count(p, ins):
    if p.num_args is not None and p.num_args != len(ins):
        raise ValueError(f"num_args={p.num_args}, but there are {len(ins)} inputs")
    if not ins:
        raise ValueError("at least one input is needed")


def put(shape, axis, value):
    return shape[:axis] + (value,) + shape[axis + 1:]

MOST_PIECES = 65536     # every output is a name and an entry: a count out of a damaged file must not make 10^12


class Concat(Op):
    """The inputs joined along axis `dim`; their other axes agree. Any dtype, one for all."""
    inputs = "*data"
    params = dict(num_args=Param(T.optional(T.integer), None, "how many inputs; counted if left out", low=1),
                  dim=Param(T.integer, 1, "axis to join along"))
    aliases = "concat"
    cpu, cpu_dtypes = "movement.join", ALL
    samples = (S((2, 3), (2, 1), (2, 4)), S((2, 3, 4), (5, 3, 4), dim=0), S((2, 3, 4), (2, 3, 1), dim=-1), S((3, 2)),
               S((2, 0), (2, 3)), S((0, 2), (0, 1)))

    def infer(p, ins, outs):
        _count(p, ins)
        common, axis = None, None
        for s in (*ins, *outs):
            if s is not None:
                axis = axis_of(p.dim, len(s), "dim")
                common = unify(common, put(s, axis, None))
        if common is None:
            return ins, outs
        ins = [unify(s, common) for s in ins]
        sizes = [s[axis] for s in ins]
        total = None if None in sizes else sum(sizes)
        return ins, [unify(put(common, axis, total), outs[0])]

    def ref(xp, p, *xs):
        return xp.concatenate(xs, p.dim)

    def launch(p, ins, outs):
        return dict(outer=size(outs[0][:axis_of(p.dim, len(outs[0]))]))

    def grad(F, n, dy):
        axis = axis_of(n.p.dim, len(n.out_shapes[0]))
        return F._backward_Concat(dy, dim=axis, sizes=tuple(s[axis] for s in n.in_shapes))


class _backward_Concat(Op):
    """`dy` cut along axis `dim` into pieces of the given `sizes`: what Concat joined."""
    inputs = "dy"
    params = dict(dim=Param(T.integer, help="axis to cut"), sizes=Param(T.shape, help="length of every piece"))
    cpu, cpu_dtypes = "movement.split", ALL
    samples = (S((2, 8), dim=1, sizes=(3, 1, 4)), S((3, 2), dim=0, sizes=(0, 3)), S((2, 5, 3), dim=1, sizes=(2, 3)))

    def outputs(p):
        return [f"d{i}" for i in range(len(p.sizes))]

    def infer(p, ins, outs):
        if ins[0] is None:
            return ins, outs
        dim = axis_of(p.dim, len(ins[0]), "dim")
        return [unify(ins[0], put((None,) * len(ins[0]), dim, sum(p.sizes)))], [put(ins[0], dim, s) for s in p.sizes]

    def ref(xp, p, dy):
        ends = [sum(p.sizes[:i + 1]) for i in range(len(p.sizes) - 1)]
        return tuple(y.copy() for y in xp.split(dy, ends, p.dim))

    def launch(p, ins, outs):
        return dict(outer=size(ins[0][:p.dim]))

    def grad(F, n, *dys):
        return F.Concat(*zeros_for(F, n, dys), num_args=len(dys), dim=n.p.dim)


class stack(Op):
    """The inputs, all of one shape, joined along a new axis `axis` of the result. Any dtype, one for all."""
    inputs = "*data"
    params = dict(axis=Param(T.integer, 0, "position of the new axis"),
                  num_args=Param(T.optional(T.integer), None, "how many inputs; counted if left out", low=1))
    cpu, cpu_dtypes = "movement.join", ALL
    samples = (S((2, 3), (2, 3)), S((2, 3), (2, 3), (2, 3), axis=1), S((4,), (4,), axis=-1), S((0, 2), (0, 2)))

    def infer(p, ins, outs):
        _count(p, ins)
        common = None
        for s in ins:
            common = unify(common, s)
        if not known(common):
            return ins, outs
        axis = axis_of(p.axis, len(common) + 1)
        return ins, [unify(common[:axis] + (len(ins),) + common[axis:], outs[0])]

    def ref(xp, p, *xs):
        return xp.stack(xs, p.axis)

    def launch(p, ins, outs):
        return dict(outer=size(outs[0][:axis_of(p.axis, len(outs[0]))]))

    def grad(F, n, dy):
        return F.SliceChannel(dy, num_outputs=len(n.inputs), axis=n.p.axis, squeeze_axis=True)


class SliceChannel(Op):
    """`data` cut along `axis` into `num_outputs` equal pieces; with ``squeeze_axis`` the cut axis, then of size 1, goes
    too. Any dtype."""
    params = dict(num_outputs=Param(T.integer, help="number of pieces", low=1, high=MOST_PIECES),
                  axis=Param(T.integer, 1, "axis to cut"),
                  squeeze_axis=Param(T.boolean, False, "drop the axis; its size must be num_outputs"))
    aliases = "split"
    cpu, cpu_dtypes = "movement.split", ALL
    samples = (S((2, 6), num_outputs=3), S((4, 3), num_outputs=2, axis=0), S((2, 3, 4), num_outputs=4, axis=-1,
               squeeze_axis=True), S((2, 3), num_outputs=1), S((0, 4), num_outputs=2))

    def outputs(p):
        return [f"output{i}" for i in range(p.num_outputs)]

    def infer(p, ins, outs):
        data = ins[0]
        if data is None:
            return ins, outs
        axis = axis_of(p.axis, len(data))
        d = data[axis]
        if d is not None and d % p.num_outputs:
            raise ValueError(f"axis {axis} of {show(data)} cannot be cut into {p.num_outputs} equal pieces")
        if p.squeeze_axis:
            if d is not None and d != p.num_outputs:
                raise ValueError(f"squeeze_axis needs axis {axis} of {show(data)} to have size {p.num_outputs}")
            piece = data[:axis] + data[axis + 1:]
        else:
            piece = put(data, axis, None if d is None else d // p.num_outputs)
        for o in outs:
            piece = unify(piece, o)
        if p.squeeze_axis:
            data = unify(data, piece[:axis] + (p.num_outputs,) + piece[axis:])
        else:
            data = unify(data, put(piece, axis, None if piece[axis] is None else piece[axis] * p.num_outputs))
        return [data], [piece] * len(outs)

    def ref(xp, p, x):
        parts = xp.split(x, p.num_outputs, p.axis)
        return tuple(xp.squeeze(y, p.axis).copy() if p.squeeze_axis else y.copy() for y in parts)

    def launch(p, ins, outs):
        return dict(outer=size(ins[0][:axis_of(p.axis, len(ins[0]))]))

    def grad(F, n, *dys):
        dys = zeros_for(F, n, dys)
        axis = axis_of(n.p.axis, len(n.in_shapes[0]))
        if n.p.squeeze_axis:
            return F.stack(*dys, axis=axis, num_args=len(dys))
        return F.Concat(*dys, num_args=len(dys), dim=axis)


class _split_v2(Op):
    """`data` cut along `axis`: into `sections` equal pieces, or before each of `indices`, of which the first is 0.
    With ``squeeze_axis`` an axis left with size 1 in every piece goes too. Any dtype."""
    params = dict(indices=Param(T.shape, help="where pieces begin"), axis=Param(T.integer, 1, "axis to cut"),
                  squeeze_axis=Param(T.boolean, False, "drop the axis where pieces have size 1"),
                  sections=Param(T.integer, 0, "number of equal pieces; 0: use indices", low=0, high=MOST_PIECES))
    cpu, cpu_dtypes = "movement.split", ALL
    samples = (S((2, 6), indices=(), sections=3), S((5, 3), indices=(0, 1, 3), axis=0), S((2, 3), indices=(0, 2, 3)),
               S((3, 2), indices=(), sections=3, axis=0, squeeze_axis=True))

    def outputs(p):
        return [f"output{i}" for i in range(p.sections or len(p.indices))]

    def infer(p, ins, outs):
        data = ins[0]
        if data is None or data[axis_of(p.axis, len(data))] is None:
            return ins, outs
        axis = axis_of(p.axis, len(data))
        d = data[axis]
        if p.sections:
            if d % p.sections:
                raise ValueError(f"axis {axis} of {show(data)} cannot be cut into {p.sections} equal pieces")
            sizes = [d // p.sections] * p.sections
        else:
            sizes = [e - b for b, e in zip(p.indices, (*p.indices[1:], d))]
            if not p.indices or p.indices[0] != 0 or min(sizes) < 0:
                raise ValueError(f"indices {p.indices} must begin with 0 and not decrease up to {d}")
        if p.squeeze_axis:
            if set(sizes) != {1}:
                raise ValueError(f"squeeze_axis needs pieces of size 1, they are {sizes}")
            return ins, [unify(data[:axis] + data[axis + 1:], o) for o in outs]
        return ins, [unify(put(data, axis, s), o) for s, o in zip(sizes, outs)]

    def ref(xp, p, x):
        parts = xp.split(x, p.sections or list(p.indices[1:]), p.axis)
        return tuple(xp.squeeze(y, p.axis).copy() if p.squeeze_axis else y.copy() for y in parts)

    def launch(p, ins, outs):
        return dict(outer=size(ins[0][:axis_of(p.axis, len(ins[0]))]))

    def grad(F, n, *dys):
        dys = zeros_for(F, n, dys)
        axis = axis_of(n.p.axis, len(n.in_shapes[0]))
        if n.p.squeeze_axis:
            return F.stack(*dys, axis=axis, num_args=len(dys))
        return F.Concat(*dys, num_args=len(dys), dim=axis)


def _repeated(shape, axis, repeats):
    """Source strides for `shape` with `axis` split into (size, repeats)."""
    step = strides(shape)
    return shape[:axis + 1] + (repeats,) + shape[axis + 1:], step[:axis + 1] + [0] + step[axis + 1:]


def _aligned(p, shape):
    """`shape` and the reps of tile, of one length."""
    if any(r < 1 for r in p.reps):
        raise ValueError(f"reps {p.reps} must be positive")
    n = max(len(shape), len(p.reps))
    return (1,) * (n - len(shape)) + tuple(shape), (1,) * (n - len(p.reps)) + p.reps


class tile(Op):
    """`data` repeated ``reps[i]`` times along axis ``i``; the shorter of shape and `reps` gets ones in front. Any
    dtype."""
    params = dict(reps=Param(T.shape, help="how often along each axis"))
    cpu, cpu_dtypes = "movement.strided", ALL
    samples = (S((2, 3), reps=(2,)), S((2, 3), reps=(3, 1)), S((2,), reps=(2, 1, 3)), S((2, 3), reps=(2, 2)),
               S((0, 3), reps=(2, 2)), S((3,), reps=()))

    def infer(p, ins, outs):
        if not known(ins[0]):
            return ins, outs
        shape, reps = _aligned(p, ins[0])
        return ins, [unify(tuple(d * r for d, r in zip(shape, reps)), outs[0])]

    def ref(xp, p, x):
        return xp.tile(x, p.reps)

    def launch(p, ins, outs):
        shape, reps = _aligned(p, ins[0])
        both, src = [], []
        for d, r, s in zip(shape, reps, strides(shape)):
            both += [r, d]
            src += [0, s]
        return box(both, src, strides(both))

    def grad(F, n, dy):
        shape, reps = _aligned(n.p, n.in_shapes[0])
        done = list(n.out_shapes[0])
        for i, r in enumerate(reps):            # the repeats of one axis at a time: three axes are enough
            if r > 1:
                dy = F.sum(F._reshape_to(dy, shape=(size(done[:i]), r, shape[i] * size(done[i + 1:]))), axis=1)
                done[i] = shape[i]
        return F._reshape_to(dy, shape=n.in_shapes[0])


class repeat(Op):
    """Every element (or, with `axis`, every slice along it) `repeats` times in a row; without `axis` the result is
    flat. Any dtype."""
    params = dict(repeats=Param(T.integer, help="how often", low=0),
                  axis=Param(T.optional(T.integer), None, "axis to repeat along; None: the flattened array"))
    cpu, cpu_dtypes = "movement.strided", ALL
    samples = (S((2, 3), repeats=2), S((2, 3), repeats=3, axis=1), S((2, 3), repeats=2, axis=-2), S((0, 3), repeats=2,
               axis=1), S((2, 3), repeats=0))

    def infer(p, ins, outs):
        data = ins[0]
        if data is None:
            return ins, outs
        if p.axis is not None:
            axis = axis_of(p.axis, len(data))
        if p.repeats == 0:                      # MXNet's answer, whatever the axis
            out = (0,)
        elif p.axis is None:
            out = (size(data) * p.repeats if known(data) else None,)
        else:
            out = put(data, axis, None if data[axis] is None else data[axis] * p.repeats)
        return ins, [unify(out, outs[0])]

    def ref(xp, p, x):
        return xp.repeat(x, p.repeats, p.axis) if p.repeats else xp.zeros((0,), x.dtype)

    def launch(p, ins, outs):
        if p.repeats == 0:
            return box((0,), (1,), (1,))
        shape, axis = ((size(ins[0]),), 0) if p.axis is None else (ins[0], axis_of(p.axis, len(ins[0])))
        both, src = _repeated(shape, axis, p.repeats)
        return box(both, src, strides(both))

    def grad(F, n, dy):
        if n.p.repeats == 0:
            return F.zeros_like(n.inputs[0])
        shape = n.in_shapes[0]
        axis = len(shape) - 1 if n.p.axis is None else axis_of(n.p.axis, len(shape))
        dy = F._reshape_to(dy, shape=(size(shape[:axis + 1]), n.p.repeats, size(shape[axis + 1:])))
        return F._reshape_to(F.sum(dy, axis=1), shape=shape)


def _turned(p):
    """The axes that reverse really turns round."""
    return sorted(a for a in set(p.axis) if p.axis.count(a) % 2)


class reverse(Op):
    """`data` with the order along each of `axis` turned round; an axis named twice stays as it is. Any dtype."""
    params = dict(axis=Param(T.shape, help="axis or axes, counted from 0"))
    aliases = "flip"
    cpu, cpu_dtypes = "movement.strided", ALL
    samples = (S((2, 3, 4), axis=1), S((2, 5), axis=(0, 1)), S((37,), axis=0), S((0, 2), axis=0),
               S((2, 3), axis=(0, 0)))

    def infer(p, ins, outs):
        shape = unify(ins[0], outs[0])
        if shape is not None and any(not 0 <= a < len(shape) for a in p.axis):
            raise ValueError(f"axis {p.axis} is out of range for {len(shape)} axes, counted from 0")
        return [shape], [shape]

    def ref(xp, p, x):
        return xp.flip(x, tuple(_turned(p))).copy()

    def launch(p, ins, outs):
        src, offset = strides(ins[0]), 0
        for a in _turned(p):
            offset += src[a] * (ins[0][a] - 1)
            src[a] = -src[a]
        return box(ins[0], src, strides(ins[0]), offset)

    def grad(F, n, dy):
        return F.reverse(dy, axis=n.p.axis)


class where(Op):
    """`x` where `condition` is not zero, else `y`. The condition has the shape of both, or is one value a row (axis 0).
    Any dtypes; NaN counts as not zero."""
    inputs = "condition x y"
    cpu, cpu_dtypes = "movement.where", ALL
    inplace = {0: (1, 2)}
    samples = (S((2, 3), (2, 3), (2, 3), index={0: 2}), S((4,), (4, 3), (4, 3), index={0: 2}),
               S((0, 3), (0, 3), (0, 3)), S((700, 3), (700, 3), (700, 3), index={0: 2}))

    def infer(p, ins, outs):
        cond = ins[0]
        if not known(cond):                     # as in MXNet, nothing follows from x and y alone
            return ins, outs
        shape = unify(unify(ins[1], ins[2]), outs[0])
        if shape is None:
            return ([cond] * 3, [cond]) if len(cond) > 1 else (ins, outs)
        if len(cond) == len(shape):
            shape = cond = unify(cond, shape)
        elif len(cond) == 1:
            cond = unify(cond, shape[:1])
        else:
            raise ValueError(f"condition {show(cond)} is neither of the shape of x and y, {show(shape)}, "
                             "nor one value a row")
        return [cond, shape, shape], [shape]

    def infer_dtype(p, ins, outs):
        d = next((d for d in (ins[1], ins[2], outs[0]) if d is not None), None)
        return [ins[0], d, d], [d]

    def ref(xp, p, cond, x, y):
        return xp.where((cond != 0).reshape(cond.shape + (1,) * (x.ndim - cond.ndim)), x, y)

    def grad(F, n, dy):
        return (None, *F._backward_where(n.inputs[0], dy))


class _backward_where(Op):
    """`dy` where `condition` holds, else zero; and the other way round: the gradients of both branches of where."""
    inputs, outputs = "condition dy", "dx dy"
    cpu, cpu_dtypes = "movement.where_backward", ALL
    samples = (S((2, 3), (2, 3), index={0: 2}), S((4,), (4, 3), index={0: 2}), S((0, 3), (0, 3)))

    def infer(p, ins, outs):
        cond, dy = ins
        if cond is not None and dy is not None:
            cond = unify(cond, dy if len(cond) == len(dy) else dy[:1])
        return [cond, dy], [unify(dy, o) for o in outs]

    def infer_dtype(p, ins, outs):
        return ins, [ins[1]] * 2

    def ref(xp, p, cond, dy):
        hold = (cond != 0).reshape(cond.shape + (1,) * (dy.ndim - cond.ndim))
        zero = xp.zeros_like(dy)
        return xp.where(hold, dy, zero), xp.where(hold, zero, dy)

    def grad(F, n, a, b):
        a, b = zeros_for(F, n, (a, b))
        return None, F.where(n.inputs[0], a, b)
