"""Devices: ``mx.cpu()``, ``mx.gpu(1)``, and the default device of a ``with`` block."""
from operator import index as _index

from ._core.context import Context, current_context
from ._core.context import gpu_backend as _gpu_backend

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
    """How many GPUs can be used: 0 without CuPy, without a driver, or without a device. Imports CuPy."""
    return _gpu_backend().count()


def gpu_memory_info(device_id=0):
    """(free, total) bytes of a GPU; what waits in the pool of arrays counts as free. MXNetError where there is none of
    that number, saying what is missing; TypeError for what is no number."""
    return _gpu_backend().memory_info(_index(device_id))
