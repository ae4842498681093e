"""Bound graphs on a device: replay, memory, errors that come late, memory that runs out, arrays and other libraries."""
import numpy as np
import pytest

import mxlite as mx

from . import samples

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def network(dropout=0.3):
    x = mx.sym.Variable("data")
    x = mx.sym.BatchNorm(mx.sym.FullyConnected(x, num_hidden=16, name="fc1"), name="bn", fix_gamma=False)
    x = mx.sym.Activation(x, act_type="relu")
    if dropout:
        x = mx.sym.Dropout(x, p=dropout)
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(x, num_hidden=8, name="fc2"), name="softmax")


def bound(net, ctx, seed=1, **shapes):
    """An executor whose arrays hold the same numbers on every context."""
    exe, rng = net.simple_bind(ctx, **shapes), np.random.default_rng(seed)
    for name, a in sorted(exe.arg_dict.items()):
        a[:] = rng.integers(0, 8, a.shape) if name.endswith("label") else rng.normal(size=a.shape)
    for name, a in exe.aux_dict.items():
        a[:] = 1 if name.endswith("var") else 0
    return exe


def step(exe):
    exe.forward(is_train=True)
    exe.backward()
    return [samples.host(a) for a in (*exe.outputs, *exe.aux_arrays, *filter(lambda g: g is not None, exe.grad_arrays))]


def test_a_graph_replayed_gives_the_bits_of_a_plain_run(gpu):
    """Five steps of one executor, the first of them plain, against first steps alone."""
    runs, states = [], []
    mx.random.seed(3)
    exe = bound(network(), gpu.ctx, data=(12, 6))
    for _ in range(5):
        states.append([a.copy() for a in exe.aux_arrays])
        runs.append(step(exe))
    assert "CUDA graph" in exe.explain("train")
    mx.random.seed(3)
    for state, want in zip(states, runs):
        plain = bound(network(), gpu.ctx, data=(12, 6))
        for a, b in zip(plain.aux_arrays, state):
            a[:] = b
        samples.identical(step(plain), want)
    assert not np.array_equal(runs[0][0][1], runs[1][0][1]), "dropout drew the same mask twice"


def test_dropout_masks_are_the_cpu_s(gpu):
    def masks(ctx, dtype):
        x, out = mx.nd.ones((5, 333), ctx=ctx, dtype=dtype), []
        mx.random.seed(7)
        with mx.autograd.train_mode():
            out += [mx.nd.Dropout(x, p=p) for p in (0.5, 0.1)]
            out.append(mx.nd.Dropout(x, p=0.3, axes=(1,)))
        exe = mx.sym.Dropout(mx.sym.Variable("x"), p=0.4).bind(ctx, {"x": x})
        for _ in range(3):
            out.append(exe.forward(is_train=True)[0].copy())
        return [samples.host(y) for y in out]
    for dtype in ("float32", "float64", "float16", "bfloat16"):
        want = masks(mx.cpu(), dtype)
        samples.identical(masks(gpu.ctx, dtype), want)
        assert 0 < np.count_nonzero(want[0][1]) < want[0][1].size


def test_random_numbers_are_the_cpu_s(gpu):
    def draw(ctx):
        mx.random.seed(11)
        return [samples.host(x) for x in (
            mx.nd.random.uniform(shape=(1001,), ctx=ctx), mx.nd.random.normal(shape=(3, 501), ctx=ctx),
            mx.nd.random.randint(0, 1000, shape=(77,), ctx=ctx), mx.nd.random.exponential(shape=(55,), ctx=ctx),
            mx.nd.random.gamma(2.0, 1.5, shape=(55,), ctx=ctx), mx.nd.shuffle(mx.nd.arange(50, ctx=ctx)))]
    got, want = draw(gpu.ctx), draw(mx.cpu())
    samples.identical([got[0], got[2], got[5]], [want[0], want[2], want[5]])
    samples.distance(got, want)


# -- layouts --------------------------------------------------------------------------------------------------------

