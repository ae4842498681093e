"""Deconvolution: a convolution run backwards. Its forward pass is a convolution's data gradient, its data gradient a
convolution, its weight gradient a convolution's with the roles exchanged; so it needs no records for backward."""
from . import conv
from .conv import Geometry, _conv_dgrad, check_range, dgrad_workspace
from .record import Op, Param, S, show, unify
from .rules import float_dtype
from .types import boolean, integer, shape

_C = conv.PARAMS
PARAMS = dict(
    kernel=_C["kernel"], stride=Param(shape, (), "step of the window over the output; default 1 along each axis"),
    dilate=_C["dilate"], pad=Param(shape, (), "elements cut off at both ends of each axis of the output; default 0"),
    adj=Param(shape, (), "elements added at the end of each axis of the output, fewer than stride; default 0"),
    target_shape=Param(shape, (), "spatial shape of the output; pad and adj are then ignored"),
    num_filter=_C["num_filter"], num_group=_C["num_group"], workspace=Param(integer, 512, "accepted, not used", low=0),
    no_bias=Param(boolean, True, "leave out the bias"), cudnn_tune=_C["cudnn_tune"], cudnn_off=_C["cudnn_off"],
    layout=_C["layout"])


class Transposed(Geometry):
    """The parameters of a deconvolution with defaults filled in, checked. `pad` and `adj` depend on the input's size
    where a target shape is given."""

    __slots__ = ("adj", "target")

    def __init__(self, p):
        super().__init__(p)
        self.target = p.target_shape if any(p.target_shape) else None
        self.adj = p.adj or (0,) * self.nd
        for name, v in (("adj", self.adj), ("target_shape", self.target)):
            if v is not None and len(v) != self.nd:
                raise ValueError(f"{name} {v} must have as many axes as kernel {p.kernel}")
        if self.target is not None:
            check_range("target_shape", self.target, 1)
        elif not all(0 <= a < s for a, s in zip(self.adj, self.stride)):
            raise ValueError(f"adj {self.adj} must be at least 0 and smaller than stride {self.stride}")

    def room(self, x, i):
        """(pad, size of the output) along axis i, where the input has `x` elements."""
        if x < 1:
            raise ValueError(f"data has {x} elements along spatial axis {i}")
        whole = self.stride[i] * (x - 1) + self.span(i)
        if self.target is None:
            y = whole - 2 * self.pad[i] + self.adj[i]
            if y < 1:
                raise ValueError(f"pad {self.pad[i]} leaves nothing of the {whole + self.adj[i]} elements of axis {i}")
            return self.pad[i], y
        y = self.target[i]
        if y > whole:
            raise ValueError(f"target_shape {self.target} is too big: axis {i} has {whole} elements without pad")
        if (whole - y) % 2 and self.stride[i] == 1:
            raise ValueError(f"target_shape {self.target}: with stride 1, axis {i} of {whole} elements can only shrink "
                             f"by an even number")
        return (whole - y + 1) // 2, y

    def grown(self, x, i):
        """The output's size, None where it does not follow."""
        if x is not None:
            return self.room(x, i)[1]
        return None if self.target is None else self.target[i]

    def shrunk(self, y, i):
        """The input's size from the output's, None where it does not follow."""
        if y is None or self.target is not None:
            return None
        x, rest = divmod(y + 2 * self.pad[i] - self.adj[i] - self.span(i), self.stride[i])
        if rest or x < 0:
            raise ValueError(f"an output of {y} elements along axis {i} is possible for no input")
        return x + 1

    def convolution(self, p, data):
        """Parameters of the convolution that this one runs backwards, for data of that shape."""
        x = self.first(data)
        return dict(kernel=self.kernel, stride=self.stride, dilate=self.dilate, num_filter=x[1], num_group=p.num_group,
                    pad=tuple(self.room(d, i)[0] for i, d in enumerate(x[2:])), no_bias=True, layout=p.layout)


def check_groups(p, channels):
    if channels == 0:
        raise ValueError("data has no channels")
    conv.check_groups(p, channels)


def gradients(F, n, p, dy):
    """Gradients of all inputs of node `n`, which is a deconvolution of parameters `p`."""
    g = Transposed(p)
    given, (x, w) = g.convolution(p, n.in_shapes[0]), n.inputs[:2]
    dx, dw = F.Convolution(dy, w, **given), F._conv_wgrad(x, dy, shape=n.in_shapes[1], **given)
    return (dx, dw) if p.no_bias else (dx, dw, F.sum(dy, axis=-1 if g.last else 1, exclude=True))


def backward(p, ins, outs):
    """The parameters of the convolution whose gradient this is."""
    return _conv_dgrad.parse(dict(Transposed(p).convolution(p, ins[0]), shape=outs[0]))


