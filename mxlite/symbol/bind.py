"""bind, simple_bind: from a symbol and arrays (or shapes) to an Executor."""
from .._core import dtypes as _dtypes
from .._core import ndarray as _nd
from .._core.context import Context, check_usable, current_context
from .._core.errors import MXNetError
from .._core.executor import Bound, check_sizes
from .._core.graph import Indexed, variables
from .._core.infer import infer_dtypes, infer_shapes
from ..ndarray import NDArray
from .inference import declared, known_shapes, mxnet_shape, named, variable_dtype

GRAD_REQ = ("null", "write", "add")


def _arrays(given, names, what, partial_ok=False):
    """The arrays for `names` from a list or dict; None where a dict lacks one and `partial_ok`."""

    if isinstance(given, dict):
        out = []
        for n in names:
            if n not in given and not partial_ok:
                near = ", ".join(sorted(given)) or "nothing"
                raise ValueError(f"key `{n}` is missing in `{what}`, which has {near}")
            out.append(given.get(n))
    elif isinstance(given, (list, tuple)):
        if len(given) != len(names):
            raise ValueError(f"Length of {what} does not match the number of arguments: {len(given)} arrays for "
                             f"{len(names)}: {', '.join(names)}")
        out = list(given)
    else:
        raise TypeError(f"Only accept list of NDArrays or dict of str to NDArray for {what}, got "
                        f"{type(given).__name__}")
    for n, a in zip(names, out):
        if a is None and partial_ok:
            continue
        if not isinstance(a, NDArray):
            raise TypeError(f"Only accept list of NDArrays or dict of str to NDArray: {what} {n!r} is "
                            f"{type(a).__name__}")
    return out


def requests(grad_req, names):
    """'write', 'add' or 'null' a name, from one text, a list, or a dict (names it lacks are 'null')."""
    if isinstance(grad_req, str):
        out = [grad_req] * len(names)
    elif isinstance(grad_req, (list, tuple)):
        if len(grad_req) != len(names):
            raise ValueError(f"grad_req has {len(grad_req)} entries for {len(names)} arguments")
        out = list(grad_req)
    elif isinstance(grad_req, dict):
        out = [grad_req.get(n, "null") for n in names]
    else:
        raise TypeError("grad_req must be a string, list or dict")
    for r in out:
        if r not in GRAD_REQ:
            raise ValueError(f"grad_req must be in {GRAD_REQ}, got {r!r}")
    return out


def _same_name_twice(nodes):
    seen = set()
    for n in nodes:
        if n.name in seen:
            raise MXNetError(f"two different variables are named {n.name!r}: rename one, or use one Variable twice"
                             + (f"\n  made at {n.where}" if n.where else ""))
        seen.add(n.name)


def bind(symbol, ctx, args, args_grad=None, grad_req="write", aux_states=None, group2ctx=None, shared_exec=None):
    """An Executor of `symbol` over `args` (list or dict of NDArray), writing gradients into `args_grad`.

    ValueError for a missing array, TypeError for something that is none, MXNetError where shapes, dtypes or devices
    do not fit, with operator, node, inputs and line.
    """
    from ..executor import Executor
    if not isinstance(ctx, Context):
        raise TypeError("Context type error: expected mx.cpu() or mx.gpu(), got " + type(ctx).__name__)
    check_usable(ctx)
    if group2ctx:
        raise MXNetError("bind: group2ctx (placing parts of a graph on several devices) is not supported")
    arg_nodes, aux_nodes = variables(symbol._entries)
    _same_name_twice(arg_nodes + aux_nodes)
    names = [n.name for n in arg_nodes]
    arg_arrays = _arrays(args, names, "args")
    grad_arrays = [None] * len(names) if args_grad is None else _arrays(args_grad, names, "args_grad", True)
    reqs = requests(grad_req, names)
    if aux_states is None:
        aux_states = []
    aux_arrays = _arrays(aux_states, [n.name for n in aux_nodes], "aux_states")
    for n, a in zip(names + [n.name for n in aux_nodes], arg_arrays + aux_arrays):
        if a.context != ctx:
            raise MXNetError(f"bind: array {n!r} is on {a.context}, the executor on {ctx}; copy it with "
                             f"as_in_context({ctx})")
    for n, a, g, r in zip(names, arg_arrays, grad_arrays, reqs):
        if g is None or r == "null":
            continue
        if g.context != ctx:
            raise MXNetError(f"bind: the gradient array of {n!r} is on {g.context}, the executor on {ctx}")
        if g.shape != a.shape:
            raise MXNetError(f"bind: the gradient array of {n!r} has shape {g.shape}, the argument {a.shape}")
        if g.dtype_name != a.dtype_name:
            raise MXNetError(f"bind: the gradient array of {n!r} has dtype {g.dtype_name}, the argument "
                             f"{a.dtype_name}")
    if shared_exec is not None and not isinstance(shared_exec, Executor):
        raise TypeError(f"shared_exec must be an Executor, got {type(shared_exec).__name__}")
    bound = Bound(symbol._entries, arg_nodes, aux_nodes, arg_arrays, grad_arrays, reqs, aux_arrays, ctx,
                  None if shared_exec is None else shared_exec._bound)
    return Executor(symbol, bound, ctx, grad_req, group2ctx)


