# cython: language_level=3
"""Kernels that look rows or elements up by index, and their gradients. The work is in index_run.h."""
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from mxlite._core.abi cimport *
from mxlite._core.cpu import runtime_capsule

cdef extern from "index_run.h":
    ctypedef struct row_args:
        int64_t outer, inner, count, mode, m
        int64_t[8] dims
    ctypedef struct one_hot_args:
        int64_t depth
        double on, off
    enum:
        ROW_SET
        ROW_ADD
    int row_gather(mxl_runtime* rt, mxl_call* c, const mxl_tensor* data, const mxl_tensor* index) nogil
    int row_scatter(mxl_runtime* rt, mxl_call* c, int kind) nogil
    int row_pick(mxl_runtime* rt, mxl_call* c, int backward) nogil
    int row_one_hot(mxl_runtime* rt, mxl_call* c) nogil

cdef mxl_runtime* rt = <mxl_runtime*>PyCapsule_GetPointer(runtime_capsule, "mxl_runtime")
abi = (MXL_ABI, sizeof(mxl_call))


cdef int take(mxl_call* c) noexcept nogil:
    return row_gather(rt, c, c.inp, c.inp + 1)


cdef int embedding(mxl_call* c) noexcept nogil:
    return row_gather(rt, c, c.inp + 1, c.inp)


cdef int scatter(mxl_call* c) noexcept nogil:
    return row_scatter(rt, c, ROW_SET)


cdef int scatter_add(mxl_call* c) noexcept nogil:
    return row_scatter(rt, c, ROW_ADD)


cdef int pick(mxl_call* c) noexcept nogil:
    return row_pick(rt, c, 0)


cdef int pick_backward(mxl_call* c) noexcept nogil:
    return row_pick(rt, c, 1)


cdef int one_hot(mxl_call* c) noexcept nogil:
    return row_one_hot(rt, c)


def _pack_rows(dict d):
    if d.keys() != {"outer", "inner", "count", "mode", "m", "dims"}:
        raise KeyError(f"kernel arguments {sorted(d)} do not fit")
    cdef row_args a = d
    return (<char*>&a)[:sizeof(row_args)]


def _pack_one_hot(dict d):
    if d.keys() != {"depth", "on", "off"}:
        raise KeyError(f"kernel arguments {sorted(d)} do not fit")
    cdef one_hot_args a = d
    return (<char*>&a)[:sizeof(one_hot_args)]


cdef _kernel(mxl_kernel fn):
    return PyCapsule_New(<void*>fn, "int (mxl_call *)", NULL)


kernels = {"take": _kernel(take), "embedding": _kernel(embedding), "scatter": _kernel(scatter),
           "scatter_add": _kernel(scatter_add), "pick": _kernel(pick), "pick_backward": _kernel(pick_backward),
           "one_hot": _kernel(one_hot)}
packers = {k: _pack_rows for k in kernels}
packers["one_hot"] = _pack_one_hot
