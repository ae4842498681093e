"""Special functions of arrays on a device, for references: CuPy's, in double precision."""
from importlib import import_module


def apply(name, x):
    """Function `name` of :mod:`mxlite.ops.special` of a CuPy array, in its dtype."""
    functions = import_module("cupyx.scipy.special")
    wide = x.astype("float64")
    out = functions.zeta(2.0, wide) if name == "trigamma" else getattr(functions, name)(wide)
    return out.astype(x.dtype)
