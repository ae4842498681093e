"""Programs on a device: the executor's own drafts, lowered for the recording fake, against the CPU's program.

The fake's memory is the host's, so a program for it works on the arrays of the CPU's executor.
"""
import gc

import numpy as np
import pytest
from mxlite._core.lower import nbytes_of
from mxlite._core.plan import plan

import mxlite as mx
from mxlite._core import fuse
from mxlite.gpu import Backend, _libs, lt
from mxlite.gpu.launch import Launch, Module, Plan, ptr
from mxlite.gpu.resolve import narrow, widen

from . import shim
from .fake import Cupy
from .fake_lt import FakeLt

pytestmark = shim.needs_cxx


@pytest.fixture(autouse=True)
def no_disk(monkeypatch):
    monkeypatch.setattr(_libs, "disk", lambda: _libs.Cache(None))


def device(*without):
    """A fake device with products by a fake cublasLt, and without the other libraries."""
    dev = Backend(Cupy).device(0)
    dev.libraries["missing"] = {name: "not here" for name in ("lt", "dnn", "rnn") if name in without or name != "lt"}
    if "lt" not in without:
        dev.libraries["lt"] = lt.Lt(FakeLt(), dev)
        dev.libraries["lt"].lib.xp = dev.xp
    return dev


class Chunk:
    def __init__(self, dev, nbytes):
        self.memory = dev.alloc(nbytes)
        self.address = self.memory.ptr


def on_gpu(exe, dev, mode=(True, True), fused=False):
    """The program of an executor's graph on `dev`, over the executor's own arrays."""
    draft, _, _ = exe._bound.draft(mode)
    if fused:
        for option, run in fuse.PASSES:
            if option == "fuse" and run.__module__.endswith("epilogue"):
                run(draft)
                draft.sweep()
    found = dev.launches_for(draft)
    work = [found[row].work if row in found else 0 for row in draft.rows]
    where = plan(draft, nbytes_of(draft.shapes, draft.dtypes), work)
    program, _ = dev.lower(draft, where, found, [Chunk(dev, where.arenas[0]["arena_bytes"])])
    return program


def arrays(exe):
    """Copies of everything that a run writes."""
    return [a.asnumpy().copy() for a in (*exe.outputs, *[g for g in exe.grad_arrays if g is not None],
                                          *exe.aux_arrays)]


def mlp(**kw):
    """A bound network, filled with numbers."""
    x = mx.sym.Variable("data")
    x = mx.sym.FullyConnected(x, num_hidden=16, name="fc1")
    x = mx.sym.Activation(x, act_type="relu")
    x = mx.sym.FullyConnected(x, num_hidden=8, name="fc2")
    return fill(mx.sym.SoftmaxOutput(x, name="softmax").simple_bind(mx.cpu(), data=(4, 6), softmax_label=(4,), **kw))


def fill(exe, seed=3):
    rng = np.random.default_rng(seed)
    for name, a in exe.arg_dict.items():
        a[:] = rng.integers(0, 8, a.shape) if name.endswith("label") else rng.normal(size=a.shape)
    return exe


def start(exe):
    """The executor's states before a step."""
    state = [(a, a.asnumpy().copy()) for a in (*exe.aux_arrays, *[g for g in exe.grad_arrays if g is not None])]

    def restore():
        for a, value in state:
            a[:] = value
    return restore


def same(got, want, tol=1e-5):
    assert len(got) == len(want)
    for g, w in zip(got, want):
        np.testing.assert_allclose(g, w, rtol=tol, atol=tol)


def forget(exe):
    for a in exe.outputs:
        a[:] = 77
    for g in exe.grad_arrays:
        if g is not None:
            g[:] = 77


@pytest.mark.parametrize("fused", [False, True])
def test_training_gives_the_cpus_numbers_plainly_and_from_graphs(fused):
    exe, dev = mlp(), device()
    exe.forward(is_train=True)
    exe.backward()
    want = arrays(exe)
    program = on_gpu(exe, dev, fused=fused)
    assert 0 < program.boundary < program.n
    for k in range(3):
        forget(exe)
        program.run(0, program.boundary)
        program.run(program.boundary, program.n)
        same(arrays(exe), want)
        assert dev.xp.count("end_capture") == (0 if k == 0 else program_graphs(program))
    assert dev.xp.count("graph") == 2 * program_graphs(program)


