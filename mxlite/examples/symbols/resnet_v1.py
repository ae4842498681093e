"""Residual networks with the original units ("v1").

He, Zhang, Ren, Sun: Deep residual learning for image recognition, arXiv 1512.03385, 2015. A unit that halves the sides
does so in its first convolution.

Parameters as in MXNet's example ``resnet-v1``: ``conv0_weight``, ``bn0_gamma``, ``stage1_unit1_conv1_weight``,
``stage1_unit1_bn1_gamma``, ``stage1_unit1_conv1sc_weight``, ``stage1_unit1_sc_gamma``, ..., ``fc1_weight``. To load a
``.params`` file see :mod:`mxlite.examples.symbols`.
"""
import mxlite as mx

from ._parts import channels_height_width, images, probabilities
from .resnet import conv, layout, norm, relu, stages


def unit(net, name, filters, stride, first, bottleneck, workspace, plus):
    """Convolution and BatchNorm, two or three times with relu between, added to the input, relu.

    `first` of a stage: what is added is the input's projection (`name`_conv1sc), normalized. `plus`: the sum's name.
    """
    layers = [(filters // 4, 1), (filters // 4, 3), (filters, 1)] if bottleneck else [(filters, 3), (filters, 3)]
    body = net
    for i, (width, size) in enumerate(layers, 1):
        body = norm(conv(body, width, size, stride if i == 1 else 1, workspace, f"{name}_conv{i}"), f"{name}_bn{i}")
        if i < len(layers):
            body = relu(body, f"{name}_relu{i}")
    if first:
        net = norm(conv(net, filters, 1, stride, workspace, f"{name}_conv1sc"), f"{name}_sc")
    return relu(mx.sym.elemwise_add(body, net, name=plus), f"{name}_relu3")


def get_symbol(num_classes=1000, num_layers=50, image_shape="3,224,224", conv_workspace=256, dtype="float32", **kwargs):
    """`data` as `image_shape`; depths, small pictures, `conv_workspace` and errors as :func:`resnet.get_symbol`."""
    _, height, _ = channels_height_width(image_shape)
    units, (stem, *filters), bottleneck = layout(num_layers, height)
    net = images(dtype, identity=True)
    if height <= 32:
        net = norm(conv(net, stem, 3, 1, conv_workspace, "conv0"), "bn0")
    else:
        net = relu(norm(conv(net, stem, 7, 2, conv_workspace, "conv0"), "bn0"), "relu0")
        net = mx.sym.Pooling(net, pool_type="max", kernel=(3, 3), stride=(2, 2), pad=(1, 1), name="pooling0")
    net = stages(net, units, filters, unit, bottleneck=bottleneck, workspace=conv_workspace)
    net = mx.sym.Pooling(net, pool_type="avg", global_pool=True, kernel=(7, 7), name="pool1")
    net = mx.sym.FullyConnected(mx.sym.Flatten(net, name="flatten0"), num_hidden=num_classes, name="fc1")
    return probabilities(net, dtype)
