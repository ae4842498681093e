"""``mx.sym.linalg``: the operators ``_linalg_x`` under the name ``x``, made on first use."""
from ..ndarray.linalg import NAMES
from ..ops.record import find
from .functions import SymbolFunction

__all__ = list(NAMES)


def __getattr__(name):
    if name not in NAMES:
        raise AttributeError(f"mx.sym.linalg has no {name!r}; it has {', '.join(NAMES)}")
    function = SymbolFunction(find("_linalg_" + name), name, __name__)
    globals()[name] = function
    return function


def __dir__():
    return sorted(NAMES)
