"""Automatic mixed precision on the CPU: training by Module, the scale of gradients, converted symbols."""
import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mxlite as mx
from mxlite.contrib import amp
from mxlite.contrib.amp import lists
from mxlite.contrib.amp.convert import Rules
from mxlite.contrib.amp.executor_group import SCALE, training_symbol
from mxlite.ops.record import REGISTRY

from .amp_programs import program

HALVES = ("float16", "bfloat16")


@pytest.fixture(autouse=True)
def off_again():
    yield
    amp.disable()


def mlp(classes=3, hidden=16):
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=hidden, name="f1")
    x = mx.sym.Activation(x, act_type="tanh", name="r")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(x, num_hidden=classes, name="f2"), name="softmax")


def lenet(classes=10):
    x = mx.sym.Convolution(mx.sym.Variable("data"), kernel=(3, 3), pad=(1, 1), num_filter=16, name="c1")
    x = mx.sym.Pooling(mx.sym.Activation(x, act_type="tanh"), kernel=(2, 2), stride=(2, 2), pool_type="max")
    x = mx.sym.BatchNorm(mx.sym.Convolution(x, kernel=(3, 3), num_filter=32, name="c2"), name="bn", fix_gamma=False)
    x = mx.sym.Flatten(mx.sym.Activation(x, act_type="relu"))
    x = mx.sym.Activation(mx.sym.FullyConnected(x, num_hidden=64, name="f1"), act_type="relu")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(x, num_hidden=classes, name="f2"), name="softmax")


def batch_of(*shape, classes=3, seed=0):
    rng = np.random.RandomState(seed)
    return mx.io.DataBatch([mx.nd.array(rng.uniform(-1, 1, shape))], [mx.nd.array(rng.randint(0, classes, shape[0]))])


SMALL = 2.0 ** 10       # a scale at which gradients of these networks stay in float16's range


def module(net=None, dtype=None, shape=(6, 4), context=None, scale=SMALL, **bind):
    """A bound module with parameters, in mixed precision where a dtype is given."""
    amp.disable()
    if dtype:
        amp.init(dtype)
    net = mlp() if net is None else net
    labels = [name for name in net.list_arguments() if name.endswith("label")]
    mod = mx.mod.Module(net, label_names=labels, context=context or mx.cpu())
    mod.bind([("data", shape)], [(name, shape[:1]) for name in labels] or None, **bind)
    mx.random.seed(3)
    mod.init_params(mx.init.Xavier())
    if dtype == "float16" and amp.get_loss_scaler(mod):
        amp.get_loss_scaler(mod)._loss_scale = scale
    return mod


def gradients(mod):
    return {name: grads[0].asnumpy() for name, grads in zip(mod._param_names, mod._exec_group.grad_arrays)
            if grads[0] is not None}


# -- training ---------------------------------------------------------------------------------------------------------
def accuracy(net, data, dtype, epochs, lr):
    x, y, xv, yv = data
    amp.disable()
    if dtype:
        amp.init(dtype)
    mx.random.seed(1)
    np.random.seed(1)
    mod = mx.mod.Module(net)
    train = mx.io.NDArrayIter(x, y, 64, shuffle=True, last_batch_handle="discard")
    mod.fit(train, num_epoch=epochs, initializer=mx.init.Xavier(), optimizer="sgd",
            optimizer_params={"learning_rate": lr, "momentum": 0.9, "wd": 1e-4})
    return mod, mod.score(mx.io.NDArrayIter(xv, yv, 60), "acc")[0][1]


@pytest.fixture(scope="module")
def digits():
    sklearn = pytest.importorskip("sklearn.datasets", reason="the scans are in scikit-learn: pip install scikit-learn")
    x, y = sklearn.load_digits(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(x))
    x, y = (x[order] / 16).astype("float32"), y[order].astype("float32")
    return x[:1437], y[:1437], x[1437:], y[1437:]


@pytest.mark.parametrize("dtype", [None, *HALVES])
def test_an_mlp_learns_digits(digits, dtype):
    _, score = accuracy(mlp(10, 64), digits, dtype, 12, 0.2)
    assert score > 0.97


