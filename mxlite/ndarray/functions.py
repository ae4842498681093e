"""``nd.op`` for every record, made on first use from the registry."""
import sys

from .._core.context import as_context, current_context
from .._core.invoke import OpFunction
from .._core.ndarray import NDArrayBase
from ..calls import all_inputs, signature, split_call, unknown_argument
from ..opdoc import describe
from ..ops.record import find

_made = {}


def get(name):
    """The :class:`OpFunction` for an operator name or alias. AttributeError, with near names, where there is none."""
    function = _made.get(name)
    if function is None:
        function = _made[name] = OpFunction(find(name), name, sys.modules[__name__])
    return function


def split(record, args, kwargs):
    """Arguments of a call -> (input arrays in order, parameter values, context or None, ``out``). Takes what is no
    parameter out of `kwargs`. Where arrays are made of nothing they come to ``out``'s device, else to `ctx`, else to
    the current context; never None, so that plans of different devices are kept apart."""
    after = {"out": kwargs.pop("out", None), "name": kwargs.pop("name", None)}
    ctx = kwargs.get("ctx")
    if ctx is not None and ctx != "":
        ctx = as_context(ctx)
        kwargs = {**kwargs, "ctx": str(ctx)} if "ctx" in record.params else {
            k: v for k, v in kwargs.items() if k != "ctx"}
    inputs, by_name, values, rest = split_call(record, args, kwargs, _is_array, "NDArrays", after)
    if "ctx" in values and ctx is None and values["ctx"] not in (None, "", "None"):         # by position
        ctx = as_context(values["ctx"])
        values["ctx"] = str(ctx)
    if rest:
        raise TypeError(unknown_argument(record, next(iter(rest))))
    if by_name or any(v is None for v in inputs):
        order = all_inputs(record)
        placed = dict(zip(order, inputs))
        for k, v in by_name.items():
            if record.variadic:
                inputs.append(v)
                continue
            if k not in order:
                raise TypeError(unknown_argument(record, k))
            if placed.get(k) is not None:
                raise TypeError(f"{record.name}: input {k!r} is given by position and by name")
            placed[k] = v
        if not record.variadic:
            inputs = [placed[k] for k in order if placed.get(k) is not None]
    if record.variadic and "num_args" in record.params:
        values["num_args"] = len(inputs)
    out = after["out"]
    if not inputs:
        first = out[0] if isinstance(out, (list, tuple)) and out else out
        ctx = first.context if _is_array(first) else ctx or current_context()
    return inputs, values, ctx, out


def _is_array(v):
    return isinstance(v, NDArrayBase)


__all__ = ["describe", "get", "signature", "split"]
