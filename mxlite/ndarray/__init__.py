"""``mx.nd``: arrays and imperative operators. Every operator of the registry is here under its MXNet names."""
from .. import calls as _calls
from .. import fluent as _fluent
from .. import namespace as _namespace
from ..ops.record import REGISTRY as _REGISTRY
from . import arithmetic as _arithmetic
from . import functions as _functions
from .creation import arange, concatenate, eye, full, linspace, moveaxis, onehot_encode, ones, zeros
from .files import load, load_frombuffer, save
from .ndarray import NDArray, array, empty, from_numpy, waitall

_arithmetic.install()
_fluent.install(NDArray, _functions.get, lambda n: n in _REGISTRY)
globals().update(_arithmetic.functions())

__all__ = ["NDArray", "arange", "array", "concatenate", "empty", "eye", "from_numpy", "full", "linspace", "load",
           "load_frombuffer", "moveaxis", "onehot_encode", "ones", "save", "waitall", "zeros",
           *sorted(_arithmetic.FUNCTIONS), *sorted(_arithmetic.MORE)]


def __getattr__(name):
    """Operators are made on first use and kept."""
    if name.startswith("__"):
        raise AttributeError(name)
    if name == "random":
        from .. import random
        return random
    function = _functions.get(name)
    globals()[name] = function
    return function


def __dir__():
    return sorted({*globals(), *_calls.public_names(), "random", "op"})


op, _internal = _namespace.pair(__name__, _functions.get)
