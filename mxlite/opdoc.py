"""The docstring of an operator, made from its record when somebody asks: ``help(mx.nd.sum)``."""
from . import calls
from .ops import types as T
from .ops.record import REQUIRED

WIDTH = 100
KINDS = {T.boolean: "bool", T.integer: "int", T.real: "float", T.text: "str", T.shape: "int or tuple of int",
         T.reals: "float or tuple of float", T.slots: "int, None or tuple of them", T.axes: "int or tuple of int",
         T.dtype: "dtype"}


def describe(record, name, symbolic=False):
    """What ``help`` shows of `record` under `name`: the call, what it computes, inputs, parameters, outputs."""
    kind = "Symbol" if symbolic else "NDArray"
    lines = [*call_line(record, name, symbolic), "", *prose(record.__doc__)]
    for title, rows in (("Inputs", input_rows(record, kind)), ("Parameters", parameter_rows(record)),
                        ("Outputs", output_rows(record)), ("Further arguments", further_rows(kind, symbolic))):
        if rows:
            lines += ["", f"{title}:"]
            for row in rows:
                lines += wrapped(row, "    ", "        ")
    return "\n".join(lines)


def call_line(record, name, symbolic):
    """The call with its defaults, in as few lines as it fits into."""
    parts = [str(p) for p in calls.signature(record, symbolic).parameters.values()]
    indent, lines = " " * (len(name) + 1), [f"{name}("]
    for i, part in enumerate(parts):
        part += ")" if i + 1 == len(parts) else ","
        if len(lines[-1]) + 1 + len(part) > WIDTH:
            lines.append(indent)
        lines[-1] += part if lines[-1] in (indent, f"{name}(") else " " + part
    return lines


def prose(text):
    """The paragraphs of a docstring, each filled to the width; indented ones as they are."""
    import inspect
    lines = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        rows = paragraph.split("\n")
        if any(row.startswith((" ", "- ", "* ")) for row in rows) and max(map(len, rows)) <= WIDTH:
            lines += [*rows, ""]
        else:
            lines += [*wrapped(" ".join(rows), "", ""), ""]
    return lines[:-1]


def wrapped(text, first, then):
    """`text` in lines of at most WIDTH, the first one indented by `first`, the others by `then`."""
    import textwrap
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=then, break_long_words=False,
                         break_on_hyphens=False)


def input_rows(record, kind):
    if record.variadic:
        return [f"{record.inputs} ({kind}): any number of them"]
    states = set()
    always = None
    for p in calls._parameter_choices(record):
        try:
            aux = record.aux_names(p)
            names = {*record.input_names(p), *aux}
        except (ValueError, TypeError, AttributeError):     # a combination of parameters that there is not
            continue
        states.update(aux)
        always = names if always is None else always & names
    rows = []
    for n in calls.all_inputs(record):
        note = ", auxiliary state" if n in states else ""
        rows.append(f"{n} ({kind}{note})" + ("" if n in (always or ()) else ": where the parameters ask for it"))
    return rows


def parameter_rows(record):
    rows = []
    for name, param in record.params.items():
        if record.variadic and name == "num_args":          # counted
            continue
        default = "required" if param.default is REQUIRED else f"default {param.default!r}"
        rows.append(f"{name} ({kind_of(name, param)}, {default}): {param.help}")
    return rows


def kind_of(name, param):
    """The type of a parameter in words, its choices, and its range."""
    kind, optional = param.type, False
    while hasattr(kind, "kind"):                            # types.optional(kind)
        kind, optional = kind.kind, True
    if param.choices:
        text = "one of " + ", ".join(str(c) if kind is T.dtype else repr(c) for c in param.choices if c is not None)
        optional = optional or None in param.choices
    else:
        usual = "value" if param.default in (None, REQUIRED) else type(param.default).__name__
        text = "Context or str" if name == "ctx" else KINDS.get(kind, usual)
    if param.low is not None or param.high is not None:
        text += (f" of at least {param.low}" if param.high is None else f" of at most {param.high}"
                 if param.low is None else f" from {param.low} to {param.high}")
    return text + (" or None" if optional or kind is T.axes else "")


def output_rows(record):
    """The visible outputs, as many as the parameters say."""
    if callable(record.outputs) or callable(record.visible):
        counts = set()
        for p in calls._parameter_choices(record):
            try:
                counts.add(tuple(record.output_names(p)[:record.n_visible(p)]))
            except (ValueError, TypeError, AttributeError):
                continue
        most = max(counts, key=len, default=("output",))
        return [", ".join(most) + (": as many as the parameters say" if len(counts) != 1 or callable(record.outputs)
                                   else "")]
    p = None                                                # fixed names and a fixed number: no parameters needed
    return [", ".join(record.output_names(p)[:record.n_visible(p)])]


def further_rows(kind, symbolic):
    if symbolic:
        return ["name (str): the node's name; made from the operator's name and a number where it is not given",
                "attr (dict): further attributes of the node", "out: ignored"]
    return [f"out ({kind} or list of them): to write the outputs into", "name: ignored"]
