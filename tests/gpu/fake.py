"""A CuPy for tests: its device memory is the host's, its kernels run on the processor (shim.py), its streams record.

``Cupy(...)`` is given to :class:`mxlite.gpu.Backend` in place of the module. ``log`` has what was asked of it;
``guard()`` makes any allocation, wait or copy between host and device inside it an error.
"""
import ctypes
import weakref
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np

from mxlite.gpu.launch import Module as LaunchModule

from . import shim

MEMORY = 1 << 32                # bytes of a device


class Log(list):
    """What was asked for; and NumPy's logarithm, which references know by the same name."""

    def __call__(self, *args, **words):
        return np.log(*args, **words)


class CUDARuntimeError(RuntimeError):
    def __init__(self, status):
        super().__init__(f"cudaError {status}")
        self.status = status


class OutOfMemoryError(Exception):
    pass


class Memory:
    """Host memory aligned to 256, filled with bytes that are no number anybody counts on."""

    def __init__(self, nbytes):
        self.raw = np.full(nbytes + 512, 0xA5, np.uint8)
        self.ptr = self.raw.ctypes.data + (-self.raw.ctypes.data) % 256
        self.nbytes = nbytes


class MemoryPointer:
    def __init__(self, mem, offset):
        self.mem, self.ptr = mem, mem.ptr + offset


class UnownedMemory:
    def __init__(self, ptr, size, owner, device_id=-1):
        self.ptr, self.size, self.owner, self.device_id = ptr, size, owner, device_id


def _ndarray(shape, dtype=float, memptr=None, strides=None):
    dtype = np.dtype(dtype)
    steps = strides if strides is not None else np.empty(shape, dtype).strides
    span = 0 if 0 in shape else dtype.itemsize + sum((d - 1) * s for d, s in zip(shape, steps))
    if memptr is None:
        return np.empty(shape, dtype)
    if span == 0:
        return np.empty(shape, dtype)
    buffer = (ctypes.c_char * span).from_address(memptr.ptr)
    return np.ndarray(shape, dtype, buffer, 0, strides)


class At:
    """A function of NumPy whose ``at`` takes the dtypes that CuPy's takes."""

    def __init__(self, ufunc, dtypes):
        self.ufunc, self.dtypes = ufunc, dtypes

    def __call__(self, *args, **words):
        return self.ufunc(*args, **words)

    def at(self, array, indices, values):
        if np.asarray(values).dtype.name not in self.dtypes:
            raise TypeError(f"scatter_{self.ufunc.__name__} only supports {', '.join(self.dtypes)} as data type")
        self.ufunc.at(array, indices, values)


class Graph:
    def __init__(self, xp, work):
        self.xp, self.work = xp, work

    def upload(self, stream):
        pass

    def launch(self, stream):
        self.xp.note("graph", len(self.work))
        for run in self.work:
            run()


class Stream:
    def __init__(self, xp, non_blocking=False):
        self.xp, self.recording, self.broken = xp, None, False
        xp.streams.append(self)
        self.ptr = len(xp.streams)
        xp.note("stream", non_blocking)

    def __enter__(self):
        self.xp.current.append(self)
        return self

    def __exit__(self, *exc):
        self.xp.current.pop()

    def begin_capture(self, mode):
        assert mode == 1, "captures are thread-local"
        assert self.recording is None
        self.recording, self.broken = [], False
        self.xp.note("begin_capture")

    def end_capture(self):
        work, self.recording = self.recording, None
        if self.broken:
            raise CUDARuntimeError(901)
        self.xp.note("end_capture", len(work))
        return Graph(self.xp, work)

    def is_capturing(self):
        return self.recording is not None

    def synchronize(self):
        self.xp.forbidden("a wait")
        self.xp.note("synchronize")

    def wait_event(self, event):
        self.xp.note("wait_event", self.ptr, event.of)


