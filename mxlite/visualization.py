"""Pictures and tables of a graph, from its JSON: ``mx.viz.plot_network`` and ``mx.viz.print_summary``.

Only drawing to a file needs the ``dot`` program; the table and the picture's source text do without.
"""
import json
import re
import warnings
from collections import Counter

from .svg import draw
from .symbol import Symbol

__all__ = ["print_summary", "plot_network"]

_WEIGHT_LIKE = ("_weight", "_bias", "_beta", "_gamma", "_moving_var", "_moving_mean", "_running_var", "_running_mean")
_INPUT, _LAYER, _ACTIVATION, _NORM, _POOL, _SHAPE, _SOFTMAX, _OTHER = (
    "#8dd3c7", "#fb8072", "#ffffb3", "#bebada", "#80b1d3", "#fdb462", "#b3de69", "#fccde5")


def _graph(symbol):
    """The nodes of the symbol's JSON, each with an ``attrs`` dict, and the node numbers of its first head."""
    if not isinstance(symbol, Symbol):
        raise TypeError(f"symbol must be a Symbol, not {type(symbol).__name__}")
    graph = json.loads(symbol.tojson())
    for node in graph["nodes"]:
        node.setdefault("attrs", {})
    return graph["nodes"], set(graph["heads"][0])


def _output_shapes(symbol, shape):
    """name of an output of any node -> shape, from the inputs' shapes. ValueError if they do not suffice."""
    internals = symbol.get_internals()
    _, shapes, _ = internals.infer_shape(**shape)
    if shapes is None:
        raise ValueError("Input shape is incomplete")
    return dict(zip(internals.list_outputs(), shapes))


def _key(node):
    """The name of a node's output among all outputs."""
    return node["name"] if node["op"] == "null" else node["name"] + "_output"


def _numbers(text):
    return re.findall(r"\d+", text)


def _parameters(node, filters, shapes):
    """How many parameters a layer has, `filters` being its inputs' channels. Only layers that MXNet counts."""
    op, attrs = node["op"], node["attrs"]
    bias = 0 if attrs.get("no_bias") == "True" else 1
    if op == "Convolution":
        count = filters * int(attrs["num_filter"]) // int(attrs.get("num_group", "1"))
        for size in _numbers(attrs["kernel"]):
            count *= int(size)
        return count + bias * int(attrs["num_filter"])
    if op == "FullyConnected":
        return (filters + bias) * int(attrs["num_hidden"])
    if op == "BatchNorm":
        return 2 * int(shapes[_key(node)][1]) if shapes else 0
    if op == "Embedding":
        return int(attrs["input_dim"]) * int(attrs["output_dim"])
    return 0


def print_summary(symbol, shape=None, line_length=120, positions=(.44, .64, .74, 1.)):
    """Print a table of the layers: output shape without the batch, number of parameters, and what comes before.

    `shape` is a dict input name -> shape; without it shapes and most counts are missing. `positions` are where the
    columns end, as shares of `line_length` or in characters. Parameters are counted as MXNet counts them, that is for
    Convolution, FullyConnected, BatchNorm and Embedding. Raises TypeError for anything but a Symbol.
    """
    nodes, heads = _graph(symbol)
    shapes = _output_shapes(symbol, shape) if shape is not None else {}
    ends = [int(line_length * end) for end in positions] if positions[-1] <= 1 else positions

    def print_row(fields):
        line = ""
        for field, end in zip(fields, ends):
            line = (line + str(field))[:end].ljust(end)
        print(line)

    print("_" * line_length)
    print_row(["Layer (type)", "Output Shape", "Param #", "Previous Layer"])
    print("=" * line_length)
    total = 0
    for i, node in enumerate(nodes):
        if node["op"] == "null" and i > 0:
            continue
        out_shape = shapes.get(_key(node), ())[1:] if node["op"] != "null" or i in heads else ()
        before, filters = [], 0
        for source in node.get("inputs", ()):
            feeder = nodes[source[0]]
            if feeder["op"] != "null" or source[0] in heads:
                before.append(feeder["name"])
                filters += int(shapes[_key(feeder)][1]) if len(shapes.get(_key(feeder), ())) > 1 else 0
        count = _parameters(node, filters, shapes)
        total += count
        first = before[0] if before else ""
        print_row([f"{node['name']}({node['op']})", "x".join(map(str, out_shape)), count, first])
        for name in before[1:]:
            print_row(["", "", "", name])
        print(("=" if i == len(nodes) - 1 else "_") * line_length)
    print(f"Total params: {total}")
    print("_" * line_length)


