# cython: language_level=3
"""Random kernels: the words of :mod:`mxlite.ops.philox`, bit for bit, whatever the level and number of threads."""
import sys

from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.string cimport memmove, memset
from mxlite._core.abi cimport *
from mxlite._core.cpu import runtime_capsule

cdef extern from "random_table.h":
    """
    static const random_table *pick_random(const mxl_runtime *rt) { return MXL_PICK(rt, mxl_random); }
    static int dropout_is_plain(const dropout_args *a)
    {
        return !(a->shared0 | a->shared1 | a->shared2 | a->shared3 | a->shared4 | a->shared5 | a->shared6 | a->shared7);
    }
    static int64_t dropout_run(const dropout_args *a) { return (&a->size0)[a->ndim - 1]; }
    """
    ctypedef void (*mxl_range)(const mxl_call* c, int64_t begin, int64_t end) noexcept nogil
    ctypedef struct dropout_args:
        int64_t threshold, always, ndim
        int64_t size0, size1, size2, size3, size4, size5, size6, size7
        int64_t shared0, shared1, shared2, shared3, shared4, shared5, shared6, shared7
        double scale
    ctypedef struct random_table:
        mxl_range uniform[2]
        mxl_range normal[2]
        mxl_range dropout[2]
        mxl_range dropout_shared[2]
    enum:
        RANDOM_TILE
    const random_table* pick_random(const mxl_runtime* rt) noexcept nogil
    int dropout_is_plain(const dropout_args* a) noexcept nogil
    int64_t dropout_run(const dropout_args* a) noexcept nogil
    int mxl_real(int32_t dtype) noexcept nogil
    void mxl_run(mxl_runtime* rt, const mxl_call* c, mxl_range fn, int64_t n, int64_t work) noexcept nogil

cdef mxl_runtime* rt = <mxl_runtime*>PyCapsule_GetPointer(runtime_capsule, "mxl_runtime")
abi = (MXL_ABI, sizeof(mxl_call))

# Elementary operations of one element: a word of Philox, a pair's share of logarithm and sine.
cdef enum:
    WORD = 4
    GAUSS = 32


def _pack(dict d):
    cdef set keys = {"threshold", "always", "ndim", "scale"}
    for i in range(8):
        keys |= {f"size{i}", f"shared{i}"}
    if d.keys() != keys:
        raise ValueError(f"dropout: wrong arguments {sorted(d)}")
    cdef dropout_args a = d
    return (<char*>&a)[:sizeof(a)]


cdef inline int64_t tiles(mxl_call* c) noexcept nogil:
    return (c.out[0].size + RANDOM_TILE - 1) // RANDOM_TILE


cdef api int uniform(mxl_call* c) noexcept nogil:
    cdef int real = mxl_real(c.out[0].dtype)
    if real < 0:
        return MXL_EDTYPE
    if not c.scalars[1] >= c.scalars[0]:        # call data: an earlier call's inference has not seen them
        return MXL_EVALUE
    mxl_run(rt, c, pick_random(rt).uniform[real], tiles(c), WORD * c.out[0].size)
    return MXL_OK


cdef api int normal(mxl_call* c) noexcept nogil:
    cdef int real = mxl_real(c.out[0].dtype)
    if real < 0:
        return MXL_EDTYPE
    if not c.scalars[1] > 0:
        return MXL_EVALUE
    mxl_run(rt, c, pick_random(rt).normal[real], tiles(c), GAUSS * c.out[0].size)
    return MXL_OK


cdef api int dropout(mxl_call* c) noexcept nogil:
    cdef const dropout_args* a = <const dropout_args*>c.args
    cdef int real = mxl_real(c.out[0].dtype)
    cdef int64_t size = c.out[0].size
    cdef size_t bytes = <size_t>size * (8 if c.out[0].dtype == MXL_F64 else 4)
    if real < 0:
        return MXL_EDTYPE
    if size == 0:
        return MXL_OK
    if a.threshold == 0 or not (c.is_train or a.always):
        if c.out[0].data != c.inp[0].data:
            memmove(c.out[0].data, c.inp[0].data, bytes)
    elif a.threshold >> 32:
        memset(c.out[0].data, 0, bytes)
    elif dropout_is_plain(a):
        mxl_run(rt, c, pick_random(rt).dropout[real], tiles(c), WORD * size)
    else:
        mxl_run(rt, c, pick_random(rt).dropout_shared[real], size // dropout_run(a), WORD * size)
    return MXL_OK


kernels = dict(sys.modules[__name__].__pyx_capi__)
packers = {"dropout": _pack}
