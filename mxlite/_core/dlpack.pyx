# cython: language_level=3
"""DLPack: arrays lent to and borrowed from other libraries, no copy (https://dmlc.github.io/dlpack/latest/).

An exported capsule owns a reference to the array's storage, given back by the deleter when whoever took the tensor is
done with it, or by the capsule itself where nobody took it. An imported tensor is a storage whose owner calls the
lender's deleter. A capsule is taken once: taking it changes its name.
"""
import sys
from cpython.pycapsule cimport (PyCapsule_GetName, PyCapsule_GetPointer, PyCapsule_IsValid, PyCapsule_New,
                                PyCapsule_SetName)
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport strcmp
from mxlite._core.abi cimport *
from mxlite._core.ndarray cimport ITEMSIZE, NDArrayBase, array_at
from mxlite._core.storage cimport Storage, foreign_storage
from . import dtypes as _dtypes
from .context import CPU as _CPU, Context, check_usable, gpu_backend
from .errors import MXNetError

cdef extern from *:
    """
    #include <stdint.h>
    typedef struct { int32_t device_type, device_id; } mxl_dl_device;
    typedef struct { uint8_t code, bits; uint16_t lanes; } mxl_dl_dtype;
    typedef struct {
        void *data; mxl_dl_device device; int32_t ndim; mxl_dl_dtype dtype; int64_t *shape, *strides;
        uint64_t byte_offset;
    } mxl_dl_tensor;
    typedef struct mxl_dl_managed {
        mxl_dl_tensor t; void *context; void (*deleter)(struct mxl_dl_managed *);
    } mxl_dl_managed;
    typedef struct mxl_dl_versioned {
        uint32_t major, minor; void *context; void (*deleter)(struct mxl_dl_versioned *); uint64_t flags;
        mxl_dl_tensor t;
    } mxl_dl_versioned;
    """
    int Py_IsInitialized() nogil
    ctypedef struct mxl_dl_device:
        int32_t device_type, device_id
    ctypedef struct mxl_dl_dtype:
        uint8_t code, bits
        uint16_t lanes
    ctypedef struct mxl_dl_tensor:
        void* data
        mxl_dl_device device
        int32_t ndim
        mxl_dl_dtype dtype
        int64_t* shape
        int64_t* strides
        uint64_t byte_offset
    ctypedef struct mxl_dl_managed:
        mxl_dl_tensor t
        void* context
        void (*deleter)(mxl_dl_managed*) noexcept
    ctypedef struct mxl_dl_versioned:
        uint32_t major, minor
        void* context
        void (*deleter)(mxl_dl_versioned*) noexcept
        uint64_t flags
        mxl_dl_tensor t

cdef enum:
    ON_CPU = 1
    ON_CUDA = 2
    ON_PINNED = 3               # host memory that a GPU can reach
    DEFAULT_STREAM = 1          # CUDA's, by its number
    READ_ONLY = 1
    IS_COPIED = 2
cdef const char* PLAIN = "dltensor"
cdef const char* VERSIONED = "dltensor_versioned"
cdef const char* USED_PLAIN = "used_dltensor"
cdef const char* USED_VERSIONED = "used_dltensor_versioned"

# dtype name -> (code, bits); codes: 0 int, 1 unsigned, 2 float, 4 bfloat, 6 bool
CODES = {"float32": (2, 32), "float64": (2, 64), "float16": (2, 16), "bfloat16": (4, 16), "uint8": (1, 8),
         "int8": (0, 8), "int32": (0, 32), "int64": (0, 64), "bool": (6, 8)}
NAMES = {code: name for name, code in CODES.items()}

ctypedef struct Lent:
    # What an export allocates: the tensor in both layouts (one is used), and what its pointers point to.
    mxl_dl_managed plain
    mxl_dl_versioned versioned
    int64_t dims[16]
    PyObject* storage
    int gpu                     # which one the memory is on, -1 for the host


cdef void put_in_order(int gpu, bint lent) noexcept:
    """Memory of a GPU goes back to its owner, who may write it at once: the owner's stream waits for that of whoever
    had it. Nobody says which one that was of `lent` memory, nor where borrowed memory is used next: it is taken to be
    CUDA's default stream, as in PyTorch and CuPy."""
    try:
        if not sys.is_finalizing():
            device = gpu_backend().get_device(gpu)
            if lent:
                device.after_number(DEFAULT_STREAM)
            else:
                device.before_number(DEFAULT_STREAM)
    except MXNetError:          # in a forked child the device is not used, so there is no order to keep
        pass


