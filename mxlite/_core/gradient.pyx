# cython: language_level=3
"""The gradient pass: forward graph in, forward and backward graph out, typed as it is built.

Shapes and dtypes are inferred before, so a record's `grad` may use them and no backward inference exists. Gradients
that meet at an entry are added as they arrive, which lets the planner add in place.
"""
from mxlite._core.graph cimport Indexed, Node
from mxlite._core.graph import n_aux
from .errors import MXNetError
from .infer import check_shape, labels_of, node_error, where_text
from ..ops.record import RECORDS, same_dtype, same_shape, show


cdef object SAME_SHAPE = same_shape, SAME_DTYPE = same_dtype


cdef bint alike(list values):
    """Are there values, known and all equal?"""
    if not values or values[0] is None:
        return False
    first = values[0]
    for v in values:
        if v is not first and v != first:
            return False
    return True


class Forward:
    """What a record's `grad` sees of the node it differentiates."""

    __slots__ = ("node", "p", "inputs", "outputs", "in_shapes", "out_shapes", "in_dtypes", "out_dtypes")


cdef class Builder:
    """The ``F`` of a `grad` rule: ``F.name(*entries, **params)`` appends a typed node and returns its entry, or a
    tuple of all its outputs."""
    cdef Indexed g
    cdef list shapes, dtypes
    cdef Node of                     # the forward node being differentiated: names and source line come from it
    cdef public list made_for        # appended row - first appended row -> the forward node that it is there for
    cdef dict parsed                 # (record, parameters) -> them parsed: a rule asks for few, a graph for thousands

    def __init__(self, Indexed g, list shapes, list dtypes):
        self.g, self.shapes, self.dtypes = g, shapes, dtypes
        self.made_for, self.parsed = [], {}

    cdef object parameters(self, record, dict params):
        """``record.parse(params)``."""
        key = (record, *[(k, type(v), v) for k, v in params.items()])
        try:
            p = self.parsed.get(key)
        except TypeError:                   # a list among them
            return record.parse(params)
        # Zeros of either sign are equal and stay apart.
        if p is None or (params and any([type(v) is float and not v for v in params.values()])):
            p = self.parsed[key] = record.parse(params)
        return p

    def __getattr__(self, name):
        record = RECORDS.get(name)
        if record is None:
            raise AttributeError(f"the gradient of {self.of.op.name} uses {name!r}, which is no operator")

        def build(*entries, _rng_of=None, **params):
            return self.node(record, self.parameters(record, params), list(entries),
                             None if _rng_of is None else _rng_of.node)
        return build

    cpdef object node(self, record, p, list entries, rng_of):
        """Append a node of `record` with parsed parameters; `rng_of`: the forward node that it belongs to."""
        cdef int row, i, n_out = len(record.output_names(p))
        cdef list ids = [self.g.entry(e) for e in entries], given = [self.shapes[e] for e in ids]
        if record.infer is SAME_SHAPE and alike(given):
            outs = [given[0]] * n_out
            ins = ()
        else:
            ins, outs = record.infer(p, list(given), [None] * n_out)
        for i, shape in enumerate(ins):
            if shape is not None and tuple(shape) != given[i]:
                raise MXNetError(f"{record.name} in a gradient: input {i} has shape {show(given[i])}, expected "
                                 f"{show(tuple(shape))}")
        given = [self.dtypes[e] for e in ids]
        if record.infer_dtype is SAME_DTYPE and alike(given):
            ins, kinds = (), [given[0]] * n_out
        else:
            ins, kinds = record.infer_dtype(p, list(given), [None] * n_out)
        for i, kind in enumerate(ins):
            if kind is not None and kind != given[i]:       # integer data under a float head gradient: x_int8 / 2.5
                entries[i] = self.node(RECORDS["Cast"], RECORDS["Cast"].parse({"dtype": kind}), [entries[i]], None)
        cdef Node node = Node(record, self.of.name + "_backward" if self.of is not None else record.name, {}, p,
                              entries, None if self.of is None else self.of.where)
        node.rng_of = rng_of
        row = self.g.add(node)
        self.made_for.append(self.of)
        for shape, kind in zip(outs, kinds):
            if shape is None or None in shape or kind is None:
                raise MXNetError(f"{record.name} in a gradient: inference does not give its outputs ({outs}, {kinds})")
            check_shape(shape)
            self.shapes.append(tuple(shape))
            self.dtypes.append(kind)
        if node.n_out == 1:
            return (node, 0)
        return tuple([(node, i) for i in range(node.n_out)])


