"""mx.autograd: recording, gradients against the bound graph and against differences, modes, functions, misuse."""
import gc
import threading
import weakref

import numpy as np
import pytest

import mxlite as mx
from mxlite import autograd as ag

from .leaf import leaf

nd = mx.nd


def test_gradient_of_a_product():
    x = leaf([[1, 2], [3, 4]])
    assert x.grad.asnumpy().tolist() == [[0, 0], [0, 0]]
    with ag.record():
        y = x * x
    assert y.backward() is None
    assert x.grad.asnumpy().tolist() == [[2, 4], [6, 8]]
    assert nd.ones(2).grad is None


def test_modes_nest():
    seen = []

    def note():
        seen.append((ag.is_recording(), ag.is_training()))
    note()
    with ag.record(train_mode=False):
        note()
    with ag.train_mode():
        note()
    block = ag.record()
    with block:
        with ag.pause():
            note()
        with ag.pause(train_mode=True):
            note()
        with ag.predict_mode():
            note()
            with block:
                note()
        note()
    note()
    assert seen == [(False, False), (True, False), (False, True), (False, False), (False, True), (True, False),
                    (True, True), (True, True), (False, False)]
    assert [ag.set_recording(True), ag.set_recording(False), ag.set_training(True), ag.set_training(False)] == [
        False, True, False, True]
    with pytest.raises(ZeroDivisionError), ag.record():
        raise ZeroDivisionError
    assert not ag.is_recording() and not ag.is_training()


def test_threads_record_for_themselves():
    inside = threading.Event()
    leave = threading.Event()
    seen = []

    def other():
        with ag.record():
            inside.set()
            leave.wait(10)
            seen.append(ag.is_recording())
    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(10)
    assert not ag.is_recording() and not ag.is_training()
    leave.set()
    thread.join()
    assert seen == [True]


def network(seed=0):
    data = mx.sym.Variable("data")
    net = mx.sym.Convolution(data, num_filter=4, kernel=(3, 3), pad=(1, 1), name="conv")
    net = mx.sym.BatchNorm(net, fix_gamma=False, name="bn")
    net = mx.sym.Activation(net, act_type="relu")
    net = mx.sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="max")
    net = mx.sym.Flatten(net)
    net = mx.sym.FullyConnected(net, num_hidden=5, name="fc")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def recorded_network(a):
    net = nd.Convolution(a["data"], a["conv_weight"], a["conv_bias"], num_filter=4, kernel=(3, 3), pad=(1, 1))
    net = nd.BatchNorm(net, a["bn_gamma"], a["bn_beta"], a["bn_moving_mean"], a["bn_moving_var"], fix_gamma=False)
    net = nd.Activation(net, act_type="relu")
    net = nd.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="max")
    net = nd.FullyConnected(nd.Flatten(net), a["fc_weight"], a["fc_bias"], num_hidden=5)
    return nd.SoftmaxOutput(net, a["softmax_label"])


@pytest.mark.parametrize("req", ["write", "add"])
def test_equals_the_bound_graph(req):
    """A network with batch statistics, pooling and a loss: gradients and auxiliary states bit for bit, twice over."""
    r = np.random.default_rng(1)
    exe = network().simple_bind(mx.cpu(), grad_req=req, data=(4, 2, 6, 6), softmax_label=(4,))
    for name, array in exe.arg_dict.items():
        array[:] = r.integers(0, 5, array.shape) if name == "softmax_label" else r.standard_normal(array.shape)
    exe.aux_dict["bn_moving_var"][:] = 1
    arrays = {k: v.copy() for k, v in {**exe.arg_dict, **exe.aux_dict}.items()}
    for name in exe.arg_dict:
        arrays[name].attach_grad(req)
    for _ in range(2):
        out = exe.forward(is_train=True)[0]
        exe.backward()
        with ag.record():
            mine = recorded_network(arrays)
        mine.backward()
        assert np.array_equal(mine.asnumpy(), out.asnumpy())
        for name in exe.arg_dict:
            assert np.array_equal(arrays[name].grad.asnumpy(), exe.grad_dict[name].asnumpy()), name
        for name in exe.aux_dict:
            assert np.array_equal(arrays[name].asnumpy(), exe.aux_dict[name].asnumpy()), name


