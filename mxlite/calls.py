"""How a call of an operator is read, on arrays and symbols alike: inputs, parameters, and the signature to show."""
from ._core.errors import MXNetError
from .ops import types
from .ops.record import REGISTRY, REQUIRED, brief, near

ARRAY_AFTER, SYMBOL_AFTER = ("out", "name"), ("name", "attr", "out")       # behind the parameters, in MXNet's order


def split_call(op, args, kwargs, is_input, what, after):
    """Positional and keyword arguments of a call -> (inputs by position, inputs by name, parameter values, rest).

    Leading arguments that are inputs (`is_input`) or None are inputs, what follows is parameters in declared order,
    and then what `after` names in its order: its values are those given by name, and what comes by position is
    stored there. An input that depends on parameters may be passed over. TypeError for too many, for one given twice,
    and for an input that is none.
    """
    values, by_name, rest, i, names = {}, {}, {}, 0, ()
    if op.variadic:
        if len(args) == 1 and isinstance(args[0], (list, tuple)):
            args = args[0]
        for v in args:
            if not is_input(v):
                raise TypeError(f"{op.name}: takes {what} by position, got {shown(v)}; parameters go by name")
        inputs = list(args)
    else:
        names = all_inputs(op)
        most = len(names)
        while i < len(args) and i < most and (args[i] is None or is_input(args[i])):
            i += 1
        inputs = list(args[:i])
        left = len(args) - i
        if left and i == most and left <= len(op.params) and type(args[i]) in PLAIN and (
                left == 1 or not _SCATTERS.get(op, True)):   # nothing to complain of: the usual call
            values = dict(zip(op.params, args[i:]))
        elif left:
            values = by_position(op, args, i, kwargs, is_input, what, after)
        while inputs and inputs[-1] is None:            # also for an input that these parameters leave none of
            inputs.pop()
    for k, v in kwargs.items():
        if is_input(v):
            by_name[k] = v
        elif k in op.params:
            if k in values:
                raise TypeError(f"{op.name}: parameter {k!r} is given by position and by name")
            values[k] = v
        elif k in names:
            if v is not None:
                raise TypeError(f"{op.name}: input {k!r} must be {ONE[what]}, got {shown(v)}")
        else:
            rest[k] = v
    return inputs, by_name, values, rest


def array_like(v):
    """Is `v` an array of any kind or a symbol? NumPy's scalars and dtypes, which have shapes too, are not."""
    return not isinstance(v, type) and (bool(getattr(v, "ndim", 0)) or hasattr(v, "list_arguments"))


def shown(v):
    """A wrong argument as messages show it: type and value, of an array or a symbol the type alone."""
    kind = type(v).__name__
    return kind if any(map(array_like, v if isinstance(v, (list, tuple)) else [v])) else f"{kind} {brief(v)}"


def by_position(op, args, i, kwargs, is_input, what, after):
    """The parameters among the arguments from number `i` on, before which are inputs; what is left goes to `after`."""
    inputs, params = all_inputs(op), op.params
    names = [*params, *after]
    v = args[i]
    array = array_like(v)
    if i < len(inputs) and inputs[i] not in kwargs and (
            array or i == 0 or not params or needs_all(op, what) or not fits(params, v)):
        raise TypeError(f"{op.name}: takes {what} as inputs, got {shown(v)} for {inputs[i]!r}{order(op, after)}")
    if (array or is_input(v)) and params:
        raise TypeError(f"{op.name}: takes {len(inputs)} {what} as inputs, got {shown(v)} for the parameter "
                        f"{names[0]!r}{order(op, after)}")
    n = len(args) - i
    if n > 1 and params and scatters(op):
        check_scattered(op, args[i:])
    if n > len(params):
        if n > len(names):
            raise TypeError(f"{op.name}: {n - len(names)} too many positional arguments, the last is "
                            f"{shown(args[-1])}{order(op, after)}")
        for k, v in zip(after, args[i + len(params):]):
            if v is None:
                continue
            if after[k] is not None:
                raise TypeError(f"{op.name}: {k!r} is given by position and by name")
            wanted = AFTER.get((what, k))
            if wanted and not wanted[1](v, is_input):
                raise TypeError(f"{op.name}: {k} must be {wanted[0]}, got {shown(v)}{order(op, after)}")
            after[k] = v
    return dict(zip(names, args[i:i + len(params)]))


def order(op, after):
    return f"; the order is {', '.join([*all_inputs(op), *op.params, *after])}"


