# cython: language_level=3
"""The array class's engine half: memory, shape, copies and views. What MXNet's users call stands in mxlite/ndarray."""
from operator import index

import numpy as np
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset
from mxlite._core.abi cimport *
from mxlite._core.storage cimport Storage, foreign_storage, new_storage
from . import dtypes as _dtypes
from .context import CPU as _CPU
from .errors import MXNetError

cdef extern from *:
    """
    /* Like cls(): but without looking up the class's call, which an array made a million times a second would feel. */
    static PyObject *mxl_new(PyObject *cls, PyObject *args)
    {
        return ((PyTypeObject *)cls)->tp_new((PyTypeObject *)cls, args, NULL);
    }
    """
    object mxl_new(object cls, object args)

cdef object CPU = _CPU
cdef dict FLAG = _dtypes.FLAG
cdef dict NAME = _dtypes.NAME
cdef dict NUMPY = _dtypes.NUMPY
cdef type array_class = None            # the face's subclass, which every new array is made of
cdef tuple NO_ARGS = ()

for _name, _flag in _dtypes.FLAG.items():
    ITEMSIZE[_flag] = _dtypes.ITEMSIZE[_name]


def set_array_class(cls):
    """New arrays are instances of `cls` (a subclass of NDArrayBase) from now on."""
    global array_class
    array_class = cls


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
    a.storage = new_storage(size * ITEMSIZE[dtype])
    a.t.data = a.storage.data
    a.context = context
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
        return tuple([self.t.shape[i] for i in range(self.t.ndim)])

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
        ``touched`` afterwards."""
        return numpy_at(self.t.data, self.shape, NAME[self.t.dtype], self.storage)

    def touched(self):
        """Say that the memory was written from outside the operators."""
        self.storage.version += 1

    def copy_from(self, NDArrayBase other not None):
        """Overwrite this array with `other`'s elements: equal shape, dtype converted where it differs."""
        if self.shape != other.shape:
            raise MXNetError(f"cannot copy an array of shape {other.shape} into one of shape {self.shape}")
        if self.t.dtype == other.t.dtype:
            memcpy(self.t.data, other.t.data, self.nbytes())
        else:
            from .convert import convert
            convert(other.numpy_view(), other.dtype_name, self.numpy_view(), self.dtype_name)
        self.storage.version += 1

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
        memset(self.t.data, 0, self.nbytes())
        self.storage.version += 1

    def overlaps(self, NDArrayBase other not None):
        """True where the two arrays share bytes."""
        cdef char* a = <char*>self.t.data
        cdef char* b = <char*>other.t.data
        return a < b + other.nbytes() and b < a + self.nbytes() and self.t.size > 0 and other.t.size > 0


def view_at(size_t address, tuple shape, str dtype, NDArrayBase owner):
    """A NumPy array over memory of `owner`, which it keeps alive: a reference may keep what it is given."""
    return numpy_at(<void*>address, shape, dtype, None if owner is None else owner.storage)