def gradient(Indexed g, list shapes, list dtypes, wrt, list made_for=None):
    """Append the backward nodes for the gradients of the heads with respect to the variable rows `wrt`.

    Returns (head gradient variables: one (node, 0) a head, gradients: row -> entry id or None). `g`, `shapes` and
    `dtypes` grow. The head gradients are variables named ``_head_grad{i}``; those that no backward node reads are not
    needed. `made_for`, where given, grows by one forward node (or None) an appended row: the one that it is there for.
    """
    cdef Builder F = Builder(g, shapes, dtypes)
    if made_for is not None:
        F.made_for = made_for
    cdef int n_forward = len(g.nodes), row, i, k
    cdef Node node
    cdef list wanted = [False] * n_forward, pending = [None] * g.row_ptr[n_forward]
    wrt = set(wrt)
    for row in range(n_forward):
        node = <Node>g.nodes[row]
        wanted[row] = row in wrt if node.op is None else any([wanted[g.row_of[e[0]]] for e in node.inputs])
    heads = []
    for i, e in enumerate(list(g.heads)):
        node = Node(None, f"_head_grad{i}", {})
        g.add(node)
        F.made_for.append(None)
        shapes.append(shapes[e])
        dtypes.append(dtypes[e])
        heads.append((node, 0))
        arrive(F, pending, e, (node, 0))
    for row in range(n_forward - 1, -1, -1):
        node = <Node>g.nodes[row]
        if node.op is None or not wanted[row]:
            continue
        first = g.row_ptr[row]
        dys = [pending[first + i] for i in range(node.n_out)]
        # A loss declares its gradient whatever arrives, so also where nothing does: behind BlockGrad, say. And
        # auxiliary states move in backward, even if all gradients are zero.
        if node.op.grad is None or (not node.op.loss and n_aux(node) == 0 and all([d is None for d in dys])):
            continue
        F.of = node
        n = Forward()
        n.node, n.p, n.inputs = node, node.p, node.inputs
        n.outputs = [(node, i) for i in range(node.n_out)]
        n.in_shapes = [shapes[e] for e in g.inputs[row]]
        n.in_dtypes = [dtypes[e] for e in g.inputs[row]]
        n.out_shapes = [shapes[first + i] for i in range(node.n_out)]
        n.out_dtypes = [dtypes[first + i] for i in range(node.n_out)]
        for i in range(node.n_visible):
            if dys[i] is None and (node.n_visible > 1 or n_aux(node)):
                dys[i] = F.zeros_like(n.outputs[i])
        k = len(node.inputs) - n_aux(node)
        try:
            if k and all([0 in s for s in n.in_shapes[:k]]):    # no elements: rules divide by their number
                result = [F.zeros_like(e) for e in node.inputs[:k]]
            else:
                result = node.op.grad(F, n, *dys)
        except Exception as e:
            raise node_error(node, labels_of(node), n.in_shapes, f"its gradient cannot be built: {e}") from e
        result = list(result) if isinstance(result, list) or (
            isinstance(result, tuple) and not isinstance(result[0], Node)) else [result]
        if len(result) != k:
            raise MXNetError(f"the gradient rule of {node.op.name} returns {len(result)} gradients for {k} inputs"
                             + where_text(node))
        for e, d in zip(g.inputs[row], result):
            if d is None or not wanted[producer_row(g, e)]:
                continue
            got = shapes[g.entry(d)]
            if got != shapes[e]:
                raise MXNetError(f"the gradient rule of {node.op.name} gives a gradient of shape {show(got)} for an "
                                 f"input of shape {show(shapes[e])}" + where_text(node))
            if dtypes[g.entry(d)] != dtypes[e]:
                d = F.Cast(d, dtype=dtypes[e])
            arrive(F, pending, e, d)
    F.of = None
    return heads, {row: None if pending[g.row_ptr[row]] is None else g.entry(pending[g.row_ptr[row]])
                   for row in sorted(wrt)}


cdef int producer_row(Indexed g, int e) except -1:
    """The row of the node that makes entry e, by bisection of row_ptr."""
    cdef list ptr = g.row_ptr
    cdef int low = 0, high = len(ptr) - 1, mid
    while high - low > 1:
        mid = (low + high) // 2
        if <int>ptr[mid] <= e:
            low = mid
        else:
            high = mid
    return low


cdef int arrive(Builder F, list pending, int e, entry) except -1:
    """One more gradient for entry e: kept, or added to what is there."""
    cdef Node of = F.of
    if pending[e] is None:
        pending[e] = entry
    else:
        pending[e] = F.elemwise_add(pending[e], entry)
    return 0


def prune(Indexed g, list keep):
    """Rows that the entries `keep` need, in order: what is lowered."""
    cdef list needed = [False] * len(g.nodes)
    cdef int row
    for e in keep:
        needed[producer_row(g, e)] = True
    for row in range(len(g.nodes) - 1, -1, -1):
        if needed[row]:
            for e in <list>g.inputs[row]:
                needed[producer_row(g, e)] = True
    return [row for row in range(len(g.nodes)) if needed[row]]