ONE = {"NDArrays": "an NDArray", "symbols": "a Symbol"}

# What may stand behind the parameters, by the kind of call: in words, and as a test.
AFTER = {
    ("NDArrays", "out"): ("an NDArray or a list of them", lambda v, is_input: is_input(v) or (
        isinstance(v, (list, tuple)) and all(map(is_input, v)))),
    ("symbols", "name"): ("a str", lambda v, is_input: isinstance(v, str)),
    ("symbols", "attr"): ("a dict of str", lambda v, is_input: isinstance(v, dict)),
}


def needs_all(op, what):
    """Must a call give every input? Symbols that are missing become variables; some inputs depend on parameters."""
    return what == "NDArrays" and not callable(op.inputs)


def fits(params, v):
    """Can `v` be the first parameter?"""
    k = next(iter(params))
    try:
        params[k].parse("", k, v)
    except ValueError:
        return False
    return True


def scatters(op):
    """Is the first parameter of `op` a tuple that somebody may give as separate numbers?"""
    known = _SCATTERS.get(op)
    if known is None:
        first, *others = op.params.values()
        known = _SCATTERS[op] = (getattr(first.type, "kind", first.type) in (types.shape, types.axes)
                                 and (not others or others[0].type is types.boolean))
    return known


def check_scattered(op, given):
    """An error for ``transpose(x, 1, 0)`` and ``reshape(x, 2, 2)``: one tuple, given as separate numbers."""
    if all(type(v) is int for v in given) and (len(op.params) == 1 or given[1] not in (0, 1)):
        error = TypeError if len(op.params) == 1 else MXNetError            # as in MXNet
        raise error(f"{op.name}: {next(iter(op.params))} is one argument: write {tuple(given)} for "
                    f"{', '.join(map(brief, given))}")


def all_inputs(op):
    """Every input name that `op` can have, auxiliary states last: the order of positional inputs."""
    cached = _ALL_INPUTS.get(op)
    if cached is None:
        if callable(op.inputs):
            best = []
            for choice in _parameter_choices(op):
                try:
                    found = list(op.input_names(choice)) + list(op.aux_names(choice))
                except (ValueError, TypeError, AttributeError):
                    continue
                best = found if len(found) > len(best) else best
            cached = best
        else:
            cached = [] if op.variadic else op.inputs.split() + (op.aux.split() if isinstance(op.aux, str) else [])
        _ALL_INPUTS[op] = cached
    return cached


_ALL_INPUTS, _SCATTERS = {}, {}
PLAIN = frozenset({int, float, bool, str, tuple, type(None)})       # what is no array and no symbol for sure


def _parameter_choices(op):
    """Parameter sets that between them show every input: the defaults, and each flag and choice turned."""
    base = op.P()
    for k, param in op.params.items():
        setattr(base, k, param.default if type(param.default) is not object else None)
    yield base
    flags = {k: True for k, param in op.params.items() if isinstance(param.default, bool)}
    for k, param in op.params.items():
        for value in param.choices or ((True, False) if isinstance(param.default, bool) else ()):
            yield base.replace(**{k: value})
            yield base.replace(**{**flags, k: value})


def unknown_argument(record, key):
    """The text of a TypeError for an argument that `record` does not take."""
    known = list(record.params) + ([] if record.variadic else all_inputs(record))
    close = near(key, known)
    return f"{record.name} has no argument {key!r}" + (f", did you mean {close[0]!r}?" if close else
                                                       f"; it takes {', '.join(known)}")


def signature(record, symbolic=False):
    """The call signature of a record: inputs, then parameters with defaults, then what may follow them."""
    import inspect  # 25 ms that only help() and editors pay
    P = inspect.Parameter
    if record.variadic:
        parts = [P(record.inputs[1:], P.VAR_POSITIONAL)]
        kind = P.KEYWORD_ONLY
    else:
        kind = P.POSITIONAL_OR_KEYWORD
        parts = [P(n, kind, default=None) for n in all_inputs(record)]
    for k, param in record.params.items():
        parts.append(P(k, kind, default=None if param.default is REQUIRED else param.default))
    parts += [P(k, kind, default=None) for k in (SYMBOL_AFTER if symbolic else ARRAY_AFTER)]
    return inspect.Signature(parts)


def public_names():
    """Names that ``mx.nd`` and ``mx.sym`` show: those that do not start with an underscore."""
    return [n for n in REGISTRY if not n.startswith("_")]


def internal_names():
    return [n for n in REGISTRY if n.startswith("_")]
