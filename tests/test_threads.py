"""Python threads: executors of their own, one executor for all, imperative calls; and fork after use."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings

import numpy as np
import pytest

import mxlite as mx
from mxlite._core import cpu, program

THREADS, STEPS = 8, 12


def network():
    """A small network with every kind of memory: convolution, auxiliary states, several users of one result."""
    data = mx.sym.Variable("data")
    net = mx.sym.Convolution(data, kernel=(3, 3), num_filter=8, pad=(1, 1), name="conv")
    net = mx.sym.BatchNorm(net, fix_gamma=False, name="bn")
    net = mx.sym.Activation(net, act_type="relu") + net
    net = mx.sym.FullyConnected(mx.sym.Flatten(mx.sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="max")),
                                num_hidden=5, name="fc")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def bound(seed, batch=6):
    """An executor of the network, all arguments drawn from `seed`."""
    rng = np.random.default_rng(seed)
    executor = network().simple_bind(mx.cpu(), data=(batch, 3, 12, 12))
    for name, array in executor.arg_dict.items():
        array[:] = rng.integers(0, 5, array.shape) if "label" in name else rng.uniform(-1, 1, array.shape)
    return executor


def one_step(executor):
    """Outputs and gradients of a forward and a backward, as NumPy arrays."""
    executor.forward(is_train=True)
    executor.backward()
    return [a.asnumpy() for a in executor.outputs + executor.grad_arrays]


def together(work, n=THREADS):
    """Run ``work(i)`` in `n` threads that start at once; the results in order. What a thread raises is raised here."""
    start, results, errors = threading.Barrier(n), [None] * n, []

    def run(i):
        try:
            start.wait()
            results[i] = work(i)
        except BaseException as e:
            errors.append(e)
    threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(120)
        assert not t.is_alive(), "a thread hangs"
    if errors:
        raise errors[0]
    return results


@pytest.fixture(autouse=True)
def switching():
    """Threads change places far more often than by default, so that a race has its chance."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def test_threads_bind_and_run_their_own_executors():
    want = [one_step(bound(i)) for i in range(THREADS)]

    def work(i):
        executor = bound(i)
        return [one_step(executor) for _ in range(STEPS)]
    for steps, expected in zip(together(work), want):
        for got in steps:
            for g, w in zip(got, expected):
                np.testing.assert_array_equal(g, w)


def test_threads_share_one_executor():
    """Forward and backward of one executor from all threads at once, in any order: on the same arguments every one
    leaves the same outputs and gradients. A thread between another's forward and backward must not leave it with
    memory that is used up."""
    executor = bound(1)
    want = one_step(executor)

    def work(i):
        for step in range(STEPS):
            if (i + step) % 3:
                executor.forward(is_train=bool((i + step) % 2))
            if i % 2:
                executor.backward()
    for _ in range(10):
        together(work)
        executor.forward(is_train=True)
        together(lambda i: executor.backward())
        for g, w in zip([a.asnumpy() for a in executor.outputs + executor.grad_arrays], want):
            np.testing.assert_array_equal(g, w)


def test_threads_bind_their_own_share_one_and_compute_between():
    """Everything at once: executors of their own (some spread over two contexts), one that all use, and imperative
    calls whose results depend on what the executors gave."""
    shared = bound(1)
    shared_want = one_step(shared)
    groups = {"dev1": mx.cpu(0), "dev2": mx.cpu(1)}

    def own(i):
        with mx.AttrScope(ctx_group="dev1"):
            net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=7, name="a")
        with mx.AttrScope(ctx_group="dev2"):
            net = mx.sym.FullyConnected(mx.sym.tanh(net), num_hidden=i + 1, name="b")
        executor = net.simple_bind(mx.cpu(), group2ctx=groups if i % 2 else None, data=(4, 5))
        rng = np.random.default_rng(i)
        for array in executor.arg_arrays:
            array[:] = rng.uniform(-1, 1, array.shape)
        return executor

    def step(executor, x):
        out = executor.forward(is_train=True, data=x)[0].as_in_context(mx.cpu())
        executor.backward(mx.nd.ones(out.shape))
        return mx.nd.tanh(mx.nd.dot(out, executor.arg_dict["b_weight"].as_in_context(mx.cpu())))[:, :5] * 0.5

    def chain(executor):
        x, seen = mx.nd.ones((4, 5)), []
        for _ in range(STEPS):
            x = step(executor, x)
            seen.append(x.asnumpy())
        return [*seen, *(g.asnumpy() for g in executor.grad_arrays)]
    want = [chain(own(i)) for i in range(THREADS)]

    def work(i):
        executor = own(i)
        results = []
        for _ in range(3):
            results.append(chain(executor))
            shared.forward(is_train=True)
        return results
    for results, expected in zip(together(work), want):
        for got in results:
            for g, w in zip(got, expected):
                np.testing.assert_array_equal(g, w)
    for g, w in zip(one_step(shared), shared_want):
        np.testing.assert_array_equal(g, w)


