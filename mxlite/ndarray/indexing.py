"""``x[key]`` and ``x[key] = value``: NumPy's rules on MXNet's sharing.

A basic key (ints, slices, None, Ellipsis) whose elements lie next to each other gives an array over the same memory;
any other key copies.
"""
import numbers

import numpy as np

from .._core import ndarray as _nd
from .._core import tape as _tape
from .._core.dtypes import NUMPY
from .._core.errors import MXNetError
from .._core.ndarray import NDArrayBase
from ..ops.record import brief
from . import on_device as _on_device
from .on_device import GPU


def _plain(key, ndim):
    """`key`, for an array of `ndim` axes, in NumPy's terms: NDArrays, lists and arrays of fractions become arrays of
    integers, ``True`` is 1."""
    if type(key) is not tuple:
        if not ndim and type(key) is slice and key == slice(None):
            return Ellipsis                 # a 0-d array's x[:] is itself, as MXNet has it
        return _part(key)
    parts = [_part(k) for k in key]
    arrays = [k for k in parts if isinstance(k, np.ndarray)]
    if arrays and any(k is Ellipsis for k in parts):
        used = sum(k is not None and k is not Ellipsis for k in parts)
        used += sum(k.ndim - 1 for k in arrays if k.dtype.kind == "b")
        if used == ndim:                    # it stands for no axis, so it does not part the arrays beside it
            parts = [k for k in parts if k is not Ellipsis]
    return tuple(parts)


def _part(k):
    if k is None or k is Ellipsis or type(k) in (int, slice):
        return k
    if isinstance(k, NDArrayBase):
        index = k.host_view()
        if k.dtype_name == "bfloat16":
            from .._core.convert import from_bfloat16
            index = from_bfloat16(index)
    elif isinstance(k, (bool, numbers.Integral)):
        return int(k)                       # True and False are numbers here; a mask is an array
    elif isinstance(k, np.ndarray):
        index = k
    elif isinstance(k, (list, tuple, range)):
        index = np.asarray([_part(i) if isinstance(i, NDArrayBase) else i for i in k])
    else:
        raise ValueError(f"an array cannot be indexed with {brief(k)} of type {type(k).__name__}")
    if index.dtype.kind in "biu":
        return index
    if index.dtype.kind != "f":
        raise ValueError(f"an array cannot be indexed with {brief(k)} of type {type(k).__name__}")
    with np.errstate(invalid="ignore"):     # what is no number is out of bounds afterwards
        return index.astype(np.int64)


def get(x, key):
    """The elements that `key` selects. IndexError as in NumPy, ValueError for a number or text that is no index."""
    out = _get(x, key)
    if x._entry is not None and _tape.is_recording():
        from .recorded import note_get
        note_get(x, _plain(key, x.ndim), out)
    return out


def _get(x, key):
    if type(key) is int:                     # the common case: one row
        shape = x.shape
        if not shape:
            raise IndexError("a 0-d array cannot be indexed")
        n = shape[0]
        if not -n <= key < n:
            raise IndexError(f"index {key} is out of bounds for axis 0 with size {n}")
        row = x.size // n
        return x.part((key % n) * row, shape[1:] or (1,))      # a single element has shape (1,), as in MXNet
    if type(key) is slice and x.ndim and key.step in (None, 1):
        shape = x.shape
        start, stop, _ = key.indices(shape[0])
        rows = max(0, stop - start)
        return x.part(start * (x.size // shape[0]) if rows else 0, (rows, *shape[1:]))
    if type(key) is tuple:
        block = _block(key, x)
        if block is not None:
            return block
    plain = _plain(key, x.ndim)
    if x.context.device_typeid == GPU:
        return _on_device.get(x, plain)
    view = x.numpy_view()
    part = view[plain]
    if not isinstance(part, np.ndarray):
        part = view[(*plain, ...)] if isinstance(plain, tuple) else view[plain, ...]    # an array, not a scalar
    if not part.ndim and view.ndim:
        part = part.reshape(1)
    if not isinstance(part, np.ndarray) or part.base is None or not part.flags["C_CONTIGUOUS"] or \
            not np.may_share_memory(part, view):
        return _copied(part, x)
    start = (part.__array_interface__["data"][0] - x.address) // view.itemsize if part.size else 0
    return x.part(start, part.shape)


def _block(key, x):
    """``x[key]`` for the commonest of keys, ints and slices of step 1 whose elements lie side by side. None for any
    other, wrong ones included."""
    shape = x.shape
    if not 0 < len(key) <= len(shape) or not x.size:
        return None
    start, stride, lengths, inside = 0, x.size, [], False
    for k, n in zip(key, shape):
        stride //= n
        if type(k) is int:
            if inside and n > 1 or not -n <= k < n:
                return None
            start += k % n * stride
        elif type(k) is slice and k.step in (None, 1):
            first, stop, _ = k.indices(n)
            if stop <= first or inside and stop - first != n:
                return None
            start += first * stride
            lengths.append(stop - first)
            inside = inside or stop - first > 1
        else:
            return None
    return x.part(start, (*lengths, *shape[len(key):]) or (1,))


def _copied(part, x):
    part = np.asarray(part)
    new = _nd.empty(part.shape, x.dtype_name, x.context)
    np.copyto(new.numpy_view(), part)
    return new


def set(x, key, value):
    """Write `value` (a number, NumPy array or NDArray, broadcast) into the elements that `key` selects."""
    if _tape.is_recording():
        _tape.check_writable(x)
        if isinstance(value, NDArrayBase) and value._entry is not None:
            from .recorded import set_recorded
            plain = _plain(key, x.ndim)
            return set_recorded(x, plain, value, lambda: _set(x, key, value))
    _set(x, key, value)


def _set(x, key, value):
    there = x.context.device_typeid == GPU
    bits, kind = x.dtype_name == "bfloat16", NUMPY[x.dtype_name]
    if isinstance(value, NDArrayBase) and there:
        pass                                    # converted, if need be, on the device
    elif isinstance(value, NDArrayBase):
        if value.dtype_name == "bfloat16" and not bits:
            from .._core.convert import from_bfloat16
            value = from_bfloat16(value.host_view())
        elif bits and value.dtype_name != "bfloat16":
            from .._core.convert import to_bfloat16
            value = to_bfloat16(value.host_view())
        else:
            value = value.host_view()
    elif bits:
        from .._core.convert import to_bfloat16
        value = to_bfloat16(np.asarray(value, np.float32))
    else:
        if type(value) is int and value.bit_length() > 63:
            value = float(value)
        value = np.asarray(value)
        if value.dtype.kind not in "biuf":
            raise TypeError(f"cannot assign {value.dtype} values to an array of {x.dtype_name}")
    key = _plain(key, x.ndim)
    if there:
        if isinstance(value, np.ndarray) and value.dtype != kind:
            with np.errstate(all="ignore"):
                value = value.astype(kind)
        return _on_device.set(x, key, value)
    view = x.numpy_view()
    try:
        with np.errstate(all="ignore"):
            if value.ndim and value.size == 1:
                value = value.reshape(())       # an element, which is read with shape (1,)
            if value.dtype != kind:
                value = value.astype(kind)
            view[key] = value
    except ValueError as e:
        raise MXNetError(f"cannot assign an array of shape {value.shape} to a selection of shape "
                         f"{np.shape(view[key])}: {e}") from None
    x.touched()


