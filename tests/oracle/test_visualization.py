"""Tables and pictures of networks, letter by letter the real MXNet's."""
import re

import pytest

import mxlite as mx
from mxlite.examples import symbols

SHOW = """
def show(mx, tables, pictures):
    import contextlib
    import io
    import warnings
    warnings.simplefilter("ignore")
    out = []
    for text, options in tables:
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said):
                mx.viz.print_summary(mx.sym.load_json(text), **options)
            out.append(said.getvalue())
        except Exception:
            out.append("raises")
    for text, options in pictures:
        try:
            dot = mx.viz.plot_network(mx.sym.load_json(text), **options)
            out.append((dot.name, dot.format, dot.source))
        except Exception:
            out.append("raises")
    return out
"""
NAMES = {}
exec(SHOW, NAMES)


def networks():
    """name -> (symbol, shapes of its inputs)."""
    sym = mx.sym
    x = sym.Variable("data")
    f = sym.FullyConnected(sym.Activation(sym.FullyConnected(x, num_hidden=10, name="f1"), act_type="relu", name="a1"),
                           num_hidden=3, name="f2", no_bias=True)
    yield sym.SoftmaxOutput(f, name="softmax"), {"data": (4, 20)}
    c = sym.Pooling(sym.Activation(sym.Convolution(x, kernel=(5, 5), num_filter=6, name="c1"), act_type="tanh"),
                    kernel=(2, 2), stride=(2, 2), pool_type="max", name="p1")
    c = sym.Convolution(c, kernel=(3, 3), num_filter=8, num_group=2, no_bias=True, stride=(2, 2), name="c2")
    c = sym.FullyConnected(sym.Flatten(sym.BatchNorm(c, name="bn")), num_hidden=4, name="fc")
    yield sym.SoftmaxOutput(c, name="sm"), {"data": (2, 1, 28, 28)}
    r = sym.Convolution(x, kernel=(3, 3), pad=(1, 1), num_filter=8, name="r1")
    s = sym.BatchNorm(sym.Convolution(r, kernel=(3, 3), pad=(1, 1), num_filter=8, name="r2"), name="rb")
    yield sym.Activation(r + s, act_type="relu", name="out"), {"data": (2, 3, 8, 8)}
    e = sym.Embedding(x, input_dim=50, output_dim=6, name="emb")
    e = sym.Concat(e, sym.LeakyReLU(e, act_type="prelu", name="pr"), dim=2, name="cc")
    yield sym.FullyConnected(e, num_hidden=2, name="fc"), {"data": (2, 7)}
    parts = sym.SliceChannel(x, num_outputs=2, name="sp")
    yield sym.Group([parts[0] + parts[1], sym.Dropout(parts[0], name="dr")]), {"data": (2, 4)}
    w = sym.Variable("w")
    yield sym.FullyConnected(sym.FullyConnected(x, weight=w, num_hidden=4, name="q1"), weight=w, num_hidden=4,
                             name="q2"), {"data": (2, 4)}
    yield sym.BatchNorm(x, axis=-1, name="b"), {"data": (2, 4, 5)}
    yield sym.LayerNorm(sym.FullyConnected(x, num_hidden=3, flatten=False, name="ff"), name="ln"), {"data": (2, 5, 4)}
    yield x, {"data": (1, 2)}
    yield symbols.lenet.get_symbol(num_classes=10), {"data": (1, 1, 28, 28)}
    yield symbols.resnet.get_symbol(num_classes=10, num_layers=18, image_shape="3,32,32"), {"data": (1, 3, 32, 32)}


def lines(picture):
    """A picture's parts, without what Graphviz' Python package writes differently from version to version."""
    if isinstance(picture, str):
        return picture
    name, form, source = picture
    return name, form, sorted(re.sub(r"[\s\"]+", " ", line).strip() for line in source.splitlines() if line)


def test_tables_and_pictures(oracle):
    pytest.importorskip("graphviz")
    tables, pictures = [], []
    for net, shape in networks():
        text = net.tojson()
        tables += [(text, o) for o in ({}, {"shape": shape}, {"shape": shape, "line_length": 80},
                                       {"shape": shape, "positions": [.3, .5, .7, 1.]}, {"shape": {"nothing": (1,)}},
                                       {"shape": shape, "line_length": 100, "positions": [30, 60, 80, 100]})]
        pictures += [(text, o) for o in ({}, {"shape": shape}, {"shape": shape, "hide_weights": False},
                                         {"title": "net", "save_format": "png", "node_attrs": {"shape": "oval"}},
                                         {"shape": shape, "dtype": {"data": "float32"}}, {"dtype": {"data": "float16"}},
                                         {"shape": {"nothing": (1,)}})]
    theirs = oracle.run(SHOW + "result = show(mx, tables, pictures)", tables=tables, pictures=pictures)
    ours = NAMES["show"](mx, tables, pictures)
    for (text, options), a, b in zip(tables + pictures, ours, theirs):
        same = a == b if isinstance(b, str) else lines(a) == lines(b)
        assert same, f"{options}\n{text}\n{a}\nwhere MXNet says\n{b}"
    assert sum(b != "raises" for b in theirs) > 100
