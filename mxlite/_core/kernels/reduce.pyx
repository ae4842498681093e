# cython: language_level=3
"""Kernels of the reductions: reduce.h has the inner loops, reduce_run.h the kernels."""
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from mxlite._core.abi cimport *
from mxlite._core.cpu import runtime_capsule

cdef extern from "reduce_run.h":
    ctypedef struct ReduceArgs:
        int64_t ndim
        int64_t dims[8]
        int64_t reduced[8]
        int64_t parts
    ctypedef struct ArgArgs:
        int64_t outer
        int64_t length
        int64_t inner
    ctypedef struct Row:
        const char* name
        mxl_kernel fn
    const Row* mxl_reduce_rows
    mxl_runtime* mxl_rt

mxl_rt = <mxl_runtime*>PyCapsule_GetPointer(runtime_capsule, "mxl_runtime")
abi = (MXL_ABI, sizeof(mxl_call))


def _pack_nest(dict d):
    if set(d) != {"ndim", "dims", "reduced", "parts"}:
        raise ValueError(f"reductions take ndim, dims, reduced, parts, not {sorted(d)}")
    cdef ReduceArgs args
    cdef int i
    args.ndim, args.parts = d["ndim"], d["parts"]
    for i in range(8):
        args.dims[i], args.reduced[i] = d["dims"][i], d["reduced"][i]
    return (<char*>&args)[:sizeof(args)]


def _pack_arg(dict d):
    if set(d) != {"outer", "length", "inner"}:
        raise ValueError(f"argmax and argmin take outer, length, inner, not {sorted(d)}")
    cdef ArgArgs args
    args.outer, args.length, args.inner = d["outer"], d["length"], d["inner"]
    return (<char*>&args)[:sizeof(args)]


kernels = {}
packers = {}
cdef int i = 0
while mxl_reduce_rows[i].name != NULL:
    name = mxl_reduce_rows[i].name.decode()
    kernels[name] = PyCapsule_New(<void*>mxl_reduce_rows[i].fn, "int (mxl_call *)", NULL)
    packers[name] = _pack_arg if name.startswith("arg") else _pack_nest
    i += 1
