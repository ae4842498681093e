"""Every write moves a storage's version, every loan marks it as exported: what was prepared from a parameter, and what
was recorded of an array, is checked against these."""
import threading

import numpy as np
import pytest

import mxlite as mx

nd = mx.nd


def fresh():
    return nd.array([[1.0, -2.0], [3.0, 4.0]])


def _assign_row(x):
    x[0] = 7


def _assign_list(x):
    x[[1, 0], [0, 1]] = 7


def _assign_all(x):
    x[:] = 7


def _assign_array(x):
    x[:] = nd.ones((2, 2))


def _assign_numpy(x):
    x[:] = np.ones((2, 2))


def _assign_through_view(x):
    x[1][:] = 7


def _assign_through_reshape(x):
    x.reshape((4,))[2:3] = 7


def _in_place(op):
    def write(x):
        if op == "+=":
            x += 1
        elif op == "+= array":
            x += nd.ones((2, 2))
        elif op == "-=":
            x -= nd.ones((1, 2))
        elif op == "*=":
            x *= 2.5
        elif op == "/=":
            x /= np.float32(2)
        elif op == "%=":
            x %= np.full((2, 2), 3.0)
    return write


def _detached(x):
    x.detach()[:] = 5


def _failing_kernel(x):
    with pytest.raises(mx.MXNetError, match="index"):
        nd.take(nd.ones((4,)), nd.array([[0, 1], [2, 9]]), mode="raise", out=x)


def _updated(optimizer, **options):
    def write(x):
        updater = mx.optimizer.get_updater(mx.optimizer.create(optimizer, learning_rate=0.1, **options))
        updater(0, nd.ones((2, 2)), x)
    return write


def _backward_into(x):
    y = nd.ones((2, 2))
    mx.autograd.mark_variables([y], [x])
    with mx.autograd.record():
        z = (y * y).sum()
    z.backward()


def _grad_add(x):
    y = nd.ones((2, 2))
    mx.autograd.mark_variables([y], [x], "add")
    with mx.autograd.record():
        z = (y * y).sum()
    z.backward()


def _executor(x, **kw):
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, no_bias=True, name="fc")
    return net.bind(mx.cpu(), {"data": nd.ones((2, 2)), "fc_weight": kw.get("weight", nd.ones((2, 2)))},
                    args_grad=kw.get("grads"), grad_req=kw.get("req", "write"))


def _executor_gradient(req):
    def write(x):
        e = _executor(x, grads={"fc_weight": x}, req=req)
        e.forward(is_train=True)
        e.backward(nd.ones((2, 2)))
    return write


def _copy_params_from(x):
    _executor(x, weight=x).copy_params_from({"fc_weight": nd.zeros((2, 2))})


def _fed(x):
    e = mx.sym.relu(mx.sym.Variable("data")).bind(mx.cpu(), {"data": x})
    e.forward(data=nd.ones((2, 2)))


WRITES = {
    "x[0] = 7": _assign_row, "x[list] = 7": _assign_list, "x[:] = 7": _assign_all, "x[:] = NDArray": _assign_array,
    "x[:] = numpy": _assign_numpy, "x[1][:] = 7": _assign_through_view, "x.reshape()[] = 7": _assign_through_reshape,
    **{f"x {op}": _in_place(op) for op in ("+=", "+= array", "-=", "*=", "/=", "%=")},
    "detach": _detached,
    "copyto": lambda x: nd.ones((2, 2)).copyto(x),
    "copyto, cast": lambda x: nd.ones((2, 2), dtype="float64").copyto(x),
    "slice_assign": lambda x: x.slice_assign(nd.ones((1, 2)), (0,), (1,), ()),
    "slice_assign_scalar": lambda x: x.slice_assign_scalar(3, (0,), (1,), ()),
    "out=, one input": lambda x: nd.exp(nd.ones((2, 2)), out=x),
    "out=, itself": lambda x: nd.exp(x, out=x),
    "out=, overlapping": lambda x: nd.transpose(x, out=x),
    "out=, cast": lambda x: nd.exp(nd.ones((2, 2), dtype="float64"), out=x),
    "out=, by reference": lambda x: nd.linalg.potrf(nd.array([[2.0, 1.0], [1.0, 2.0]]), out=x),
    "out=, several": lambda x: nd.split(nd.ones((2, 4)), num_outputs=2, axis=1, out=[x, nd.ones((2, 2))]),
    "out=, drawn": lambda x: nd.random.uniform(shape=(2, 2), out=x),
    "out=, no input": lambda x: nd.zeros((2, 2)).copyto(x),
    "out=, failing": _failing_kernel,
    "initializer": lambda x: mx.init.Uniform(0.1)(mx.init.InitDesc("fc_weight"), x),
    "shuffle": lambda x: nd.random.shuffle(x, out=x),
    "auxiliary state": lambda x: nd.sgd_mom_update(nd.ones((2, 2)), nd.ones((2, 2)), x, lr=0.1, momentum=0.9),
    "multi-tensor state": lambda x: nd.multi_sgd_mom_update(nd.ones((2, 2)), nd.ones((2, 2)), x, lrs=(0.1,),
                                                            wds=(0.0,), momentum=0.9, num_weights=1),
    **{f"optimizer {name}": _updated(name, **options) for name, options in (
        ("sgd", {}), ("sgd", {"momentum": 0.9}), ("adam", {}), ("sgld", {}), ("dcasgd", {}), ("rmsprop", {}))},
    "autograd, write": _backward_into, "autograd, add": _grad_add,
    "executor's gradient": _executor_gradient("write"), "executor's gradient, add": _executor_gradient("add"),
    "copy_params_from": _copy_params_from, "forward(name=)": _fed,
    "touched": lambda x: x.touched(),
}


