"""Unrolled recurrent networks: cells as one operator, the products of all steps as one; the same results as without."""
import numpy as np
import pytest

import mxlite as mx

from .test_fuse import run


def unrolled_lstm(steps, layers, units, order=("sigmoid", "sigmoid", "tanh", "sigmoid")):
    """LSTM cells written out as MXNet's LSTMCell does, over data of shape (batch, steps, units)."""
    data = mx.sym.Variable("data")
    cut = mx.sym.SliceChannel(data, num_outputs=steps, axis=1, squeeze_axis=True)
    xs = [cut[t] for t in range(steps)]
    for layer in range(layers):
        weights = [mx.sym.Variable(f"l{layer}_{n}") for n in ("i2h_weight", "i2h_bias", "h2h_weight", "h2h_bias")]
        h, c = mx.sym.Variable(f"l{layer}_h"), mx.sym.Variable(f"l{layer}_c")
        for t in range(steps):
            gates = mx.sym.FullyConnected(xs[t], *weights[:2], num_hidden=4 * units, name=f"l{layer}t{t}_i2h") \
                + mx.sym.FullyConnected(h, *weights[2:], num_hidden=4 * units, name=f"l{layer}t{t}_h2h")
            cut = mx.sym.SliceChannel(gates, num_outputs=4)
            i, f, u, o = (mx.sym.Activation(cut[k], act_type=a) for k, a in enumerate(order))
            c = f * c + i * u
            h = o * mx.sym.Activation(c, act_type="tanh")
            xs[t] = h
    return mx.sym.Group([mx.sym.Concat(*[mx.sym.expand_dims(x, axis=1) for x in xs], dim=1), c])


def shapes_of(steps, layers, units, batch):
    return {"data": (batch, steps, units), **{f"l{n}_{k}": (batch, units) for n in range(layers) for k in "hc"}}


@pytest.mark.parametrize("is_train", [False, True])
@pytest.mark.parametrize("steps, layers, units, batch",
                         [(2, 1, 3, 2), (5, 2, 4, 3), (9, 3, 17, 1), (4, 2, 33, 20), (3, 1, 2, 8)])
def test_lstm_cells(steps, layers, units, batch, is_train):
    net, shapes = unrolled_lstm(steps, layers, units), shapes_of(steps, layers, units, batch)
    fused, text = run(net, shapes, is_train=is_train, dtype="float64")
    plain, plain_text = run(net, shapes, ["unroll", "fuse"], is_train=is_train, dtype="float64")
    assert "_lstm_gates" in text and "_lstm_gates" not in plain_text
    assert (f"FullyConnected of {steps} steps" in text) == (steps >= 3)
    assert (f"_gemm of {steps} steps" in text) == (steps >= 3 and is_train)
    for a, b in zip(fused, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)


def test_gates_in_another_order_are_left_alone():
    net = unrolled_lstm(2, 1, 3, order=("sigmoid", "tanh", "sigmoid", "sigmoid"))
    _, text = run(net, shapes_of(2, 1, 3, 2), is_train=True)
    assert "_lstm_gates" not in text


def test_a_gate_that_somebody_else_reads_is_left_alone():
    gates, c = mx.sym.Variable("gates"), mx.sym.Variable("c")
    cut = mx.sym.SliceChannel(gates, num_outputs=4)
    i, f, u, o = (mx.sym.Activation(cut[k], act_type="tanh" if k == 2 else "sigmoid") for k in range(4))
    new = f * c + i * u
    h = o * mx.sym.tanh(new)
    shapes = {"gates": (2, 12), "c": (2, 3)}
    assert "_lstm_gates" in run(mx.sym.Group([h, new]), shapes)[1]
    for net in (mx.sym.Group([h, f]), mx.sym.Group([h, cut[3]]), mx.sym.Group([h, mx.sym.tanh(cut[0])])):
        fused, text = run(net, shapes, is_train=True)
        plain, _ = run(net, shapes, ["unroll", "fuse"], is_train=True)
        assert "_lstm_gates" not in text
        for a, b in zip(fused, plain, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("is_train", [False, True])
def test_a_recurrence_is_no_batch(is_train):
    """Products that feed each other through one weight stay in their order."""
    x, w = mx.sym.Variable("data"), mx.sym.Variable("w")
    outs = []
    for _ in range(5):
        x = mx.sym.tanh(mx.sym.FullyConnected(x, w, num_hidden=6, no_bias=True))
        outs.append(x)
    net = mx.sym.Group(outs)
    fused, text = run(net, {"data": (4, 6)}, is_train=is_train, dtype="float64")
    plain, _ = run(net, {"data": (4, 6)}, ["unroll"], is_train=is_train, dtype="float64")
    assert "FullyConnected of" not in text
    for a, b in zip(fused, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_random_products_with_few_weights(seed):
    """Products, additions and activations in random order over two weights: batched or not, the results agree."""
    rng = np.random.default_rng(seed)
    weights = [mx.sym.Variable("w0"), mx.sym.Variable("w1")]
    values = [mx.sym.Variable(f"x{i}") for i in range(4)]
    for _ in range(30):
        pick = [values[int(i)] for i in rng.integers(len(values), size=2)]
        kind = rng.integers(4)
        if kind < 2:
            k = int(rng.integers(2))
            values.append(mx.sym.FullyConnected(pick[0], weights[k], num_hidden=5, no_bias=True) * 0.3)
        else:
            values.append(pick[0] + pick[1] if kind == 2 else mx.sym.tanh(pick[0]))
    net = mx.sym.Group(values[-6:])
    shapes = {f"x{i}": (3, 5) for i in range(4) if f"x{i}" in net.list_arguments()}
    fused, _ = run(net, shapes, is_train=True, seed=seed, dtype="float64")
    plain, _ = run(net, shapes, ["unroll", "fuse"], is_train=True, seed=seed, dtype="float64")
    for a, b in zip(fused, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11 * max(1, np.abs(b).max()))


def test_a_batch_takes_no_more_memory_than_the_steps():
    net, shapes = unrolled_lstm(12, 2, 16), shapes_of(12, 2, 16, 8)

    def planned():
        return net.simple_bind(mx.cpu(), **shapes).memory_plan()["planned"]
    batched = planned()
    with mx.runtime.option("unroll", False):
        assert batched <= planned()
