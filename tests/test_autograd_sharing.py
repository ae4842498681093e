"""mx.autograd where arrays are shared, moved between contexts, overwritten, empty, or handed to Python code."""
import threading

import numpy as np
import pytest

import mxlite as mx
from mxlite import autograd as ag

from .leaf import leaf

nd = mx.nd


def test_integer_results_have_gradients():
    x = leaf([1.5, 2])
    with ag.record():
        y = x.astype("int32")
    y.backward()
    assert x.grad.asnumpy().tolist() == [1, 1]
    for dtype in ("int32", "int64", "uint8"):
        i = leaf([1, 2], dtype=dtype)
        with ag.record():
            y = (i * i).sum()
        y.backward()
        assert i.grad.asnumpy().tolist() == [2, 4] and i.grad.dtype == np.dtype(dtype)


def test_states_that_a_call_moves_are_noticed():
    x, m, w = leaf([1, 1]), nd.ones(2), nd.ones(2)
    with ag.record():
        y = x * m
    nd.sgd_mom_update(w, nd.array([5.0, 5]), m, lr=0.1, momentum=0.9)
    with pytest.raises(mx.MXNetError, match="was overwritten"):
        y.backward()
    exe = mx.sym.BatchNorm(mx.sym.Variable("a"), name="bn").simple_bind(mx.cpu(), a=(4, 2))
    exe.arg_dict["a"][:] = nd.arange(8).reshape((4, 2))
    exe.forward(is_train=True)
    with ag.record():
        y = x * exe.aux_dict["bn_moving_mean"]
    exe.backward(nd.ones((4, 2)))
    with pytest.raises(mx.MXNetError, match="was overwritten"):
        y.backward()


def test_what_only_a_shape_is_read_of_may_be_overwritten():
    x = leaf([1, 2, 3, 4])
    with ag.record():
        p, q = nd.split(x, num_outputs=2, axis=0)
        y = p * 3
    q[:] = 0
    y.backward()
    assert x.grad.asnumpy().tolist() == [3, 3, 0, 0]


def test_gradients_come_back_to_their_context():
    a, b = nd.ones(3, ctx=mx.cpu(0)), nd.ones(3, ctx=mx.cpu(1)) * 5
    a.attach_grad("add")
    for _ in range(2):
        with ag.record():
            y = a.as_in_context(mx.cpu(1)) * b
        (g,) = ag.grad(y, [a], retain_graph=True)
        assert g.context == mx.cpu(0)
        y.backward()
    assert a.grad.asnumpy().tolist() == [10, 10, 10] and a.grad.context == mx.cpu(0)


def test_backward_inside_record_is_not_recorded():
    x, w = leaf([1, 1], "add"), leaf([1, 1])
    with ag.record():
        head = w * 2
        for _ in range(2):
            y = x + 1
            y.backward(head)
    assert x.grad.asnumpy().tolist() == [4, 4] and x.grad._entry is None


def test_a_function_may_do_what_it_likes_to_its_gradients():
    class Doubles(ag.Function):
        def forward(self, x):
            return x * 2

        def backward(self, d):
            d *= 2
            return d

    class Copies(ag.Function):
        def forward(self, a, b):
            self.save_for_backward(a)
            return a + b

        def backward(self, d):
            return d, d
    x, w, head = leaf([1, 1]), leaf([1, 1]), nd.ones(2)
    with ag.record():
        z = w + Doubles()(x)
    z.backward(head)
    assert (w.grad.asnumpy() == 1).all() and (x.grad.asnumpy() == 2).all() and (head.asnumpy() == 1).all()
    with ag.record():
        z = Copies()(x, w)
    g, h = ag.grad(z, [x, w], head_grads=head)
    g[:] = 9
    assert h.asnumpy().tolist() == [1, 1] and head.asnumpy().tolist() == [1, 1]


def test_arrays_to_write_into_are_apart():
    x, o, buffer = leaf([1, 2, 3, 4]), nd.zeros(2), nd.zeros(3)
    with ag.record(), pytest.raises(mx.MXNetError, match="share memory"):
        nd.split(x, num_outputs=2, axis=0, out=[o, o])
    with pytest.raises(mx.MXNetError, match="gradients 0 and 1 share memory"):
        ag.mark_variables([nd.ones(2), nd.ones(2)], [buffer[0:2], buffer[1:3]])


def test_out_of_another_dtype_is_a_cast():
    x, z = leaf([[0.5, 1, 2]]), nd.zeros((1, 3), dtype="float16")
    with ag.record():
        nd.L2Normalization(x * 1, out=z)
    z.backward(nd.array([[1, 0, 0]], dtype="float16"))
    y = leaf([[0.5, 1, 2]])
    with ag.record():
        w = nd.L2Normalization(y * 1)
    w.backward(nd.array([[1, 0, 0]]))
    np.testing.assert_allclose(x.grad.asnumpy(), y.grad.asnumpy(), rtol=1e-6)


@pytest.mark.parametrize("build", [
    lambda x: x.mean(axis=0), lambda x: nd.sort(x), lambda x: nd.topk(x, k=1, ret_typ="value"), lambda x: x * x,
    lambda x: nd.softmax(x), lambda x: nd.L2Normalization(x)])
def test_gradients_of_empty_arrays(build):
    x = leaf(np.zeros((0, 3)))
    with ag.record():
        y = build(x)
    y.backward()
    assert x.grad.shape == (0, 3)


def test_threads_share_a_graph():
    """Some keep it, some release it: each backward ends with a gradient or with the error that says so."""
    wrong = []

    def work(y, keep):
        for _ in range(20):
            try:
                y.backward(retain_graph=keep)
            except mx.MXNetError as e:
                if "released" not in str(e):
                    wrong.append(e)
            except BaseException as e:
                wrong.append(e)
    for _ in range(20):
        x = leaf(np.ones(3))
        with ag.record():
            y = nd.exp(nd.sin(x * x) + x).sum()
        threads = [threading.Thread(target=work, args=(y, i % 2 == 0)) for i in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert not wrong
