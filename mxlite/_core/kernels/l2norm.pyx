# cython: language_level=3
"""Kernels of L2Normalization."""
import sys

from cpython.pycapsule cimport PyCapsule_GetPointer
from mxlite._core.abi cimport *
from mxlite._core.cpu import runtime_capsule

cdef extern from "l2norm_table.h":
    """
    static const l2_norm_table *pick_norm(const mxl_runtime *rt) { return MXL_PICK(rt, mxl_l2norm); }
    """
    ctypedef void (*mxl_range)(const mxl_call* c, int64_t begin, int64_t end) noexcept nogil
    ctypedef struct l2_norm_args:
        int64_t outer, k, inner
        double eps
    ctypedef struct l2_norm_table:
        mxl_range forward[2]
        mxl_range backward[2]
    const l2_norm_table* pick_norm(const mxl_runtime* rt) noexcept nogil
    int64_t l2_units(const l2_norm_args* a) noexcept nogil
    int mxl_real(int32_t dtype) noexcept nogil
    void mxl_run(mxl_runtime* rt, const mxl_call* c, mxl_range fn, int64_t n, int64_t work) noexcept nogil

cdef mxl_runtime* rt = <mxl_runtime*>PyCapsule_GetPointer(runtime_capsule, "mxl_runtime")
abi = (MXL_ABI, sizeof(mxl_call))


def _pack(dict d):
    if d.keys() != {"outer", "k", "inner", "eps"}:
        raise ValueError(f"l2_norm: wrong arguments {sorted(d)}")
    cdef l2_norm_args a = d
    return (<char*>&a)[:sizeof(a)]


cdef api int l2_norm(mxl_call* c) noexcept nogil:
    cdef int real = mxl_real(c.inp[0].dtype)
    if real < 0:
        return MXL_EDTYPE
    if c.inp[0].size:
        mxl_run(rt, c, pick_norm(rt).forward[real], l2_units(<const l2_norm_args*>c.args), c.inp[0].size)
    return MXL_OK


cdef api int l2_norm_backward(mxl_call* c) noexcept nogil:
    cdef int real = mxl_real(c.inp[0].dtype)
    if real < 0 or c.inp[1].dtype != c.inp[0].dtype:
        return MXL_EDTYPE
    if c.inp[0].size:
        mxl_run(rt, c, pick_norm(rt).backward[real], l2_units(<const l2_norm_args*>c.args), 2 * c.inp[0].size)
    return MXL_OK


kernels = dict(sys.modules[__name__].__pyx_capi__)
packers = {name: _pack for name in kernels}
