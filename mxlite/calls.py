"""How a call of an operator is read, on arrays and symbols alike: inputs, parameters, and the signature to show."""
from .ops.record import REGISTRY, REQUIRED, brief, near


def split_call(op, args, kwargs, is_input, what):
    """Positional and keyword arguments of a call -> (inputs by position, inputs by name, parameter values, rest).

    Leading arguments that are inputs (`is_input`) or None are inputs, what follows is parameters in declared order.
    TypeError for too many, or for one given twice.
    """
    inputs, values, rest = [], {}, {}
    args = list(args)
    if op.variadic:
        if len(args) == 1 and isinstance(args[0], (list, tuple)):
            args = list(args[0])
        while args and is_input(args[0]):
            inputs.append(args.pop(0))
    else:
        most = len(all_inputs(op))
        while args and len(inputs) < most and (is_input(args[0]) or args[0] is None):
            inputs.append(args.pop(0))
    if args and not isinstance(args[0], type) and (hasattr(args[0], "shape") or hasattr(args[0], "list_arguments")):
        raise TypeError(f"{op.name}: takes {what} as inputs, got {type(args[0]).__name__}")
    names = list(op.params)
    if len(args) > len(names):
        bad = args[0]
        raise TypeError(f"{op.name}: takes {what} and parameters {', '.join(names) or 'none'}, got "
                        f"{type(bad).__name__} {brief(bad)}")
    if args and not names:
        raise TypeError(f"{op.name}: takes {what} as inputs, got {type(args[0]).__name__}")
    values.update(zip(names, args))
    by_name = {}
    input_names = () if op.variadic else all_inputs(op)
    for k, v in kwargs.items():
        if is_input(v):
            by_name[k] = v
        elif k in op.params:
            if k in values:
                raise TypeError(f"{op.name}: parameter {k!r} is given by position and by name")
            values[k] = v
        elif k in input_names:
            if v is not None:
                raise TypeError(f"{op.name}: input {k!r} must be {what}, got {type(v).__name__} {brief(v)}")
        else:
            rest[k] = v
    return inputs, by_name, values, rest


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


_ALL_INPUTS = {}


def _parameter_choices(op):
    """Parameter sets that between them show every input: the defaults, and each flag and choice turned."""
    base = op.P()
    for k, param in op.params.items():
        setattr(base, k, param.default if type(param.default) is not object else None)
    yield base
    for k, param in op.params.items():
        for value in param.choices or ((True, False) if isinstance(param.default, bool) else ()):
            yield base.replace(**{k: value})


def unknown_argument(record, key):
    """The text of a TypeError for an argument that `record` does not take."""
    known = list(record.params) + ([] if record.variadic else all_inputs(record))
    close = near(key, known)
    return f"{record.name} has no argument {key!r}" + (f", did you mean {close[0]!r}?" if close else
                                                       f"; it takes {', '.join(known)}")


def signature(record, symbolic=False):
    """The call signature of a record: inputs, then parameters with defaults, then out/name."""
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
    parts += [P(k, P.KEYWORD_ONLY, default=None) for k in (("name", "attr") if symbolic else ("out", "name"))]
    return inspect.Signature(parts)


def public_names():
    """Names that ``mx.nd`` and ``mx.sym`` show: those that do not start with an underscore."""
    return [n for n in REGISTRY if not n.startswith("_")]


def internal_names():
    return [n for n in REGISTRY if n.startswith("_")]
