"""Recurrent layers in one operator: ``RNN``, and its gradient.

Data is (steps, batch, inputs). The kernel projects the inputs of all steps by one matrix product, then walks the steps:
states times their matrix, gates. Rows of a batch are independent of each other, which is how threads share the work.
"""
from . import types as T
from .dot import block_bytes, ceil_to
from .elementwise import FLOATS
from .random import threshold
from .record import Op, Param, S, show, unify
from .rnn_reference import GATES, Sizes, backward, blocks, count, forward, saved_shapes

MODES = tuple(GATES)
PARAMS = dict(
    state_size=Param(T.integer, help="size of a state, without projection", low=1, high=1 << 30),
    num_layers=Param(T.integer, help="layers, each reading the one below", low=1, high=4096),
    bidirectional=Param(T.boolean, False, "whether each layer runs in both directions"),
    mode=Param(T.text, help="kind of the cell", choices=MODES),
    p=Param(T.real, 0.0, "probability of dropping an element between layers, while training", low=0.0, high=1.0),
    state_outputs=Param(T.boolean, False, "whether the last states are outputs"),
    projection_size=Param(T.optional(T.integer), None, "size that an lstm's states are projected to", low=1,
                          high=1 << 30),
    lstm_state_clip_min=Param(T.optional(T.real), None, "least value of an lstm's cell"),
    lstm_state_clip_max=Param(T.optional(T.real), None, "greatest value of an lstm's cell"),
    lstm_state_clip_nan=Param(T.boolean, False, "whether a cell that is NaN becomes its least value"),
    use_sequence_length=Param(T.boolean, False, "whether sequence_length is an input"))


def _check(p):
    """ValueError for parameters that do not go together."""
    if p.mode != "lstm" and p.projection_size is not None:
        raise ValueError(f"projection_size is for mode='lstm', not {p.mode!r}")
    clip = p.lstm_state_clip_min is not None or p.lstm_state_clip_max is not None
    if p.mode != "lstm" and clip:
        raise ValueError(f"lstm_state_clip_min and lstm_state_clip_max are for mode='lstm', not {p.mode!r}")
    if p.lstm_state_clip_nan and p.lstm_state_clip_min is None:
        raise ValueError("lstm_state_clip_nan needs lstm_state_clip_min")
    if clip and _limits(p)[0] > _limits(p)[1]:
        raise ValueError(f"lstm_state_clip_min={p.lstm_state_clip_min} exceeds "
                         f"lstm_state_clip_max={p.lstm_state_clip_max}")


def _limits(p):
    low, high = p.lstm_state_clip_min, p.lstm_state_clip_max
    return -float("inf") if low is None else low, float("inf") if high is None else high


def _joined(p):
    """Whether the input of a layer above the first is an array of its own, not a piece of the states below."""
    return p.bidirectional or p.p > 0 or p.use_sequence_length


def _saved(p, data):
    return count(saved_shapes(Sizes(p, data), _joined(p)))


def _vector(p, inputs):
    """Length of the parameter vector."""
    return count(blocks(Sizes(p, (0, 0, inputs))))


def _inputs_of(p, length):
    """The size of the inputs that belongs to a parameter vector of this length; ValueError where there is none."""
    rest, per = _vector(p, 0), (1 + p.bidirectional) * GATES[p.mode] * p.state_size
    inputs, odd = divmod(length - rest, per)
    if odd or inputs < 0:
        raise ValueError(f"{length} parameters are none of an RNN of this kind: that takes {rest} and {per} for each "
                         f"input")
    return inputs


def _states(p):
    """Names of the last states, as MXNet has them."""
    return ["state_output", "statecell_output"] if p.mode == "lstm" else ["state_output"]


def _launch(p, data):
    t, n, i = data
    low, high = _limits(p)
    s = Sizes(p, data)
    clip = p.lstm_state_clip_min is not None or p.lstm_state_clip_max is not None
    return dict(mode=MODES.index(p.mode), layers=p.num_layers, directions=1 + p.bidirectional, steps=t, batch=n,
                inputs=i, hidden=p.state_size, projection=p.projection_size or 0, joined=int(_joined(p)),
                use_length=int(p.use_sequence_length), clip=int(clip), clip_nan=int(p.lstm_state_clip_nan),
                state_outputs=int(p.state_outputs), low=low, high=high,
                scratch4=_step_bytes(s, 4), scratch8=_step_bytes(s, 8), threshold=threshold(p) if p.p > 0 else 0,
                scale=1 / (1 - p.p) if p.p < 1 else 0.0)