@pytest.mark.parametrize("dtype", [None, *HALVES])
def test_a_convolutional_network_learns_digits(digits, dtype):
    x, y, xv, yv = digits
    _, score = accuracy(lenet(), (x.reshape(-1, 1, 8, 8), y, xv.reshape(-1, 1, 8, 8), yv), dtype, 8, 0.05)
    assert score > 0.97


@pytest.fixture(scope="module")
def clusters():
    rng = np.random.RandomState(5)
    centres = rng.normal(size=(4, 12)) * 2
    y = rng.randint(0, 4, 900)
    x = (centres[y] + rng.normal(size=(900, 12))).astype("float32")
    return x[:600], y[:600].astype("float32"), x[600:], y[600:].astype("float32")


@pytest.mark.parametrize("dtype", HALVES)
def test_training_is_as_good_as_in_float32(clusters, dtype):
    """And what it leaves is float32: parameters, symbol, checkpoint."""
    _, wide = accuracy(mlp(4), clusters, None, 4, 0.1)
    mod, half = accuracy(mlp(4), clusters, dtype, 4, 0.1)
    assert wide > 0.97 and half > wide - 0.01
    assert {array.dtype for array in mod.get_params()[0].values()} == {np.float32}
    assert "amp" not in mod.symbol.tojson(remove_amp_cast=False)
    assert mod.output_names == ["softmax_output"] and mod.output_shapes[0][0] == "softmax_output"
    assert amp.get_loss_scaler(mod) is None if dtype == "bfloat16" else amp.get_loss_scaler(mod).loss_scale >= 1024


@pytest.mark.parametrize("dtype", HALVES)
def test_checkpoints_are_float32(tmp_path, dtype):
    net = lenet()
    mod = module(net, dtype, (4, 1, 8, 8))
    mod.save_checkpoint(str(tmp_path / "net"), 1)
    symbol, args, aux = mx.model.load_checkpoint(str(tmp_path / "net"), 1)
    assert symbol.tojson(remove_amp_cast=False) == net.tojson(remove_amp_cast=False)
    assert {array.dtype for array in (*args.values(), *aux.values())} == {np.float32}
    amp.disable()
    plain = mx.mod.Module.load(str(tmp_path / "net"), 1)
    plain.bind([("data", (4, 1, 8, 8))], for_training=False)
    batch = batch_of(4, 1, 8, 8, classes=10)
    for each in (mod, plain):
        each.forward(batch, is_train=False)
    ours, wide = (each.get_outputs()[0].asnumpy() for each in (mod, plain))
    np.testing.assert_allclose(ours, wide, atol=0.03)
    assert not np.array_equal(ours, wide)           # it did run in half precision


def test_only_what_is_bound_afterwards_changes():
    before = module()
    amp.init("float16")
    assert type(before._exec_group) is mx.mod.executor_group.DataParallelExecutorGroup
    after = mx.mod.Module(mlp())
    after.bind([("data", (6, 4))], [("softmax_label", (6,))])
    later = mx.mod.Module(mlp())
    amp.disable()
    later.bind([("data", (6, 4))], [("softmax_label", (6,))])
    assert [hasattr(m._exec_group, "scaling") for m in (before, after, later)] == [False, True, False]


# -- the scale --------------------------------------------------------------------------------------------------------
def both(net, shape, dtype="float16", head_grads=None, **bind):
    """(mixed, plain) modules of one network and parameters after forward and backward of one batch."""
    batch, out = batch_of(*shape), []
    for each in (dtype, None):
        mod = module(net, each, shape, **bind)
        mod.forward(batch, is_train=True)
        mod.backward(head_grads)
        out.append(mod)
    return out


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


# -- other modules ----------------------------------------------------------------------------------------------------
def test_several_contexts():
    one, two = module(dtype="float16"), module(dtype="float16", context=[mx.cpu(0), mx.cpu(1)])
    for mod in (one, two):
        mod.init_optimizer(optimizer_params={"learning_rate": 0.5})
        mod.forward_backward(batch_of(6, 4))
        mod.update()
    for name, weight in one.get_params()[0].items():
        np.testing.assert_allclose(two.get_params()[0][name].asnumpy(), weight.asnumpy(), atol=1e-3)
    two.forward_backward(batch_of(6, 4))
    before = two.get_params()[0]["f1_weight"].asnumpy()
    two._exec_group.grad_arrays[0][1][:] = np.inf           # on the second device alone
    two.update()
    assert amp.get_loss_scaler(two).loss_scale == SMALL / 2
    assert np.array_equal(two.get_params()[0]["f1_weight"].asnumpy(), before)