cdef void give_back(Lent* lent) noexcept with gil:
    if lent.gpu >= 0:
        put_in_order(lent.gpu, True)
    Py_DECREF(<object>lent.storage)
    free(lent)


# Called by whoever took a tensor, on any thread; without an interpreter there is nothing left to give back to.
cdef void delete_plain(mxl_dl_managed* m) noexcept nogil:
    if Py_IsInitialized():
        give_back(<Lent*>m.context)


cdef void delete_versioned(mxl_dl_versioned* m) noexcept nogil:
    if Py_IsInitialized():
        give_back(<Lent*>m.context)


cdef void drop_capsule(object capsule) noexcept:
    """A capsule that nobody took: its name is still what it was made with."""
    cdef Lent* lent
    if PyCapsule_IsValid(capsule, PLAIN):
        lent = <Lent*>(<mxl_dl_managed*>PyCapsule_GetPointer(capsule, PLAIN)).context
    elif PyCapsule_IsValid(capsule, VERSIONED):
        lent = <Lent*>(<mxl_dl_versioned*>PyCapsule_GetPointer(capsule, VERSIONED)).context
    else:
        return
    lent.gpu = -1               # and so nobody else had the memory
    give_back(lent)


def export(NDArrayBase a, bint versioned=False, bint copied=False):
    """A DLPack capsule over the array's memory, which from now on others may write."""
    cdef Lent* lent = <Lent*>malloc(sizeof(Lent))
    cdef mxl_dl_tensor* t
    cdef int64_t stride = 1
    cdef int i
    if lent == NULL:
        raise MemoryError("no memory for a DLPack capsule")
    t = &lent.versioned.t if versioned else &lent.plain.t
    t.data, t.ndim, t.byte_offset = a.t.data, a.t.ndim, 0
    t.device.device_type, t.device.device_id, lent.gpu = ON_CPU, 0, -1
    if a.context.device_typeid == 2:
        t.device.device_type, t.device.device_id, lent.gpu = ON_CUDA, a.context.device_id, a.context.device_id
    code, bits = CODES[a.dtype_name]
    t.dtype.code, t.dtype.bits, t.dtype.lanes = code, bits, 1
    t.shape, t.strides = lent.dims, lent.dims + 8
    for i in range(a.t.ndim - 1, -1, -1):
        t.shape[i], t.strides[i] = a.t.shape[i], stride
        stride *= a.t.shape[i]
    lent.storage = <PyObject*>a.storage
    lent.plain.context = lent.versioned.context = lent
    lent.plain.deleter, lent.versioned.deleter = delete_plain, delete_versioned
    lent.versioned.major, lent.versioned.minor = 1, 0
    lent.versioned.flags = IS_COPIED if copied else 0
    Py_INCREF(a.storage)
    try:
        capsule = PyCapsule_New(<void*>&lent.versioned if versioned else <void*>&lent.plain,
                                VERSIONED if versioned else PLAIN, drop_capsule)
    except BaseException:
        give_back(lent)
        raise
    a.storage.exported = True
    return capsule


cdef class Borrowed:
    """Owner of a tensor that another library lent; says when it is no longer needed."""
    cdef mxl_dl_managed* plain
    cdef mxl_dl_versioned* versioned
    cdef int gpu                # which one plus 1, 0 for the host

    def __dealloc__(self):
        if self.gpu and (self.plain != NULL or self.versioned != NULL):
            put_in_order(self.gpu - 1, False)
        if self.plain != NULL and self.plain.deleter != NULL:
            self.plain.deleter(self.plain)
        if self.versioned != NULL and self.versioned.deleter != NULL:
            self.versioned.deleter(self.versioned)


