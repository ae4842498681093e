"""``mx.nd``: arrays and imperative operators. Every operator of the registry is here under its MXNet names."""
from importlib import import_module as _import_module

from .. import calls as _calls
from .. import fluent as _fluent
from .. import namespace as _namespace
from .._core.operators import Method as _Method
from ..ops.record import REGISTRY as _REGISTRY
from . import arithmetic as _arithmetic
from . import creation as _creation
from . import functions as _functions
from .creation import arange, concatenate, eye, full, linspace, moveaxis, onehot_encode, ones, zeros
from .exchange import from_dlpack, imdecode, to_dlpack_for_read, to_dlpack_for_write
from .files import load, load_frombuffer, save
from .ndarray import NDArray, array, empty, from_numpy, waitall

_arithmetic.install()
_fluent.install(NDArray, _functions.get, lambda n: n in _REGISTRY, _Method)
globals().update(_arithmetic.functions())
histogram, split_v2 = _creation.histogram, _creation.split_v2

__all__ = ["NDArray", "arange", "array", "concatenate", "empty", "eye", "from_dlpack", "from_numpy", "full",
           "histogram", "imdecode", "linspace", "load", "load_frombuffer", "moveaxis", "onehot_encode", "ones", "save",
           "split_v2", "to_dlpack_for_read", "to_dlpack_for_write", "waitall", "zeros",
           *sorted(_arithmetic.FUNCTIONS), *sorted(_arithmetic.MORE)]


def __getattr__(name):
    """Operators are made on first use and kept."""
    if name.startswith("__"):
        raise AttributeError(name)
    if name == "random":
        from .. import random
        return random
    if name == "linalg":
        return _import_module(f"{__name__}.linalg")     # `from . import` would ask this function again
    function = _namespace.operator(__name__, _functions.get, name)
    globals()[name] = function
    return function


def __dir__():
    return sorted({*globals(), *_calls.public_names(), "random", "linalg", "op"})


op, _internal = _namespace.pair(__name__, _functions.get)
