"""Arrays on a GPU that is made up: what NDArrays can do there, against the same on the CPU."""
import os
import pickle
import types

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import mxlite as mx
import mxlite.gpu
from mxlite.gpu import imperative, rnn

from . import shim
from .fake import MEMORY
from .fake_rnn import FakeRnn

pytestmark = shim.needs_cxx
HOST_TO_DEVICE, DEVICE_TO_HOST = 1, 2
many = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def both(values, dtype="float32"):
    """The same array on the GPU and on the CPU."""
    return mx.nd.array(values, ctx=mx.gpu(0), dtype=dtype), mx.nd.array(values, dtype=dtype)


def host_copies(xp, since=0):
    return [entry for entry in xp.log[since:] if entry[0] == "copy" and entry[1] in (HOST_TO_DEVICE, DEVICE_TO_HOST)]


def same(a, b):
    assert a.context == mx.gpu(0) and a.dtype_name == b.dtype_name
    np.testing.assert_array_equal(a.asnumpy(), b.asnumpy(), strict=True)


def test_calls_run_on_the_device(gpus):
    x, x0 = both(np.arange(12).reshape(3, 4))
    y, y0 = both(np.linspace(-1, 1, 4))
    since = len(gpus.log)
    got = [x + 1, 2 / (x + 1), x * x, mx.nd.broadcast_add(x, y.reshape((1, 4))), x.sum(axis=1), x > 3, x.T,
           mx.nd.concat(x, x, dim=1), mx.nd.softmax(x), mx.nd.dot(x, x, transpose_b=True), -x, mx.nd.zeros_like(x),
           mx.nd.ones((2, 3), ctx=mx.gpu(0)), mx.nd.arange(5, ctx=mx.gpu(0)), mx.nd.cumsum(x, axis=0)]
    x += 1
    x *= 0.5
    assert not host_copies(gpus, since), "an operator's call went to the host"
    want = [x0 + 1, 2 / (x0 + 1), x0 * x0, mx.nd.broadcast_add(x0, y0.reshape((1, 4))), x0.sum(axis=1), x0 > 3, x0.T,
            mx.nd.concat(x0, x0, dim=1), mx.nd.softmax(x0), mx.nd.dot(x0, x0, transpose_b=True), -x0,
            mx.nd.zeros_like(x0), mx.nd.ones((2, 3)), mx.nd.arange(5), mx.nd.cumsum(x0, axis=0)]
    x0 += 1
    x0 *= 0.5
    for a, b in zip([*got, x], [*want, x0]):
        assert a.context == mx.gpu(0)
        np.testing.assert_allclose(a.asnumpy(), b.asnumpy(), rtol=1e-6, atol=1e-6)


def test_a_repeated_call_starts_what_was_kept(gpus):
    x, out = mx.nd.ones((8,), ctx=mx.gpu(0)), mx.nd.empty((8,), ctx=mx.gpu(0))
    mx.nd.relu(x, out=out)
    compiled, allocated, launched = gpus.count("load"), gpus.count("alloc"), gpus.count("launch")
    for _ in range(5):
        mx.nd.relu(x, out=out)
    assert (gpus.count("load"), gpus.count("alloc"), gpus.count("launch")) == (compiled, allocated, launched + 5)


def test_devices_do_not_mix(gpus):
    x = mx.nd.ones((2,), ctx=mx.gpu(0))
    for other in (mx.nd.ones((2,)), mx.nd.ones((2,), ctx=mx.gpu(1))):
        with pytest.raises(mx.MXNetError, match="different devices"):
            x + other
    with pytest.raises(mx.MXNetError, match=r"this machine has gpu\(0\), gpu\(1\)"):
        mx.nd.ones((2,), ctx=mx.gpu(2))
    with pytest.raises(mx.MXNetError, match="out is on"):
        mx.nd.relu(x, out=mx.nd.empty((2,)))
    with pytest.raises(mx.MXNetError, match="asnumpy"):
        x.numpy_view()
    with pytest.raises(MemoryError, match=r"gpu\(0\) has no"):
        mx.nd.empty((1 << 40,), ctx=mx.gpu(0))
    large = mx.sym.broadcast_to(mx.sym.Variable("large"), shape=(1 << 16, 1 << 15), name="wide")    # 8 GB
    with pytest.raises(MemoryError, match=rf"(?s)'wide'.*gpu\(0\) has {MEMORY}"):
        large.simple_bind(mx.gpu(0), large=(1, 1), grad_req="null")


