"""The NDArray: a contiguous array on a device, with MXNet's methods."""
import operator
import sys

import numpy as np

from .._core import dlpack as _dlpack
from .._core import dtypes as _dtypes
from .._core import ndarray as _nd
from .._core import tape as _tape
from .._core.context import check_usable, current_context, gpu_backend
from .._core.errors import MXNetError
from .._core.ndarray import NDArrayBase
from . import indexing as _indexing
from . import on_device as _on_device
from .on_device import GPU

__all__ = ["NDArray", "array", "empty", "from_numpy", "waitall"]


class NDArray(NDArrayBase):
    """An array of numbers on one device.

    Arithmetic broadcasts; ``x[...]`` that is contiguous shares memory, as do ``reshape`` and ``x[i]``; everything else
    copies. Operators check shapes and dtypes when they are called and raise MXNetError at that line.
    """

    __slots__ = ()
    __array_priority__ = 1000.0

    def __init__(self, handle=None, writable=True):
        raise TypeError("an NDArray is made by a function: nd.array, nd.zeros, nd.empty, nd.from_numpy, ...")

    # -- what it is -------------------------------------------------------------------------------------------------

    @property
    def dtype(self):
        """NumPy's scalar type of the elements."""
        return _dtypes.public(self.dtype_name)

    @property
    def ctx(self):
        """The device."""
        return self.context

    @property
    def stype(self):
        """Storage type: always 'default' (dense)."""
        return "default"

    @property
    def T(self):
        """The transpose, a copy."""
        return self if self.ndim < 2 else _op("transpose")(self)

    def __repr__(self):
        shape = "x".join(str(d) for d in self.shape)
        return f"\n{self.asnumpy()!s}\n<{type(self).__name__} {shape} @{self.context}>"

    def __len__(self):
        if not self.ndim:
            raise TypeError("len() of a 0-d array")
        return self.shape[0]

    def __iter__(self):
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(self.shape[0]))

    def __bool__(self):
        if self.size == 0:
            return False
        if self.size == 1:
            return bool(self.host_view().reshape(-1)[0])
        raise ValueError("The truth value of an NDArray with multiple elements is ambiguous.")

    def __float__(self):
        return float(self.asscalar())

    def __int__(self):
        return int(self.asscalar())

    def __index__(self):
        if self.size != 1 or not isinstance(self.asscalar(), np.integer):
            raise TypeError("only integer arrays of one element can be converted to a scalar index")
        return int(self.asscalar())

    # -- out of the array -------------------------------------------------------------------------------------------

    def asnumpy(self):
        """A copy as a NumPy array (bfloat16 as float32)."""
        view = self.host_view()
        if self.dtype_name == "bfloat16":
            from .._core.convert import from_bfloat16
            return from_bfloat16(view)
        return view.copy() if self.context.device_typeid != GPU else view

    def asscalar(self):
        """The one element as a NumPy scalar. ValueError unless there is exactly one."""
        if self.size != 1:
            raise ValueError("The current array is not a scalar")
        return self.asnumpy().reshape(-1)[0]

    def item(self):
        """The one element as a Python number."""
        return self.asscalar().item()

    def tolist(self):
        """The elements as nested lists."""
        return self.asnumpy().tolist()

    def __array__(self, dtype=None, copy=None):
        """What ``np.asarray`` gets: a copy, or this very memory with ``copy=False`` (ValueError where the dtype asks
        for a copy)."""
        if copy is False:
            if self.dtype_name == "bfloat16" or dtype is not None and np.dtype(dtype) != self.dtype:
                raise ValueError(f"an array of {self.dtype_name} does not become one of {dtype} without a copy")
            self.storage.exported = True
            return self.numpy_view()
        out = self.asnumpy()
        return out if dtype is None else out.astype(dtype, copy=False)

    def to_dlpack_for_read(self):
        """A DLPack capsule over this array's memory, for reading. Whoever takes it shares the memory; on a GPU, what
        comes next on CUDA's default stream waits for what was asked for here."""
        if self.context.device_typeid == GPU:
            _on_device.hand_over(self, None)
        return _dlpack.export(self)

    to_dlpack_for_write = to_dlpack_for_read

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        """A DLPack capsule over this array's memory, versioned where `max_version` is 1.0 or more; over a copy where
        `copy` is true. `stream`: the number of the CUDA stream that is to wait for what was asked for here (None:
        CUDA's default one, -1: none); on the CPU None. BufferError for another device than the array's."""
        there = self.context.device_typeid == GPU
        if stream is not None and not there:
            raise BufferError(f"stream must be None for an array on the CPU, got {stream!r}")
        if dl_device is not None and tuple(dl_device) != self.__dlpack_device__():
            raise BufferError(f"the array is on DLPack device {self.__dlpack_device__()}, {self.context}, and cannot "
                              f"be lent to {dl_device}")
        lent = self.copy() if copy else self
        if there:
            _on_device.hand_over(lent, stream)
        return _dlpack.export(lent, max_version is not None and max_version[0] >= 1, bool(copy))

    def __dlpack_device__(self):
        """DLPack's (device type, device number): (1, 0) is the CPU, (2, k) GPU number k."""
        return (2, self.context.device_id) if self.context.device_typeid == GPU else (1, 0)

    @property
    def __cuda_array_interface__(self):
        """What CuPy, Numba and PyTorch read of an array on a GPU, no copy; others have no such attribute."""
        return _on_device.cuda_interface(self)

    def __reduce__(self):
        return _unpickle, (self.host_view().copy(), self.dtype_name, self.context)

    def __copy__(self):
        return self.copy()

    def __deepcopy__(self, memo):
        return self.copy()

    # -- copies -----------------------------------------------------------------------------------------------------

    def copy(self):
        """A copy on the same device."""
        return self.copyto(self.context)

    def copyto(self, other):
        """Copy into the NDArray `other` (equal shape, dtype converted), or to the Context `other` as a new array."""
        if isinstance(other, NDArrayBase):
            if other is self:
                raise MXNetError("cannot copy an array onto itself")
            _tape.check_writable(other)
        else:
            other = _nd.empty(self.shape, self.dtype_name, check_usable(_context(other)))
        other.copy_from(self)
        if self._entry is not None:
            if other.dtype_name == self.dtype_name:
                _record("_copy", self, other)
            else:
                _record("Cast", self, other, dtype=other.dtype_name)
        return other

    def as_in_context(self, context):
        """This array on `context`: itself where it already is there, else a copy."""
        return self if self.context == context else self.copyto(context)

    as_in_ctx = as_in_context

    def astype(self, dtype, copy=True):
        """The elements converted to `dtype`; the array itself where `copy` is False and nothing changes."""
        name = "float32" if dtype is None else _dtypes.name_of(dtype)
        if name == self.dtype_name:
            return self.copy() if copy else self
        return _op("Cast")(self, dtype=name)

    def as_nd_ndarray(self):
        """This array itself."""
        return self

    def as_np_ndarray(self):
        """MXNet's NumPy-like array class, which does not exist here: raises. ``asnumpy()`` gives a NumPy array."""
        raise MXNetError("mx.np is not supported: asnumpy() gives a NumPy array, np.asarray(x, copy=False) one over "
                         "the same memory")

    def tostype(self, stype):
        """A copy in storage type `stype`: only 'default' (dense) is supported. ValueError for no storage type."""
        _check_stype(stype)
        return self.copy()

    def detach(self):
        """This array's memory without any record of how it was computed."""
        return self.part(0, self.shape)

    # -- gradients --------------------------------------------------------------------------------------------------

    def attach_grad(self, grad_req="write", stype=None):
        """Let :func:`mxlite.autograd.backward` compute this array's gradient into ``x.grad``, zeros until then.

        `grad_req`: 'write', 'add' (accumulate) or 'null'. The array is a variable from now on, whatever it was
        computed from. ValueError for another request.
        """
        from ..autograd import mark_variables
        _check_stype("default" if stype is None else stype)
        grad = _nd.empty(self.shape, self.dtype_name, self.context)
        grad.fill_zero()
        mark_variables([self], [grad], [grad_req])

    @property
    def grad(self):
        """The array that backward writes this array's gradient into; None without :meth:`attach_grad`."""
        node = _tape.variable_of(self)
        return None if node is None else node.grad

    def backward(self, out_grad=None, retain_graph=False, train_mode=True):
        """The gradients of this array into the ``grad`` of those that it was computed from while recording.

        `out_grad`: the gradient of some further loss with respect to this array (None: ones). MXNetError where it was
        not recorded; see :func:`mxlite.autograd.backward`.
        """
        from ..autograd import backward
        backward([self], None if out_grad is None else [out_grad], retain_graph, train_mode)

    def wait_to_read(self):
        """Wait until what was asked for on this array's GPU is done, and raise what went wrong there. On the CPU every
        call has finished when it returns."""
        if self.context.device_typeid == GPU:
            self.storage.device.synchronize()

    wait_to_write = wait_to_read

    # -- views ------------------------------------------------------------------------------------------------------

    def reshape(self, *shape, **kwargs):
        """This memory under another shape; MXNet's codes 0, -1, -2, -3, -4 are understood (``reverse=True`` too)."""
        if not kwargs:
            out = self._reshaped(shape)
            if out is not None:
                return out
        from ..ops.shape import reshape_codes, same_size
        given = kwargs.pop("shape", ())
        reverse = kwargs.pop("reverse", False)
        if kwargs:
            raise TypeError(f"reshape: unknown keyword {next(iter(kwargs))!r}; it takes shape and reverse")
        if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
            shape = shape[0]
        elif not shape:
            shape = (given,) if hasattr(given, "__index__") else given
            if not shape:
                raise ValueError("Shape must be provided.")
        try:
            target = reshape_codes(tuple(operator.index(d) for d in shape), self.shape, bool(reverse))
            same_size(self.shape, target)
            out = self.part(0, target)
        except ValueError as e:
            raise MXNetError(f"reshape: {e}") from None
        return self._viewed(out)

    def _viewed(self, out):
        """`out`, this memory under another shape, recorded where this array is."""
        if self._entry is not None:
            _record("Reshape", self, out, shape=out.shape)
        return out

    def flatten(self, inplace=False):
        """Two axes: the first, and all others joined."""
        return _op("Flatten")(self) if not inplace else self.reshape((0, -1))

    def expand_dims(self, axis, inplace=False):
        """One more axis of length 1, at `axis`."""
        if not inplace:
            return _op("expand_dims")(self, axis=axis)
        if not -self.ndim - 1 <= axis <= self.ndim:
            raise MXNetError(f"expand_dims: axis {axis} is out of range for {self.ndim} axes and a new one")
        shape = list(self.shape)
        shape.insert(axis if axis >= 0 else axis + self.ndim + 1, 1)
        return self._viewed(self.part(0, tuple(shape)))

    def squeeze(self, axis=None, inplace=False):
        """Without the axes of length 1 (those in `axis`)."""
        out = _op("squeeze")(self, axis=axis)
        return self._viewed(self.part(0, out.shape)) if inplace else out

    def split_v2(self, *args, **kwargs):
        """``nd.split_v2`` with this array as its first input."""
        from .creation import split_v2
        return split_v2(self, *args, **kwargs)

    def broadcast_to(self, shape):
        """This array repeated to `shape`; axes that it lacks come first. ValueError where it does not fit; a 0 in
        `shape` keeps what is there."""
        shape = tuple(shape)
        x = self if len(shape) <= self.ndim else self.reshape((1,) * (len(shape) - self.ndim) + self.shape)
        if x.ndim != len(shape) or any(d not in (1, n) for d, n in zip(x.shape, shape)):
            raise ValueError(f"an array of shape {self.shape} cannot be broadcast to {shape}")
        return _op("broadcast_to")(x, shape=shape)

    def broadcast_like(self, other):
        """This array repeated to the shape of `other`."""
        if 0 in other.shape and self.size:      # a 0 is a length here
            return _op("slice_like")(self.broadcast_to([d or 1 for d in other.shape]), other)
        return self.broadcast_to(other.shape)

    def __setitem__(self, key, value):
        _indexing.set(self, key, value)

    def slice_assign(self, rhs, begin, end, step):
        """``x[begin:end:step] = rhs``, an NDArray, along the leading axes; an empty `step` is all ones."""
        if not isinstance(rhs, NDArrayBase):
            raise TypeError(f"slice_assign takes an NDArray, got {type(rhs).__name__}: use slice_assign_scalar")
        self[_slices(begin, end, step)] = rhs
        return self

    def slice_assign_scalar(self, value, begin, end, step):
        """``x[begin:end:step] = value``, a number, along the leading axes; an empty `step` is all ones."""
        self[_slices(begin, end, step)] = float(value)
        return self

    __hash__ = object.__hash__


