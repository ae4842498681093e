from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint32_t
from mxlite._core.abi cimport *

cdef enum:
    MOST = 16                # inputs and outputs of a planned call; longer ones take the heap

cdef class CallPlan:
    """What one kind of imperative call needs, resolved once."""
    cdef mxl_kernel fn           # NULL: the reference runs
    cdef object p, capsule, context
    cdef bytes args
    cdef tuple scalars
    cdef int n_in, n_out, n_visible, n_aux
    cdef mxl_tensor ins[MOST]
    cdef mxl_tensor outs[MOST]
    cdef int64_t work, size
    cdef int threads
    cdef bint random
    cdef object on_device        # runs the call on a GPU; None on the host
    cdef bint simple             # a kernel, one output, no random numbers
    cdef uint32_t may_alias      # bit k: output 0 may be written into input k's memory
    cdef int64_t epoch           # of the options that it was made under
    cdef bint fits(self, tuple inputs) noexcept
    cdef bint takes(self, PyObject** inputs, int n) noexcept

cdef CallPlan make_plan(str called, record, tuple inputs, p, ctx)
