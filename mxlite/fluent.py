"""Fluent methods: ``x.sum(axis=1)`` is ``sum(x, axis=1)``, on NDArray and Symbol alike."""
FLUENT = (
    "abs arccos arccosh arcsin arcsinh arctan arctanh argmax argmax_channel argmin argsort broadcast_axes "
    "broadcast_like broadcast_to cbrt ceil clip cos cosh degrees depth_to_space diag exp expand_dims expm1 fix flatten "
    "flip floor log log10 log1p log2 log_softmax max mean min nanprod nansum norm one_hot ones_like pad pick prod "
    "radians rcbrt reciprocal relu repeat reshape reshape_like rint round rsqrt shape_array sigmoid sign sin sinh "
    "size_array slice slice_axis slice_like softmax softmin sort space_to_depth split split_v2 sqrt square squeeze sum "
    "swapaxes take tan tanh tile topk transpose trunc zeros_like").split()


def install(cls, function_of, exists):
    """Give `cls` every fluent method whose operator `exists` and that it does not define itself.

    ``function_of(name)`` is the function that the method calls with the object first.
    """
    for name in FLUENT:
        if name in vars(cls) or not exists(name):
            continue

        method = _method(name, function_of)
        method.__qualname__ = f"{cls.__name__}.{name}"
        method.__doc__ = f"The operator ``{name}`` with this {cls.__name__.lower()} as its first input."
        setattr(cls, name, method)


def _method(name, function_of):
    def method(self, *args, **kwargs):
        return function_of(name)(self, *args, **kwargs)
    method.__name__ = name
    return method
