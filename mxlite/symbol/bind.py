"""bind, simple_bind: from a symbol and arrays (or shapes) to an Executor."""
from .._core import dtypes as _dtypes
from .._core import ndarray as _nd
from .._core.collector import paused
from .._core.context import Context, check_usable, current_context
from .._core.errors import MXNetError
from .._core.executor import Bound, check_sizes
from .._core.graph import Indexed, variables
from .._core.infer import infer_dtypes, infer_shapes, where_text
from .._core.place import group_context
from ..ndarray import NDArray
from ..ops.record import near, show
from .inference import declared, known_shapes, named, variable_dtype

GRAD_REQ = ("null", "write", "add")
STORAGE_TYPES = ("default", "row_sparse", "csr")


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
    for n, r in zip(names, out):
        if r not in GRAD_REQ:
            raise ValueError(f"grad_req must be in {GRAD_REQ}, got {r!r} for {n!r}")
    return out


def _same_name_twice(nodes):
    seen = set()
    for n in nodes:
        if n.name in seen:
            raise MXNetError(f"two different variables are named {n.name!r}: rename one, or use one Variable twice"
                             + (f"\n  made at {n.where}" if n.where else ""))
        seen.add(n.name)


def _groups(group2ctx, what):
    """`group2ctx` as a dict of usable contexts by group name; None or an empty dict: the graph is on one context."""
    if not group2ctx:
        return None
    if not isinstance(group2ctx, dict):
        raise TypeError(f"{what}: group2ctx must be a dict of contexts by ctx_group, got {type(group2ctx).__name__}")
    for group, ctx in group2ctx.items():
        if not isinstance(ctx, Context):
            raise TypeError(f"{what}: group2ctx[{group!r}] must be a Context such as mx.cpu(1), got "
                            f"{type(ctx).__name__}")
        check_usable(ctx)
    return dict(group2ctx)


def _check_contexts(nodes, arrays, ctx, groups):
    """MXNetError for an array that lies elsewhere than where its variable is placed."""
    for n, a in zip(nodes, arrays):
        if groups is None:
            if a.context is not ctx:
                raise MXNetError(f"bind: array {n.name!r} is on {a.context}, the executor on {ctx}; copy it with "
                                 f"as_in_context({ctx}), or place parts of the graph with group2ctx")
            continue
        wanted = group_context(n, groups)
        if wanted is not None and a.context is not wanted:
            raise MXNetError(f"bind: array {n.name!r} is on {a.context}, its ctx_group {n.attrs['__ctx_group__']!r} on "
                             f"{wanted}; copy it with as_in_context({wanted})" + where_text(n))


def variable_contexts(symbol, ctx, group2ctx):
    """{variable name: the context that its array belongs on} for a bind with `group2ctx`."""
    groups = _groups(group2ctx, "bind") or {}
    arg_nodes, aux_nodes = variables(symbol._entries)
    return {n.name: (group_context(n, groups) if groups else None) or ctx for n in arg_nodes + aux_nodes}


def bind(*args, **kwargs):
    """:func:`bind_arrays`, and the garbage collector waits."""
    with paused():
        return bind_arrays(*args, **kwargs)


