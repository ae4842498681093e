"""Modules: training runs against MXNet 1.9.1's numbers, and the promises of every step."""
import collections
import logging
import re

import numpy as np
import pytest

import mxlite as mx

RNG = np.random.RandomState(0)
X = RNG.randn(20, 4).astype("float32")
Y = (X[:, 0] > 0).astype("float32")
START = {"fc1_weight": RNG.randn(3, 4).astype("float32") * 0.5, "fc2_weight": RNG.randn(2, 3).astype("float32") * 0.5,
         "fc1_bias": np.zeros(3, "float32"), "fc2_bias": np.zeros(2, "float32")}


def features():
    hidden = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc1")
    return mx.sym.FullyConnected(mx.sym.Activation(hidden, act_type="tanh", name="tanh"), num_hidden=2, name="fc2")


def network():
    return mx.sym.SoftmaxOutput(features(), name="softmax")


def start():
    return {name: mx.nd.array(value) for name, value in START.items()}


def data(batch_size=6, **kwargs):
    return mx.io.NDArrayIter(X, Y, batch_size=batch_size, **kwargs)


def batch(begin, end, labels=True):
    return mx.io.DataBatch([mx.nd.array(X[begin:end])], [mx.nd.array(Y[begin:end])] if labels else None)


def bound(batch_size=6, symbol=None, options=None, **kwargs):
    """A module bound and given START."""
    mod = mx.mod.Module(network() if symbol is None else symbol, **(options or {}))
    mod.bind([("data", (batch_size, 4))], [("softmax_label", (batch_size,))], **kwargs)
    mod.set_params(start(), {})
    return mod


def probabilities(x, params=START):
    hidden = np.tanh(x @ params["fc1_weight"].T + params["fc1_bias"])
    scores = np.exp(hidden @ params["fc2_weight"].T + params["fc2_bias"])
    return scores / scores.sum(axis=1, keepdims=True)


def values(mod):
    return {name: array.asnumpy() for name, array in mod.get_params()[0].items()}


FITS = [
    ("sgd", {"learning_rate": 0.5, "momentum": 0.9}, [0.752094, 0.305685, 0.277369, 0.121916],
     [[1.216846, -2.251688, 1.889934], [-0.759421, 2.745258, -0.818816]], [[0.023606, 0.976394], [0.000196, 0.999804]],
     [0.9583333, 0.1219164]),
    ("adam", {"learning_rate": 0.1}, [0.892077, 0.649052, 0.614145, 0.527437],
     [[0.408337, -0.184706, 0.806294], [0.049087, 0.678275, 0.264825]], [[0.296032, 0.703968], [0.306843, 0.693157]],
     [0.875, 0.5274374])]


@pytest.mark.parametrize("optimizer, options, logged, weight, predicted, scored", FITS)
@pytest.mark.parametrize("devices", [1, 2, 3])
def test_fit(optimizer, options, logged, weight, predicted, scored, devices, caplog):
    caplog.set_level(logging.INFO)
    mod = mx.mod.Module(network(), context=[mx.cpu(i) for i in range(devices)])
    mod.fit(data(), eval_data=data(), num_epoch=2, optimizer=optimizer, optimizer_params=options, arg_params=start(),
            eval_metric="ce")
    lines = [re.sub(r"cost=\d+\.\d{3}$", "cost=", line) for line in caplog.messages]
    seen = [float(line.rpartition("=")[2]) for line in lines if "cost" not in line]
    assert [line.rpartition("=")[0] for line in lines] == [
        f"Epoch[{epoch}] {what}" for epoch in (0, 1)
        for what in ("Train-cross-entropy", "Time cost", "Validation-cross-entropy")]
    assert seen == pytest.approx(logged, abs=2e-5)
    np.testing.assert_allclose(values(mod)["fc2_weight"], weight, atol=2e-5)
    np.testing.assert_allclose(mod.predict(data()).asnumpy()[:2], predicted, atol=2e-5)
    assert mod.predict(data()).shape == (20, 2)
    assert [value for _, value in mod.score(data(), ["acc", "ce"])] == pytest.approx(scored, abs=2e-5)
    assert mod.output_shapes == [("softmax_output", (6, 2))]


