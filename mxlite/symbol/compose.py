"""Making nodes: a call of ``mx.sym.op(...)`` becomes a node, its missing inputs become variables."""
import numpy as np

from .._core.dtypes import name_of
from .._core.errors import MXNetError
from .._core.graph import Node, states_of, substitute, variables
from ..attribute import AttrScope
from ..base import caller
from ..calls import all_inputs, split_call
from ..name import NameManager
from ..ops.record import cut, near
from .codec import HIDDEN_KEYS

MOST_INPUTS = 65536         # variables made for the inputs of one operator


def attribute_text(key, value):
    """A parameter's value as MXNet writes it into JSON: ``str(value)``, dtypes by name."""
    if isinstance(value, str):              # MXNet's operators read one spelling of a dtype: no "float"
        return name_of(value) if key == "dtype" and value.strip() not in ("None", "") else value
    if key == "dtype" and value is not None and not isinstance(value, int):
        return name_of(value)
    if isinstance(value, (tuple, list)) and any(isinstance(v, np.generic) for v in value):
        value = type(value)(v.item() if isinstance(v, np.generic) else v for v in value)
    return str(value)


def hidden_key(key):
    """``lr_mult`` is stored as ``__lr_mult__``; other keys as they are."""
    return f"__{key}__" if key in HIDDEN_KEYS else key


def compose(op, called, args, kwargs, symbol_class):
    """The entries of a new node of `op` for the call ``called(*args, **kwargs)``."""
    after = {"name": kwargs.pop("name", None), "attr": kwargs.pop("attr", None), "out": kwargs.pop("out", None)}
    inputs, by_name, values, rest = split_call(op, args, kwargs, lambda v: isinstance(v, symbol_class), "symbols",
                                               after)
    name, attr = after["name"], after["attr"]
    if not op.variadic:
        check_twice(op, all_inputs(op), inputs, by_name)
    # The name is taken before anything else can fail, as MXNet does: a refused call uses up a number.
    name = NameManager.current.get(name, called.lower())
    for k in rest:
        if not (k in HIDDEN_KEYS or (k.startswith("__") and k.endswith("__"))):
            raise MXNetError(_unknown(op, k))
    # What `attr` and the scopes say wins over keywords, as in MXNet.
    user = {**rest, **AttrScope.current.get(attr)}
    attrs = {hidden_key(k): v if isinstance(v, str) else str(v) for k, v in user.items()}
    for k in list(attrs):
        if not (k.startswith("__") and k.endswith("__")):
            if k in op.params:
                values[k] = attrs[k]
            elif op.params:
                raise MXNetError(_unknown(op, k))
    try:
        p = op.parse(values)
    except ValueError as e:
        raise MXNetError(f"{e}\n  made at {caller()}") from None
    for k, v in values.items():
        attrs[k] = attribute_text(k, v)
    node = Node(op, name, attrs, p, None, caller())
    if op.variadic and op.aux:          # which names all inputs: the parameters say how many there are
        check_twice(op, op.aux_names(p), inputs, by_name)
        node.inputs = fill_inputs(op, p, node, inputs, by_name)
    elif op.variadic:
        n = len(inputs) + len(by_name)
        if "num_args" in op.params:
            n = p.num_args or n                     # a number that is given may leave some to be variables
            if n > max(MOST_INPUTS, len(inputs) + len(by_name)):
                raise MXNetError(f"{op.name}: num_args={n} is more than the {MOST_INPUTS} inputs that are made\n"
                                 f"  made at {caller()}")
            attrs["num_args"] = str(n)
            node.p = p.replace(num_args=n)
        if not n:
            raise MXNetError(f"{op.name} needs at least one input symbol")
        check_many(op, op.input_names(node.p, n), inputs, by_name)
        node.inputs = fill_inputs(op, node.p, node, inputs, by_name, n)
        node.n_out, node.n_visible = len(op.output_names(node.p)), op.n_visible(node.p)
    else:
        node.inputs = fill_inputs(op, p, node, inputs, by_name)
    return [(node, i) for i in range(node.n_visible)]


def check_twice(op, labels, given, by_name):
    """TypeError for an input that is given by position and by name."""
    for label, s in zip(labels, given):
        if s is not None and label in by_name:
            raise TypeError(f"{op.name}: input {label!r} is given by position and by name")


def check_many(op, names, given, by_name):
    """Inputs of an operator that takes any number: all by position, or all by name (``arg0``, ``arg1``, ...)."""
    if given and by_name:
        raise TypeError(f"{op.name} takes its inputs either by position or by name, not both: {len(given)} by position "
                        f"and {', '.join(by_name)}")
    for k in by_name:
        if k not in names:
            raise MXNetError(f"{op.name} has no input {k!r}; {len(names)} inputs are {', '.join(names)}"
                             f"\n  made at {caller()}")


def _unknown(op, key):
    close = near(key, list(op.params) + (all_inputs(op) if not op.variadic else []))
    return (f"{op.name} has no argument {key!r}" + (f", did you mean {close[0]!r}?" if close else "")
            + f"\n  made at {caller()}")


def single(symbol, what):
    """The one entry of a symbol that is used as an input."""
    if len(symbol._entries) != 1:
        raise MXNetError(f"{what}: an input must have one output, {symbol.name or 'the group'} has "
                         f"{len(symbol._entries)}: {', '.join(symbol.list_outputs())}; choose one by index"
                         f"\n  made at {caller()}")
    return symbol._entries[0]