def program_graphs(program):
    return sum(graph for a, b in ((0, program.boundary), (program.boundary, program.n))
               for _, _, graph in program.cuts(a, b))


def test_replaying_equals_running_plainly_bit_for_bit():
    exe, dev = mlp(), device()
    program = on_gpu(exe, dev)
    program.run(0, program.n)
    plain = arrays(exe)
    forget(exe)
    program.run(0, program.n)
    for a, b in zip(arrays(exe), plain):
        np.testing.assert_array_equal(a, b)


def test_a_network_of_covered_operators_is_one_graph_a_range():
    """Forward is one graph, backward is one, and both together are one."""
    exe, dev = mlp(), device()
    program = on_gpu(exe, dev)
    assert program.cuts(0, program.n) == [(0, program.n, True)]
    assert len(program.explain()) == 1 and "one CUDA graph" in program.explain()[0]


def test_nothing_is_allocated_or_waited_for_while_a_captured_program_runs():
    exe, dev = mlp(), device()
    program = on_gpu(exe, dev)
    for _ in range(2):
        program.run(0, program.n)
    gc.collect()
    before = dev.xp.allocated
    with dev.xp.guard():
        for _ in range(3):
            program.run(0, program.n)
    assert dev.xp.allocated == before


def test_the_guard_sees_an_allocation():
    dev = device()
    with pytest.raises(AssertionError, match="an allocation while a program runs"), dev.xp.guard():
        dev.alloc(3)


def test_references_run_between_graphs_on_the_same_stream():
    """What is in front of a reference and behind it is captured, and the order stays."""
    x = mx.sym.Variable("x")
    y = mx.sym.dot(mx.sym.dot(x, x), x)
    y = mx.sym.linalg_extractdiag(y, name="diagonal")
    y = mx.sym.dot(mx.sym.dot(y, x), x)
    exe, dev = fill(y.simple_bind(mx.cpu(), grad_req="null", x=(5, 5))), device()
    exe.forward()
    want = arrays(exe)
    program = on_gpu(exe, dev, (False, None))
    for _ in range(3):
        forget(exe)
        program.run(0, program.n)
        same(arrays(exe), want, 1e-3)
    cuts = program.cuts(0, program.n)
    kinds = [(graph, program.steps[first].python is not None) for first, _, graph in cuts]
    assert kinds == [(True, False), (False, True), (True, False)]
    text = program.explain()
    assert "reference on gpu(0): _linalg_extractdiag" in text[1] and "gemm 5x5x5" in text[0]
    assert text[0].startswith("steps 0 to 1: one CUDA graph, 2 launches")


def test_without_a_library_the_reference_runs_on_the_device():
    exe, dev = mlp(), device("lt")
    exe.forward(is_train=True)
    exe.backward()
    want = arrays(exe)
    program = on_gpu(exe, dev)
    assert {"FullyConnected", "_gemm"} <= {s.name for s in program.steps if s.python is not None}
    for _ in range(3):
        forget(exe)
        program.run(0, program.n)
        same(arrays(exe), want)


def bn_net():
    x = mx.sym.BatchNorm(mx.sym.Variable("data"), name="bn", fix_gamma=False, momentum=0.5)
    x = mx.sym.FullyConnected(mx.sym.Dropout(x, p=0.5), num_hidden=3, name="fc")
    return mx.sym.LinearRegressionOutput(x, name="out").simple_bind(mx.cpu(), data=(8, 4), out_label=(8, 3),
                                                                    grad_req={"fc_weight": "add", "data": "write",
                                                                              "bn_gamma": "write", "bn_beta": "write",
                                                                              "fc_bias": "add", "out_label": "null"})


