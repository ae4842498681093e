"""What several nodes become when they run as one: the same results, rounding apart; every pass can be turned off."""
import numpy as np
import pytest
from mxlite._core.watch import Watch

import mxlite as mx

from . import networks


def run(net, shapes, options=(), is_train=False, seed=0, low=-1.0, high=1.0, updates=1, dtype="float32"):
    """Outputs (and gradients, after a training step) with the options in `options` off, and the program as text."""
    rng = np.random.default_rng(seed)
    before = {name: mx.runtime.set_option(name, False) for name in options}
    try:
        executor = net.simple_bind(mx.cpu(), grad_req="write" if is_train else "null",
                                   type_dict={n: dtype for n in net.list_arguments()}, **shapes)
        for name, array in [*executor.arg_dict.items(), *executor.aux_dict.items()]:
            value = rng.uniform(low, high, array.shape)
            array[:] = np.abs(value) + 0.5 if "var" in name else rng.integers(2, size=array.shape) \
                if name.endswith("label") else value
        out = []
        for _ in range(updates):
            out += [o.asnumpy() for o in executor.forward(is_train=is_train)]
            if is_train:
                executor.backward([mx.nd.ones(o.shape, dtype=dtype) for o in executor.outputs])
                out += [g.asnumpy() for g in executor.grad_arrays if g is not None]
        return out + [a.asnumpy() for a in executor.aux_arrays], executor.explain("train" if is_train else "infer")
    finally:
        for name, value in before.items():
            mx.runtime.set_option(name, value)


def same(net, shapes, options, expected, tolerance=1e-5, **how):
    """The results with `options` off are the same, rounding apart; the program says `expected`, without them not."""
    fused, text = run(net, shapes, **how)
    plain, plain_text = run(net, shapes, options, **how)
    assert expected is None or expected in text and expected not in plain_text, text
    for a, b in zip(fused, plain):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1.0, np.abs(b).max(initial=0)))


