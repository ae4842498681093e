# cython: language_level=3
"""Kernels of the layers that end a network with a declared gradient."""
import sys

from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.string cimport memmove
from mxlite._core.abi cimport *
from mxlite._core.cpu import runtime_capsule

cdef extern from "loss_table.h":
    """
    static const loss_table *pick_loss(const mxl_runtime *rt) { return MXL_PICK(rt, mxl_loss); }
    """
    ctypedef void (*mxl_range)(const mxl_call* c, int64_t begin, int64_t end) noexcept nogil
    ctypedef struct difference_args:
        double factor
    ctypedef struct make_loss_args:
        double grad_scale, valid_thresh
        int64_t valid
    ctypedef struct loss_table:
        mxl_range sigmoid[2]
        mxl_range difference[2]
        mxl_range sign_difference[2]
        mxl_range fill[2]
    enum:
        LOSS_TILE
    const loss_table* pick_loss(const mxl_runtime* rt) noexcept nogil
    int mxl_real(int32_t dtype) noexcept nogil
    void mxl_run(mxl_runtime* rt, const mxl_call* c, mxl_range fn, int64_t n, int64_t work) noexcept nogil

cdef mxl_runtime* rt = <mxl_runtime*>PyCapsule_GetPointer(runtime_capsule, "mxl_runtime")
abi = (MXL_ABI, sizeof(mxl_call))


def _pack_difference(dict d):
    if d.keys() != {"factor"}:
        raise ValueError(f"regression output: wrong arguments {sorted(d)}")
    cdef difference_args a
    a.factor = d["factor"]
    return (<char*>&a)[:sizeof(a)]


def _pack_make_loss(dict d):
    if d.keys() != {"grad_scale", "valid_thresh", "valid"}:
        raise ValueError(f"make_loss: wrong arguments {sorted(d)}")
    cdef make_loss_args a = d
    return (<char*>&a)[:sizeof(a)]


cdef int run(mxl_call* c, const mxl_range* fn, int64_t cost) noexcept nogil:
    cdef int real = mxl_real(c.out[0].dtype)
    if real < 0:
        return MXL_EDTYPE
    mxl_run(rt, c, fn[real], (c.out[0].size + LOSS_TILE - 1) // LOSS_TILE, cost * c.out[0].size)
    return MXL_OK


cdef api int copy(mxl_call* c) noexcept nogil:
    cdef size_t itemsize = 8 if c.out[0].dtype == MXL_F64 else 4
    if mxl_real(c.out[0].dtype) < 0:
        return MXL_EDTYPE
    if c.out[0].data != c.inp[0].data and c.out[0].size:
        memmove(c.out[0].data, c.inp[0].data, <size_t>c.out[0].size * itemsize)
    return MXL_OK


cdef api int sigmoid(mxl_call* c) noexcept nogil:
    return run(c, pick_loss(rt).sigmoid, 8)


cdef api int difference(mxl_call* c) noexcept nogil:
    return run(c, pick_loss(rt).difference, 1)


cdef api int sign_difference(mxl_call* c) noexcept nogil:
    return run(c, pick_loss(rt).sign_difference, 1)


cdef api int make_loss_backward(mxl_call* c) noexcept nogil:
    return run(c, pick_loss(rt).fill, 0)


kernels = dict(sys.modules[__name__].__pyx_capi__)
packers = {"difference": _pack_difference, "sign_difference": _pack_difference, "make_loss_backward": _pack_make_loss}
