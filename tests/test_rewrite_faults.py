"""Graphs and ways of running them that rewriting once got wrong."""
import threading
import time

import numpy as np
import pytest

import mxlite as mx
from mxlite._core import cpu
from mxlite.ops import settings


def training_step(net, shapes, between=lambda: None, dtype="float64", monitor=False):
    """Outputs and gradients of a step from the same numbers each time; `between` runs between its two halves."""
    executor = net.simple_bind(mx.cpu(), type_dict={n: dtype for n in net.list_arguments()}, **shapes)
    rng = np.random.default_rng(0)
    for array in executor.arg_arrays:
        array[:] = rng.normal(size=array.shape)
    if monitor:
        executor.set_monitor_callback(lambda name, array: None)
    mx.random.seed(5)
    outs = [o.asnumpy() for o in executor.forward(is_train=True)]
    between()
    executor.backward([mx.nd.ones(o.shape, dtype=dtype) for o in executor.outputs])
    return outs + [g.asnumpy() for g in executor.grad_arrays]


def alike(got, want, tolerance=1e-10):
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1.0, np.abs(b).max(initial=0)))


def with_all_off(run):
    before = {name: mx.runtime.set_option(name, False) for name in mx.runtime.options()}
    try:
        return run()
    finally:
        for name, value in before.items():
            mx.runtime.set_option(name, value)


@pytest.mark.parametrize("what", ["fuse", "threads", "isa"])
def test_a_backward_under_other_settings_than_its_forward(what):
    """Its program is another one, which finds nothing of its own in the arena; dropout drops the same."""
    x = mx.sym.Variable("data")
    for i in range(3):
        x = mx.sym.FullyConnected(x, num_hidden=7, name=f"fc{i}")
        x = mx.sym.tanh(mx.sym.Dropout(mx.sym.relu(x) * 2 + 0.5, p=0.3))
    threads, isa, fuse = cpu.get_threads(), cpu.get_isa(), settings.fuse

    def change():
        if what == "fuse":
            mx.runtime.set_option("fuse", not fuse)
        elif what == "threads":
            cpu.set_threads(threads + 1)
        else:
            cpu.set_isa(0)
    try:
        got = training_step(x, {"data": (5, 6)}, change)
    finally:
        mx.runtime.set_option("fuse", fuse)
        cpu.set_threads(threads)
        cpu.set_isa(isa)
    alike(got, training_step(x, {"data": (5, 6)}))


@pytest.mark.parametrize("first", [0, 1])
def test_products_that_read_one_input_twice_are_not_joined_for_others(first):
    x, v, w = [mx.sym.Variable(f"x{i}") for i in range(3)], mx.sym.Variable("v"), mx.sym.Variable("w")

    def dense(a, weight, n):
        return mx.sym.FullyConnected(a, weight, num_hidden=n, no_bias=True)
    once = mx.sym.add_n(*[mx.sym.tanh(dense(a, v, 5)) for a in x])
    twice = mx.sym.add_n(*[mx.sym.sigmoid(dense(a, w, 4)) for a in x], mx.sym.sin(dense(x[0], w, 4)))
    net, shapes = mx.sym.Group([once, twice] if first else [twice, once]), {f"x{i}": (4, 6) for i in range(3)}
    alike(training_step(net, shapes), with_all_off(lambda: training_step(net, shapes)))


@pytest.mark.parametrize("monitor", [False, True])
def test_nodes_draw_the_same_numbers_in_every_program(monitor):
    """Products are batched, so that drawing nodes change places; a monitored forward runs no batched program, but its
    backward does."""
    w, out = mx.sym.Variable("w"), []
    for i in range(4):
        x = mx.sym.Variable(f"x{i}")
        out += [mx.sym.Dropout(mx.sym.FullyConnected(x, w, num_hidden=4, no_bias=True), p=0.5),
                mx.sym.Dropout(mx.sym.sin(x), p=0.5)]
    net, shapes = mx.sym.Group(out), {f"x{i}": (3, 4) for i in range(4)}
    alike(training_step(net, shapes, monitor=monitor), with_all_off(lambda: training_step(net, shapes)))


@pytest.mark.parametrize("shift", [0, 1, 300])
def test_gradients_added_into_one_array_all_arrive(shift):
    n = 40_000

    def run():
        total = mx.nd.ones((n + shift,))
        net = mx.sym.tanh(mx.sym.Variable("a") + mx.sym.Variable("b"))
        executor = net.bind(mx.cpu(), {"a": mx.nd.ones((n,)), "b": mx.nd.ones((n,)) * 0.5}, grad_req="add",
                            args_grad={"a": total[0:n], "b": total[shift:n + shift]})
        executor.forward(is_train=True)
        executor.backward([mx.nd.ones((n,))])
        return [total.asnumpy()]
    alike(run(), with_all_off(run), 1e-6)


def test_a_state_that_the_program_writes_is_no_constant():
    """The product reads what the update left, not what was there before the run."""
    momentum = mx.sym.Variable("momentum")
    step = mx.sym.sgd_mom_update(mx.sym.Variable("w"), mx.sym.Variable("g"), momentum, lr=1, momentum=0.5)
    net = mx.sym.Group([step, mx.sym.FullyConnected(mx.sym.Variable("data"), momentum, num_hidden=16, no_bias=True)])

    def run():
        executor = net.simple_bind(mx.cpu(), grad_req="null", data=(8, 16), w=(16, 16))
        rng = np.random.default_rng(0)
        for array in executor.arg_arrays + executor.aux_arrays:
            array[:] = rng.normal(size=array.shape)
        return [o.asnumpy() for _ in range(3) for o in executor.forward()]
    alike(run(), with_all_off(run), 1e-5)


def test_clip_with_bounds_the_wrong_way_round():
    net = mx.sym.clip(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=4), a_min=1, a_max=-1)
    alike(training_step(net, {"data": (5, 3)}), with_all_off(lambda: training_step(net, {"data": (5, 3)})))
    executor = net.simple_bind(mx.cpu(), grad_req="null", data=(5, 3))
    fused = executor.forward()[0].asnumpy()
    np.testing.assert_array_equal(fused, with_all_off(lambda: executor.forward()[0].asnumpy()))


def test_one_batch_norm_behind_another():
    x = mx.sym.Convolution(mx.sym.Variable("data"), kernel=(3, 3), num_filter=4, name="conv")
    net = mx.sym.BatchNorm(mx.sym.BatchNorm(x, fix_gamma=False, name="one"), fix_gamma=False, name="two")
    executor = net.simple_bind(mx.cpu(), grad_req="null", data=(2, 3, 6, 6))
    for i, array in enumerate(executor.arg_arrays + executor.aux_arrays):
        array[:] = np.random.default_rng(i).uniform(0.5, 1.5, array.shape)
    got = executor.forward()[0].asnumpy()
    np.testing.assert_allclose(got, with_all_off(lambda: executor.forward()[0].asnumpy()), rtol=1e-4)


def test_other_threads_run_while_a_large_array_becomes_a_number():
    x, ticks, done = mx.nd.ones((1 << 25,)), [], threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.0002)
    thread = threading.Thread(target=tick)
    thread.start()
    spans = []
    for _ in range(8):
        began = time.perf_counter()
        x.sum()
        spans.append((began, time.perf_counter()))
    done.set()
    thread.join()
    seen = [any(0.75 * a + 0.25 * b < t < 0.25 * a + 0.75 * b for t in ticks) for a, b in spans]
    assert sum(seen) >= 4
