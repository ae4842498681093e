# cython: language_level=3
"""Optimizer steps: weight and gradient in, new weight out, states moved in place."""
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from mxlite._core.abi cimport *
from mxlite._core.cpu import runtime_capsule

cdef extern from "update_table.h":
    """
    static const update_table *pick_update(const mxl_runtime *rt) { return MXL_PICK(rt, mxl_update); }
    static mxl_runtime *update_rt;
    static int update_run(mxl_call *c, int which)
    {
        int real = mxl_real(c->out[0].dtype);
        if (real < 0) return MXL_EDTYPE;
        for (int i = 0; i < c->n_in; i++) if (c->in[i].dtype != c->out[0].dtype) return MXL_EDTYPE;
        mxl_run(update_rt, c, pick_update(update_rt)->run[which][real],
                (c->out[0].size + UPDATE_TILE - 1) / UPDATE_TILE, c->out[0].size);
        return MXL_OK;
    }
    #define STEP(name, states, ...) static int update_##name(mxl_call *c) { return update_run(c, UPDATE_##name); }
    UPDATE_STEPS
    #undef STEP
    #define STEP(name, states, ...) { #name, update_##name },
    static const struct { const char *name; mxl_kernel run; } update_kernels[] = { UPDATE_STEPS };
    #undef STEP
    #include "update_multi.h"
    """
    ctypedef struct MultiArgs:
        int64_t weights
        int64_t fields
        int64_t momentum
        int64_t mixed
        int64_t preloaded
    int update_multi(mxl_call*) noexcept nogil
    struct named:
        const char* name
        mxl_kernel run
    named* update_kernels
    mxl_runtime* update_rt
    enum:
        UPDATES

update_rt = <mxl_runtime*>PyCapsule_GetPointer(runtime_capsule, "mxl_runtime")
abi = (MXL_ABI, sizeof(mxl_call))

kernels = {}
for _i in range(UPDATES):
    kernels[update_kernels[_i].name.decode()] = PyCapsule_New(<void*>update_kernels[_i].run, "int (mxl_call *)", NULL)
kernels["multi_sgd"] = PyCapsule_New(<void*>update_multi, "int (mxl_call *)", NULL)


def _pack_multi(dict d):
    """`weights`, `momentum`, `mixed`, `preloaded`: numbers; `lrs`, `wds`: one a weight each, none where preloaded."""
    if set(d) != {"weights", "momentum", "mixed", "preloaded", "lrs", "wds"}:
        raise ValueError(f"multi_sgd takes weights, momentum, mixed, preloaded, lrs, wds, not {sorted(d)}")
    cdef MultiArgs head
    cdef double value
    head.weights, head.momentum, head.mixed = d["weights"], d["momentum"], d["mixed"]
    head.preloaded, head.fields = d["preloaded"], 2 + head.momentum + head.mixed
    if {head.momentum, head.mixed, head.preloaded} - {0, 1}:
        raise ValueError("momentum, mixed and preloaded are 0 or 1")
    rates = list(d["lrs"]) + list(d["wds"])
    if len(rates) != (0 if head.preloaded else 2 * head.weights) or len(d["lrs"]) != len(d["wds"]):
        raise ValueError("multi_sgd takes a learning rate and a weight decay for every weight")
    out = [(<char*>&head)[:sizeof(head)]]
    for value in rates:
        out.append((<char*>&value)[:sizeof(value)])
    return b"".join(out)


packers = {"multi_sgd": _pack_multi}
