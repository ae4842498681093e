"""Recurrent networks: the operator in graphs, cells and their unrolled symbols, sentences in buckets, training."""
import math
import random

import numpy as np
import pytest

import mxlite as mx
from mxlite import autograd as ag

MODES = ("rnn_relu", "rnn_tanh", "lstm", "gru")


def fill(shapes, seed=0, scale=0.5, dtype="float32"):
    rng = np.random.default_rng(seed)
    return {k: mx.nd.array(rng.uniform(-scale, scale, s), dtype=dtype) for k, s in shapes.items()}


def bound(net, args, train=True):
    """(outputs, gradients by name) of `net` on `args`, all head gradients 1."""
    exe = net.bind(mx.cpu(), args, args_grad={k: mx.nd.zeros_like(v) for k, v in args.items()})
    outs = [y.asnumpy() for y in exe.forward(is_train=train)]
    exe.backward([mx.nd.ones(y.shape, dtype=y.dtype) for y in exe.outputs])
    return outs, {k: v.asnumpy() for k, v in exe.grad_dict.items()}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("layers, both", [(1, False), (2, False), (2, True)])
def test_fused_equals_unrolled_cells(mode, layers, both):
    steps, batch, size = 4, 3, 5
    fused = mx.rnn.FusedRNNCell(6, layers, mode, bidirectional=both, prefix="r_")
    data = mx.sym.Variable("data")
    net, _ = fused.unroll(steps, data, layout="TNC", merge_outputs=True)
    plain, _ = fused.unfuse().unroll(steps, data, layout="TNC", merge_outputs=True)
    shapes = dict(zip(net.list_arguments(), net.infer_shape(data=(steps, batch, size))[0]))
    args = fill(shapes, dtype="float64")
    states = [(s.name, s.attr("shape")) for s in fused.begin_state()]
    assert all(name not in shapes for name, _ in states)            # zeros, no inputs
    parts = fused.unfuse().pack_weights(fused.unpack_weights(args))
    args32 = {k: v.astype("float32") for k, v in args.items()}
    parts32 = {k: v.astype("float32") for k, v in parts.items()}
    outs, grads = bound(net, args32)
    want, parts_grads = bound(plain, parts32)
    np.testing.assert_allclose(outs[0], want[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(grads["data"], parts_grads["data"], rtol=1e-4, atol=1e-5)
    packed = fused.pack_weights(fused.unfuse().unpack_weights({k: mx.nd.array(v) for k, v in parts_grads.items()}))
    np.testing.assert_allclose(grads["r_parameters"], packed["r_parameters"].asnumpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_sequences_of_different_lengths_are_as_if_alone(mode):
    """Outputs, last states and gradients of a batch with lengths equal those of its sequences one by one."""
    lengths, n = [3, 1, 5, 0], 3 + (mode == "lstm")
    params = dict(mode=mode, state_size=4, num_layers=2, bidirectional=True, state_outputs=True)
    net = mx.sym.RNN(mx.sym.Variable("data"), use_sequence_length=True, name="r", **params)
    shapes = net.infer_shape(data=(5, 4, 3))[0]
    xs = list(fill(dict(enumerate(shapes[:n])), seed=3).values())
    for x in xs:
        x.attach_grad()
    with ag.record():
        outs = mx.nd.RNN(*xs, mx.nd.array(lengths, dtype="int32"), use_sequence_length=True, **params)
    heads = list(fill(dict(enumerate(o.shape for o in outs)), seed=4, scale=1).values())
    ag.backward(outs, heads)
    total = np.zeros(xs[1].shape, "float32")
    for b, length in enumerate(lengths):
        assert not outs[0].asnumpy()[length:, b].any() and not xs[0].grad.asnumpy()[length:, b].any()
        mine = [xs[0][:length, b:b + 1] if length else None, xs[1], *(s[:, b:b + 1] for s in xs[2:])]
        if not length:
            np.testing.assert_array_equal(outs[1].asnumpy()[:, b], xs[2].asnumpy()[:, b])
            np.testing.assert_array_equal(xs[2].grad.asnumpy()[:, b], heads[1].asnumpy()[:, b])
            continue
        mine = [mx.nd.array(v.asnumpy()) for v in mine]
        for v in mine:
            v.attach_grad()
        with ag.record():
            alone = mx.nd.RNN(*mine, **params)
        ag.backward(alone, [mx.nd.array(h.asnumpy()[:length, b:b + 1] if i == 0 else h.asnumpy()[:, b:b + 1])
                            for i, h in enumerate(heads)])
        for i, (a, o) in enumerate(zip(alone, outs)):
            np.testing.assert_allclose(o.asnumpy()[:length if i == 0 else None, b:b + 1], a.asnumpy(), rtol=1e-5,
                                       atol=1e-6)
        total += mine[1].grad.asnumpy()
        for x, v in zip([xs[0], *xs[2:]], [mine[0], *mine[2:]]):
            np.testing.assert_allclose(x.grad.asnumpy()[:length if v is mine[0] else None, b:b + 1], v.grad.asnumpy(),
                                       rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(xs[1].grad.asnumpy(), total, rtol=1e-4, atol=1e-5)


def test_dropout_between_layers():
    params = dict(mode="gru", state_size=32, num_layers=2, p=0.5)
    net = mx.sym.RNN(mx.sym.Variable("data"), name="r", **params)
    shapes = dict(zip(net.list_arguments(), net.infer_shape(data=(6, 8, 16))[0]))
    args = fill(shapes)

    def run(net, train, seed=5):
        mx.random.seed(seed)
        return bound(net, args, train)
    plain = mx.sym.RNN(mx.sym.Variable("data"), name="r", **{**params, "p": 0.0})
    assert np.array_equal(run(net, False)[0][0], run(plain, True)[0][0])       # none while predicting
    outs, grads = run(net, True)
    again, same = run(net, True)
    assert np.array_equal(outs[0], again[0]) and all(np.array_equal(grads[k], same[k]) for k in grads)
    assert not np.allclose(outs[0], run(net, True, seed=6)[0][0])
    assert not np.allclose(outs[0], run(plain, True)[0][0])
    # All dropped: the second layer reads zeros, and nothing comes back from it.
    outs, grads = run(mx.sym.RNN(mx.sym.Variable("data"), name="r", **{**params, "p": 1.0}), True)
    assert not grads["data"].any() and outs[0].any()


@pytest.mark.parametrize("mode", ["lstm", "gru"])
def test_float16_and_bfloat16_run_through_float32(mode):
    params = dict(mode=mode, state_size=5, num_layers=2, bidirectional=True)
    net = mx.sym.RNN(mx.sym.Variable("data"), **params)
    xs = list(fill(dict(enumerate(net.infer_shape(data=(4, 3, 6))[0]))).values())
    want = mx.nd.RNN(*xs, **params).asnumpy()
    for dtype, tol in (("float16", 4e-3), ("bfloat16", 4e-2)):
        got = mx.nd.RNN(*[x.astype(dtype) for x in xs], **params)
        np.testing.assert_allclose(got.astype("float32").asnumpy(), want, atol=tol)


def test_inference_in_both_directions():
    net = mx.sym.RNN(mx.sym.Variable("data"), name="r", mode="lstm", state_size=7, num_layers=2, bidirectional=True,
                     state_outputs=True)
    full = net.infer_shape(data=(3, 4, 5))
    vector = full[0][1]
    assert full == ([(3, 4, 5), vector, (4, 4, 7), (4, 4, 7)], [(3, 4, 14), (4, 4, 7), (4, 4, 7)], [])
    assert net.infer_shape(data=(3, 0, 0), r_parameters=vector, r_state_cell=(4, 4, 7)) == full
    assert net.infer_shape_partial(r_state=(0, 4, 0))[0] == [(0, 4, 0), (0,), (4, 4, 7), (4, 4, 7)]
    assert net.infer_type(r_state="float64")[0] == [np.float64] * 4
    net = mx.sym.RNN(mx.sym.Variable("data"), name="r", mode="gru", state_size=7, num_layers=1,
                     use_sequence_length=True)
    assert net.infer_type(data="float32", r_sequence_length="int32") == (
        [np.float32] * 3 + [np.int32], [np.float32], [])
    assert net.infer_shape(data=(3, 4, 5))[0][-1] == (4,)


@pytest.mark.parametrize("params, shapes, message", [
    (dict(mode="gru"), {"data": (3, 4)}, "must have 3 axes"),
    (dict(mode="gru"), {"data": (3, 4, 5), "r_state": (1, 3, 7)}, "do not agree"),
    (dict(mode="gru"), {"data": (3, 4, 5), "r_parameters": (3,)}, "do not agree"),
    (dict(mode="gru"), {"data": (3, 4, 0), "r_parameters": (300,)}, "300 parameters are none of an RNN"),
    (dict(mode="gru", projection_size=3), {"data": (3, 4, 5)}, "projection_size is for mode='lstm'"),
    (dict(mode="gru", lstm_state_clip_min=0), {"data": (3, 4, 5)}, "are for mode='lstm'"),
    (dict(mode="lstm", lstm_state_clip_nan=True), {"data": (3, 4, 5)}, "needs lstm_state_clip_min"),
    (dict(mode="lstm", lstm_state_clip_min=1, lstm_state_clip_max=0), {"data": (3, 4, 5)}, "exceeds")])
def test_wrong_shapes_and_parameters(params, shapes, message):
    net = mx.sym.RNN(mx.sym.Variable("data"), name="r", state_size=7, num_layers=1, **params)
    with pytest.raises(mx.MXNetError, match=message):
        net.infer_shape(**shapes)


@pytest.mark.parametrize("params, message", [
    (dict(mode="ltsm", state_size=1, num_layers=1), "did you mean 'lstm'"),
    (dict(mode="lstm", state_size=0, num_layers=1), "out of range"), (dict(mode="lstm", num_layers=1), "'state_size'"),
    (dict(mode="lstm", state_size=1, num_layers=1, p=1.5), "out of range")])
def test_wrong_values(params, message):
    with pytest.raises(mx.MXNetError, match=message):
        mx.sym.RNN(mx.sym.Variable("data"), **params)


def test_huge_layers_are_refused_before_anything_is_allocated():
    net = mx.sym.RNN(mx.sym.Variable("data"), mode="lstm", state_size=1 << 30, num_layers=4096, bidirectional=True)
    with pytest.raises((mx.MXNetError, MemoryError)):
        net.simple_bind(mx.cpu(), data=(2, 2, 2))


def test_the_gradient_says_that_it_has_none():
    xs = [mx.nd.ones(s) for s in ((2, 1, 1), (4,), (1, 1, 1))]
    for x in xs:
        x.attach_grad()
    with ag.record():
        y = mx.nd.RNN(*xs, mode="rnn_tanh", state_size=1, num_layers=1)
        dx = ag.grad(y, xs[0], create_graph=True)[0]
        with pytest.raises(mx.MXNetError, match="cannot be differentiated again; unroll its cells"):
            ag.grad(dx, xs[0])


def test_last_states_of_cells_go_on():
    """Unrolled in two pieces, the second from the first one's states: the same as unrolled at once."""
    x = np.random.default_rng(0).uniform(-1, 1, (4, 6, 3)).astype("float32")
    for cell in (mx.rnn.LSTMCell(5), mx.rnn.GRUCell(5), mx.rnn.FusedRNNCell(5, 2, "lstm", get_next_state=True,
                                                                           prefix="f_")):
        layout = dict(layout="TNC", merge_outputs=True)
        whole = mx.sym.Group([cell.unroll(6, mx.sym.Variable("data"), **layout)[0]])
        first, states = cell.unroll(2, mx.sym.Variable("a"), **layout)
        second, _ = cell.unroll(4, mx.sym.Variable("b"), begin_state=states, **layout)
        both = mx.sym.Group([first, second])
        x2 = np.ascontiguousarray(x.swapaxes(0, 1))
        shapes = dict(zip(whole.list_arguments(), whole.infer_shape(data=x2.shape)[0]))
        weights = {k: v for k, v in fill(shapes).items() if k != "data"}
        want = whole.bind(mx.cpu(), {"data": mx.nd.array(x2), **weights}).forward()[0].asnumpy()
        got = both.bind(mx.cpu(), {"a": mx.nd.array(x2[:2]), "b": mx.nd.array(x2[2:]), **weights}).forward()
        np.testing.assert_allclose(np.concatenate([g.asnumpy() for g in got]), want, rtol=1e-5, atol=1e-6)


def test_residual_and_zoneout_numbers():
    x = mx.sym.Variable("x")
    base = mx.rnn.RNNCell(3, prefix="r_")
    plain = base.unroll(2, x, merge_outputs=True)[0]
    added = mx.rnn.ResidualCell(mx.rnn.RNNCell(3, prefix="r_")).unroll(2, x, merge_outputs=True)[0]
    args = fill(dict(zip(plain.list_arguments(), plain.infer_shape(x=(4, 2, 3))[0])))
    y = plain.bind(mx.cpu(), args).forward()[0].asnumpy()
    z = added.bind(mx.cpu(), args).forward()[0].asnumpy()
    np.testing.assert_allclose(z, y + args["x"].asnumpy(), rtol=1e-6)
    # While training every output is the cell's, or the one of the step before; else all are the cell's.
    held = mx.rnn.ZoneoutCell(mx.rnn.RNNCell(3, prefix="r_"), zoneout_outputs=0.5).unroll(2, x, merge_outputs=True)[0]
    exe = held.bind(mx.cpu(), args)
    np.testing.assert_array_equal(exe.forward()[0].asnumpy(), y)
    mx.random.seed(1)
    out = exe.forward(is_train=True)[0].asnumpy()
    kept = out != y
    assert 0 < kept.sum() < kept.size
    np.testing.assert_array_equal(out[:, 0][kept[:, 0]], 0)
    np.testing.assert_array_equal(out[:, 1][kept[:, 1]], out[:, 0][kept[:, 1]])


def test_zoneout_around_a_stack():
    stack = mx.rnn.SequentialRNNCell()
    stack.add(mx.rnn.LSTMCell(3, prefix="a_"))
    stack.add(mx.rnn.GRUCell(3, prefix="b_"))
    outputs, states = mx.rnn.ZoneoutCell(stack, 0.1, 0.2).unroll(2, mx.sym.Variable("x"))
    assert len(outputs) == 2 and len(states) == 3
    stack = mx.rnn.SequentialRNNCell()
    stack.add(mx.rnn.BidirectionalCell(mx.rnn.LSTMCell(3, prefix="l_"), mx.rnn.LSTMCell(3, prefix="r_")))
    with pytest.raises(AssertionError, match="BidirectionalCell has no steps"):
        mx.rnn.ZoneoutCell(stack)
    with pytest.raises(AssertionError, match="cannot be stepped"):
        stack(mx.sym.Variable("x"), stack.begin_state())


def test_cells_share_parameters():
    shared = mx.rnn.RNNParams("s_")
    a, b = mx.rnn.GRUCell(4, prefix="a_", params=shared), mx.rnn.GRUCell(4, prefix="b_", params=shared)
    x = mx.sym.Variable("x")
    net = mx.sym.Group([a.unroll(1, x)[0][0], b.unroll(1, x)[0][0]])
    assert net.list_arguments() == ["x", "s_i2h_weight", "s_i2h_bias", "s_h2h_weight", "s_h2h_bias"]
    assert net.list_outputs() == ["a_t0_out_output", "b_t0_out_output"]


def test_refusals_of_cells():
    with pytest.raises(ValueError, match="'gru'"):
        mx.rnn.FusedRNNCell(3, mode="ltsm")
    with pytest.raises(ValueError, match="no size of this cell"):
        mx.rnn.FusedRNNCell(3, 2, "gru").unpack_weights({"gru_parameters": mx.nd.zeros((17,))})
    with pytest.raises(AssertionError, match="neither 'NTC' nor 'TNC'"):
        mx.rnn.FusedRNNCell(3).unroll(2, mx.sym.Variable("x"), layout="NCT")
    with pytest.raises(AssertionError, match="2 inputs for 3 steps"):
        mx.rnn.LSTMCell(3).unroll(3, [mx.sym.Variable("a"), mx.sym.Variable("b")])
    with pytest.raises(AttributeError, match="has no attribute 'LSTMCel'"):
        mx.rnn.LSTMCel  # noqa: B018
    for name in ("LSTMCell", "FusedRNNCell", "SequentialRNNCell", "ZoneoutCell"):
        assert getattr(mx.rnn.rnn_cell, name) is getattr(mx.rnn, name)


def test_rnn_unroll_still_works():
    with pytest.warns(UserWarning, match="deprecated"):
        outputs, _ = mx.rnn.rnn_unroll(mx.rnn.LSTMCell(3), 2, input_prefix="in_")
    assert {"in_t0_data", "in_t1_data", "lstm_i2h_weight"} < set(outputs[1].list_arguments())
    with pytest.warns(UserWarning, match="TNC saves that"):
        mx.rnn.FusedRNNCell(3).unroll(2, mx.sym.Variable("x"))


def test_encode_sentences():
    vocab = {"a": 1}
    rows, same = mx.rnn.encode_sentences([["a", "b"], ["c", "a", "b"]], vocab=vocab, unknown_token="<u>")
    assert same is vocab and rows == [[1, vocab["<u>"]], [vocab["<u>"], 1, vocab["<u>"]]]
    assert vocab["<u>"] not in (1, -1) and len(vocab) == 2
    with pytest.raises(AssertionError, match="Unknown token b"):
        mx.rnn.encode_sentences([["b"]], vocab={"a": 1})
    assert mx.rnn.encode_sentences([["a", "b", "a"]], start_label=1, invalid_label=2)[0] == [[1, 3, 1]]


def test_sentences_that_fit_no_bucket(caplog):
    it = mx.rnn.BucketSentenceIter([[1, 2, 3], [4], [5, 6]], 1, buckets=[2])
    assert "leaves out 1 sentences" in caplog.text and len(list(it)) == 2
    with pytest.raises(ValueError, match="layout 'TCN'"):
        mx.rnn.BucketSentenceIter([[1]], 1, layout="TCN")
    with pytest.raises(ValueError, match="give buckets"):
        mx.rnn.BucketSentenceIter([[1]], 2)


@pytest.mark.parametrize("kind", ["fused", "cells"])
def test_a_language_of_counting_is_learnt(kind):
    """BucketingModule on sentences that count up from a random word: from a perplexity of 11 to below 1.6."""
    random.seed(0)
    np.random.seed(0)
    mx.random.seed(0)
    rng = np.random.default_rng(0)
    sentences = [[int(1 + (start + i) % 10) for i in range(length)]
                 for start, length in zip(rng.integers(0, 10, 200), rng.choice([4, 7], 200))]
    data = mx.rnn.BucketSentenceIter(sentences, 20, buckets=[4, 7], invalid_label=0)
    fused = mx.rnn.FusedRNNCell(24, 1, "lstm", prefix="l_")
    cell = fused if kind == "fused" else fused.unfuse()

    def make(steps):
        x = mx.sym.Embedding(mx.sym.Variable("data"), input_dim=11, output_dim=12, name="embed")
        if kind == "fused":
            x = mx.sym.swapaxes(x, dim1=0, dim2=1)
            outputs, _ = cell.unroll(steps, x, layout="TNC", merge_outputs=True)
            outputs = mx.sym.swapaxes(outputs, dim1=0, dim2=1)
        else:
            outputs, _ = cell.unroll(steps, x, merge_outputs=True)
        net = mx.sym.FullyConnected(mx.sym.Reshape(outputs, shape=(-1, 24)), num_hidden=11, name="out")
        label = mx.sym.Reshape(mx.sym.Variable("softmax_label"), shape=(-1,))
        return mx.sym.SoftmaxOutput(net, label, name="softmax"), ("data",), ("softmax_label",)
    module = mx.mod.BucketingModule(make, default_bucket_key=data.default_bucket_key)
    metric = mx.metric.Perplexity(0)
    module.fit(data, eval_metric=metric, optimizer="adam", optimizer_params={"learning_rate": 0.03}, num_epoch=6,
               initializer=mx.init.Xavier())
    assert metric.get()[1] < 1.6
    names = module.get_params()[0]
    assert ("l_parameters" in names) == (kind == "fused")
    assert all(math.isfinite(float(v.sum().asscalar())) for v in names.values())


def test_first_biases_of_forget_gates():
    cell = mx.rnn.FusedRNNCell(4, 1, "lstm", forget_bias=2.5, prefix="f_")
    net = cell.unroll(2, mx.sym.Variable("data"), layout="TNC", merge_outputs=True)[0]
    module = mx.mod.Module(net, label_names=None)
    module.bind([("data", (2, 3, 5))], for_training=False)
    module.init_params(mx.init.Uniform(0.1))
    parts = cell.unpack_weights(module.get_params()[0])
    for name, value in parts.items():
        value = value.asnumpy()
        if name.endswith("f_bias"):
            assert (value == 2.5).all()
        elif name.endswith("bias"):
            assert not value.any()
        else:
            assert 0 < abs(value).max() <= 0.1