@pytest.mark.parametrize("dtype", HALVES)
def test_buckets_share_the_scale(dtype):
    def sym_gen(steps):
        x = mx.sym.Reshape(mx.sym.Variable("data"), shape=(-1, 3))
        x = mx.sym.Reshape(mx.sym.FullyConnected(x, num_hidden=4, name="f"), shape=(-1, steps * 4))
        x = mx.sym.sum(mx.sym.Reshape(x, shape=(-1, steps, 4)), axis=1)
        return mx.sym.SoftmaxOutput(x, name="softmax"), ("data",), ("softmax_label",)
    amp.init(dtype)
    mod = mx.mod.BucketingModule(sym_gen, default_bucket_key=5)
    mod.bind([("data", (6, 5, 3))], [("softmax_label", (6,))])
    mod.init_params()
    mod.init_optimizer()
    amp.disable()                           # buckets that come later are of the first one's kind
    for steps in (5, 3, 5):
        batch = batch_of(6, steps, 3)
        batch.bucket_key, batch.provide_data = steps, [("data", (6, steps, 3))]
        batch.provide_label = [("softmax_label", (6,))]
        mod.forward_backward(batch)
        if dtype == "float16":
            mod._curr_module._exec_group.grad_arrays[0][0][:] = np.inf
        mod.update()
    assert dtype == "bfloat16" and amp.get_loss_scaler(mod) is None or amp.get_loss_scaler(mod).loss_scale == 2.0 ** 13
    done = amp.convert_bucketing_module(mod, dtype, cast_optional_params=True)
    done.bind([("data", (6, 5, 3))], [("softmax_label", (6,))], for_training=False)
    done.forward(batch, is_train=False)
    mod.forward(batch, is_train=False)
    np.testing.assert_allclose(done.get_outputs()[0].asnumpy(), mod.get_outputs()[0].asnumpy(), atol=1e-2)
    assert "amp_cast" in done.symbol.tojson(remove_amp_cast=False)


@pytest.mark.parametrize("dtype", HALVES)
def test_parameters_in_operators_that_run_in_either(dtype):
    """The slopes of PReLU stand beside half-precision data, and stay float32."""
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=5, name="f1")
    net = mx.sym.SoftmaxOutput(mx.sym.LeakyReLU(x, act_type="prelu", name="p"), name="softmax")
    mixed, plain = both(net, (6, 4), dtype)
    scale = SMALL if dtype == "float16" else 1
    assert mixed._exec_group.execs[0].arg_dict["p_gamma"].dtype == np.float32
    np.testing.assert_allclose(gradients(mixed)["p_gamma"] / scale, gradients(plain)["p_gamma"], atol=0.03)


def test_prediction_has_no_scale():
    mod = module(dtype="float16", for_training=False)
    assert SCALE not in mod._exec_group.bound_symbol.list_arguments() and amp.get_loss_scaler(mod) is None
    mod.forward(batch_of(6, 4), is_train=False)
    assert mod.get_outputs()[0].dtype == np.float32


# -- converted symbols ------------------------------------------------------------------------------------------------
@given(st.integers(0, 10 ** 6))
@settings(max_examples=120, deadline=None)
def test_converted_graphs_fit_together(seed):
    """Whatever the network: all dtypes can be inferred from float32 variables, outputs are float32, and without its
    casts the graph is the old one."""
    lines, heads, options = program(random.Random(seed))
    space = {"sym": mx.sym}
    for line in lines:
        exec(line, space)
    net = mx.sym.Group([space[name] for name in heads])
    options.pop("data_names", None)
    options.pop("cast_optional_params", None)
    done = amp.convert_symbol(net, **options)
    args, outs, aux = done.infer_type(**dict.fromkeys(done.list_arguments(), "float32"))
    assert outs == [np.float32] * len(heads)
    assert len(args) == len(net.list_arguments()) and set(aux) <= {np.float32}
    names = [[node["name"] for node in json.loads(s.tojson())["nodes"] if "_amp_cast_" not in node["name"]]
             for s in (done, net)]
    assert names[0] == names[1]
    training = training_symbol(net, Rules(**options), True)
    assert training.infer_type(**dict.fromkeys(training.list_arguments(), "float32"))[1] == outs


