"""Recorded programs, the same text in both libraries: values, gradients and whether they raise."""
import textwrap

import numpy as np
import pytest

import mxlite as mx

from .client import OracleError

SETUP = """
ag = mx.autograd
x, w = nd.array(vx), nd.array(vw)
x.attach_grad()
w.attach_grad()
"""
# Each sets `result`. `x` is (3, 4), `w` is (4,), both with gradients.
PROGRAMS = {
    "product": "with ag.record(): y = x * w\ny.backward()\nresult = y, x.grad, w.grad",
    "head gradient": "with ag.record(): y = x * w\ny.backward(x * 2)\nresult = x.grad, w.grad",
    "modes": """
        seen = []
        note = lambda: seen.append((ag.is_recording(), ag.is_training()))
        with ag.record(train_mode=False): note()
        with ag.train_mode(): note()
        with ag.record():
            with ag.pause(): note()
            with ag.pause(train_mode=True): note()
            with ag.predict_mode(): note()
            note()
        note()
        result = seen""",
    "grad": "with ag.record(): y = nd.exp(x) * w\nresult = ag.grad(y, [x, w]), x.grad",
    "grad of one": "with ag.record(): y = nd.exp(x) * w\nresult = ag.grad(y, x)",
    "grad with head": "with ag.record(): y = nd.exp(x)\nresult = ag.grad(y, [x], head_grads=[x])",
    "two heads": "with ag.record(): y, z = x * x, x.sum()\nag.backward([y, z], [x, nd.array([3])])\nresult = x.grad",
    "add": """
        x.attach_grad('add')
        for _ in range(3):
            with ag.record(): y = x * x
            y.backward()
        result = x.grad""",
    "attach cuts": """
        with ag.record(): y = x * x
        y.attach_grad()
        with ag.record(): z = y * 3
        z.backward()
        result = y.grad, x.grad""",
    "index": """
        with ag.record():
            y = x * x
            z = (y[0].sum() + x.reshape((12,))[1:3].sum() + x[:, 1].sum() + x[nd.array([0, 0])].sum() + x[1, 2] * 7
                 + x[::2].sum() * 3 + x[1:, ::2].sum() + x.T[1].sum() + x[-1].sum())
        z.backward()
        result = z, x.grad""",
    "advanced index": """
        with ag.record(): z = (x[[0, 2, 2], [1, 1, 3]] * nd.array([1, 10, 100])).sum()
        z.backward()
        result = z, x.grad""",
    "assign everything": """
        z = nd.zeros((3, 4))
        with ag.record():
            z[:] = x
            y = z * z
        y.backward()
        result = z, x.grad""",
    "copies": """
        with ag.record():
            y = x.copy() * 2 + x.as_in_context(mx.cpu(1)).as_in_context(mx.cpu(0))
            y = y + x.astype('float64').astype('float32') + x.detach()
        y.backward()
        result = y, x.grad""",
    "copyto": "b = nd.zeros((3, 4))\nwith ag.record():\n    x.copyto(b)\n    y = b * 3\ny.backward()\nresult = x.grad",
    "out": "b = nd.zeros((3, 4))\nwith ag.record():\n    nd.elemwise_mul(x, x, out=b)\n    y = b * 3\ny.backward()\n"
           "result = x.grad",
    "split": """
        with ag.record():
            a, b = nd.split(x, num_outputs=2, axis=1)
            y = a * 2 + b * b
        y.backward()
        result = y, x.grad""",
    "one output": "with ag.record(): y = nd.split(x, num_outputs=4, axis=1)[2] * 5\ny.backward()\nresult = x.grad",
    "concat and stack": """
        with ag.record(): y = nd.concat(x, x * x, dim=1).sum() + (nd.stack(w, w * 2) * nd.array([[1], [10]])).sum()
        y.backward()
        result = y, x.grad, w.grad""",
    "topk": "with ag.record(): y = nd.topk(x, k=2, ret_typ='value')\ny.backward()\nresult = y, x.grad",
    "sort": "with ag.record(): y = nd.sort(x, axis=1) * nd.arange(4)\ny.backward()\nresult = y, x.grad",
    "where": "with ag.record(): y = nd.where(x > 0, x * 2, x * 3)\ny.backward()\nresult = y, x.grad",
    "embedding": """
        with ag.record(): y = nd.Embedding(nd.array([0, 2, 2]), x, input_dim=3, output_dim=4) * w
        y.backward()
        result = y, x.grad, w.grad""",
    "block": "with ag.record(): y = nd.BlockGrad(x * 2) + x\ny.backward()\nresult = x.grad",
    "only blocked": "with ag.record(): y = nd.BlockGrad(x * 2)\ny.backward()\nresult = x.grad",
    "leaf": "with ag.record(): y = x\ny.backward()\nresult = x.grad",
    "softmax output": """
        with ag.record(): y = nd.SoftmaxOutput(x, nd.array([1, 0, 3]))
        y.backward()
        result = y, x.grad""",
    "make loss": "with ag.record(): y = nd.MakeLoss(x * x, grad_scale=3)\ny.backward()\nresult = y, x.grad",
    "batch norm": """
        g, b, m, v = nd.ones(4), nd.zeros(4), nd.zeros(4), nd.ones(4)
        g.attach_grad()
        with ag.record(): y = nd.BatchNorm(x, g, b, m, v, fix_gamma=False, momentum=0.5) * x
        y.backward()
        result = y, x.grad, g.grad, m, v""",
    "batch norm in prediction": """
        g, b, m, v = nd.ones(4), nd.zeros(4), nd.zeros(4), nd.ones(4) * 2
        with ag.record(train_mode=False): y = nd.BatchNorm(x, g, b, m, v, fix_gamma=False) * x
        y.backward(train_mode=False)
        result = y, x.grad, m, v""",
    "convolution": """
        d, k = x.reshape((1, 1, 3, 4)), w.reshape((1, 1, 2, 2))
        with ag.record(): y = nd.Convolution(x.reshape((1, 1, 3, 4)), w.reshape((1, 1, 2, 2)), kernel=(2, 2),
                                             num_filter=1, no_bias=True)
        y.backward(nd.arange(6).reshape((1, 1, 2, 3)))
        result = y, x.grad, w.grad""",
    "dense": """
        with ag.record(): y = nd.FullyConnected(x, w.reshape((1, 4)), num_hidden=1, no_bias=True)
        y.backward()
        result = y, x.grad, w.grad""",
    "dropout": "with ag.record(): y = nd.Dropout(x, p=0.5)\ny.backward()\nresult = (x.grad * x - y).abs().sum()",
    "reduce": """
        with ag.record(): y = (x.mean(axis=0) * x.max(axis=1).sum() + nd.norm(x)).sum()
        y.backward()
        result = y, x.grad""",
    "function": """
        class F(ag.Function):
            def forward(self, a, b):
                self.save_for_backward(a, b)
                return a * b, a + b
            def backward(self, d1, d2):
                a, b = self.saved_tensors
                return d1 * b + d2, d1 * a + d2
        z = nd.array(vx) * 2
        z.attach_grad()
        with ag.record(): u, v = F()(x, z)
        ag.backward([u, v])
        result = u, v, x.grad, z.grad""",
    "second derivative of sin": """
        with ag.record():
            g = ag.grad(nd.sin(x), [x], create_graph=True, retain_graph=True)[0]
        g.backward()
        result = g, x.grad""",
    "second derivative of log": """
        with ag.record():
            g = ag.grad(nd.log(nd.abs(x) + 1), [x], create_graph=True, retain_graph=True)[0]
        g.backward()
        result = g""",
    "mark variables": """
        a, g = nd.ones((2,)), nd.zeros((2,))
        ag.mark_variables(a, g)
        with ag.record(): y = a * 2
        y.backward()
        result = g, a.grad""",
    "integers": "a = nd.zeros((3,), dtype='int32')\na.attach_grad()\nresult = a.grad, a.grad.dtype",
    "retain": "with ag.record(): y = x * x\ny.backward(retain_graph=True)\ny.backward()\nresult = x.grad",
    "symbol": """
        with ag.record(): y = nd.sigmoid(x * w)
        s = ag.get_symbol(y)
        result = [n['op'] for n in __import__('json').loads(s.tojson())['nodes']], len(s.list_arguments())""",
}
RAISES = {
    "not recorded": "(x * x).backward()\nresult = 0",
    "twice": "with ag.record(): y = x * x\ny.backward()\ny.backward()\nresult = 0",
    "in place": "with ag.record():\n    y = x * x\n    y += 1\nresult = 0",
    "assigned": "with ag.record():\n    y = x * x\n    y[:] = 1\nresult = 0",
    "leaf assigned": "with ag.record():\n    x[0] = 1\nresult = 0",
    "grad of a result": "with ag.record(): y = x * x\nresult = ag.grad(y, [y])",
    "grad of anything": "with ag.record(): y = x * x\nresult = ag.grad(y, [nd.ones(3)])",
    "grad of something else": "with ag.record(): y = x * x\nresult = ag.grad(y, [w])",
    "nothing wanted": "w.attach_grad('null')\nwith ag.record(): y = w * 2\ny.backward()\nresult = 0",
    "constant head": "with ag.record(): y = nd.ones(2) * 3\ny.backward()\nresult = 0",
}


