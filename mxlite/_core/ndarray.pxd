from libc.stdint cimport int64_t
from mxlite._core.abi cimport mxl_tensor
from mxlite._core.storage cimport Storage

cdef class NDArrayBase:
    """A contiguous array: a tensor descriptor, the storage that it lies in, and its device."""
    cdef mxl_tensor t
    cdef readonly Storage storage
    cdef readonly object context
    cdef readonly object _entry            # (tape node, output index) that made the array while recording, or None
    cdef object __weakref__
    cdef inline int64_t nbytes(self) noexcept
    cdef int _copy_between(self, NDArrayBase other, here, there) except -1

cdef class Buffer:
    """Memory as Python's buffer protocol shows it."""
    cdef void* data
    cdef Py_ssize_t n
    cdef object keep

ctypedef object (*operator_function)(int kind, int way, NDArrayBase x, object other)

cdef enum:              # the operators of arrays; 6 + Python's code is a comparison
    ADD, SUB, MUL, TRUEDIV, MOD, POW, LESS

cdef enum:              # x op other, other op x, x op= other
    FORWARD, REFLECTED, INPLACE

cdef operator_function apply_operator
cdef int64_t ITEMSIZE[16]
cdef bint same_kind(const mxl_tensor* a, const mxl_tensor* b) noexcept
cdef bint overlap(NDArrayBase a, NDArrayBase b) noexcept
cdef NDArrayBase array_like(const mxl_tensor* like, object context)
cdef NDArrayBase new_array(int ndim, const int64_t* shape, int dtype, object context)
cdef NDArrayBase array_at(void* data, Storage storage, tuple shape, int dtype, object context)
cdef NDArrayBase twin(NDArrayBase a)
cdef object numpy_at(void* data, tuple shape, object dtype_name, object keep)
cpdef NDArrayBase empty(shape, dtype, context)
