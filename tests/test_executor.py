"""The executor's promises that no single operator shows: modes, repeated and late backwards, sharing, monitoring."""
import subprocess
import sys

import numpy as np
import pytest

import mxlite as mx


def dropout_executor():
    dropped = mx.sym.Dropout(mx.sym.Variable("x"), p=0.5, name="drop")
    net = mx.sym.broadcast_mul(dropped, mx.sym.full((1,), 3, name="const"), name="three")
    executor = net.simple_bind(mx.cpu(), x=(200,))
    executor.arg_dict["x"][:] = 1
    return executor


def mask(executor):
    return (executor.outputs[0].asnumpy() != 0).astype("float32") * 6


def test_backward_uses_the_forwards_mask_however_often():
    executor = dropout_executor()
    ones = mx.nd.ones((200,))
    executor.forward(is_train=True)
    want = mask(executor)
    for _ in range(3):
        executor.backward(ones)
        np.testing.assert_array_equal(executor.grad_dict["x"].asnumpy(), want)
    executor.forward(is_train=True)
    assert not np.array_equal(mask(executor), want)


def test_backward_after_inference_is_that_of_inference():
    executor = dropout_executor()
    executor.forward(is_train=False)
    executor.backward(mx.nd.ones((200,)))
    np.testing.assert_array_equal(executor.grad_dict["x"].asnumpy(), np.full(200, 3, "float32"))


def test_backward_after_a_monitored_forward_has_its_mask():
    executor = dropout_executor()
    seen = []
    executor.set_monitor_callback(lambda name, array: seen.append((name, array.asnumpy())))
    executor.forward(is_train=True)
    assert [n for n, _ in seen] == ["drop_output", "const_output", "three_output"]
    np.testing.assert_array_equal(seen[2][1], executor.outputs[0].asnumpy())
    executor.backward(mx.nd.ones((200,)))
    np.testing.assert_array_equal(executor.grad_dict["x"].asnumpy(), mask(executor))


def test_sharing_an_arena_keeps_gradients_right():
    x = mx.sym.Variable("x")
    net = mx.sym.tanh(mx.sym.exp(x) * x)
    first = net.simple_bind(mx.cpu(), x=(5,))
    second = net.bind(mx.cpu(), {"x": mx.nd.array([5, 4, 3, 2, 1])}, {"x": mx.nd.zeros((5,))}, shared_exec=first)
    values = np.array([-1.0, -0.5, 0.1, 0.2, 0.3], "float32")
    first.arg_dict["x"][:] = values
    first.forward(is_train=True)
    second.forward(is_train=True)           # overwrites what the first one's backward would read
    first.backward(mx.nd.ones((5,)))
    e = np.exp(values)
    want = (1 - np.tanh(e * values) ** 2) * (e * values + e)
    np.testing.assert_allclose(first.grad_dict["x"].asnumpy(), want, rtol=1e-5)


def test_grad_req_add_null_and_write_side_by_side():
    a, b, c = (mx.sym.Variable(n) for n in "abc")
    executor = (a * b + c).simple_bind(mx.cpu(), grad_req={"a": "write", "b": "add", "c": "null"}, a=(3,), b=(3,),
                                       c=(3,))
    executor.arg_dict["a"][:] = 2
    executor.arg_dict["b"][:] = 5
    executor.grad_dict["b"][:] = 100
    assert executor.grad_dict["c"] is None
    for _ in range(2):
        executor.forward(is_train=True)
        executor.backward(mx.nd.ones((3,)))
    assert executor.grad_dict["a"].asnumpy().tolist() == [5, 5, 5]
    assert executor.grad_dict["b"].asnumpy().tolist() == [104, 104, 104]


def test_an_argument_without_a_path_gets_zeros():
    a, b = mx.sym.Variable("a"), mx.sym.Variable("b")
    executor = (a + mx.sym.BlockGrad(b)).simple_bind(mx.cpu(), a=(2,), b=(2,))
    executor.grad_dict["b"][:] = 7
    executor.forward(is_train=True)
    executor.backward(mx.nd.ones((2,)))
    assert executor.grad_dict["b"].asnumpy().tolist() == [0, 0]


