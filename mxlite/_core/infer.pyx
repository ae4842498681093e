# cython: language_level=3
"""Shape and dtype inference: every record's rule applied in both directions until nothing new is learnt."""
from mxlite._core.abi cimport MXL_MAXDIM
from mxlite._core.graph cimport Indexed, Node
from .blame import blame
from .errors import MXNetError
from ..ops.record import same_dtype, same_shape, show, unify

cdef object SAME_SHAPE = same_shape, SAME_DTYPE = same_dtype


def where_text(Node node):
    return f"\n  made at {node.where}" if node.where else ""


def node_error(Node node, names, shapes, error, outs=None):
    """The MXNetError for `error` in `node`, showing every input with what is known of it."""
    lines = [f"{node.op.name} node {node.name!r}: {error}"]
    for name, (child, _), s in zip(names, node.inputs, shapes):
        lines.append(f"  {name} = {child.name}: {s if isinstance(s, str) else show(s)}")
    for s in outs or ():
        if s is not None:
            lines.append(f"  output: {s if isinstance(s, str) else show(s)}")
    return MXNetError("\n".join(lines) + where_text(node))


def input_labels(Node node):
    """Names of the node's inputs, auxiliary states last."""
    aux = node.op.aux_names(node.p)
    return list(node.op.input_names(node.p, len(node.inputs) - len(aux))) + list(aux)


def check_shape(s):
    """ValueError where the (partial) shape `s` is none that an array can have."""
    if s is None:
        return
    if len(s) > MXL_MAXDIM:
        raise ValueError(f"an array has at most {MXL_MAXDIM} axes, the output would have {len(s)}")
    for d in s:
        if d is not None and d < 0:
            raise ValueError(f"the output's shape {show(s)} has a negative dimension")


def labels_of(Node node):
    """`input_labels` for a message about a node whose own rules may be what is broken."""
    try:
        return input_labels(node)
    except Exception:
        return [f"input{i}" for i in range(len(node.inputs))]


cdef bint complete(object s):
    return s is not None and None not in <tuple>s


cdef bint same(a, b):
    return a is b or a == b


def infer_shapes(Indexed g, dict known):
    """Shapes by entry id. `known` maps entry ids to (partial) shapes; None is unknown. MXNetError where two nodes
    disagree, naming the operator, its inputs and the user's line."""
    cdef list shapes = [None] * g.row_ptr[-1]
    for e, s in known.items():
        shapes[e] = s
    sweep(g, shapes, False)
    return shapes


def infer_dtypes(Indexed g, dict known):
    """dtype names by entry id, None where unknown."""
    cdef list dtypes = [None] * g.row_ptr[-1]
    for e, d in known.items():
        dtypes[e] = d
    sweep(g, dtypes, True)
    return dtypes


cdef int sweep(Indexed g, list values, bint dtypes) except -1:
    cdef list done = [False] * len(g.nodes)
    cdef bint changed = True
    cdef int row, n = len(g.nodes)
    while changed:
        changed = False
        for row in range(n):
            if visit(g, row, values, done, dtypes):
                changed = True
        if not changed or False not in done:
            break
        for row in range(n - 1, -1, -1):
            if visit(g, row, values, done, dtypes):
                changed = True
    return 0


cdef bint visit(Indexed g, int row, list values, list done, bint dtypes) except -1:
    """Apply one node's rule; True where it taught something."""
    cdef Node node = <Node>g.nodes[row]
    cdef int i, first = g.row_ptr[row]
    cdef bint news = False, full
    cdef list ins, outs
    if done[row]:
        return False
    if node.op is None:
        done[row] = True
        return False
    if (node.op.infer_dtype is SAME_DTYPE if dtypes else node.op.infer is SAME_SHAPE) and alike(
            values, <list>g.inputs[row], first, node.n_out, dtypes, &news):
        done[row] = True
        return news
    ins = [values[e] for e in <list>g.inputs[row]]
    outs = [values[first + i] for i in range(node.n_out)]
    try:
        if dtypes:
            new_ins, new_outs = node.op.infer_dtype(node.p, list(ins), list(outs))
        else:
            new_ins, new_outs = node.op.infer(node.p, list(ins), list(outs))
        for s in () if dtypes else new_outs:
            check_shape(s)
    except ValueError as e:
        labels = labels_of(node)
        hint = blame(node.op.infer_dtype if dtypes else node.op.infer, node.p, ins, outs, labels,
                     [(<Node>child).op is None for child, _ in node.inputs])
        raise node_error(node, labels, ins, f"{e}{hint}", outs) from None
    except Exception as e:
        # A rule that cannot yet work with what is unknown learns nothing; one that fails on full knowledge is a bug.
        if isinstance(e, (TypeError, IndexError, AttributeError)) and (
                None in ins or (not dtypes and any(s is not None and None in s for s in ins))):
            return False
        raise node_error(node, labels_of(node), ins, f"{type(e).__name__}: {e}", outs) from e
    full = True
    for i, (e, old, new) in enumerate(zip(g.inputs[row], ins, new_ins)):
        if new is not None and not same(old, new):
            merged = merge(node, old, new, dtypes, i, ins, outs)
            if not same(merged, old):
                values[e] = merged
                news = True
        full = full and (values[e] is not None if dtypes else complete(values[e]))
    for i, (old, new) in enumerate(zip(outs, new_outs)):
        if new is not None and not same(old, new):
            merged = merge(node, old, new, dtypes, -1 - i, ins, outs)
            if not same(merged, old):
                values[first + i] = merged
                news = True
        full = full and (values[first + i] is not None if dtypes else complete(values[first + i]))
    if full and not news:
        done[row] = True
    elif full:
        done[row] = True        # everything is known and has just been checked against the rule
    return news


cdef bint plain_shape(tuple s):
    """Is `s` a shape that an array can have, all of it known?"""
    if len(s) > MXL_MAXDIM:
        return False
    for d in s:
        if d is None or d < 0:
            return False
    return True


cdef bint alike(list values, list ins, int first, int n_out, bint dtypes, bint* news) except -1:
    """What `same_shape` and `same_dtype` say, where all that is known agrees and is enough. False, and nothing done,
    where the rule itself has to be asked."""
    cdef int i
    cdef object known = None, v
    for e in ins:
        v = values[e]
        if v is None:
            if dtypes:
                continue
            return False
        if known is None:
            if not dtypes and not plain_shape(<tuple>v):
                return False
            known = v
        elif not same(v, known):
            return False
    if known is None:
        return False
    for i in range(first, first + n_out):
        if values[i] is not None and not same(values[i], known):
            return False
    for i in range(first, first + n_out):
        if values[i] is None:
            values[i] = known
            news[0] = True
    for e in ins:
        if values[e] is None:
            values[e] = known
            news[0] = True
    return True


cdef object merge(Node node, old, new, bint dtypes, int which, ins, outs):
    if dtypes:
        if old is None or old == new:
            return new
        what = f"input {input_labels(node)[which]!r}" if which >= 0 else f"output {-1 - which}"
        raise node_error(node, input_labels(node), [d or "unknown" for d in ins],
                         f"{what} has dtype {old}, expected {new}")
    try:
        return unify(old, tuple(new))
    except ValueError:
        what = f"input {input_labels(node)[which]!r}" if which >= 0 else f"output {-1 - which}"
        raise node_error(node, input_labels(node), ins,
                         f"{what} has shape {show(old)}, expected {show(tuple(new))}", outs) from None
