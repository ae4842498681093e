# cython: language_level=3
"""Softmax kernels: along rows, along columns, and the gradients of the softmax layers."""
import sys

from cpython.pycapsule cimport PyCapsule_GetPointer
from mxlite._core.abi cimport *
from mxlite._core.cpu import runtime_capsule

cdef extern from "softmax_table.h":
    ctypedef void (*mxl_range)(const mxl_call* c, int64_t begin, int64_t end) noexcept nogil
    ctypedef struct softmax_args:
        int64_t outer, k, inner
        double scale
    ctypedef struct softmax_output_args:
        int64_t outer, k, inner, batch, by_batch, valid, use_ignore, multi_output, probability, out_grad
        double grad_scale, ignore_label, smooth_alpha
    enum:
        SOFTMAX
        LOG_SOFTMAX
        SOFTMAX_BACKWARD
        LOG_SOFTMAX_BACKWARD
        SOFTMAX_OUTPUT_BACKWARD
        CROSS_ENTROPY
        CROSS_ENTROPY_BACKWARD
    ctypedef struct softmax_table:
        mxl_range run[7][2]
    int64_t softmax_units(int64_t outer, int64_t inner) noexcept nogil
    int mxl_real(int32_t dtype) noexcept nogil
    void mxl_run(mxl_runtime* rt, const mxl_call* c, mxl_range fn, int64_t n, int64_t work) noexcept nogil

cdef extern from *:
    """
    static const softmax_table *pick_softmax(const mxl_runtime *rt) { return MXL_PICK(rt, mxl_softmax); }
    """
    const softmax_table* pick_softmax(const mxl_runtime* rt) noexcept nogil

cdef mxl_runtime* rt = <mxl_runtime*>PyCapsule_GetPointer(runtime_capsule, "mxl_runtime")
abi = (MXL_ABI, sizeof(mxl_call))

# Elementary operations of one exponential and what goes with it.
cdef enum:
    COST = 8


def _pack(dict d):
    if d.keys() != {"outer", "k", "inner", "scale"}:
        raise ValueError(f"softmax: wrong arguments {sorted(d)}")
    cdef softmax_args a = d
    return (<char*>&a)[:sizeof(a)]


def _pack_output(dict d):
    if d.keys() != {"outer", "k", "inner", "batch", "by_batch", "valid", "use_ignore", "multi_output", "probability",
                    "out_grad", "grad_scale", "ignore_label", "smooth_alpha"}:
        raise ValueError(f"softmax_output: wrong arguments {sorted(d)}")
    cdef softmax_output_args a = d
    return (<char*>&a)[:sizeof(a)]


cdef int run(mxl_call* c, int which, int64_t units, int64_t work) noexcept nogil:
    cdef int real = mxl_real(c.out[0].dtype)
    cdef int i
    if real < 0:
        return MXL_EDTYPE
    if c.out[0].size == 0:
        return MXL_OK
    mxl_run(rt, c, pick_softmax(rt).run[which][real], units, work)
    return MXL_OK


cdef int by_units(mxl_call* c, int which) noexcept nogil:
    cdef const softmax_args* a = <const softmax_args*>c.args
    return run(c, which, softmax_units(a.outer, a.inner), COST * c.out[0].size)


cdef api int softmax(mxl_call* c) noexcept nogil:
    if c.n_in > 1 and c.inp[1].dtype != MXL_I32 and c.inp[1].dtype != MXL_I64:
        return MXL_EDTYPE
    return by_units(c, SOFTMAX)


cdef api int softmax_output(mxl_call* c) noexcept nogil:
    # The label, the second input, plays no part in forward.
    c.n_in = 1
    cdef int rc = by_units(c, SOFTMAX)
    c.n_in = 2
    return rc


cdef api int log_softmax(mxl_call* c) noexcept nogil:
    return by_units(c, LOG_SOFTMAX)


cdef api int softmax_backward(mxl_call* c) noexcept nogil:
    return by_units(c, SOFTMAX_BACKWARD)


cdef api int log_softmax_backward(mxl_call* c) noexcept nogil:
    return by_units(c, LOG_SOFTMAX_BACKWARD)


cdef api int softmax_output_backward(mxl_call* c) noexcept nogil:
    cdef const softmax_output_args* a = <const softmax_output_args*>c.args
    # Counting valid labels is done once for each range: one range then.
    return run(c, SOFTMAX_OUTPUT_BACKWARD, a.outer, 0 if a.valid and a.k < 16 else c.out[0].size)


cdef api int softmax_cross_entropy(mxl_call* c) noexcept nogil:
    cdef const softmax_args* a = <const softmax_args*>c.args
    if a.outer == 0:
        # No rows: the loss is zero, and mxl_run calls nothing for no units.
        if c.out[0].dtype == MXL_F32:
            (<float*>c.out[0].data)[0] = 0
        elif c.out[0].dtype == MXL_F64:
            (<double*>c.out[0].data)[0] = 0
        else:
            return MXL_EDTYPE
        return MXL_OK
    return run(c, CROSS_ENTROPY, a.outer, 0)


cdef api int softmax_cross_entropy_backward(mxl_call* c) noexcept nogil:
    return by_units(c, CROSS_ENTROPY_BACKWARD)


kernels = dict(sys.modules[__name__].__pyx_capi__)
packers = {name: _pack_output if name == "softmax_output_backward" else _pack for name in kernels}
