"""Operators and fluent methods of NDArray, and the functions of two arguments (``nd.add``, ``nd.maximum``, ...)."""
import math
import numbers
import operator

import numpy as np

from .._core import operators as _operators
from .._core.ndarray import NDArrayBase
from .ndarray import NDArray, _op

# method -> (operator on two arrays, on array and scalar, on scalar and array)
BINARY = {
    "add": ("broadcast_add", "_plus_scalar", "_plus_scalar"),
    "sub": ("broadcast_sub", "_minus_scalar", "_rminus_scalar"),
    "mul": ("broadcast_mul", "_mul_scalar", "_mul_scalar"),
    "truediv": ("broadcast_div", "_div_scalar", "_rdiv_scalar"),
    "mod": ("broadcast_mod", "_mod_scalar", "_rmod_scalar"),
    "pow": ("broadcast_power", "_power_scalar", "_rpower_scalar"),
    "eq": ("broadcast_equal", "_equal_scalar", "_equal_scalar"),
    "ne": ("broadcast_not_equal", "_not_equal_scalar", "_not_equal_scalar"),
    "gt": ("broadcast_greater", "_greater_scalar", "_lesser_scalar"),
    "ge": ("broadcast_greater_equal", "_greater_equal_scalar", "_lesser_equal_scalar"),
    "lt": ("broadcast_lesser", "_lesser_scalar", "_greater_scalar"),
    "le": ("broadcast_lesser_equal", "_lesser_equal_scalar", "_greater_equal_scalar"),
}
FUNCTIONS = {
    "add": "add", "subtract": "sub", "multiply": "mul", "divide": "truediv", "true_divide": "truediv",
    "modulo": "mod", "power": "pow", "equal": "eq", "not_equal": "ne", "greater": "gt", "greater_equal": "ge",
    "lesser": "lt", "lesser_equal": "le",
}
MORE = {
    "maximum": ("broadcast_maximum", "_maximum_scalar", "_maximum_scalar"),
    "minimum": ("broadcast_minimum", "_minimum_scalar", "_minimum_scalar"),
    "hypot": ("broadcast_hypot", "_hypot_scalar", "_hypot_scalar"),
    "logical_and": ("broadcast_logical_and", "_logical_and_scalar", "_logical_and_scalar"),
    "logical_or": ("broadcast_logical_or", "_logical_or_scalar", "_logical_or_scalar"),
    "logical_xor": ("broadcast_logical_xor", "_logical_xor_scalar", "_logical_xor_scalar"),
}

# What the functions are on two numbers; comparisons give 0 or 1.
NUMBERS = {
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "divide": operator.truediv,
    "true_divide": operator.truediv, "modulo": operator.mod, "power": operator.pow,
    "maximum": lambda a, b: a if a > b else b, "minimum": lambda a, b: a if a < b else b, "hypot": math.hypot,
    "equal": lambda a, b: int(a == b), "not_equal": lambda a, b: int(a != b), "greater": lambda a, b: int(a > b),
    "greater_equal": lambda a, b: int(a >= b), "lesser": lambda a, b: int(a < b),
    "lesser_equal": lambda a, b: int(a <= b), "logical_and": lambda a, b: int(bool(a and b)),
    "logical_or": lambda a, b: int(bool(a or b)), "logical_xor": lambda a, b: int(bool(a) != bool(b)),
}


FORWARD, REFLECTED, IN_PLACE = range(3)         # x op other, other op x, x op= other
SLOTS = ("add", "sub", "mul", "truediv", "mod", "pow", "lt", "le", "eq", "ne", "gt", "ge")      # by the core's numbers


def _operator(kind, spec):
    """The core's :class:`Operator` for a row of the table. It sees to arrays, floats and ints by itself."""
    arrays, scalar, reflected = (_op(n) for n in spec)

    def others(way, x, other):
        out = x if way == IN_PLACE else None
        if isinstance(other, (float, int, np.generic)) or way != IN_PLACE and isinstance(other, numbers.Number):
            return (reflected if way == REFLECTED else scalar).with_scalar(x, other, out)
        if isinstance(other, np.ndarray):
            like = _like(other, x)
            return arrays(like, x) if way == REFLECTED else arrays(x, like) if out is None else arrays(x, like, out=x)
        if kind in ("eq", "ne"):            # Python would compare identities
            raise TypeError(f"an NDArray cannot be compared with {type(other).__name__}")
        return NotImplemented
    return _operators.Operator(arrays, scalar, reflected, others)


def _like(values, x):
    from .ndarray import array
    return array(values, ctx=x.context, dtype=x.dtype_name)


def function(name, spec):
    """``nd.name(lhs, rhs)`` on any mix of arrays and numbers; of two numbers it is a number."""
    apply = _operator(name, spec)
    first, second = ("base", "exp") if name == "power" else ("lhs", "rhs")

    def compute(lhs, rhs):
        result = NotImplemented
        if isinstance(lhs, NDArrayBase):
            result = apply(FORWARD, lhs, rhs)
        elif isinstance(rhs, NDArrayBase):
            result = apply(REFLECTED, rhs, lhs)
        elif isinstance(lhs, numbers.Number) and isinstance(rhs, numbers.Number):
            return NUMBERS[name](lhs, rhs)
        if result is NotImplemented:
            raise TypeError(f"{name} takes NDArrays and numbers, got {type(lhs).__name__} and {type(rhs).__name__}")
        return result
    if name == "power":
        def call(base, exp):
            return compute(base, exp)
    else:
        def call(lhs, rhs):
            return compute(lhs, rhs)
    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"``{name}({first}, {second})`` element by element; arrays broadcast, either side may be a number."
    return call


def _negative(self):
    if self.dtype_name == "bool":           # MXNet's -x is x * -1, which makes integers of booleans
        return _op("_mul_scalar").with_scalar(self, -1.0)
    return _op("negative")(self)


def install():
    """Tell the core what the operators of arrays are."""
    for number, kind in enumerate(SLOTS):
        _operators.install(number, _operator(kind, BINARY[kind]))
    NDArray.__div__, NDArray.__rdiv__, NDArray.__idiv__ = (
        NDArray.__truediv__, NDArray.__rtruediv__, NDArray.__itruediv__)
    NDArray.__neg__ = _negative
    NDArray.__abs__ = lambda self: _op("abs")(self)


def functions():
    """name -> function of two arguments."""
    out = {name: function(name, BINARY[kind]) for name, kind in FUNCTIONS.items()}
    out.update({name: function(name, spec) for name, spec in MORE.items()})
    return out
