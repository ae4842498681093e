# cython: language_level=3
"""Matrix products: dot, batch_dot, FullyConnected and their gradients are one kernel, ``gemm.gemm``. Its second factor
may be the output of ``gemm.pack_weight``, which packs it once."""
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from mxlite._core.abi cimport *
from mxlite._core.cpu import runtime_capsule

cdef extern from "gemm.h":
    ctypedef struct gemm_args:
        int64_t batch, m, n, k, ta, tb, act
        double lo, hi
        int64_t bias, residual, prepared
    ctypedef void (*gemm_fn)(mxl_runtime*, const mxl_call*, const gemm_args*) noexcept nogil
    ctypedef struct gemm_table:
        gemm_fn f32, f64, half, pack_f32, pack_f64
    const gemm_table* gemm_level(int isa) noexcept nogil

cdef mxl_runtime* rt = <mxl_runtime*>PyCapsule_GetPointer(runtime_capsule, "mxl_runtime")
abi = (MXL_ABI, sizeof(mxl_call))
cdef tuple FIELDS = ("batch", "m", "n", "k", "ta", "tb")
cdef dict PLAIN = {"act": 0, "lo": 0.0, "hi": 0.0, "bias": 0, "residual": 0, "prepared": 0}


def _pack(dict d):
    full = {**PLAIN, **d}
    if set(full) != set(FIELDS) | set(PLAIN):
        raise TypeError(f"gemm takes {', '.join((*FIELDS, *PLAIN))}, not {', '.join(d)}")
    cdef gemm_args a = full
    return (<char*>&a)[:sizeof(gemm_args)]


cdef int gemm(mxl_call* c) noexcept nogil:
    cdef const gemm_table* t = gemm_level(rt.isa)
    if c.out[0].data == NULL:
        return MXL_OK
    if c.inp[0].dtype == MXL_F32:
        t.f32(rt, c, <const gemm_args*>c.args)
    elif c.inp[0].dtype == MXL_F64:
        t.f64(rt, c, <const gemm_args*>c.args)
    elif (c.inp[0].dtype == MXL_F16 or c.inp[0].dtype == MXL_BF16) and not (<const gemm_args*>c.args).prepared:
        t.half(rt, c, <const gemm_args*>c.args)
    else:
        return MXL_EDTYPE
    return MXL_OK


cdef int pack_weight(mxl_call* c) noexcept nogil:
    cdef const gemm_table* t = gemm_level(rt.isa)
    if c.out[0].data == NULL:
        return MXL_OK
    if c.inp[0].dtype == MXL_F32:
        t.pack_f32(rt, c, <const gemm_args*>c.args)
    elif c.inp[0].dtype == MXL_F64:
        t.pack_f64(rt, c, <const gemm_args*>c.args)
    else:
        return MXL_EDTYPE
    return MXL_OK


kernels = {"gemm": PyCapsule_New(<void*>gemm, "int (mxl_call *)", NULL),
           "pack_weight": PyCapsule_New(<void*>pack_weight, "int (mxl_call *)", NULL)}
packers = {"gemm": _pack, "pack_weight": _pack}
