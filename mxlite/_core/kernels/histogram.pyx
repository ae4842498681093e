# cython: language_level=3
"""Counts by bins. The work is in histogram_run.h."""
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from mxlite._core.abi cimport *
from mxlite._core.cpu import runtime_capsule

cdef extern from "histogram_run.h":
    ctypedef struct histogram_args:
        int64_t given
        double low, high
    int histogram_any(mxl_runtime* rt, mxl_call* c) nogil

cdef mxl_runtime* rt = <mxl_runtime*>PyCapsule_GetPointer(runtime_capsule, "mxl_runtime")
abi = (MXL_ABI, sizeof(mxl_call))


cdef int histogram(mxl_call* c) noexcept nogil:
    return histogram_any(rt, c)


def _pack(dict d):
    if d.keys() != {"given", "low", "high"}:
        raise KeyError(f"kernel arguments {sorted(d)} do not fit")
    cdef histogram_args a = d
    return (<char*>&a)[:sizeof(histogram_args)]


kernels = {"histogram": PyCapsule_New(<void*><mxl_kernel>histogram, "int (mxl_call *)", NULL)}
packers = {"histogram": _pack}
