# cython: language_level=3
"""Random draws by distribution, with scalar or array parameters. The work is in sampling_run.h."""
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from mxlite._core.abi cimport *
from mxlite._core.cpu import runtime_capsule
from mxlite._core.kernels import check_keys

cdef extern from "sampling_run.h":
    ctypedef struct draw_args:
        int64_t kind, arrays, per
    ctypedef struct randint_args:
        int64_t low
        uint64_t span
    ctypedef struct categories_args:
        int64_t rows, k, per
    ctypedef struct shuffle_args:
        int64_t rows, inner, backward
    int shuffle_any(mxl_call* c) nogil
    int draw_any(mxl_runtime* rt, mxl_call* c) nogil
    int randint_any(mxl_runtime* rt, mxl_call* c) nogil
    int categories_any(mxl_runtime* rt, mxl_call* c) nogil

cdef mxl_runtime* rt = <mxl_runtime*>PyCapsule_GetPointer(runtime_capsule, "mxl_runtime")
abi = (MXL_ABI, sizeof(mxl_call))


cdef int draw(mxl_call* c) noexcept nogil:
    return draw_any(rt, c)


cdef int randint(mxl_call* c) noexcept nogil:
    return randint_any(rt, c)


cdef int categories(mxl_call* c) noexcept nogil:
    return categories_any(rt, c)


cdef int shuffle(mxl_call* c) noexcept nogil:
    return shuffle_any(c)


def _pack_draw(dict d):
    check_keys(d, "kind", "arrays", "per")
    cdef draw_args a = d
    return (<char*>&a)[:sizeof(draw_args)]


def _pack_randint(dict d):
    check_keys(d, "low", "span")
    cdef randint_args a = d
    return (<char*>&a)[:sizeof(randint_args)]


def _pack_categories(dict d):
    check_keys(d, "rows", "k", "per")
    cdef categories_args a = d
    return (<char*>&a)[:sizeof(categories_args)]


def _pack_shuffle(dict d):
    check_keys(d, "rows", "inner", "backward")
    cdef shuffle_args a = d
    return (<char*>&a)[:sizeof(shuffle_args)]


cdef _kernel(mxl_kernel fn):
    return PyCapsule_New(<void*>fn, "int (mxl_call *)", NULL)


kernels = {"draw": _kernel(draw), "randint": _kernel(randint), "categories": _kernel(categories),
           "shuffle": _kernel(shuffle)}
packers = {"draw": _pack_draw, "randint": _pack_randint, "categories": _pack_categories,
           "shuffle": _pack_shuffle}
