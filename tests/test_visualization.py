"""Tables and pictures of graphs, letter by letter as MXNet 1.9.1 makes them."""
import sys

import numpy as np
import pytest

import mxlite as mx

SUMMARY = """\
________________________________________________________________________________
Layer (type)                       Output Shape    Param # Previous Layer       
================================================================================
data(null)                         3x8x8           0                            
________________________________________________________________________________
conv(Convolution)                  4x8x8           112     data                 
________________________________________________________________________________
bn(BatchNorm)                      4x8x8           8       conv                 
________________________________________________________________________________
relu(Activation)                   4x8x8           0       bn                   
________________________________________________________________________________
pool(Pooling)                      4x4x4           0       relu                 
________________________________________________________________________________
flat(Flatten)                      64              0       pool                 
________________________________________________________________________________
fc(FullyConnected)                 3               195     flat                 
________________________________________________________________________________
softmax(SoftmaxOutput)             3               0       fc                   
================================================================================
Total params: 315
________________________________________________________________________________
"""  # noqa: W291

PICTURE = """\
digraph plot {
	data [label=data fillcolor="#8dd3c7" fixedsize=true height=0.8034 shape=oval style=filled width=1.3]
	conv [label="Convolution
3x3/1, 4" fillcolor="#fb8072" fixedsize=true height=0.8034 shape=box style=filled width=1.3]
	bn [label=bn fillcolor="#bebada" fixedsize=true height=0.8034 shape=box style=filled width=1.3]
	relu [label="Activation
relu" fillcolor="#ffffb3" fixedsize=true height=0.8034 shape=box style=filled width=1.3]
	pool [label="Pooling
max, 2x2/2x2" fillcolor="#80b1d3" fixedsize=true height=0.8034 shape=box style=filled width=1.3]
	flat [label=flat fillcolor="#fdb462" fixedsize=true height=0.8034 shape=box style=filled width=1.3]
	fc [label="FullyConnected
3" fillcolor="#fb8072" fixedsize=true height=0.8034 shape=box style=filled width=1.3]
	softmax_label [label=softmax_label fillcolor="#8dd3c7" fixedsize=true height=0.8034 shape=oval style=filled width=1.3]
	softmax [label=softmax fillcolor="#fccde5" fixedsize=true height=0.8034 shape=box style=filled width=1.3]
	conv -> data [label="3x8x8(float32)" arrowtail=open dir=back]
	bn -> conv [label="4x8x8(float32)" arrowtail=open dir=back]
	relu -> bn [label="4x8x8(float32)" arrowtail=open dir=back]
	pool -> relu [label="4x8x8(float32)" arrowtail=open dir=back]
	flat -> pool [label="4x4x4(float32)" arrowtail=open dir=back]
	fc -> flat [label="64(float32)" arrowtail=open dir=back]
	softmax -> fc [label="3(float32)" arrowtail=open dir=back]
	softmax -> softmax_label [label="(float32)" arrowtail=open dir=back]
}
"""  # noqa: E501, W191


@pytest.fixture
def net():
    data = mx.sym.Variable("data")
    conv = mx.sym.Convolution(data, kernel=(3, 3), num_filter=4, pad=(1, 1), name="conv")
    relu = mx.sym.Activation(mx.sym.BatchNorm(conv, name="bn"), act_type="relu", name="relu")
    pool = mx.sym.Pooling(relu, kernel=(2, 2), stride=(2, 2), pool_type="max", name="pool")
    fc = mx.sym.FullyConnected(mx.sym.Flatten(pool, name="flat"), num_hidden=3, name="fc")
    return mx.sym.SoftmaxOutput(fc, name="softmax")


def test_summary(net, capsys):
    mx.viz.print_summary(net, shape={"data": (2, 3, 8, 8)}, line_length=80)
    assert capsys.readouterr().out == SUMMARY


def test_summary_without_shapes(net, capsys):
    mx.viz.print_summary(net, line_length=60, positions=[20, 30, 40, 60])
    lines = capsys.readouterr().out.split("\n")
    assert lines[5] == "conv(Convolution)             4         data                "
    assert lines[-3] == "Total params: 7"


def test_summary_shows_every_predecessor(capsys):
    a, b = mx.sym.Variable("a"), mx.sym.Variable("b")
    left = mx.sym.Activation(a, act_type="relu", name="left")
    right = mx.sym.Activation(b, act_type="relu", name="right")
    mx.viz.print_summary(left + right, line_length=40, positions=[20, 25, 30, 40])
    lines = capsys.readouterr().out.split("\n")
    assert [line[30:].strip() for line in lines[9:11]] == ["left", "right"]


def test_picture(net):
    pytest.importorskip("graphviz")
    dot = mx.viz.plot_network(net, shape={"data": (2, 3, 8, 8)}, dtype={"data": np.float32})
    assert dot.source.strip() == PICTURE.strip()
    assert dot.format == "pdf"


def test_weights_and_attributes_of_the_picture(net):
    pytest.importorskip("graphviz")
    dot = mx.viz.plot_network(net, title="net", save_format="png", hide_weights=False,
                              node_attrs={"shape": "ellipse", "fixedsize": "false"})
    assert dot.source.startswith("digraph net {")
    assert "\tconv -> conv_weight [label=\"\" arrowtail=open dir=back]" in dot.source
    assert "\tbn [label=bn fillcolor=\"#bebada\" fixedsize=false height=0.8034 shape=ellipse" in dot.source
    assert "conv_weight" not in mx.viz.plot_network(net).source


def test_a_notebook_shows_the_picture_without_the_dot_program(net, monkeypatch):
    graphviz = pytest.importorskip("graphviz")
    monkeypatch.setenv("PATH", "")
    dot = mx.viz.plot_network(net)
    with pytest.raises(graphviz.ExecutableNotFound):
        dot.pipe(format="svg")
    shown = dot._repr_mimebundle_()["image/svg+xml"]
    assert shown.startswith("<svg") and "fc" in shown and "conv_weight" not in shown
    assert "conv_weight" in mx.viz.plot_network(net, hide_weights=False)._repr_mimebundle_()["image/svg+xml"]
    assert isinstance(dot, graphviz.Digraph) and net._repr_svg_().startswith("<svg")


def test_names_that_occur_twice():
    pytest.importorskip("graphviz")
    inner = mx.sym.Activation(mx.sym.Variable("x"), act_type="relu", name="a")
    net = mx.sym.Activation(inner, act_type="tanh", name="a")
    with pytest.warns(RuntimeWarning, match="Repeated names: a"):
        mx.viz.plot_network(net)


def test_missing_package(net, monkeypatch):
    monkeypatch.setitem(sys.modules, "graphviz", None)
    with pytest.raises(ImportError, match=r"pip install mxlite\[viz\]"):
        mx.viz.plot_network(net)


@pytest.mark.parametrize("function", ["print_summary", "plot_network"])
def test_symbols_only(function):
    if function == "plot_network":
        pytest.importorskip("graphviz")
    with pytest.raises(TypeError, match="Symbol"):
        getattr(mx.viz, function)("net")