def conv_net(act="relu", residual=False, bias=True, norm=False, kernel=(3, 3), group=1):
    x = mx.sym.Variable("data")
    pad = tuple(k // 2 for k in kernel)
    y = mx.sym.Convolution(x, kernel=kernel, pad=pad, num_filter=12, no_bias=not bias, num_group=group, name="conv")
    if norm:
        y = mx.sym.BatchNorm(y, fix_gamma=False, eps=1e-3, name="bn")
    if residual:
        y = y + mx.sym.Convolution(x, kernel=(1, 1), num_filter=12, name="short")
    if act == "relu":
        return mx.sym.Activation(y, act_type="relu", name="relu")
    return mx.sym.clip(y, -0.25, 0.75, name="clip") if act == "clip" else y


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("is_train", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("act", ["relu", "clip"])
def test_convolution_takes_its_epilogue(act, residual, bias, is_train, dtype):
    expected = "Convolution" + (" + elemwise_add" if residual else "") + (" + clip" if act == "clip" else
                                                                           " + Activation")
    if act == "clip" and is_train:      # its gradient reads what was clipped
        expected = expected.replace(" + clip", "") if residual else None
    for shape in ((2, 3, 9, 7), (1, 4, 17, 16)):
        same(conv_net(act, residual, bias), {"data": shape}, ["fuse"], expected, is_train=is_train, dtype=dtype)


def test_an_addition_without_activation_is_taken_too():
    same(conv_net(None, True), {"data": (2, 5, 6, 6)}, ["fuse"], "Convolution + elemwise_add")


@pytest.mark.parametrize("group, kernel", [(4, (3, 3)), (2, (1, 1)), (1, (5, 3))])
def test_grouped_and_depthwise_convolutions_too(group, kernel):
    same(conv_net("relu", True, True, kernel=kernel, group=group), {"data": (2, 4, 8, 9)}, ["fuse"],
         "Convolution + elemwise_add + Activation")


@pytest.mark.parametrize("is_train", [False, True])
def test_a_dense_layer_takes_its_epilogue(is_train):
    x = mx.sym.Variable("data")
    net = mx.sym.relu(mx.sym.FullyConnected(x, num_hidden=7) + mx.sym.FullyConnected(x, num_hidden=7, no_bias=True))
    for batch in (1, 3, 70):
        same(net, {"data": (batch, 33)}, ["fuse"], "FullyConnected + elemwise_add + relu", is_train=is_train)


def test_nan_stays_nan_through_a_fused_relu():
    x = mx.sym.Variable("data")
    net = mx.sym.relu(mx.sym.FullyConnected(x, num_hidden=3, no_bias=True))
    executor = net.simple_bind(mx.cpu(), grad_req="null", data=(5, 2))
    executor.arg_dict["data"][:] = np.nan
    assert np.isnan(executor.forward()[0].asnumpy()).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("how", [{"kernel": (3, 3), "pad": (1, 1)}, {"kernel": (1, 1)},
                                 {"kernel": (3, 3), "pad": (2, 2), "dilate": (2, 2), "num_group": 2},
                                 {"kernel": (3, 3), "pad": (1, 1), "num_group": 16}])
def test_gradients_that_meet_are_added_by_the_convolution(how, dtype):
    """The backward of a residual block."""
    x = mx.sym.tanh(mx.sym.Variable("data"))
    net = x + mx.sym.tanh(mx.sym.Convolution(x, num_filter=16, **how))
    for size in (6, 20):
        same(net, {"data": (2, 16, size, size)}, ["fuse"], "_conv_dgrad + elemwise_add", is_train=True, dtype=dtype)


def test_what_somebody_else_reads_is_not_fused_away():
    x = mx.sym.Variable("data")
    conv = mx.sym.Convolution(x, kernel=(1, 1), num_filter=4, name="conv")
    for net in (mx.sym.Group([mx.sym.relu(conv), conv]), mx.sym.relu(conv) * conv, mx.sym.relu(conv + conv)):
        fused, text = run(net, {"data": (1, 3, 4, 4)})
        plain, _ = run(net, {"data": (1, 3, 4, 4)}, ["fuse", "fold", "prepare"])
        assert "Convolution + " not in text
        for a, b in zip(fused, plain):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("fix_gamma", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_batch_norm_becomes_weights_at_inference(bias, fix_gamma):
    x = mx.sym.Variable("data")
    conv = mx.sym.Convolution(x, kernel=(3, 3), num_filter=6, no_bias=not bias)
    net = mx.sym.relu(mx.sym.BatchNorm(conv, fix_gamma=fix_gamma))
    same(net, {"data": (2, 4, 7, 7)}, ["fold"], "BatchNorm into weights")
    fused, text = run(net, {"data": (2, 4, 7, 7)}, is_train=True)
    assert "BatchNorm into weights" not in text             # a training step uses the batch's statistics
    dense = mx.sym.BatchNorm(mx.sym.FullyConnected(x, num_hidden=6, no_bias=not bias), fix_gamma=fix_gamma)
    same(dense, {"data": (5, 8)}, ["fold"], "BatchNorm into weights")


def norm_net(act, residual, before=True):
    """BatchNorm behind another operator, then an addition, then an activation, then something that reads it."""
    x = mx.sym.Variable("data")
    y = mx.sym.tanh(x) if before else x
    y = mx.sym.BatchNorm(y, fix_gamma=False, eps=1e-3, name="bn")
    if residual:
        y = y + mx.sym.sin(x)
    y = mx.sym.relu(y) if act == "relu" else mx.sym.clip(y, -0.3, 0.6) if act == "clip" else y
    return mx.sym.square(y) * 0.5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("is_train", [False, True])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("act", ["relu", "clip"])
def test_batch_norm_takes_its_epilogue(act, residual, is_train, dtype):
    expected = "BatchNorm" + (" + elemwise_add" if residual else "") + " + " + act
    if act == "clip" and is_train:
        expected = "BatchNorm"      # clip's gradient reads what was clipped
    for shape in ((4, 3, 5, 7), (3, 17, 33), (9, 6)):
        fused, text = run(norm_net(act, residual), {"data": shape}, is_train=is_train, dtype=dtype, updates=2)
        plain, plain_text = run(norm_net(act, residual), {"data": shape}, ["fuse"], is_train=is_train, dtype=dtype,
                                updates=2)
        assert expected in text and (" + " not in plain_text.split("arena")[0])
        assert ("_backward_relu + _backward_BatchNorm" in text) == (is_train and act == "relu")
        for a, b in zip(fused, plain, strict=True):
            eps = 2e-5 if dtype == "float32" else 1e-11
            np.testing.assert_allclose(a, b, rtol=eps, atol=eps * max(1.0, np.abs(b).max()))


def test_nan_goes_through_a_fused_batch_norm_as_through_a_plain_one():
    def gradients(options):
        before = {o: mx.runtime.set_option(o, False) for o in options}
        executor = norm_net("relu", True).simple_bind(mx.cpu(), data=(3, 2, 4))
        value = np.random.default_rng(0).normal(size=(3, 2, 4))
        value[1, 0, 2] = np.nan
        executor.arg_dict["data"][:] = value
        executor.arg_dict["bn_gamma"][:] = 1
        executor.forward(is_train=True)
        executor.backward([mx.nd.ones((3, 2, 4))])
        for o, v in before.items():
            mx.runtime.set_option(o, v)
        return [executor.outputs[0].asnumpy()] + [g.asnumpy() for g in executor.grad_arrays]
    for a, b in zip(gradients([]), gradients(["fuse"]), strict=True):
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b))


def test_batch_norm_over_another_axis_is_left_alone():
    x = mx.sym.Variable("data")
    conv = mx.sym.Convolution(x, kernel=(3, 3), num_filter=6)
    for net in (mx.sym.BatchNorm(conv, axis=2), mx.sym.BatchNorm(conv, output_mean_var=True)[1],
                mx.sym.Group([conv, mx.sym.BatchNorm(conv)])):
        assert "into weights" not in run(net, {"data": (2, 4, 7, 7)})[1]


WAYS = {
    "assignment": lambda a: a.__setitem__(slice(None), 0.25),
    "in place": lambda a: a.__imul__(2.0),
    "part": lambda a: a[0:1].__setitem__(slice(None), 0.5),
    "element": lambda a: a.__setitem__((0,) * a.ndim, 3.0),
    "reshaped": lambda a: a.reshape((-1,)).__setitem__(slice(None), 0.125),
    "out=": lambda a: mx.nd.ones(a.shape, out=a),
    "copyto": lambda a: mx.nd.full(a.shape, 0.75).copyto(a),
    "update": lambda a: mx.nd.sgd_update(a, mx.nd.ones(a.shape), lr=0.05, out=a),
    "numpy": lambda a: a.__setitem__(slice(None), np.full(a.shape, 0.3, "float32")),
    "mask": lambda a: a.__setitem__(mx.nd.ones(a.shape, dtype="bool"), 0.6),
    "view": lambda a: a[:].__iadd__(1.0),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_is_kept_of_parameters_follows_every_write(way):
    """Folded and prepared weights are made anew whenever a parameter was written, in whatever way."""
    net = conv_net("relu", True, True, norm=True)
    executor = net.simple_bind(mx.cpu(), grad_req="null", data=(1, 16, 12, 12))
    rng = np.random.default_rng(0)
    arrays = {**executor.arg_dict, **executor.aux_dict}
    for array in arrays.values():
        array[:] = rng.uniform(0.1, 1, array.shape)
    executor.forward()
    for name, array in arrays.items():
        if name == "data":
            continue
        WAYS[way](array)
        got = executor.forward()[0].asnumpy()
        before = [mx.runtime.set_option(o, False) for o in ("fold", "prepare", "fuse", "winograd")]
        try:
            want = net.bind(mx.cpu(), executor.arg_dict, aux_states=executor.aux_dict).forward()[0].asnumpy()
        finally:
            for o, value in zip(("fold", "prepare", "fuse", "winograd"), before):
                mx.runtime.set_option(o, value)
        np.testing.assert_allclose(got, want, rtol=2e-4, atol=2e-4 * np.abs(want).max(), err_msg=name)


def test_memory_that_others_write_is_never_kept():
    """A weight that shares its memory with NumPy may change without a word."""
    weight = np.ones((4, 3, 1, 1), "float32")
    shared = mx.nd.from_numpy(weight, zero_copy=True) if hasattr(mx.nd, "from_numpy") else None
    net = mx.sym.BatchNorm(mx.sym.Convolution(mx.sym.Variable("data"), kernel=(1, 1), num_filter=4, no_bias=True,
                                              weight=mx.sym.Variable("w")), name="bn")
    args = {"data": mx.nd.ones((1, 3, 2, 2)), "w": shared, "bn_gamma": mx.nd.ones((4,)), "bn_beta": mx.nd.zeros((4,))}
    executor = net.bind(mx.cpu(), args, aux_states=[mx.nd.zeros((4,)), mx.nd.ones((4,))])
    one = executor.forward()[0].asnumpy().copy()
    weight *= 2
    np.testing.assert_allclose(executor.forward()[0].asnumpy(), 2 * one, rtol=1e-6)


def test_an_option_changed_between_runs_counts_at_once():
    net = conv_net("relu", False, True, norm=True)
    executor = net.simple_bind(mx.cpu(), grad_req="null", data=(1, 3, 6, 6))
    assert "into weights" in executor.explain("infer")
    with mx.runtime.option("fold", False):
        executor.forward()
        assert "into weights" not in executor.explain("infer")
    assert "into weights" in executor.explain("infer")


def test_options_refuse_what_they_do_not_know():
    with pytest.raises(KeyError, match="winograd"):
        mx.runtime.set_option("wino", True)
    with pytest.raises(TypeError, match="on or off"):
        mx.runtime.set_option("winograd", "yes")
    assert set(mx.runtime.options()) >= {"winograd", "fuse", "fold", "prepare"}


@pytest.mark.parametrize("make, shape", [(networks.lenet, (2, 1, 28, 28)), (networks.resnet18, (2, 3, 32, 32)),
                                         (networks.mlp, (8, 20))])
def test_networks_give_the_same_results(make, shape):
    every = list(mx.runtime.options())
    for is_train in (False, True):
        fused, _ = run(make(mx), {"data": shape}, is_train=is_train, low=-0.1, high=0.1, dtype="float64")
        plain, _ = run(make(mx), {"data": shape}, every, is_train=is_train, low=-0.1, high=0.1, dtype="float64")
        for a, b in zip(fused, plain):
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8 * max(1.0, np.abs(b).max()))


def test_states_that_a_forward_writes_count_as_written():
    """`mom` moves in every forward; a network whose weight is that very array must see it."""
    w, mom = mx.nd.ones((16, 16)), mx.nd.ones((16, 16))
    update = mx.sym.sgd_mom_update(*map(mx.sym.Variable, ("w", "g", "mom")), lr=1, momentum=0.5)
    args = dict(zip(update.list_arguments(), [w, mx.nd.zeros((16, 16))]))
    step = update.bind(mx.cpu(), args, aux_states=[mom])
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), mx.sym.Variable("weight"), num_hidden=16, no_bias=True)
    executor = net.bind(mx.cpu(), {"data": mx.nd.ones((8, 16)), "weight": mom})
    assert "(once)" in executor.explain("infer")
    for value in (16, 8, 4):
        assert (executor.forward()[0].asnumpy() == value).all()
        step.forward()


def test_a_parameter_written_while_the_program_runs_is_seen_the_next_time():
    weight = mx.nd.ones((8, 8))
    watch = Watch([weight])
    state = watch.now()
    weight[:] = 2               # between noting and the end of the run
    watch.note(state)
    assert watch.changed()
    watch.note(watch.now())
    assert not watch.changed()


def test_batch_norms_that_share_their_states_move_them_in_order():
    x, states = mx.sym.Variable("data"), {k: mx.sym.Variable(k) for k in ("moving_mean", "moving_var")}
    ys = [mx.sym.relu(mx.sym.BatchNorm(mx.sym.tanh(x * k), fix_gamma=False, momentum=0.5, name=f"bn{k}", **states))
          for k in (1, 2, 3)]
    net = mx.sym.Group([ys[2] * ys[0], ys[1]])
    fused, text = run(net, {"data": (4, 3, 5)}, is_train=True, dtype="float64", updates=2)
    plain, _ = run(net, {"data": (4, 3, 5)}, ["fuse"], is_train=True, dtype="float64", updates=2)
    assert "BatchNorm + relu" in text and "_backward_relu + _backward_BatchNorm" not in text
    for a, b in zip(fused, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
