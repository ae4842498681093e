"""``a + b``, ``2 ** a``, ``a > b`` on symbols: the operator for two symbols, or for a symbol and a number."""
from ..base import NotImplementedForSymbol

# method: operator for two symbols and the stem of its name, operator for a number and the stem of its name
METHODS = {
    "__add__": ("elemwise_add", "_plus", "_plus_scalar", "_plusscalar"),
    "__radd__": ("elemwise_add", "_plus", "_plus_scalar", "_plusscalar"),
    "__sub__": ("elemwise_sub", "_minus", "_minus_scalar", "_minusscalar"),
    "__rsub__": ("elemwise_sub", "_minus", "_rminus_scalar", "_rminusscalar"),
    "__mul__": ("elemwise_mul", "_mul", "_mul_scalar", "_mulscalar"),
    "__rmul__": ("elemwise_mul", "_mul", "_mul_scalar", "_mulscalar"),
    "__truediv__": ("elemwise_div", "_div", "_div_scalar", "_divscalar"),
    "__rtruediv__": ("elemwise_div", "_div", "_rdiv_scalar", "_rdivscalar"),
    "__div__": ("elemwise_div", "_div", "_div_scalar", "_divscalar"),
    "__rdiv__": ("elemwise_div", "_div", "_rdiv_scalar", "_rdivscalar"),
    "__mod__": ("_mod", "_mod", "_mod_scalar", "_modscalar"),
    "__rmod__": ("_mod", "_mod", "_rmod_scalar", "_rmodscalar"),
    "__pow__": ("_power", "_power", "_power_scalar", "_powerscalar"),
    "__rpow__": ("_power", "_power", "_rpower_scalar", "_rpower_scalar"),
    "__eq__": ("_equal", "_equal", "_equal_scalar", "_equal_scalar"),
    "__ne__": ("_not_equal", "_not_equal", "_not_equal_scalar", "_not_equal_scalar"),
    "__gt__": ("_greater", "_greater", "_greater_scalar", "_greater_scalar"),
    "__ge__": ("_greater_equal", "_greater_equal", "_greater_equal_scalar", "_greater_equal_scalar"),
    "__lt__": ("_lesser", "_lesser", "_lesser_scalar", "_lesser_scalar"),
    "__le__": ("_lesser_equal", "_lesser_equal", "_lesser_equal_scalar", "_lesser_equal_scalar")}
IN_PLACE = {"__iadd__": "+=", "__isub__": "-=", "__imul__": "*=", "__itruediv__": "/="}


def install(cls, call):
    """Give `cls` the methods; ``call(operator, called as, *inputs, **parameters)`` makes the node."""
    def two(name, symbols, stem, scalar, scalar_stem):
        def method(self, other):
            if isinstance(other, cls):
                return call(symbols, stem, self, other)
            if isinstance(other, bool) or getattr(other, "ndim", 0) or not (
                    isinstance(other, (int, float)) or hasattr(other, "__float__")):
                raise TypeError(f"type {type(other)} not supported")
            return call(scalar, scalar_stem, self, scalar=other)
        return method

    def refused(name, sign):
        def method(self, other):
            raise NotImplementedForSymbol(getattr(self, name), sign, other)
        return method

    def negative(self):
        return call("_mul_scalar", "_mulscalar", self, scalar=-1.0)

    def absolute(self):
        return call("abs", "abs", self)
    made = {name: two(name, *spec) for name, spec in METHODS.items()}
    made.update({name: refused(name, sign) for name, sign in IN_PLACE.items()})
    made.update(__neg__=negative, __abs__=absolute)
    for name, method in made.items():
        method.__name__, method.__qualname__ = name, f"{cls.__name__}.{name}"
        setattr(cls, name, method)
    cls.__hash__ = None                 # equality makes a node, so symbols cannot be keys
