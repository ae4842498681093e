"""``sym.op`` for every record, made on first use from the registry; and the functions that are no single operator."""
import numbers
import operator
from importlib import import_module

import numpy as np

from ..calls import signature
from ..opdoc import describe
from ..ops.record import find
from .symbol import Symbol, call

_made = {}


def get(name):
    """The function that composes operator `name`. AttributeError, with near names, where there is none."""
    function = _made.get(name)
    if function is None:
        function = _made[name] = SymbolFunction(find(name), name)
    return function


class _WhenAsked:
    """An attribute that `make` makes of a function when somebody asks; the class itself has `own` under that name."""

    def __init__(self, make, *own):
        self.make, self.own = make, own

    def __get__(self, function, cls):
        if function is not None:
            return self.make(function)
        if not self.own:
            raise AttributeError("only a function has it")
        return self.own[0]


class SymbolFunction:
    """A callable that composes one operator under one name. Docstring and signature are made when asked for."""

    def __init__(self, record, name, module="mxlite.symbol"):
        self.record, self.__name__, self.__qualname__, self.__module__ = record, name, name, module
        self._call = record.name, name

    def __call__(self, *args, **kwargs):
        return call(*self._call, *args, **kwargs)

    def __repr__(self):
        return f"<function {self.__name__}>"

    def __reduce__(self):
        return _unpickled, (self.__module__, self.__name__)

    __doc__ = _WhenAsked(lambda self: describe(self.record, self.__name__, symbolic=True), __doc__)
    __signature__ = _WhenAsked(lambda self: signature(self.record, symbolic=True))


def _unpickled(module, name):
    return getattr(import_module(module), name)


NUMBERS = {"power": operator.pow, "maximum": lambda x, y: x if x > y else y,
           "minimum": lambda x, y: x if x < y else y, "hypot": np.hypot}


def two(name, arrays, scalar, reflected):
    """``sym.name(lhs, rhs)`` on symbols and numbers; of two numbers the number."""
    def function(left, right):
        if isinstance(left, Symbol):
            if isinstance(right, Symbol):
                return call(arrays, arrays, left, right)
            if isinstance(right, numbers.Number):
                return call(scalar, scalar.replace("_scalar", "scalar"), left, scalar=right)
        elif isinstance(left, numbers.Number):
            if isinstance(right, Symbol):
                return call(reflected, reflected.replace("_scalar", "scalar"), right, scalar=left)
            if isinstance(right, numbers.Number):
                return NUMBERS[name](left, right)
        raise TypeError(f"{name}: types ({type(left).__name__}, {type(right).__name__}) not supported: each must be a "
                        f"Symbol or a number")
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
