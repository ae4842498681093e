# cython: language_level=3
"""Kernels of LayerNorm, InstanceNorm and GroupNorm. Backward recomputes the statistics: rows are in cache by then."""
import sys

from cpython.pycapsule cimport PyCapsule_GetPointer
from mxlite._core.abi cimport *
from mxlite._core.cpu import runtime_capsule

cdef extern from "layernorm_table.h":
    """
    static const layer_norm_table *pick_norm(const mxl_runtime *rt) { return MXL_PICK(rt, mxl_layernorm); }
    """
    ctypedef void (*mxl_range)(const mxl_call* c, int64_t begin, int64_t end) noexcept nogil
    ctypedef struct layer_norm_args:
        int64_t outer, groups, inner, axis, blocks
        double eps
    ctypedef struct layer_norm_table:
        mxl_range forward[2]
        mxl_range backward[2]
        mxl_range collect[2]
    enum:
        LN_EACH
    const layer_norm_table* pick_norm(const mxl_runtime* rt) noexcept nogil
    int ln_kind(const layer_norm_args* a) noexcept nogil
    int64_t ln_units(const layer_norm_args* a) noexcept nogil
    int mxl_real(int32_t dtype) noexcept nogil
    void mxl_run(mxl_runtime* rt, const mxl_call* c, mxl_range fn, int64_t n, int64_t work) noexcept nogil

cdef mxl_runtime* rt = <mxl_runtime*>PyCapsule_GetPointer(runtime_capsule, "mxl_runtime")
abi = (MXL_ABI, sizeof(mxl_call))


def _pack(dict d):
    if d.keys() != {"outer", "groups", "inner", "axis", "blocks", "eps"}:
        raise ValueError(f"layer_norm: wrong arguments {sorted(d)}")
    cdef layer_norm_args a = d
    if a.axis not in (1, 2):
        raise ValueError(f"layer_norm: axis must be 1 or 2, not {a.axis}")
    if a.blocks < 1:
        raise ValueError(f"layer_norm: blocks must be at least 1, not {a.blocks}")
    return (<char*>&a)[:sizeof(a)]


cdef api int layer_norm(mxl_call* c) noexcept nogil:
    cdef const layer_norm_args* a = <const layer_norm_args*>c.args
    cdef int real = mxl_real(c.inp[0].dtype)
    if real < 0 or c.inp[1].dtype != c.inp[0].dtype or c.inp[2].dtype != c.inp[0].dtype:
        return MXL_EDTYPE
    mxl_run(rt, c, pick_norm(rt).forward[real], ln_units(a), 2 * c.inp[0].size)
    return MXL_OK


cdef api int layer_norm_backward(mxl_call* c) noexcept nogil:
    cdef const layer_norm_args* a = <const layer_norm_args*>c.args
    cdef int real = mxl_real(c.inp[0].dtype)
    if real < 0 or c.inp[1].dtype != c.inp[0].dtype or c.inp[2].dtype != c.inp[0].dtype:
        return MXL_EDTYPE
    cdef int64_t n = ln_units(a) if ln_kind(a) == LN_EACH else a.blocks
    mxl_run(rt, c, pick_norm(rt).backward[real], n, 4 * c.inp[0].size)
    if c.out[1].data != NULL or c.out[2].data != NULL:
        pick_norm(rt).collect[real](c, 0, a.groups)
    return MXL_OK


kernels = dict(sys.modules[__name__].__pyx_capi__)
packers = {name: _pack for name in kernels}