def test_states_sums_and_random_numbers_are_the_cpus():
    """Moving averages move once a run, gradients bound with 'add' grow once a run, masks are the CPU's of that step."""
    exe = fill(bn_net())
    restore, wanted = start(exe), []
    mx.random.seed(5)
    for _ in range(4):
        exe.forward(is_train=True)
        exe.backward()
        wanted.append(arrays(exe))
    restore()
    dev = device()
    program = on_gpu(exe, dev)
    mx.random.seed(5)
    for want in wanted:
        program.run(0, program.boundary)
        program.run(program.boundary, program.n, redraw=False)
        same(arrays(exe), want, 1e-4)
    assert program.rng_state[1] == 4
    assert dev.xp.count("begin_capture") == dev.xp.count("end_capture")


def test_capturing_ahead_changes_nothing():
    exe = fill(bn_net())
    mx.random.seed(6)
    restore = start(exe)
    exe.forward(is_train=True)
    exe.backward()
    want = arrays(exe)
    restore()
    forget_outputs = [a.asnumpy().copy() for a in exe.outputs]
    before, dev = arrays(exe), device()
    program = on_gpu(exe, dev)
    mx.random.seed(6)
    program.prepare(0, program.boundary)
    program.prepare(program.boundary, program.n)
    for a, b in zip(arrays(exe), before):
        np.testing.assert_array_equal(a, b)
    assert len(forget_outputs) == 1 and mx._core.rng.get_state()[1] == 0, "no step of random numbers was taken"
    plain = dev.xp.count("launch")
    program.run(0, program.boundary)
    program.run(program.boundary, program.n, redraw=False)
    same(arrays(exe), want, 1e-4)
    assert program.ranges and dev.xp.count("launch") - plain == sum(
        len(s.work) for a, b in ((0, program.boundary), (program.boundary, program.n))
        for first, last, graph in program.cuts(a, b) if not graph for s in program.steps[first:last])


def test_other_random_numbers_every_run_and_the_same_again_where_asked():
    net = mx.sym.Dropout(mx.sym.Variable("x"), p=0.5)
    exe = net.simple_bind(mx.cpu(), x=(100,), grad_req="null")
    exe.arg_dict["x"][:] = 1
    program = on_gpu(exe, device(), (True, None))
    seen = []
    for _ in range(4):
        program.run(0, program.n)
        seen.append(exe.outputs[0].asnumpy().copy())
    assert len({a.tobytes() for a in seen}) == 4
    program.run(0, program.n, redraw=False)
    np.testing.assert_array_equal(exe.outputs[0].asnumpy(), seen[-1])
    program.rng_state = program.state[0], program.state[1] - 1
    program.run(0, program.n, redraw=False)
    np.testing.assert_array_equal(exe.outputs[0].asnumpy(), seen[-2])


def test_an_error_of_a_reference_says_which_step():
    x = mx.sym.Variable("x")
    exe = mx.sym.linalg_extractdiag(mx.sym.dot(x, x)).simple_bind(mx.cpu(), grad_req="null", x=(3, 3))
    program = on_gpu(exe, device(), (False, None))
    at = next(i for i, s in enumerate(program.steps) if s.python is not None)

    def fails(seed, step):
        raise ValueError("no")
    program.steps[at].python = fails
    for _ in range(2):
        program.failed_at = -1
        with pytest.raises(ValueError, match="no"):
            program.run(0, program.n)
        assert program.failed_at == at


CHECKED = """
extern "C" __global__ void checked(const float *x, float *y, int *error)
{
    *error = x[0] > 100;
    y[0] = x[0];
}
"""


def checked_program(monkeypatch):
    """A program whose one kernel reports numbers above 100 as an index out of range."""
    def rule(kernel, args, ins, outs, scalars, **context):
        return Plan(lambda work: [Launch(Module("checked", text=CHECKED), "checked", 1, 1, [
            ptr(ins[0]), ptr(outs[0]), ptr(work)])], workspace=4, error=0)
    monkeypatch.setattr("mxlite.gpu.launch.plan", rule)
    exe = mx.sym.sin(mx.sym.Variable("x"), name="here").simple_bind(mx.cpu(), grad_req="null", x=(1,))
    dev = device()
    return exe, dev, on_gpu(exe, dev, (False, None))