@pytest.mark.parametrize("dtype", HALVES)
def test_lists(dtype):
    """Every name is an operator's, and in one list."""
    names = [name for list_of in ("lp16_ops", "fp32_ops", "lp16_fp32_ops", "widest_type_cast")
             for name in getattr(amp, f"list_{list_of}")(dtype)]
    assert len(names) == len(set(names)) and len(names) > 350 and set(names) <= set(REGISTRY)
    assert lists.NAMED_OUTPUTS <= set(REGISTRY)
    amp.list_fp32_ops(dtype).clear()
    assert amp.list_fp32_ops(dtype)


def test_the_scale_operator_passes_on():
    x, s = mx.sym.Variable("x"), mx.sym.Variable("s")
    for inverse, factor in ((False, 8.0), (True, 0.125)):
        for dtype in ("float16", "bfloat16", "float32", "float64"):
            net = mx.sym._internal._scale_gradient(x, s, inverse=inverse)
            args = {"x": mx.nd.array([1.5, -2.0], dtype=dtype), "s": mx.nd.array([8.0])}
            exe = net.bind(mx.cpu(), args, {"x": mx.nd.zeros((2,), dtype=dtype)})
            exe.forward(is_train=True)
            exe.backward(mx.nd.array([1.0, 3.0], dtype=dtype))
            assert exe.outputs[0].astype("float32").asnumpy().tolist() == [1.5, -2.0]
            assert exe.grad_dict["x"].astype("float32").asnumpy().tolist() == [factor, 3 * factor]


# -- errors -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("call, error, text", [
    (lambda: amp.init("float32"), AssertionError, "float16 or bfloat16"),
    (lambda: amp.init("int8"), AssertionError, "float16 or bfloat16"),
    (lambda: amp.init(fp32_ops=["nothing"]), AssertionError, "nothing: the precision"),
    (lambda: amp.init(fp32_ops="exp"), AssertionError, "must be a list of names"),
    (lambda: amp.init(fp32_ops=["Convolution"]), AssertionError, "two lists: Convolution"),
    (lambda: amp.init(conditional_fp32_ops=[("exp", 1)]), AssertionError, "conditional_fp32_ops must be a list"),
    (lambda: amp.convert_symbol(1), AssertionError, "sym must be a Symbol, not int"),
    (lambda: amp.convert_symbol(mlp(), data_names=["datum"]), mx.MXNetError, "argument name datum not found"),
    (lambda: amp.convert_model(mlp(), [], {}), AssertionError, "arg_params must be a dict"),
    (lambda: amp.convert_bucketing_module(module()), AssertionError, "must be a BucketingModule, not Module"),
    (lambda: amp.scale_loss(1, module()), mx.MXNetError, "Gluon's Trainer"),
    (lambda: amp.unscale(mx.optimizer.SGD()), TypeError, "takes a Module, which has the gradients"),
    (lambda: amp.unscale(1), TypeError, "no Gluon Trainer"),
    (lambda: amp.init_trainer(module()), mx.MXNetError, r"call amp.init\(\) before module.bind\(\)"),
    (lambda: amp.get_loss_scaler(mx.mod.Module(mlp())), mx.MXNetError, "before module.bind"),
    (lambda: amp.list_lp16_ops("int8"), AssertionError, "float16 or bfloat16"),
    (lambda: amp.convert_hybrid_block, AttributeError, "Gluon is not part of mxlite"),
    (lambda: module(mx.sym.FullyConnected(mx.sym.Variable("data") * mx.sym.Variable(SCALE), num_hidden=2),
                    "float16"), mx.MXNetError, "give it another name")])
def test_what_is_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_init_trainer_begins_anew():
    mod = module(dtype="float16")
    mod.init_optimizer()
    amp.get_loss_scaler(mod).step(False)
    amp.init_trainer(mod)
    assert amp.get_loss_scaler(mod).loss_scale == 2.0 ** 16
