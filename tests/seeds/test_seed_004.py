"""The blocks of "Symbol - Neural network graphs" (MXNet's tutorial), as written; only the import differs.

The tutorial prints no outputs, so each test compares with what its text says or with values worked out by hand. A block
that stands on earlier ones runs after them in one namespace.
"""
import json
import shutil
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import mxlite as mx

from .blocks_004 import BLOCKS, DIGEST
from .running import GRAPHVIZ, Document

TUTORIAL = Document(BLOCKS, DIGEST)


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)         # one block saves a file
    mx.random.seed(3)
    np.random.seed(3)


def picture(symbol_or_dot):
    """The edges that a Digraph's text draws, (from, to) in the direction of the data."""
    edges = [line.split("[")[0].split("->") for line in symbol_or_dot.source.splitlines() if "->" in line]
    return {(a.strip().strip('"'), b.strip().strip('"')) for b, a in edges}


@TUTORIAL.covers("sum")
def test_automatic_names():
    names = TUTORIAL.run("sum")
    a, b, c = names["_"]
    assert (a.name, b.name) == ("a", "b")
    assert c.name not in ("a", "b", None) and c.list_arguments() == ["a", "b"]
    assert names["a"] + names["b"] is not c and (names["a"] + names["b"]).name != c.name


@TUTORIAL.covers("operators")
def test_operators():
    pytest.importorskip("graphviz", reason=GRAPHVIZ)
    names = TUTORIAL.run("sum", "operators")
    g, d, e, f = (names[n] for n in "gdef")
    assert picture(names["_"]) >= {("a", d.name), ("b", d.name), ("a", e.name), ("b", e.name), (f.name, g.name)}
    x, y = np.arange(4.0).reshape(2, 2) + 1, np.array([[0.5, -1], [2, 3]])
    out, = g.eval(a=mx.nd.array(x), b=mx.nd.array(y))
    np.testing.assert_allclose(out.asnumpy(), np.tile((x * y + x @ y).reshape(1, 4), (2, 1)), rtol=1e-6)


@TUTORIAL.covers("perceptron")
def test_perceptron():
    pytest.importorskip("graphviz", reason=GRAPHVIZ)
    names = TUTORIAL.run("perceptron")
    assert picture(names["_"]) == {("data", "fc1"), ("fc1", "relu1"), ("relu1", "fc2"), ("fc2", "out"),
                                   ("out_label", "out")}
    assert 'label=200' in names["_"].source and 'label=128' in names["_"].source


@TUTORIAL.covers("arguments")
def test_arguments():
    pytest.importorskip("graphviz", reason=GRAPHVIZ)
    assert TUTORIAL.run("perceptron", "arguments")["_"] == [
        "data", "fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias", "out_label"]


@TUTORIAL.covers("explicit_names")
def test_explicit_names():
    assert TUTORIAL.run("explicit_names")["_"] == ["data", "myweight", "fc1_bias"]


@TUTORIAL.covers("sum_of_two_inputs")
def test_sum_of_two_inputs():
    assert TUTORIAL.run("sum_of_two_inputs")["_"] == ["data1", "data2", "fc1_weight", "fc1_bias"]


@TUTORIAL.covers("function")
def test_a_symbol_as_a_function():
    names = TUTORIAL.run("function")
    assert names["_"] == ["data", "fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias"]
    assert names["composed"].list_outputs() == ["composed_output"]
    assert names["net2"].list_arguments() == ["data2", "fc2_weight", "fc2_bias"]


@TUTORIAL.covers("prefix")
def test_prefix():
    assert TUTORIAL.run("prefix")["_"] == [
        "data", "layer1_fc_weight", "layer1_fc_bias", "layer2_fc_weight", "layer2_fc_bias"]


@TUTORIAL.covers("conv_factory")
def test_convolution_factory():
    pytest.importorskip("graphviz", reason=GRAPHVIZ)
    names = TUTORIAL.run("conv_factory")
    assert picture(names["_"]) == {("Previous Output", "conv_None"), ("conv_None", "bn_None"),
                                   ("bn_None", "relu_None")}
    assert "64x11x11" in names["_"].source
    assert names["conv_comp"].list_auxiliary_states() == ["bn_None_moving_mean", "bn_None_moving_var"]
    assert names["conv_comp"].infer_shape(**names["shape"])[1] == [(128, 64, 11, 11)]


@TUTORIAL.covers("inception")
def test_inception_module():
    pytest.importorskip("graphviz", reason=GRAPHVIZ)
    names = TUTORIAL.run("conv_factory", "inception")
    in3a = names["in3a"]
    assert in3a.name == "ch_concat_in3a_chconcat"
    assert in3a.infer_shape(**names["shape"])[1] == [(128, 64 + 64 + 96 + 32, 28, 28)]
    assert len(in3a.list_arguments()) == 1 + 7 * 4 and len(in3a.list_auxiliary_states()) == 7 * 2
    edges = picture(names["_"])
    assert {a for a, b in edges if b == in3a.name} == {
        "relu_in3a_1x1", "relu_in3a_3x3", "relu_in3a_double_3x3_1", "relu_in3a_proj"}
    assert ("Previous Output", "avg_pool_in3a_pool") in edges and "256x28x28" not in names["_"].source


