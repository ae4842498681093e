"""Shape and dtype inference as MXNet's users call it."""
import numpy as np

from .._core import dtypes as _dtypes
from .._core.errors import MXNetError
from .._core.graph import Indexed, variables
from .._core.infer import infer_dtypes, infer_shapes
from ..ops import types


def partial(shape):
    """MXNet's spelling of a partial shape (0 or -1 unknown, () nothing known) as ours (None unknown)."""
    if len(shape) == 0:
        return None
    return tuple(None if d in (0, -1) else int(d) for d in shape)


def variable_shape(node):
    """The shape that a variable was declared with, None where there is none."""
    text = node.attrs.get("__shape__")
    if text is None:
        return None
    try:
        return partial(types.shape(text))
    except ValueError:
        raise MXNetError(f"variable {node.name!r} has the attribute __shape__={text!r}, which is no shape") from None


def variable_dtype(node):
    """The dtype name that a variable was declared with, None where there is none."""
    text = node.attrs.get("__dtype__")
    if text is None or text == "-1":
        return None
    try:
        return types.dtype(int(text)) if text.lstrip("-").isdigit() else types.dtype(text)
    except ValueError:
        raise MXNetError(f"variable {node.name!r} has the attribute __dtype__={text!r}, which is no dtype") from None


def declared(g, of):
    """Entry id -> what `of` (variable_shape or variable_dtype) says of each variable of `g`."""
    known = {}
    for row, node in enumerate(g.nodes):
        if node.op is None:
            value = of(node)
            if value is not None:
                known[g.row_ptr[row]] = value
    return known


def named(g, given, what):
    """Entry id -> value for the variables named in the dict `given`; MXNetError for a name that does not exist."""
    rows = {}
    for row, node in enumerate(g.nodes):
        if node.op is None:
            rows.setdefault(node.name, []).append(row)
    out = {}
    for k, v in given.items():
        if k not in rows:
            listed = "\n".join(f"\t[{i}]{n}" for i, n in enumerate(rows))
            raise MXNetError(f"{what}: argument name {k} not found.\nCandidate arguments:\n{listed}")
        for row in rows[k]:
            out[g.row_ptr[row]] = v
    return out


def known_shapes(g, given, what):
    """Entry id -> shape, from the dict `given` and the variables' declarations: a declared shape counts where none is
    given, or one that is not fully known, as in MXNet."""
    known = {e: partial(s) for e, s in named(g, given, what).items()}
    for e, s in declared(g, variable_shape).items():
        if known.get(e) is None or None in known[e]:
            known[e] = s
    return {e: s for e, s in known.items() if s is not None}


def gather(symbol, args, kwargs, what, check):
    """The given values by name, from positional (in order of arguments) or keyword arguments."""
    if args and kwargs:
        raise ValueError("Can only specify known argument shapes either by positional or kwargs way.")
    if args:
        names = symbol.list_arguments()
        if len(args) > len(names):
            raise MXNetError(f"{what}: {len(args)} values for {len(names)} arguments")
        kwargs = {k: v for k, v in zip(names, args) if v is not None}
    for k, v in kwargs.items():
        check(k, v)
    return kwargs


def _is_shape(k, v):
    if not isinstance(v, tuple):
        hint = f"; a shape of one axis is written ({v},)" if isinstance(v, int) else ""
        raise TypeError(f"Arguments need to be shapes (tuple), but '{k}' is {type(v)}.{hint}")
    for d in v:
        if not hasattr(d, "__index__") or d < -1:
            raise TypeError(f"Shape {v} of '{k}' must hold integers, 0 or -1 where unknown.")


def infer_shape(symbol, as_partial, args, kwargs):
    """See Symbol.infer_shape; returns (None, warning text) where something stays unknown."""
    given = gather(symbol, args, kwargs, "infer_shape", _is_shape)
    g = Indexed(symbol._entries)
    shapes = infer_shapes(g, known_shapes(g, given, "infer_shape"))
    args_, aux = variables(symbol._entries)
    groups = [[shapes[g.entry((n, 0))] for n in args_], [shapes[e] for e in g.heads],
              [shapes[g.entry((n, 0))] for n in aux]]
    if not as_partial and any(s is None or None in s for group in groups for s in group):
        missing = "\n\t".join(f"{n.name}: {mxnet_shape(shapes[g.entry((n, 0))])}" for n in args_
                              if shapes[g.entry((n, 0))] is None or None in shapes[g.entry((n, 0))])
        return None, ("Cannot decide shape for the following arguments (0s in shape means unknown dimensions). "
                      f"Consider providing them as input:\n\t{missing}")
    return tuple([mxnet_shape(s) for s in group] for group in groups)


def mxnet_shape(shape):
    """Our partial shape in MXNet's spelling."""
    return () if shape is None else tuple(0 if d is None else d for d in shape)


def infer_type(symbol, as_partial, args, kwargs):
    """See Symbol.infer_type; returns (None, warning text) where something stays unknown."""
    given = gather(symbol, args, kwargs, "infer_type", lambda k, v: None)
    try:
        given = {k: _dtypes.name_of(v) for k, v in given.items()}
    except TypeError as e:
        raise TypeError(f"infer_type: {e}") from None
    g = Indexed(symbol._entries)
    known = declared(g, variable_dtype)
    known.update(named(g, given, "infer_type"))
    dtypes = infer_dtypes(g, known)
    args_, aux = variables(symbol._entries)
    groups = [[dtypes[g.entry((n, 0))] for n in args_], [dtypes[e] for e in g.heads],
              [dtypes[g.entry((n, 0))] for n in aux]]
    if not as_partial and any(d is None for group in groups for d in group):
        missing = "\n\t".join(n.name for n in args_ if dtypes[g.entry((n, 0))] is None)
        return None, ("Cannot decide type for the following arguments. Consider providing them as input:\n\t"
                      + missing)
    return tuple([None if d is None else numpy_type(d) for d in group] for group in groups)


def numpy_type(name):
    """What infer_type shows: NumPy's scalar type (``np.bool_`` for bool)."""
    return np.bool_ if name == "bool" else _dtypes.public(name)
