# cython: language_level=3
"""Kernels of LRN."""
import sys

from cpython.pycapsule cimport PyCapsule_GetPointer
from mxlite._core.abi cimport *
from mxlite._core.cpu import runtime_capsule

cdef extern from "lrn_table.h":
    """
    static const lrn_table *pick_norm(const mxl_runtime *rt) { return MXL_PICK(rt, mxl_lrn); }
    """
    ctypedef void (*mxl_range)(const mxl_call* c, int64_t begin, int64_t end) noexcept nogil
    ctypedef struct lrn_args:
        int64_t outer, channels, inner, reach
        double alpha, beta, knorm
    ctypedef struct lrn_table:
        mxl_range forward[2]
        mxl_range backward[2]
    enum:
        LRN_MOST
    const lrn_table* pick_norm(const mxl_runtime* rt) noexcept nogil
    int64_t lrn_tiles(const lrn_args* a) noexcept nogil
    int mxl_real(int32_t dtype) noexcept nogil
    void mxl_run(mxl_runtime* rt, const mxl_call* c, mxl_range fn, int64_t n, int64_t work) noexcept nogil

cdef mxl_runtime* rt = <mxl_runtime*>PyCapsule_GetPointer(runtime_capsule, "mxl_runtime")
abi = (MXL_ABI, sizeof(mxl_call))


def _pack(dict d):
    if d.keys() != {"outer", "channels", "inner", "reach", "alpha", "beta", "knorm"}:
        raise ValueError(f"lrn: wrong arguments {sorted(d)}")
    cdef lrn_args a = d
    if not 0 <= a.reach <= LRN_MOST:
        raise ValueError(f"lrn: the window reaches 0 to {LRN_MOST} channels to either side, not {a.reach}")
    return (<char*>&a)[:sizeof(a)]


cdef api int lrn(mxl_call* c) noexcept nogil:
    cdef const lrn_args* a = <const lrn_args*>c.args
    cdef int real = mxl_real(c.inp[0].dtype)
    if real < 0:
        return MXL_EDTYPE
    if c.inp[0].size:
        mxl_run(rt, c, pick_norm(rt).forward[real], a.outer * lrn_tiles(a), (4 + 2 * a.reach) * c.inp[0].size)
    return MXL_OK


cdef api int lrn_backward(mxl_call* c) noexcept nogil:
    cdef const lrn_args* a = <const lrn_args*>c.args
    cdef int real = mxl_real(c.inp[0].dtype)
    if real < 0 or c.inp[1].dtype != c.inp[0].dtype:
        return MXL_EDTYPE
    if c.inp[0].size:
        mxl_run(rt, c, pick_norm(rt).backward[real], a.outer * lrn_tiles(a), (8 + 4 * a.reach) * c.inp[0].size)
    return MXL_OK


kernels = dict(sys.modules[__name__].__pyx_capi__)
packers = {name: _pack for name in kernels}