@TUTORIAL.covers("group")
def test_group():
    assert TUTORIAL.run("group")["_"] == ["softmax_output", "regression_output"]


@TUTORIAL.covers("inference")
def test_inference():
    names = TUTORIAL.run("sum", "inference")
    out = names["c"].name + "_output"
    assert dict(zip(names["arg_name"], names["arg_shape"])) == {"a": (2, 3), "b": (2, 3)}
    assert dict(zip(names["out_name"], names["out_shape"])) == {out: (2, 3)}
    assert names["_"] == {"input": {"a": np.float32, "b": np.float32}, "output": {out: np.float32}}


@TUTORIAL.covers("bind")
def test_bind(capsys):
    TUTORIAL.run("sum", "bind")
    assert capsys.readouterr().out == "number of outputs = 1\nthe first output = \n[[2. 2. 2.]\n [2. 2. 2.]]\n"


@TUTORIAL.covers("gpu")
def test_bind_on_a_device_that_is_there():
    np.testing.assert_array_equal(TUTORIAL.run("sum", "gpu")["_"], np.full((3, 4), 5, np.float32))


@TUTORIAL.covers("eval")
def test_eval(capsys):
    TUTORIAL.run("sum", "eval")
    assert capsys.readouterr().out == "number of outputs = 1\nthe first output = \n[[2. 2. 2.]\n [2. 2. 2.]]\n"


@TUTORIAL.covers("save")
def test_save_and_load(capsys, tmp_path):
    names = TUTORIAL.run("sum", "save")
    assert names["_"] is True
    text = (tmp_path / "symbol-c.json").read_text()
    assert capsys.readouterr().out == text + "\n"
    graph = json.loads(text)
    assert [n["op"] for n in graph["nodes"]] == ["null", "null", "elemwise_add"]
    assert graph["heads"] == [[2, 0, 0]]


@TUTORIAL.covers("cast")
def test_cast(capsys):
    names = TUTORIAL.run("cast")
    assert (names["arg"], names["out"]) == ([np.int32], [np.uint8])
    assert capsys.readouterr().out == str({"input": [np.float32], "output": [np.float16]}) + "\n" \
        + str({"input": [np.int32], "output": [np.uint8]}) + "\n"


@TUTORIAL.covers("sharing")
def test_sharing():
    np.testing.assert_array_equal(TUTORIAL.run("sharing")["_"], np.full((2, 3), 2 + 2 * 2, np.float32))


@TUTORIAL.covers("tying_data", "tying_symbol", "tying_module")
def test_weight_tying(capsys):
    names = TUTORIAL.run("tying_data", "tying_symbol", "tying_module")
    assert names["output"].list_arguments() == ["inputs_left", "shared_weight", "shared_bias", "inputs_right",
                                                "labels"]
    result = names["result"]
    assert result.shape == (3, 4) and result.dtype == np.float32
    np.testing.assert_allclose(result.sum(axis=1), 1, rtol=1e-6)
    # One weight serves both layers: the prediction is what the two halves give with the trained arrays.
    params, _ = names["model"].get_params()
    assert sorted(params) == ["shared_bias", "shared_weight"]
    weight, bias = params["shared_weight"].asnumpy(), params["shared_bias"].asnumpy()
    halves = [names[d].asnumpy() @ weight.T + bias for d in ("eval_data1", "eval_data2")]
    exp = np.exp(np.concatenate(halves, axis=1))
    np.testing.assert_allclose(result, exp / exp.sum(axis=1, keepdims=True), rtol=1e-5)
    assert "[[" in capsys.readouterr().out


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's program `dot` is not installed: the pictures of "
                    "the tutorial are composed and compared as text, not drawn")
@pytest.mark.parametrize("blocks", [("sum", "operators"), ("perceptron",), ("conv_factory",),
                                    ("conv_factory", "inception")],
                         ids=["operators", "perceptron", "factory", "inception"])
def test_pictures_are_drawn(blocks):
    pytest.importorskip("graphviz", reason=GRAPHVIZ)
    drawn = TUTORIAL.run(*blocks)["_"].pipe(format="svg").decode()
    assert ElementTree.fromstring(drawn).tag.endswith("svg")


def test_every_block_has_a_test():
    # 21 Python blocks; the tutorial's one other block is `pip install jupyter`.
    assert len(BLOCKS) == 21 and not TUTORIAL.uncovered()
