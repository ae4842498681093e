"""Devices: ``mx.cpu()``, ``mx.gpu(1)``, and the default device of a ``with`` block."""
from ._core.context import Context, current_context
from ._core.context import check_usable as _check_usable

__all__ = ["Context", "cpu", "cpu_pinned", "gpu", "gpu_memory_info", "num_gpus", "current_context"]


def cpu(device_id=0):
    """The CPU. Every id is the same memory; different ids are different contexts."""
    return Context("cpu", device_id)


def cpu_pinned(device_id=0):
    """Page-locked host memory where there is a GPU; plain memory otherwise."""
    return Context("cpu_pinned", device_id)


def gpu(device_id=0):
    """GPU number `device_id`. Naming it is free; using it where there is none raises MXNetError."""
    return Context("gpu", device_id)


def num_gpus():
    """How many GPUs can be used: 0, this version of mxlite has no GPU backend."""
    return 0


def gpu_memory_info(device_id=0):
    """(free, total) bytes of a GPU. Raises MXNetError where there is none."""
    return _check_usable(gpu(device_id))