def bind_arrays(symbol, ctx, args, args_grad=None, grad_req="write", aux_states=None, group2ctx=None, shared_exec=None):
    """An Executor of `symbol` over `args` (list or dict of NDArray), writing gradients into `args_grad`.

    `group2ctx`: contexts of the groups that ``AttrScope(ctx_group=...)`` made; what has no group is on `ctx`.
    ValueError for a missing array, TypeError for something that is none, MXNetError where shapes, dtypes or devices
    do not fit, with operator, node, inputs and line.
    """
    from ..executor import Executor
    if not isinstance(ctx, Context):
        raise TypeError("Context type error: expected mx.cpu() or mx.gpu(), got " + type(ctx).__name__)
    check_usable(ctx)
    groups = _groups(group2ctx, "bind")
    arg_nodes, aux_nodes = variables(symbol._entries)
    _same_name_twice(arg_nodes + aux_nodes)
    names = [n.name for n in arg_nodes]
    arg_arrays = _arrays(args, names, "args")
    grad_arrays = [None] * len(names) if args_grad is None else _arrays(args_grad, names, "args_grad", True)
    reqs = requests(grad_req, names)
    if aux_states is None:
        aux_states = []
    aux_arrays = _arrays(aux_states, [n.name for n in aux_nodes], "aux_states")
    _check_contexts(arg_nodes + aux_nodes, arg_arrays + aux_arrays, ctx, groups)
    for n, a, g, r in zip(names, arg_arrays, grad_arrays, reqs):
        if g is None or r == "null":
            continue
        if g.context is not a.context:
            raise MXNetError(f"bind: the gradient array of {n!r} is on {g.context}, the "
                             + (f"executor on {ctx}" if groups is None else f"argument on {a.context}"))
        if g.shape != a.shape:
            raise MXNetError(f"bind: the gradient array of {n!r} has shape {g.shape}, the argument {a.shape}")
        if g.dtype_name != a.dtype_name:
            raise MXNetError(f"bind: the gradient array of {n!r} has dtype {g.dtype_name}, the argument "
                             f"{a.dtype_name}")
    _is_executor(shared_exec)
    bound = Bound(symbol._entries, arg_nodes, aux_nodes, arg_arrays, grad_arrays, reqs, aux_arrays, ctx,
                  None if shared_exec is None else shared_exec._bound, groups)
    return Executor(symbol, bound, ctx, grad_req, group2ctx)


def _is_executor(shared_exec):
    from ..executor import Executor
    if shared_exec is not None and not isinstance(shared_exec, Executor):
        raise TypeError(f"shared_exec must be an Executor, got {type(shared_exec).__name__}")


def simple_bind(*args):
    """:func:`bind_shapes`, and the garbage collector waits."""
    with paused():
        return bind_shapes(*args)


def bind_shapes(symbol, ctx, grad_req, type_dict, stype_dict, group2ctx, shared_arg_names, shared_exec, shared_buffer,
                shapes):
    """An Executor with new arrays, all zero, in the shapes and dtypes that inference finds from `shapes`.

    Each array lies on its variable's context: that of its ctx_group in `group2ctx`, else `ctx`. Arrays are not all new
    where memory is shared: see :class:`_Maker`. RuntimeError, naming the given shapes, where something cannot be
    inferred or does not fit.
    """
    ctx = current_context() if ctx is None else ctx
    if not isinstance(ctx, Context):
        raise TypeError("Context type error: expected mx.cpu() or mx.gpu(), got " + type(ctx).__name__)
    check_usable(ctx)
    for name, stype in (stype_dict or {}).items():
        if stype not in STORAGE_TYPES:
            raise ValueError(f"stype_dict: {name!r} cannot be {stype!r}; storage types are {', '.join(STORAGE_TYPES)}")
        if stype != "default":
            raise MXNetError(f"simple_bind: {name!r} is to be {stype}; sparse storage types are not supported")
    if shared_buffer is not None and not isinstance(shared_buffer, dict):
        raise ValueError("shared_buffer in simple_bind must be dict or None")
    _is_executor(shared_exec)
    groups = _groups(group2ctx, "simple_bind")
    given = " Arguments:" + "".join(f"\n{k}: {v}" for k, v in shapes.items()) if shapes else ""
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
                f"{n.name}: {show(shape_of[g.entry((n, 0))])}" for n in missing)
                + "".join(f"\n{k!r} is no input" + "".join(f", did you mean {c!r}?" for c in near(k, known_names))
                          for k in shapes if k not in known_names))
        types = declared(g, variable_dtype)
        types.update(named(g, {k: _dtypes.name_of(v) for k, v in (type_dict or {}).items() if k in known_names},
                           "simple_bind"))
        dtype_of = _defaults(g, types)
        names = [n.name for n in arg_nodes]
        reqs = requests(grad_req, names)
        context_of = {n: ctx if groups is None else group_context(n, groups) or ctx for n in arg_nodes + aux_nodes}
        check_sizes(g, shape_of, dtype_of, ctx)
        make = _Maker(shared_arg_names, shared_exec, shared_buffer)
        specs = {n: (n.name, shape_of[g.entry((n, 0))], dtype_of[g.entry((n, 0))], context_of[n])
                 for n in arg_nodes + aux_nodes}
        arg_arrays = [make.argument(*specs[n]) for n in arg_nodes]
        args_grad = {n.name: make.gradient(*specs[n]) for n, r in zip(arg_nodes, reqs) if r != "null"}
        aux_arrays = [make.state(*specs[n]) for n in aux_nodes]
        return bind_arrays(symbol, ctx, arg_arrays, args_grad, reqs, aux_arrays, group2ctx, shared_exec)
    except (MXNetError, ValueError, TypeError) as e:
        raise RuntimeError(f"simple_bind error.{given}\n{e}") from None