def test_dropout_draws_its_mask_again():
    x = leaf(np.ones((50, 20)))
    with ag.record():
        y = nd.Dropout(x, p=0.4)
        z = nd.Dropout(y, p=0.5)
    z.backward()
    assert np.array_equal(x.grad.asnumpy(), z.asnumpy())
    assert 0.1 < (z.asnumpy() == 0).mean() < 0.9
    with ag.record(train_mode=False):
        y = nd.Dropout(x, p=0.4)
    y.backward()
    assert (y.asnumpy() == 1).all() and (x.grad.asnumpy() == 1).all()


def test_indexing_and_views_are_recorded():
    x = leaf([[1, 2], [3, 4]])
    with ag.record():
        y = x * x
        total = (y[0].sum() + x.reshape((4,))[1:3].sum() + x[:, 1].sum() + x[nd.array([0, 0])].sum()
                 + x[::-1, None, 0].sum() * 2 + x[1, 1] * 10 + x.expand_dims(0, inplace=True)[0, 1, 0] * 100
                 + x.T[1].sum() + x[np.array([True, False])].sum())
    total.backward()
    want = np.array([[2 + 2 + 2 + 1, 4 + 1 + 1 + 2 + 1 + 1], [1 + 2 + 100, 1 + 10 + 1]], float)
    assert np.array_equal(x.grad.asnumpy(), want)


def test_views_keep_sharing_memory():
    x = leaf([[1, 2], [3, 4]])
    with ag.record():
        row, flat = x[1], x.reshape((4,))
    x[1, 0] = 7
    assert row.asnumpy().tolist() == [7, 4] and flat.asnumpy().tolist() == [1, 2, 7, 4]


def test_assignment_of_a_recorded_array():
    x = leaf([1, 2, 3])
    z = nd.ones((2, 3))
    with ag.record():
        z[1] = x * x
        y = z * nd.array([[1, 1, 1], [1, 10, 100]])
    y.backward()
    assert x.grad.asnumpy().tolist() == [2, 40, 600]
    assert z.asnumpy().tolist() == [[1, 1, 1], [1, 4, 9]]
    z = nd.zeros((2, 3))
    with ag.record():
        z[:] = x[1]
        y = z * 2
    y.backward()
    assert x.grad.asnumpy().tolist() == [0, 12, 0]


def test_in_place_on_an_unrecorded_array():
    """MXNet refuses this; what was there is a constant, so the gradient is known."""
    x, b = leaf([1, 2]), nd.ones((2,))
    with ag.record():
        b += x
        y = b * b
    y.backward()
    assert x.grad.asnumpy().tolist() == [4, 6]
    c = nd.ones((2,), dtype="float64")          # computed in float32 aside, then converted
    with ag.record():
        nd.elemwise_mul(x, x, out=c)
        y = (c * c).astype("float32")
    y.backward()
    assert x.grad.asnumpy().tolist() == [4, 32]


def test_copies_are_recorded():
    a = leaf([1, 1])
    b = nd.zeros((2,), dtype="float64")
    with ag.record():
        a.copyto(b)
        there = a.as_in_context(mx.cpu(1)) * 5
        y = a.copy() * 2 + there.as_in_context(mx.cpu(0)) + a.astype("float64").astype("float32")
        y = y + (b * 3).astype("float32") + a.detach() * 1000
    y.backward()
    assert a.grad.asnumpy().tolist() == [11, 11]


def test_out_is_recorded():
    a, b = leaf([1, 2]), nd.zeros((2,))
    with ag.record():
        nd.elemwise_mul(a, a, out=b)
        y = b * 3
    y.backward()
    assert a.grad.asnumpy().tolist() == [6, 12]


def test_attach_grad_cuts_the_graph():
    x = leaf([1, 2])
    with ag.record():
        y = x * x
    y.attach_grad()
    with ag.record():
        z = y * 3
    z.backward()
    assert y.grad.asnumpy().tolist() == [3, 3] and x.grad.asnumpy().tolist() == [0, 0]


def test_add_and_null():
    x, n = leaf([1, 2], "add"), leaf([1, 2], "null")
    for _ in range(3):
        with ag.record():
            y = x * x * n
        y.backward()
    assert x.grad.asnumpy().tolist() == [6, 24] and n.grad.asnumpy().tolist() == [0, 0]