def test_steps_must_come_in_order():
    mod = mx.mod.Module(network())
    for step in (lambda: mod.forward(batch(0, 6)), lambda: mod.init_params(), lambda: mod.data_shapes):
        with pytest.raises(AssertionError, match="bind"):
            step()
    mod.bind([("data", (6, 4))], [("softmax_label", (6,))])
    with pytest.raises(AssertionError, match="init_params"):
        mod.forward(batch(0, 6))
    mod.init_params()
    with pytest.raises(AssertionError, match="init_optimizer"):
        mod.update()
    with pytest.raises(AssertionError, match="inputs_need_grad"):
        mod.get_input_grads()


def test_properties():
    mod = bound()
    assert mod.data_names == ["data"] and mod.label_names == ["softmax_label"]
    assert mod.output_names == ["softmax_output"]
    assert [tuple(desc) for desc in mod.data_shapes + mod.label_shapes] == [("data", (6, 4)), ("softmax_label", (6,))]
    assert mod.symbol.list_outputs() == ["softmax_output"]


@pytest.mark.parametrize("options", [{}, {"label_names": None}, {"label_names": []}])
def test_prediction_without_labels_is_silent(options):
    mod = mx.mod.Module(network(), **options)
    mod.bind([("data", (5, 4))], for_training=False)
    mod.set_params(start(), {})
    np.testing.assert_allclose(mod.predict(mx.io.NDArrayIter(X, batch_size=5)).asnumpy(), probabilities(X), atol=1e-6)
    np.testing.assert_allclose(mod.predict(X[:3]).asnumpy(), probabilities(X[:3]), atol=1e-6)


def test_a_network_without_label_is_silent():
    mod = bound(symbol=features())
    mod.forward(batch(0, 6), is_train=False)
    assert mod.get_outputs()[0].shape == (6, 2)


def test_a_label_named_wrongly_warns():
    with pytest.warns(UserWarning, match="label_names=\\['y'\\]"):
        mx.mod.Module(network(), label_names=["y"])


def two_labels():
    x = mx.sym.Variable("data")
    return mx.sym.Group([mx.sym.LinearRegressionOutput(mx.sym.FullyConnected(x, num_hidden=1, name=f"fc_{name}"),
                                                       mx.sym.Variable(name), name=f"out_{name}")
                         for name in ("la", "lb")])


@pytest.mark.parametrize("symbol, options, labels, message", [
    (network, {}, {"lab": Y}, r"labels are \['lab'\], but the network's are \['softmax_label'\].*paired by name"),
    (network, {}, {"softmax_label": Y, "other": Y}, r"\['other', 'softmax_label'\].*\['softmax_label'\]"),
    (network, {"label_names": None}, {"lab": Y}, r"\['lab'\].*\['softmax_label'\]"),
    (two_labels, {"label_names": ["la", "lb"]}, {"lb": Y, "lc": Y}, r"\['lb', 'lc'\].*\['la', 'lb'\]"),
    (network, {}, None, "trains on the label 'softmax_label', but train_data, a NDArrayIter, gives no label"),
    (network, {"label_names": None}, {}, "trains on the label 'softmax_label'")])
def test_training_needs_the_networks_labels(symbol, options, labels, message):
    mod = mx.mod.Module(symbol(), **options)
    with pytest.raises(ValueError, match=message):
        mod.fit(mx.io.NDArrayIter(X, labels, 5), num_epoch=1)
    assert not mod.params_initialized           # before anything was trained