def pictures(dtype):
    """What lies between two casts: convolutions, BatchNorm, pooling, additions, all of which turn channels last."""
    def unit(x, filters, stride, name):
        y = mx.sym.Convolution(x, kernel=(3, 3), pad=(1, 1), stride=stride, num_filter=filters, no_bias=True, name=name)
        return mx.sym.Activation(mx.sym.BatchNorm(y, fix_gamma=False, name=name + "_bn"), act_type="relu")
    x = mx.sym.Cast(mx.sym.Variable("data"), dtype=dtype)
    x = mx.sym.Pooling(unit(x, 8, (1, 1), "one"), kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max")
    x = x + unit(unit(x, 8, (1, 1), "two"), 8, (1, 1), "three")
    x = mx.sym.concat(unit(x, 16, (2, 2), "four"), mx.sym.Convolution(x, kernel=(1, 1), stride=(2, 2), num_filter=8,
                                                                      name="short"), dim=1)
    x = mx.sym.Flatten(mx.sym.Pooling(x, global_pool=True, kernel=(2, 2), pool_type="avg"))
    return mx.sym.Cast(mx.sym.FullyConnected(x, num_hidden=5, name="fc"), dtype="float32")


@pytest.mark.parametrize("dtype", ["float32", "TF32", "float16", "bfloat16"])
def test_layouts_agree(gpu, dtype):
    """Channels first and last, with all passes and with none, against the CPU; each again from its captured graphs."""
    tolerance = {"float32": 1, "TF32": 100, "float16": 400, "bfloat16": 3000}[dtype]

    def run(ctx):
        rng = np.random.default_rng(4)
        exe = pictures(dtype.replace("TF32", "float32")).simple_bind(ctx, data=(4, 3, 16, 16))
        for name, a in sorted(exe.arg_dict.items()):
            a[:] = 1 + 0.1 * rng.normal(size=a.shape) if name.endswith("gamma") else 0.3 * rng.normal(size=a.shape)
        for name, a in exe.aux_dict.items():
            a[:] = 1 if name.endswith("var") else 0
        head, out = mx.nd.array(rng.normal(size=(4, 5)), ctx=ctx), []
        before = [a.copy() for a in exe.aux_arrays]
        for _ in range(3):
            for a, b in zip(exe.aux_arrays, before):
                a[:] = b
            exe.forward(is_train=True)
            exe.backward([head])
            out.append([samples.host(a.astype("float32")) for a in (*exe.outputs, *exe.aux_arrays, *exe.grad_arrays)])
        samples.identical(out[1], out[0])
        samples.identical(out[2], out[0])
        out[0].append(samples.host(exe.forward(is_train=False)[0]))
        return out[0], exe.explain("train")
    want, _ = run(mx.cpu())
    options = {k: mx.runtime.get_option(k) for k in ("tf32", "layout", "fuse", "fold")}
    try:
        mx.runtime.set_option("tf32", dtype == "TF32")
        for layout in (True, False):
            mx.runtime.set_option("layout", layout)
            for fuse in (True, False):
                mx.runtime.set_option("fuse", fuse)
                mx.runtime.set_option("fold", fuse)
                got, program = run(gpu.ctx)
                samples.distance(got, want, tolerance)
                assert ("channels last" in program) == (layout and dtype != "float32"), program
    finally:
        for k, value in options.items():
            mx.runtime.set_option(k, value)


# -- memory ---------------------------------------------------------------------------------------------------------

def test_memory_does_not_grow(gpu):
    """Over 1,000 steps of a bound network, and of recorded imperative calls."""
    exe = bound(network(), gpu.ctx, data=(12, 6))
    w = mx.nd.ones((6, 4), ctx=gpu.ctx)
    w.attach_grad()

    def recorded():
        with mx.autograd.record():
            y = mx.nd.relu(mx.nd.dot(exe.arg_dict["data"], w) + 1).mean()
        y.backward()
        w[:] = w - 0.01 * w.grad

    def both():
        exe.forward(is_train=True)
        exe.backward()
        recorded()
    for _ in range(5):
        both()
    before = gpu.live()
    for i in range(gpu.times(1000, 30)):
        both()
        if i % 100 == 0:
            exe.outputs[0].wait_to_read()
    assert gpu.live() == before


def test_a_captured_program_allocates_nothing(gpu):
    exe = bound(network(), gpu.ctx, data=(12, 6))
    for _ in range(3):
        step(exe)
    with gpu.no_allocation():
        for _ in range(3):
            exe.forward(is_train=True)
            exe.backward()
    mx.nd.waitall()


def test_the_guard_against_allocations_works(gpu):
    with pytest.raises(BaseException, match="allocation"), gpu.no_allocation():
        keep = [mx.nd.empty((1 << 12,), ctx=gpu.ctx) for _ in range(3)]
        del keep


def test_memory_goes_back(gpu):
    before = gpu.live()
    exe = bound(network(), gpu.ctx, data=(12, 6))
    step(exe)
    assert gpu.live() > before
    del exe
    assert gpu.live() <= before + 4096          # what the device keeps for itself


def test_memory_that_runs_out_is_an_error_and_no_end(gpu):
    with pytest.raises((MemoryError, mx.MXNetError)):
        mx.nd.empty((1 << 42,), ctx=gpu.ctx)
    with pytest.raises((MemoryError, mx.MXNetError)):
        mx.sym.broadcast_to(mx.sym.Variable("x"), shape=(1 << 21, 1 << 21)).simple_bind(gpu.ctx, x=(1, 1))
    np.testing.assert_array_equal((mx.nd.ones((3,), ctx=gpu.ctx) + 1).asnumpy(), 2)


# -- errors ---------------------------------------------------------------------------------------------------------

def test_an_index_out_of_range_is_told_late_and_once(gpu):
    net = mx.sym.take(mx.sym.Variable("x"), mx.sym.Variable("i"), mode="raise", name="pick")
    exe = net.bind(gpu.ctx, {"x": mx.nd.ones((3, 4), ctx=gpu.ctx), "i": mx.nd.array([0, 1], ctx=gpu.ctx)})
    for _ in range(3):
        exe.forward()[0].asnumpy()
    exe.arg_dict["i"][:] = mx.nd.array([0, 9], ctx=gpu.ctx)
    with pytest.raises(mx.MXNetError, match="(?s)pick.*out of range"):
        exe.forward()[0].asnumpy()
    exe.arg_dict["i"][:] = mx.nd.array([2, 0], ctx=gpu.ctx)
    np.testing.assert_array_equal(exe.forward()[0].asnumpy(), 1)
    mx.nd.take(exe.arg_dict["x"], mx.nd.array([7], ctx=gpu.ctx), mode="raise")
    with pytest.raises(mx.MXNetError, match="out of range"):
        mx.nd.waitall()


@pytest.mark.parametrize("name, matrix", [("potrf", [[1, 2], [2, 1]]), ("inverse", [[1, 2], [2, 4]])])
@pytest.mark.parametrize("several", [False, True])
def test_linear_algebra_without_a_result_is_an_error(gpu, name, matrix, several):
    x = mx.nd.array([matrix, np.eye(2)] if several else matrix, ctx=gpu.ctx)
    with pytest.raises(mx.MXNetError, match=name):
        getattr(mx.nd.linalg, name)(x)
    exe = getattr(mx.sym.linalg, name)(mx.sym.Variable("x"), name="node").bind(gpu.ctx, {"x": x})
    with pytest.raises(mx.MXNetError, match=f"{name} node 'node'"):
        exe.forward()
        mx.nd.waitall()


def test_devices_do_not_mix(gpu):
    with pytest.raises(mx.MXNetError, match="different devices"):
        mx.nd.ones((2,), ctx=gpu.ctx) + mx.nd.ones((2,))
    with pytest.raises(mx.MXNetError, match="no GPU of that number"):
        mx.nd.ones((2,), ctx=mx.gpu(99))


def test_a_user_operator_runs_between_two_graphs(gpu):
    """References, and whatever else is Python, on the same stream, at the right place."""
    x = mx.sym.Variable("x")
    net = mx.sym.relu(mx.sym._internal._linalg_potrf(mx.sym._internal._linalg_syrk(x) + 3 * mx.sym.eye(4)) * 2) + 1

    def run(ctx):
        exe = net.bind(ctx, {"x": mx.nd.array(np.arange(16).reshape(4, 4) / 10, ctx=ctx)})
        return [samples.host(exe.forward()[0].copy()) for _ in range(4)]
    got = run(gpu.ctx)
    samples.distance(got, run(mx.cpu()))
    for again in got[1:]:
        samples.identical([again], got[:1])


# -- arrays ---------------------------------------------------------------------------------------------------------

def test_copies_and_indexing(gpu):
    rng = np.random.default_rng(5)
    for dtype in ("float32", "float16", "bfloat16", "float64", "int32", "uint8"):
        x0 = mx.nd.array(rng.integers(0, 9, (5, 7)), dtype=dtype)
        x = x0.as_in_context(gpu.ctx)
        parts = [(slice(1, 4),), (slice(None), slice(None, None, -2)), ([4, 0, 2],), (None, 2, slice(3, None)), (3, 4)]
        for key in parts:
            samples.identical([samples.host(x[key])], [samples.host(x0[key])])
            y, y0 = x.copy(), x0.copy()
            y[key] = 3
            y0[key] = 3
            samples.identical([samples.host(y)], [samples.host(y0)])
        samples.identical([samples.host(x.T.copyto(mx.cpu()))], [samples.host(x0.T)])
    large = rng.normal(size=gpu.times(1 << 24, 1 << 18)).astype("float32")
    np.testing.assert_array_equal(mx.nd.array(large, ctx=gpu.ctx).asnumpy(), large)


def test_memory_info(gpu):
    assert mx.context.num_gpus() >= 1
    free, total = mx.context.gpu_memory_info(0)
    assert 0 < free <= total


def test_arrays_are_lent_to_cupy_and_pytorch(gpu):
    """Without a copy, in both directions, and in order with their streams."""
    if gpu.fake:
        pytest.skip("a made-up device lends to nobody")
    import cupy
    x = mx.nd.array(np.arange(12).reshape(3, 4), ctx=gpu.ctx)
    for lend in (cupy.from_dlpack, cupy.asarray):
        y = lend(x)
        assert y.data.ptr == x.address
    y[1] = 7                                            # who writes what was lent has to say when it is written
    cupy.cuda.get_current_stream().synchronize()
    np.testing.assert_array_equal((x + 0).asnumpy()[1], 7)
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: there is nobody to lend to")
    for _ in range(50):
        t = torch.from_dlpack(x)
        assert t.data_ptr() == x.address and t.is_cuda
        t += 1                                          # on PyTorch's stream
        x = mx.nd.from_dlpack(t) * 2                    # on ours, behind it
        x -= mx.nd.from_dlpack(torch.from_dlpack(x))    # and the other way
    np.testing.assert_array_equal(x.asnumpy(), 0)
