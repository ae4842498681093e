"""The GPU backend: the only part of mxlite that imports CuPy, and only when a GPU is asked for.

``import mxlite`` imports nothing of it. :func:`look` says once a process what there is (CuPy, driver, devices);
everything else asks it. A fake CuPy can be given to :class:`Backend` in place of the real one.
"""
import importlib
import os
import sys
import threading
import types

from .._core.context import Context
from .._core.errors import MXNetError

INSTALL = "`pip install mxlite[gpu]` and an NVIDIA driver for CUDA 13 (580 or later)"
USE_CPU = "Use mx.cpu(), or mx.gpu() if mx.context.num_gpus() else mx.cpu()."
CUPY_LEAST, DRIVER_LEAST = 14, 13000
FORKED = ("cannot be used in a process forked from one that has used CUDA, there is no GPU for it: start workers by "
          "multiprocessing's 'spawn'")
INSUFFICIENT_DRIVER, NO_DEVICE = 35, 100        # cudaError_t


class Backend:
    """What this process can use: ``xp`` (CuPy, or None), ``count`` of devices, and ``missing``, why there are none."""

    def __init__(self, load=None):
        """`load` imports CuPy."""
        self.xp, self.count, self.missing, self.devices, self.lock = None, 0, None, {}, threading.Lock()
        self.pid = os.getpid()
        try:
            xp = (load or _import)()
        except ImportError as e:
            self.missing = _no_cupy(e)
            return
        self.missing = self._look(xp)
        if self.missing is None:
            self.xp = xp

    def _look(self, xp):
        """What is missing, None where there are devices."""
        version = getattr(xp, "__version__", "0")
        if int(version.split(".")[0]) < CUPY_LEAST:
            return f"CuPy {version} is too old, it must be {CUPY_LEAST} or later"
        runtime = xp.cuda.runtime
        driver = int(runtime.driverGetVersion())
        if driver == 0:
            return f"CuPy {version} is installed, but this machine has no NVIDIA driver"
        if driver < DRIVER_LEAST:
            return f"CuPy {version} is installed, but the NVIDIA driver is for CUDA {_dotted(driver)} and too old"
        try:
            self.count = int(runtime.getDeviceCount())
        except runtime.CUDARuntimeError as e:
            code = getattr(e, "status", None)
            if code == INSUFFICIENT_DRIVER:
                return f"CuPy {version} is installed, but the NVIDIA driver (CUDA {_dotted(driver)}) is too old"
            if code != NO_DEVICE:
                return f"CuPy {version} and a driver for CUDA {_dotted(driver)} are installed, but CUDA says: {e}"
        if self.count == 0:
            seen = os.environ.get("CUDA_VISIBLE_DEVICES")
            hidden = "" if seen is None else f" (CUDA_VISIBLE_DEVICES={seen!r})"
            return (f"CuPy {version} and a driver for CUDA {_dotted(driver)} are installed, but CUDA sees no "
                    f"device{hidden}")
        return None

    def check(self, index):
        """MXNetError where device `index` cannot be used: what is missing, what was found, what to install."""
        if self.missing is not None:
            raise MXNetError(f"gpu({index}) cannot be used, there is no GPU: {self.missing}. It needs {INSTALL}. "
                             f"{USE_CPU}")
        if not 0 <= index < self.count:
            there = ", ".join(f"gpu({i})" for i in range(self.count))
            raise MXNetError(f"gpu({index}) cannot be used, there is no GPU of that number: this machine has {there}")
        if os.getpid() != self.pid:
            raise MXNetError(f"gpu({index}) {FORKED}")

    def device(self, index):
        """The :class:`~mxlite.gpu.device.Device` of that number, made on first use."""
        self.check(index)
        with self.lock:
            if index not in self.devices:
                from .device import Device
                self.devices[index] = Device(index, self.xp)
            return self.devices[index]

    def memory_info(self, index):
        """(free, total) bytes of device `index`; what CuPy's pool holds and nobody uses counts as free."""
        self.check(index)
        from .device import memory_info
        return memory_info(self.xp, index)


def _import():
    return importlib.import_module("cupy")


def _dotted(version):
    """CUDA's 13020 as text."""
    return f"{version // 1000}.{version % 1000 // 10}"


def _no_cupy(error):
    if isinstance(error, ModuleNotFoundError) and error.name == "cupy":
        return "CuPy is not installed"
    return f"CuPy is installed but cannot be imported ({error})"


_backend = None
_lock = threading.Lock()


def _after_fork():
    """CUDA does not work in a forked child, so its devices say so."""
    if _backend is not None:
        for device in _backend.devices.values():
            device.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def look():
    """The :class:`Backend` of this process."""
    global _backend
    if _backend is None:
        with _lock:
            if _backend is None:
                _backend = Backend()
    return _backend


def count():
    """How many GPUs can be used; 0, never an error, where something is missing."""
    return look().count


def check(index):
    look().check(index)


def memory_info(index):
    return look().memory_info(index)


def get_device(index):
    return look().device(index)


def pinned(nbytes):
    """Page-locked memory of the host; None where there is no GPU."""
    backend = look()
    return None if backend.xp is None or not backend.count else backend.xp.cuda.alloc_pinned_memory(max(nbytes, 1))


def wait_all():
    """Wait for every device that was used. Raises what calls and programs met there."""
    if _backend is not None and _backend.pid == os.getpid():
        for device in list(_backend.devices.values()):
            device.synchronize()


def empty_cache(index):
    """Give memory that CuPy's pool holds and nobody uses back to the device."""
    backend = look()
    backend.check(index)
    with backend.xp.cuda.Device(index):
        backend.xp.get_default_memory_pool().free_all_blocks()


class _Callable(types.ModuleType):
    """Importing this module puts it where the function ``mx.gpu`` was, so it is that function too."""

    def __call__(self, device_id=0):
        """GPU number `device_id`. Naming it is free; using it where there is none raises MXNetError."""
        return Context("gpu", device_id)


sys.modules[__name__].__class__ = _Callable