class ExternalStream:
    """A stream that somebody else made; 1 is CUDA's default one."""

    def __init__(self, xp, ptr):
        self.xp, self.ptr = xp, ptr

    def wait_event(self, event):
        self.xp.note("wait_event", self.ptr, event.of)


class Event:
    def __init__(self, xp, disable_timing=False):
        self.xp, self.of, self.done, self.at = xp, None, True, 0.0

    def record(self, stream=None):
        self.of, self.at = stream.ptr, self.xp.clock
        self.xp.note("record", stream.ptr)

    def synchronize(self):
        self.xp.forbidden("a wait")
        self.xp.note("event.synchronize")


class Function:
    def __init__(self, xp, text, name):
        xp.functions.append((text, name))
        self.ptr = len(xp.functions)


class Module:
    def __init__(self, xp):
        self.xp, self.text = xp, None

    def load(self, cubin):
        self.text = cubin.decode().split("\n", 1)[1]
        self.xp.note("load")

    def get_function(self, name):
        return Function(self.xp, self.text, name)


class Nvrtc:
    """Takes any text; the "cubin" is the text behind a line with the architecture."""

    class NVRTCError(RuntimeError):
        pass

    def __init__(self, xp):
        self.xp, self.programs = xp, {}

    def getVersion(self):
        return 13, 0

    def createProgram(self, text, name, headers, names):
        self.programs[len(self.programs) + 1] = text
        return len(self.programs)

    def compileProgram(self, program, options):
        self.xp.note("compile", options)
        if "#error" in self.programs[program]:
            raise self.NVRTCError("NVRTC_ERROR_COMPILATION")

    def getProgramLog(self, program):
        return "mxlite.cu(1): error"

    def getCUBIN(self, program):
        arch = next(o for o in self.xp.log[-1][1] if o.startswith("-arch="))
        return f"{arch}\n{self.programs[program]}".encode()

    def destroyProgram(self, program):
        pass


class Cupy:
    """Looks like CuPy as far as the backend uses it; what else is asked for is NumPy's."""

    def __init__(self, devices=1, driver=13000, version="14.2.0", error=None, capability="90"):
        self.__name__, self.__version__, self.log, self.guarded = "fake", version, Log(), False
        self.streams, self.current, self.functions, self.capability = [], [], [], capability
        self.device_stack, self.allocated, self.live, self.ndarray = [0], 0, 0, _ndarray
        scattered = "int32", "float32", "float64", "uint32", "uint64"
        self.add, self.maximum = At(np.add, (*scattered, "float16")), At(np.maximum, scattered)
        self.clock = 0.0            # milliseconds: whoever pretends to take time moves it
        self.devices, self.driver, self.error = devices, driver, error
        note = self.note

        class Device:
            def __init__(self, index=0):
                self.id = index

            def __enter__(own):
                self.device_stack.append(own.id)
                return own

            def __exit__(own, *exc):
                self.device_stack.pop()

            compute_capability = capability
        self.cuda = SimpleNamespace(
            Device=Device, Stream=lambda non_blocking=False: Stream(self, non_blocking),
            ExternalStream=lambda ptr: ExternalStream(self, ptr),
            Event=lambda disable_timing=False: Event(self, disable_timing), alloc=self.alloc,
            alloc_pinned_memory=self.alloc_pinned, UnownedMemory=UnownedMemory, MemoryPointer=MemoryPointer,
            get_elapsed_time=lambda a, b: b.at - a.at + 2.0, runtime=Runtime(self), driver=Driver(self),
            function=SimpleNamespace(Module=lambda: Module(self)), compiler=SimpleNamespace(nvrtc=Nvrtc(self)))
        self.pool = SimpleNamespace(free_bytes=lambda: 100, free_all_blocks=lambda: note("free_all_blocks"))

    def __getattr__(self, name):
        return getattr(np, name)

    def get_default_memory_pool(self):
        return self.pool

    def note(self, *what):
        self.log.append(what)

    def count(self, what):
        return sum(entry[0] == what for entry in self.log)

    def forbidden(self, what):
        assert not self.guarded, f"{what} while a program runs"
        for stream in self.streams:
            if stream.recording is not None:
                stream.broken = True
                raise CUDARuntimeError(900)

    @contextmanager
    def guard(self):
        self.guarded = True
        try:
            yield
        finally:
            self.guarded = False

    def alloc(self, nbytes):
        self.forbidden("an allocation")
        if nbytes > MEMORY:
            raise OutOfMemoryError(nbytes)
        self.note("alloc", nbytes, self.device_stack[-1])
        self.allocated += nbytes
        self.live += nbytes
        memory = Memory(nbytes)
        weakref.finalize(memory, self.freed, nbytes)
        return memory

    def freed(self, nbytes):
        self.live -= nbytes

    def alloc_pinned(self, nbytes):
        self.forbidden("an allocation")
        self.note("alloc_pinned", nbytes)
        return Memory(nbytes)

    def start(self, stream, run, *what):
        """Work on a stream: done at once, or recorded."""
        own = next((s for s in self.streams if s.ptr == stream), None)
        assert own is not None, "work on the default stream"
        if own.recording is not None:
            own.recording.append(run)
        else:
            self.note(*what)
            run()


