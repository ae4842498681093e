"""VGG networks of 11, 13, 16 and 19 layers.

Simonyan, Zisserman: Very deep convolutional networks for large-scale image recognition, arXiv 1409.1556, 2014;
configurations A, B, D and E.

Parameters as in the published ``vgg16-0000.params`` and ``vgg19-0000.params``: ``conv1_1_weight`` to
``conv5_4_weight``, ``fc6_weight``, ``fc7_weight``, ``fc8_weight`` and biases; ``bn1_1_gamma`` and so on with
`batch_norm`. To load such a file see :mod:`mxlite.examples.symbols`.
"""
import mxlite as mx

from ._parts import images, probabilities

DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}   # convolutions a stage
WIDTHS = (64, 128, 256, 512, 512)


def get_symbol(num_classes=1000, num_layers=16, batch_norm=False, dtype="float32", **kwargs):
    """`data` (batch, 3, 224, 224); other sides from 32 on change the size of ``fc6_weight`` alone.

    `num_layers`: 11, 13, 16 or 19, else ValueError. `batch_norm`: normalize after every convolution.
    """
    if num_layers not in DEPTHS:
        raise ValueError(f"vgg: num_layers={num_layers!r} is none of {', '.join(map(str, DEPTHS))}")
    net = images(dtype)
    for stage, (depth, width) in enumerate(zip(DEPTHS[num_layers], WIDTHS), 1):
        for layer in range(1, depth + 1):
            net = mx.sym.Convolution(net, kernel=(3, 3), pad=(1, 1), num_filter=width, name=f"conv{stage}_{layer}")
            if batch_norm:
                net = mx.sym.BatchNorm(net, name=f"bn{stage}_{layer}")
            net = mx.sym.Activation(net, act_type="relu", name=f"relu{stage}_{layer}")
        net = mx.sym.Pooling(net, pool_type="max", kernel=(2, 2), stride=(2, 2), name=f"pool{stage}")
    net = mx.sym.Flatten(net, name="flatten")
    for i in (6, 7):
        net = mx.sym.FullyConnected(net, num_hidden=4096, name=f"fc{i}")
        net = mx.sym.Activation(net, act_type="relu", name=f"relu{i}")
        net = mx.sym.Dropout(net, p=0.5, name=f"drop{i}")
    return probabilities(mx.sym.FullyConnected(net, num_hidden=num_classes, name="fc8"), dtype)