def test_threads_share_memory_between_executors():
    """Executors that share one arena take turns; a backward after another's forward computes its own values again."""
    first = bound(1)
    second = network().bind(mx.cpu(), {k: v.copy() for k, v in first.arg_dict.items()},
                            {k: mx.nd.zeros(v.shape) for k, v in first.arg_dict.items()},
                            aux_states={k: v.copy() for k, v in first.aux_dict.items()}, shared_exec=first)
    second.arg_dict["data"][:] = 0.5
    want = one_step(first), one_step(second)
    first.forward(is_train=True)
    second.forward(is_train=True)
    first.backward()
    second.backward()
    for executor, expected in zip((first, second), want):
        for g, w in zip([a.asnumpy() for a in executor.outputs + executor.grad_arrays], expected):
            np.testing.assert_array_equal(g, w)
    both = together(lambda i: [one_step((first, second)[i]) for _ in range(STEPS)], 2)
    for steps, expected in zip(both, want):
        for g, w in zip(steps[-1][:1], expected[:1]):
            np.testing.assert_array_equal(g, w)


def test_threads_call_operators():
    """The same operators with other parameters, shapes and dtypes in every thread: a plan never reaches the wrong
    call."""
    rng = np.random.default_rng(3)
    host = [rng.uniform(0.5, 1.5, (i + 1, 40, 5)).astype("float32") for i in range(THREADS)]

    def work(i):
        x = mx.nd.array(host[i], dtype="float64" if i % 2 else "float32")
        h = host[i].astype(x.dtype)
        for step in range(60):
            axis = (i + step) % 3
            np.testing.assert_allclose(mx.nd.sum(x, axis=axis).asnumpy(), h.sum(axis), rtol=1e-5)
            np.testing.assert_allclose((x * (i + 0.5) + step).asnumpy(), h * (i + 0.5) + step, rtol=1e-5)
            axes = (axis, *[a for a in range(3) if a != axis])
            np.testing.assert_array_equal(mx.nd.transpose(x, axes=axes).asnumpy(), h.transpose(axes))
            out = mx.nd.zeros(x.shape, dtype=x.dtype)
            mx.nd.clip(x, a_min=0.6, a_max=0.7 + i / 10, out=out)
            np.testing.assert_allclose(out.asnumpy(), h.clip(0.6, 0.7 + i / 10), rtol=1e-6)
            np.testing.assert_allclose(mx.nd.dot(x[0], x[0], transpose_b=True).asnumpy(), h[0] @ h[0].T, rtol=1e-4)
        return True
    assert all(together(work))