@pytest.mark.parametrize("training", [True, False])
def test_labels_are_bound_by_name(training):
    mod = mx.mod.Module(two_labels(), label_names=["la", "lb"])
    with pytest.raises(ValueError, match=r"\['lc'\]"):
        mod.bind([("data", (2, 4))], [("lc", (2, 1))], for_training=training)
    assert not mod.binded
    mod.bind([("data", (2, 4))], [("lb", (2, 1)), ("la", (2, 1))], for_training=training)
    with pytest.raises(ValueError, match=r"\['la', 'lc'\]"):
        mod.reshape([("data", (3, 4))], [("la", (3, 1)), ("lc", (3, 1))])
    # Not all of them need to be given, and a network without a label takes any.
    if training:
        with pytest.warns(UserWarning, match="label_shapes"):
            mod.reshape([("data", (3, 4))], [("lb", (3, 1))])
    mx.mod.Module(features()).bind([("data", (2, 4))], [("anything", (2,))], for_training=False)


def test_labels_of_a_batch_come_in_the_order_they_were_bound():
    mod = mx.mod.Module(two_labels(), label_names=["la", "lb"])
    mod.bind([("data", (2, 4))], [("lb", (2, 1)), ("la", (2, 1))])
    mod.init_params(mx.init.Zero())
    mod.forward(mx.io.DataBatch([mx.nd.zeros((2, 4))], [mx.nd.full((2, 1), 3), mx.nd.full((2, 1), 5)]), is_train=True)
    mod.backward()
    grads = mod._exec_group.execs[0].grad_dict
    assert grads["fc_lb_bias"].asscalar() == -6 and grads["fc_la_bias"].asscalar() == -10


def test_a_label_of_another_shape_is_named():
    mod = bound()
    wrong = mx.io.DataBatch([mx.nd.array(X[:6])], [mx.nd.array(Y[:6]).reshape((6, 1))])
    with pytest.raises(mx.MXNetError, match=r"'softmax_label' is bound with shape \(6,\).*gives \(6, 1\)"):
        mod.forward(wrong)


@pytest.mark.parametrize("options", [{"data_names": ["x"]}, {"fixed_param_names": ["x"]}, {"state_names": ["x"]}])
def test_unknown_names_raise(options):
    with pytest.raises(ValueError, match="'x' is not found"):
        mx.mod.Module(network(), **options)


def test_data_shapes_must_name_the_data():
    with pytest.raises(ValueError, match="data_shapes"):
        mx.mod.Module(network()).bind([("x", (2, 4))])


@pytest.mark.parametrize("devices", [1, 2])
def test_batches_of_other_sizes(devices):
    mod = bound(options={"context": [mx.cpu(i) for i in range(devices)]})
    for begin, end in ((0, 6), (0, 4), (4, 13), (0, 6)):
        mod.forward(batch(begin, end), is_train=False)
        np.testing.assert_allclose(mod.get_outputs()[0].asnumpy(), probabilities(X[begin:end]), atol=1e-6)
        assert mod.data_shapes[0].shape == (end - begin, 4)


def test_labels_may_come_and_go():
    def trained(first):
        mod = bound()
        mod.init_optimizer()
        mod.forward(first, is_train=False)
        mod.forward_backward(batch(6, 12))
        mod.update()
        return values(mod)["fc2_weight"]

    np.testing.assert_array_equal(trained(batch(0, 6, labels=False)), trained(batch(0, 6)))
    # After a batch of another size without labels, those of the next batch count again.
    np.testing.assert_array_equal(trained(batch(0, 3, labels=False)), trained(batch(0, 6)))


@pytest.mark.parametrize("devices", [1, 2])
def test_gradients_of_the_data(devices):
    mod = bound(options={"context": [mx.cpu(i) for i in range(devices)]}, inputs_need_grad=True)
    mod.forward_backward(batch(0, 6))
    error = probabilities(X[:6])
    error[np.arange(6), Y[:6].astype(int)] -= 1
    hidden = np.tanh(X[:6] @ START["fc1_weight"].T)
    expected = (error @ START["fc2_weight"] * (1 - hidden ** 2)) @ START["fc1_weight"]
    np.testing.assert_allclose(mod.get_input_grads()[0].asnumpy(), expected, atol=1e-6)