def row_blocks(batch):
    """How many blocks a batch's rows are cut into: of 16 rows at most, two as soon as there are more than 8."""
    return 1 if batch <= 8 else 2 if batch <= 16 else -(-batch // 16)


def block_rows(batch):
    """Rows of a block."""
    return ceil_to(-(-batch // max(1, row_blocks(batch))), 4)


def _bytes(sections, itemsize, batch):
    """The lengths of `batch` sequences, then sections of so many elements each."""
    return ceil_to(8 * batch, 64) + sum(ceil_to(n * itemsize, 64) for n in sections)


def _step_bytes(s, itemsize):
    """What the engine needs of a thread that walks the steps."""
    rows = block_rows(s.n)
    return max(block_bytes(rows, s.g * s.h, s.r, itemsize, 1), block_bytes(rows, s.r, s.g * s.h, itemsize, 1),
               block_bytes(rows, s.r, s.h, itemsize, 1), block_bytes(rows, s.h, s.r, itemsize, 1))


def _walk_bytes(s, itemsize, threads):
    """The same of all threads, with rows of gates."""
    return max(1, threads) * (_step_bytes(s, itemsize) + ceil_to(block_rows(s.n) * s.g * s.h * itemsize, 64))


def _packed(s):
    """Elements of a direction's packed matrices."""
    widest = max(s.i, s.d * s.r)
    return [ceil_to(s.g * s.h, 16) * max(widest, s.r), ceil_to(widest, 16) * s.g * s.h,
            ceil_to(s.g * s.h, 16) * s.r, ceil_to(s.r, 16) * s.g * s.h, ceil_to(s.r, 16) * s.h, ceil_to(s.h, 16) * s.r]


def _forward_bytes(p, ins, outs, itemsize, threads):
    s = Sizes(p, ins[0])
    widest = max(s.i, s.d * s.r)
    sections = [s.t * s.n * s.d * s.r, ceil_to(s.t * s.n, 8) * widest]
    for _ in range(s.d):
        sections += [s.t * s.n * s.g * s.h, (s.t + 1) * s.n * s.r, (s.t + 1) * s.n * s.h, s.t * s.n * s.h, s.g * s.h,
                     *_packed(s)]
    engine = max(block_bytes(s.t * s.n, s.g * s.h, widest, itemsize, threads),
                 _walk_bytes(s, itemsize, threads))
    return _bytes(sections, itemsize, s.n) + engine


def _backward_bytes(p, ins, outs, itemsize, threads):
    s = Sizes(p, _data_of(p, ins))
    widest = max(s.i, s.d * s.r)
    rows = s.t * s.n
    sums = 2 * s.d * row_blocks(s.n) * s.g * s.h * (8 // itemsize)
    sections = [rows * s.d * s.r] * 2 + [sums, ceil_to(s.g * s.h, 8) * rows, ceil_to(widest + s.r, 16) * rows]
    for _ in range(s.d):
        sections += [rows * s.g * s.h] * 2 + [s.n * s.r, s.n * s.h, rows * s.r, rows * s.h, *_packed(s)]
    engine = max(block_bytes(s.g * s.h, widest, rows, itemsize, threads),
                 block_bytes(s.g * s.h, s.r, rows, itemsize, threads), block_bytes(s.r, s.h, rows, itemsize, threads),
                 block_bytes(rows, widest, s.g * s.h, itemsize, threads), _walk_bytes(s, itemsize, threads))
    return _bytes(sections, itemsize, s.n) + engine


class RNN(Op):
    """Layers of recurrent cells over all steps of `data` (steps, batch, inputs): (steps, batch, directions * size).

    `mode` is rnn_relu, rnn_tanh, lstm (Hochreiter and Schmidhuber 1997, with forget gates) or gru (Cho et al. 2014, the
    reset gate behind the product). `size` is `state_size`, or `projection_size` (lstm alone; Sak et al. 2014).
    `state` (layers * directions, batch, size) and, for lstm, `state_cell` (..., `state_size`) are the first states;
    with `state_outputs` the last ones are outputs.

    `parameters` is one vector: for each layer and direction the matrices of the inputs (gates * state_size, inputs) and
    of the states (gates * state_size, size), and the projection (size, state_size); behind all of them, for each layer
    and direction, the biases of both. Gates are i, f, c, o of lstm and r, z, n of gru.

    With `use_sequence_length` each sequence has as many steps as `sequence_length` (batch,) of any dtype says: outputs
    behind them are 0, last states are those of its last step, and the reverse direction begins there. `p` is dropout
    between layers. Floating-point dtypes. The gradient cannot be differentiated again.
    """
    params = PARAMS
    cpu, workspace = "rnn.forward", _forward_bytes
    random = train_aware = True

    def inputs(p):
        return ["data", "parameters", "state", *["state_cell"] * (p.mode == "lstm"),
                *["sequence_length"] * p.use_sequence_length]

    def outputs(p):
        return ["output", *(_states(p) if p.state_outputs else ()), "saved"]

    def visible(p):
        return 1 + len(_states(p)) * p.state_outputs

    mxnet_outputs = visible

    def infer(p, ins, outs):
        _check(p)
        d, size = 1 + p.bidirectional, p.projection_size or p.state_size
        rows, named = p.num_layers * d, RNN.inputs(p)
        shapes, made = dict(zip(named, ins)), dict(zip(RNN.outputs(p), outs))
        data, y = shapes["data"], unify(made["output"], (None, None, d * size))
        if data is not None and len(data) != 3:
            raise ValueError(f"data {show(data)} must have 3 axes: steps, batch and inputs")
        data = unify(data, (y[0], y[1], None))
        batch = data[1]
        for k, last in (("state", size), ("state_cell", p.state_size)):
            if k in shapes:
                shapes[k] = unify(shapes[k], (rows, batch, last))
                batch = shapes[k][1]
        if "sequence_length" in shapes:
            shapes["sequence_length"] = unify(shapes["sequence_length"], (batch,))
            batch = shapes["sequence_length"][0]
        vector = shapes["parameters"]
        if data[2] is None and vector is not None and len(vector) == 1 and vector[0] is not None:
            data = (data[0], data[1], _inputs_of(p, vector[0]))
        data = unify(data, (None, batch, None))
        shapes["data"] = data
        shapes["parameters"] = unify(vector, (None if data[2] is None else _vector(p, data[2]),))
        made["output"] = unify(y, (data[0], data[1], None))
        for k, last in zip(_states(p), (size, p.state_size)):
            if k in made:
                made[k] = unify(made[k], (rows, batch, last))
        made["saved"] = unify(made["saved"], (None if None in data else _saved(p, data),))
        return [shapes[k] for k in named], [made[k] for k in RNN.outputs(p)]

    def infer_dtype(p, ins, outs):
        n = len(ins) - p.use_sequence_length
        d = next((v for v in (*ins[:n], *outs) if v is not None), None)
        if d is not None and d not in FLOATS:
            raise ValueError(f"floating-point data is needed, not {d}")
        if any(v not in (None, d) for v in ins[:n]):
            raise ValueError(f"data, parameters and states must have one dtype, not {', '.join(map(str, ins[:n]))}")
        return [d] * n + [v or d for v in ins[n:]], [d] * len(outs)

    def launch(p, ins, outs):
        return _launch(p, ins[0])

    def ref(xp, p, data, parameters, state, *more, rng, is_train):
        cell = more[0] if p.mode == "lstm" else None
        lengths = more[-1] if p.use_sequence_length else None
        y, last, last_cell, saved = forward(xp, p, _joined(p), data, parameters, state, cell, lengths, rng, is_train)
        return tuple(v for v in (y, *((last, last_cell) if p.state_outputs else ()), saved) if v is not None)

    def grad(F, n, *dys):
        heads = [d for d in dys if d is not None]
        lengths = n.inputs[-1:] if n.p.use_sequence_length else []
        grads = F._backward_RNN(*heads, n.inputs[0], n.inputs[1], *lengths, n.outputs[-1], _rng_of=n,
                                **{k: getattr(n.p, k) for k in n.p.__slots__})
        return (grads[1], grads[0], *grads[2:], *[None] * len(lengths))


def _data_of(p, ins):
    return ins[len(_heads(p))]


def _heads(p):
    return ["dy", *(f"d{k}" for k in (_states(p) if p.state_outputs else ()))]


class _backward_RNN(Op):
    """Gradients of :class:`RNN` for parameters, data and first states, from those of its outputs and what it saved."""
    params = PARAMS
    cpu, workspace = "rnn.backward", _backward_bytes
    random = train_aware = True

    def inputs(p):
        return [*_heads(p), "data", "parameters", *["sequence_length"] * p.use_sequence_length, "saved"]

    def outputs(p):
        return ["dparameters", "ddata", "dstate", *["dstate_cell"] * (p.mode == "lstm")]

    optional = (1, 2, 3)

    def infer(p, ins, outs):
        _check(p)
        data = _data_of(p, ins)
        if data is None or None in data:
            return ins, outs
        s, k = Sizes(p, data), len(_heads(p))
        states = [(s.layers * s.d, s.n, s.r), (s.layers * s.d, s.n, s.h)][:len(_states(p))]
        wanted = [(s.t, s.n, s.d * s.r), *states[:k - 1], data, (_vector(p, s.i),),
                  *[(s.n,)] * p.use_sequence_length, (_saved(p, data),)]
        return ([unify(a, b) for a, b in zip(ins, wanted)],
                [unify(a, b) for a, b in zip(outs, [(_vector(p, s.i),), data, *states])])

    def infer_dtype(p, ins, outs):
        d = ins[0]
        return [d] * (len(ins) - 1 - p.use_sequence_length) + ins[-2:-1] * p.use_sequence_length + [d], [d] * len(outs)

    def launch(p, ins, outs):
        return _launch(p, _data_of(p, ins))

    def ref(xp, p, *given, rng, is_train):
        k = len(_heads(p))
        dlast, dlast_cell = (*given[1:k], None, None)[:2]
        lengths = given[k + 2] if p.use_sequence_length else None
        return tuple(v for v in backward(xp, p, _joined(p), given[0], dlast, dlast_cell, given[k], given[k + 1],
                                         lengths, given[-1], rng, is_train) if v is not None)

    def grad(F, n, *dys):
        raise NotImplementedError("the gradient of RNN cannot be differentiated again; unroll its cells "
                                  "(mx.rnn.FusedRNNCell(...).unfuse().unroll(...)), whose gradients can")


def _sample(data, index=None, **params):
    """A sample of RNN: the shape of data; lengths are drawn below `index`."""
    lengths = {}
    if index is not None:
        lengths = {4 if params["mode"] == "lstm" else 3: index}
        params["use_sequence_length"] = True
    return S(data, index=lengths, **params)


RNN.samples = (
    _sample((3, 2, 4), state_size=3, num_layers=1, mode="rnn_tanh"),
    _sample((4, 3, 2), state_size=5, num_layers=2, mode="rnn_relu", state_outputs=True, bidirectional=True),
    _sample((5, 3, 4), state_size=3, num_layers=2, mode="lstm"),
    _sample((4, 2, 3), state_size=4, num_layers=2, mode="lstm", state_outputs=True, bidirectional=True, p=0.3),
    _sample((4, 3, 3), state_size=4, num_layers=2, mode="gru", state_outputs=True, p=0.5),
    _sample((3, 2, 5), state_size=3, num_layers=2, mode="gru", bidirectional=True),
    _sample((4, 2, 3), state_size=5, num_layers=2, mode="lstm", projection_size=2, state_outputs=True),
    _sample((4, 3, 2), 6, state_size=3, num_layers=2, mode="lstm", projection_size=2, bidirectional=True,
            state_outputs=True),
    _sample((5, 4, 3), 7, state_size=3, num_layers=2, mode="gru", bidirectional=True, state_outputs=True, p=0.2),
    _sample((4, 3, 3), 6, state_size=2, num_layers=1, mode="rnn_tanh"),
    _sample((3, 4, 2), state_size=3, num_layers=1, mode="lstm", lstm_state_clip_min=-0.2, lstm_state_clip_max=0.1,
            state_outputs=True),
    _sample((3, 2, 3), state_size=2, num_layers=3, mode="rnn_tanh"),
    _sample((1, 1, 1), state_size=1, num_layers=1, mode="lstm"), _sample((0, 2, 3), state_size=3, num_layers=1,
                                                                        mode="gru", state_outputs=True),
    _sample((3, 0, 3), state_size=3, num_layers=2, mode="lstm"), _sample((9, 21, 19), state_size=23, num_layers=2,
                                                                        mode="lstm", state_outputs=True),
    _sample((6, 40, 7), state_size=33, num_layers=1, mode="gru", state_outputs=True, bidirectional=True))


def _backward_sample(s):
    p = RNN.parse(s.params)
    data = s.shapes[0]
    # Gates, states and cells drawn small: wild ones, through many steps, grow beyond any tolerance.
    sample = S(*[None] * len(_heads(p)), data, low=-0.3, high=0.3, **s.params)
    if s.index:
        sample.index = {len(_heads(p)) + 2: next(iter(s.index.values()))}
    ins, _ = _backward_RNN.infer(p, [*sample.shapes, *[None] * (2 + p.use_sequence_length)],
                                 [None] * len(_backward_RNN.outputs(p)))
    sample.shapes = tuple(ins)
    return sample


_backward_RNN.samples = tuple(_backward_sample(s) for s in RNN.samples)
