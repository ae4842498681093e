# cython: language_level=3
"""Kernels without inputs: constants, ranges, the identity. The work is in init_run.h."""
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from mxlite._core.abi cimport *
from mxlite._core.cpu import runtime_capsule
from mxlite._core.kernels import check_keys

cdef extern from "init_run.h":
    ctypedef struct fill_args:
        double value
    ctypedef struct arange_args:
        double start, step
        int64_t repeat
    ctypedef struct linspace_args:
        double start, stop, step
        int64_t endpoint
    ctypedef struct eye_args:
        int64_t k
    int init_fill(mxl_runtime* rt, mxl_call* c) nogil
    int init_arange(mxl_runtime* rt, mxl_call* c) nogil
    int init_linspace(mxl_runtime* rt, mxl_call* c) nogil
    int init_eye(mxl_runtime* rt, mxl_call* c) nogil

cdef mxl_runtime* rt = <mxl_runtime*>PyCapsule_GetPointer(runtime_capsule, "mxl_runtime")
abi = (MXL_ABI, sizeof(mxl_call))


cdef int fill(mxl_call* c) noexcept nogil:
    return init_fill(rt, c)


cdef int arange(mxl_call* c) noexcept nogil:
    return init_arange(rt, c)


cdef int linspace(mxl_call* c) noexcept nogil:
    return init_linspace(rt, c)


cdef int eye(mxl_call* c) noexcept nogil:
    return init_eye(rt, c)


def _pack_fill(dict d):
    check_keys(d, "value")
    cdef fill_args a
    a.value = d["value"]
    return (<char*>&a)[:sizeof(fill_args)]


def _pack_arange(dict d):
    check_keys(d, "start", "step", "repeat")
    cdef arange_args a = d
    return (<char*>&a)[:sizeof(arange_args)]


def _pack_linspace(dict d):
    check_keys(d, "start", "stop", "step", "endpoint")
    cdef linspace_args a = d
    return (<char*>&a)[:sizeof(linspace_args)]


def _pack_eye(dict d):
    check_keys(d, "k")
    cdef eye_args a
    a.k = d["k"]
    return (<char*>&a)[:sizeof(eye_args)]


cdef _kernel(mxl_kernel fn):
    return PyCapsule_New(<void*>fn, "int (mxl_call *)", NULL)


kernels = {"fill": _kernel(fill), "arange": _kernel(arange), "linspace": _kernel(linspace), "eye": _kernel(eye)}
packers = {"fill": _pack_fill, "arange": _pack_arange, "linspace": _pack_linspace, "eye": _pack_eye}