def simple_bind(symbol, ctx, grad_req, type_dict, stype_dict, group2ctx, shared_arg_names, shared_exec, shared_buffer,
                shapes):
    """An Executor with new arrays, all zero, in the shapes and dtypes that inference finds from `shapes`.

    RuntimeError, naming the given shapes, where something cannot be inferred or does not fit.
    """
    ctx = current_context() if ctx is None else ctx
    if not isinstance(ctx, Context):
        raise TypeError("Context type error: expected mx.cpu() or mx.gpu(), got " + type(ctx).__name__)
    check_usable(ctx)
    if stype_dict and any(v != "default" for v in stype_dict.values()):
        raise MXNetError("simple_bind: sparse storage types are not supported")
    given = "\n".join(f"{k}: {v}" for k, v in shapes.items())
    try:
        g = Indexed(symbol._entries)
        arg_nodes, aux_nodes = variables(symbol._entries)
        _same_name_twice(arg_nodes + aux_nodes)
        known_names = {n.name for n in arg_nodes + aux_nodes}
        for k, v in shapes.items():
            if k in known_names and not isinstance(v, tuple):
                hint = f"; a shape of one axis is written ({v},)" if isinstance(v, int) else ""
                raise TypeError(f"the shape of {k!r} must be a tuple, got {type(v).__name__}{hint}")
        shape_of = infer_shapes(g, known_shapes(g, {k: v for k, v in shapes.items() if k in known_names},
                                                "simple_bind"))
        missing = [n for n in arg_nodes + aux_nodes
                   if shape_of[g.entry((n, 0))] is None or None in shape_of[g.entry((n, 0))]]
        if missing:
            raise MXNetError("these shapes cannot be inferred from what is given: " + ", ".join(
                f"{n.name}: {mxnet_shape(shape_of[g.entry((n, 0))])}" for n in missing))
        types = declared(g, variable_dtype)
        types.update(named(g, {k: _dtypes.name_of(v) for k, v in (type_dict or {}).items() if k in known_names},
                           "simple_bind"))
        dtype_of = _defaults(g, types)
        names = [n.name for n in arg_nodes]
        reqs = requests(grad_req, names)
    except (MXNetError, ValueError, TypeError) as e:
        raise RuntimeError(f"simple_bind error. Arguments:\n{given}\n{e}") from None

    check_sizes(g, shape_of, dtype_of)

    def make(nodes, old=None):
        out = []
        for n in nodes:
            e = g.entry((n, 0))
            shape, dtype = shape_of[e], dtype_of[e]
            found = old.get(n.name) if old else None
            if found is not None and found.shape == shape and found.dtype_name == dtype:
                out.append(found)
                continue
            array = _nd.empty(shape, dtype, ctx)
            array.fill_zero()
            out.append(array)
        return out
    shared = {}
    if shared_exec is not None and shared_arg_names:
        shared = {k: v for k, v in shared_exec.arg_dict.items() if k in set(shared_arg_names)}
    if shared_buffer is not None:
        shared = {**shared_buffer, **shared}
    arg_arrays = make(arg_nodes, shared)
    if shared_buffer is not None:
        shared_buffer.update(zip(names, arg_arrays))
    wanted = [n for n, r in zip(arg_nodes, reqs) if r != "null"]
    made = dict(zip(wanted, make(wanted)))
    args_grad = {n.name: made[n] for n in wanted}
    return bind(symbol, ctx, arg_arrays, args_grad, reqs, make(aux_nodes), group2ctx, shared_exec)


def _defaults(g, known):
    """dtypes by entry, with float32 for the variables that nothing decides."""
    dtypes = infer_dtypes(g, known)
    while True:
        open_rows = [row for row, n in enumerate(g.nodes) if n.op is None and dtypes[g.row_ptr[row]] is None]
        if not open_rows:
            return dtypes
        known[g.row_ptr[open_rows[0]]] = "float32"
        dtypes = infer_dtypes(g, known)
