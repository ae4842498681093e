"""LeNet, with tanh and max pooling.

LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition, Proceedings of the IEEE, 1998.

Parameters are named as MXNet numbers unnamed layers: ``convolution0_weight``, ``convolution1_weight``,
``fullyconnected0_weight``, ``fullyconnected1_weight`` and their biases. To load a ``.params`` file see
:mod:`mxlite.examples.symbols`.
"""
import mxlite as mx

from ._parts import images, probabilities


def get_symbol(num_classes=10, add_stn=False, dtype="float32", **kwargs):
    """`data` (batch, channels, height, width), both sides at least 16: digits are 28x28.

    `add_stn`, a spatial transformer before the first layer, is not available: NotImplementedError.
    """
    if add_stn:
        raise NotImplementedError("lenet: add_stn=True needs the operator SpatialTransformer, which mxlite has not")
    net = images(dtype)
    for i, filters in enumerate((20, 50)):
        net = mx.sym.Convolution(net, kernel=(5, 5), num_filter=filters, name=f"convolution{i}")
        net = mx.sym.Activation(net, act_type="tanh", name=f"activation{i}")
        net = mx.sym.Pooling(net, pool_type="max", kernel=(2, 2), stride=(2, 2), name=f"pooling{i}")
    net = mx.sym.FullyConnected(mx.sym.Flatten(net, name="flatten0"), num_hidden=500, name="fullyconnected0")
    net = mx.sym.Activation(net, act_type="tanh", name="activation2")
    return probabilities(mx.sym.FullyConnected(net, num_hidden=num_classes, name="fullyconnected1"), dtype)
