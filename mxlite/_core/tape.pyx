# cython: language_level=3
"""The tape of ``mx.autograd``: imperative calls, kept as nodes of the same graph that symbols make.

While a thread records, every call on an array that a gradient is wanted for becomes a :class:`TapeNode`, which holds
the outputs' memory and knows its inputs' nodes. An array points at its node, a node never at an array that users hold,
so forgetting the result frees the graph.
"""
from mxlite._core.graph cimport Node
from mxlite._core.ndarray cimport NDArrayBase, twin
from .errors import MXNetError

cdef extern from *:
    """
    static __thread int mxl_flags;      /* each thread records, and trains, for itself */
    """
    int mxl_flags


cdef int flags() noexcept:
    return mxl_flags


def set_flag(bint recording, bint value):
    """Turn this thread's recording (else: training) flag on or off; returns what it was."""
    global mxl_flags
    cdef int bit = RECORDING if recording else TRAINING
    cdef bint was = (mxl_flags & bit) != 0
    mxl_flags = mxl_flags | bit if value else mxl_flags & ~bit
    return was


def is_recording():
    return (mxl_flags & RECORDING) != 0


def is_training():
    return (mxl_flags & TRAINING) != 0


cdef class TapeNode(Node):
    def written(self):
        """Note that the call itself wrote into the outputs: what they hold now is what it made."""
        self.made_at = [(<NDArrayBase>x).storage.version for x in self.saved]

    def release(self):
        """Let the saved arrays go: nobody goes through this node again."""
        self.saved = self.function = None


cdef TapeNode variable(NDArrayBase x):
    """A node for an array that no recorded call made."""
    cdef TapeNode node = TapeNode.__new__(TapeNode)
    node.op, node.name, node.inputs = None, "var", []
    node.n_out = node.n_visible = 1
    node.saved, node.context = [twin(x)], x.context
    node.grad_req = "null"
    return node


def mark(NDArrayBase x, grad, str grad_req):
    """Make `x` a variable whose gradient goes into `grad`; what it was computed from is forgotten."""
    cdef TapeNode node = variable(x)
    node.grad, node.grad_req = grad, grad_req
    x._entry = (node, 0)


def variable_of(x):
    """The node of a marked array, or None."""
    entry = (<NDArrayBase?>x)._entry
    if entry is None or (<Node>entry[0]).op is not None:
        return None
    return entry[0]


cdef bint any_entry(tuple inputs) noexcept:
    for x in inputs:
        if (<NDArrayBase>x)._entry is not None:
            return True
    return False


cdef TapeNode record(op, p, tuple inputs, list outputs, uint64_t seed, uint64_t step):
    """Keep the call that made `outputs` (all of them, hidden ones too) from `inputs`."""
    cdef TapeNode node = TapeNode.__new__(TapeNode)
    cdef NDArrayBase a
    cdef int i
    cdef list entries = [], read = [], saved = [], made = []
    for x in inputs:
        a = <NDArrayBase>x
        entries.append((variable(a), 0) if a._entry is None else a._entry)
        read.append(a.storage.version)
    node.op, node.p, node.name, node.inputs, node.read_at = op, p, op.name, entries, read
    node.n_out, node.n_visible = len(outputs), op.n_visible(p)
    for i, x in enumerate(outputs):
        a = <NDArrayBase>x
        saved.append(twin(a))
        made.append(a.storage.version)
        if i < node.n_visible:
            a._entry = (node, i)
    node.saved, node.made_at, node.seed, node.step = saved, made, seed, step
    node.is_train = (mxl_flags & TRAINING) != 0
    node.context = (<NDArrayBase>outputs[0]).context
    return node


def record_result(op, p, tuple inputs, NDArrayBase out):
    """Record that `out`, which was made without a call, is what ``op(*inputs)`` gives. Nothing runs."""
    if mxl_flags & RECORDING and any_entry(inputs):
        record(op, p, inputs, [out], 0, 0)


def record_function(op, p, inputs, outputs, function):
    """Record a call of Python code; `function` is asked for its gradient later."""
    cdef TapeNode node
    if mxl_flags & RECORDING and any_entry(tuple(inputs)):
        node = record(op, p, tuple(inputs), list(outputs), 0, 0)
        node.function = function


cpdef adopt(NDArrayBase x, NDArrayBase made):
    """Let `x`, which holds what `made` holds, take its place in the recorded graph."""
    cdef TapeNode node
    if made._entry is not None:
        node, i = made._entry
        node.saved[i], node.made_at[i] = twin(x), x.storage.version
    x._entry = made._entry


def check_writable(x):
    """MXNetError where this thread records and `x` belongs to what it recorded."""
    if mxl_flags & RECORDING:
        refuse_write("assignment", x)


cdef int refuse_write(str name, NDArrayBase out) except -1:
    if out._entry is not None:
        raise MXNetError(
            f"{name}: writing into an array of shape {out.shape} that is recorded would make its gradient wrong; "
            "compute a new array instead, or write outside autograd.record()")
    return 0
