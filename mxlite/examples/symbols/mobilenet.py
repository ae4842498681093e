"""MobileNet (v1).

Howard et al.: MobileNets: efficient convolutional neural networks for mobile vision applications, arXiv 1704.04861,
2017.

Parameters as in MXNet's example: ``conv_1_conv2d_weight``, ``conv_1_batchnorm_gamma``, ``conv_2_dw_conv2d_weight``
(depthwise), ``conv_2_conv2d_weight`` (pointwise), ..., ``conv_14_conv2d_weight``, ``fc_weight``. To load a ``.params``
file see :mod:`mxlite.examples.symbols`.
"""
import mxlite as mx

from ._parts import images, probabilities

# stride of the depthwise convolution, and the pointwise one's filters at full width: layers 2 to 14
LAYERS = ((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512), *[(1, 512)] * 5, (2, 1024), (1, 1024))


def conv(net, name, filters, size, stride=1, groups=1):
    """Convolution, BatchNorm, relu."""
    net = mx.sym.Convolution(net, num_filter=filters, kernel=(size, size), stride=(stride, stride),
                             pad=(size // 2, size // 2), num_group=groups, no_bias=True, name=f"{name}_conv2d")
    net = mx.sym.BatchNorm(net, fix_gamma=True, name=f"{name}_batchnorm")
    return mx.sym.Activation(net, act_type="relu", name=f"{name}_relu")


def get_symbol(num_classes=1000, alpha=1.0, resolution=224, dtype="float32", **kwargs):
    """`data` (batch, 3, `resolution`, `resolution`), a multiple of 32, else ValueError.

    `alpha`: the width multiplier; the paper's are 0.25, 0.5, 0.75 and 1.
    """
    base = int(32 * alpha)                  # the first layer's filters, of which all others are multiples
    if base < 1:
        raise ValueError(f"mobilenet: alpha={alpha!r} leaves no filters; 1/32 is the least")
    if resolution < 32 or resolution % 32:
        raise ValueError(f"mobilenet: resolution={resolution!r} is no multiple of 32")
    net = conv(images(dtype), "conv_1", base, 3, 2)
    width = base
    for i, (stride, filters) in enumerate(LAYERS, 2):
        net = conv(net, f"conv_{i}_dw", width, 3, stride, groups=width)
        width = base * filters // 32
        net = conv(net, f"conv_{i}", width, 1)
    side = resolution // 32
    net = mx.sym.Pooling(net, pool_type="avg", kernel=(side, side), name="global_pool")
    net = mx.sym.FullyConnected(mx.sym.Flatten(net, name="flatten"), num_hidden=num_classes, name="fc")
    return probabilities(net, dtype)
