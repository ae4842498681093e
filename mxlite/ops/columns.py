"""im2col and col2im: the matrix whose product with a weight is a convolution, and its transpose. Each is the other's
gradient."""
from .conv import PARAMS as CONV
from .conv import Geometry
from .record import Op, Param, S, show, unify
from .rules import size
from .types import shape

PARAMS = {k: CONV[k] for k in ("kernel", "stride", "dilate", "pad")}
BACK = {"output_size": Param(shape, help="spatial shape of the image"), **PARAMS}


class Windows(Geometry):
    """The geometry of a convolution without weights or layout."""

    __slots__ = ()

    def __init__(self, p):
        super().__init__(Bare(p))


class Bare:
    """What Geometry reads of the parameters."""

    __slots__ = ("kernel", "stride", "dilate", "pad", "layout")

    def __init__(self, p):
        self.kernel, self.stride, self.dilate, self.pad, self.layout = p.kernel, p.stride, p.dilate, p.pad, None


def _launch(g, batch, channels, image):
    one, zero = (1,) * (3 - g.nd), (0,) * (3 - g.nd)
    return {"batch": batch, "channels": channels, "filters": 1, "groups": 1, "kernel": one + g.kernel,
            "stride": one + g.stride, "dilate": one + g.dilate, "pad": zero + g.pad, "src": one + tuple(image),
            "dst": one + tuple(g.out_size(d, i) for i, d in enumerate(image))}


def _given(p):
    return {k: getattr(p, k) for k in PARAMS}


class im2col(Op):
    """What a convolution's windows see, one column a window: (N, C, *X) gives (N, C * size of kernel, windows), rows in
    the order (channel, tap), windows in row-major order. Padding is zeros.

    Any dtype; 1, 2 or 3 spatial axes. ValueError where the kernel exceeds the padded image.
    """
    params = PARAMS
    cpu = "conv.im2col"
    samples = (S((2, 3, 5, 6), kernel=(2, 3)), S((1, 2, 7, 8), kernel=(3, 2), stride=(2, 1), dilate=(2, 3), pad=(1, 2)),
               S((2, 3, 9), kernel=(3,), stride=(3,), pad=(2,)), S((1, 2, 3, 4, 5), kernel=(2, 1, 2), pad=(1, 0, 1)),
               S((0, 3, 5, 5), kernel=(2, 2)))

    def infer(p, ins, outs):
        g, x, y = Windows(p), ins[0], outs[0]
        if x is None:
            return ins, outs
        if len(x) != g.nd + 2:
            raise ValueError(f"data {show(x)} must have {g.nd + 2} axes for kernel {p.kernel}")
        out = [g.out_size(d, i) for i, d in enumerate(x[2:])]
        y = unify(y, (x[0], None if x[1] is None else x[1] * size(p.kernel), None if None in out else size(out)))
        return [(y[0], *x[1:])], [y]

    def ref(xp, p, x):
        g = Windows(p)
        out = tuple(g.out_size(d, i) for i, d in enumerate(x.shape[2:]))
        padded = g.padded(xp, x)
        seen = [padded[(slice(None), slice(None), *at)] for _, at in g.taps(out)]
        return xp.stack(seen, 2).reshape(x.shape[0], x.shape[1] * size(p.kernel), size(out))

    def launch(p, ins, outs):
        return _launch(Windows(p), *ins[0][:2], ins[0][2:])

    def grad(F, n, dy):
        return F.col2im(dy, output_size=n.in_shapes[0][2:], **_given(n.p))


class col2im(Op):
    """The transpose of im2col: columns (N, C * size of kernel, windows) are added up to an image (N, C, *output_size),
    each element where im2col had read it.

    Any dtype. ValueError where the number of rows or of windows does not fit.
    """
    params = BACK
    cpu = "conv.col2im"
    samples = (S((2, 18, 16), kernel=(2, 3), output_size=(5, 6)),
               S((1, 12, 27), kernel=(3, 2), stride=(2, 1), dilate=(2, 3), pad=(1, 2), output_size=(7, 8)),
               S((2, 9, 4), kernel=(3,), stride=(3,), pad=(2,), output_size=(9,)),
               S((0, 12, 16), kernel=(2, 2), output_size=(5, 5)))

    def infer(p, ins, outs):
        g, x = Windows(p), ins[0]
        if len(p.output_size) != g.nd:
            raise ValueError(f"output_size {p.output_size} must have as many axes as kernel {p.kernel}")
        taps, many = size(p.kernel), size([g.out_size(d, i) for i, d in enumerate(p.output_size)])
        x = unify(x, (None, None, many))
        if x[1] is not None and x[1] % taps:
            raise ValueError(f"the {x[1]} rows of data {show(x)} are no multiple of the kernel's {taps} elements")
        y = unify(outs[0], (x[0], None if x[1] is None else x[1] // taps, *p.output_size))
        return [unify(x, (y[0], None if y[1] is None else y[1] * taps, many))], [y]

    def ref(xp, p, x):
        g = Windows(p)
        out, taps = tuple(g.out_size(d, i) for i, d in enumerate(p.output_size)), size(p.kernel)
        n, c = x.shape[0], x.shape[1] // taps
        seen = x.reshape(n, c, taps, *out)
        image = g.padded(xp, xp.zeros((n, c, *p.output_size), x.dtype))
        for i, (_, at) in enumerate(g.taps(out)):
            image[(slice(None), slice(None), *at)] += seen[:, :, i]
        inner = tuple(slice(q, q + d) for q, d in zip(g.pad, p.output_size))
        return xp.ascontiguousarray(image[(slice(None), slice(None), *inner)])

    def launch(p, ins, outs):
        return _launch(Windows(p), *outs[0][:2], p.output_size)

    def grad(F, n, dy):
        return F.im2col(dy, **_given(n.p))
