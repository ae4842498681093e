# cython: language_level=3
"""The gradient pass on a tape: the backward graph of recorded calls, run call by call.

The graph of a training step is the same one each time round, so what the gradient pass makes of it is kept as a list of
:class:`Step` under the graph's structure, and later steps go straight to running it.
"""
from mxlite._core.graph cimport Indexed, Node
from mxlite._core.abi cimport mxl_rng
from mxlite._core.invoke cimport OpFunction
from mxlite._core.ndarray cimport NDArrayBase, empty, twin
from mxlite._core.tape cimport TapeNode
from .errors import MXNetError
from .gradient import gradient, prune
from .graph import n_aux
from .tape import set_flag
from ..ops.function import FunctionBackward
from ..ops.record import RECORDS

cdef dict scripts = {}          # structure -> Script, oldest first
cdef enum:
    SCRIPTS_KEPT = 64
cdef dict functions = {}        # record -> OpFunction
cdef frozenset SHAPE_ONLY = frozenset(("zeros_like", "ones_like", "shape_array", "size_array"))     # read no element


cdef OpFunction function_of(op):
    found = functions.get(op)
    if found is None:
        found = functions[op] = OpFunction(op, op.name, None)
    return found


cdef class Step:
    """One backward call: entries in, entries out."""
    cdef OpFunction run         # None: a recorded Function is asked
    cdef object p
    cdef tuple scalars          # the values of its dynamic parameters
    cdef list plans             # of its calls
    cdef list inputs
    cdef int first, n_out
    cdef int drawn              # forward row whose random numbers (or Function) it takes; -1: none
    cdef int there_for          # forward row on whose device it runs; -1: where its inputs are
    cdef list dead              # entries that nobody needs after it


class Script:
    """The backward calls of one graph structure: steps, the head gradients' entries, and each variable's gradient."""

    __slots__ = ("steps", "heads", "grads", "n_entries", "reads")


cdef list check_heads(heads):
    entries = []
    for x in heads:
        entry = (<NDArrayBase?>x)._entry
        if entry is None:
            raise MXNetError(f"backward: the array of shape {x.shape} is not part of a recorded graph; compute it from "
                             "an array with attach_grad(), inside autograd.record()")
        entries.append(entry)
    return entries


cdef class Walk:
    """The recorded graph behind some entries, and its nodes' arrays: another thread may release them meanwhile."""
    cdef Indexed g
    cdef list saved                     # row -> the arrays over the node's outputs
    cdef list function                  # row -> its autograd.Function, or None


cdef Walk walk(list entries):
    """What lies behind `entries`. MXNetError where an earlier backward released it."""
    cdef TapeNode node
    cdef Walk w = Walk.__new__(Walk)
    w.g = Indexed(entries)
    w.saved, w.function = [], []
    for node in w.g.nodes:
        saved = node.saved
        if saved is None:
            raise MXNetError(f"backward: the graph that was recorded at {node.op.name} has been released by an earlier "
                             "backward(); pass retain_graph=True there to go through it again")
        w.saved.append(saved)
        w.function.append(node.function)
    return w


cdef object script_for(Walk w, list entries, list wrt):
    """The script of the graph behind `entries`, for the gradients of the variable rows `wrt`."""
    cdef NDArrayBase a
    cdef Indexed g = w.g
    cdef list shapes = [], dtypes = []
    for saved in w.saved:
        for a in saved:
            shapes.append(a.shape)
            dtypes.append(a.dtype_name)
    key = (tuple([(n.op, n.p) for n in g.nodes]), tuple([tuple(e) for e in g.inputs]), tuple(g.heads), tuple(wrt),
           tuple(shapes), tuple(dtypes))
    script = scripts.get(key)
    if script is None:
        script = make_script(Indexed(entries), shapes, dtypes, wrt)
        if len(scripts) >= SCRIPTS_KEPT:
            scripts.pop(next(iter(scripts)), None)
        scripts[key] = script
    return script


cdef object make_script(Indexed g, list shapes, list dtypes, wrt):
    cdef int n_forward = len(g.nodes), row
    cdef Step step
    cdef Node node
    made_for = []
    heads, grads = gradient(g, shapes, dtypes, wrt, made_for)
    script = Script()
    script.steps, script.n_entries = [], g.n_entries
    script.grads = grads
    keep = [e for e in grads.values() if e is not None]
    rows = prune(g, keep)
    used, read = set(keep), set()
    for row in reversed(rows):
        node = g.nodes[row]
        if row < n_forward or node.op is None:
            continue
        step = Step.__new__(Step)
        step.p, step.inputs = node.p, g.inputs[row]
        step.run = None if node.op is FunctionBackward else function_of(node.op)
        step.scalars = tuple([0.0 if getattr(node.p, k) is None else float(getattr(node.p, k))
                              for k in node.op.dynamic])
        step.plans = []
        step.first, step.n_out = g.row_ptr[row], node.n_out
        step.drawn = -1 if node.rng_of is None else g.row_of[node.rng_of]
        of = made_for[row - n_forward]
        step.there_for = -1 if of is None else g.row_of[of]
        ids = {*step.inputs, *range(step.first, step.first + step.n_out)}
        step.dead = sorted(ids - used)
        used |= ids
        if node.op.name not in SHAPE_ONLY:
            read.update(step.inputs)
        script.steps.append(step)
    script.steps.reverse()
    script.heads = [g.entry(h) for h in heads]
    script.reads = read
    return script


