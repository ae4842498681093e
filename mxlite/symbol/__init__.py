"""``mx.sym``: symbols and the operators that compose them, under their MXNet names."""
from importlib import import_module as _import_module

from .. import calls as _calls
from .. import fluent as _fluent
from .. import namespace as _namespace
from ..ops.record import REGISTRY as _REGISTRY
from . import functions as _functions
from .creation import arange, eye, full, linspace, ones, zeros
from .symbol import Group, Symbol, Variable, fromjson, load, load_json, var

_fluent.install(Symbol, _functions.get, lambda n: n in _REGISTRY)

maximum = _functions.two("maximum", "_maximum", "_maximum_scalar", "_maximum_scalar")
minimum = _functions.two("minimum", "_minimum", "_minimum_scalar", "_minimum_scalar")
hypot = _functions.two("hypot", "_hypot", "_hypot_scalar", "_hypot_scalar")
histogram, split_v2 = _functions.histogram, _functions.split_v2
_power = _functions.two("power", "_power", "_power_scalar", "_rpower_scalar")


def power(base, exp):
    """``power(base, exp)`` element by element; either side may be a number."""
    return _power(base, exp)


pow = power

__all__ = ["Group", "Symbol", "Variable", "arange", "eye", "fromjson", "full", "histogram", "hypot", "linspace", "load",
           "load_json", "maximum", "minimum", "ones", "pow", "power", "split_v2", "var", "zeros"]


def __getattr__(name):
    """Operators are made on first use and kept."""
    if name.startswith("__"):
        raise AttributeError(name)
    if name in ("random", "linalg"):
        return _import_module(f"{__name__}.{name}")     # `from . import` would ask this function again
    function = _namespace.operator(__name__, _functions.get, name)
    globals()[name] = function
    return function


def __dir__():
    return sorted({*globals(), *_calls.public_names(), "random", "linalg"})


op, _internal = _namespace.pair(__name__, _functions.get)
