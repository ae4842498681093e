"""Automatic mixed precision on the CPU: training by Module."""
import numpy as np
import pytest

import mxlite as mx
from mxlite.contrib import amp
from mxlite.contrib.amp.executor_group import SCALE

from .amp_networks import HALVES, SMALL, batch_of, both, gradients, lenet, mlp, module


@pytest.fixture(autouse=True)
def off_again():
    yield
    amp.disable()


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


def test_parts_on_several_contexts():
    """Where forward copies the scale to other contexts, a new scale is there in time."""
    groups = {}
    for name in ("a", "b"):
        with mx.AttrScope(ctx_group=name):
            x = groups[name] = mx.sym.FullyConnected(groups.get("a", mx.sym.Variable("data")), num_hidden=3, name=name)
    with mx.AttrScope(ctx_group="b"):
        net = mx.sym.SoftmaxOutput(x, name="softmax")
    out = []
    for dtype in ("float16", None):
        amp.init(dtype) if dtype else amp.disable()
        mod = mx.mod.Module(net, context=[mx.cpu(0), mx.cpu(1)], group2ctxs={"a": mx.cpu(2), "b": mx.cpu(3)})
        mod.bind([("data", (6, 4))], [("softmax_label", (6,))])
        mx.random.seed(3)
        mod.init_params(mx.init.Xavier())
        mod.init_optimizer(optimizer_params={"learning_rate": 0.5})
        for scale in (64.0, 4.0, 256.0):
            if dtype:
                amp.get_loss_scaler(mod)._loss_scale = scale
            mod.forward_backward(batch_of(6, 4))
            mod.update()
        out.append(mod.get_params()[0])
    for name, weight in out[1].items():
        np.testing.assert_allclose(out[0][name].asnumpy(), weight.asnumpy(), atol=2e-3)


@pytest.mark.parametrize("dtype", HALVES)
def test_inputs_in_half_precision(dtype):
    """They are bound in float32, or the parameters would be of their dtype."""
    amp.init(dtype)
    mod = mx.mod.Module(mlp())
    mod.bind([mx.io.DataDesc("data", (6, 4), dtype)], [mx.io.DataDesc("softmax_label", (6,), "float16")])
    mod.init_params()
    mod.init_optimizer()
    batch = batch_of(6, 4)
    mod.forward_backward(mx.io.DataBatch([batch.data[0].astype(dtype)], batch.label))
    mod.update()
    assert {array.dtype for array in mod.get_params()[0].values()} == {np.float32}
    assert mod.get_outputs()[0].dtype == np.float32


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


# -- errors -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("call, error, text", [
    (lambda: amp.init("float32"), AssertionError, "float16 or bfloat16"),
    (lambda: amp.init("int8"), AssertionError, "float16 or bfloat16"),
    (lambda: amp.init(fp32_ops=["nothing"]), AssertionError, "nothing: the precision"),
    (lambda: amp.init(fp32_ops="exp"), AssertionError, "must be a list of names"),
    (lambda: amp.init(fp32_ops=["Convolution"]), AssertionError, "two lists: Convolution"),
    (lambda: amp.init(conditional_fp32_ops=[("exp", 1)]), AssertionError, "conditional_fp32_ops must be a list"),
    (lambda: amp.convert_symbol(1), AssertionError, "sym must be a Symbol, not int"),
    (lambda: amp.convert_symbol(mlp(), data_names="data"), AssertionError, "data_names must be a list"),
    (lambda: amp.convert_symbol(mlp(), data_names=["datum"]), mx.MXNetError, "argument name datum not found"),
    (lambda: amp.convert_model(mlp(), [], {}), AssertionError, "arg_params must be a dict"),
    (lambda: amp.convert_model(mlp(), {"f1_bias": 1}, {}), AssertionError, "'f1_bias' must be a NDArray, not int"),
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