@pytest.mark.parametrize("way", WRITES)
def test_every_write_moves_the_version(way):
    x = fresh()
    before, shared = x.storage.version, x[0].storage
    WRITES[way](x)
    assert x.storage is shared and x.storage.version > before


LOANS = {
    "dlpack, read": lambda x: x.to_dlpack_for_read(), "dlpack, write": lambda x: x.to_dlpack_for_write(),
    "__dlpack__": lambda x: x.__dlpack__(), "numpy.from_dlpack": lambda x: np.from_dlpack(x),
    "asarray without a copy": lambda x: np.asarray(x, copy=False), "a view's": lambda x: x[1:].to_dlpack_for_write(),
}


@pytest.mark.parametrize("way", LOANS)
def test_every_loan_is_marked(way):
    x = fresh()
    assert not x.storage.exported
    kept = LOANS[way](x)
    assert x.storage.exported and kept is not None


def test_what_is_borrowed_is_marked():
    assert nd.from_numpy(np.ones((2, 2), np.float32)).storage.exported
    assert nd.from_dlpack(np.ones((2, 2), np.float32).__dlpack__()).storage.exported
    assert nd.from_dlpack(fresh().to_dlpack_for_read()).storage.exported
    for copy in (nd.array(np.ones((2, 2))), nd.from_numpy(np.ones((2, 2)), zero_copy=False), fresh().copy()):
        assert not copy.storage.exported


def test_reading_moves_nothing():
    x, y = fresh(), fresh()
    before = x.storage.version
    x + y, x * 2, nd.exp(x), nd.dot(x, y), x[0], x.reshape((4,)), x.asnumpy(), x == y, repr(x), float(x[0, 0])
    with mx.autograd.record():
        nd.relu(x)
    _executor(None, weight=x).forward()
    assert x.storage.version == before and not x.storage.exported


def test_module_writes_move_versions():
    net = mx.sym.SoftmaxOutput(mx.sym.BatchNorm(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3,
                                                                      name="fc"), name="bn"), name="softmax")
    data = mx.io.NDArrayIter(np.ones((8, 2)), np.zeros(8), batch_size=4)
    module = mx.mod.Module(net)
    module.bind(data.provide_data, data.provide_label)
    module.init_params()
    executor = module._exec_group.execs[0]
    watched = {**{n: a for n, a in executor.arg_dict.items() if n.startswith(("fc", "bn"))}, **executor.aux_dict}

    def moved(step):
        before = {n: a.storage.version for n, a in watched.items()}
        step()
        return {n for n, a in watched.items() if a.storage.version > before[n]}
    args, aux = module.get_params()
    assert moved(lambda: module.set_params(args, aux)) == set(watched)
    module.init_optimizer(optimizer_params={"learning_rate": 0.1, "momentum": 0.9})
    batch = next(data)
    module.forward_backward(batch)
    assert moved(module.update) == {n for n in watched if "moving" not in n}
    assert {n for n in moved(lambda: module.forward_backward(batch)) if "moving" in n} == set(executor.aux_dict)
    assert not moved(lambda: module.forward(batch, is_train=False))


@pytest.mark.parametrize("way", [w for w in WRITES if "executor" not in w and "autograd" not in w])
def test_inference_sees_every_write(way):
    """With what is prepared from weights and kept: the next forward computes with what is there now."""
    weight = fresh()
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, no_bias=True, name="fc")
    executor = net.bind(mx.cpu(), {"data": nd.array([[1.0, 2.0], [-1.0, 0.5]]), "fc_weight": weight})
    for _ in range(2):
        executor.forward()
    WRITES[way](weight)
    got = executor.forward()[0].asnumpy()
    np.testing.assert_allclose(got, executor.arg_dict["data"].asnumpy() @ weight.asnumpy().T, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("way", LOANS)
def test_inference_sees_writes_through_loans(way):
    weight = fresh()
    executor = _executor(None, weight=weight)
    for _ in range(2):
        executor.forward()
    kept = LOANS[way](weight)
    view = np.asarray(weight, copy=False)
    for value in (3.0, 5.0):
        view[:] = value
        assert (executor.forward()[0].asnumpy() == 2 * value).all()
    assert kept is not None


def test_a_write_by_another_thread_is_seen_afterwards():
    weight, stop = fresh(), threading.Event()
    executor = _executor(None, weight=weight)

    def write():
        while not stop.is_set():
            weight[:] = 1
            nd.relu(nd.ones((2, 2)), out=weight)
    thread = threading.Thread(target=write)
    thread.start()
    for _ in range(200):
        executor.forward()
    stop.set()
    thread.join()
    weight[:] = 4
    assert (executor.forward()[0].asnumpy() == 8).all()
