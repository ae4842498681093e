# cython: language_level=3
"""Pooling forward and backward, where the kind of pooling is an argument, and nearest-neighbour upsampling."""
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from mxlite._core.abi cimport *
from mxlite._core.cpu import runtime_capsule

cdef extern from "pool.h":
    ctypedef struct pool_args:
        int64_t planes, kind, p_value, include_pad, scratch
        int64_t kernel[3]
        int64_t stride[3]
        int64_t pad[3]
        int64_t src[3]
        int64_t dst[3]
    ctypedef void (*pool_fn)(const mxl_call*, const pool_args*, int64_t begin, int64_t end, void* work) noexcept nogil
    ctypedef void (*upsample_fn)(mxl_runtime*, const mxl_call*, int sum) noexcept nogil
    ctypedef struct pool_table:
        pool_fn forward[2]
        pool_fn backward[2]
        upsample_fn upsample[2]
    const pool_table* pool_level(int isa) noexcept nogil

cdef extern from "pool_run.h":
    int pool_run(mxl_runtime* rt, const mxl_call* c, const pool_fn* fn, int backward) noexcept nogil

cdef mxl_runtime* rt = <mxl_runtime*>PyCapsule_GetPointer(runtime_capsule, "mxl_runtime")
abi = (MXL_ABI, sizeof(mxl_call))
cdef tuple FIELDS = ("planes", "kind", "p_value", "include_pad", "scratch", "kernel", "stride", "pad", "src", "dst")


def _pack(dict d):
    if set(d) != set(FIELDS):
        raise TypeError(f"pool takes {', '.join(FIELDS)}, not {', '.join(d)}")
    cdef pool_args a = d
    return (<char*>&a)[:sizeof(pool_args)]


cdef int forward(mxl_call* c) noexcept nogil:
    return pool_run(rt, c, pool_level(rt.isa).forward, 0)


cdef int backward(mxl_call* c) noexcept nogil:
    return pool_run(rt, c, pool_level(rt.isa).backward, 1)


cdef int upsample(mxl_call* c, int sum) noexcept nogil:
    cdef int i
    if c.out[0].data == NULL or c.out[0].size == 0:
        return MXL_OK
    for i in range(c.n_in):
        if c.inp[i].dtype != c.out[0].dtype:
            return MXL_EDTYPE
    if c.out[0].dtype == MXL_F32:
        pool_level(rt.isa).upsample[0](rt, c, sum)
    elif c.out[0].dtype == MXL_F64:
        pool_level(rt.isa).upsample[1](rt, c, sum)
    else:
        return MXL_EDTYPE
    return MXL_OK


cdef int upsample_concat(mxl_call* c) noexcept nogil:
    return upsample(c, 0)


cdef int upsample_sum(mxl_call* c) noexcept nogil:
    return upsample(c, 1)


kernels = {"forward": PyCapsule_New(<void*>forward, "int (mxl_call *)", NULL),
           "backward": PyCapsule_New(<void*>backward, "int (mxl_call *)", NULL),
           "upsample_concat": PyCapsule_New(<void*>upsample_concat, "int (mxl_call *)", NULL),
           "upsample_sum": PyCapsule_New(<void*>upsample_sum, "int (mxl_call *)", NULL)}
packers = {"forward": _pack, "backward": _pack}
