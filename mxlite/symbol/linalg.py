"""``mx.sym.linalg``: the operators ``_linalg_x`` under the name ``x``, made on first use."""
from ..calls import signature
from ..ndarray.linalg import NAMES
from ..ops.record import find
from .symbol import call

__all__ = list(NAMES)


def __getattr__(name):
    if name not in NAMES:
        raise AttributeError(f"mx.sym.linalg has no {name!r}; it has {', '.join(NAMES)}")
    record = find("_linalg_" + name)

    def function(*args, **kwargs):
        return call(record.name, name, *args, **kwargs)
    function.__name__ = function.__qualname__ = name
    function.__doc__, function.__module__ = record.__doc__, __name__
    function.__signature__ = signature(record, symbolic=True)
    globals()[name] = function
    return function


def __dir__():
    return sorted(NAMES)