@pytest.mark.parametrize("a, b", [(mx.gpu(0), mx.gpu(1)), (mx.cpu(0), mx.gpu(1)), (mx.gpu(0), mx.cpu(0))])
def test_a_graph_over_several_devices_is_refused_when_it_is_bound(gpus, a, b):
    net = mx.sym.relu(mx.sym.exp(mx.sym.Variable("x", attr={"ctx_group": "a"}), attr={"ctx_group": "a"}),
                      attr={"ctx_group": "b"})
    with pytest.raises(mx.MXNetError, match="cannot spread a graph over .*Module"):
        net.bind(mx.gpu(0), {"x": mx.nd.ones((2,), ctx=a)}, group2ctx={"a": a, "b": b})
    everywhere = {"a": mx.gpu(0), "b": mx.gpu(0)}
    exe = net.bind(mx.gpu(0), {"x": mx.nd.ones((2,), ctx=mx.gpu(0))}, group2ctx=everywhere)
    assert exe.forward()[0].context == mx.gpu(0)


def test_copies(gpus):
    x, x0 = both(np.arange(6).reshape(2, 3))
    for dtype in ("float16", "bfloat16", "float64", "int32", "uint8"):
        same(x.astype(dtype), x0.astype(dtype))
        y = mx.nd.empty((2, 3), ctx=mx.gpu(0), dtype=dtype)
        x0.copyto(y)                                            # moved, then converted
        same(y, x0.astype(dtype))
        back = mx.nd.empty((2, 3), dtype="float32")
        y.copyto(back)
        np.testing.assert_array_equal(back.asnumpy(), x0.asnumpy())
        assert mx.nd.array(x, dtype=dtype).context == mx.cpu()
        same(mx.nd.array(np.arange(6.).reshape(2, 3), ctx=mx.gpu(0), dtype=dtype), x0.astype(dtype))
    there = x.copyto(mx.gpu(1))
    assert there.context == mx.gpu(1) and gpus.count("peer") == 1
    x[:] = 0                                                    # the copy was made in time
    np.testing.assert_array_equal(there.asnumpy(), x0.asnumpy())
    assert x.as_in_context(mx.gpu(0)) is x and x.copy().context == mx.gpu(0)
    assert float(there[1, 2]) == 5 and bool(there[0, 1] == 1) and there.T.shape == (3, 2)
    assert "@gpu(1)" in repr(there)
    large = np.random.default_rng(0).normal(size=(3 << 20) + 5).astype("float32")        # more than two pieces
    np.testing.assert_array_equal(mx.nd.array(large, ctx=mx.gpu(0)).asnumpy(), large)


def test_pinned_memory(gpus):
    x = mx.nd.array(np.arange(4), ctx=mx.cpu_pinned())
    assert gpus.count("alloc_pinned") >= 1 and x.context == mx.cpu_pinned()
    y = x.as_in_context(mx.gpu(0))
    since = gpus.count("alloc_pinned")
    z = y.as_in_context(mx.cpu_pinned())
    assert gpus.count("alloc_pinned") == since + 1, "through memory that need not be"
    np.testing.assert_array_equal((z + x).asnumpy(), [0, 2, 4, 6])


def test_pickles_and_files(gpus, tmp_path):
    x, x0 = both(np.arange(6).reshape(2, 3), "bfloat16")
    same(pickle.loads(pickle.dumps(x)), x0)
    mx.nd.save(str(tmp_path / "x"), {"x": x})
    back = mx.nd.load(str(tmp_path / "x"))["x"]
    assert back.context == mx.cpu()
    np.testing.assert_array_equal(back.asnumpy(), x0.asnumpy())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
