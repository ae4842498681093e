# The C declarations of mxl.h, for every Cython module of the core.
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t

cdef extern from "mxl.h":
    enum:
        MXL_ABI
        MXL_MAXDIM
        MXL_F32
        MXL_F64
        MXL_F16
        MXL_U8
        MXL_I32
        MXL_I8
        MXL_I64
        MXL_BOOL
        MXL_BF16
        MXL_OK
        MXL_EDTYPE
        MXL_EINDEX
        MXL_EVALUE
        MXL_EPYTHON
        MXL_ISA_LEVELS
    ctypedef struct mxl_tensor:
        void* data
        int64_t size
        int64_t shape[8]
        int32_t ndim
        int32_t dtype
    ctypedef struct mxl_rng:
        uint64_t seed
        uint64_t step
    ctypedef struct mxl_call:
        mxl_tensor* inp "in"
        mxl_tensor* out
        const void* args
        const double* scalars
        void* work
        const mxl_rng* rng
        void* py
        uint32_t rng_id
        int32_t n_in
        int32_t n_out
        int32_t is_train
        int32_t threads
    ctypedef int (*mxl_kernel)(mxl_call*) noexcept nogil
    ctypedef struct mxl_runtime:
        int32_t threads
        int32_t forked
        int32_t busy
        int32_t isa

cdef extern from "mxl_parallel.h":
    enum:
        MXL_GRAIN
    int mxl_enter(mxl_runtime* rt, int most, int64_t work, int64_t grain) noexcept nogil
    void mxl_leave(mxl_runtime* rt, int nt) noexcept nogil
