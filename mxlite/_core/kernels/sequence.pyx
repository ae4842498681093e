# cython: language_level=3
"""Kernels of the Sequence operators. The work is in sequence_run.h."""
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from mxlite._core.abi cimport *
from mxlite._core.cpu import runtime_capsule

cdef extern from "sequence_run.h":
    ctypedef struct sequence_args:
        int64_t steps, batch, inner, batch_first, use
    int sequence_mask(mxl_runtime* rt, mxl_call* c) nogil
    int sequence_last(mxl_runtime* rt, mxl_call* c, int backward) nogil
    int sequence_reverse(mxl_runtime* rt, mxl_call* c) nogil

cdef mxl_runtime* rt = <mxl_runtime*>PyCapsule_GetPointer(runtime_capsule, "mxl_runtime")
abi = (MXL_ABI, sizeof(mxl_call))


cdef int mask(mxl_call* c) noexcept nogil:
    return sequence_mask(rt, c)


cdef int last(mxl_call* c) noexcept nogil:
    return sequence_last(rt, c, 0)


cdef int last_backward(mxl_call* c) noexcept nogil:
    return sequence_last(rt, c, 1)


cdef int reverse(mxl_call* c) noexcept nogil:
    return sequence_reverse(rt, c)


def _pack(dict d):
    if d.keys() != {"steps", "batch", "inner", "batch_first", "use"}:
        raise KeyError(f"kernel arguments {sorted(d)} do not fit")
    cdef sequence_args a = d
    return (<char*>&a)[:sizeof(sequence_args)]


cdef _kernel(mxl_kernel fn):
    return PyCapsule_New(<void*>fn, "int (mxl_call *)", NULL)


kernels = {"mask": _kernel(mask), "last": _kernel(last), "last_backward": _kernel(last_backward),
           "reverse": _kernel(reverse)}
packers = dict.fromkeys(kernels, _pack)
