"""A device's stream, memory, copies, kernels and graphs, on the recording fake."""
import ctypes
import gc
import re
from pathlib import Path

import numpy as np
import pytest

import mxlite as mx
from mxlite.gpu import Backend, _libs, cuda, source
from mxlite.gpu.arena import align, channels_last, row_major
from mxlite.gpu.device import CHUNK, SMALLS
from mxlite.gpu.families.epilogue import MODULES as epilogue_modules
from mxlite.gpu.families.epilogue import epilogue
from mxlite.gpu.launch import Launch, Module, i32, ptr
from mxlite.gpu.nccl import Communicator

from . import nvrtc, shim
from .fake import CUDARuntimeError, Cupy
from .fake_nccl import Nccl


@pytest.fixture(autouse=True)
def no_disk(monkeypatch):
    monkeypatch.setattr(_libs, "disk", lambda: _libs.Cache(None))


def devices(n=1, **kw):
    backend = Backend(lambda: Cupy(devices=n, **kw))
    return [backend.device(i) for i in range(n)]


def device(**kw):
    return devices(**kw)[0]


def up(dev, x):
    """A copy of `x` in the device's memory."""
    memory = dev.alloc(x.nbytes)
    dev.upload(memory.ptr, x.ctypes.data, x.nbytes)
    return memory


def down(dev, address, like):
    out = np.empty_like(like)
    dev.download(out.ctypes.data, address, out.nbytes)
    return out


def test_there_is_one_stream_a_device_that_does_not_wait_for_the_default_one():
    dev = device()
    for _ in range(3):
        with dev.use():
            assert dev.xp.current == [dev.stream]
    assert dev.xp.log.count(("stream", True)) == dev.xp.count("stream") == 1
    assert dev.xp.current == [] and dev.xp.device_stack == [0]


