"""The R tutorials' blocks that compose symbols and list arguments, in their Python form, with the outputs they state.

Three printings of one text (the site's source, its page, and an older page) share these blocks; the older page states
no outputs. ``arguments(net)`` is ``net.list_arguments()``, ``mx.apply(net, ...)`` is ``net(...)``.
"""
import pytest

from .running import run

PERCEPTRON = """
net <- mx.symbol.Variable("data")
net <- mx.symbol.FullyConnected(data=net, name="fc1", num_hidden=128)
net <- mx.symbol.Activation(data=net, name="relu1", act_type="relu")
net <- mx.symbol.FullyConnected(data=net, name="fc2", num_hidden=64)
net <- mx.symbol.Softmax(data=net, name="out")
arguments(net)
"""
EXPLICIT = """
data <- mx.symbol.Variable("data")
w <- mx.symbol.Variable("myweight")
net <- mx.symbol.FullyConnected(data=data, weight=w, name="fc1", num_hidden=128)
arguments(net)
"""
SUM = """
lhs <- mx.symbol.Variable("data1")
rhs <- mx.symbol.Variable("data2")
net <- mx.symbol.FullyConnected(data=lhs + rhs, name="fc1", num_hidden=128)
arguments(net)
"""
APPLY = """
net <- mx.symbol.Variable("data")
net <- mx.symbol.FullyConnected(data=net, name="fc1", num_hidden=128)
net2 <- mx.symbol.Variable("data2")
net2 <- mx.symbol.FullyConnected(data=net2, name="net2", num_hidden=128)
composed.net <- mx.apply(net, data=net2, name="compose")
arguments(composed.net)
"""


def python(text):
    """The Python form: ``<-`` assigns, a dot in a name is an underscore, arguments() and apply() are methods."""
    text = text.replace("composed.net", "composed_net").replace(" <- ", " = ")
    text = text.replace("mx.apply(net, ", "net(").replace("arguments(net)", "net.list_arguments()")
    return "import mxlite as mx\n" + text.replace("arguments(composed_net)", "composed_net.list_arguments()")


# `Softmax` is the old name of SoftmaxOutput, which is why the first block has an `out_label`.
@pytest.mark.parametrize("block, stated", [
    (PERCEPTRON, ["data", "fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias", "out_label"]),
    (EXPLICIT, ["data", "myweight", "fc1_bias"]),
    (SUM, ["data1", "data2", "fc1_weight", "fc1_bias"]),
    (APPLY, ["data2", "net2_weight", "net2_bias", "fc1_weight", "fc1_bias"]),
], ids=["perceptron", "explicit", "sum", "apply"])
def test_block(block, stated):
    assert run(python(block))["_"] == stated