class Runtime:
    CUDARuntimeError = CUDARuntimeError
    memcpyHostToDevice, memcpyDeviceToHost, memcpyDeviceToDevice = 1, 2, 3
    streamCaptureModeThreadLocal = 1

    def __init__(self, xp):
        self.xp = xp

    def driverGetVersion(self):
        return self.xp.driver

    def getDeviceCount(self):
        if self.xp.error is not None:
            raise CUDARuntimeError(self.xp.error)
        return self.xp.devices

    def getDeviceProperties(self, index):
        return {"name": b"Fake H200"}

    def memGetInfo(self):
        return MEMORY // 2, MEMORY

    def memcpyAsync(self, target, source, nbytes, kind, stream):
        if kind != self.memcpyDeviceToDevice:
            # Small ones to the device (random state) and to pinned memory (error words) are part of a run.
            if nbytes > 4096:
                self.xp.forbidden("a copy between host and device")
            for s in self.xp.streams:
                assert s.recording is None, "a copy between host and device in a capture"
        self.xp.start(stream, lambda: ctypes.memmove(target, source, nbytes), "copy", kind, nbytes)

    def memcpyPeerAsync(self, target, to, source, of, nbytes, stream):
        self.xp.start(stream, lambda: ctypes.memmove(target, source, nbytes), "peer", to, of, nbytes)

    def memsetAsync(self, target, byte, nbytes, stream):
        self.xp.start(stream, lambda: ctypes.memset(target, byte, nbytes), "memset", nbytes)


class Driver:
    CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8

    def __init__(self, xp):
        self.xp = xp

    def funcSetAttribute(self, function, attribute, value):
        self.xp.note("funcSetAttribute", attribute, value)

    def launchKernel(self, function, gx, gy, gz, bx, by, bz, shared, stream, params, extra):
        text, name = self.xp.functions[function - 1]
        fn, sizes = shim._entry(LaunchModule(name, (), text), name)
        addresses = (ctypes.c_void_p * max(len(sizes), 1)).from_address(params)
        values = [ctypes.string_at(addresses[i], n) for i, n in enumerate(sizes)]     # CUDA copies them at the call
        shape = (ctypes.c_uint * 8)(gx, gy, gz, bx, by, bz, shared, 0)

        def run():
            held = [ctypes.create_string_buffer(v, len(v)) for v in values]
            given = (ctypes.c_void_p * max(len(held), 1))(*map(ctypes.addressof, held))
            assert fn(shape, len(held), given) == 0
        self.xp.start(stream, run, "launch", name)
