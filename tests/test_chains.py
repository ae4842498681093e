"""Chains of element-wise nodes: fused and unfused programs give the same bits, at every level, size and dtype."""
import random

import numpy as np
import pytest

import mxlite as mx
from mxlite._core import kernelcall, kernels
from mxlite._core.kernels import elementwise

from . import kernel_calls

level = kernel_calls.level            # the fixture
UNARY = ("relu", "tanh", "sigmoid", "exp", "square", "abs", "negative", "sin", "log1p", "softsign", "floor", "erf")
BINARY = ("elemwise_add", "elemwise_mul", "elemwise_sub", "broadcast_add", "broadcast_maximum", "broadcast_mul")


def random_net(rng, shape, n, parts):
    """A graph of `n` element-wise nodes over inputs of `shape` and, named p0 .., of shapes `parts`; some of its nodes
    are outputs, and a sum in the middle stands in the way of some paths."""
    entries = [mx.sym.Variable(f"x{i}") for i in range(3)]
    small = [mx.sym.Variable(f"p{i}") for i in range(len(parts))]
    for _ in range(n):
        a, b = rng.choice(entries), rng.choice(entries)
        kind = rng.random()
        if kind < 0.35:
            y = getattr(mx.sym, rng.choice(UNARY))(a)
        elif kind < 0.65:
            y = getattr(mx.sym, rng.choice(BINARY))(a, b)
        elif kind < 0.8:
            y = rng.choice([a * 0.5, a + 1.25, 2 - a, mx.sym.clip(a, a_min=-1, a_max=1), mx.sym.Activation(a, "tanh"),
                            mx.sym.LeakyReLU(a, slope=0.1), mx.sym.smooth_l1(a, scalar=2.0), abs(a) ** 2])
        elif kind < 0.88:
            y = mx.sym.add_n(*(rng.choice(entries) for _ in range(rng.randint(1, 5))))
        elif kind < 0.96 and small:
            y = mx.sym.broadcast_add(mx.sym.tanh(a), rng.choice(small))
        else:       # no chain goes through this
            y = mx.sym.broadcast_mul(a, mx.sym.mean(mx.sym.tanh(b), axis=tuple(range(len(shape))), keepdims=True))
        entries.append(mx.sym.clip(y, a_min=-50.0, a_max=50.0))
    heads = [entries[-1], *rng.sample(entries[3:], min(2, len(entries) - 3))]
    return mx.sym.Group(heads)


def results(net, shapes, values, fuse, dtype, req="write"):
    """Outputs and gradients of a training step of `net`."""
    before = mx.runtime.set_option("fuse", fuse)
    try:
        ex = net.simple_bind(mx.cpu(), grad_req=req, type_dict={k: dtype for k in shapes}, **shapes)
        for k in net.list_arguments():
            ex.arg_dict[k][:] = values[k]
            ex.grad_dict[k][:] = 0.5
        outs = [o.asnumpy() for o in ex.forward(is_train=True)]
        ex.backward([mx.nd.ones(o.shape, dtype=dtype) for o in ex.outputs])
        grads = {k: g.asnumpy() for k, g in ex.grad_dict.items()}
        held = [o.asnumpy() for o in ex.forward(is_train=False)]
        return outs, grads, held, ex
    finally:
        mx.runtime.set_option("fuse", before)


def alike(a, b, tolerance):
    for x, y in zip(a, b):
        if tolerance:
            np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)
        else:
            np.testing.assert_array_equal(x, y)


SHAPES = [((7,), [(1,)]), ((1,), []), ((3, 5), [(5,), (3, 1), (1, 1)]),
          ((2, 3, 11, 7), [(3, 1, 1), (7,), (2, 1, 1, 1)]),
          ((4, 1025), [(1025,)]), ((3, 4099), [(3, 1), (1,)])]


