"""Mixed precision: the scale of gradients, where it enters and leaves, and how it moves."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mxlite as mx
from mxlite.contrib import amp
from mxlite.contrib.amp.convert import Rules
from mxlite.contrib.amp.executor_group import SCALE, training_symbol

from .amp_networks import SMALL, batch_of, both, gradients, mlp, module


@pytest.fixture(autouse=True)
def off_again():
    yield
    amp.disable()


def test_gradients_are_scaled_until_the_update():
    mixed, plain = both(mlp(), (6, 4))
    for name, gradient in gradients(plain).items():
        np.testing.assert_allclose(gradients(mixed)[name] / SMALL, gradient, rtol=0.02, atol=1e-3)
    for mod in (mixed, plain):
        mod.init_optimizer(optimizer_params={"learning_rate": 0.5, "momentum": 0.9})
        mod.update()
    assert mixed._optimizer.rescale_grad == plain._optimizer.rescale_grad == 1 / 6
    for name, weight in plain.get_params()[0].items():
        np.testing.assert_allclose(mixed.get_params()[0][name].asnumpy(), weight.asnumpy(), atol=2e-3)


def test_small_gradients_survive():
    """Gradients of 1e-9 are zero in float16 and come out right when they are scaled."""
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=16, name="f1")
    x = mx.sym.Activation(x, act_type="tanh")
    net = mx.sym.LinearRegressionOutput(mx.sym.FullyConnected(x, num_hidden=1, name="f2"),
                                        mx.sym.Variable("label"), grad_scale=1e-9)
    mixed, plain = both(net, (6, 4), scale=2.0 ** 16)
    for name, gradient in gradients(plain).items():
        assert np.abs(gradient).max() > 0
        np.testing.assert_allclose(gradients(mixed)[name] / 2 ** 16, gradient, rtol=0.1, atol=3e-11)
    unscaled = training_symbol(net, Rules("float16"), False)
    args = {n: array.copy() for n, array in mixed._exec_group.execs[0].arg_dict.items() if n != SCALE}
    exe = unscaled.bind(mx.cpu(), args, {n: mx.nd.zeros(a.shape) for n, a in args.items() if n in gradients(plain)})
    exe.forward(is_train=True)
    exe.backward()
    assert not exe.grad_dict["f1_weight"].asnumpy().any()


def loss_networks():
    data = mx.sym.Variable("data")
    x = mx.sym.Activation(mx.sym.FullyConnected(data, num_hidden=5, name="f1"), act_type="sigmoid", name="s")
    y = mx.sym.FullyConnected(x, num_hidden=3, name="f2")
    kl = mx.sym.IdentityAttachKLSparseReg(x, penalty=0.05, name="kl")
    label = mx.sym.Variable("softmax_label")
    return {
        "softmax": mx.sym.SoftmaxOutput(y, label, name="softmax"),
        "two losses": mx.sym.Group([mx.sym.SoftmaxOutput(y, label, name="softmax"),
                                    mx.sym.MakeLoss(mx.sym.square(x), grad_scale=0.1)]),
        "a loss behind a loss": mx.sym.MakeLoss(mx.sym.SoftmaxOutput(y, label, name="softmax"), grad_scale=0.1),
        "a loss beside what is none": mx.sym.Group([mx.sym.SoftmaxOutput(y, label, name="softmax"),
                                                    mx.sym.BlockGrad(x), mx.sym.make_loss(mx.sym.mean(x))]),
        "a penalty inside": mx.sym.SoftmaxOutput(mx.sym.FullyConnected(kl, num_hidden=3, name="f3"), label,
                                                 name="softmax"),
        "a penalty at the end": mx.sym.Group([mx.sym.SoftmaxOutput(y, label, name="softmax"), kl]),
        "an svm": mx.sym.SVMOutput(y, mx.sym.Variable("softmax_label"), name="svm"),
    }


@pytest.mark.parametrize("name", list(loss_networks()))
def test_the_scale_enters_once(name):
    """With no operator in half precision gradients are the float32 ones times 2**16, bit for bit."""
    net = loss_networks()[name]
    grads = []
    heads = [mx.nd.ones(shape) for shape in net.infer_shape(data=(6, 4))[1]]
    for mixed in (True, False):
        amp.disable()
        if mixed:
            amp.init("float16", target_precision_ops=[])
        mod = mx.mod.Module(net)
        mod.bind([("data", (6, 4))], [("softmax_label", (6,))])
        mx.random.seed(3)
        mod.init_params(mx.init.Uniform(0.5))
        for array in mod._exec_group.execs[0].aux_dict.values():
            array[:] = 0.4
        mod.forward(batch_of(6, 4), is_train=True)
        mod.backward(heads)
        grads.append(gradients(mod))
    for key, gradient in grads[1].items():
        if "penalty" in name:               # divided and multiplied again: sums round elsewhere
            np.testing.assert_allclose(grads[0][key], gradient * 2 ** 16, rtol=1e-5)
        else:
            assert np.array_equal(grads[0][key], gradient * np.float32(2 ** 16))
    assert any(gradient.any() for gradient in grads[1].values())


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_an_overflow_skips_the_step_and_halves_the_scale(bad):
    mod = module(dtype="float16")
    mod.init_optimizer(optimizer="adam", optimizer_params={
        "learning_rate": 0.1, "lr_scheduler": mx.lr_scheduler.FactorScheduler(1, 0.5)})
    batch = batch_of(6, 4)
    mod.forward_backward(batch)
    mod.update()

    def everything():
        states = [array.asnumpy() for pair in mod._updater.states.values() for array in pair]
        weights = [array.asnumpy() for array in mod.get_params()[0].values()]
        return states + weights, mod._optimizer.num_update, dict(mod._optimizer._index_update_count)
    arrays, *counts = everything()
    for k in range(3):
        mod.forward_backward(batch)
        mod._exec_group.grad_arrays[1][0][:] = bad
        mod.update()
        assert amp.get_loss_scaler(mod).loss_scale == SMALL / 2 ** (k + 1)
        again, *counts_again = everything()
        assert counts_again == counts and all(np.array_equal(a, b) for a, b in zip(arrays, again))
    mod.forward_backward(batch)
    assert mod._exec_group.scaling.used == SMALL / 8
    mod.update()
    assert not np.array_equal(everything()[0][0], arrays[0]) and amp.get_loss_scaler(mod).loss_scale == SMALL / 8


def test_an_overflow_by_itself_finds_a_scale_that_fits():
    """A loss of 2**10 times the usual size leaves float16 at 2**16; some steps later it trains."""
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="f1")
    net = mx.sym.SoftmaxOutput(x, grad_scale=1024.0, name="softmax")
    mod = module(net, "float16", scale=2.0 ** 16)
    mod.init_optimizer(optimizer_params={"learning_rate": 1e-3})
    first = mod.get_params()[0]["f1_weight"].asnumpy()
    changed = []
    for _ in range(16):
        mod.forward_backward(batch_of(6, 4))
        mod.update()
        changed.append(not np.array_equal(mod.get_params()[0]["f1_weight"].asnumpy(), first))
    assert not changed[0] and changed[-1] and sorted(changed) == changed
    assert amp.get_loss_scaler(mod).loss_scale == 2.0 ** (16 - changed.index(True)) < 2.0 ** 16


def test_the_scale_grows_and_no_program_changes():
    mod = module(dtype="float16")
    mod.init_optimizer()
    scaler = amp.get_loss_scaler(mod)
    scaler._scale_seq_len = 3
    executor, seen = mod._exec_group.execs[0], []
    array = executor.arg_dict[SCALE]
    for _ in range(8):
        mod.forward_backward(batch_of(6, 4))
        seen.append((scaler.loss_scale, float(array.asnumpy()[0])))
        mod.update()
    assert seen == [(s, s) for s in [SMALL] * 3 + [SMALL * 2] * 3 + [SMALL * 4] * 2]
    assert mod._exec_group.execs[0] is executor and executor.arg_dict[SCALE] is array


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_scaler(steps, length):
    scaler = amp.LossScaler()
    scaler._scale_seq_len = length
    scaler._max_loss_scale, scaler._min_loss_scale = 2.0 ** 18, 2.0 ** 13
    run, expected = 0, 16
    for finite in steps:
        assert scaler.step(finite) is finite
        run = run + 1 if finite else 0
        if not finite:
            expected = max(13, expected - 1)
        elif run == length:
            run, expected = 0, min(18, expected + 1)
        assert scaler.loss_scale == 2.0 ** expected


def test_has_overflow():
    scaler = amp.LossScaler()
    x, y = mx.nd.ones((3,)), mx.nd.ones((2,))
    x.attach_grad()
    assert not scaler.has_overflow([x, y]) and scaler.loss_scale == 2.0 ** 16
    x.grad[:] = np.inf
    assert scaler.has_overflow([x, y]) and scaler.loss_scale == 2.0 ** 15
    with pytest.raises(mx.MXNetError, match="none of the arrays has a gradient"):
        scaler.has_overflow([y])
    with pytest.raises(TypeError, match="takes NDArrays"):
        scaler.has_overflow(["x"])


def test_head_gradients_and_input_gradients():
    net = mx.sym.FullyConnected(mlp().get_internals()["r_output"], num_hidden=2, name="out")
    head = mx.nd.array(np.random.RandomState(1).uniform(-1, 1, (6, 2)))
    mixed, plain = both(net, (6, 4), head_grads=[head], inputs_need_grad=True)
    for name, gradient in gradients(plain).items():
        np.testing.assert_allclose(gradients(mixed)[name] / SMALL, gradient, rtol=0.02, atol=4e-3)
    np.testing.assert_allclose(mixed.get_input_grads()[0].asnumpy(), plain.get_input_grads()[0].asnumpy(), atol=4e-3)
    assert isinstance(mixed.get_input_grads(False)[0], list)


def test_gradients_that_are_added_up():
    mod = module(dtype="float16", grad_req="add")
    plain = module(grad_req="add")
    for each in (mod, plain):
        each.init_optimizer(optimizer_params={"learning_rate": 0.5})
        for k in range(2):
            each.forward_backward(batch_of(6, 4, seed=k))
        each.update()
    for name, weight in plain.get_params()[0].items():
        np.testing.assert_allclose(mod.get_params()[0][name].asnumpy(), weight.asnumpy(), atol=2e-3)


def test_unscale():
    mixed, plain = both(mlp(), (6, 4))
    amp.unscale(mixed)
    amp.unscale(mixed)                      # once is enough
    for name, gradient in gradients(plain).items():
        np.testing.assert_allclose(gradients(mixed)[name], gradient, rtol=0.02, atol=1e-3)
    with pytest.raises(mx.MXNetError, match="call update"):
        mixed.backward()
    for mod in (mixed, plain):
        mod.init_optimizer(optimizer_params={"learning_rate": 0.5})
        mod.update()
    for name, weight in plain.get_params()[0].items():
        np.testing.assert_allclose(mixed.get_params()[0][name].asnumpy(), weight.asnumpy(), atol=2e-3)
    mixed.forward_backward(batch_of(6, 4))
    assert max(np.abs(g).max() for g in gradients(mixed).values()) > 100


def test_init_trainer_begins_anew():
    mod = module(dtype="float16")
    mod.init_optimizer()
    amp.get_loss_scaler(mod).step(False)
    amp.init_trainer(mod)
    assert amp.get_loss_scaler(mod).loss_scale == 2.0 ** 16
