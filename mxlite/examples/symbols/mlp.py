"""A multi-layer perceptron of three layers, 128, 64 and `num_classes` wide.

Parameters: ``fc1_weight``, ``fc1_bias`` to ``fc3_bias``. To load a ``.params`` file see :mod:`mxlite.examples.symbols`.
"""
import mxlite as mx

from ._parts import images, probabilities


def get_symbol(num_classes=10, dtype="float32", **kwargs):
    """`data` of any shape (batch, ...), flattened; relu between the layers."""
    net = mx.sym.Flatten(images(dtype), name="flatten0")
    for i, width in enumerate((128, 64), 1):
        net = mx.sym.FullyConnected(net, num_hidden=width, name=f"fc{i}")
        net = mx.sym.Activation(net, act_type="relu", name=f"relu{i}")
    return probabilities(mx.sym.FullyConnected(net, num_hidden=num_classes, name="fc3"), dtype)
