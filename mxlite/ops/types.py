"""Parameter types: each takes a Python value, or MXNet's text for one, and returns the parsed, hashable value."""
import ast

DTYPES = ("float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool", "bfloat16")


def boolean(v):
    """True/False from a bool, 0/1, or their text."""
    if isinstance(v, str):
        low = v.strip().lower()
        if low in ("true", "1"):
            return True
        if low in ("false", "0"):
            return False
    elif v in (0, 1):
        return bool(v)
    raise ValueError("expected a boolean")


def integer(v):
    """An int; text and integral floats are taken, fractions are not."""
    if isinstance(v, str):
        return int(v.strip().rstrip("L"))
    i = int(v)
    if i != v:
        raise ValueError("expected an integer")
    return i


def real(v):
    """A float from a number or text."""
    return float(v)


def text(v):
    """A str; of a context its name."""
    if hasattr(v, "device_type"):
        return str(v)
    if not isinstance(v, str):
        raise ValueError("expected a string")
    return v


def _evaluate(v):
    try:
        return ast.literal_eval(v.strip())
    except (ValueError, SyntaxError):
        raise ValueError("expected a number, a tuple or None") from None


def optional(kind):
    """`kind`, or None."""
    def parse(v):
        if v is None or (isinstance(v, str) and v.strip() in ("None", "")):
            return None
        return kind(v)
    parse.kind = kind           # the stubs ask
    return parse


def shape(v):
    """A tuple of ints; one int stands for a tuple of one."""
    if isinstance(v, str):
        v = _evaluate(v)
    if hasattr(v, "__index__"):
        return (v.__index__(),)
    return tuple(integer(d) for d in _items(v, "an integer or a tuple of integers"))


def _items(v, what):
    """`v` as something to walk through; ValueError that says `what` was expected."""
    if v is None or not hasattr(v, "__iter__"):
        raise ValueError(f"expected {what}")
    return v


def reals(v):
    """A tuple of floats; one number stands for a tuple of one."""
    if isinstance(v, str):
        v = _evaluate(v)
    if isinstance(v, (int, float)):
        return (float(v),)
    return tuple(float(d) for d in _items(v, "a number or a tuple of numbers"))


def slots(v):
    """A tuple of ints or None (begin, end and step of slice)."""
    if isinstance(v, str):
        v = _evaluate(v)
    if v is None or hasattr(v, "__index__"):
        v = (v,)
    return tuple(None if d is None or d == "None" else integer(d)
                 for d in _items(v, "an integer, None or a tuple of them"))


def axes(v):
    """None, an int, or a tuple of ints."""
    if isinstance(v, str):
        v = _evaluate(v)
    if v is None:
        return None
    if hasattr(v, "__index__"):
        return v.__index__()
    return tuple(integer(d) for d in _items(v, "None, an integer or a tuple of integers"))


def dtype(v):
    """A dtype's name, from any name or object that NumPy takes for one, or MXNet's type flag."""
    if isinstance(v, str) and v in DTYPES:
        return v
    if isinstance(v, int) and not isinstance(v, bool):
        flags = {0: "float32", 1: "float64", 2: "float16", 3: "uint8", 4: "int32", 5: "int8", 6: "int64",
                 7: "bool", 12: "bfloat16"}
        if v not in flags:
            raise ValueError("unknown type flag")
        return flags[v]
    import numpy
    name = None
    try:
        name = numpy.dtype(v).name
    except Exception:           # what NumPy raises depends on the text: TypeError, ValueError, SyntaxError
        if not isinstance(v, str):
            raise
    if name not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}")
    return name