class _Maker:
    """The arrays of a simple_bind: shared ones where sharing is asked for, else new ones of zeros.

    Arguments in `names` are those of the executor `shared`, as are their gradients, and, where there is a `buffer` too,
    its auxiliary states. All other arguments and gradients come from `buffer`, a dict of arrays by name (``"data"``,
    ``"grad of data"``): the memory found there is used for any shape that it can hold; what is missing or too small is
    made and put there. MXNetError where a shared array has another shape or dtype.
    """

    def __init__(self, names, shared, buffer):
        self.names, self.shared, self.buffer = set(names or ()), shared, buffer

    def argument(self, name, shape, dtype, ctx):
        if name in self.names and self.shared is not None and name in self.shared.arg_dict:
            return self._same(self.shared.arg_dict[name], f"argument {name!r}", shape, dtype, ctx)
        return self._buffered(name, name, shape, dtype, ctx)

    def gradient(self, name, shape, dtype, ctx):
        if name in self.names and self.shared is not None:
            found = self.shared.grad_dict.get(name)
            if found is not None:
                return self._same(found, f"gradient of {name!r}", shape, dtype, ctx)
        return self._buffered(name, f"grad of {name}", shape, dtype, ctx)

    def state(self, name, shape, dtype, ctx):
        if self.buffer is not None and self.shared is not None and name in self.shared.aux_dict:
            return self._same(self.shared.aux_dict[name], f"auxiliary state {name!r}", shape, dtype, ctx)
        return _zeros(shape, dtype, ctx)

    def _same(self, array, what, shape, dtype, ctx):
        if (array.shape, array.dtype_name, array.context) != (shape, dtype, ctx):
            raise MXNetError(f"the {what} of shared_exec is {array.shape} {array.dtype_name} on {array.context}; here "
                             f"it would be {shape} {dtype} on {ctx}")
        return array

    def _buffered(self, name, key, shape, dtype, ctx):
        if self.buffer is None or name in self.names:
            return _zeros(shape, dtype, ctx)
        found = self.buffer.get(key)
        if found is not None:
            if not isinstance(found, NDArray):
                raise TypeError(f"shared_buffer[{key!r}] must be an NDArray, got {type(found).__name__}")
            if found.dtype_name != dtype:
                raise MXNetError(f"shared_buffer[{key!r}] has dtype {found.dtype_name}, {dtype} is needed")
            size = 1
            for d in shape:
                size *= d
            if found.context is ctx and size <= found.size:
                return found if found.shape == shape else found.part(0, shape)
        self.buffer[key] = _zeros(shape, dtype, ctx)
        return self.buffer[key]


def _zeros(shape, dtype, ctx):
    array = _nd.empty(shape, dtype, ctx)
    array.fill_zero()
    return array


def _defaults(g, known):
    """dtypes by entry, with float32 for the variables that nothing decides."""
    dtypes = infer_dtypes(g, known)
    while True:
        open_rows = [row for row, n in enumerate(g.nodes) if n.op is None and dtypes[g.row_ptr[row]] is None]
        if not open_rows:
            return dtypes
        known[g.row_ptr[open_rows[0]]] = "float32"
        dtypes = infer_dtypes(g, known)