def fill_inputs(op, p, node, given, by_name, n=None):
    """Entries for all inputs: given ones by position or name, variables ``{node}_{input}`` for the others."""
    labels = list(op.input_names(p, n)) + list(op.aux_names(p))
    states = set(states_of(op, p, labels))
    if len(given) > len(labels):
        raise MXNetError(f"{op.name} takes {len(labels)} inputs ({cut(', '.join(labels), 500)}), got {len(given)}"
                         f"\n  made at {caller()}")
    entries = []
    for i, label in enumerate(labels):
        init = op.aux_init.get(label)
        if i < len(given) and given[i] is not None:
            entries.append(single(given[i], op.name))
        elif label in by_name:
            entries.append(single(by_name.pop(label), op.name))
        else:
            entries.append((Node(None, f"{node.name}_{label}", dict(node.attrs), None, None, node.where), 0))
        if label in states and entries[-1][0].op is not None:
            raise MXNetError(f"{op.name}: the auxiliary state {label!r} must be a variable, the kernel writes it; "
                             f"{entries[-1][0].name!r} is an operator\n  made at {caller()}")
        if init is not None and entries[-1][0].op is None:      # a variable that was given, too
            entries[-1][0].attrs.setdefault("__init__", init)
    left = [k for k in by_name if k not in labels]
    if left:
        raise MXNetError(f"{op.name} has no input {left[0]!r}; its inputs are {cut(', '.join(labels), 500)}"
                         f"\n  made at {caller()}")
    return entries


def apply_to(symbol, args, kwargs, name):
    """The entries of a copy of `symbol` in which variables stand for the symbols given by position or name."""
    arguments, states = variables(symbol._entries)
    inputs = arguments + states
    if args:
        if len(args) > len(inputs):
            raise MXNetError(f"compose: {len(args)} symbols for {len(inputs)} inputs: "
                             f"{', '.join(n.name for n in inputs)}\n  made at {caller()}")
        replace = dict(zip(inputs, args))
    else:
        by_name, replace = {}, {}
        for n in inputs:
            by_name.setdefault(n.name, []).append(n)
        for k, s in kwargs.items():
            if k not in by_name:
                close = near(k, list(by_name))
                raise MXNetError(f"compose: argument name {k} not found"
                                 + (f", did you mean {close[0]!r}?" if close else "")
                                 + f"; the inputs are {', '.join(by_name)}\n  made at {caller()}")
            if len(by_name[k]) > 1:
                made = ", ".join(str(n.where) for n in by_name[k])
                raise MXNetError(f"compose: {k} is ambiguous: {len(by_name[k])} variables have that name (made at "
                                 f"{made})")
            replace[by_name[k][0]] = s
    replace = {n: single(s, f"compose: {n.name}") for n, s in replace.items()}
    for n in states:
        if n in replace and replace[n][0].op is not None:
            raise MXNetError(f"compose: {n.name} is an auxiliary state, which an operator writes, so only a variable "
                             f"can stand for it\n  made at {caller()}")
    entries = substitute(symbol._entries, replace)
    # A head that stands for a given symbol is that symbol's own node: it keeps its name.
    if name is not None and symbol._entries[0][0] not in replace:
        entries[0][0].name = name
    return entries


def reparsed(node, attrs):
    """The parameters of an operator node for other attribute texts. MXNetError where they do not fit the node."""
    op = node.op
    for k in attrs if op.params else ():
        if k not in op.params and not (k.startswith("__") and k.endswith("__")):
            raise MXNetError(_unknown(op, k))
    try:
        p = op.parse({k: v for k, v in attrs.items() if k in op.params})
        fits = len(op.output_names(p)) == node.n_out and op.n_visible(p) == node.n_visible and (
            op.variadic or len(op.input_names(p)) + len(op.aux_names(p)) == len(node.inputs))
    except ValueError as e:
        raise MXNetError(f"{e}\n  made at {caller()}") from None
    if not fits:
        raise MXNetError(f"{op.name} node {node.name!r} would have other inputs or outputs: compose a new one"
                         f"\n  made at {caller()}")
    return p


def text_of(nodes, heads):
    """The text that ``debug_str`` shows for `nodes`, in execution order, whose outputs are the entries `heads`."""
    if len(heads) == 1 and heads[0][0].op is None:
        return f"Variable:{heads[0][0].name}\n"
    lines = ["Symbol Outputs:"]
    lines += [f"\toutput[{k}]={n.name}({i})" for k, (n, i) in enumerate(heads)]
    versions = {}           # of a variable: how often it has been taken as an auxiliary state so far
    for node in nodes:
        if node.op is None:
            lines.append(f"Variable:{node.name}")
            continue
        for child, _ in states_of(node.op, node.p, node.inputs):
            versions[child] = versions.get(child, 0) + 1
        lines += ["--------------------", f"Op:{node.op.name}, Name={node.name}", "Inputs:"]
        for k, (child, i) in enumerate(node.inputs):
            lines.append(f"\targ[{k}]={child.name}({i})"
                         + (f" version={versions.get(child, 0)}" if child.op is None else ""))
        if node.attrs:
            lines.append("Attrs:")
            lines += [f"\t{k}={node.attrs[k]}" for k in sorted(node.attrs)]
    return "\n".join(lines) + "\n"
