"""``sym.op`` for every record, made on first use from the registry."""
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
