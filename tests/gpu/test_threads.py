"""Two threads on one device: what one of them starts never becomes part of the graph that the other one records."""
import threading

import numpy as np

import mxlite as mx

from . import shim

pytestmark = shim.needs_cxx


def bound(value):
    exe = mx.sym.FullyConnected(mx.sym.exp(mx.sym.Variable("x")), num_hidden=3, name="fc").simple_bind(
        mx.gpu(0), grad_req="null", x=(2, 4))
    for array in exe.arg_dict.values():
        array[:] = value
    return exe


def test_others_wait_while_a_graph_is_recorded(gpus):
    device = mx.gpu(0) and mx.gpu.get_device(0)
    memory, done = device.alloc(256), []

    def other():
        device.fill(memory.ptr, 7, 16)
        done.append(True)
    thread = threading.Thread(target=other)

    def run(stream):
        thread.start()
        thread.join(0.3)
        assert not done, "a thread gave a recording stream work"
        device.fill(memory.ptr + 128, 1, 16)
    with device.use(), device.gate.record() as alone:
        assert alone
        graph = device.capture(run)
    thread.join()
    assert done and len(graph.graph.work) == 1


def test_nothing_is_recorded_while_another_thread_is_at_work(gpus):
    exe, device = bound(0.5), mx.gpu.get_device(0)
    first = exe.forward()[0].asnumpy()
    inside, leave = threading.Event(), threading.Event()

    def other():
        with device.use():
            inside.set()
            leave.wait(30)
    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(30)
    try:
        np.testing.assert_array_equal(exe.forward()[0].asnumpy(), first)
        assert not gpus.count("begin_capture")
    finally:
        leave.set()
        thread.join()
    for captures in (1, 1):
        np.testing.assert_array_equal(exe.forward()[0].asnumpy(), first)
        assert gpus.count("begin_capture") == captures


def test_executors_in_several_threads_give_their_own_results(gpus):
    wrong, want = [], {}
    for k in range(3):
        want[k] = 4 * np.exp(np.float32(k / 4)) * np.float32(k / 4) + np.float32(k / 4)

    def work(k):
        try:
            exe = bound(k / 4)
            for _ in range(6):
                np.testing.assert_allclose(exe.forward()[0].asnumpy(), np.full((2, 3), want[k]), rtol=1e-5)
        except BaseException as e:          # told by the test's own thread
            wrong.append(e)
    threads = [threading.Thread(target=work, args=(k,)) for k in want]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong
