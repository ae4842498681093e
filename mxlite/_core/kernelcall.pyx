# cython: language_level=3
"""Calls one C kernel on buffers, without graph or arrays: for kernel tests, benchmarks and the address sanitizer."""
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdlib cimport free
from libc.string cimport memset
from mxlite._core.abi cimport *

cdef extern from "stdlib.h":
    int posix_memalign(void** p, size_t alignment, size_t size) nogil

cdef enum:
    MOST = 64
cdef dict FLAGS = {"float32": MXL_F32, "float64": MXL_F64, "float16": MXL_F16, "uint8": MXL_U8, "int32": MXL_I32,
                   "int8": MXL_I8, "int64": MXL_I64, "bool": MXL_BOOL, "bfloat16": MXL_BF16}


def call(capsule, list inputs, list outputs, bytes args=b"", scalars=(), int64_t work=0, uint64_t seed=0,
         uint64_t step=0, uint32_t rng_id=0, bint is_train=False, int threads=1):
    """Run `capsule` on C-contiguous NumPy arrays; outputs (and auxiliary inputs) are written in place.

    An output of None stands for one that nobody reads: the kernel gets a NULL pointer. Returns the kernel's code, 0
    for success. Arrays of dtype bfloat16 travel as a tuple ``(uint16 array, "bfloat16")``.
    """
    cdef mxl_kernel fn = <mxl_kernel>PyCapsule_GetPointer(capsule, "int (mxl_call *)")
    cdef mxl_tensor tensors[MOST]
    cdef Py_buffer views[MOST]
    cdef bint held[MOST]
    cdef double values[16]
    cdef mxl_call c
    cdef mxl_rng rng
    cdef void* scratch = NULL
    cdef int i, j, taken = 0, rc
    cdef int n = len(inputs) + len(outputs)
    if n > MOST:
        raise ValueError("too many tensors")
    memset(&c, 0, sizeof(c))
    memset(tensors, 0, sizeof(tensors))
    try:
        for i, a in enumerate(inputs + outputs):
            held[i] = False
            taken += 1
            if a is None:
                continue
            name = None
            if isinstance(a, tuple):
                a, name = a
            PyObject_GetBuffer(a, &views[i], PyBUF_C_CONTIGUOUS | (PyBUF_WRITABLE if i >= len(inputs) else 0))
            held[i] = True
            tensors[i].data = views[i].buf
            tensors[i].dtype = FLAGS[name or a.dtype.name]
            tensors[i].ndim = a.ndim
            tensors[i].size = a.size
            for j in range(a.ndim):
                tensors[i].shape[j] = a.shape[j]
        for i, v in enumerate(scalars):
            values[i] = v
        if work and posix_memalign(&scratch, 64, work):
            raise MemoryError
        rng.seed, rng.step = seed, step
        c.inp = tensors
        c.out = tensors + len(inputs)
        c.n_in, c.n_out = len(inputs), len(outputs)
        c.args = <const char*>args
        c.scalars = values
        c.work = scratch
        c.rng = &rng
        c.rng_id, c.is_train, c.threads = rng_id, is_train, threads
        with nogil:
            rc = fn(&c)
        return rc
    finally:
        free(scratch)
        for i in range(taken):
            if held[i]:
                PyBuffer_Release(&views[i])