def test_heads():
    x = leaf([1, 2])
    with ag.record():
        y, z = x * x, x * 3
    ag.backward([y, z, y], [nd.array([1, 10]), None, nd.array([100, 100])])
    assert x.grad.asnumpy().tolist() == [2 * 101 + 3, 4 * 110 + 3]
    with ag.record():
        leafy = x
    leafy.backward()
    assert x.grad.asnumpy().tolist() == [1, 1]
    with ag.record():
        y = nd.BlockGrad(x * 2)
    y.backward()
    assert x.grad.asnumpy().tolist() == [0, 0]


def test_grad_returns_new_arrays():
    x, w = leaf([1, 2]), leaf([3, 4])
    with ag.record():
        y = x * x * w
    gx, gw = ag.grad(y, [x, w])
    assert gx.asnumpy().tolist() == [6, 16] and gw.asnumpy().tolist() == [1, 4]
    assert x.grad.asnumpy().tolist() == [0, 0]
    with ag.record():
        y = x * 2
    twice = ag.grad(y, [x, x], retain_graph=True)
    assert [g.asnumpy().tolist() for g in twice] == [[2, 2], [2, 2]] and twice[0] is not twice[1]
    assert isinstance(ag.grad(y, x), list)
    with ag.record():
        y = x + w
    head = nd.array([5, 6])
    g, h = ag.grad(y, [x, w], head_grads=head)
    g[:] = 0                                       # its own memory: neither the other's nor the caller's
    assert h.asnumpy().tolist() == [5, 6] and head.asnumpy().tolist() == [5, 6]


def test_second_and_third_derivative():
    x = leaf([0.3, -0.7, 1.1], dtype="float64")
    v = x.asnumpy()
    with ag.record():
        y = nd.sin(x) * x
        (g,) = ag.grad(y, x, create_graph=True)
        (h,) = ag.grad(g, x, create_graph=True)
        (k,) = ag.grad(h, x, create_graph=True)
    k.backward()
    np.testing.assert_allclose(g.asnumpy(), np.cos(v) * v + np.sin(v), rtol=1e-12)
    np.testing.assert_allclose(h.asnumpy(), -np.sin(v) * v + 2 * np.cos(v), rtol=1e-12)
    np.testing.assert_allclose(k.asnumpy(), -np.cos(v) * v - 3 * np.sin(v), rtol=1e-12)
    np.testing.assert_allclose(x.grad.asnumpy(), np.sin(v) * v - 4 * np.cos(v), rtol=1e-12)


def test_gradient_penalty_through_layers():
    """The gradient of a squared gradient norm, against central differences."""
    r = np.random.default_rng(3)
    x = nd.array(r.standard_normal((3, 4)), dtype="float64")
    w = leaf(r.standard_normal((5, 4)), dtype="float64")
    x.attach_grad()

    def penalty(build):
        with ag.record():
            y = nd.tanh(nd.FullyConnected(x, w, no_bias=True, num_hidden=5))
            y = nd.log_softmax(y)
            (g,) = ag.grad(y, x, head_grads=nd.ones(y.shape, dtype="float64") * nd.arange(5, dtype="float64"),
                           create_graph=True)
            p = (g * g).sum()
        if build:
            p.backward()
        return float(p.asscalar())
    penalty(True)
    got, eps = w.grad.asnumpy(), 1e-6
    for at in [(0, 0), (2, 3), (4, 1)]:
        values = []
        for sign in (1, -1):
            w[at] = w[at].asscalar() + sign * eps
            values.append(penalty(False))
            w[at] = w[at].asscalar() - sign * eps
        assert abs((values[0] - values[1]) / (2 * eps) - got[at]) < 1e-6 * max(1, abs(got[at]))


def test_get_symbol():
    x, w = leaf([[1, 2]]), leaf([[3, 4], [5, 6]])
    with ag.record():
        y = nd.sigmoid(nd.FullyConnected(x * x, w, no_bias=True, num_hidden=2)) + x
    s = ag.get_symbol(y)
    assert s.list_arguments() == ["var0", "var1"]
    again = mx.sym.load_json(s.tojson()).eval(var0=x, var1=w)[0]
    assert np.array_equal(again.asnumpy(), y.asnumpy())
    with pytest.raises(mx.MXNetError, match="not part of a recorded graph"):
        ag.get_symbol(nd.ones(2))


def test_misuse():
    x = leaf([1, 2])
    with pytest.raises(mx.MXNetError, match="not part of a recorded graph"):
        (x * x).backward()
    with ag.record():
        y = x * x
    y.backward()
    with pytest.raises(mx.MXNetError, match="retain_graph=True"):
        y.backward()
    with ag.record():
        y = x * x
        with pytest.raises(mx.MXNetError, match="recorded would make its gradient wrong"):
            y += 1
        with pytest.raises(mx.MXNetError, match="writing into"):
            y[:] = 1
        with pytest.raises(mx.MXNetError, match="writing into"):
            x[0] = 1
        with pytest.raises(mx.MXNetError, match="writing into"):
            nd.ones((2,)).copyto(y)
        with pytest.raises(mx.MXNetError, match="writing into"):
            nd.elemwise_add(x, x, out=y)
        with pytest.raises(mx.MXNetError, match="named twice"):
            nd.zeros((2,))[nd.array([0, 0])] = x
    y.backward(retain_graph=True)
    y.backward()
    for misuse, error, text in [
            (lambda y: ag.grad(y, [y]), mx.MXNetError, "attach_grad"),
            (lambda y: ag.grad(y, [nd.ones(3)]), mx.MXNetError, "attach_grad"),
            (lambda y: ag.grad(y, [leaf([1])]), mx.MXNetError, "cannot be reached"),
            (lambda y: ag.grad(y, []), ValueError, "empty"),
            (lambda y: ag.backward([]), ValueError, "empty"),
            (lambda y: y.backward(nd.ones((3,))), mx.MXNetError, r"head gradient 0 has shape \(3,\)"),
            (lambda y: ag.backward([y], [nd.ones((2,))] * 2), ValueError, "2 head gradients for 1"),
            (lambda y: ag.backward(3), TypeError, "heads"),
            (lambda y: ag.backward([y], 3), TypeError, "head_grads"),
            (lambda y: ag.mark_variables([y], [nd.ones((2,))], 3), TypeError, "grad_reqs"),
            (lambda y: y.attach_grad("wrong"), ValueError, "grad_req"),
            (lambda y: ag.mark_variables([y], [nd.ones((3,))]), mx.MXNetError, "gradient 0 is"),
            (lambda y: ag.mark_variables([y], [y]), mx.MXNetError, "shares memory")]:
        with ag.record():
            y = x * x
        with pytest.raises(error, match=text):
            misuse(y)
    n = leaf([1, 2], "null")
    with ag.record():
        y = n * 2
    with pytest.raises(mx.MXNetError, match="attach_grad"):
        y.backward()


def test_overwritten_inputs_are_found():
    x = leaf([1, 2])
    with ag.record():
        y = x * x
    x[:] = 5
    with pytest.raises(mx.MXNetError, match="input 0 of .* was overwritten"):
        y.backward()
    with ag.record():
        y = x + x                               # nobody needs the values
    x[:] = 7
    y.backward()
    assert x.grad.asnumpy().tolist() == [2, 2]
    with ag.record():
        y = nd.exp(x)
        z = y * 2
    y[:] = 0
    with pytest.raises(mx.MXNetError, match="output 0 of exp"):
        z.backward()


def test_the_graph_is_freed_with_its_result():
    x = leaf(np.ones(10))
    with ag.record():
        y = x * x
        z = nd.exp(y)
    middle = weakref.ref(y)
    del y
    assert middle() is None                     # the graph keeps memory, not the user's array objects
    storage = x.grad
    gc.disable()
    try:
        before = len([o for o in gc.get_objects() if type(o).__name__ == "TapeNode"])
        del z
        after = len([o for o in gc.get_objects() if type(o).__name__ == "TapeNode"])
    finally:
        gc.enable()
    assert after < before and storage is x.grad


def test_long_chains():
    x = leaf([1.0])
    with ag.record():
        y = x
        for _ in range(20000):
            y = y + 1
    y.backward()
    assert x.grad.asscalar() == 1
    with ag.record():
        y = x
        for _ in range(100000):
            y = y + 1
    del y                                       # freed without recursion


def test_training_loop_learns():
    r = np.random.default_rng(0)
    true = r.standard_normal((1, 5))
    data = r.standard_normal((64, 5))
    x, t = nd.array(data), nd.array(data @ true.T)
    w = leaf(np.zeros((1, 5)))
    for _ in range(200):
        with ag.record():
            loss = nd.square(nd.FullyConnected(x, w, no_bias=True, num_hidden=1) - t).mean()
        loss.backward()
        nd.sgd_update(w, w.grad, lr=0.1, out=w)
    assert np.allclose(w.asnumpy(), true, atol=1e-3)