@pytest.mark.parametrize("devices", [1, 2])
def test_gradients_given_to_the_outputs(devices):
    mod = bound(symbol=features(), inputs_need_grad=True, options={"context": [mx.cpu(i) for i in range(devices)]})
    mod.forward(batch(0, 6), is_train=True)
    heads = np.arange(12, dtype="float32").reshape(6, 2)
    mod.backward([mx.nd.array(heads)])
    hidden = np.tanh(X[:6] @ START["fc1_weight"].T)
    expected = (heads @ START["fc2_weight"] * (1 - hidden ** 2)) @ START["fc1_weight"]
    np.testing.assert_allclose(mod.get_input_grads()[0].asnumpy(), expected, rtol=1e-5, atol=1e-5)


def test_gradients_may_add_up():
    once, twice = bound(grad_req="write"), bound(grad_req="add")
    once.forward_backward(batch(0, 6))
    for _ in range(2):
        twice.forward_backward(batch(0, 6))
    for a, b in zip(once._exec_group.grad_arrays, twice._exec_group.grad_arrays):
        np.testing.assert_allclose(2 * a[0].asnumpy(), b[0].asnumpy(), rtol=1e-5, atol=1e-7)


def test_fixed_parameters_stay():
    mod = bound(options={"fixed_param_names": ["fc1_weight"]})
    mod.init_optimizer(optimizer_params={"learning_rate": 1.0})
    mod.forward_backward(batch(0, 6))
    mod.update()
    after = values(mod)
    np.testing.assert_array_equal(after["fc1_weight"], START["fc1_weight"])
    assert (after["fc2_weight"] != START["fc2_weight"]).any()


def test_features_from_the_parameters_of_the_whole_network():
    mod = bound()
    inside = mod.symbol.get_internals()
    features = mx.mod.Module(inside["fc1_output"], label_names=None)
    features.bind([("data", (1, 4))], for_training=False)
    features.set_params(*mod.get_params())
    only_data = collections.namedtuple("Batch", ["data"])       # MXNet's examples feed this
    for rows in (1, 3):                                         # the second has another size than was bound
        x = np.arange(rows * 4, dtype=np.float32).reshape(rows, 4)
        features.forward(only_data([mx.nd.array(x)]))
        params = values(mod)
        np.testing.assert_allclose(features.get_outputs()[0].asnumpy(), x @ params["fc1_weight"].T + params["fc1_bias"],
                                   rtol=1e-5)


def test_rescale_grad_is_one_over_the_batch():
    mod = bound()
    mod.init_optimizer()
    assert mod._optimizer.rescale_grad == 1 / 6
    assert mod._optimizer.idx2name == dict(enumerate(["fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias"]))
    with pytest.warns(UserWarning, match="rescale_grad is not normalized"):
        mod.init_optimizer(optimizer=mx.optimizer.SGD(), force_init=True)


def test_parameters_that_do_not_fit():
    mod = bound()
    with pytest.raises(RuntimeError, match="fc2_bias is not presented"):
        mod.set_params({name: value for name, value in start().items() if name != "fc2_bias"}, {})
    with pytest.raises(ValueError, match='Find name "other"'):      # MXNet looks for extra names in this case alone
        mod.set_params({**start(), "other": mx.nd.ones((1,))}, {}, allow_missing=True)
    mod.set_params({**start(), "other": mx.nd.ones((1,))}, {}, allow_missing=True, allow_extra=True)
    mod.set_params({**start(), "other": mx.nd.ones((1,))}, {})
    with pytest.raises(mx.MXNetError, match="fc1_bias.*\\(4,\\).*\\(3,\\)"):
        mod.set_params({**start(), "fc1_bias": mx.nd.ones((4,))}, {})
    mod.set_params({"fc1_bias": mx.nd.ones((3,))}, {}, allow_missing=True)
    assert values(mod)["fc1_bias"].tolist() == [1, 1, 1]
    np.testing.assert_array_equal(values(mod)["fc1_weight"], START["fc1_weight"])


