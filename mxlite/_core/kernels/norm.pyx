# cython: language_level=3
"""Batch normalization kernels. Forward reads the moving statistics, backward moves them."""
import sys

from cpython.pycapsule cimport PyCapsule_GetPointer
from mxlite._core.abi cimport *
from mxlite._core.cpu import runtime_capsule

cdef extern from "norm_table.h":
    """
    static const norm_table *pick_norm(const mxl_runtime *rt) { return MXL_PICK(rt, mxl_norm); }
    """
    ctypedef void (*mxl_range)(const mxl_call* c, int64_t begin, int64_t end) noexcept nogil
    ctypedef struct batch_norm_args:
        int64_t outer, channels, inner, fix_gamma, use_global_stats, act, residual, masked
        double eps, momentum, lo, hi
    ctypedef struct norm_table:
        mxl_range forward[2]
        mxl_range backward[2]
    const norm_table* pick_norm(const mxl_runtime* rt) noexcept nogil
    int64_t norm_units(const batch_norm_args* a, int given) noexcept nogil
    int norm_by_batch(const mxl_call* c) noexcept nogil
    int mxl_real(int32_t dtype) noexcept nogil
    void mxl_run(mxl_runtime* rt, const mxl_call* c, mxl_range fn, int64_t n, int64_t work) noexcept nogil

cdef mxl_runtime* rt = <mxl_runtime*>PyCapsule_GetPointer(runtime_capsule, "mxl_runtime")
abi = (MXL_ABI, sizeof(mxl_call))


cdef dict EPILOGUE = {"act": 0, "residual": 0, "masked": 0, "lo": 0.0, "hi": 0.0}


def _pack(dict d):
    if {*d, *EPILOGUE} != {"outer", "channels", "inner", "fix_gamma", "use_global_stats", "eps", "momentum", *EPILOGUE}:
        raise ValueError(f"batch_norm: wrong arguments {sorted(d)}")
    cdef batch_norm_args a = {**EPILOGUE, **d}
    if not 0 <= a.act <= 2:
        raise ValueError(f"batch_norm: act must be 0, 1 or 2, not {a.act}")
    return (<char*>&a)[:sizeof(a)]


cdef api int batch_norm(mxl_call* c) noexcept nogil:
    """data, gamma, beta, [residual], moving mean, moving variance to y, mean, inverse deviation."""
    cdef const batch_norm_args* a = <const batch_norm_args*>c.args
    cdef int real = mxl_real(c.inp[0].dtype)
    if real < 0 or c.inp[1].dtype != c.inp[0].dtype:
        return MXL_EDTYPE
    mxl_run(rt, c, pick_norm(rt).forward[real], norm_units(a, not norm_by_batch(c)), 2 * c.inp[0].size)
    return MXL_OK


cdef api int batch_norm_backward(mxl_call* c) noexcept nogil:
    """dy, data, gamma, mean, inverse deviation, [y], moving mean, moving variance to the gradients of data, gamma and
    beta, and [dy masked by y]."""
    cdef const batch_norm_args* a = <const batch_norm_args*>c.args
    cdef int real = mxl_real(c.inp[0].dtype)
    if real < 0 or c.inp[2].dtype != c.inp[0].dtype:
        return MXL_EDTYPE
    mxl_run(rt, c, pick_norm(rt).backward[real], norm_units(a, 0), 2 * c.inp[0].size)
    return MXL_OK


kernels = dict(sys.modules[__name__].__pyx_capi__)
packers = {name: _pack for name in kernels}