def test_an_index_out_of_range_is_told_by_whoever_waits_next(monkeypatch):
    exe, dev, program = checked_program(monkeypatch)
    exe.arg_dict["x"][:] = 1
    for _ in range(20):
        program.run(0, program.n)
    dev.synchronize()
    exe.arg_dict["x"][:] = 1000
    program.run(0, program.n)
    with pytest.raises(mx.MXNetError, match="(?s)sin node 'here': an index is out of range"):
        dev.synchronize()
    exe.arg_dict["x"][:] = 1
    program.run(0, program.n)
    dev.synchronize()


def test_a_run_that_failed_is_not_hidden_by_later_ones(monkeypatch):
    exe, dev, program = checked_program(monkeypatch)
    for event in program.errors.events:
        event.done = False                      # the device is behind
    exe.arg_dict["x"][:] = 1000
    program.run(0, program.n)
    exe.arg_dict["x"][:] = 1
    program.run(0, program.n)
    with pytest.raises(mx.MXNetError, match="out of range"):
        dev.synchronize()
    dev.synchronize()
    program.run(0, program.n)
    for _ in range(20):                         # never so far ahead that one would be lost
        program.run(0, program.n)
        assert program.errors.sent - program.errors.seen <= 8


def test_error_words_on_their_way_are_waited_for_before_their_memory_goes(monkeypatch):
    exe, dev, program = checked_program(monkeypatch)
    for event in program.errors.events:
        event.done = False                      # the device is behind
    program.run(0, program.n)
    waits = dev.xp.count("event.synchronize")
    del program
    gc.collect()
    assert dev.xp.count("event.synchronize") == waits + 1


def test_a_program_that_is_gone_is_not_asked_any_more(monkeypatch):
    exe, dev, program = checked_program(monkeypatch)
    assert len(dev.checks) == 1
    del program
    gc.collect()
    assert dev.checks == []


def test_explain_names_all_that_runs_and_times_are_per_step():
    exe, dev = mlp(), device()
    program = on_gpu(exe, dev)
    text = "\n".join(program.explain())
    assert text.count("gemm") == 6              # two products, and two gradients of each
    assert program.timed(0, 2) == [0.002, 0.002]
    assert not program.redirect(1, 2, 3)


def test_bfloat16_in_references_is_rounded_to_nearest():
    x = np.array([1.0, -2.5, 3.14159265, 1e-40, np.inf, np.nan, 1.00390625, 1.01171875], np.float32)
    from mxlite._core.convert import from_bfloat16, to_bfloat16
    np.testing.assert_array_equal(narrow(np, x), to_bfloat16(x))
    np.testing.assert_array_equal(widen(np, narrow(np, x)), from_bfloat16(to_bfloat16(x)))


@pytest.mark.parametrize("is_train", [False, True])
def test_a_warm_executor_only_launches_graphs_and_its_arrays_are_as_they_were(is_train, gpus):
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=5, name="fc")
    net = mx.sym.SoftmaxOutput(mx.sym.Dropout(mx.sym.BatchNorm(x, name="bn", fix_gamma=False), p=0.5), name="softmax")
    shapes = {"data": (4, 6), "softmax_label": (4,)}

    def gradients(exe):
        return [array for array in exe.grad_arrays if array is not None]

    def bound(context):
        exe = net.simple_bind(context, grad_req="add" if is_train else "null", **shapes)
        for k, array in enumerate((*exe.arg_arrays, *exe.aux_arrays, *gradients(exe))):
            array[:] = np.random.default_rng(k).uniform(0.1, 1, array.shape)
        return exe
    gpu, cpu = bound(mx.gpu(0)), bound(mx.cpu())

    def arrays(exe):
        found = [*exe.outputs, *exe.aux_arrays, *gradients(exe)]
        return [array.asnumpy() for array in found]
    before = arrays(gpu)
    gpu.warm_up(is_train)
    cpu.warm_up(is_train)
    for a, b in zip(arrays(gpu), before):
        np.testing.assert_array_equal(a, b)
    loaded, launched, graphs = gpus.count("load"), gpus.count("launch"), gpus.count("graph")
    for exe in (gpu, cpu):
        mx.random.seed(3)
        exe.forward(is_train=is_train)
        if is_train:
            exe.backward()
    assert gpus.count("load") == loaded and gpus.count("launch") == launched
    assert gpus.count("graph") == graphs + 1 + is_train
    for a, b in zip(arrays(gpu), arrays(cpu)):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
