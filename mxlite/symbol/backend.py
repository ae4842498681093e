"""``get_backend_symbol`` and ``optimize_for``: MXNet hands a graph to a backend that fuses operators.

Here the executor decides how a graph is run, so the graph for the CPU's backend is the graph itself.
Backends that only exist inside MXNet are refused, by name.
"""
from .._core.errors import MXNetError
from .._core.graph import substitute

BACKENDS = ("MKLDNN",)


def get_backend_symbol(symbol, backend):
    """See Symbol.get_backend_symbol."""
    if not isinstance(backend, str):
        raise TypeError(f"the backend is named by a text, got {type(backend).__name__}")
    if backend not in BACKENDS:
        raise MXNetError(f"there is no backend {backend!r}; {', '.join(BACKENDS)} is known, and stands for what the "
                         f"executor does anyway")
    return type(symbol)(substitute(symbol._entries, {}))


def optimize_for(symbol, backend, args, aux, shapes, dtypes, skip_infer):
    """See Symbol.optimize_for."""
    out = get_backend_symbol(symbol, backend)
    if skip_infer:
        return out
    shapes, dtypes = dict(shapes or {}), dict(dtypes or {})
    for given, names in ((args, symbol.list_arguments()), (aux, symbol.list_auxiliary_states())):
        if isinstance(given, (list, tuple)) and len(given) != len(names):
            raise MXNetError(f"optimize_for: {len(given)} arrays for {', '.join(names) or 'none'}")
        for n, a in (given.items() if isinstance(given, dict) else zip(names, given or ())):
            shapes.setdefault(n, a.shape)
            dtypes.setdefault(n, a.dtype)
    known = set(symbol.list_inputs())
    out.infer_shape_partial(**{k: v for k, v in shapes.items() if k in known})
    out.infer_type_partial(**{k: v for k, v in dtypes.items() if k in known})
    return out
