"""``sym.op`` for every record, made on first use from the registry; and the functions that are no single operator."""
from ..calls import signature
from ..ops.record import find
from .symbol import Symbol, call

_made = {}


def get(name):
    """The function that composes operator `name`. AttributeError, with near names, where there is none."""
    function = _made.get(name)
    if function is None:
        record = find(name)

        def function(*args, **kwargs):
            return call(record.name, name, *args, **kwargs)
        function.__name__ = function.__qualname__ = name
        function.__doc__ = record.__doc__
        function.__signature__ = signature(record, symbolic=True)
        function.__module__ = "mxlite.symbol"
        _made[name] = function
    return function


def two(name, arrays, scalar, reflected):
    """``sym.name(lhs, rhs)`` on symbols and numbers."""
    def function(left, right):
        if isinstance(left, Symbol):
            if isinstance(right, Symbol):
                return call(arrays, arrays, left, right)
            return call(scalar, scalar.replace("_scalar", "scalar"), left, scalar=right)
        if isinstance(right, Symbol):
            return call(reflected, reflected.replace("_scalar", "scalar"), right, scalar=left)
        raise TypeError(f"types ({type(left)}, {type(right)}) not supported: one must be a Symbol")
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"``{name}(left, right)`` element by element; either side may be a number."
    return function


def split_v2(ary, indices_or_sections, axis=0, squeeze_axis=False):
    """`ary` cut along `axis`: into so many equal sections (an int), or before the indices of a tuple.

    The symbol of all parts. `squeeze_axis` drops the axis where every part has length 1 along it.
    """
    if isinstance(indices_or_sections, int) and not isinstance(indices_or_sections, bool):
        indices, sections = [], indices_or_sections
    elif isinstance(indices_or_sections, (tuple, list, set)):
        indices, sections = [0, *indices_or_sections], 0
    else:
        raise ValueError(f"indices_or_sections must be an int or a tuple of ints, got "
                         f"{type(indices_or_sections).__name__}")
    return call("_split_v2", "_split_v2", ary, indices=indices, axis=axis, squeeze_axis=squeeze_axis,
                sections=sections)


def histogram(a, bins=10, range=None, **kwargs):
    """Counts of `a`'s values in `bins` equal bins over `range`, and the bins' edges; `bins` may be the edges' symbol.

    ValueError where `range` is missing: a symbol has no values to take it from.
    """
    if isinstance(bins, Symbol):
        return call("_histogram", "_histogram", a, bins, **kwargs)
    if isinstance(bins, int):
        if range is None:
            raise ValueError("null range is not supported in symbol mode")
        return call("_histogram", "_histogram", a, bin_cnt=bins, range=range, **kwargs)
    raise ValueError("bins argument should be either an integer or an NDArray")


def apply(symbol, *args, **kwargs):
    """``mx.apply(net, data=net2, name="both")``: ``net(data=net2, name="both")``, as MXNet's R package writes it."""
    if not isinstance(symbol, Symbol):
        raise TypeError(f"apply composes a Symbol, got {type(symbol).__name__}")
    return symbol(*args, **kwargs)


def arguments(symbol):
    """``mx.arguments(net)``: ``net.list_arguments()``, as MXNet's R package writes it."""
    if not isinstance(symbol, Symbol):
        raise TypeError(f"arguments lists those of a Symbol, got {type(symbol).__name__}")
    return symbol.list_arguments()
