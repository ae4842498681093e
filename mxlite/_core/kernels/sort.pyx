# cython: language_level=3
"""Sorting along an axis: topk, sort and argsort are one kernel that writes what is asked for (see sort_run.h)."""
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from mxlite._core.abi cimport *
from mxlite._core.cpu import runtime_capsule

cdef extern from "sort_run.h":
    ctypedef struct sort_args:
        int64_t outer, n, inner, k, ascend, value, index, mask
    int sort_any(mxl_runtime* rt, mxl_call* c) nogil

cdef mxl_runtime* rt = <mxl_runtime*>PyCapsule_GetPointer(runtime_capsule, "mxl_runtime")
abi = (MXL_ABI, sizeof(mxl_call))


cdef int sort(mxl_call* c) noexcept nogil:
    return sort_any(rt, c)


def _pack_sort(dict d):
    if d.keys() != {"outer", "n", "inner", "k", "ascend", "value", "index", "mask"}:
        raise KeyError(f"kernel arguments {sorted(d)} do not fit")
    cdef sort_args a = d
    return (<char*>&a)[:sizeof(sort_args)]


kernels = {"sort": PyCapsule_New(<void*><mxl_kernel>sort, "int (mxl_call *)", NULL)}
packers = {"sort": _pack_sort}
