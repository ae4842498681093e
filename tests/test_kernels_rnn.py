"""Kernels of recurrent layers: literal values, random calls against the float64 reference at every level, outputs that
nobody reads, lengths of every dtype, threads."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxlite.ops import rnn, rnn_reference
from mxlite.ops.record import RECORDS

from .kernel_calls import LEVELS, call, check, kernel, reference

RNN, BACKWARD = RECORDS["RNN"], RECORDS["_backward_RNN"]


def inputs(params, data, dtype="float32", seed=0, lengths=None):
    """Small random inputs for RNN of these parameters; weights such that states neither vanish nor blow up."""
    p, rng = RNN.parse(params), np.random.default_rng(seed)
    n = 4 if p.mode == "lstm" else 3
    shapes, _ = RNN.infer(p, [data] + [None] * (n - 1 + p.use_sequence_length), [None] * len(RNN.output_names(p)))
    spread = 2 / np.sqrt(p.state_size + data[2] + 1)
    xs = [rng.uniform(-1, 1, s).astype(dtype) * (np.dtype(dtype).type(spread) if i == 1 else 1)
          for i, s in enumerate(shapes[:n])]
    return xs + ([np.asarray(lengths)] if p.use_sequence_length else [])


def heads_of(params, outs, seed=1):
    rng = np.random.default_rng(seed)
    return [rng.uniform(-1, 1, y.shape).astype(y.dtype) for y in outs[:RNN.n_visible(RNN.parse(params))]]


def backward_inputs(params, xs, outs):
    lengths = xs[-1:] if params.get("use_sequence_length") else []
    return [*heads_of(params, outs), xs[0], xs[1], *lengths, outs[-1]]


def check_both(params, xs, tol=None, **kw):
    """Forward, and backward from what the float64 forward saved, at every level with one thread and two."""
    check("RNN", xs, params, tol=tol, **kw)
    wide = [x.astype("float64") if x.dtype.kind == "f" and i < 4 else x for i, x in enumerate(xs)]
    outs = [y.astype(xs[0].dtype) for y in reference("RNN", wide, params, **kw)]
    check("_backward_RNN", backward_inputs(params, xs, outs), params, tol=tol, **kw)


@pytest.mark.parametrize("isa", LEVELS)
def test_one_unit_by_hand(isa):
    def sigmoid(x):
        return 1 / (1 + np.exp(-x))
    # One input, one unit, two steps: all weights of the gates i, f, c, o are 1, 2, 3, 4 (inputs) and 0 (states).
    x, h, c = np.array([[[0.5]], [[-1.0]]]), np.array([[[0.25]]]), np.array([[[2.0]]])
    vector = np.array([1, 2, 3, 4, 0, 0, 0, 0, 0.1, 0.2, 0.3, 0.4, 0, 0, 0, 0])
    want, cell = [], 2.0
    for v in (0.5, -1.0):
        cell = sigmoid(2 * v + 0.2) * cell + sigmoid(v + 0.1) * np.tanh(3 * v + 0.3)
        want.append(sigmoid(4 * v + 0.4) * np.tanh(cell))
    y, hn, cn, saved = kernel("RNN", [x, vector, h, c], dict(mode="lstm", state_size=1, num_layers=1,
                                                             state_outputs=True), isa)
    np.testing.assert_allclose(y.ravel(), want, rtol=1e-12)
    np.testing.assert_allclose([hn.item(), cn.item()], [want[1], cell], rtol=1e-12)
    # gru: the reset gate lies behind the product with the state.
    vector = np.array([1.0, 2, 3, -1, 1, 0.5, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    r, z = sigmoid(0.5 - 0.25 + 0.1 + 0.4), sigmoid(1 + 0.25 + 0.2 + 0.5)
    new = np.tanh(1.5 + 0.3 + r * (0.125 + 0.6))
    y = kernel("RNN", [x[:1], vector, h], dict(mode="gru", state_size=1, num_layers=1), isa)[0]
    np.testing.assert_allclose(y.item(), (1 - z) * new + z * 0.25, rtol=1e-12)
    y = kernel("RNN", [x[:1], np.array([-2.0, 1, 0.25, 0]), h], dict(mode="rnn_relu", state_size=1, num_layers=1),
               isa)[0]
    assert y.item() == 0
    y = kernel("RNN", [x[:1], np.array([2.0, 1, 0.25, 0]), h], dict(mode="rnn_relu", state_size=1, num_layers=1),
               isa)[0]
    assert y.item() == 1.5


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_call(data):
    mode = data.draw(st.sampled_from(["rnn_relu", "rnn_tanh", "lstm", "gru"]))
    params = dict(mode=mode, state_size=data.draw(st.integers(1, 20)), num_layers=data.draw(st.integers(1, 3)),
                  bidirectional=data.draw(st.booleans()), state_outputs=data.draw(st.booleans()),
                  p=data.draw(st.sampled_from([0.0, 0.3, 1.0])), use_sequence_length=data.draw(st.booleans()))
    if mode == "lstm" and data.draw(st.booleans()):
        params["projection_size"] = data.draw(st.integers(1, 20))
    if mode == "lstm" and data.draw(st.booleans()):
        params["lstm_state_clip_min"], params["lstm_state_clip_max"] = -0.3, 0.2
    shape = tuple(data.draw(st.tuples(st.integers(0, 5), st.integers(0, 19), st.integers(0, 20))))
    lengths = np.array(data.draw(st.lists(st.integers(-1, 7), min_size=shape[1], max_size=shape[1])), "int32")
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    xs = inputs(params, shape, dtype, data.draw(st.integers(0, 99)), lengths)
    check_both(params, xs, tol=2e-4 if dtype == "float32" else 1e-8, is_train=data.draw(st.booleans()))


@pytest.mark.parametrize("mode", ["lstm", "gru", "rnn_tanh"])
@pytest.mark.parametrize("data, hidden", [((7, 33, 40), 50), ((3, 17, 5), 130), ((40, 2, 300), 17)])
def test_sizes_across_blocks(mode, data, hidden):
    """Batches of several blocks, sums longer than a block of k, panels cut short."""
    params = dict(mode=mode, state_size=hidden, num_layers=2, state_outputs=True)
    check_both(params, inputs(params, data), tol=1e-3)


def test_float32_is_as_exact_as_float32_can_be():
    """Against float64: outputs of 35 steps within 2e-6, gradients within 1e-5 of the largest one."""
    params = dict(mode="lstm", state_size=64, num_layers=2)
    xs = inputs(params, (35, 16, 48))
    want = reference("RNN", [x.astype("float64") for x in xs], params)
    heads = [h.astype("float64") for h in backward_inputs(params, xs, want)]
    grads = reference("_backward_RNN", heads, params)
    for isa in LEVELS:
        outs = kernel("RNN", xs, params, isa)
        assert abs(outs[0] - want[0]).max() < 2e-6
        got = kernel("_backward_RNN", backward_inputs(params, xs, outs), params, isa)
        for g, w in zip(got, grads):
            assert abs(g - w).max() < 1e-5 * abs(w).max()


@pytest.mark.parametrize("params", [dict(mode="lstm", state_outputs=True, projection_size=3, bidirectional=True, p=0.4),
                                    dict(mode="gru", state_outputs=True), dict(mode="rnn_tanh", state_outputs=True),
                                    dict(mode="lstm", state_outputs=True, use_sequence_length=True)])
def test_outputs_that_nobody_reads(params):
    params = dict(params, state_size=5, num_layers=3)
    xs = inputs(params, (4, 10, 6), lengths=np.arange(10) % 5)
    n = len(RNN.output_names(RNN.parse(params)))
    for isa in LEVELS:
        outs = kernel("RNN", xs, params, isa)
        for unread in [(i,) for i in range(n)] + [tuple(range(1, n)), tuple(range(n))]:
            for got, want in zip(kernel("RNN", xs, params, isa, unread=unread), outs):
                assert got is None or np.array_equal(got, want), f"{unread} are not read"
        back = backward_inputs(params, xs, outs)
        grads = kernel("_backward_RNN", back, params, isa)
        for unread in [(i,) for i in range(len(grads))] + [tuple(range(len(grads)))]:
            for got, want in zip(kernel("_backward_RNN", back, params, isa, unread=unread), grads):
                assert got is None or np.array_equal(got, want), f"{unread} are not read"


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32", "int64", "int8", "uint8"])
def test_lengths_of_every_dtype(dtype):
    params = dict(mode="gru", state_size=3, num_layers=1, bidirectional=True, state_outputs=True,
                  use_sequence_length=True)
    whole = inputs(params, (5, 6, 4), lengths=np.array([0, 1, 2, 3, 5, 5], dtype))
    outs = kernel("RNN", whole, params)
    for n, length in enumerate([0, 1, 2, 3, 5, 5]):
        assert not outs[0][length:, n].any()
        if length:
            alone = dict(params, use_sequence_length=False)
            y, h, _ = kernel("RNN", [whole[0][:length, n:n + 1], whole[1], whole[2][:, n:n + 1]], alone)
            np.testing.assert_allclose(outs[0][:length, n:n + 1], y, rtol=1e-6, atol=1e-7)
            np.testing.assert_allclose(outs[1][:, n:n + 1], h, rtol=1e-6, atol=1e-7)
        else:
            np.testing.assert_array_equal(outs[1][:, n], whole[2][:, n])
    if dtype.startswith("float"):
        odd = [*whole[:3], np.array([-3, 1.9, 2.5, 3, 7, 9e3], dtype)]
        for a, b in zip(kernel("RNN", odd, params), outs):
            np.testing.assert_array_equal(a, b)
        odd[-1][0] = np.nan
        np.testing.assert_array_equal(kernel("RNN", odd, params)[0], outs[0])


def test_nan_and_limits():
    params = dict(mode="rnn_relu", state_size=2, num_layers=1)
    xs = inputs(params, (2, 2, 2))
    xs[0][0, 0, 0] = np.nan
    for isa in LEVELS:
        y = kernel("RNN", xs, params, isa)[0]
        assert np.isnan(y[:, 0]).all() and not np.isnan(y[:, 1]).any()
    params = dict(mode="lstm", state_size=2, num_layers=1, lstm_state_clip_min=-0.1, lstm_state_clip_max=0.1,
                  state_outputs=True)
    xs = inputs(params, (3, 2, 2))
    xs[0][0, 0, 0] = np.nan
    for isa in LEVELS:
        cell = kernel("RNN", xs, params, isa)[2]
        assert np.isnan(cell[0, 0]).all() and abs(cell[0, 1]).max() <= np.float32(0.1)
        cell = kernel("RNN", xs, dict(params, lstm_state_clip_nan=True), isa)[2]
        assert abs(cell).max() <= np.float32(0.1)
        low = kernel("RNN", xs, dict(params, lstm_state_clip_max=None), isa)[2]
        assert low[0, 1].min() >= -np.float32(0.1)


def test_results_do_not_depend_on_threads():
    for params in (dict(mode="lstm", bidirectional=True, p=0.5), dict(mode="gru")):
        params = dict(params, state_size=64, num_layers=2)
        xs = inputs(params, (9, 70, 48))
        one = kernel("RNN", xs, params)
        back = backward_inputs(params, xs, one)
        grads = kernel("_backward_RNN", back, params)
        for threads in (2, 3, 8):
            for a, b in zip(kernel("RNN", xs, params, threads=threads), one):
                np.testing.assert_array_equal(a, b)
            for a, b in zip(kernel("_backward_RNN", back, params, threads=threads), grads):
                np.testing.assert_array_equal(a, b)


def test_rows_do_not_depend_on_their_batch():
    params = dict(mode="lstm", state_size=20, num_layers=1)
    xs = inputs(params, (4, 37, 9))
    for isa in LEVELS:
        whole = kernel("RNN", xs, params, isa)[0]
        part = kernel("RNN", [xs[0][:, 3:20].copy(), xs[1], xs[2][:, 3:20].copy(), xs[3][:, 3:20].copy()], params, isa)
        np.testing.assert_array_equal(part[0], whole[:, 3:20])


def test_blocks_of_rows_cover_a_batch():
    for n in range(1, 300):
        rows = rnn.block_rows(n)
        assert rows % 4 == 0 and 4 <= rows <= 16 and -(-n // rows) <= rnn.row_blocks(n)


@pytest.mark.parametrize("isa", LEVELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gates_of_a_step(isa, dtype):
    rng = np.random.default_rng(2)
    for rows, units in ((1, 1), (3, 17), (5, 64), (4, 200), (70, 130)):
        gates, cell = rng.normal(0, 3, (rows, 4 * units)).astype(dtype), rng.normal(size=(rows, units)).astype(dtype)
        tol = 3e-6 if dtype == "float32" else 1e-13
        outs = kernel("_lstm_gates", [gates, cell], {}, isa, threads=2)
        want = reference("_lstm_gates", [gates.astype("float64"), cell.astype("float64")], {})
        for got, w in zip(outs, want):
            np.testing.assert_allclose(got, w, rtol=tol, atol=tol)
        for unread in ((0,), (1,), (2,), (1, 2), (0, 2)):
            for got, w in zip(kernel("_lstm_gates", [gates, cell], {}, isa, unread=unread), outs):
                if got is not None:
                    np.testing.assert_allclose(got, w, rtol=tol, atol=tol)
        own = [gates.copy(), cell.copy()]
        for got, w in zip(kernel("_lstm_gates", own, {}, isa, into={1: own[1], 2: own[0]}), outs):
            np.testing.assert_array_equal(got, w)
        back = [rng.normal(size=cell.shape).astype(dtype), rng.normal(size=cell.shape).astype(dtype), outs[2], cell,
                outs[1]]
        grads = kernel("_backward_lstm_gates", back, {}, isa, threads=2)
        want = reference("_backward_lstm_gates", [b.astype("float64") for b in back], {})
        for got, w in zip(grads, want):
            np.testing.assert_allclose(got, w, rtol=tol, atol=tol)
        for unread in ((0,), (1,)):
            for got, w in zip(kernel("_backward_lstm_gates", back, {}, isa, unread=unread), grads):
                if got is not None:
                    np.testing.assert_allclose(got, w, rtol=tol, atol=tol)
        for target in (0, 1, 3, 4):
            own = [b.copy() for b in back]
            for got, w in zip(kernel("_backward_lstm_gates", own, {}, isa, into={0: own[2], 1: own[target]}), grads):
                np.testing.assert_array_equal(got, w)


def test_other_dtypes_are_refused():
    params = dict(mode="gru", state_size=2, num_layers=1)
    xs = inputs(params, (2, 2, 2))
    halves = [x.astype("float16") for x in xs]
    assert call(RNN, halves, params)[1] == 1            # MXL_EDTYPE: the reference runs
    want = reference("RNN", xs, params)
    for got, w in zip(reference("RNN", halves, params), want):
        assert got.dtype == "float16"
        np.testing.assert_allclose(got, w, atol=3e-3)


def test_what_is_saved_is_cut_without_a_rest():
    for joined in (False, True):
        p = RNN.parse(dict(mode="lstm", state_size=3, num_layers=3, projection_size=2))
        s = rnn_reference.Sizes(p, (4, 5, 6))
        parts = rnn_reference.saved_shapes(s, joined)
        views = rnn_reference.cut(np.arange(rnn_reference.count(parts)), parts)
        assert sum(v.size for v in views.values()) == rnn_reference.count(parts) and len(views) == len(parts)
