# cython: language_level=3
"""Convolution forward, its gradients with respect to data (``dgrad``, with a bias also Deconvolution) and weight
(``wgrad``), the columns of a convolution (``im2col``, ``col2im``), and weights prepared for many runs."""
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from mxlite._core.abi cimport *
from mxlite._core.cpu import runtime_capsule

cdef extern from "conv.h":
    ctypedef struct conv_args:
        int64_t batch, channels, filters, groups
        int64_t kernel[3]
        int64_t stride[3]
        int64_t dilate[3]
        int64_t pad[3]
        int64_t src[3]
        int64_t dst[3]
        int64_t act
        double lo, hi
        int64_t bias, residual, prepared, winograd
    ctypedef void (*conv_fn)(mxl_runtime*, const mxl_call*, const conv_args*) noexcept nogil
    ctypedef struct conv_table:
        conv_fn forward[3]
        conv_fn dgrad[3]
        conv_fn wgrad[3]
        conv_fn im2col[2]
        conv_fn col2im[2]
        conv_fn pack_weight[2]
        conv_fn winograd_weight
    const conv_table* conv_level(int isa) noexcept nogil

cdef mxl_runtime* rt = <mxl_runtime*>PyCapsule_GetPointer(runtime_capsule, "mxl_runtime")
abi = (MXL_ABI, sizeof(mxl_call))
cdef tuple FIELDS = ("batch", "channels", "filters", "groups", "kernel", "stride", "dilate", "pad", "src", "dst")
cdef dict PLAIN = {"act": 0, "lo": 0.0, "hi": 0.0, "bias": 0, "residual": 0, "prepared": 0, "winograd": 0}


def _pack(dict d):
    full = {**PLAIN, **d}
    if set(full) != set(FIELDS) | set(PLAIN):
        raise TypeError(f"conv takes {', '.join((*FIELDS, *PLAIN))}, not {', '.join(d)}")
    cdef conv_args a = full
    return (<char*>&a)[:sizeof(conv_args)]


cdef int run(const conv_fn* fn, mxl_call* c, bint halves=False) noexcept nogil:
    if c.out[0].data == NULL or c.out[0].size == 0:
        return MXL_OK
    if c.inp[0].dtype == MXL_F32:
        fn[0](rt, c, <const conv_args*>c.args)
    elif c.inp[0].dtype == MXL_F64:
        fn[1](rt, c, <const conv_args*>c.args)
    elif halves and (c.inp[0].dtype == MXL_F16 or c.inp[0].dtype == MXL_BF16):
        fn[2](rt, c, <const conv_args*>c.args)
    else:
        return MXL_EDTYPE
    return MXL_OK


cdef int forward(mxl_call* c) noexcept nogil:
    return run(conv_level(rt.isa).forward, c, True)


cdef int dgrad(mxl_call* c) noexcept nogil:
    return run(conv_level(rt.isa).dgrad, c, True)


cdef int wgrad(mxl_call* c) noexcept nogil:
    return run(conv_level(rt.isa).wgrad, c, True)


cdef int im2col(mxl_call* c) noexcept nogil:
    return run(conv_level(rt.isa).im2col, c)


cdef int col2im(mxl_call* c) noexcept nogil:
    return run(conv_level(rt.isa).col2im, c)


cdef int pack_weight(mxl_call* c) noexcept nogil:
    return run(conv_level(rt.isa).pack_weight, c)


cdef int winograd_weight(mxl_call* c) noexcept nogil:
    if c.out[0].data == NULL or c.out[0].size == 0:
        return MXL_OK
    if c.inp[0].dtype != MXL_F32:
        return MXL_EDTYPE
    conv_level(rt.isa).winograd_weight(rt, c, <const conv_args*>c.args)
    return MXL_OK


kernels = {"forward": PyCapsule_New(<void*>forward, "int (mxl_call *)", NULL),
           "dgrad": PyCapsule_New(<void*>dgrad, "int (mxl_call *)", NULL),
           "wgrad": PyCapsule_New(<void*>wgrad, "int (mxl_call *)", NULL),
           "im2col": PyCapsule_New(<void*>im2col, "int (mxl_call *)", NULL),
           "col2im": PyCapsule_New(<void*>col2im, "int (mxl_call *)", NULL),
           "pack_weight": PyCapsule_New(<void*>pack_weight, "int (mxl_call *)", NULL),
           "winograd_weight": PyCapsule_New(<void*>winograd_weight, "int (mxl_call *)", NULL)}
packers = {name: _pack for name in kernels}
