"""What a convolution is to cuDNN: dimensions, strides, and what stands behind the product."""
from math import prod

from .._core.dtypes import ITEMSIZE
from ..ops import settings
from .arena import channels_last, row_major
from .lt import tf32

X, W, Y, BIAS, RESIDUAL = 1, 2, 3, 4, 5         # numbers of tensors
KINDS = ("forward", "dgrad", "wgrad")           # whose results are Y, X and W


class Geometry:
    """A convolution as cuDNN sees it: two spatial axes where the third is not used."""

    __slots__ = ("x", "w", "y", "pad", "stride", "dilation", "last")

    def __init__(self, a):
        """`a`: arguments of the CPU's kernel; ``last`` in them: data, weight and output have their channels last."""
        axes = slice(0 if a["kernel"][0] > 1 or a["src"][0] > 1 or a["dst"][0] > 1 else 1, 3)
        self.x = (a["batch"], a["channels"], *a["src"][axes])
        self.w = (a["filters"], a["channels"] // a["groups"], *a["kernel"][axes])
        self.y = (a["batch"], a["filters"], *a["dst"][axes])
        self.pad, self.stride, self.dilation = (tuple(a[k][axes]) for k in ("pad", "stride", "dilate"))
        self.last = bool(a.get("last"))

    def strides(self, k):
        return (channels_last if self.last else row_major)((self.x, self.w, self.y)[k])

    def after(self):
        """Zeros behind the data along each axis: as many as in front, where that gives as many outputs as there are
        (``(x + before + after - span) // stride + 1``); else what the last window reaches."""
        out = []
        for x, k, y, p, s, d in zip(self.x[2:], self.w[2:], self.y[2:], self.pad, self.stride, self.dilation):
            span = d * (k - 1) + 1
            out.append(p if (x + 2 * p - span) // s + 1 == y else (y - 1) * s + span - x - p)
        return tuple(out)

    def key(self):
        return tuple(getattr(self, k) for k in self.__slots__)


class Spec:
    """What a graph computes: `kind` (``"forward"``, ``"dgrad"``, ``"wgrad"``), dtype, geometry, and of what stands
    behind the product: bias, residual, relu."""

    __slots__ = ("kind", "dtype", "geometry", "bias", "residual", "relu", "fast", "winograd", "tuned")

    def __init__(self, kind, dtype, geometry, bias=False, residual=False, relu=False):
        self.kind, self.dtype, self.geometry = kind, dtype, geometry
        self.bias, self.residual, self.relu = bool(bias), bool(residual), bool(relu)
        self.fast, self.winograd = dtype == "float32" and tf32(), bool(settings.winograd)
        self.tuned = bool(settings.autotune)

    def key(self):
        return (self.kind, self.dtype, self.geometry.key(), self.bias, self.residual, self.relu, self.fast,
                self.winograd, self.tuned)

    def nbytes(self):
        """{number: bytes} of the tensors."""
        g = self.geometry
        shapes = {X: g.x, W: g.w, Y: g.y}
        out = (Y, X, W)[KINDS.index(self.kind)]
        if self.bias:
            shapes[BIAS] = shapes[out][1:2]
        if self.residual:
            shapes[RESIDUAL] = shapes[out]
        return {n: prod(shape) * ITEMSIZE[self.dtype] for n, shape in shapes.items()}

    def plain(self):
        """The same with nothing behind the product."""
        return Spec(self.kind, self.dtype, self.geometry)
