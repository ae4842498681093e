"""``x[key]`` and ``x[key] = value``: NumPy's rules on MXNet's sharing.

A basic key (ints, slices, None, Ellipsis) whose elements lie next to each other gives an array over the same memory;
any other key copies.
"""
import numpy as np

from .._core import ndarray as _nd
from .._core.errors import MXNetError
from .._core.ndarray import NDArrayBase


def _plain(key):
    """`key` with every NDArray in it as a NumPy index array."""
    if isinstance(key, tuple):
        return tuple(_plain(k) for k in key)
    if isinstance(key, NDArrayBase):
        index = key.numpy_view()
        return index if index.dtype.kind in "biu" else index.astype(np.int64)
    if isinstance(key, (float, str)):
        raise ValueError(f"an array cannot be indexed with {key!r} of type {type(key).__name__}")
    if isinstance(key, list):
        return [_plain(k) if isinstance(k, NDArrayBase) else k for k in key]
    return key


def get(x, key):
    """The elements that `key` selects. IndexError as in NumPy, ValueError for a number or text that is no index."""
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
    view = x.numpy_view()
    plain = _plain(key)
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


def _copied(part, x):
    part = np.asarray(part)
    new = _nd.empty(part.shape, x.dtype_name, x.context)
    np.copyto(new.numpy_view(), part)
    return new


def set(x, key, value):
    """Write `value` (a number, NumPy array or NDArray, broadcast) into the elements that `key` selects."""
    view = x.numpy_view()
    bits = x.dtype_name == "bfloat16"
    if isinstance(value, NDArrayBase):
        if value.dtype_name == "bfloat16" and not bits:
            from .._core.convert import from_bfloat16
            value = from_bfloat16(value.numpy_view())
        elif bits and value.dtype_name != "bfloat16":
            from .._core.convert import to_bfloat16
            value = to_bfloat16(value.numpy_view())
        else:
            value = value.numpy_view()
    elif bits:
        from .._core.convert import to_bfloat16
        value = to_bfloat16(np.asarray(value, np.float32))
    else:
        value = np.asarray(value)
        if value.dtype.kind not in "biuf":
            raise TypeError(f"cannot assign {value.dtype} values to an array of {x.dtype_name}")
    key = _plain(key)
    try:
        with np.errstate(all="ignore"):
            if value.ndim and value.size == 1:
                value = value.reshape(())       # an element, which is read with shape (1,)
            if value.dtype != view.dtype:
                value = value.astype(view.dtype)
            view[key] = value
    except ValueError as e:
        target = np.shape(view[key])
        if isinstance(key, slice) and key == slice(None) and value.size == x.size:
            view[...] = value.reshape(x.shape)      # x[:] = y of equal size, as MXNet allows
        else:
            raise MXNetError(f"cannot assign an array of shape {value.shape} to a selection of shape {target}: "
                             f"{e}") from None
    x.touched()