@pytest.mark.parametrize("nbytes", [0, 1, 100, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
def test_bytes_there_and_back(nbytes):
    dev = device()
    x = np.random.default_rng(1).integers(0, 255, nbytes, dtype=np.uint8)
    memory = up(dev, x)
    keep = x.copy()
    x[...] = 0                                  # the host's array may be written again at once
    np.testing.assert_array_equal(down(dev, memory.ptr, keep), keep)
    assert dev.xp.count("alloc_pinned") <= 2    # two pieces take turns, whatever the size


def test_pinned_pieces_are_not_written_before_the_device_has_read_them():
    dev = device()
    x = np.zeros(5 * CHUNK, np.uint8)
    up(dev, x)
    log = [entry[0] for entry in dev.xp.log if entry[0] in ("copy", "event.synchronize", "record")]
    # Two pieces are new; each further one waits for the event of its last use.
    assert log == ["copy", "record"] * 2 + ["event.synchronize", "copy", "record"] * 3


def test_a_slot_for_numbers_is_not_written_before_the_device_has_read_it():
    dev = device()
    memory, xp = dev.alloc(256), dev.xp
    for k in range(SMALLS):
        dev.set_small(memory.ptr, bytes([k]))
    assert not xp.count("event.synchronize")
    for event in dev.staging.smalls[1]:
        event.done = False                      # the device is behind
    for k in range(3):
        dev.set_small(memory.ptr, bytes([100 + k]))
        assert xp.count("event.synchronize") == k + 1
    assert (ctypes.c_ubyte * 1).from_address(memory.ptr)[0] == 102


def test_copies_between_devices_are_ordered_both_ways():
    one, two = devices(2)
    x = np.arange(10.0)
    source, target = up(one, x), two.alloc(x.nbytes)
    one.xp.log.clear()
    two.copy_from(one, target.ptr, source.ptr, x.nbytes)
    assert one.xp.log == [("record", one.stream.ptr), ("wait_event", two.stream.ptr, one.stream.ptr),
                          ("peer", 1, 0, x.nbytes), ("record", two.stream.ptr),
                          ("wait_event", one.stream.ptr, two.stream.ptr)]
    np.testing.assert_array_equal(down(two, target.ptr, x), x)
    two.copy_from(two, target.ptr, target.ptr, 0)


def test_views_have_any_strides():
    dev = device()
    x = np.arange(24, dtype=np.float32)
    memory = up(dev, x)
    plain = dev.view(memory.ptr, (2, 3, 4), "float32", memory)
    np.testing.assert_array_equal(plain, x.reshape(2, 3, 4))
    last = dev.view(memory.ptr, (2, 3, 2, 2), "float32", memory, channels_last((2, 3, 2, 2)))
    np.testing.assert_array_equal(last, x.reshape(2, 2, 2, 3).transpose(0, 3, 1, 2))
    assert dev.view(memory.ptr, (4, 0), "int64", memory).shape == (4, 0)
    assert dev.view(memory.ptr, (3,), "bfloat16", memory).dtype == np.uint16
    assert channels_last((5, 7, 3)) == (21, 1, 7) and row_major((5, 7, 3)) == (21, 3, 1)


def test_align():
    assert align(0) == 0 and align(1) == 256 and align(256) == 256 and align(5, 4) == 8


SOURCE = """
extern "C" __global__ void fill(float *y, int n, float by)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] += by;
}
"""


def fill(memory, n, by):
    return Launch(Module("fill", text=SOURCE), "fill", 2, 8, [ptr(memory.ptr), i32(n), ctypes.c_float(by)])


@shim.needs_cxx
def test_kernels_run_and_are_compiled_once():
    dev = device()
    x = np.arange(10, dtype=np.float32)
    memory = up(dev, x)
    for by in (1, 2):
        dev.kernel(fill(memory, 10, by)).run(dev.stream.ptr)
    np.testing.assert_array_equal(down(dev, memory.ptr, x), x + 3)
    assert dev.xp.count("compile") == dev.xp.count("load") == 1
    options = next(entry[1] for entry in dev.xp.log if entry[0] == "compile")
    assert "-arch=sm_90" in options and not [o for o in options if "ftz" in o or "fast" in o]


def test_shared_memory_beyond_48_kb_is_asked_for_once():
    dev = device()
    memory = dev.alloc(64)
    for shared in (1000, 60000, 50000, 70000):
        one = fill(memory, 1, 1)
        one.shared = shared
        dev.kernel(one)
    assert [e for e in dev.xp.log if e[0] == "funcSetAttribute"] == [("funcSetAttribute", 8, 60000),
                                                                     ("funcSetAttribute", 8, 70000)]


def test_a_text_that_does_not_compile_shows_the_compilers_log():
    with pytest.raises(RuntimeError, match=r"(?s)sm_90 does not compile.*mxlite.cu\(1\): error"):
        device().kernel(Launch(Module("x", text="#error no"), "x", 1, 1, []))


def test_compiled_text_is_kept_by_architecture(tmp_path, monkeypatch):
    monkeypatch.setattr(_libs, "disk", lambda: _libs.Cache(tmp_path))
    for capability, compiled in (("90", 1), ("90", 0), ("80", 1)):
        dev = device(capability=capability)
        dev.kernel(fill(dev.alloc(64), 1, 1))
        assert dev.xp.count("compile") == compiled


@nvrtc.needs_nvrtc
@pytest.mark.parametrize("arch", nvrtc.ARCHES)
def test_the_real_compiler_takes_it_without_a_driver(arch):
    import cupy
    cubin = cuda.compile_text(cupy, SOURCE, arch)
    assert cubin[:4] == b"\x7fELF"
    for made_of in epilogue_modules():          # these include CUDA's own headers
        assert cuda.compile_text(cupy, source.compose(made_of), arch)[:4] == b"\x7fELF"
    with pytest.raises(RuntimeError, match="(?s)does not compile.*nonsense"):
        cuda.compile_text(cupy, "nonsense", arch)


@shim.needs_cxx
def test_a_graph_does_again_what_was_captured_and_capturing_does_nothing():
    dev = device()
    x = np.zeros(10, np.float32)
    memory = up(dev, x)
    kernel = dev.kernel(fill(memory, 10, 1))

    def run(stream):
        kernel.run(stream)
        dev.copy(memory.ptr + 20, memory.ptr, 20)
    graph = dev.capture(run)
    np.testing.assert_array_equal(down(dev, memory.ptr, x), x)
    for k in (1, 2):
        graph.launch()
        np.testing.assert_array_equal(down(dev, memory.ptr, x), [k] * 10)
    assert gc.isenabled()


@pytest.mark.parametrize("what, error", [
    (lambda dev, s: dev.alloc(10), CUDARuntimeError), (lambda dev, s: dev.stream.synchronize(), CUDARuntimeError),
    (lambda dev, s: 1 / 0, ZeroDivisionError)])
def test_a_capture_that_fails_says_why_and_leaves_the_stream_usable(what, error):
    dev = device()
    with pytest.raises(error):
        dev.capture(lambda stream: what(dev, stream))
    assert gc.isenabled() and not dev.stream.is_capturing() and dev.xp.current == []
    assert dev.capture(lambda stream: None).graph.work == []


def test_a_kernel_of_a_first_device_does_not_serve_the_second():
    one, two = devices(2)
    for dev in (one, two):
        dev.kernel(fill(dev.alloc(64), 1, 1))
    assert one.xp.count("load") == 2


# -- the epilogue kernel ----------------------------------------------------------------------------------------------

@shim.needs_cxx
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("bias, residual, act", [(1, 0, 0), (0, 1, 0), (1, 1, 1), (1, 1, 2), (0, 0, 2)])
@pytest.mark.parametrize("channels, inner", [(3, 5), (8, 1)], ids=["planes", "channels last"])
def test_bias_residual_and_activation(dtype, bias, residual, act, channels, inner):
    rng = np.random.default_rng(3)
    x, r = (rng.normal(size=(2, channels, inner)).astype(dtype) for _ in range(2))
    b, y = rng.normal(size=channels).astype(dtype), np.empty_like(x)
    x[0, 0, 0] = np.nan
    one = epilogue(dtype, x.ctypes.data, y.ctypes.data, x.size, channels, inner, b.ctypes.data if bias else 0,
                   r.ctypes.data if residual else 0, act, -0.3, 0.4)
    shim.run([one])
    assert inner > 1 or f"V = {16 // x.itemsize}" in one.source.text, "neighbours travel together"
    want = x.astype("float64") + bias * b.reshape(1, channels, 1).astype("float64") + residual * r.astype("float64")
    want = np.maximum(want, 0) if act == 1 else np.clip(want, -0.3, 0.4) if act == 2 else want
    np.testing.assert_allclose(y, want.astype(dtype), rtol=2e-3 if dtype == "float16" else 1e-6, atol=1e-6)
    assert np.isnan(y[0, 0, 0])


# -- several devices --------------------------------------------------------------------------------------------------

def test_gradients_are_summed_over_devices_on_their_own_streams():
    devs = devices(2)
    nccl = devs[0].xp.cuda.nccl = Nccl(devs[0].xp)
    xs = [np.arange(4, dtype=np.float32), np.full(4, 10, np.float32)]
    memory = [up(d, x) for d, x in zip(devs, xs)]
    group = Communicator(devs)
    group.all_reduce([m.ptr for m in memory], 4, "float32")
    for d, m in zip(devs, memory):
        np.testing.assert_array_equal(down(d, m.ptr, xs[0]), [10, 11, 12, 13])
    assert [stream for *_, stream in nccl.asked[0]] == [d.stream.ptr for d in devs]
    with pytest.raises(mx.MXNetError, match="no sums of bool"):
        group.all_reduce([m.ptr for m in memory], 4, "bool")
    with pytest.raises(mx.MXNetError, match="1 arrays for 2 devices"):
        group.all_reduce([memory[0].ptr], 4, "float32")
    with pytest.raises(mx.MXNetError, match="twice"):
        Communicator(devs[:1] * 2)


def test_without_nccl_the_error_says_what_to_install():
    dev = device()
    dev.xp.cuda.nccl = type("Nccl", (), {"available": False})
    with pytest.raises(mx.MXNetError, match=r"NCCL, which is not installed: `pip install mxlite\[gpu,dist\]`"):
        Communicator([dev])


# -- CuPy itself, which imports without a driver ----------------------------------------------------------------------

def test_every_name_of_cupy_that_is_used_exists():
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed: pip install mxlite[gpu]")
    found = {"cuda": set(), "runtime": set(), "driver": set(), "stream": set()}
    for file in Path(cuda.__file__).parent.rglob("*.py"):
        text = file.read_text()
        found["cuda"].update(re.findall(r"\bxp\.cuda\.([\w.]+)", text))
        found["runtime"].update(re.findall(r"\bruntime\.([a-zA-Z]\w+)", text))
        found["driver"].update(re.findall(r"\bdriver\.([a-zA-Z]\w+)", text))
        found["stream"].update(re.findall(r"\bstream\.(\w+)\(", text))
    assert {"alloc", "ExternalStream"} <= found["cuda"] and "memcpyPeerAsync" in found["runtime"]
    assert "launchKernel" in found["driver"] and "begin_capture" in found["stream"]
    places = {"cuda": cupy.cuda, "runtime": cupy.cuda.runtime, "driver": cupy.cuda.driver, "stream": cupy.cuda.Stream}
    for where, names in found.items():
        for name in sorted(names):
            target = places[where]
            for part in name.split("."):
                target = getattr(target, part)      # AttributeError names what is missing