def test_one_gradient_for_two_arguments_and_one_array_for_two_arguments():
    a, b = mx.sym.Variable("a"), mx.sym.Variable("b")
    x = mx.nd.array([1.0, 2.0])
    executor = (a + b).bind(mx.cpu(), {"a": x, "b": x}, {"a": mx.nd.zeros((2,)), "b": mx.nd.zeros((2,))})
    assert executor.forward(is_train=True)[0].asnumpy().tolist() == [2, 4]
    executor.backward(mx.nd.array([3.0, 4.0]))
    assert executor.grad_dict["a"].asnumpy().tolist() == executor.grad_dict["b"].asnumpy().tolist() == [3, 4]


def test_a_variable_head_is_the_bound_array_and_duplicate_heads_share():
    x = mx.sym.Variable("x")
    y = mx.sym.exp(x)
    executor = mx.sym.Group([x, y, y]).bind(mx.cpu(), {"x": mx.nd.zeros((2,))})
    heads = executor.forward()
    executor.arg_dict["x"][:] = 9
    assert heads[0].asnumpy().tolist() == [9, 9]
    assert heads[1].address == heads[2].address


def test_writing_into_an_argument_is_seen():
    executor = (mx.sym.Variable("x") * 2).bind(mx.cpu(), {"x": mx.nd.ones((2,))})
    executor.arg_dict["x"][0] = 9
    assert executor.forward()[0].asnumpy().tolist() == [18, 2]
    assert executor.forward(x=np.array([1.0, 3.0]))[0].asnumpy().tolist() == [2, 6]


def test_second_order_through_the_gradient_of_the_gradient():
    """Backward is graph: differentiating what a record's gradient builds gives second derivatives."""
    from mxlite.ops import RECORDS

    from . import reference as R
    values = np.linspace(-1, 1, 7)
    op = RECORDS["tanh"]
    y = np.tanh(values)
    F = R.Eager()
    node = R.Node(op, op.parse({}), [values], [y])
    first = op.grad(F, node, np.ones(7))
    np.testing.assert_allclose(first, 1 - y ** 2, rtol=1e-9)
    back = RECORDS["_backward_tanh"]
    assert back.grad is not None
    node = R.Node(back, back.parse({}), [np.ones(7), y], [first])
    _, through_y = back.grad(F, node, np.ones(7))
    np.testing.assert_allclose(through_y * (1 - y ** 2), -2 * y * (1 - y ** 2), rtol=1e-9)


def test_batchnorm_statistics_change_in_backward_once_a_call():
    net = mx.sym.BatchNorm(mx.sym.Variable("x"), name="bn", momentum=0.5)
    executor = net.simple_bind(mx.cpu(), x=(4, 2))
    executor.arg_dict["x"][:] = np.array([[0, 1], [2, 3], [4, 5], [6, 7]])
    executor.arg_dict["bn_gamma"][:] = 1
    executor.aux_dict["bn_moving_var"][:] = 1
    executor.forward(is_train=True)
    assert executor.aux_dict["bn_moving_mean"].asnumpy().tolist() == [0, 0]
    executor.backward(mx.nd.ones((4, 2)))
    assert executor.aux_dict["bn_moving_mean"].asnumpy().tolist() == [1.5, 2]
    assert executor.aux_dict["bn_moving_var"].asnumpy().tolist() == [3, 3]


def test_gradient_of_a_symbol():
    a, b = mx.sym.Variable("a"), mx.sym.Variable("b")
    gradient = (a * b).gradient(["b", "a"])
    db, da = gradient.eval(a=mx.nd.array([2.0]), b=mx.nd.array([5.0]))
    assert (da.asscalar(), db.asscalar()) == (5, 2)
    with pytest.raises(mx.MXNetError, match="'z' is no argument"):
        (a * b).gradient(["z"])


def test_reshape_shares_parameters():
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc")
    big = net.simple_bind(mx.cpu(), data=(8, 4))
    big.arg_dict["fc_weight"][:] = 1
    small = big.reshape(data=(2, 4))
    assert small.forward(data=np.ones((2, 4), "float32"))[0].shape == (2, 3)
    big.arg_dict["fc_weight"][:] = 2
    assert small.forward()[0].asnumpy()[0, 0] == 8
    with pytest.raises(mx.MXNetError, match="grows"):
        small.reshape(data=(16, 4))


