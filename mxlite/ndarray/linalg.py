"""``mx.nd.linalg``: the operators ``_linalg_x`` under the name ``x``, made on first use."""
import sys

from .._core.invoke import OpFunction
from ..ops.record import find
from . import functions as _functions

NAMES = ("det", "extractdiag", "extracttrian", "gelqf", "gemm", "gemm2", "inverse", "makediag", "maketrian", "potrf",
         "potri", "slogdet", "sumlogdiag", "syevd", "syrk", "trmm", "trsm")
__all__ = list(NAMES)


def get(name):
    """The function of that name, also for unpickling."""
    return getattr(sys.modules[__name__], name)


# What an OpFunction asks of the module that it belongs to.
split, signature, describe = _functions.split, _functions.signature, _functions.describe


def __getattr__(name):
    if name not in NAMES:
        raise AttributeError(f"mx.nd.linalg has no {name!r}; it has {', '.join(NAMES)}")
    function = globals()[name] = OpFunction(find("_linalg_" + name), name, sys.modules[__name__])
    return function


def __dir__():
    return sorted(NAMES)
