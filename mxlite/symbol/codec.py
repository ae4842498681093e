"""The JSON of a symbol, byte for byte as MXNet 1.9.1 writes it, and back.

The layout is dmlc's JSON writer: two spaces of indent, ``", "`` at line ends, an object of one key on one line, a list
of numbers on one line up to ten elements.
"""
import json

from .._core.errors import MXNetError
from .._core.graph import Node, states_of, topological
from ..ops.record import REGISTRY, cut

VERSION = 10901
# Keys that MXNet stores as __key__ when an attribute dict says them plainly.
HIDDEN_KEYS = ("ctx_group", "lr_mult", "wd_mult", "force_mirroring", "mirror_stage")
# What a file says that names no version, and the versions from which on a file says things as they are said now.
UNVERSIONED, SAYS_INPUTS, SAYS_INIT, SAYS_AXIS = 800, 900, 904, 905
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def _quote(text):
    return '"' + text.translate(_ESCAPES) + '"'


def _list(items, indent):
    """Items (already text) as dmlc writes a list: on one line up to ten."""
    if len(items) <= 10:
        return "[" + ", ".join(items) + "]"
    pad = "\n" + " " * (indent + 2)
    return "[" + pad + (", " + pad).join(items) + "\n" + " " * indent + "]"


def _attrs(attrs, indent):
    keys = sorted(attrs, key=lambda k: k.encode())
    items = [f"{_quote(k)}: {_quote(attrs[k])}" for k in keys]
    if len(items) == 1:
        return "{" + items[0] + "}"
    pad = "\n" + " " * (indent + 2)
    return "{" + pad + (", " + pad).join(items) + "\n" + " " * indent + "}"


def to_json(entries):
    """The JSON text of the graph below `entries`."""
    nodes = topological(entries)
    row = {node: i for i, node in enumerate(nodes)}
    # Of a variable, how often auxiliary states have been taken from it so far: MXNet calls it the entry's version.
    versions = {}
    rows, ptr, args = [], [0], []
    for i, node in enumerate(nodes):
        for child, _ in () if node.op is None else states_of(node.op, node.p, node.inputs):
            versions[child] = versions.get(child, 0) + 1
        inputs = [f"[{row[child]}, {k}, {versions.get(child, 0)}]" for child, k in node.inputs]
        lines = [f'"op": {_quote(node.op.name if node.op else "null")}', f'"name": {_quote(node.name)}']
        if node.attrs:
            lines.append(f'"attrs": {_attrs(node.attrs, 6)}')
        lines.append(f'"inputs": {_list(inputs, 6)}')
        rows.append("    {\n      " + ", \n      ".join(lines) + "\n    }")
        if node.op is None:
            args.append(str(i))
            ptr.append(ptr[-1] + 1)
        else:
            ptr.append(ptr[-1] + node.op.n_mxnet_outputs(node.p))
    heads = [f"[{row[node]}, {i}, {versions.get(node, 0)}]" for node, i in entries]
    body = "[\n" + ", \n".join(rows) + "\n  ]" if rows else "[]"
    return ("{\n" + f'  "nodes": {body}, \n  "arg_nodes": {_list(args, 2)}, \n'
            f'  "node_row_ptr": {_list([str(p) for p in ptr], 2)}, \n  "heads": {_list(heads, 2)}, \n'
            f'  "attrs": {{"mxnet_version": ["int", {VERSION}]}}\n' + "}")


def without_amp_casts(entries):
    """The graph behind `entries` without ``amp_cast`` and ``amp_multicast`` nodes, but for those that are outputs."""
    casts, order = ("amp_cast", "amp_multicast"), topological(entries)
    if not any(n.op is not None and n.op.name in casts for n in order):
        return entries
    heads, made = {n for n, _ in entries}, {}

    def through(entry):
        node, i = entry
        while node.op is not None and node.op.name in casts:
            node, i = node.inputs[i]
        return made[node], i
    for node in order:
        if node.op is None or (node.op.name in casts and node not in heads):
            made[node] = node
        else:
            made[node] = Node(node.op, node.name, dict(node.attrs), node.p, [through(e) for e in node.inputs],
                              node.where)
    return [(made[n], i) for n, i in entries]


def from_json(text):
    """The entries of a graph from its JSON text, of MXNet 1.x or older. MXNetError says what is wrong and where."""
    try:
        graph = json.loads(text)
    except (ValueError, TypeError, RecursionError) as e:
        start = text.lstrip()[:20] if isinstance(text, str) else ""
        hint = "; the text is an HTML page" if start.lower().startswith(("<!doctype", "<html")) else ""
        raise MXNetError(f"this is no symbol JSON: {e}{hint}") from None
    if not isinstance(graph, dict) or not isinstance(graph.get("nodes"), list) \
            or not isinstance(graph.get("heads"), list):
        raise MXNetError("this is no symbol JSON: it needs the lists 'nodes' and 'heads'")
    version = _version(graph.get("attrs", {}))
    nodes = []
    for i, entry in enumerate(graph["nodes"]):
        nodes.append(_node(i, entry, nodes, version))
    if not graph["heads"]:
        raise MXNetError("symbol JSON: 'heads' is empty: the graph has no output")
    heads = [_entry(nodes, len(nodes), h, "heads") for h in graph["heads"]]
    return heads