class Deconvolution(Op):
    """The transpose of Convolution over 1, 2 or 3 spatial axes: every element of data adds the weighted window to the
    output, with groups, strides and dilation.

    data (N, C, *X), weight (C, num_filter / num_group, *kernel), bias (num_filter,), left out by default: output
    (N, num_filter, *Y) with ``Y = stride (X - 1) + dilate (kernel - 1) + 1 - 2 pad + adj``, or `target_shape`. With a
    channels-last `layout`, data and output are (N, *X, C) and the weight is (C, *kernel, num_filter / num_group).
    float16, float32, float64. ValueError where `adj` reaches the stride, where `target_shape` cannot be had by cutting,
    where `pad` leaves nothing, or where channels are not divisible by `num_group`.
    """
    def inputs(p):
        return "data weight" if p.no_bias else "data weight bias"

    params = PARAMS
    infer_dtype = float_dtype

    def infer(p, ins, outs):
        g = Transposed(p)
        x, w, y = ins[0], ins[1], outs[0]
        check_groups(p, None)
        if x is not None and len(x) != g.nd + 2:
            raise ValueError(f"data {show(x)} must have {g.nd + 2} axes for kernel {p.kernel}")
        many = p.num_filter // p.num_group
        w = g.first(unify(w, g.back((None, many, *p.kernel))))
        if x is not None or y is not None:
            x = g.first(x or (None,) * (g.nd + 2))
            y = g.first(unify(y, g.back((x[0], p.num_filter, *(g.grown(d, i) for i, d in enumerate(x[2:]))))))
            x = unify(x, (y[0], w[0], *(g.shrunk(d, i) for i, d in enumerate(y[2:]))))
            y = unify(y, (None, None, *(g.grown(d, i) for i, d in enumerate(x[2:]))))
            check_groups(p, x[1])
            w = unify(w, (x[1], *w[1:]))
            x, y = g.back(x), g.back(y)
        bias = [] if p.no_bias else [unify(ins[2], (p.num_filter,))]
        return [x, g.back(w), *bias], [y]

    def ref(xp, p, x, w, bias=None):
        g = Transposed(p)
        n, _, *xs = g.first(x.shape)
        out = g.back((n, p.num_filter, *(g.grown(d, i) for i, d in enumerate(xs))))
        y = _conv_dgrad.ref(xp, _conv_dgrad.parse(dict(g.convolution(p, x.shape), shape=out)), x, w)
        return y if bias is None else y + bias.reshape(g.back((1, -1, *(1,) * g.nd)))

    def cpu(p):
        return "conv.dgrad" if conv.fast(p) else None

    gpu, cpu_dtypes = "conv.dgrad", conv.FLOATS

    def launch(p, ins, outs):
        return _conv_dgrad.launch(backward(p, ins, outs), ins[:2], outs, bias=int(len(ins) > 2))

    def workspace(p, ins, outs, itemsize, threads):
        return dgrad_workspace(backward(p, ins, outs), *ins[:2], outs[0], itemsize, threads, *ins[2:])

    def grad(F, n, dy):
        return gradients(F, n, n.p, dy)

    samples = (
        S((2, 3, 5, 6), kernel=(3, 3), num_filter=4), S((2, 3, 9), kernel=(3,), num_filter=5, stride=(2,), pad=(1,),
                                                        no_bias=False),
        S((2, 4, 5, 4), kernel=(3, 2), num_filter=6, stride=(2, 3), pad=(1, 2), dilate=(2, 1), num_group=2,
          adj=(1, 2), no_bias=False),
        S((2, 2, 3, 4, 2), kernel=(2, 3, 3), num_filter=3, pad=(1, 1, 0), stride=(1, 2, 2), adj=(0, 1, 0)),
        S((2, 3, 4, 5), kernel=(4, 4), num_filter=3, num_group=3, stride=(2, 2), pad=(1, 1)),
        S((2, 6, 4, 5), kernel=(3, 3), num_filter=12, num_group=6, stride=(2, 2), no_bias=False),
        S((2, 5, 4, 5), kernel=(3, 3), num_filter=7, stride=(2, 2), target_shape=(8, 9)),
        S((1, 4, 3, 3), kernel=(2, 2), num_filter=5, stride=(3, 4), no_bias=False),
        S((1, 4, 3, 3), kernel=(1, 1), num_filter=5, stride=(2, 2), adj=(1, 1)),
        S((0, 3, 4, 4), kernel=(3, 3), num_filter=4, no_bias=False),
        S((2, 4, 5, 3), kernel=(3, 3), num_filter=4, layout="NHWC", stride=(2, 1), no_bias=False),
        S((4, 33, 7, 7), kernel=(4, 4), num_filter=20, stride=(2, 2), pad=(1, 1)))