def values():
    r = np.random.default_rng(7)
    return {"vx": r.standard_normal((3, 4)).astype("f4"), "vw": r.standard_normal(4).astype("f4")}


def plain(value):
    if isinstance(value, mx.nd.NDArray):
        return value.asnumpy()
    return [plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def run(source):
    namespace = {"mx": mx, "nd": mx.nd, "np": np, "__name__": "here", **values()}
    try:
        exec(compile(source, "<program>", "exec"), namespace)
    finally:
        mx.autograd.set_recording(False)
        mx.autograd.set_training(False)
    return plain(namespace["result"])


def compare(mine, theirs):
    if isinstance(theirs, np.ndarray):
        assert mine.dtype == theirs.dtype and mine.shape == theirs.shape
        np.testing.assert_allclose(mine, theirs, rtol=2e-5, atol=2e-6)
    elif isinstance(theirs, (list, tuple)):
        assert len(mine) == len(theirs)
        for a, b in zip(mine, theirs):
            compare(a, b)
    else:
        assert mine == theirs


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(oracle, name):
    source = SETUP + textwrap.dedent(PROGRAMS[name])
    compare(run(source), plain(oracle.run(source, **values())))


@pytest.mark.parametrize("name", RAISES)
def test_raises(oracle, name):
    source = SETUP + RAISES[name]
    with pytest.raises(OracleError):
        oracle.run(source, **values())
    with pytest.raises(mx.MXNetError):
        run(source)
