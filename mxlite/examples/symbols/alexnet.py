"""AlexNet and CaffeNet.

Krizhevsky, Sutskever, Hinton: ImageNet classification with deep convolutional neural networks, NIPS 2012. One tower
instead of the paper's two, so no grouped convolutions: ``conv1_weight`` to ``conv5_weight``, ``fc1_weight`` to
``fc3_weight`` and biases, as in MXNet's example.

``caffenet=True`` is the network of the published ``caffenet-0000.params``: grouped convolutions, pooling before the
local response normalization, the layers ``conv1`` to ``conv5`` and ``fc6`` to ``fc8``; for pictures of 227x227 (224x224
makes the same parameters too few: its ``fc6`` would have 6400 inputs instead of 9216). To load a ``.params`` file see
:mod:`mxlite.examples.symbols`.
"""
import mxlite as mx

from ._parts import images, probabilities

#         filters, kernel, stride, padding, groups of CaffeNet, followed by pooling and normalization
LAYERS = ((96, 11, 4, 0, 1, "pool norm"), (256, 5, 1, 2, 2, "pool norm"), (384, 3, 1, 1, 1, ""), (384, 3, 1, 1, 2, ""),
          (256, 3, 1, 1, 2, "pool"))


def get_symbol(num_classes=1000, dtype="float32", caffenet=False, **kwargs):
    """`data` (batch, 3, 224, 224), or 227x227, whose `fc1` has 9216 inputs as in the paper."""
    net = images(dtype)
    pools = 0
    for i, (filters, size, step, pad, groups, after) in enumerate(LAYERS):
        net = mx.sym.Convolution(net, kernel=(size, size), stride=(step, step), pad=(pad, pad), num_filter=filters,
                                 num_group=groups if caffenet else 1, name=f"conv{i + 1}")
        net = mx.sym.Activation(net, act_type="relu", name=f"relu{i + 1}" if caffenet else f"activation{i}")
        if "norm" in after and not caffenet:
            net = mx.sym.LRN(net, alpha=1e-4, beta=0.75, knorm=2, nsize=5, name=f"lrn{pools}")
        if "pool" in after:
            net = mx.sym.Pooling(net, pool_type="max", kernel=(3, 3), stride=(2, 2),
                                 name=f"pool{i + 1}" if caffenet else f"pooling{pools}")
            pools += 1
        if "norm" in after and caffenet:
            net = mx.sym.LRN(net, alpha=1e-4, beta=0.75, knorm=1, nsize=5, name=f"norm{i + 1}")
    net = mx.sym.Flatten(net, name="flatten0")
    first = 6 if caffenet else 1
    for i in range(2):
        net = mx.sym.FullyConnected(net, num_hidden=4096, name=f"fc{first + i}")
        net = mx.sym.Activation(net, act_type="relu", name=f"relu{6 + i}" if caffenet else f"activation{5 + i}")
        net = mx.sym.Dropout(net, p=0.5, name=f"drop{6 + i}" if caffenet else f"dropout{i}")
    return probabilities(mx.sym.FullyConnected(net, num_hidden=num_classes, name=f"fc{first + 2}"), dtype)
