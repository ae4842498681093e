"""Inception-v3.

Szegedy, Vanhoucke, Ioffe, Shlens, Wojna: Rethinking the Inception architecture for computer vision, arXiv 1512.00567,
2015; without the auxiliary classifier.

Parameters as in MXNet's published Inception-v3 (``Inception-7-0001.params``): ``conv_conv2d_weight``,
``conv_batchnorm_gamma``, ``mixed_conv_conv2d_weight``, ``mixed_tower_conv_1_conv2d_weight``,
``mixed_9_tower_mixed_conv_conv2d_weight``, ..., ``fc1_weight``. To load such a file see
:mod:`mxlite.examples.symbols`.
"""
import mxlite as mx

from ._parts import images, probabilities

SAME, HALF = (1, 1), (2, 2)


def conv(net, name, filters, kernel=(1, 1), stride=SAME, same=True):
    """Convolution, BatchNorm, relu. `same`: padded so that stride 1 keeps the sides."""
    pad = (kernel[0] // 2, kernel[1] // 2) if same else (0, 0)
    net = mx.sym.Convolution(net, num_filter=filters, kernel=kernel, stride=stride, pad=pad, no_bias=True,
                             name=f"{name}_conv2d")
    net = mx.sym.BatchNorm(net, fix_gamma=True, name=f"{name}_batchnorm")
    return mx.sym.Activation(net, act_type="relu", name=f"{name}_relu")


def tower(net, name, *layers):
    """Convolutions in a row, named `name`_conv, `name`_conv_1, ...; a layer is (filters, kernel, stride, same)."""
    for i, layer in enumerate(layers):
        net = conv(net, f"{name}_conv" + (f"_{i}" if i else ""), *layer)
    return net


def join(name, *branches):
    return mx.sym.Concat(*branches, name=f"ch_concat_{name}_chconcat")


def pool(net, kind, name, stride=SAME):
    pad = (1, 1) if stride == SAME else (0, 0)
    return mx.sym.Pooling(net, pool_type=kind, kernel=(3, 3), stride=stride, pad=pad, name=f"{kind}_pool_{name}_pool")


def projected(net, kind, name, filters):
    return tower(pool(net, kind, name), f"{name}_tower_2", (filters,))


def block35(net, name, projection):
    """Pictures of 35x35: 1x1, 5x5, two 3x3, pooling."""
    return join(name, conv(net, f"{name}_conv", 64),
                tower(net, f"{name}_tower", (48,), (64, (5, 5))),
                tower(net, f"{name}_tower_1", (64,), (96, (3, 3)), (96, (3, 3))),
                projected(net, "avg", name, projection))


def from35to17(net, name):
    return join(name, conv(net, f"{name}_conv", 384, (3, 3), HALF, False),
                tower(net, f"{name}_tower", (64,), (96, (3, 3)), (96, (3, 3), HALF, False)),
                pool(net, "max", name, HALF))


def block17(net, name, width):
    """Pictures of 17x17: 7x7 convolutions taken apart into 1x7 and 7x1."""
    row, column = (1, 7), (7, 1)
    return join(name, conv(net, f"{name}_conv", 192),
                tower(net, f"{name}_tower", (width,), (width, row), (192, column)),
                tower(net, f"{name}_tower_1", (width,), (width, column), (width, row), (width, column), (192, row)),
                projected(net, "avg", name, 192))


def from17to8(net, name):
    return join(name, tower(net, f"{name}_tower", (192,), (320, (3, 3), HALF, False)),
                tower(net, f"{name}_tower_1", (192,), (192, (1, 7)), (192, (7, 1)), (192, (3, 3), HALF, False)),
                pool(net, "max", name, HALF))


def block8(net, name, kind):
    """Pictures of 8x8: towers that fork into 1x3 and 3x1."""
    def fork(net, name):
        return conv(net, f"{name}_mixed_conv", 384, (1, 3)), conv(net, f"{name}_mixed_conv_1", 384, (3, 1))
    return join(name, conv(net, f"{name}_conv", 320),
                *fork(tower(net, f"{name}_tower", (384,)), f"{name}_tower"),
                *fork(tower(net, f"{name}_tower_1", (448,), (384, (3, 3))), f"{name}_tower_1"),
                projected(net, kind, name, 192))


def get_symbol(num_classes=1000, dtype="float32", **kwargs):
    """`data` (batch, 3, 299, 299)."""
    net = images(dtype, identity=True)
    net = conv(net, "conv", 32, (3, 3), HALF, False)
    net = conv(net, "conv_1", 32, (3, 3), SAME, False)
    net = conv(net, "conv_2", 64, (3, 3))
    net = mx.sym.Pooling(net, pool_type="max", kernel=(3, 3), stride=HALF, name="pool")
    net = conv(net, "conv_3", 80)
    net = conv(net, "conv_4", 192, (3, 3), SAME, False)
    net = mx.sym.Pooling(net, pool_type="max", kernel=(3, 3), stride=HALF, name="pool1")
    for name, projection in (("mixed", 32), ("mixed_1", 64), ("mixed_2", 64)):
        net = block35(net, name, projection)
    net = from35to17(net, "mixed_3")
    for name, width in (("mixed_4", 128), ("mixed_5", 160), ("mixed_6", 160), ("mixed_7", 192)):
        net = block17(net, name, width)
    net = from17to8(net, "mixed_8")
    for name, kind in (("mixed_9", "avg"), ("mixed_10", "max")):
        net = block8(net, name, kind)
    net = mx.sym.Pooling(net, pool_type="avg", kernel=(8, 8), name="global_pool")
    net = mx.sym.FullyConnected(mx.sym.Flatten(net, name="flatten"), num_hidden=num_classes, name="fc1")
    return probabilities(net, dtype)
