"""mx.autograd.Function: operations written in Python, with gradients of their own."""
import pytest

import mxlite as mx
from mxlite import autograd as ag

from .leaf import leaf

nd = mx.nd


class Product(ag.Function):
    def forward(self, a, b):
        self.save_for_backward(a, b)
        assert not ag.is_recording()
        return a * b, a + b

    def backward(self, d1, d2):
        a, b = self.saved_tensors
        return d1 * b + d2, d1 * a + d2


def test_function():
    x, y = leaf([2, 3]), leaf([5, 7])
    function = Product()
    with ag.record():
        u, v = function(x * 1, y)
        w = u * 2 + v * 10
    w.backward()
    assert u.asnumpy().tolist() == [10, 21]
    assert x.grad.asnumpy().tolist() == [20, 24] and y.grad.asnumpy().tolist() == [14, 16]
    with pytest.raises(mx.MXNetError, match="make a new one"), ag.record():
        function(x, y)
    assert [a.asnumpy().tolist() for a in Product()(x, y)] == [[10, 21], [7, 10]]      # not recorded


def test_function_differentiates_twice():
    class Cube(ag.Function):
        def forward(self, x):
            self.save_for_backward(x)
            return x * x * x

        def backward(self, dy):
            (x,) = self.saved_tensors
            return dy * 3 * x * x
    x = leaf([2.0, -1.0])
    with ag.record():
        (g,) = ag.grad(Cube()(x), x, create_graph=True)
    g.backward()
    assert g.asnumpy().tolist() == [12, 3] and x.grad.asnumpy().tolist() == [12, -6]


class Nothing(ag.Function):
    def forward(self, x):
        return []


def test_function_that_returns_its_input():
    class Same(ag.Function):
        def forward(self, x):
            return x

        def backward(self, dy):
            return dy * 7
    x = leaf([1, 2])
    with ag.record():
        y = Same()(x)
    y.backward()
    assert x.grad.asnumpy().tolist() == [7, 7]


@pytest.mark.parametrize("gradients, error, text", [
    (lambda d: d, mx.MXNetError, "returned 1 gradients for 2"),
    (lambda d: (d, 3), TypeError, "gradient 1 must be an NDArray"),
    (lambda d: (d, nd.ones((5,))), mx.MXNetError, r"gradient 1 has shape \(5,\)"),
])
def test_function_with_wrong_gradients(gradients, error, text):
    class Wrong(ag.Function):
        def forward(self, a, b):
            return a + b

        def backward(self, d):
            return gradients(d)
    x, y = leaf([1, 2]), leaf([1, 2])
    with ag.record():
        z = Wrong()(x, y)
    with pytest.raises(error, match=text):
        z.backward()
    assert not ag.is_recording()


def test_misuse():
    x = leaf([1, 2])
    with ag.record():
        y = x * x
    for misuse, text in [(lambda: Product()(), "no inputs"), (lambda: Nothing()(y), "no outputs")]:
        with pytest.raises(mx.MXNetError, match=text):
            misuse()