def take(capsule):
    """An array over the memory of a DLPack capsule, which is used up.

    TypeError for what is no capsule, ValueError for a capsule that was taken before, for a read-only tensor and for
    one with gaps between its elements, MXNetError for another device, dtype or number of axes.
    """
    cdef mxl_dl_tensor* t
    cdef mxl_dl_managed* plain = NULL
    cdef mxl_dl_versioned* versioned = NULL
    cdef Borrowed owner
    cdef Storage storage
    cdef const char* name
    cdef int64_t size = 1
    cdef int i
    cdef char* data
    if type(capsule).__name__ != "PyCapsule":
        raise TypeError(f"from_dlpack takes an object with __dlpack__, or a DLPack capsule, got "
                        f"{type(capsule).__name__}")
    if PyCapsule_IsValid(capsule, VERSIONED):
        versioned = <mxl_dl_versioned*>PyCapsule_GetPointer(capsule, VERSIONED)
        if versioned.major > 1:
            raise MXNetError(f"the tensor is of DLPack version {versioned.major}.{versioned.minor}; 1.x is understood")
        t = &versioned.t
    elif PyCapsule_IsValid(capsule, PLAIN):
        plain = <mxl_dl_managed*>PyCapsule_GetPointer(capsule, PLAIN)
        t = &plain.t
    else:
        name = PyCapsule_GetName(capsule)
        if name != NULL and (strcmp(name, USED_PLAIN) == 0 or strcmp(name, USED_VERSIONED) == 0):
            raise ValueError("this DLPack capsule was taken before; a capsule can be taken once")
        raise TypeError(f"a capsule named {None if name == NULL else name.decode()!r} is no DLPack tensor")
    context, device = _CPU, None
    if t.device.device_type == ON_CUDA:
        context = check_usable(Context("gpu", t.device.device_id))
        device = gpu_backend().get_device(t.device.device_id)
    elif t.device.device_type != ON_CPU and t.device.device_type != ON_PINNED:
        raise MXNetError(f"the tensor is on DLPack device type {t.device.device_type}, neither on the CPU (1) nor on a "
                         f"GPU of CUDA (2): copy it there first")
    kind = NAMES.get((t.dtype.code, t.dtype.bits)) if t.dtype.lanes == 1 else None
    if kind is None:
        raise MXNetError(f"a tensor of DLPack type code {t.dtype.code} with {t.dtype.bits} bits and {t.dtype.lanes} "
                         f"lanes is not supported; the dtypes are {', '.join(CODES)}")
    if not 0 <= t.ndim <= MXL_MAXDIM:
        raise MXNetError(f"an array has at most {MXL_MAXDIM} axes, the tensor has {t.ndim}")
    shape = tuple([t.shape[i] for i in range(t.ndim)])
    if versioned != NULL and versioned.flags & READ_ONLY:
        raise ValueError(f"the tensor of shape {shape} is read-only; copy it first")
    for i in range(t.ndim - 1, -1, -1):
        if t.shape[i] < 0:
            raise MXNetError(f"the tensor's shape {shape} has a negative dimension")
        if t.strides != NULL and t.shape[i] != 1 and t.strides[i] != size and 0 not in shape:
            raise ValueError(f"the tensor of shape {shape} is not contiguous in memory: its strides are "
                             f"{tuple([t.strides[j] for j in range(t.ndim)])}; make a contiguous copy first")
        if t.shape[i] and size > (<int64_t>1 << 58) // t.shape[i]:
            raise MXNetError(f"the size of the tensor of shape {shape} overflows 64 bits")
        size *= t.shape[i]
    data = <char*>t.data + t.byte_offset
    size *= ITEMSIZE[<int>_dtypes.FLAG[kind]]
    if size and data == NULL:
        raise ValueError(f"the tensor of shape {shape} has no memory")
    if <size_t>data % <size_t>ITEMSIZE[<int>_dtypes.FLAG[kind]]:
        raise ValueError("the tensor's elements are not aligned in memory; make a copy first")
    owner = Borrowed.__new__(Borrowed)
    storage = foreign_storage(data, size, owner)
    storage.device = device
    array = array_at(data, storage, shape, _dtypes.FLAG[kind], context)
    PyCapsule_SetName(capsule, USED_PLAIN if versioned == NULL else USED_VERSIONED)
    owner.plain, owner.versioned = plain, versioned
    owner.gpu = t.device.device_id + 1 if t.device.device_type == ON_CUDA else 0
    return array
