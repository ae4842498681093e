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
    """
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
packers = {}
