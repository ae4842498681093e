"""Modules over several CPU contexts: whatever way a batch is shared out, the numbers are those of one device."""
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import mxlite as mx
from mxlite.io import DataBatch, DataDesc
from mxlite.module.executor_group import split_batch

X = np.random.RandomState(4).randn(40, 3).astype("float32")
Y = np.random.RandomState(5).randint(0, 3, 40).astype("float32")
LOADS = st.lists(st.sampled_from((1, 2, 3, 0.5)), min_size=1, max_size=4)


def network(norm=False):
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=5, name="fc1")
    if norm:
        x = mx.sym.BatchNorm(x, fix_gamma=False, momentum=0.5, name="bn")
    x = mx.sym.Activation(x, act_type="tanh")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(x, num_hidden=3, name="fc2"), name="softmax")


def bound(rows, loads, symbol=None, **kw):
    mod = mx.mod.Module(network() if symbol is None else symbol, context=[mx.cpu(k) for k in range(len(loads))],
                        work_load_list=loads)
    mod.bind([("data", (rows, 3))], [("softmax_label", (rows,))], **kw)
    rng = np.random.RandomState(8)
    args, aux = mod._host_zeros()
    mod.set_params({n: mx.nd.array(rng.randn(*a.shape)) for n, a in sorted(args.items())},
                   {n: mx.nd.ones(a.shape) for n, a in aux.items()})
    return mod


def batch(rows, start=0):
    return DataBatch([mx.nd.array(X[start:start + rows])], [mx.nd.array(Y[start:start + rows])])


def can(rows, loads):
    try:
        split_batch(rows, loads)
    except ValueError:
        return False
    return True


@given(st.integers(1, 200), LOADS)
def test_slices_cover_the_batch_in_order(rows, loads):
    assume(can(rows, loads))
    slices = split_batch(rows, loads)
    assert [i for part in slices for i in range(part.start, part.stop)] == list(range(rows))
    assert all(part.stop > part.start for part in slices)
    for part, load in zip(slices[:-1], loads):              # what rounding leaves over is the last one's
        assert abs((part.stop - part.start) - rows * load / sum(loads)) <= 0.5 + 1e-9


OPTIMIZERS = [("sgd", {"learning_rate": 0.1, "momentum": 0.9, "wd": 0.01}), ("adam", {"learning_rate": 0.01}),
              ("adagrad", {"learning_rate": 0.05})]


def train(rows, loads, sizes, optimizer, options):
    """All that a user can see of some steps on batches of the given sizes."""
    mod = bound(rows, loads, inputs_need_grad=True)
    mod.init_optimizer(optimizer=optimizer, optimizer_params=options)
    metric, seen = mx.metric.create(["acc", "ce"]), []
    for n in sizes:
        one = batch(n)
        mod.forward_backward(one)
        mod.update()
        mod.update_metric(metric, one.label)
        seen += [mod.get_outputs()[0].asnumpy(), mod.get_input_grads()[0].asnumpy()]
        for arrays in mod._exec_group.param_arrays:
            assert len(arrays) == len(loads)
            for a in arrays:
                np.testing.assert_array_equal(a.asnumpy(), arrays[0].asnumpy())
    seen += [np.array([v for _, v in metric.get_name_value()])]
    seen += [a.asnumpy() for _, a in sorted(mod.get_params()[0].items())]
    return mod, seen


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), LOADS, st.lists(st.integers(1, 12), min_size=1, max_size=3), st.sampled_from(OPTIMIZERS))
def test_devices_give_the_numbers_of_one(rows, loads, sizes, optimizer):
    assume(all(can(n, loads) for n in (rows, *sizes)))
    mod, got = train(rows, loads, sizes, *optimizer)
    _, want = train(rows, [1], sizes, *optimizer)
    for a, b in zip(got, want):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    assert len(mod._updater.states) == len(mod._param_names), "one state a parameter, however many devices"


def test_a_batch_that_cannot_be_shared_out_is_refused():
    mod = bound(4, [1, 1, 1])
    with pytest.raises(ValueError, match="a batch of 2 can not be split over 3 devices"):
        mod.forward(batch(2))
    mod.forward(batch(5), is_train=False)
    assert mod.get_outputs()[0].shape == (5, 3)


def test_statistics_are_each_devices_own_until_they_are_averaged():
    mod = bound(6, [1, 2], network(norm=True))
    mod.init_optimizer()
    mod.forward_backward(batch(6))
    weight, bias = (mod._exec_group._params[0][n].asnumpy() for n in ("fc1_weight", "fc1_bias"))
    hidden = X[:6] @ weight.T + bias
    means = [0.5 + 0.5 * hidden[:2].mean(axis=0), 0.5 + 0.5 * hidden[2:].mean(axis=0)]
    for table, mean in zip(mod._exec_group._aux, means):
        np.testing.assert_allclose(table["bn_moving_mean"].asnumpy(), mean, rtol=1e-4, atol=1e-5)
    mod.update()
    arg, aux = mod.get_params()
    np.testing.assert_allclose(aux["bn_moving_mean"].asnumpy(), (means[0] + means[1]) / 2, rtol=1e-4, atol=1e-5)
    mod.set_params(arg, aux)
    for table in mod._exec_group._aux:
        np.testing.assert_array_equal(table["bn_moving_mean"].asnumpy(), aux["bn_moving_mean"].asnumpy())