def _slices(begin, end, step):
    step = step or (None,) * len(begin)
    if not len(begin) == len(end) == len(step):
        raise ValueError(f"begin, end and step must name as many axes, got {tuple(begin)}, {tuple(end)} and "
                         f"{tuple(step)}")
    return tuple(map(slice, begin, end, step))


def _check_stype(stype):
    if stype in ("row_sparse", "csr"):
        raise MXNetError(f"sparse storage is not supported, storage type {stype!r}")
    if stype != "default":
        raise ValueError(f"unknown storage type {stype!r}")


def _record(name, x, out, **params):
    """Record `out`, which was made without a call, as what operator `name` makes of `x`."""
    if _tape.is_recording():
        record = _op(name).record
        _tape.record_result(record, record.parse(params), (x,), out)


def _context(ctx):
    from .._core.context import Context
    if not isinstance(ctx, Context):
        raise TypeError(f"copyto does not support type {type(ctx).__name__}")
    return ctx


def _unpickle(values, dtype, context):
    check_usable(context)
    name = _dtypes.name_of(dtype)
    if not isinstance(values, np.ndarray) or values.dtype != _dtypes.NUMPY[name]:
        raise TypeError(f"this pickle holds no array of {name}")
    new = _nd.empty(values.shape, name, context)
    new.set_from_host(values)
    return new


