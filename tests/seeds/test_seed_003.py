"""The blocks of "Symbolic and Automatic Differentiation" (MXNet's Python guide), as written but for the import.

Each test is about one block. An output that the block states is compared by value.
"""
import numpy as np

import mxlite as mx

from .blocks_003 import BLOCKS, DIGEST
from .running import Document

GUIDE = Document(BLOCKS, DIGEST)


@GUIDE.covers("perceptron", "arguments")
def test_two_layer_perceptron():
    names, compared = GUIDE.session("perceptron")
    assert compared == 1
    _, compared = GUIDE.session("arguments", net=names["net"])
    assert compared == 1


@GUIDE.covers("explicit_names")
def test_explicit_names():
    assert GUIDE.session("explicit_names")[1] == 1


@GUIDE.covers("sum_of_two_inputs")
def test_sum_of_two_inputs():
    assert GUIDE.session("sum_of_two_inputs")[1] == 1


@GUIDE.covers("function")
def test_a_symbol_as_a_function():
    names, compared = GUIDE.session("function")
    assert compared == 1
    # "the resulting composed_net will replace the original argument data with net2": a copy, net keeps its own.
    assert names["net"].list_arguments() == ["data", "fc1_weight", "fc1_bias"]


@GUIDE.covers("prefix")
def test_prefix():
    assert GUIDE.session("prefix")[1] == 1


@GUIDE.covers("shape_inference")
def test_shape_inference():
    assert GUIDE.session("shape_inference")[1] == 2


@GUIDE.covers("bind")
def test_bind_and_forward():
    assert GUIDE.session("bind")[1] == 1


@GUIDE.covers("simple_bind")
def test_simple_bind():
    # The block's two placeholders: `some symbol` is a classifier, `input_shape` a batch of four.
    data = mx.symbol.Variable("data")
    net = mx.symbol.SoftmaxOutput(mx.symbol.FullyConnected(data, num_hidden=3, name="fc"), name="out")
    names, _ = GUIDE.session("simple_bind", [("some symbol", "some_symbol")], some_symbol=net, input_shape=(4, 5))
    texec = names["texec"]
    assert texec.outputs[0].shape == (4, 3)
    # All arguments are zero, labels too: every class gets 1/3, and the gradient is softmax - onehot, summed.
    np.testing.assert_allclose(texec.outputs[0].asnumpy(), np.full((4, 3), 1 / 3), rtol=1e-6)
    np.testing.assert_allclose(texec.grad_dict["fc_bias"].asnumpy(), [4 / 3 - 4, 4 / 3, 4 / 3], rtol=1e-6)
    assert texec.grad_dict["fc_weight"].shape == (3, 5)


def test_every_block_has_a_test():
    assert len(BLOCKS) == 9 and not GUIDE.uncovered()
