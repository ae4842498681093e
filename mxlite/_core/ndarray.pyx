# cython: language_level=3
"""The array class's engine half: memory, shape, copies and views. What MXNet's users call stands in mxlite/ndarray."""
from operator import index

cimport cython
import numpy as np
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from libc.stdint cimport int64_t
from libc.string cimport memcmp, memcpy, memset
from mxlite._core.abi cimport *
from mxlite._core.storage cimport Storage, foreign_storage, new_storage, storage_on
from . import dtypes as _dtypes
from .context import CPU as _CPU
from .errors import MXNetError

cdef extern from "mxl_arrays.h":
    object mxl_new(object cls, object args)
    void mxl_keep_dead(object cls)
    int mxl_wrap_slots(object cls) except -1
    long long PyLong_AsLongLongAndOverflow(object v, int* overflow) except? -1
    int PySlice_Unpack(object key, Py_ssize_t* first, Py_ssize_t* last, Py_ssize_t* step) except -1
    Py_ssize_t PySlice_AdjustIndices(Py_ssize_t n, Py_ssize_t* first, Py_ssize_t* last, Py_ssize_t step)

cdef object CPU = _CPU
cdef dict FLAG = _dtypes.FLAG
cdef dict NAME = _dtypes.NAME
cdef dict NUMPY = _dtypes.NUMPY
cdef type array_class = None            # the face's subclass, which every new array is made of
cdef object index_get = None
cdef tuple NO_ARGS = ()

for _name, _flag in _dtypes.FLAG.items():
    ITEMSIZE[_flag] = _dtypes.ITEMSIZE[_name]


def set_array_class(cls):
    """New arrays are instances of `cls` (a subclass of NDArrayBase) from now on."""
    global array_class
    array_class = cls
    mxl_keep_dead(cls)


def set_indexing(get):
    """``x[key]`` is ``get(x, key)`` for keys that are not just a row or a range of rows."""
    global index_get
    index_get = get


cdef class Buffer:
    def __getbuffer__(self, Py_buffer* view, int flags):
        view.buf, view.obj, view.len, view.itemsize, view.readonly = self.data, self, self.n, 1, 0
        view.format, view.ndim, view.shape, view.strides, view.suboffsets = NULL, 1, NULL, NULL, NULL
        view.internal = NULL
        if flags & 0x0008:              # PyBUF_ND
            view.shape = &self.n


cdef object numpy_at(void* data, tuple shape, object dtype_name, object keep):
    """A NumPy array over memory of ours; `keep` stays alive with it. No copy."""
    cdef Buffer b = Buffer.__new__(Buffer)
    cdef int64_t size = 1
    for d in shape:
        size *= d
    kind = NUMPY[dtype_name]
    if size == 0:
        return np.empty(shape, kind)
    b.data, b.n, b.keep = data, size * ITEMSIZE[<int>FLAG[dtype_name]], keep
    return np.frombuffer(b, kind).reshape(shape)


cdef inline NDArrayBase make():
    if array_class is None:
        return NDArrayBase.__new__(NDArrayBase)
    return <NDArrayBase>mxl_new(array_class, NO_ARGS)


cdef NDArrayBase new_array(int ndim, const int64_t* shape, int dtype, object context):
    """An uninitialised array. MemoryError where its size overflows or the machine cannot hold it."""
    cdef NDArrayBase a = make()
    cdef int i
    cdef int64_t size = 1
    a.t.ndim, a.t.dtype = ndim, dtype
    for i in range(ndim):
        a.t.shape[i] = shape[i]
        if shape[i] and size > (<int64_t>1 << 58) // shape[i]:
            raise MemoryError("the array's size overflows 64 bits")
        size *= shape[i]
    a.t.size = size
    a.storage = storage_on(size * ITEMSIZE[dtype], context)
    a.t.data = a.storage.data
    a.context = context
    return a


cdef inline object device_of(NDArrayBase a):
    """The device that `a` lies on; None for the host."""
    return a.storage.device


cdef NDArrayBase array_like(const mxl_tensor* like, object context):
    """An uninitialised array of the shape and dtype of a tensor whose size is known to be possible."""
    cdef NDArrayBase a = make()
    a.storage = storage_on(like.size * ITEMSIZE[like.dtype], context)
    a.t = like[0]
    a.t.data = a.storage.data
    a.context = context
    return a


cdef bint same_kind(const mxl_tensor* a, const mxl_tensor* b) noexcept:
    """Equal shape and dtype."""
    return a.ndim == b.ndim and a.dtype == b.dtype and memcmp(a.shape, b.shape, 8 * a.ndim) == 0