_OPS = {}


def _op(name):
    """The imperative function of the operator `name`."""
    function = _OPS.get(name)
    if function is None:
        from . import functions
        function = _OPS[name] = functions.get(name)
    return function


_nd.set_array_class(NDArray)
_nd.set_indexing(_indexing.get)


def array(source_array, ctx=None, dtype=None):
    """A new array with the values of `source_array` (NumPy array, NDArray, number or nested lists).

    dtype: float32 unless `source_array` is an NDArray, as in MXNet. TypeError for what is no array.
    """
    if isinstance(source_array, NDArrayBase):
        name = source_array.dtype_name if dtype is None else _dtypes.name_of(dtype)
        new = _nd.empty(source_array.shape, name, _usable(ctx))
        new.copy_from(source_array)
        return new
    name = "float32" if dtype is None else _dtypes.name_of(dtype)
    if type(source_array) is np.ndarray and name == "float32" and source_array.dtype == np.float32:    # the usual case
        new = _nd.empty(source_array.shape, name, _usable(ctx))
        new.set_from_host(source_array)
        return new
    if isinstance(source_array, (list, tuple)) and source_array and isinstance(source_array[0], NDArrayBase):
        raise TypeError("source_array must be array like object, not a list of NDArrays: use nd.stack or nd.concat")
    try:
        values = np.asarray(source_array)
        if values.dtype.kind == "O" and any(v is None for v in values.flat):
            raise TypeError("None is no number")
        if values.dtype.kind == "c":
            raise TypeError("complex numbers are not supported")
        if values.dtype.kind not in "biuf":
            values = np.asarray(source_array, np.float64)
    except (ValueError, TypeError, OverflowError) as e:
        raise TypeError(f"source_array must be array like object: {e}") from None
    new = _nd.empty(values.shape, name, _usable(ctx))
    kind = values.dtype.name
    from .._core.convert import convert
    there = new.context.device_typeid == GPU
    target = np.empty(values.shape, _dtypes.NUMPY[name]) if there else new.numpy_view()
    convert(values, "bfloat16" if kind == "bfloat16" else kind, target, name)
    if there:
        new.set_from_host(target)
    return new