def dense(**more):
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc")
    return mx.sym.BatchNorm(net, name="bn").simple_bind(mx.cpu(), **{"data": (2, 4), **more})


def test_shared_buffer_lends_memory_to_any_shape_that_fits():
    buffer = {}
    first, second = dense(shared_buffer=buffer), dense(shared_buffer=buffer, data=(1, 4))
    assert sorted(buffer) == sorted([*first.arg_dict, *(f"grad of {n}" for n in first.arg_dict)])
    first.arg_dict["data"][:] = 5
    assert second.arg_dict["data"].shape == (1, 4) and second.arg_dict["data"].asnumpy().tolist() == [[5] * 4]
    larger = dense(shared_buffer=buffer, data=(8, 4))
    assert buffer["data"].shape == (8, 4) and larger.arg_dict["data"] is buffer["data"]
    assert larger.arg_dict["fc_weight"] is first.arg_dict["fc_weight"]
    for wrong, kind, text in (([1], ValueError, "must be dict"), ({"data": 3}, RuntimeError, "must be an NDArray"),
                              ({"data": mx.nd.ones((2, 4), dtype="int8")}, RuntimeError, "has dtype int8")):
        with pytest.raises(kind, match=text):
            dense(shared_buffer=wrong)


def test_shared_names_are_the_other_executors_arrays():
    first = dense()
    second = dense(shared_exec=first, shared_arg_names=["fc_weight"], shared_buffer={})
    assert second.arg_dict["fc_weight"] is first.arg_dict["fc_weight"]
    assert second.grad_dict["fc_weight"] is first.grad_dict["fc_weight"]
    assert second.aux_dict["bn_moving_var"] is first.aux_dict["bn_moving_var"]
    assert second.arg_dict["fc_bias"] is not first.arg_dict["fc_bias"]
    assert dense(shared_exec=first).aux_dict["bn_moving_var"] is not first.aux_dict["bn_moving_var"]
    with pytest.raises(RuntimeError, match=r"(?s)'fc_weight' of shared_exec is \(3, 4\).*it would be \(3, 5\)"):
        dense(shared_exec=first, shared_arg_names=["fc_weight"], data=(2, 5))
    with pytest.raises(TypeError, match="shared_exec must be an Executor"):
        dense(shared_exec=3)


def test_a_refused_copy_of_parameters_copies_nothing():
    executor, bias = dense(), {"fc_bias": mx.nd.ones((3,))}
    for params, aux, kind, text in (
            ({**bias, "nothing": mx.nd.ones((1,))}, None, ValueError, "nothing"),
            ({**bias, "fc_weight": mx.nd.ones((3, 5))}, None, mx.MXNetError, r"\(3, 5\), the executor's has \(3, 4\)"),
            (bias, {"nothing": mx.nd.ones((1,))}, ValueError, "bn_moving"),
            ({"fc_bias": [1, 2, 3]}, None, TypeError, "NDArray"), ([1], None, TypeError, "dict")):
        with pytest.raises(kind, match=text):
            executor.copy_params_from(params, aux)
        assert executor.arg_dict["fc_bias"].asnumpy().tolist() == [0, 0, 0]
    executor.copy_params_from({"fc_bias": np.arange(3.0), "nothing": mx.nd.ones((1,))},
                              {"bn_moving_mean": mx.nd.array([4, 5, 6], dtype="int32")}, allow_extra_params=True)
    assert executor.arg_dict["fc_bias"].asnumpy().tolist() == [0, 1, 2]
    assert executor.aux_dict["bn_moving_mean"].asnumpy().tolist() == [4, 5, 6]
    assert executor.aux_dict["bn_moving_mean"].dtype == np.float32


@pytest.mark.parametrize("more, kind, text", [
    (dict(grad_req="wrte"), RuntimeError, "got 'wrte' for 'data'"),
    (dict(grad_req={"fc_bias": "wrte"}), RuntimeError, "got 'wrte' for 'fc_bias'"),
    (dict(data=(2, 0), fc_wieght=(3, 4)), RuntimeError, r"(?s)data: \(2, 0\).*'fc_wieght' is no input, did you mean"),
    (dict(stype_dict={"data": "csr"}), mx.MXNetError, "'data' is to be csr"),
    (dict(stype_dict={"data": "cs"}), ValueError, "'data' cannot be 'cs'; storage types are default, row_sparse, csr"),
    (dict(group2ctx={"a": 3}), TypeError, r"group2ctx\['a'\] must be a Context")])