@pytest.mark.parametrize("seed", range(24))
def test_random_graphs_fused_and_not(seed):
    rng = random.Random(seed)
    shape, parts = SHAPES[seed % len(SHAPES)]
    net = random_net(rng, shape, rng.randint(2, 30), parts)
    dtype = "float64" if seed % 4 == 3 else "float32"
    r = np.random.default_rng(seed)
    shapes = {k: shape if k[0] == "x" else parts[int(k[1:])] for k in net.list_arguments()}
    values = {k: r.uniform(-2, 2, s) for k, s in shapes.items()}
    req = "add" if seed % 5 == 4 else "write"
    one = results(net, shapes, values, True, dtype, req)
    two = results(net, shapes, values, False, dtype, req)
    alike(one[0], two[0], 0)
    alike(one[2], two[2], 0)
    alike(one[1].values(), two[1].values(), 0)


@pytest.mark.parametrize("seed", (2, 3, 9))
def test_every_level(seed, level):
    test_random_graphs_fused_and_not(seed)


# -- which nodes become one ---------------------------------------------------------------------------------------
X, Y = mx.sym.Variable("x"), mx.sym.Variable("y")


def rows_of(net, dtype="float32", grad_req="null", **shapes):
    """(operators, kernel) of each instruction of the program that runs `net`."""
    ex = net.simple_bind(mx.cpu(), grad_req=grad_req, type_dict={k: dtype for k in shapes}, **shapes)
    lowered = ex._bound.program(ex._bound.mode_named(None))
    draft = lowered.draft
    names = [draft.made_of.get(row) or [draft.nodes[row].op.name] for row in lowered.program.rows]
    return ["+".join(n) for n in names]


def test_a_chain_is_one_row():
    net = mx.sym.relu(X * Y + X) * 0.5
    assert rows_of(net, x=(3, 4), y=(3, 4)) == ["elemwise_mul+elemwise_add+relu+_mul_scalar"]
    assert rows_of(net, "float64", x=(3, 4), y=(3, 4)) == ["elemwise_mul+elemwise_add+relu+_mul_scalar"]
    with mx.runtime.option("fuse", False):
        assert len(rows_of(net, x=(3, 4), y=(3, 4))) == 4
    assert rows_of(mx.sym.relu(X), x=(3,)) == ["relu"]


def test_broadcast_members():
    net = mx.sym.tanh(mx.sym.broadcast_add(X * 2, Y))
    for shape in ((1, 3, 1, 1), (5,), (4, 5), (1,), (2, 1, 1, 1), (1, 3, 4, 1), (2, 3, 4, 5)):
        assert len(rows_of(net, x=(2, 3, 4, 5), y=shape)) == 1, shape
    assert len(rows_of(net, x=(2, 3, 4, 5), y=(2, 1, 4, 1))) == 3       # repeats along axes that are no neighbours


def test_what_parts_a_chain():
    wide = mx.sym.Cast(mx.sym.exp(X * 2), dtype="float64")
    assert len(rows_of(mx.sym.tanh(wide + 1), x=(3,))) == 3             # dtype
    assert len(rows_of(mx.sym.tanh(mx.sym.reshape(mx.sym.exp(X * 2), shape=(4, 1)) + 1), x=(2, 2))) == 2
    total = mx.sym.sum(mx.sym.exp(X * 2), axis=1)
    assert rows_of(mx.sym.tanh(total + 1), x=(2, 2)) == ["_mul_scalar+exp", "sum", "_plus_scalar+tanh"]
    # a path that leaves and comes back: the last addition has to wait for the sum
    e = mx.sym.exp(X * 2)
    net = mx.sym.broadcast_add(e * 3, mx.sym.sum(e, axis=1, keepdims=True))
    assert rows_of(net, x=(2, 2)) in (["_mul_scalar+exp", "sum", "_mul_scalar+broadcast_add"],
                                      ["_mul_scalar+exp+_mul_scalar", "sum", "broadcast_add"])
    train = rows_of(mx.sym.tanh(X * 2) + 1, grad_req="write", x=(2, 2))
    assert train == ["_mul_scalar+tanh+_plus_scalar", "_backward_tanh+_mul_scalar"]     # forward and backward


