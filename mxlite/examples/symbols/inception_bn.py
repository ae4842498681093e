"""Inception with batch normalization ("BN-Inception").

Ioffe, Szegedy: Batch normalization: accelerating deep network training by reducing internal covariate shift, arXiv
1502.03167, 2015.

Parameters as in the published ``Inception-BN-0126.params``: ``conv_1_weight``, ``bn_1_gamma``,
``conv_3a_1x1_weight``, ``conv_3a_3x3_reduce_weight``, ``conv_3a_double_3x3_0_weight``, ``conv_3a_proj_weight``, ...,
``fc1_weight``. To load such a file see :mod:`mxlite.examples.symbols`.
"""
import mxlite as mx

from ._parts import channels_height_width, images, probabilities

# name, 1x1, 3x3 reduce, 3x3, double 3x3 reduce, double 3x3, pooling, projection; those that halve the sides: without
# 1x1, pooling and projection
LARGE = (
    ("3a", 64, 64, 64, 64, 96, "avg", 32), ("3b", 64, 64, 96, 64, 96, "avg", 64), ("3c", 128, 160, 64, 96),
    ("4a", 224, 64, 96, 96, 128, "avg", 128), ("4b", 192, 96, 128, 96, 128, "avg", 128),
    ("4c", 160, 128, 160, 128, 160, "avg", 128), ("4d", 96, 128, 192, 160, 192, "avg", 128), ("4e", 128, 192, 192, 256),
    ("5a", 352, 192, 320, 160, 224, "avg", 128), ("5b", 352, 192, 320, 192, 224, "max", 128))
# name, 1x1, 3x3; those that halve the sides: 3x3 alone
SMALL = (("in3a", 32, 32), ("in3b", 32, 48), ("in3c", 80), ("in4a", 112, 48), ("in4b", 96, 64), ("in4c", 80, 80),
         ("in4d", 48, 96), ("in4e", 96), ("in5a", 176, 160), ("in5b", 176, 160))


def conv(net, filters, size, name, stride=1):
    """Convolution that keeps the sides (up to `stride`), BatchNorm, relu."""
    net = mx.sym.Convolution(net, kernel=(size, size), stride=(stride, stride), pad=(size // 2, size // 2),
                             num_filter=filters, name=f"conv_{name}")
    net = mx.sym.BatchNorm(net, fix_gamma=False, eps=1e-5 + 1e-10, momentum=0.9, name=f"bn_{name}")
    return mx.sym.Activation(net, act_type="relu", name=f"relu_{name}")


def pool(net, kind, stride, name):
    return mx.sym.Pooling(net, pool_type=kind, kernel=(3, 3), stride=(stride, stride), pad=(1, 1), name=name)


def inception(net, name, *widths):
    """A block of `LARGE`: branches side by side, joined along the channels."""
    halves = len(widths) == 4
    single = None if halves else widths[0]
    red3, n3, red33, n33, *pooled = widths if halves else widths[1:]
    stride = 2 if halves else 1
    branches = [] if halves else [conv(net, single, 1, f"{name}_1x1")]
    branches.append(conv(conv(net, red3, 1, f"{name}_3x3_reduce"), n3, 3, f"{name}_3x3", stride))
    double = conv(conv(net, red33, 1, f"{name}_double_3x3_reduce"), n33, 3, f"{name}_double_3x3_0")
    branches.append(conv(double, n33, 3, f"{name}_double_3x3_1", stride))
    if halves:
        branches.append(pool(net, "max", 2, f"max_pool_{name}_pool"))
    else:
        kind, projection = pooled
        branches.append(conv(pool(net, kind, 1, f"{kind}_pool_{name}_pool"), projection, 1, f"{name}_proj"))
    return mx.sym.Concat(*branches, name=f"ch_concat_{name}_chconcat")


def small_inception(net, name, *widths):
    """A block of `SMALL`."""
    if len(widths) == 1:
        branches = conv(net, widths[0], 3, f"{name}_conv", 2), pool(net, "max", 2, f"{name}_pool")
    else:
        branches = conv(net, widths[0], 1, f"{name}_1x1"), conv(net, widths[1], 3, f"{name}_3x3")
    return mx.sym.Concat(*branches, name=f"{name}_ch_concat")


def get_symbol(num_classes=1000, image_shape="3,224,224", pooling_convention="valid", dtype="float32", **kwargs):
    """`data` as `image_shape`: 224x224, or, for the small form, 28x28 (any height up to 28 makes it).

    `pooling_convention` of the first two poolings of the large form: files from MXNet before 0.9 were trained with
    "full", which changes the sides inside, not the parameters.
    """
    _, height, _ = channels_height_width(image_shape)
    net = images(dtype)
    if height <= 28:
        net = conv(net, 96, 3, "1")
        for block in SMALL:
            net = small_inception(net, *block)
    else:
        reduced = {"pool_type": "max", "kernel": (3, 3), "stride": (2, 2), "pooling_convention": pooling_convention}
        net = mx.sym.Pooling(conv(net, 64, 7, "1", 2), name="pool_1", **reduced)
        net = conv(conv(net, 64, 1, "2_red"), 192, 3, "2")
        net = mx.sym.Pooling(net, name="pool_2", **reduced)
        for block in LARGE:
            net = inception(net, *block)
    net = mx.sym.Pooling(net, pool_type="avg", kernel=(7, 7), name="global_pool")
    net = mx.sym.FullyConnected(mx.sym.Flatten(net, name="flatten"), num_hidden=num_classes, name="fc1")
    return probabilities(net, dtype)