def parallel_calls():
    """name -> call, of many operators on data large enough for several threads."""
    rng = np.random.default_rng(5)

    def array(*shape, dtype="float32"):
        return mx.nd.array(rng.standard_normal(shape), dtype=dtype)
    a, b, x, v = array(150, 170), array(170, 190), array(4, 24, 40, 40), array(300001)
    w, deep, gamma = array(32, 24, 3, 3), array(24, 1, 3, 3), array(24)
    rows, index = array(900, 70), mx.nd.array(rng.integers(0, 900, 5000))
    wide, conv = array(37, 5000), dict(kernel=(3, 3), pad=(1, 1), no_bias=True)
    calls = {
        "dot": lambda: mx.nd.dot(a, b), "dot, T": lambda: mx.nd.dot(b, a, transpose_a=True, transpose_b=True),
        "dot, one row": lambda: mx.nd.dot(wide[:1], array(5000, 300)),
        "dot, float64": lambda: mx.nd.dot(a.astype("float64"), b.astype("float64")),
        "batch_dot": lambda: mx.nd.batch_dot(x.reshape((96, 40, 40)), x.reshape((96, 40, 40))),
        "FullyConnected": lambda: mx.nd.FullyConnected(wide, array(64, 5000), array(64), num_hidden=64),
        "Convolution": lambda: mx.nd.Convolution(x, w, num_filter=32, **conv),
        "Convolution, stride": lambda: mx.nd.Convolution(x, w, num_filter=32, stride=(2, 2), **conv),
        "Convolution, depthwise": lambda: mx.nd.Convolution(x, deep, num_filter=24, num_group=24, **conv),
        "Pooling, max": lambda: mx.nd.Pooling(x, kernel=(3, 3), stride=(2, 2), pool_type="max"),
        "Pooling, avg": lambda: mx.nd.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="avg"),
        "LayerNorm": lambda: mx.nd.LayerNorm(wide, array(5000), array(5000)),
        "softmax": lambda: mx.nd.softmax(wide), "softmax, axis 0": lambda: mx.nd.softmax(wide, axis=0),
        "sum": lambda: mx.nd.sum(v), "sum, axis 0": lambda: mx.nd.sum(wide, axis=0),
        "sum, axis 1": lambda: mx.nd.sum(wide, axis=1), "mean": lambda: mx.nd.mean(x, axis=(0, 2, 3)),
        "norm": lambda: mx.nd.norm(v), "max": lambda: mx.nd.max(x, axis=1), "exp": lambda: mx.nd.exp(v),
        "add": lambda: v + v, "broadcast": lambda: mx.nd.broadcast_mul(x, gamma.reshape((1, 24, 1, 1))),
        "transpose": lambda: mx.nd.transpose(x, axes=(0, 2, 3, 1)), "concat": lambda: mx.nd.concat(x, x, dim=1),
        "Embedding": lambda: mx.nd.Embedding(index, rows, input_dim=900, output_dim=70),
        "topk": lambda: mx.nd.topk(wide, k=9), "sort": lambda: mx.nd.sort(wide),
        "cumsum": lambda: mx.nd.cumsum(wide, 1),
        "normal": lambda: mx.nd.random.normal(shape=(200000,)),
    }

    def gradients(call, *arrays):
        def run():
            for z in arrays:
                z.attach_grad()
            with mx.autograd.record():
                y = call()
            y.backward(y * 0.5)
            return mx.nd.concat(*(z.grad.reshape((-1,)) for z in arrays), dim=0)
        return run
    mean, var, beta = mx.nd.zeros((24,)), mx.nd.ones((24,)), array(24)
    trained = {
        "dot": (calls["dot"], a, b), "Convolution": (calls["Convolution"], x, w),
        "Convolution, stride": (calls["Convolution, stride"], x, w),
        "Convolution, depthwise": (calls["Convolution, depthwise"], x, deep), "Pooling": (calls["Pooling, max"], x),
        "BatchNorm": (lambda: mx.nd.BatchNorm(x, gamma, beta, mean, var, fix_gamma=False), x, gamma, beta),
        "softmax": (calls["softmax"], wide), "Embedding": (calls["Embedding"], rows),
        "tanh": (lambda: mx.nd.tanh(v), v),
    }
    return {**calls, **{f"gradient of {k}": gradients(*given) for k, given in trained.items()}}


def test_results_do_not_depend_on_the_number_of_threads():
    """Bit by bit, with fewer and more threads than this machine has cores."""
    before = mx.runtime.get_threads()
    seen = {}
    try:
        for n in (1, 2, 3, 7):
            mx.runtime.set_threads(n)
            mx.random.seed(3)
            for name, call in parallel_calls().items():
                got = call().asnumpy()
                want = seen.setdefault(name, got)
                np.testing.assert_array_equal(got, want, err_msg=f"{name} with {n} threads")
    finally:
        mx.runtime.set_threads(before)


def test_regions_of_many_threads_at_once():
    """Who finds a region open runs serially; results are the same, and nobody waits for ever."""
    before = mx.runtime.get_threads()
    calls = {k: c for k, c in parallel_calls().items() if k in ("dot", "exp", "sum", "Convolution", "softmax")}
    try:
        mx.runtime.set_threads(4)
        want = {k: c().asnumpy() for k, c in calls.items()}

        def work(i):
            names = [*calls][i % len(calls):] + [*calls][:i % len(calls)]
            return [(k, calls[k]().asnumpy()) for _ in range(8) for k in names]
        for found in together(work):
            for k, got in found:
                np.testing.assert_array_equal(got, want[k], err_msg=k)
    finally:
        mx.runtime.set_threads(before)