cdef bint overlap(NDArrayBase a, NDArrayBase b) noexcept:
    """Do the two arrays share bytes?"""
    cdef char* x = <char*>a.t.data
    cdef char* y = <char*>b.t.data
    return (x < y + b.t.size * ITEMSIZE[b.t.dtype] and y < x + a.t.size * ITEMSIZE[a.t.dtype]
            and a.t.size > 0 and b.t.size > 0)


cdef NDArrayBase view_of(NDArrayBase x, int64_t start, int ndim):
    """An array over `x`'s memory from element `start` on; its shape is left to the caller."""
    cdef NDArrayBase a = make()
    a.t.data = <char*>x.t.data + start * ITEMSIZE[x.t.dtype]
    a.t.ndim, a.t.dtype = ndim, x.t.dtype
    a.storage, a.context = x.storage, x.context
    return a


cdef NDArrayBase rows_of(NDArrayBase x, int64_t first, int64_t n):
    """``x[first:first + n]``, which is inside `x`."""
    cdef int64_t row = x.t.size // x.t.shape[0] if x.t.shape[0] else 0
    cdef NDArrayBase a = view_of(x, first * row if n else 0, x.t.ndim)
    cdef int i
    for i in range(1, x.t.ndim):
        a.t.shape[i] = x.t.shape[i]
    a.t.shape[0], a.t.size = n, n * row
    return a


cdef NDArrayBase row_of(NDArrayBase x, int64_t at):
    """``x[at]``; a single element has shape (1,), as in MXNet."""
    cdef int64_t row = x.t.size // x.t.shape[0]
    cdef NDArrayBase a = view_of(x, at * row, x.t.ndim - 1 if x.t.ndim > 1 else 1)
    cdef int i
    a.t.shape[0] = 1
    for i in range(1, x.t.ndim):
        a.t.shape[i - 1] = x.t.shape[i]
    a.t.size = row
    return a


cdef int fill_shape(int64_t* out, shape) except -1:
    cdef int i = 0
    if len(shape) > MXL_MAXDIM:
        raise MXNetError(f"an array has at most {MXL_MAXDIM} axes, shape {tuple(shape)} has {len(shape)}")
    for d in shape:
        d = index(d)
        if d < 0:
            raise MXNetError(f"shape {tuple(shape)} has a negative dimension")
        if d > (<int64_t>1 << 58):
            raise MemoryError(f"shape {tuple(shape)} overflows 64 bits")
        out[i] = d
        i += 1
    return i


cpdef NDArrayBase empty(shape, dtype, context):
    """An uninitialised array of `shape` (a sequence of ints), dtype name `dtype`, on `context`."""
    cdef int64_t dims[8]
    cdef int n = fill_shape(dims, shape)
    return new_array(n, dims, FLAG[dtype], CPU if context is None else context)


cdef NDArrayBase array_at(void* data, Storage storage, tuple shape, int dtype, object context):
    """An array over memory inside `storage`."""
    cdef NDArrayBase a
    cdef int i
    if len(shape) > MXL_MAXDIM:
        raise MXNetError(f"an array has at most {MXL_MAXDIM} axes, shape {shape} has {len(shape)}")
    a = make()
    a.t.ndim, a.t.dtype, a.t.size = len(shape), dtype, 1
    for i in range(a.t.ndim):
        a.t.shape[i] = shape[i]
        if a.t.shape[i] < 0:
            raise MXNetError(f"shape {shape} has a negative dimension")
        if a.t.shape[i] and a.t.size > (<int64_t>1 << 58) // a.t.shape[i]:
            raise MXNetError(f"the size of shape {shape} overflows 64 bits")
        a.t.size *= a.t.shape[i]
    a.t.data, a.storage, a.context = data, storage, context
    return a


cdef NDArrayBase twin(NDArrayBase a):
    """Another array object over the same memory, which no graph knows."""
    cdef NDArrayBase b = make()
    b.t, b.storage, b.context = a.t, a.storage, a.context
    return b


def from_numpy_shared(x, context=None):
    """An array over the memory of the C-contiguous NumPy array `x`, zero-copy; `x` is kept alive."""
    cdef size_t address = x.ctypes.data
    return array_at(<void*>address, foreign_storage(<void*>address, x.nbytes, x), x.shape,
                    FLAG[_dtypes.name_of(x.dtype)], CPU if context is None else context)


cdef Storage NOTHING = new_storage(0)


cdef inline object binary(int kind, x, y):
    """``x op y``, of which at least one is an array."""
    if isinstance(x, NDArrayBase):
        return apply_operator(kind, FORWARD, <NDArrayBase>x, y)
    return apply_operator(kind, REFLECTED, <NDArrayBase>y, x)