def test_states_are_read_in_their_turn():
    """A moving mean that BatchNorm writes is not read before or after its time by a chain."""
    norm = mx.sym.BatchNorm(X, name="bn", momentum=0.5, fix_gamma=False)
    mean = norm.get_internals()["bn_moving_mean"]
    net = mx.sym.Group([mx.sym.tanh(mx.sym.exp(norm)), mx.sym.tanh(mean * 2 + 1)])
    r = np.random.default_rng(0)
    data, got = r.normal(size=(4, 3)), []
    for fuse in (True, False):
        with mx.runtime.option("fuse", fuse):
            ex = net.simple_bind(mx.cpu(), x=(4, 3))
            ex.arg_dict["x"][:], ex.arg_dict["bn_gamma"][:] = data, 1
            for _ in range(3):
                outs = [o.asnumpy() for o in ex.forward(is_train=True)]
            got.append(outs)
    alike(*got, 0)


def test_long_chains_and_wide_sums(level):
    net, x = X, np.linspace(-1, 1, 77).astype("float32")
    for k in range(100):
        net = mx.sym.tanh(net * 1.5) + mx.sym.add_n(*[X] * (k % 25 + 1))
    got = []
    for fuse in (True, False):
        with mx.runtime.option("fuse", fuse):
            ex = net.simple_bind(mx.cpu(), grad_req="null", x=(77,))
            ex.arg_dict["x"][:] = x
            got.append([ex.forward()[0].asnumpy()])
    assert len(rows_of(net, x=(77,))) < 150
    alike(*got, 0)


def test_gradient_added_in_place():
    """`grad_req="add"` reads the array that the chain's last step writes."""
    net = mx.sym.tanh(X * Y) * Y
    for fuse in (True, False):
        with mx.runtime.option("fuse", fuse):
            ex = net.simple_bind(mx.cpu(), grad_req="add", x=(1000,), y=(1000,))
            ex.arg_dict["x"][:], ex.arg_dict["y"][:] = 0.5, np.linspace(0, 1, 1000)
            for g in ex.grad_dict.values():
                g[:] = 3
            for _ in range(2):
                ex.forward(is_train=True)
                ex.backward(mx.nd.ones((1000,)))
            y = np.linspace(0, 1, 1000)
            t = np.tanh(0.5 * y)
            np.testing.assert_allclose(ex.grad_dict["x"].asnumpy(), 3 + 2 * (1 - t * t) * y * y, rtol=1e-5)


# -- the kernel ---------------------------------------------------------------------------------------------------
CHAIN, PACK = kernels.lookup("elementwise.chain")
ADD, MUL, RELU, TANH, HALF = (elementwise.loops[k][0] for k in ("add", "mul", "relu", "tanh", "_mul_scalar"))
NONE = (0.0, 0.0, 0.0)