cdef int check_unchanged(Walk w, reads) except -1:
    """MXNetError where an array that the backward calls read was written since it was recorded."""
    cdef TapeNode node
    cdef Indexed g = w.g
    cdef int row, i, e
    cdef list now = [(<NDArrayBase>a).storage.version for saved in w.saved for a in saved]      # by entry
    for row in range(len(g.nodes)):
        node = g.nodes[row]
        if node.op is None:
            continue
        for i in range(node.n_out):
            e = g.row_ptr[row] + i
            if e in reads and now[e] != node.made_at[i]:
                raise MXNetError(f"backward: output {i} of {node.op.name}, shape {w.saved[row][i].shape}, was "
                                 "overwritten after it was recorded, so its gradient cannot be computed")
        for i in range(len(node.inputs) - n_aux(node)):     # calls and gradients move auxiliary states themselves
            e = g.inputs[row][i]
            if e in reads and now[e] != node.read_at[i]:
                raise MXNetError(f"backward: input {i} of {node.op.name} was overwritten after it was recorded, so its "
                                 "gradient cannot be computed; write into arrays after backward()")
    return 0


cdef list run(Walk w, script, list head_grads, bint create_graph, bint train_mode, dict targets):
    """Run the script's steps, recorded if the thread records; returns the entries' arrays. `targets`: entry -> array
    that it may be computed into."""
    cdef list values = [None] * script.n_entries
    cdef Step step
    cdef TapeNode drawn
    cdef mxl_rng rng
    cdef NDArrayBase a, t
    cdef Indexed g = w.g
    cdef int e, row, i, n_forward = len(g.nodes)
    for row in range(n_forward):
        i = 0
        for a in w.saved[row]:
            if create_graph:                # a fresh array that knows its node, so that what follows is recorded
                t = twin(a)
                t._entry = (g.nodes[row], i)
                a = t
            values[g.row_ptr[row] + i] = a
            i += 1
    for i, x in zip(script.heads, head_grads):
        values[i] = x
    was_training = set_flag(False, train_mode)
    try:
        for step in script.steps:
            inputs = [values[e] for e in step.inputs]
            if step.there_for >= 0:
                context = (<TapeNode>g.nodes[step.there_for]).context
                for i, x in enumerate(inputs):
                    if (<NDArrayBase>x).context is not context:
                        inputs[i] = x.as_in_context(context)
            drawn = None if step.drawn < 0 else g.nodes[step.drawn]
            if step.run is None:
                outputs = call_backward(w, step.drawn, inputs)
            else:
                out = None
                if step.n_out == 1 and targets is not None:
                    out = targets.get(step.first)
                    if out is not None and (
                            not inputs or (<NDArrayBase>out).context is not (<NDArrayBase>inputs[0]).context):
                        out = None
                if drawn is not None:
                    set_flag(False, drawn.is_train)
                    rng.seed, rng.step = drawn.seed, drawn.step
                if inputs or step.there_for < 0:
                    outputs = step.run.apply_kept(step.plans, step.p, step.scalars, tuple(inputs), out,
                                                  NULL if drawn is None else &rng)
                else:
                    with context:       # a constant, made where it is read
                        outputs = step.run.apply_kept(step.plans, step.p, step.scalars, (), out,
                                                      NULL if drawn is None else &rng)
                if drawn is not None:
                    set_flag(False, train_mode)
            for i in range(step.n_out):
                values[step.first + i] = outputs[i]
            for e in step.dead:
                values[e] = None
    finally:
        set_flag(False, was_training)
    return values


cdef list call_backward(Walk w, int row, list dys):
    """The gradients that a recorded autograd.Function gives for its inputs, checked. It gets copies: what it does to
    its arguments is its own business, and others read the same gradients."""
    function = w.function[row]
    name = type(function).__name__
    result = function.backward(*[copy(x) for x in dys])
    result = list(result) if isinstance(result, (list, tuple)) else [result]
    if len(result) != len(w.g.inputs[row]):
        raise MXNetError(f"{name}.backward returned {len(result)} gradients for {len(w.g.inputs[row])} inputs")
    for i, (x, (node, k)) in enumerate(zip(result, (<Node>w.g.nodes[row]).inputs)):
        if not isinstance(x, NDArrayBase):
            raise TypeError(f"{name}.backward: gradient {i} must be an NDArray, got {type(x).__name__}")
        like = w.saved[w.g.row_of[node]][k]
        if x.shape != like.shape:
            raise MXNetError(f"{name}.backward: gradient {i} has shape {x.shape}, the input {like.shape}")
        if x.dtype_name != like.dtype_name:
            result[i] = x.astype(like.dtype_name)
    return result