def test_initialising_twice_warns():
    mod = bound()
    with pytest.warns(UserWarning, match="already initialized"):
        mod.init_params()
    mod.init_params(mx.init.One(), force_init=True)
    assert (values(mod)["fc1_weight"] == 1).all() and (values(mod)["fc1_bias"] == 0).all()


def test_binding_again_keeps_the_parameters(caplog):
    mod = bound()
    mod.init_optimizer()
    mod.forward_backward(batch(0, 6))
    mod.update()
    mod.bind([("data", (2, 4))])
    assert caplog.messages == ["Already bound, ignoring bind()"]
    before = values(mod)
    mod.bind([("data", (2, 4))], for_training=False, force_rebind=True)
    np.testing.assert_allclose(mod.predict(X[:2]).asnumpy(), probabilities(X[:2], before), atol=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_checkpoints_continue_where_training_stopped(tmp_path, optimizer):
    options = {"optimizer": optimizer, "optimizer_params": {"learning_rate": 0.1, "begin_num_update": 0}}
    mod = bound()
    mod.init_optimizer(**options)
    for _ in range(2):
        mod.forward_backward(batch(0, 6))
        mod.update()
    prefix = str(tmp_path / "net")
    mod.save_checkpoint(prefix, 3, save_optimizer_states=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net-0003.params", "net-0003.states",
                                                                "net-symbol.json"]
    twin = mx.mod.Module.load(prefix, 3, load_optimizer_states=True)
    twin.bind([("data", (6, 4))], [("softmax_label", (6,))])
    twin.init_optimizer(**options)
    twin._optimizer._update_count(list(range(4)) * 2)      # the counts are not in the file
    for one in (mod, twin):
        one.forward_backward(batch(6, 12))
        one.update()
    for name, value in values(mod).items():
        np.testing.assert_array_equal(values(twin)[name], value)
    mod.load_params(f"{prefix}-0003.params")
    assert (values(mod)["fc2_weight"] != values(twin)["fc2_weight"]).any()


def test_states_keep_their_values():
    state = mx.sym.Variable("state")
    net = mx.sym.Group([mx.sym.Variable("data") + state, state * 2])
    mod = mx.mod.Module(net, label_names=None, state_names=["state"])
    mod.bind([("data", (2, 3)), ], for_training=False)
    mod.init_params()
    mod.set_states(value=1)
    mod.forward(mx.io.DataBatch([mx.nd.ones((2, 3))]))
    assert (mod.get_outputs()[0].asnumpy() == 2).all()
    mod.set_states(states=[mod.get_outputs()[0]])
    mod.forward(mx.io.DataBatch([mx.nd.ones((2, 3))]))
    assert (mod.get_outputs()[0].asnumpy() == 3).all()
    assert (mod.get_states()[0].asnumpy() == 2).all()


def test_outputs_by_device():
    mod = bound(options={"context": [mx.cpu(0), mx.cpu(1)], "work_load_list": [1, 2]})
    mod.forward(batch(0, 6), is_train=False)
    (parts,) = mod.get_outputs(merge_multi_context=False)
    assert [part.shape for part in parts] == [(2, 2), (4, 2)]
    with pytest.raises(ValueError, match="Too many slices"):
        mod.forward(batch(0, 1), is_train=False)


def test_predictions_in_parts():
    mod = bound()
    parts = mod.predict(data(), merge_batches=False)
    assert [outputs[0].shape for outputs in parts] == [(6, 2), (6, 2), (6, 2), (2, 2)]
    assert isinstance(mod.predict(data(), always_output_list=True), list)
    assert mod.predict(data(), num_batch=2).shape == (12, 2)
    seen = [(outputs[0].shape, n, b.pad) for outputs, n, b in mod.iter_predict(data())]
    assert seen[-1] == ((2, 2), 3, 4)
    with pytest.raises(ValueError, match="NDArray or DataIter"):
        mod.predict([X])


def test_callbacks_of_fit():
    calls = []
    mod = mx.mod.Module(network())
    mod.fit(data(), eval_data=data(), num_epoch=2, begin_epoch=1,
            batch_end_callback=lambda p: calls.append(("batch", p.epoch, p.nbatch, "self" in p.locals)),
            epoch_end_callback=[lambda epoch, sym, arg, aux: calls.append(("epoch", epoch, sorted(arg), aux))],
            eval_batch_end_callback=lambda p: calls.append(("eval", p.nbatch)),
            eval_end_callback=lambda p: calls.append(("scored", p.epoch, p.nbatch)))
    assert calls == [*(("batch", 1, n, True) for n in range(4)),
                     ("epoch", 1, ["fc1_bias", "fc1_weight", "fc2_bias", "fc2_weight"], {}),
                     *(("eval", n) for n in range(4)), ("scored", 1, 4)]
    with pytest.raises(AssertionError, match="number of epochs"):
        mod.fit(data())


@pytest.mark.parametrize("kvstore", ["dist_sync", "dist_async", "what"])
def test_distributed_training_is_refused(kvstore):
    with pytest.raises(mx.MXNetError, match="not supported"):
        bound().init_optimizer(kvstore=kvstore)


def test_moving_statistics_are_saved(tmp_path):
    net = mx.sym.SoftmaxOutput(mx.sym.BatchNorm(features(), name="bn"), name="softmax")
    mod = mx.mod.Module(net)
    mod.fit(data(), num_epoch=1)
    args, aux = mod.get_params()
    assert sorted(aux) == ["bn_moving_mean", "bn_moving_var"]
    assert (aux["bn_moving_var"].asnumpy() != 1).all()
    mod.save_params(str(tmp_path / "net.params"))
    assert sorted(mx.nd.load(str(tmp_path / "net.params")))[-2:] == ["aux:bn_moving_mean", "aux:bn_moving_var"]


def test_shared_module():
    mod = bound()
    mod.init_optimizer(optimizer_params={"learning_rate": 1.0})
    other = mx.mod.Module(network())
    other.bind([("data", (3, 4))], [("softmax_label", (3,))], shared_module=mod)
    assert other.optimizer_initialized
    other.forward_backward(batch(0, 3))
    other.update()
    mod.forward(batch(0, 6), is_train=False)
    np.testing.assert_allclose(mod.get_outputs()[0].asnumpy(), probabilities(X[:6], values(other)), atol=1e-6)


def test_monitor_sees_outputs_and_parameters(caplog):
    caplog.set_level(logging.INFO)
    mod = bound()
    monitor = mx.Monitor(2, stat_func=lambda x: mx.nd.array([float(x.asnumpy().sum())]), pattern="fc1_.*|softmax_out.*",
                         sort=True)
    mod.install_monitor(monitor)
    for _ in range(2):
        monitor.tic()
        mod.forward(batch(0, 6), is_train=True)
        seen = monitor.toc()
        if seen:
            rows = {name: float(text) for step, name, text in seen}
            assert {step for step, _, _ in seen} == {1}
            assert rows["fc1_output"] == pytest.approx((X[:6] @ START["fc1_weight"].T).sum(), abs=1e-4)
            assert rows["softmax_output"] == pytest.approx(6, abs=1e-4)
            assert rows["fc1_weight"] == pytest.approx(START["fc1_weight"].sum(), abs=1e-4)
            assert [name for _, name, _ in seen] == sorted(rows)
    assert seen == []       # the second batch is not the monitor's turn
