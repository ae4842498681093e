"""Operators on batches of sequences of different lengths: masking, taking the last element, reversing.

`data` is (steps, batch, ...), with ``axis=1`` (batch, steps, ...). Without `use_sequence_length` every sequence has all
steps; with it `sequence_length` (batch,) says how many each one has. Fractions of a length are cut off, a negative
length counts as 0, one above the number of steps as that number.
"""
from . import types as T
from .box import ALL
from .index import integers
from .record import Op, Param, S, show, unify
from .rules import size
from .values import as_value

USE = dict(use_sequence_length=Param(T.boolean, False, "whether sequence_length is an input"))
AXIS = dict(axis=Param(T.integer, 0, "axis of the steps, 0 or 1"))


def _inputs(p):
    return "data sequence_length" if p.use_sequence_length else "data"


def _checked(p, ins, outs):
    """(data's shape or None, lengths' shapes)."""
    if p.axis not in (0, 1):
        raise ValueError(f"axis={p.axis} must be 0 or 1")
    data = ins[0]
    if data is None:
        return None, ins[1:]
    if len(data) < 2:
        raise ValueError(f"data {show(data)} needs at least 2 axes, steps and batch")
    return data, [unify(s, (data[1 - p.axis],)) for s in ins[1:]]


def _like_data(p, ins, outs):
    data, lengths = _checked(p, [unify(ins[0], outs[0]), *ins[1:]], outs)
    return [data, *lengths], [data]


def _dtypes(p, ins, outs):
    d = ins[0] or outs[0]
    return [d] + [k or d for k in ins[1:]], [d]


def _launch(p, ins, outs):
    data = ins[0]
    steps, batch = data[p.axis], data[1 - p.axis]
    return dict(steps=steps, batch=batch, inner=size(data[2:]), batch_first=p.axis,
                use=int(p.use_sequence_length))


def _first(p, x):
    """`x` with the steps first."""
    return x.swapaxes(0, 1) if p.axis else x


def _lengths(xp, p, x, length):
    """Steps of every sequence."""
    steps, batch = _first(p, x).shape[:2]
    if length is None:
        return xp.full(batch, steps)
    return xp.clip(integers(xp, length), 0, steps)


def _along(xp, x):
    return xp.arange(x.shape[0])[:, None]


class SequenceMask(Op):
    """`data` with `value` at the steps past the end of every sequence. Any dtype."""
    inputs = _inputs
    params = dict(**USE, value=Param(T.real, 0.0, "what stands past the ends"), **AXIS)
    infer, infer_dtype, launch = _like_data, _dtypes, _launch
    cpu, cpu_dtypes, dynamic, inplace = "sequence.mask", ALL, "value", {0: 0}
    samples = (S((4, 3, 2)), S((4, 3, 2), (3,), index={1: 6}, use_sequence_length=True, value=-1.5),
               S((3, 5), (3,), index={1: 6}, use_sequence_length=True, axis=1), S((0, 3), (3,), index={1: 2},
                                                                                   use_sequence_length=True),
               S((4, 0), (0,), use_sequence_length=True))

    def ref(xp, p, x, length=None):
        y = x.copy()
        if length is not None:
            steps = _first(p, y)
            past = _along(xp, steps) >= _lengths(xp, p, x, length)
            steps[past] = as_value(xp, p.value, x.dtype.name)
        return y

    def grad(F, n, dy):
        if not n.p.use_sequence_length:
            return dy
        return F.SequenceMask(dy, n.inputs[1], use_sequence_length=True, axis=n.p.axis), None


class SequenceLast(Op):
    """The last step of every sequence: (batch, ...). A length below 1 is an error at run time: there is no last step.
    Any dtype."""
    inputs = _inputs
    params = dict(**USE, **AXIS)
    infer_dtype, launch = _dtypes, _launch
    cpu, cpu_dtypes = "sequence.last", ALL
    samples = (S((4, 3, 2)), S((4, 3), axis=1), S((1, 3, 2), (3,), low=1, high=1.5, use_sequence_length=True),
               S((5, 3, 2), (5,), low=1, high=2.5, use_sequence_length=True, axis=1), S((4, 0)))

    def infer(p, ins, outs):
        data, lengths = _checked(p, ins, outs)
        if data is None:
            return [data, *lengths], outs
        if data[p.axis] == 0:
            raise ValueError(f"data {show(data)} has no step")
        return [data, *lengths], [unify((data[1 - p.axis],) + data[2:], outs[0])]

    def ref(xp, p, x, length=None):
        steps = _first(p, x)
        n = _lengths(xp, p, x, length)
        if bool((n < 1).any()):
            raise IndexError("a sequence of length 0 has no last element")
        return steps[n - 1, xp.arange(steps.shape[1])]

    def grad(F, n, dy):
        dx = F._backward_SequenceLast(dy, *n.inputs[1:], shape=n.in_shapes[0],
                                      use_sequence_length=n.p.use_sequence_length, axis=n.p.axis)
        return (dx, None) if n.p.use_sequence_length else dx


class _backward_SequenceLast(Op):
    """Zeros of `shape` with `dy` at the last step of every sequence."""
    inputs = SequenceLast.inputs
    params = dict(shape=Param(T.shape, help="shape of the result, literal"), **USE, **AXIS)
    infer_dtype = _dtypes
    cpu, cpu_dtypes = "sequence.last_backward", ALL
    samples = (S((3, 2), shape=(4, 3, 2)), S((5, 2), (5,), low=1, high=2.5, shape=(5, 3, 2), use_sequence_length=True,
                                             axis=1))

    def infer(p, ins, outs):
        _, lengths = _checked(p, [p.shape, *ins[1:]], outs)
        return [unify(ins[0], (p.shape[1 - p.axis],) + p.shape[2:]), *lengths], [unify(p.shape, outs[0])]

    def ref(xp, p, dy, length=None):
        out = xp.zeros(p.shape, dy.dtype)
        steps = _first(p, out)
        steps[_lengths(xp, p, out, length) - 1, xp.arange(steps.shape[1])] = dy
        return out

    def launch(p, ins, outs):
        return _launch(p, [p.shape], outs)

    def grad(F, n, ddy):
        dx = F.SequenceLast(ddy, *n.inputs[1:], use_sequence_length=n.p.use_sequence_length, axis=n.p.axis)
        return (dx, None) if n.p.use_sequence_length else dx


class SequenceReverse(Op):
    """`data` (steps, batch, ...) with the steps of every sequence in reverse order; what lies past its end stays. Any
    dtype. `axis` must be 0, as in MXNet."""
    inputs = _inputs
    params = dict(**USE, axis=Param(T.integer, 0, "axis of the steps: 0"))
    infer_dtype, launch = _dtypes, _launch
    cpu, cpu_dtypes = "sequence.reverse", ALL
    samples = (S((4, 3, 2)), S((4, 3, 2), (3,), index={1: 6}, use_sequence_length=True), S((5, 3)), S((0, 3)))

    def infer(p, ins, outs):
        if p.axis != 0:
            raise ValueError(f"axis={p.axis} must be 0")
        return _like_data(p, ins, outs)

    def ref(xp, p, x, length=None):
        n, t = _lengths(xp, p, x, length), _along(xp, x)
        return x[xp.where(t < n, n - 1 - t, t), xp.arange(x.shape[1])]

    def grad(F, n, dy):
        dx = F.SequenceReverse(dy, *n.inputs[1:], use_sequence_length=n.p.use_sequence_length)
        return (dx, None) if n.p.use_sequence_length else dx
