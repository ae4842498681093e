"""What the element-wise families share: dtype sets, and references that behave as MXNet does on every dtype."""
import functools

import numpy as np

from .record import Op, same_dtype, same_shape

EVERY = ("float32", "float64", "float16", "bfloat16", "uint8", "int8", "int32", "int64", "bool")
FLOATS = ("float32", "float64", "float16", "bfloat16")


def is_float(x):
    """Whether array `x` holds floating-point numbers."""
    return x.dtype.kind not in "iub"


def quiet(rule):
    """`rule` without NumPy's floating-point warnings: infinities and NaNs are ordinary results here."""
    @functools.wraps(rule)
    def run(*args, **kw):
        with np.errstate(all="ignore"):
            return rule(*args, **kw)
    return run


def to_dtype(xp, x, dtype):
    """`x` converted as C on x86 does it (and so MXNet): truncated, then wrapped; what does not fit int32 (int64 for
    int64) becomes the lowest value before wrapping. Any nonzero number is a true bool."""
    dtype = np.dtype(dtype)
    if dtype.kind not in "iu" or not is_float(x):
        return x.astype(dtype)
    wide = np.dtype("int64" if dtype.itemsize == 8 else "int32")
    low = float(np.iinfo(wide).min)
    fits = (x > low - 1) & (x < -low) if wide.itemsize == 4 else (x >= low) & (x < -low)
    return xp.where(fits, xp.where(fits, x, 0).astype(wide), wide.type(np.iinfo(wide).min)).astype(dtype)


def floating(value):
    """A reference of floating-point maths on every dtype: integers are computed in float64 and truncated."""
    @quiet
    @functools.wraps(value)
    def ref(xp, p, *xs):
        if is_float(xs[0]):
            return value(xp, p, *xs).astype(xs[0].dtype)
        return to_dtype(xp, value(xp, p, *(x.astype("float64") for x in xs)), xs[0].dtype)
    return ref


def native(value):
    """A reference of arithmetic that is exact in the inputs' own dtype; bool counts in int8."""
    @quiet
    @functools.wraps(value)
    def ref(xp, p, *xs):
        if xs[0].dtype.kind == "b":
            return value(xp, p, *(x.astype("int8") for x in xs)).astype(bool)
        return value(xp, p, *xs).astype(xs[0].dtype)
    return ref


def record(name, doc, **fields):
    """Make one element-wise record: same shape and dtype everywhere, a kernel of its own name for every dtype."""
    fields.setdefault("infer", same_shape)
    fields.setdefault("infer_dtype", same_dtype)
    fields.setdefault("cpu", "elementwise." + name)
    fields.setdefault("cpu_dtypes", EVERY)
    return type(name, (Op,), {"__doc__": doc, "__module__": __name__, **fields})
