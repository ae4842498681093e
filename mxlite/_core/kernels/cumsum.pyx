# cython: language_level=3
"""Running sums. The work is in cumsum_run.h."""
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from mxlite._core.abi cimport *
from mxlite._core.cpu import runtime_capsule

cdef extern from "cumsum_run.h":
    ctypedef struct cumsum_args:
        int64_t outer, n, inner, reverse
    int cumsum_any(mxl_runtime* rt, mxl_call* c) nogil

cdef mxl_runtime* rt = <mxl_runtime*>PyCapsule_GetPointer(runtime_capsule, "mxl_runtime")
abi = (MXL_ABI, sizeof(mxl_call))


cdef int cumsum(mxl_call* c) noexcept nogil:
    return cumsum_any(rt, c)


def _pack(dict d):
    if d.keys() != {"outer", "n", "inner", "reverse"}:
        raise KeyError(f"kernel arguments {sorted(d)} do not fit")
    cdef cumsum_args a = d
    return (<char*>&a)[:sizeof(cumsum_args)]


kernels = {"cumsum": PyCapsule_New(<void*><mxl_kernel>cumsum, "int (mxl_call *)", NULL)}
packers = {"cumsum": _pack}