def _look(node):
    """Label and colour of an operator."""
    op, attrs = node["op"], node["attrs"]

    def size(key, missing):
        return "x".join(_numbers(attrs[key])) if key in attrs else missing

    if op == "Convolution":
        return f"Convolution\n{size('kernel', '')}/{size('stride', '1')}, {attrs['num_filter']}", _LAYER
    if op == "FullyConnected":
        return f"FullyConnected\n{attrs['num_hidden']}", _LAYER
    if op == "Activation":
        return f"Activation\n{attrs['act_type']}", _ACTIVATION
    if op == "LeakyReLU":
        return f"LeakyReLU\n{attrs.get('act_type', 'Leaky')}", _ACTIVATION
    if op == "Pooling":
        return f"Pooling\n{attrs.get('pool_type', 'max')}, {size('kernel', '[]')}/{size('stride', '1')}", _POOL
    if op == "Custom":
        return attrs["op_type"], _OTHER
    colour = {"BatchNorm": _NORM, "Concat": _SHAPE, "Flatten": _SHAPE, "Reshape": _SHAPE, "Softmax": _SOFTMAX}
    return node["name"], colour.get(op, _OTHER)


def plot_network(symbol, title="plot", save_format="pdf", shape=None, dtype=None, node_attrs=None, hide_weights=True):
    """The graph as a ``graphviz.Digraph``: ``.source`` is its text, ``.render()`` draws it to a file.

    `shape` and `dtype` (dicts input name -> shape, dtype) write the shape without the batch, and the dtype, on the
    edges. `node_attrs` are Graphviz attributes for all nodes. `hide_weights` leaves out inputs whose names end like
    those of weights and moving statistics. Raises ImportError where the Python package graphviz is missing (the
    ``dot`` program is needed by ``.render()`` only; a notebook shows mxlite's own drawing without it), TypeError for
    anything but a Symbol, and warns of names that occur twice.
    """
    nodes, _ = _graph(symbol)
    try:
        import graphviz
    except ImportError as e:
        raise ImportError("plot_network needs the Python package graphviz: pip install mxlite[viz]") from e
    shapes = _output_shapes(symbol, shape) if shape is not None else None
    types = None
    if dtype is not None:
        internals = symbol.get_internals()
        _, types, _ = internals.infer_type(**dtype)
        if types is None:
            raise ValueError("Input type is incomplete")
        types = dict(zip(internals.list_outputs(), types))
    twice = [name for name, count in Counter(node["name"] for node in nodes).items() if count > 1]
    if twice:
        warnings.warn("There are multiple variables with the same name in your graph, this may result in cyclic graph. "
                      "Repeated names: " + ",".join(twice), RuntimeWarning, stacklevel=2)

    look = {"shape": "box", "fixedsize": "true", "width": "1.3", "height": "0.8034", "style": "filled",
            **(node_attrs or {})}
    dot = _picture_class(graphviz)(name=title, format=save_format)
    dot.drawn = lambda: draw(symbol._entries, hide_weights)
    hidden = set()
    for node in nodes:
        name = node["name"]
        if node["op"] != "null":
            label, colour = _look(node)
            dot.node(name=name, label=label, **{**look, "fillcolor": colour})
        elif not name.endswith(_WEIGHT_LIKE):
            dot.node(name=name, label=name, **{**look, "shape": "oval", "fillcolor": _INPUT})
        elif hide_weights:
            hidden.add(name)
        # Weights that are not hidden get no node of their own: Graphviz draws a plain oval for an edge's end.
    for node in nodes:
        sources = [nodes[source[0]] for source in node.get("inputs", ())]
        for source in sources[:1] if node["op"] == "_contrib_BilinearResize2D" else sources:
            if source["name"] in hidden:
                continue
            label = ""
            if shapes is not None:
                label += "x".join(str(n) for n in _of_output(shapes, source)[1:])
            if types is not None:
                label += f"({_type_name(_of_output(types, source))})"
            dot.edge(tail_name=node["name"], head_name=source["name"], dir="back", arrowtail="open", label=label)
    return dot


def _picture_class(graphviz):
    """Graphviz' Digraph, which a notebook shows as mxlite's own drawing where the ``dot`` program is missing."""
    class Picture(graphviz.Digraph):
        def _repr_mimebundle_(self, *args, **kwargs):
            try:
                return super()._repr_mimebundle_(*args, **kwargs)
            except graphviz.ExecutableNotFound:
                return {"image/svg+xml": self.drawn()}
    return Picture


def _of_output(table, node):
    """What `table` says of a node's output; of one with several outputs, the last, as MXNet shows it."""
    key = _key(node)
    if node["op"] != "null" and "num_outputs" in node["attrs"]:
        key += str(int(node["attrs"]["num_outputs"]) - 1)
    if key in table:
        return table[key]
    # Several outputs that are not counted by a parameter (BatchNorm with output_mean_var, RNN with states).
    return next((value for name, value in table.items() if name.startswith(node["name"] + "_")), ())


def _type_name(dtype):
    return getattr(dtype, "__name__", str(dtype))
