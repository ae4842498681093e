"""What differs for an array on a GPU: ``x[key]`` and ``x[key] = value``, and how its memory is shown to others.

A key is read on the host: basic ones by NumPy on a view of addresses that nobody looks at, others as arrays of integers
that are held against the shape, because CuPy lets an index out of bounds pass. The elements never leave the device.
"""
from contextlib import contextmanager
from math import prod

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .._core import ndarray as _nd
from .._core.context import gpu_backend
from .._core.dtypes import NUMPY
from .._core.errors import MXNetError
from .._core.ndarray import NDArrayBase

GPU = 2                         # device type of contexts
DEFAULT_STREAM = 1              # CUDA's, as DLPack and CuPy write it; 0 would be ambiguous

@contextmanager
def viewed(*arrays):
    """CuPy's arrays over the memory of `arrays`, on mxlite's stream inside."""
    device = arrays[0].storage.device
    with device.use():
        yield [device.view(a.address, a.shape, a.dtype_name, a.storage) for a in arrays]


def row_major(shape):
    """Strides, in elements, of a contiguous array."""
    return tuple(prod(shape[k + 1:]) for k in range(len(shape)))


def selected(x, key):
    """The part of `x` that a basic `key` selects: (first element, shape, whether they lie side by side)."""
    # A byte an element, and none of them is read.
    flat = as_strided(np.empty(1, np.uint8), x.shape, row_major(x.shape), writeable=False)
    key = key if isinstance(key, tuple) else (key,)
    part = flat[key] if Ellipsis in key else flat[(*key, ...)]          # an array, not an element
    start = part.__array_interface__["data"][0] - flat.__array_interface__["data"][0] if part.size else 0
    return start, part.shape, bool(part.flags["C_CONTIGUOUS"])


def is_basic(key):
    """Whether `key`, in NumPy's terms, has ints, slices, None and Ellipsis alone."""
    return all(k is None or k is Ellipsis or type(k) in (int, slice) for k in (key if type(key) is tuple else (key,)))


def integers(xp, x, key):
    """`key` with its arrays as arrays of integers on the device, masks as the positions of what is true. IndexError as
    in NumPy."""
    # NumPy says what is wrong with a key; all elements of this array are one.
    as_strided(np.empty(1, np.uint8), x.shape, (0,) * x.ndim, writeable=False)[key]
    out = []
    for k in key if type(key) is tuple else (key,):
        if not isinstance(k, np.ndarray):
            out.append(k)
        elif k.dtype.kind == "b" and k.ndim:
            out += [xp.asarray(i) for i in k.nonzero()]
        else:
            out.append(xp.asarray(k.astype(np.int64)))
    return tuple(out)


def get(x, key):
    """The elements that `key`, in NumPy's terms, selects: over `x`'s memory where they lie side by side, else a
    copy."""
    if is_basic(key):
        start, shape, together = selected(x, key)
        if not shape and x.ndim:
            shape = (1,)
        if together:
            return x.part(start, shape)
    with viewed(x) as (view,):
        at = key if is_basic(key) else integers(x.storage.device.xp, x, key)
        part = view[at]
        new = _nd.empty(part.shape or (1,) * bool(x.ndim), x.dtype_name, x.context)
        if new.size:
            with viewed(new) as (to,):
                to[...] = part.reshape(to.shape)
    return new


def set(x, key, value):
    """Write `value` (a NumPy array of numbers in `x`'s dtype, or an NDArray) into the elements that `key` selects."""
    device = x.storage.device
    if isinstance(value, NDArrayBase):
        if value.context is not x.context:
            value = value.as_in_context(x.context)
        if value.dtype_name != x.dtype_name:
            value = value.astype(x.dtype_name)
        if value.storage is x.storage:
            value = value.copy()
    if is_basic(key):
        start, shape, together = selected(x, key)
        if together and value.shape == shape:
            part = x.part(start, shape)
            part.copy_from(value) if isinstance(value, NDArrayBase) else part.set_from_host(value)
            return
    with device.use():
        view = device.view(x.address, x.shape, x.dtype_name, x.storage)
        at = key if is_basic(key) else integers(device.xp, x, key)
        if isinstance(value, NDArrayBase):
            given = device.view(value.address, value.shape, value.dtype_name, value.storage)
        else:
            given = value if not value.ndim else device.xp.asarray(value)
        if given.ndim and given.size == 1:
            given = given.reshape(())           # an element, which is read with shape (1,)
        try:
            view[at] = given
        except ValueError as e:
            raise MXNetError(f"cannot assign an array of shape {value.shape} to the selection {key!r} of an array of "
                             f"shape {x.shape}: {e}") from None
    x.touched()


def hand_over(x, stream):
    """Let the CUDA stream number `stream` (None: the default one, -1: none) wait for what `x`'s device was asked for.
    BufferError for a number that DLPack does not have."""
    if stream == -1:
        return
    if stream is not None and (isinstance(stream, bool) or not isinstance(stream, int) or stream <= 0):
        raise BufferError(f"stream must be -1, None or the number of a CUDA stream, got {stream!r}")
    x.storage.device.before_number(DEFAULT_STREAM if stream is None else stream)


def cuda_interface(x):
    """The dict of ``__cuda_array_interface__``, version 3: who reads it waits for mxlite's stream. AttributeError for
    an array that is on no GPU, or of bfloat16, which the interface has no name for."""
    if x.context.device_typeid != GPU:
        raise AttributeError(f"an array on {x.context} has no __cuda_array_interface__")
    if x.dtype_name == "bfloat16":
        raise AttributeError("bfloat16 has no type in __cuda_array_interface__; DLPack has")
    x.storage.exported = True
    return {"shape": x.shape, "typestr": np.dtype(NUMPY[x.dtype_name]).str, "data": (x.address, False),
            "strides": None, "stream": x.storage.device.stream.ptr, "version": 3}


def receive(context):
    """The number of the stream that a lender of memory on `context` is to put in order with its own."""
    return gpu_backend().get_device(context.device_id).stream.ptr


def written_before(x):
    """Let `x`'s device wait for what CUDA's default stream was asked for."""
    x.storage.device.after_number(DEFAULT_STREAM)
