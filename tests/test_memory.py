"""What the planner promises: near the lower bound, nothing allocated after the first step, pinned memory kept."""
import ctypes
import gc
import platform
import tracemalloc

import numpy as np
import pytest

import mxlite as mx

from . import networks

CASES = [("mlp", networks.mlp, (64, 784)), ("lenet", networks.lenet, (64, 1, 28, 28)),
         ("resnet18", networks.resnet18, (1, 3, 32, 32))]


@pytest.fixture(autouse=True)
def one_thread():
    """What is planned and allocated does not depend on threads, and one is quicker on a busy machine."""
    threads = mx.runtime.get_threads()
    mx.runtime.set_threads(1)
    yield
    mx.runtime.set_threads(threads)


def bound(make, shape):
    executor = make(mx).simple_bind(mx.cpu(), data=shape)
    rng = np.random.default_rng(0)
    for array in executor.arg_arrays:
        array[:] = rng.uniform(-0.1, 0.1, array.shape)
    executor.arg_dict["softmax_label"][:] = rng.integers(0, 10, shape[0])
    for name, array in executor.aux_dict.items():
        array[:] = 1.0 if name.endswith("var") else 0.0
    return executor


@pytest.mark.parametrize("name, make, shape", CASES)
def test_planned_bytes_are_close_to_the_most_that_live_at_once(name, make, shape):
    plan = bound(make, shape).memory_plan()
    assert plan["planned"] <= 1.1 * plan["lower_bound"], plan


class Mallinfo2(ctypes.Structure):
    _fields_ = [(n, ctypes.c_size_t) for n in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks",
                                               "uordblks", "fordblks", "keepcost")]


def heap_reader():
    """A function for the bytes that malloc has given out, in arenas and by mmap. Made once: looking the C function up
    allocates too."""
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = Mallinfo2

    def c_heap_bytes():
        info = mallinfo2()
        return info.uordblks + info.hblkhd
    c_heap_bytes()
    return c_heap_bytes


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallinfo2 is glibc's")
@pytest.mark.parametrize("name, make, shape", CASES)
def test_steps_allocate_nothing(name, make, shape):
    executor = bound(make, shape)
    for _ in range(3):
        executor.forward(is_train=True)
        executor.backward()
    c_heap_bytes = heap_reader()
    gc.collect()
    gc.disable()
    try:
        before = c_heap_bytes()
        for _ in range(20):
            executor.forward(is_train=True)
            executor.backward()
        grown = c_heap_bytes() - before
        tracemalloc.start()
        for _ in range(100):            # fills the interpreter's free lists of small lists and tuples (80 each)
            executor.forward(is_train=True)
            executor.backward()
        first = tracemalloc.get_traced_memory()[0]
        for _ in range(20):
            executor.forward(is_train=True)
            executor.backward()
        python = tracemalloc.get_traced_memory()[0] - first
    finally:
        tracemalloc.stop()
        gc.enable()
    # The smallest tensor here has 2560 bytes.
    assert abs(grown) < 1024, f"20 steps grew the C heap by {grown} bytes"
    assert abs(python) < 1024, f"20 steps grew Python's heap by {python} bytes"


def test_the_test_sees_an_allocation():
    """The measurement above notices one small array kept a step."""
    c_heap_bytes = heap_reader()
    before = c_heap_bytes()
    kept = [np.empty(64, np.float32) for _ in range(200)]
    assert c_heap_bytes() - before > 1024
    assert len(kept) == 200


def test_arguments_are_not_written():
    executor = bound(networks.lenet, (4, 1, 28, 28))
    before = {n: a.asnumpy() for n, a in executor.arg_dict.items()}
    executor.forward(is_train=True)
    executor.backward()
    for n, a in executor.arg_dict.items():
        np.testing.assert_array_equal(a.asnumpy(), before[n])


def test_inference_needs_less_than_training():
    executor = bound(networks.resnet18, (8, 3, 32, 32))
    assert executor.memory_plan("infer")["planned"] < executor.memory_plan("train")["planned"] / 2


def test_explain_and_memory_plan_agree():
    executor = bound(networks.mlp, (64, 784))
    text = executor.explain()
    assert f"planned {executor.memory_plan()['planned']} " in text
    assert "in place of input 0" in text and "C gemm.gemm" in text and "networks.py:" in text
    with pytest.raises(TypeError, match=r"explain needs a Symbol, got Executor; .*exe\.explain"):
        mx.explain(executor)
