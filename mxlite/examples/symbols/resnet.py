"""Residual networks with pre-activation units ("v2").

He, Zhang, Ren, Sun: Identity mappings in deep residual networks, arXiv 1603.05027, 2016.

Parameters as in the published ``resnet-18-0000.params`` to ``resnet-152-0000.params``, ``resnet-200`` and
``resnet-269``: ``bn_data_beta``, ``conv0_weight``, ``bn0_gamma``, ``stage1_unit1_bn1_gamma``,
``stage1_unit1_conv1_weight``, ``stage1_unit1_sc_weight``, ..., ``bn1_gamma``, ``fc1_weight``. To load such a file see
:mod:`mxlite.examples.symbols`.
"""
from numbers import Integral

import mxlite as mx

from ._parts import channels_height_width, images, probabilities

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3),
          200: (3, 24, 36, 3), 269: (3, 30, 48, 8)}                         # units a stage, four stages: ImageNet


def layout(num_layers, height):
    """(units a stage, filters of the stem and of every stage, whether units are bottlenecks).

    Pictures up to 28 high have three stages (CIFAR): 6n+2 layers below 164, 9n+2 layers in bottlenecks from 164 on.
    Higher ones have the four stages of `DEPTHS`; from 29 to 32 three stages do, where `DEPTHS` has not the depth.
    """
    if height > 28 and num_layers in DEPTHS:
        bottleneck = num_layers >= 50
        return DEPTHS[num_layers], (64, 256, 512, 1024, 2048) if bottleneck else (64, 64, 128, 256, 512), bottleneck
    if height <= 32 and isinstance(num_layers, Integral) and num_layers >= 8:
        if num_layers >= 164 and num_layers % 9 == 2:
            return ((num_layers - 2) // 9,) * 3, (16, 64, 128, 256), True
        if num_layers < 164 and num_layers % 6 == 2:
            return ((num_layers - 2) // 6,) * 3, (16, 16, 32, 64), False
    allowed = [*map(str, DEPTHS)] if height > 28 else []
    allowed += ["6n+2 (20, 56, 110, ...)", "9n+2 from 164 on"] if height <= 32 else []
    raise ValueError(f"resnet: num_layers={num_layers!r} for pictures {height} high is none of {', '.join(allowed)}")


def convolutions(filters, stride, bottleneck):
    """(filters, kernel side, stride) of a unit's convolutions; the stride falls on the first or second of them."""
    if bottleneck:
        return [(filters // 4, 1, 1), (filters // 4, 3, stride), (filters, 1, 1)]
    return [(filters, 3, stride), (filters, 3, 1)]


def conv(net, filters, size, stride, workspace, name):
    return mx.sym.Convolution(net, num_filter=filters, kernel=(size, size), stride=(stride, stride),
                              pad=(size // 2, size // 2), no_bias=True, workspace=workspace, name=name)


def norm(net, name, fix_gamma=False):
    return mx.sym.BatchNorm(net, fix_gamma=fix_gamma, eps=2e-5, momentum=0.9, name=name)


def relu(net, name):
    return mx.sym.Activation(net, act_type="relu", name=name)


def unit(net, name, filters, stride, first, bottleneck, workspace, plus):
    """BatchNorm, relu, convolution, two or three times, added to the input.

    `first` of a stage: what is added is a projection (`name`_sc) of what the first relu gives. `plus`: the sum's name.
    """
    body = shortcut = net
    for i, (width, size, step) in enumerate(convolutions(filters, stride, bottleneck), 1):
        body = relu(norm(body, f"{name}_bn{i}"), f"{name}_relu{i}")
        if first and i == 1:
            shortcut = conv(body, filters, 1, stride, workspace, f"{name}_sc")
        body = conv(body, width, size, step, workspace, f"{name}_conv{i}")
    return mx.sym.elemwise_add(body, shortcut, name=plus)


def stages(net, units, filters, unit, **kwargs):
    """All units in a row. The sums count through the network: _plus0, _plus1, ..."""
    count = 0
    for stage, (depth, width) in enumerate(zip(units, filters), 1):
        for i in range(1, depth + 1):
            stride = 2 if stage > 1 and i == 1 else 1
            net = unit(net, f"stage{stage}_unit{i}", width, stride, i == 1, plus=f"_plus{count}", **kwargs)
            count += 1
    return net


def get_symbol(num_classes=1000, num_layers=50, image_shape="3,224,224", conv_workspace=256, dtype="float32", **kwargs):
    """`data` as `image_shape`; up to 32 high the stem is one 3x3 convolution that keeps the sides (CIFAR).

    `num_layers`: 18, 34, 50, 101, 152, 200 or 269; up to 28 high 6n+2 (20, 56, 110) or 9n+2 (164), see `layout`, else
    ValueError. `conv_workspace`: MXNet's limit for a convolution's scratch memory in MB, kept for the symbol's text.
    """
    _, height, _ = channels_height_width(image_shape)
    units, (stem, *filters), bottleneck = layout(num_layers, height)
    net = norm(images(dtype, identity=True), "bn_data", fix_gamma=True)
    if height <= 32:
        net = conv(net, stem, 3, 1, conv_workspace, "conv0")
    else:
        net = relu(norm(conv(net, stem, 7, 2, conv_workspace, "conv0"), "bn0"), "relu0")
        net = mx.sym.Pooling(net, pool_type="max", kernel=(3, 3), stride=(2, 2), pad=(1, 1), name="pooling0")
    net = stages(net, units, filters, unit, bottleneck=bottleneck, workspace=conv_workspace)
    net = relu(norm(net, "bn1"), "relu1")
    net = mx.sym.Pooling(net, pool_type="avg", global_pool=True, kernel=(7, 7), name="pool1")
    net = mx.sym.FullyConnected(mx.sym.Flatten(net, name="flatten0"), num_hidden=num_classes, name="fc1")
    return probabilities(net, dtype)