cdef list head_arrays(heads, given):
    """One gradient a head: the given one, checked, or ones."""
    out = []
    for i, x in enumerate(heads):
        g = None if given is None else given[i]
        if g is None:
            g = ones(x)
        elif not isinstance(g, NDArrayBase):
            raise TypeError(f"head gradient {i} must be an NDArray or None, got {type(g).__name__}")
        elif g.shape != x.shape:
            raise MXNetError(f"backward: head gradient {i} has shape {g.shape}, the array {x.shape}")
        elif g.dtype_name != x.dtype_name:
            g = g.astype(x.dtype_name)
        out.append(g)
    return out


def backward(heads, head_grads, bint retain_graph, bint train_mode):
    """Gradients of `heads` into the arrays attached to every variable behind them."""
    was = set_flag(True, False)             # called while recording, too: nothing of this is recorded
    try:
        backward_unrecorded(heads, head_grads, retain_graph, train_mode)
    finally:
        set_flag(True, was)


cdef int backward_unrecorded(heads, head_grads, bint retain_graph, bint train_mode) except -1:
    cdef TapeNode node
    cdef list entries = check_heads(heads), given = head_arrays(heads, head_grads)
    cdef Walk w = walk(entries)
    wrt = [row for row, node in enumerate(w.g.nodes) if node.op is None and node.grad_req != "null"]
    if not wrt:
        raise MXNetError("backward: no array behind these was given a gradient; call attach_grad() on those that "
                         "should have one, before recording")
    script = script_for(w, entries, wrt)
    check_unchanged(w, script.reads)
    values = run(w, script, given, False, train_mode, targets_of(w, script, wrt, given))
    for row in wrt:
        node = w.g.nodes[row]
        e = script.grads[row]
        if node.grad_req == "add":
            if e is not None:
                accumulate(node.grad, values[e])
        elif e is None:
            node.grad.fill_zero()
        elif values[e] is not node.grad:
            node.grad.copy_from(values[e])
    if not retain_graph:
        release(w.g)
    return 0


cdef dict targets_of(Walk w, script, wrt, given):
    """entry -> the attached array that its gradient can be computed into: nobody reads it or its memory meanwhile."""
    cdef TapeNode node
    cdef NDArrayBase a
    cdef dict out = {}
    cdef set taken = set(), read = {id((<NDArrayBase>x).storage) for x in given}
    for saved in w.saved:
        for a in saved:
            read.add(id(a.storage))
    for row in wrt:
        node = w.g.nodes[row]
        e = script.grads[row]
        a = node.grad
        if (e is not None and node.grad_req == "write" and e not in taken and e not in script.reads
                and id(a.storage) not in read):
            out[e] = a
            read.add(id(a.storage))
        taken.add(e)
    return out


def grad(heads, variables, head_grads, bint retain_graph, bint create_graph, bint train_mode):
    """New arrays: the gradients of `heads` with respect to the marked arrays `variables`."""
    was = set_flag(True, create_graph)
    try:
        return grad_recorded(heads, variables, head_grads, retain_graph, create_graph, train_mode)
    finally:
        set_flag(True, was)


cdef list grad_recorded(heads, variables, head_grads, bint retain_graph, bint create_graph, bint train_mode):
    cdef list entries = check_heads(heads), given = head_arrays(heads, head_grads), rows = [], out = []
    cdef Walk w = walk(entries)
    for i, x in enumerate(variables):
        entry = (<NDArrayBase?>x)._entry
        if entry is None or (<Node>entry[0]).op is not None:
            raise MXNetError(f"grad: variable {i} of shape {x.shape} has no gradient attached; call attach_grad() on "
                             "it before recording")
        row = w.g.row_of.get(entry[0])
        if row is None:
            raise MXNetError(f"grad: variable {i} of shape {x.shape} cannot be reached from the heads")
        rows.append(row)
    script = script_for(w, entries, sorted(set(rows)))
    check_unchanged(w, script.reads)
    values = run(w, script, given, create_graph, train_mode, None)
    # Memory that is the graph's, the caller's or an earlier result's: a Function may give back what it was given.
    own = {id((<NDArrayBase>a).storage) for saved in w.saved for a in saved}
    own.update([id((<NDArrayBase>a).storage) for a in given])
    for row, x in zip(rows, variables):
        e = script.grads[row]
        if e is None:
            new = empty(x.shape, x.dtype_name, x.context)
            new.fill_zero()
        else:
            new = values[e].as_in_context(x.context)
            if id((<NDArrayBase>new).storage) in own:
                new = copy(new)
        own.add(id((<NDArrayBase>new).storage))
        out.append(new)
    if not retain_graph:
        release(w.g)
    return out


cdef object accumulate(to, value):
    op = RECORDS["_accumulate"]
    function_of(op).apply(op.parse({}), (to, value.as_in_context(to.context)), to)


cdef object ones(x):
    op = RECORDS["ones_like"]
    return function_of(op).apply(op.parse({}), (x,))[0]


cdef object copy(x):
    op = RECORDS["_copy"]
    return function_of(op).apply(op.parse({}), (x,))[0]


cdef int release(Indexed g) except -1:
    cdef TapeNode node
    for node in g.nodes:
        if node.op is not None:
            node.release()
    return 0