def test_a_forked_child_is_told(gpus):
    x = mx.nd.ones((3,), ctx=mx.gpu(0))
    x + 1
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        told = []
        for use in (lambda: x + 1, x.asnumpy, lambda: x.copy(), lambda: mx.nd.ones((3,), ctx=mx.gpu(0)),
                    mx.nd.ones((3,)).asnumpy):
            try:
                use()
                told.append("fine")
            except mx.MXNetError as e:
                told.append("told" if "forked" in str(e) else str(e))
        os.write(writing, " ".join(told).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 1000).decode() == "told told told told fine"
    os.close(reading)
    os.close(writing)


# -- indexing -----------------------------------------------------------------------------------------------------

@st.composite
def keys(draw):
    """(shape, key): basic keys, arrays of integers, masks, and mixtures of them."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, max_side=4))
    kind = draw(st.sampled_from(("basic", "integers", "mask", "mixed")))
    if kind == "basic":
        return shape, draw(hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    if kind == "integers":
        return shape, draw(hnp.integer_array_indices(shape))
    if kind == "mask":
        return shape, draw(hnp.arrays(bool, shape[:draw(st.integers(1, len(shape)))]))
    rows = draw(st.lists(st.integers(-shape[0], shape[0] - 1), min_size=1, max_size=3))
    return shape, (rows, *draw(st.lists(st.just(slice(None, None, 2)), max_size=len(shape) - 1)))


@given(case=keys(), dtype=st.sampled_from(("float32", "bfloat16", "int32")))
@many
def test_get(gpus, case, dtype):
    shape, key = case
    x, x0 = both(np.arange(np.prod(shape)).reshape(shape), dtype)
    part, want = x[key], x0[key]
    same(part, want)
    assert part.overlaps(x) == want.overlaps(x0)


@given(case=keys(), dtype=st.sampled_from(("float32", "bfloat16", "int32")), data=st.data())
@many
def test_set(gpus, case, dtype, data):
    shape, key = case
    x, x0 = both(np.zeros(shape), dtype)
    selected = np.empty(shape)[key if isinstance(key, tuple) else (key,)]
    # Positions that are named twice: which value stays is not said.
    values = np.full(selected.shape, 3.) if np.size(selected) > np.prod(shape) or not isinstance(selected, np.ndarray) \
        else 1 + np.arange(selected.size, dtype=float).reshape(selected.shape)
    if any(isinstance(k, (list, np.ndarray)) for k in (key if isinstance(key, tuple) else (key,))):
        values = np.full(selected.shape, 3.)
    kind = data.draw(st.sampled_from(("number", "numpy", "array", "there")))
    given_there = {"number": 2.5, "numpy": values, "array": mx.nd.array(values),
                   "there": mx.nd.array(values, ctx=mx.gpu(0), dtype=dtype)}[kind]
    x[key] = given_there
    x0[key] = given_there if kind == "number" else mx.nd.array(values)
    same(x, x0)


def test_keys_that_are_wrong(gpus):
    x, x0 = both(np.zeros((3, 4)))
    for key in (3, (0, 4), [3], ([0], [-5]), np.ones(4, bool), (0, 0, 0), np.array([[0, 7]])):
        for array in (x, x0):
            with pytest.raises(IndexError):
                array[key]
            with pytest.raises(IndexError):
                array[key] = 1
    for array in (x, x0):
        with pytest.raises(mx.MXNetError, match="cannot assign"):
            array[:2] = np.zeros((3, 3))
        with pytest.raises(mx.MXNetError, match="cannot assign"):
            array[[0, 1]] = mx.nd.zeros((5,))
        with pytest.raises(TypeError):
            array[0] = "a"
    x[1:] = x[:-1] + 1
    x[1:] = x[:-1]                                              # onto itself, shifted
    np.testing.assert_array_equal(x.asnumpy()[:, 0], [0, 0, 1])


def test_rows_share_memory(gpus):
    x = mx.nd.zeros((4, 3), ctx=mx.gpu(0))
    x[1:3] = 1
    row = x[2]
    row += 5
    x.reshape((12,))[11] = 9
    np.testing.assert_array_equal(x.asnumpy(), [[0] * 3, [1] * 3, [6] * 3, [0, 0, 9]])


# -- what comes late ----------------------------------------------------------------------------------------------

def test_an_index_out_of_range_is_told_when_the_host_waits(gpus):
    x, bad = mx.nd.ones((3, 4), ctx=mx.gpu(0)), mx.nd.array([0, 9], ctx=mx.gpu(0))
    y = mx.nd.take(x, bad, mode="raise")
    z = x + 1
    with pytest.raises(mx.MXNetError, match=r"take\(\(3, 4\) float32, \(2,\) float32\): an index is out of range"):
        y.wait_to_read()
    np.testing.assert_array_equal(z.asnumpy(), 2)               # told once
    mx.nd.take(x, bad, mode="raise")
    with pytest.raises(mx.MXNetError, match="out of range"):
        mx.nd.waitall()
    mx.nd.take(x, bad, mode="raise")
    with pytest.raises(mx.MXNetError, match="out of range"):
        for _ in range(imperative.SLOTS + 1):                   # nobody waits: told when too many are not looked at
            mx.nd.take(x, mx.nd.array([0, 1], ctx=mx.gpu(0)), mode="raise")
    mx.nd.waitall()


def test_what_a_reference_refuses_is_named(gpus):
    with pytest.raises(mx.MXNetError, match="expand_dims"):
        mx.nd.expand_dims(mx.nd.ones((2,), ctx=mx.gpu(0)), axis=7)


# -- random numbers, gradients --------------------------------------------------------------------------------------

def test_cupys_linear_algebra_raises_inside_of_references():
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed: pip install mxlite[gpu-test]")
    cupyx = pytest.importorskip("cupyx", reason="CuPy is not installed: pip install mxlite[gpu-test]")
    seen = []
    op = types.SimpleNamespace(aux=(), train_aware=False, random=False,
                               ref=lambda xp, p: seen.append(cupyx.geterr()["linalg"]) or ())
    imperative.reference(types.SimpleNamespace(xp=cupy), op, None, [], [], False, 0, None)(0, 0)
    assert seen == ["raise"] and cupyx.geterr()["linalg"] == "ignore"


def test_random_numbers_are_the_cpu_s(gpus):
    def draw(ctx):
        mx.random.seed(11)
        x = mx.nd.ones((50,), ctx=ctx)
        with mx.autograd.train_mode():
            return [mx.nd.random.uniform(shape=(7,), ctx=ctx), mx.nd.random.normal(shape=(3, 5), ctx=ctx),
                    mx.nd.Dropout(x, p=0.4), mx.nd.random.randint(0, 9, shape=(20,), ctx=ctx), mx.nd.shuffle(x)]
    for a, b in zip(draw(mx.gpu(0)), draw(mx.cpu())):
        assert a.context == mx.gpu(0)
        np.testing.assert_allclose(a.asnumpy(), b.asnumpy(), rtol=1e-6)


def test_gradients(gpus):
    def run(ctx):
        mx.random.seed(5)
        rng = np.random.default_rng(2)
        x, w = (mx.nd.array(rng.normal(size=s), ctx=ctx) for s in ((4, 6), (6, 5)))
        label = mx.nd.array([0, 2, 1, 4], ctx=ctx)
        x.attach_grad()
        w.attach_grad("add")
        for _ in range(2):
            with mx.autograd.record():
                y = mx.nd.Dropout(mx.nd.relu(mx.nd.dot(x, w)), p=0.3)
                z = (mx.nd.log_softmax(y * 2)[:, 1:] ** 2).sum() + mx.nd.pick(y, label).sum() + x[[0, 2]].sum()
            z.backward()
        y2 = mx.autograd.grad(run_square(x), x, create_graph=False)
        return [x.grad, w.grad, *(y2 if isinstance(y2, list) else [y2]), z]

    def run_square(x):
        with mx.autograd.record():
            return x * x
    for a, b in zip(run(mx.gpu(0)), run(mx.cpu())):
        assert a.context == mx.gpu(0)
        np.testing.assert_allclose(a.asnumpy(), b.asnumpy(), rtol=1e-5, atol=1e-6)


def test_a_recorded_assignment(gpus):
    def run(ctx):
        y, v = mx.nd.ones((3, 2), ctx=ctx), mx.nd.array([2., 3.], ctx=ctx)
        v.attach_grad()
        with mx.autograd.record():
            y[1] = v * v
            z = (y * y).sum()
        z.backward()
        return y.asnumpy(), v.grad.asnumpy()
    for a, b in zip(run(mx.gpu(0)), run(mx.cpu())):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("refuses", [False, True])
def test_notes_of_a_library_fit_behind_an_array(gpus, refuses):
    """cuDNN's recurrent layers leave more for backward than the record says that there is. What it refuses, the
    reference runs."""
    device = mxlite.gpu.get_device(0)
    library = FakeRnn(reserve=100_000)
    library.refuses = refuses
    library.xp = gpus
    device.libraries["rnn"] = rnn.Rnn(library, device)
    device.libraries["missing"].pop("rnn")
    n = 5 + refuses             # a plan of a shape that was seen before is another device's
    shapes = [(3, 2, 4), (4 * n * (4 + n + 2),), (1, 2, n), (1, 2, n)]

    def run(ctx):
        rng = np.random.default_rng(4)
        xs = [mx.nd.array(rng.normal(size=s), ctx=ctx) for s in shapes]
        for x in xs:
            x.attach_grad()
        with mx.autograd.record():
            y = mx.nd.RNN(*xs, state_size=n, num_layers=1, mode="lstm")
        y.backward(mx.nd.array(rng.normal(size=(3, 2, n)), ctx=ctx))
        return [y, *(x.grad for x in xs)]
    for a, b in zip(run(mx.gpu(0)), run(mx.cpu())):
        np.testing.assert_allclose(a.asnumpy(), b.asnumpy(), rtol=1e-4, atol=1e-5)
    assert bool(library.calls) != refuses


# -- other libraries ------------------------------------------------------------------------------------------------

def test_dlpack(gpus):
    x = mx.nd.array(np.arange(6).reshape(2, 3), ctx=mx.gpu(1))
    assert x.__dlpack_device__() == (2, 1)
    y = mx.nd.from_dlpack(x)                                    # mxlite lends to itself, on its own stream
    assert y.context == mx.gpu(1) and y.address == x.address
    y[0] = 7
    np.testing.assert_array_equal(x.asnumpy()[0], 7)
    own = next(s.ptr for s in gpus.streams if s is not gpus.streams[0])
    for stream, waits in ((None, 1), (1, 1), (2, 2), (77, 77)):
        x.__dlpack__(stream=stream)
        assert ("wait_event", waits, own) in gpus.log[-1:], stream
    since = len(gpus.log)
    capsule = x.__dlpack__(stream=-1, max_version=(1, 0))
    assert not gpus.log[since:]
    del x, y
    z = mx.nd.from_dlpack(capsule)
    np.testing.assert_array_equal(z.asnumpy()[1], [3, 4, 5])
    for bad in (0, -2, "1", True):
        with pytest.raises(BufferError, match="stream"):
            z.__dlpack__(stream=bad)
    with pytest.raises(BufferError, match=r"gpu\(1\)"):
        z.__dlpack__(dl_device=(1, 0))


def test_memory_that_goes_back_is_put_in_order_with_the_default_stream(gpus):
    x = mx.nd.zeros((4,), ctx=mx.gpu(1))
    own = gpus.streams[1].ptr
    since = len(gpus.log)
    capsule = x.__dlpack__(stream=-1)
    y = mx.nd.from_dlpack(capsule)              # what is in a bare capsule was written there, as far as anybody knows
    assert gpus.log[since:] == [("record", 1), ("wait_event", own, 1)]
    since = len(gpus.log)
    del y                                       # its reader is waited for by the lender, both ways round
    assert gpus.log[since:] == [("record", own), ("wait_event", 1, own), ("record", 1), ("wait_event", own, 1)]
    since = len(gpus.log)
    x.__dlpack__(stream=-1)                     # nobody took it
    assert not gpus.log[since:]


def test_cuda_array_interface(gpus):
    x = mx.nd.zeros((2, 3), ctx=mx.gpu(0), dtype="float16")
    shown = x.__cuda_array_interface__
    assert (shown["shape"], shown["typestr"], shown["data"]) == ((2, 3), "<f2", (x.address, False))
    assert shown["stream"] == gpus.streams[0].ptr and shown["version"] == 3
    assert not hasattr(mx.nd.zeros((2,)), "__cuda_array_interface__")
    assert not hasattr(x.astype("bfloat16"), "__cuda_array_interface__")


def test_arrays_made_of_nothing_lie_where_out_or_the_context_says(gpus):
    makers = [lambda **words: mx.nd.random.normal(shape=(2,), **words),
              lambda **words: mx.nd.random_uniform(shape=(2,), **words),
              lambda **words: mx.nd._internal._zeros(shape=(2,), **words)]
    for make in makers:
        assert make().context == mx.cpu()           # the plan of that call is another device's
        with mx.gpu(1):
            assert make().context == mx.gpu(1)
            assert make(ctx=mx.gpu(0)).context == mx.gpu(0)
        out = mx.nd.full((2,), 7, ctx=mx.gpu(0))
        assert make(out=out) is out and (out != 7).asnumpy().all()
    weight = mx.nd.empty((3, 4), ctx=mx.gpu(1))
    mx.init.Xavier()(mx.init.InitDesc("fc_weight"), weight)
    assert weight.context == mx.gpu(1) and 0 < abs(weight).asnumpy().max() < 1


@pytest.mark.parametrize("dtype", ["int64", "int32", "int8", "uint8", "bool"])
def test_rows_of_integers_add_up_where_indices_repeat(gpus, dtype):
    rows = np.array([[100, 1], [60, 0], [7, 0], [120, 1]]).astype(dtype)
    got, want = ([mx.nd._internal._backward_take(mx.nd.array(rows, ctx=ctx, dtype=dtype),
                                                 mx.nd.array([2, 0, 2, 2], ctx=ctx), shape=(4, 2), axis=0)]
                 for ctx in (mx.gpu(0), mx.cpu()))
    same(got[0], want[0])


@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8"])
def test_of_values_for_one_place_the_last_stays(gpus, dtype):
    def run(ctx):
        x = mx.nd.zeros((5, 2), ctx=ctx, dtype=dtype)
        values = mx.nd.array(np.arange(8).reshape(4, 2), ctx=ctx, dtype=dtype)
        return mx.nd._internal._scatter_set_nd(x, values, mx.nd.array([[3, 1, 3, 1]], ctx=ctx), shape=(5, 2))
    same(run(mx.gpu(0)), run(mx.cpu()))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "bool", "int32", "int64"])
@pytest.mark.parametrize("pick", [mx.nd.take, lambda x, i: mx.nd.gather_nd(x, i.reshape((1, 3)))])
def test_gradients_of_indexing_integers(gpus, pick, dtype):
    got = []
    for ctx in (mx.gpu(0), mx.cpu()):
        x, i = mx.nd.array([1, 0, 1, 1], ctx=ctx, dtype=dtype), mx.nd.array([1, 1, 3], ctx=ctx)
        x.attach_grad()
        with mx.autograd.record():
            y = pick(x, i)
        y.backward(mx.nd.array([100, 100, 1], ctx=ctx, dtype=dtype))
        got.append(x.grad)
    same(*got)


def test_constants_of_a_gradient_are_made_on_the_device(gpus):
    for ctx in (mx.gpu(0), mx.gpu(1)):
        x = mx.nd.array([[2, 0.3], [0.3, 1]], ctx=ctx)
        x.attach_grad()
        with mx.autograd.record():
            loss = mx.nd.linalg.syevd(x)[0].sum()
        since = len(gpus.log)
        loss.backward()
        assert not host_copies(gpus, since) and x.grad.context == ctx
