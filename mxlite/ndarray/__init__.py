"""``mx.nd``: arrays and imperative operators. Every operator of the registry is here under its MXNet names."""
import sys as _sys
import types as _types

from .. import calls as _calls
from .. import fluent as _fluent
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
    if name in ("random", "op"):
        return _sub(name)
    function = _functions.get(name)
    globals()[name] = function
    return function


def __dir__():
    return sorted({*globals(), *_calls.public_names(), "random", "op"})


def _sub(name):
    if name == "random":
        from .. import random
        return random
    return op


class _Operators(_types.ModuleType):
    """A namespace that holds operators alone: ``mx.nd.op`` the public ones, ``mx.nd._internal`` the underscored."""

    def __init__(self, name, names):
        super().__init__(name, "Operators, made on first use.")
        self._names = names

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _functions.get(name)

    def __dir__(self):
        return sorted(self._names())


op = _Operators(f"{__name__}.op", _calls.public_names)
_internal = _Operators(f"{__name__}._internal", _calls.internal_names)
_sys.modules[op.__name__], _sys.modules[_internal.__name__] = op, _internal