def until(condition, seconds=60):
    """Whether `condition` came true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
    return True


def executors_steps():
    """A step of an executor of its own for each of two threads: outputs and gradients."""
    executors = [bound(i, batch=64) for i in range(2)]
    return [lambda e=e: one_step(e) for e in executors]


def imperative_steps():
    """A few large calls for each of two threads."""
    arrays = [mx.nd.array(np.random.default_rng(i).standard_normal((300, 300))) for i in range(2)]
    return [lambda x=x: [mx.nd.tanh(mx.nd.dot(x, x)).asnumpy()] for x in arrays]


@pytest.mark.skipif(not cpu.openmp, reason="built without parallel regions")
@pytest.mark.parametrize("make", [executors_steps, imperative_steps])
def test_as_many_threads_as_a_region_has_run_serially(make):
    """They hold the right to open a region, and give it back: to who computes next, and to a child forked meanwhile."""
    before = cpu.get_threads()
    cpu.set_threads(2)
    try:
        steps = make()
        want = [step() for step in steps]
        done, children, got = threading.Event(), [], []

        def watch():
            try:
                assert until(lambda: program.crowd()[:2] == (2, True)) and program.crowd()[2]
                if hasattr(os, "fork"):
                    children.append(forked(lambda: program.crowd() == (0, False, False)
                                           and equal(steps[0](), want[0])))
            finally:
                done.set()

        def work(i):
            if i == 2:
                return watch()
            while not done.is_set():
                got.append((i, steps[i]()))
        together(work, 3)
        assert program.crowd() == (0, False, False)
        assert all(equal(g, want[i]) for i, g in got) and children == [0] * hasattr(os, "fork")
        big = mx.nd.ones((1 << 24,))
        ended = threading.Event()

        def alone():
            while not ended.is_set():
                mx.nd.exp(big, out=big)
        thread = threading.Thread(target=alone)
        thread.start()
        opened = until(lambda: program.crowd() == (1, False, True))
        ended.set()
        thread.join(60)
        assert opened, "after the crowd no region was opened"
    finally:
        cpu.set_threads(before)


def equal(a, b):
    return all((x == y).all() for x, y in zip(a, b))


def forked(work):
    """The exit status of a child that runs `work`: 0 where that was true."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")              # CPython warns of fork in a process with threads
        child = os.fork()
    if child == 0:
        signal.alarm(30)
        try:
            os._exit(0 if work() else 3)
        except BaseException:
            os._exit(4)
    return os.waitpid(child, 0)[1]


@pytest.mark.skipif(not cpu.own_threads or not shutil.which("nm"), reason="threads of OpenMP's library, or no nm")
def test_kernels_use_no_construct_that_the_threads_do_not_know():
    """Every function that the compiler calls for an OpenMP pragma is one that mxl_parallel.h defines."""
    modules = [*(pathlib.Path(mx.__file__).parent / "_core").rglob("*.so")]
    assert len(modules) > 20
    for path in modules:
        listed = subprocess.run(["nm", "-D", "--undefined-only", path], capture_output=True, text=True, check=True)
        unknown = [word for word in listed.stdout.split() if word.startswith(("GOMP_", "omp_", "__kmpc"))]
        assert not unknown, f"{path.name}: {unknown}"


def test_threads_compose_symbols():
    """Names made in many threads at once stay what each thread's own counter says."""
    names = together(lambda i: [mx.sym.relu(mx.sym.Variable("x"), name=None).name for _ in range(20)])
    for found in names:
        assert len(set(found)) == 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork_after_use():
    """A child made by fork after threads ran, while one of them is still inside an executor, computes the same."""
    code = textwrap.dedent("""
        import os, sys, threading, warnings
        import numpy as np
        import mxlite as mx
        from tests.test_threads import bound, one_step
        warnings.simplefilter("ignore")              # CPython warns of fork in a process with threads
        executor, other = bound(1), bound(2, batch=64)
        want = one_step(executor)
        busy = threading.Event()
        def spin():
            while not busy.is_set():
                one_step(other)
        thread = threading.Thread(target=spin)
        thread.start()
        status = []
        for _ in range(10):
            child = os.fork()
            if child == 0:
                same = all(np.array_equal(g, w) for g, w in zip(one_step(executor), want))
                other.forward()                      # its lock may have been held by the thread that is not here
                big = mx.nd.ones((512, 512))
                same = same and float(mx.nd.dot(big, big)[0, 0].asscalar()) == 512
                os._exit(0 if same else 3)
            status.append(os.waitpid(child, 0)[1])
        busy.set()
        thread.join()
        assert status == [0] * 10, status
        assert all(np.array_equal(g, w) for g, w in zip(one_step(executor), want))
    """)
    from . import child
    done = subprocess.run([sys.executable, "-c", f"import sys; sys.path.append({str(child.REPOSITORY)!r})\n" + code],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