def test_simple_bind_says_which_argument_is_wrong(more, kind, text):
    with pytest.raises(kind, match=text):
        dense(**more)


def test_the_outputs_are_one_list():
    executor = dense()
    assert executor.outputs is executor.outputs and executor.forward() is executor.outputs


def test_debug_str_tells_the_graph_that_runs_and_its_bytes():
    net = mx.sym.Variable("x")
    for _ in range(4):                              # sums do not run in place: four megabytes stay alive
        net = mx.sym.broadcast_mul(net, mx.sym.sum(mx.sym.exp(net), axis=0, keepdims=True))
    executor = net.simple_bind(mx.cpu(), x=(512, 512))
    lines = executor.debug_str().split("\n")
    plan = executor.memory_plan()
    assert lines[-3] == f"Total {(plan['arena'] + plan['outputs']) >> 20} MB allocated" and lines[-3].split()[1] >= "3"
    assert lines[-2].startswith("Total ") and lines[-2].endswith(" TempSpace resource requested") and lines[-1] == ""
    assert "Op:broadcast_mul, Name=broadcast_mul" in executor.debug_str() and "_backward" in executor.debug_str()
    assert "_backward" not in net.simple_bind(mx.cpu(), grad_req="null", x=(2, 2)).debug_str()


def test_a_monitor_sees_hidden_outputs_and_inputs_by_name():
    executor = dense()
    seen = []
    executor.set_monitor_callback(lambda name, array: seen.append((name, array.shape)), monitor_all=True)
    executor.forward(is_train=True)
    names = [n for n, _ in seen]
    assert names[:3] == ["data", "fc_data", "fc_weight"] and names[-3:] == ["bn_output", "bn_mean", "bn_var"]
    assert dict(seen)["fc_weight"] == (3, 4) and dict(seen)["bn_mean"] == (3,)


LONG_RUN = """
import signal, threading, time, os
import mxlite as mx
net = mx.sym.Variable("x")
for _ in range(4000):
    net = mx.sym.tanh(net) * 0.5
executor = net.simple_bind(mx.cpu(), grad_req="null", x=(200000,))
executor._bound.program((False, None))       # lowered before the clock starts
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
began = time.time()
try:
    while True:
        executor.forward()
except KeyboardInterrupt:
    print("stopped", time.time() - began < 5)
print(executor.forward()[0].shape)
"""


def test_ctrl_c_stops_a_long_run_and_the_executor_stays_usable():
    done = subprocess.run([sys.executable, "-c", LONG_RUN], capture_output=True, text=True, timeout=120)
    assert done.stdout.split("\n")[:2] == ["stopped True", "(200000,)"], done.stdout + done.stderr


@pytest.mark.parametrize("shape", [(4, 3), (64, 300)])
def test_head_gradients_are_read_where_they_lie_or_copied(shape):
    """Large ones are lent to the program; not those that are also something else in it. None is kept, none written."""
    rng = np.random.default_rng(0)
    x, dy, big = (mx.nd.array(rng.random(s)) for s in (shape, shape, (2, *shape)))
    g = mx.nd.zeros(shape)
    v = mx.sym.Variable("x")
    made = mx.sym.Group([mx.sym.reshape(v, shape=(-1,)), mx.sym.exp(v), mx.sym.tanh(v)]).bind(
        mx.cpu(), {"x": x}, args_grad={"x": g})
    e, t = np.exp(x.asnumpy()), 1 - np.tanh(x.asnumpy()) ** 2
    own = [made.forward(is_train=True)[1], g, x]                # an output, a gradient, an argument
    for a, b in ([dy, big[1]], [big[1], big[1]], [dy * 2, dy], [dy, own[0]], [dy, own[1]], [dy, own[2]]):
        made.forward(is_train=True)
        before = [a.asnumpy(), b.asnumpy()]
        made.backward([a.reshape((-1,)), b, a])
        np.testing.assert_allclose(g.asnumpy(), before[0] + before[1] * e + before[0] * t, rtol=1e-5)
        if b is not g:
            np.testing.assert_array_equal(b.asnumpy(), before[1])