def _usable(ctx):
    return current_context() if ctx is None else check_usable(ctx)


def empty(shape, ctx=None, dtype=None, stype=None):
    """An array whose values are whatever was in memory."""
    shape = (shape,) if hasattr(shape, "__index__") else tuple(shape)
    return _nd.empty(shape, "float32" if dtype is None else _dtypes.name_of(dtype), _usable(ctx))


def from_numpy(ndarray, zero_copy=True, array_cls=NDArray):
    """An array over the memory of a C-contiguous NumPy array (`zero_copy`), or a copy in its dtype.

    ValueError for an array that is not C-contiguous and should be shared.
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy takes a NumPy array, got {type(ndarray).__name__}")
    if not zero_copy:
        return array(ndarray, dtype=ndarray.dtype)
    if not ndarray.flags["C_CONTIGUOUS"]:
        raise ValueError("Only c-contiguous arrays are supported for zero-copy")
    if not ndarray.flags["WRITEABLE"]:
        raise ValueError("the NumPy array is read-only; pass zero_copy=False")
    if not ndarray.flags["ALIGNED"] or not ndarray.dtype.isnative:
        raise ValueError("the NumPy array's elements are not aligned or of another byte order; pass zero_copy=False")
    return _nd.from_numpy_shared(ndarray)


def waitall():
    """Wait until every GPU has done what it was asked for, and raise what went wrong there. On the CPU every call has
    finished when it returns."""
    if "mxlite.gpu" in sys.modules:
        gpu_backend().wait_all()
