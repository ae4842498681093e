"""Fluent methods: ``x.sum(axis=1)`` is ``sum(x, axis=1)``, on NDArray and Symbol alike."""
import inspect

from .calls import signature
from .ops.record import find

FLUENT = (
    "abs arccos arccosh arcsin arcsinh arctan arctanh argmax argmax_channel argmin argsort broadcast_axes "
    "broadcast_like broadcast_to cbrt ceil clip cos cosh degrees depth_to_space diag exp expand_dims expm1 fix flatten "
    "flip floor log log10 log1p log2 log_softmax max mean min nanprod nansum norm one_hot ones_like pad pick prod "
    "radians rcbrt reciprocal relu repeat reshape reshape_like rint round rsqrt shape_array sigmoid sign sin sinh "
    "size_array slice slice_axis slice_like softmax softmin sort space_to_depth split split_v2 sqrt square squeeze sum "
    "swapaxes take tan tanh tile topk transpose trunc zeros_like").split()


def install(cls, function_of, exists, make=None):
    """Give `cls` every fluent method whose operator `exists` and that it does not define itself.

    ``function_of(name)`` is the function that the method calls with the object first. `make` makes a method of
    ``(name, cls, function_of, module, docstring, signature)``: a Python function unless given.
    """
    symbolic = cls.__name__ == "Symbol"
    for name in FLUENT:
        if name in vars(cls) or not exists(name):
            continue
        doc = (f"The operator ``{name}`` with this {cls.__name__.lower()} as its first input; "
               f"``help(mx.{'sym' if symbolic else 'nd'}.{name})`` explains the parameters.")
        setattr(cls, name, (make or _method)(name, cls, function_of, __name__, doc, MethodSignature(name, symbolic)))


def _method(name, cls, function_of, module, doc, signature):
    def method(self, *args, **kwargs):
        return function_of(name)(self, *args, **kwargs)
    method.__name__, method.__qualname__, method.__module__ = name, f"{cls.__name__}.{name}", module
    method.__doc__, method.__signature__ = doc, signature
    return method


class MethodSignature(inspect.Signature):
    """The signature of operator `name` with ``self`` for its first input, read from the record when it is asked for."""

    __slots__ = ("name", "symbolic")

    def __init__(self, name, symbolic):
        super().__init__()
        self.name, self.symbolic = name, symbolic

    def whole(self):
        """It, as a plain Signature."""
        _, *others = signature(find(self.name), self.symbolic).parameters.values()
        return inspect.Signature([inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD), *others])

    @property
    def parameters(self):
        return self.whole().parameters

    def replace(self, **changes):
        return self.whole().replace(**changes)

    def __reduce__(self):
        return type(self), (self.name, self.symbolic)
