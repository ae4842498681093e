"""The gates of one step of an lstm as one operator: what the cells of ``mx.rnn`` spell out in ten."""
from .chain import vjp
from .record import Op, S, unify
from .rnn_reference import sigmoid
from .rules import float_dtype


def _infer(of, count):
    """Rule for inputs and outputs of which those in `of` have four gates a unit, the others one number."""
    def infer(p, ins, outs):
        all_of, units = [*ins, *outs], None
        for i, s in enumerate(all_of):
            if s is None:
                continue
            if len(s) != 2:
                raise ValueError("gates and states have 2 axes, batch and units")
            if i in of and s[1] is not None and s[1] % 4:
                raise ValueError(f"{s[1]} gates are not four for each unit")
            units = unify(units, (s[0], s[1] // 4 if i in of and s[1] is not None else s[1]))
        if units is None:
            return ins, outs
        wide = (units[0], None if units[1] is None else 4 * units[1])
        shapes = [unify(s, wide if i in of else units) for i, s in enumerate(all_of)]
        return shapes[:count], shapes[count:]
    return infer


def _launch(p, ins, outs):
    return dict(rows=outs[1][0], hidden=outs[1][1])


def _parts(F, gates, units):
    """The four gates of all units."""
    return [F.slice_axis(gates, axis=1, begin=k * units, end=(k + 1) * units) for k in range(4)]


def _slope(F, x):
    """Of the sigmoid, where its value is x."""
    return F.elemwise_sub(x, F.square(x))


def _rest(F, x):
    """1 - x^2, the slope of tanh where its value is x."""
    return F._rminus_scalar(F.square(x), scalar=1.0)


class _lstm_gates(Op):
    """One step of an lstm from the sums of its gates: `gates` (batch, 4 units), in the order input, forget, candidate,
    output, and `cell` (batch, units), the cell before. ``new cell = f * cell + i * c``, ``hidden = o * tanh(new
    cell)``, i, f and o through the sigmoid, c through tanh. Floating-point dtypes."""
    inputs = "gates cell"
    outputs = "hidden new_cell activated"
    visible = 2
    infer, infer_dtype, launch = _infer((0, 4), 2), float_dtype, _launch
    cpu = "rnn.lstm_gates"
    inplace = {1: 1, 2: 0}
    samples = (S((3, 20), (3, 5)), S((2, 64), (2, 16), low=-4.0, high=4.0), S((1, 412), (1, 103)), S((0, 8), (0, 2)),
               S((33, 132), (33, 33)))

    def ref(xp, p, gates, cell):
        i, f, u, o = xp.split(gates, 4, axis=1)
        i, f, u, o = sigmoid(xp, i), sigmoid(xp, f), xp.tanh(u), sigmoid(xp, o)
        new = f * cell + i * u
        return o * xp.tanh(new), new, xp.concatenate([i, f, u, o], axis=1)

    def grad(F, n, dh, dc, dact=None):
        dgates, dcell = F._backward_lstm_gates(dh, dc, n.outputs[2], n.inputs[1], n.outputs[1])
        if dact is not None:            # from the second derivative, whose formula reads the activated gates
            i, f, u, o = _parts(F, n.outputs[2], n.out_shapes[0][1])
            slopes = F.Concat(_slope(F, i), _slope(F, f), _rest(F, u), _slope(F, o), dim=1, num_args=4)
            dgates = F.elemwise_add(dgates, F.elemwise_mul(dact, slopes))
        return dgates, dcell


class _backward_lstm_gates(Op):
    """Gradients of :class:`_lstm_gates` for gates and cell, from those of hidden and new_cell, and from the activated
    gates, the cell before and the new cell."""
    inputs = "dhidden dnew_cell activated cell new_cell"
    outputs = "dgates dcell"
    infer, infer_dtype, launch = _infer((2, 5), 5), float_dtype, _launch
    cpu = "rnn.lstm_gates_backward"
    inplace = {0: 2, 1: (1, 3, 4, 0)}
    samples = tuple(S(b, b, a, b, b) for a, b in ((s.shapes[0], s.shapes[1]) for s in _lstm_gates.samples))

    def ref(xp, p, dh, dc, activated, cell, new):
        i, f, u, o = xp.split(activated, 4, axis=1)
        t = xp.tanh(new)
        d = dc + dh * o * (1 - t * t)
        return (xp.concatenate([d * u * i * (1 - i), d * cell * f * (1 - f), d * i * (1 - u * u), dh * t * o * (1 - o)],
                               axis=1), d * f)

    def formula(F, n, dh, dc, activated, cell, new):
        i, f, u, o = _parts(F, activated, n.in_shapes[0][1])
        t, mul = F.tanh(new), F.elemwise_mul
        d = F.elemwise_add(dc, mul(mul(dh, o), _rest(F, t)))
        parts = (mul(mul(d, u), _slope(F, i)), mul(mul(d, cell), _slope(F, f)), mul(mul(d, i), _rest(F, u)),
                 mul(mul(dh, t), _slope(F, o)))
        return F.Concat(*parts, dim=1, num_args=4), mul(d, f)

    grad = vjp(formula)
    del formula
