"""MobileNetV2.

Sandler, Howard, Zhu, Zhmoginov, Chen: MobileNetV2: inverted residuals and linear bottlenecks, arXiv 1801.04381, 2018.

Parameters as in MXNet's example: ``first-3x3-conv-conv2d_weight``, ``seq-0-block0-exp-conv2d_weight``,
``seq-0-block0-depthwise-conv2d_weight``, ``seq-0-block0-linear-conv2d_weight``, ..., ``last-1x1-conv-conv2d_weight``,
``fc_weight``. The first block expands too, by a factor of 1, which the paper leaves out. To load a ``.params`` file see
:mod:`mxlite.examples.symbols`.
"""
import mxlite as mx

from ._parts import images, probabilities

#             expansion, filters, blocks, stride of the first
SEQUENCES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def conv(net, name, filters, size=1, stride=1, groups=1, linear=False):
    """Convolution, BatchNorm and, but for `linear`, relu cut off at 6."""
    net = mx.sym.Convolution(net, num_filter=filters, kernel=(size, size), stride=(stride, stride),
                             pad=(size // 2, size // 2), num_group=groups, no_bias=True, name=f"{name}-conv2d")
    net = mx.sym.BatchNorm(net, fix_gamma=False, eps=1e-5, name=f"{name}-batchnorm")
    return net if linear else mx.sym.clip(net, a_min=0, a_max=6, name=f"{name}-relu6")


def get_symbol(num_classes=1000, multiplier=1.0, dtype="float32", **kwargs):
    """`data` (batch, 3, 224, 224); other multiples of 32 do too. `multiplier`: of the width, 1 in the paper.

    ValueError where the multiplier leaves a layer without filters.
    """
    def wide(filters):
        return round(filters * multiplier)
    if wide(min(filters for _, filters, _, _ in SEQUENCES)) < 1:
        raise ValueError(f"mobilenet_v2: multiplier={multiplier!r} leaves no filters")
    width = wide(32)
    net = conv(images(dtype), "first-3x3-conv", width, 3, 2)
    for i, (expansion, filters, blocks, stride) in enumerate(SEQUENCES):
        for block in range(blocks):
            name = f"seq-{i}-block{block}"
            inner = width * expansion
            body = conv(net, f"{name}-exp", inner)
            body = conv(body, f"{name}-depthwise", inner, 3, 1 if block else stride, groups=inner)
            width = wide(filters)
            body = conv(body, f"{name}-linear", width, linear=True)
            net = mx.sym.elemwise_add(net, body, name=f"{name}-shortcut") if block else body
    net = conv(net, "last-1x1-conv", max(1280, int(1280 * multiplier)))
    net = mx.sym.Pooling(net, pool_type="avg", global_pool=True, kernel=(7, 7), name="global_pool")
    net = mx.sym.FullyConnected(mx.sym.Flatten(net, name="flatten"), num_hidden=num_classes, name="fc")
    return probabilities(net, dtype)