@cython.c_api_binop_methods(True)       # the bare slots: a subclass in Python inherits them as they are
cdef class NDArrayBase:
    def __cinit__(self):
        # An array that nobody filled in (a subclass that does not call our functions) is empty, not a null pointer.
        self.storage, self.context = NOTHING, CPU
        self.t.ndim = 1

    cdef inline int64_t nbytes(self) noexcept:
        return self.t.size * ITEMSIZE[self.t.dtype]

    @property
    def shape(self):
        """The array's shape, a tuple of ints."""
        cdef int i
        cdef tuple out = PyTuple_New(self.t.ndim)
        cdef object d
        for i in range(self.t.ndim):
            d = self.t.shape[i]
            Py_INCREF(d)
            PyTuple_SET_ITEM(out, i, d)
        return out

    @property
    def ndim(self):
        """Number of axes."""
        return self.t.ndim

    @property
    def size(self):
        """Number of elements."""
        return self.t.size

    @property
    def dtype_name(self):
        """The dtype as a name, ``'float32'``."""
        return NAME[self.t.dtype]

    @property
    def address(self):
        """Where the data lies, as an int."""
        return <size_t>self.t.data

    def numpy_view(self):
        """A NumPy array over this array's own memory (bfloat16 as uint16). Writing to it writes here; call
        ``touched`` afterwards. MXNetError for an array on a GPU, whose memory the host cannot reach."""
        if device_of(self) is not None:
            raise MXNetError(f"the array of shape {self.shape} is on {self.context}, and NumPy cannot share its "
                             f"memory: x.asnumpy() is a copy, x.as_in_context(mx.cpu()) another array")
        return numpy_at(self.t.data, self.shape, NAME[self.t.dtype], self.storage)

    def host_view(self):
        """A NumPy array to read (bfloat16 as uint16): over this array's own memory on the host, a copy of what is on a
        GPU, which is waited for."""
        here = device_of(self)
        if here is None:
            return self.numpy_view()
        out = np.empty(self.shape, NUMPY[NAME[self.t.dtype]])
        here.download(<size_t>out.ctypes.data, <size_t>self.t.data, self.nbytes())
        return out

    def set_from_host(self, values):
        """Overwrite this array with a NumPy array of its shape and dtype (bfloat16 as uint16)."""
        here = device_of(self)
        if here is None:
            np.copyto(self.numpy_view(), values, casting="no")
        else:
            values = np.asarray(values, order="C")
            if values.shape != self.shape or values.dtype != NUMPY[NAME[self.t.dtype]]:
                raise MXNetError(f"an array of shape {self.shape} {self.dtype_name} cannot take NumPy's of "
                                 f"{values.shape} {values.dtype}")
            here.upload(<size_t>self.t.data, <size_t>values.ctypes.data, self.nbytes())
        self.storage.version += 1

    def _enlarge(self, int64_t nbytes):
        """Give this array, which nobody has written yet, memory of at least `nbytes` bytes under the same shape."""
        if nbytes > self.storage.nbytes:
            self.storage = storage_on(nbytes, self.context)
            self.storage.spare = True
            self.t.data = self.storage.data

    @property
    def _room(self):
        """Bytes of memory that this array's maker may use: its own, or those that `_enlarge` gave it."""
        return self.storage.nbytes if self.storage.spare else self.nbytes()

    def touched(self):
        """Say that the memory was written from outside the operators."""
        self.storage.version += 1

    def copy_from(self, NDArrayBase other not None):
        """Overwrite this array with `other`'s elements: equal shape, dtype converted where it differs."""
        if self.shape != other.shape:
            raise MXNetError(f"cannot copy an array of shape {other.shape} into one of shape {self.shape}")
        here, there = device_of(self), device_of(other)
        if here is not None or there is not None:
            self._copy_between(other, here, there)
        elif self.t.dtype == other.t.dtype:
            memcpy(self.t.data, other.t.data, self.nbytes())
        else:
            from .convert import convert
            convert(other.numpy_view(), other.dtype_name, self.numpy_view(), self.dtype_name)
        self.storage.version += 1

    cdef int _copy_between(self, NDArrayBase other, here, there) except -1:
        """`copy_from` where `here`, the device of this array, or `there`, the other's, is not None."""
        if self.t.dtype != other.t.dtype:       # converted where it lies, then moved
            other = other.astype(self.dtype_name)
        if there is None:
            here.upload(<size_t>self.t.data, <size_t>other.t.data, self.nbytes(),
                        other.context.device_type == "cpu_pinned")
        elif here is None:
            there.download(<size_t>self.t.data, <size_t>other.t.data, self.nbytes(),
                           self.context.device_type == "cpu_pinned")
        else:
            here.copy_from(there, <size_t>self.t.data, <size_t>other.t.data, self.nbytes())
        return 0

    def part(self, int64_t start, tuple shape):
        """An array over `shape` elements of this one's memory from element `start` on, contiguous; no copy."""
        cdef NDArrayBase a
        if start < 0 or start > self.t.size:
            raise IndexError(f"element {start} is outside an array of {self.t.size}")
        a = array_at(<char*>self.t.data + start * ITEMSIZE[self.t.dtype], self.storage, shape, self.t.dtype,
                     self.context)
        if start + a.t.size > self.t.size:
            raise IndexError(f"elements {start} to {start + a.t.size} are outside an array of {self.t.size}")
        return a

    def fill_zero(self):
        """Set all bytes to zero."""
        here = device_of(self)
        if here is None:
            memset(self.t.data, 0, self.nbytes())
        else:
            here.fill(<size_t>self.t.data, 0, self.nbytes())
        self.storage.version += 1

    def overlaps(self, NDArrayBase other not None):
        """True where the two arrays share bytes."""
        return overlap(self, other)

    def _reshaped(self, tuple shape):
        """This memory under another `shape`, as ``x.reshape(*shape)``; None for what is not plain: codes other than one
        -1, another size, an array that is recorded."""
        cdef NDArrayBase a
        cdef int64_t dims[MXL_MAXDIM]
        cdef int64_t size = 1
        cdef int i, left = -1, n
        if self._entry is not None:
            return None
        if len(shape) == 1 and type(shape[0]) is tuple:
            shape = <tuple>shape[0]
        n = len(shape)
        if n == 0 or n > MXL_MAXDIM or self.t.size == 0:
            return None
        for i in range(n):
            d = shape[i]
            if type(d) is not int or d > self.t.size:
                return None
            dims[i] = d
            if dims[i] > 0:
                if size > self.t.size // dims[i]:
                    return None
                size *= dims[i]
            elif dims[i] == -1 and left < 0:
                left = i
            else:
                return None
        if left >= 0:
            dims[left] = self.t.size // size
            size *= dims[left]
        if size != self.t.size:
            return None
        a = view_of(self, 0, n)
        for i in range(n):
            a.t.shape[i] = dims[i]
        a.t.size = size
        return a

    # What is not the plainest of cases is index_get's and apply_operator's: this module knows no operators.

    def __getitem__(self, key):
        cdef Py_ssize_t first, last, step, n
        cdef int overflow = 0
        if self._entry is None and self.t.ndim:
            if type(key) is int:
                first = PyLong_AsLongLongAndOverflow(key, &overflow)
                if not overflow and -self.t.shape[0] <= first < self.t.shape[0]:
                    return row_of(self, first if first >= 0 else first + self.t.shape[0])
            if type(key) is slice:
                PySlice_Unpack(key, &first, &last, &step)
                if step == 1:
                    n = PySlice_AdjustIndices(self.t.shape[0], &first, &last, step)
                    return rows_of(self, first, n)
        return index_get(self, key)

    def __add__(x, y):
        return binary(ADD, x, y)

    def __iadd__(self, other):
        out = apply_operator(ADD, INPLACE, self, other)
        # Python takes the slot behind this for a sequence's, too, and does not look at what that gives.
        return self + other if out is NotImplemented else out

    def __sub__(x, y):
        return binary(SUB, x, y)

    def __isub__(self, other):
        return apply_operator(SUB, INPLACE, self, other)

    def __mul__(x, y):
        return binary(MUL, x, y)

    def __imul__(self, other):
        return apply_operator(MUL, INPLACE, self, other)

    def __truediv__(x, y):
        return binary(TRUEDIV, x, y)

    def __itruediv__(self, other):
        return apply_operator(TRUEDIV, INPLACE, self, other)

    def __mod__(x, y):
        return binary(MOD, x, y)

    def __imod__(self, other):
        return apply_operator(MOD, INPLACE, self, other)

    def __pow__(x, y, modulo):
        return NotImplemented if modulo is not None else binary(POW, x, y)

    def __richcmp__(self, other, int code):
        return apply_operator(LESS + code, FORWARD, self, other)

    def __hash__(self):
        return <Py_hash_t>(<size_t><void*>self >> 4)


mxl_wrap_slots(NDArrayBase)


def view_at(size_t address, tuple shape, str dtype, NDArrayBase owner):
    """A NumPy array over memory of `owner`, which it keeps alive: a reference may keep what it is given."""
    return numpy_at(<void*>address, shape, dtype, None if owner is None else owner.storage)
