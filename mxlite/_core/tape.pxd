from libc.stdint cimport int64_t, uint64_t
from mxlite._core.graph cimport Node
from mxlite._core.ndarray cimport NDArrayBase

cdef enum:
    TRAINING = 1
    RECORDING = 2

cdef class TapeNode(Node):
    """One recorded call, or an array that gradients stop at: a graph node with the arrays that it saw."""
    cdef readonly list saved             # arrays over the outputs' memory, hidden ones too; a variable: its own.
                                         # None once backward went through the node and let them go
    cdef list made_at                    # storage version of each output when it was made
    cdef list read_at                    # storage version of each input when it was read
    cdef readonly uint64_t seed, step    # the random numbers that the call drew
    cdef readonly bint is_train
    cdef readonly object context
    cdef public object grad              # a variable: the array that its gradient goes to, and how
    cdef public str grad_req
    cdef public object function          # a recorded autograd.Function

cdef int flags() noexcept
cdef bint any_entry(tuple inputs) noexcept
cdef TapeNode record(op, p, tuple inputs, list outputs, uint64_t seed, uint64_t step)
cpdef adopt(NDArrayBase x, NDArrayBase made)
cdef int refuse_write(str name, NDArrayBase out) except -1