def _version(attrs):
    """The version of MXNet that a graph's attributes say it is of, 10901 for 1.9.1."""
    said = attrs.get("mxnet_version", ["int", UNVERSIONED]) if isinstance(attrs, dict) else None
    if not isinstance(said, list) or len(said) != 2 or said[0] != "int" or type(said[1]) is not int:
        raise MXNetError(f"symbol JSON: 'attrs' is {cut(repr(attrs))}, not {{'mxnet_version': ['int', number]}}")
    return said[1]


def _entry(nodes, before, reference, what):
    """(node, output) for ``[row, output(, version)]``; the row must come before `before`, so no cycle can be read."""
    if not isinstance(reference, list) or len(reference) not in (2, 3) or \
            not all(isinstance(v, int) for v in reference):
        raise MXNetError(f"symbol JSON: {what} holds {reference!r}, not [node, output] or [node, output, version]")
    row, out = reference[0], reference[1]
    if not 0 <= row < before:
        raise MXNetError(f"symbol JSON: {what} refers to node {row}; only nodes 0 to {before - 1} come before it "
                         f"(a cycle, or a truncated file)")
    if not 0 <= out < nodes[row].n_out:
        raise MXNetError(f"symbol JSON: {what} refers to output {out} of {nodes[row].name!r}, which has "
                         f"{nodes[row].n_out}")
    return nodes[row], out


def _is_hidden(key):
    return len(key) > 4 and key.startswith("__") and key.endswith("__")


def _node(i, entry, nodes, version):
    if not isinstance(entry, dict) or not isinstance(entry.get("op"), str) or not isinstance(entry.get("name"), str):
        raise MXNetError(f"symbol JSON: node {i} needs a text 'op' and a text 'name'")
    name, op_name = entry["name"], entry["op"]
    attrs = {}
    for key in ("param", "attr", "attrs"):          # written before 0.9, before 1.0, and since
        part = entry.get(key) or {}
        if not isinstance(part, dict):
            raise MXNetError(f"symbol JSON: {key!r} of node {name!r} is no object")
        attrs.update({str(k): v if isinstance(v, str) else str(v) for k, v in part.items()})
    if version < VERSION:
        for k in HIDDEN_KEYS:
            if k in attrs:
                attrs[f"__{k}__"] = attrs.pop(k)
    references = entry.get("inputs", [])
    if not isinstance(references, list):
        raise MXNetError(f"symbol JSON: 'inputs' of node {name!r} is no list")
    inputs = [_entry(nodes, i, ref, f"inputs of node {name!r}") for ref in references]
    if op_name == "null":
        return Node(None, name, attrs)
    if op_name not in REGISTRY:
        raise MXNetError(f"symbol JSON: node {name!r} uses the operator {op_name!r}, which mxlite does not have")
    op = REGISTRY[op_name]
    if version < SAYS_AXIS and op.name in ("argmax", "argmin") and attrs.get("axis") == "-1":
        del attrs["axis"]                           # it meant: over all elements
    try:
        p = op.parse({k: v for k, v in attrs.items() if k in op.params})
        labels = list(op.input_names(p, len(inputs))) + list(op.aux_names(p))
        if version < VERSION and op.params:
            _give_away(attrs, labels, inputs)
        if op.params:                               # one without takes what it is given, as in MXNet
            p = op.parse({k: v for k, v in attrs.items() if not _is_hidden(k)})
        if not op.variadic:
            states = op.aux_names(p)
            if version < SAYS_INPUTS or len(inputs) == len(labels) - len(states):   # files without their states
                inputs += [(Node(None, f"{name}_{label}", dict(attrs)), 0) for label in labels[len(inputs):]]
            if len(inputs) != len(labels):
                raise ValueError(f"it takes {len(labels)} inputs, the file gives {len(inputs)}")
            for label, (node, _) in zip(labels, inputs) if version < SAYS_INIT else ():
                if label in states and label in op.aux_init and node.op is None:
                    node.attrs.setdefault("__init__", op.aux_init[label])
    except ValueError as e:
        said = str(e).removeprefix(f"{op.name}: ")
        raise MXNetError(f"symbol JSON: node {name!r} ({op_name}): {said}") from None
    return Node(op, name, attrs, p, inputs)


def _give_away(attrs, labels, inputs):
    """Older files say ``weight_lr_mult`` at an operator: it is the ``__lr_mult__`` of the variable for `weight`."""
    for label, (node, _) in zip(labels, inputs):
        for k in HIDDEN_KEYS:
            if node.op is None and f"{label}_{k}" in attrs:
                node.attrs[f"__{k}__"] = attrs.pop(f"{label}_{k}")