def run(steps, kinds, ins, outs, registers=2, threads=1):
    args = PACK({"inputs": kinds, "outputs": len(outs), "steps": steps, "registers": registers, "cost": len(steps)})
    return kernelcall.call(CHAIN, ins, outs, args, threads=threads)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_kernel_tails_and_threads(dtype, level):
    """relu(a * b + c) * 0.5 with c whole, one number, along rows, along columns; the product is an output too."""
    rng = np.random.default_rng(0)
    for shape in ((1,), (3, 5), (7, 300), (2, 3, 1031), (130, 1100)):
        a, b = (rng.uniform(-1, 1, shape).astype(dtype) for _ in range(2))
        n, last = a.size, shape[-1]
        for c, kind in ((rng.uniform(-1, 1, shape), (0, 1, 1)), (rng.uniform(-1, 1, 1), (1, 1, 1)),
                        (rng.uniform(-1, 1, last), (2, last, 1)),
                        (rng.uniform(-1, 1, (*shape[:-1], 1)), (2, n // last, last))):
            c = c.astype(dtype)
            wide = np.float64 if dtype == "float64" else np.float32
            product = a.astype(wide) * b.astype(wide)
            want = (np.maximum(product + c.astype(wide), 0) * wide(0.5)).reshape(shape)
            for threads in (1, 2):
                y, p = np.full((n + 8,), 7, dtype), np.full((n + 8,), 7, dtype)
                steps = [(MUL, 4, 0, 1, NONE), (ADD, 5, 4, 2, NONE), (RELU, 5, 5, 5, NONE),
                         (HALF, 3, 5, 5, (0.5, 0, 0))]
                assert run(steps, [(0, 1, 1), (0, 1, 1), kind], [a, b, c], [y[:n], p[:n]], 1, threads) == 0
                np.testing.assert_array_equal(y[:n].reshape(shape), want.astype(dtype))
                np.testing.assert_array_equal(p[:n].reshape(shape), product.astype(dtype))
                assert (y[n:] == 7).all() and (p[n:] == 7).all()


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_kernel_writes_over_what_it_reads(dtype, level):
    """An output may be an input's memory, even where a later step reads that input once more."""
    rng = np.random.default_rng(0)
    for n in (5, 64, 5000):
        a, b = (rng.uniform(-1, 1, n).astype(dtype) for _ in range(2))
        total = a + b
        want = total, np.tanh(total.astype("float64")) * a, b * a
        steps = [(ADD, 2, 0, 1, NONE), (TANH, 5, 2, 2, NONE), (MUL, 3, 5, 0, NONE), (MUL, 4, 1, 0, NONE)]
        for streamed in (False, True):
            before = elementwise.set_stream_bytes(0 if streamed else 1 << 40)
            try:
                for first, second in ((0, 1), (1, 0), (0, None), (None, 0), (None, 1)):
                    ins = [a.copy(), b.copy()]
                    outs = [np.full(n, 7, dtype) for _ in range(3)]
                    for j, i in enumerate((first, second)):
                        if i is not None:
                            outs[j] = ins[i]
                    assert run(steps, [(0, 1, 1)] * 2, ins, outs, 1) == 0
                    for y, w in zip(outs, want):
                        np.testing.assert_allclose(y, w, rtol=2e-3 if dtype == "float16" else 3e-6, atol=1e-7)
            finally:
                elementwise.set_stream_bytes(before)


def test_kernel_output_that_nobody_reads(level):
    a, y = np.linspace(-1, 1, 3000).astype("float32"), np.empty(3000, "float32")
    assert run([(ADD, 2, 0, 0, NONE), (RELU, 1, 2, 2, NONE)], [(0, 1, 1)], [a], [y, None], 0) == 0
    np.testing.assert_array_equal(y, np.maximum(a + a, 0))


def test_kernel_and_packer_refuse():
    good = {"inputs": [(0, 1, 1)], "outputs": 1, "steps": [(ADD, 1, 0, 0, NONE)], "registers": 0, "cost": 1}
    PACK(good)
    for bad in ({"steps": [(ADD, 0, 0, 0, NONE)]}, {"steps": [(ADD, 1, 0, 2, NONE)]},
                {"steps": [(10**6, 1, 0, 0, NONE)]},
                {"steps": [(-1, 1, 0, 0, NONE)]}, {"steps": [(ADD, 1, 0, 0, NONE)] * 100}, {"registers": 100},
                {"registers": -1}, {"outputs": 0}, {"inputs": [(3, 1, 1)]}, {"inputs": [(2, 0, 1)]}):
        with pytest.raises(ValueError):
            PACK({**good, **bad})
    with pytest.raises(ValueError):
        PACK({"steps": []})
    a = np.zeros(3, "int32")
    assert run([(ADD, 1, 0, 0, NONE)], [(0, 1, 1)], [a], [a.copy()], 0) == 1


def test_reference_of_a_chain():
    """What runs where there is no kernel computes the same."""
    net = mx.sym.Group([mx.sym.relu(X * Y + X) * 0.5, mx.sym.broadcast_add(X, Y)])
    ex = net.simple_bind(mx.cpu(), grad_req="null", x=(3, 4), y=(3, 4))
    lowered = ex._bound.program(ex._bound.mode_named(None))
    node = next(lowered.draft.nodes[row] for row in lowered.program.rows if len(lowered.draft.outs[row]) == 1)
    rng = np.random.default_rng(0)
    x, y = (rng.uniform(-1, 1, (3, 4)).astype("float32") for _ in range(2))
    got = node.op.ref(np, node.p, x, y)
    np.testing.assert_array_equal(got[0], np.maximum(x * y + x, 0) * np.float32(0.5))