def test_a_batch_axis_that_is_not_the_first():
    """Time first: slices, outputs and input gradients go along the second axis."""
    def run(loads):
        x = mx.sym.Variable("data", __layout__="TNC")
        scaled = mx.sym.broadcast_mul(x, mx.sym.Variable("w_weight", shape=(1, 1, 3)))
        out = mx.sym.MakeLoss(mx.sym.square(scaled), name="l")
        out._set_attr(__layout__="TNC")
        mod = mx.mod.Module(out, label_names=None, context=[mx.cpu(k) for k in range(len(loads))],
                            work_load_list=loads)
        mod.bind([DataDesc("data", (4, 5, 3), layout="TNC")], inputs_need_grad=True)
        mod.init_params(mx.init.One())
        mod.init_optimizer(optimizer_params={"learning_rate": 0.1})
        mod.forward_backward(DataBatch([mx.nd.array(np.resize(X, (4, 5, 3)))]))
        mod.update()
        parts = [a.shape for a in mod.get_outputs(merge_multi_context=False)[0]]
        return parts, [mod.get_outputs()[0].asnumpy(), mod.get_input_grads()[0].asnumpy(),
                       mod.get_params()[0]["w_weight"].asnumpy()]
    parts, got = run([2, 3])
    assert parts == [(4, 2, 3), (4, 3, 3)]
    for a, b in zip(got, run([1])[1]):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_states_of_the_network_are_shared_out():
    state = mx.sym.Variable("state")
    net = mx.sym.Group([mx.sym.Variable("data") + state, state * 2])
    mod = mx.mod.Module(net, label_names=None, state_names=["state"], context=[mx.cpu(0), mx.cpu(1)],
                        work_load_list=[1, 2])
    mod.bind([("data", (3, 2))], for_training=False)
    mod.init_params()
    mod.set_states(value=2)
    mod.forward(DataBatch([mx.nd.ones((3, 2))]))
    assert (mod.get_outputs()[0].asnumpy() == 3).all() and mod.get_states()[0].shape == (3, 2)
    mod.set_states(states=mod.get_outputs(merge_multi_context=False)[1:])
    assert (mod.get_states()[0].asnumpy() == 4).all()
    mod.set_states(states=[mx.nd.array(np.arange(6).reshape(3, 2))])
    assert [a.shape for a in mod.get_states(merge_multi_context=False)[0]] == [(1, 2), (2, 2)]
    np.testing.assert_array_equal(mod.get_states()[0].asnumpy(), np.arange(6).reshape(3, 2))


def test_a_batch_for_each_device():
    """A list of batches goes to the devices as it is; the numbers are those of the joined batch."""
    mod, other = bound(6, [1, 1]), bound(6, [1])
    for one, given_batch in ((mod, [batch(3), batch(3, 3)]), (other, batch(6))):
        one.init_optimizer(optimizer_params={"learning_rate": 0.3})
        one.forward_backward(given_batch)
        one.update()
    for a, b in zip(mod.get_params()[0].values(), other.get_params()[0].values()):
        np.testing.assert_allclose(a.asnumpy(), b.asnumpy(), rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="3 batches for 2 devices"):
        mod.forward([batch(2)] * 3)


def test_saved_states_of_several_devices_continue_on_one(tmp_path):
    def go_on(mod, steps):
        for k in steps:
            mod.forward_backward(batch(6, k))
            mod.update()
        return [a.asnumpy() for _, a in sorted(mod.get_params()[0].items())]
    two = bound(6, [1, 2])
    two.init_optimizer(optimizer="sgd", optimizer_params=OPTIMIZERS[0][1])
    go_on(two, range(3))
    two.save_checkpoint(str(tmp_path / "m"), 1, save_optimizer_states=True)
    one = mx.mod.Module.load(str(tmp_path / "m"), 1, load_optimizer_states=True)
    one.bind([("data", (6, 3))], [("softmax_label", (6,))])
    one.init_optimizer(optimizer="sgd", optimizer_params=OPTIMIZERS[0][1])
    for a, b in zip(go_on(one, range(3, 6)), go_on(two, range(3, 6))):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_a_train_step_is_forward_backward_and_update():
    calls = []

    class Mine(mx.mod.Module):
        def forward_backward(self, data_batch):
            calls.append("both")
            super().forward_backward(data_batch)

        def update(self):
            calls.append("update")
            super().update()
    mod = Mine(network(), context=[mx.cpu(0), mx.cpu(1)])
    mod.fit(mx.io.NDArrayIter(X[:12], Y[:12], 6), num_epoch=1)
    assert calls == ["both", "update"] * 2
