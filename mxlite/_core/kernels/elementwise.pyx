# cython: language_level=3
"""Element-wise kernels: unary.h and binary.h hold the functions, elementwise_run.h the kernels."""
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from mxlite._core.abi cimport *
from mxlite._core.cpu import runtime_capsule

cdef extern from "elementwise_run.h":
    ctypedef struct BroadcastArgs:
        int64_t ndim
        int64_t dims[8]
        int64_t a[8]
        int64_t b[8]
    ctypedef struct PreluArgs:
        int64_t channels
        int64_t inner
    ctypedef struct Row:
        const char* name
        mxl_kernel fn
    const Row* mxl_elementwise_rows
    mxl_runtime* mxl_rt

mxl_rt = <mxl_runtime*>PyCapsule_GetPointer(runtime_capsule, "mxl_runtime")
abi = (MXL_ABI, sizeof(mxl_call))


def _pack_broadcast(dict d):
    if set(d) != {"ndim", "dims", "a", "b"}:
        raise ValueError(f"broadcast kernels take ndim, dims, a, b, not {sorted(d)}")
    cdef BroadcastArgs args
    cdef int i
    args.ndim = d["ndim"]
    for i in range(8):
        args.dims[i], args.a[i], args.b[i] = d["dims"][i], d["a"][i], d["b"][i]
    return (<char*>&args)[:sizeof(args)]


def _pack_prelu(dict d):
    if set(d) != {"channels", "inner"}:
        raise ValueError(f"prelu takes channels and inner, not {sorted(d)}")
    cdef PreluArgs args
    args.channels, args.inner = d["channels"], d["inner"]
    return (<char*>&args)[:sizeof(args)]


kernels = {}
packers = {"_prelu": _pack_prelu, "_backward__prelu": _pack_prelu, "broadcast": _pack_broadcast}
cdef int i = 0
while mxl_elementwise_rows[i].name != NULL:
    kernels[mxl_elementwise_rows[i].name.decode()] = PyCapsule_New(<void*>mxl_elementwise_rows[i].fn,
                                                                   "int (mxl_call *)", NULL)
    i += 1
packers.update((name, _pack_broadcast) for name in kernels if name.startswith("broadcast_"))
