from libc.stdint cimport int64_t
from mxlite._core.abi cimport mxl_call, mxl_kernel, mxl_rng, mxl_tensor

ctypedef struct Instruction:
    mxl_kernel fn
    mxl_call call
    int look                     # look for Ctrl-C after this one

cdef mxl_kernel kernel_pointer(object capsule) except NULL
cdef int trampoline(mxl_call* c) noexcept with gil
cdef object take_pending()
cdef void enter_crowd() noexcept nogil       # around work without the GIL
cdef void leave_crowd() noexcept nogil

cdef class Program:
    """A C array of instructions; `boundary` is the first one of the backward half."""
    cdef Instruction* code
    cdef mxl_tensor* tensors
    cdef double* scalars
    cdef mxl_rng rng
    cdef readonly int n
    cdef public int boundary
    cdef readonly int once           # so many instructions in front prepare what a change of parameters makes stale
    cdef readonly int64_t work       # elements touched: decides whether the GIL is released
    cdef readonly bint random
    cdef readonly list rows          # instruction -> node row
    cdef list keep                   # what the instructions point at
    cdef bint releases
    cdef readonly int failed_code
    cdef readonly int failed_at
    cdef int loop(self, int begin, int end, int* at) noexcept nogil
    cpdef int run(self, int begin, int end, bint redraw=*) except -2
