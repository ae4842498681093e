"""Crop: a window out of images, the first version of slice."""
from .box import ALL
from .record import Op, Param, S, show, unify
from .slicing import into_zeros, slice_box
from .types import boolean, integer, optional, shape


def _ranges(p, data, out):
    """(start, step, count) of every axis."""
    if p.center_crop:
        begin = [(d - o) // 2 for d, o in zip(data[2:], out[2:])]
    else:
        begin = p.offset
    for d, b, o in zip(data[2:], begin, out[2:]):
        if b < 0 or b + o > d:
            raise ValueError(f"a window of {out[2:]} at offset {tuple(begin)} does not lie inside data {show(data)}")
    return [(0, 1, data[0]), (0, 1, data[1]), *((b, 1, o) for b, o in zip(begin, out[2:]))]


class Crop(Op):
    """The window of height and width `h_w` of images (N, C, H, W), or of a second input's height and width; it begins
    at `offset` (y, x), or lies in the middle with `center_crop`.

    Any dtype; the second input gives its shape alone, its gradient is 0. ValueError where the window does not lie
    inside the image.
    """
    inputs = "*data"
    params = dict(num_args=Param(optional(integer), None, "how many inputs; counted if left out", low=1, high=2),
                  offset=Param(shape, (0, 0), "where the window begins: (y, x)"),
                  h_w=Param(shape, (0, 0), "size of the window, with one input"),
                  center_crop=Param(boolean, False, "the window lies in the middle, offset is ignored"))
    cpu, cpu_dtypes = "movement.strided", ALL
    samples = (S((2, 3, 5, 6), h_w=(2, 3), offset=(1, 2)), S((2, 3, 5, 6), h_w=(2, 3), center_crop=True),
               S((2, 3, 5, 6), (1, 2, 4, 3), offset=(1, 0)), S((2, 3, 5, 6), (1, 1, 5, 6)), S((0, 3, 4, 4), h_w=(1, 4)))

    def infer(p, ins, outs):
        if len(ins) not in (1, 2):
            raise ValueError(f"one input or two are needed, got {len(ins)}")
        if p.num_args is not None and p.num_args != len(ins):
            raise ValueError(f"num_args={p.num_args}, but there are {len(ins)} inputs")
        for name in ("offset", "h_w"):
            if len(getattr(p, name)) != 2:
                raise ValueError(f"{name} {getattr(p, name)} must have 2 elements: (y, x)")
        for i, s in enumerate(ins):
            if s is not None and len(s) != 4:
                raise ValueError(f"input {i} of shape {show(s)} must have 4 axes")
        size = p.h_w
        if len(ins) == 2:
            size = (None, None) if ins[1] is None else ins[1][2:]
        elif min(size) < 1:
            raise ValueError(f"h_w {size} must be at least 1, unless a second input gives the size")
        x = ins[0] or (None,) * 4
        y = unify(outs[0], (*x[:2], *size))
        x = unify(x, (*y[:2], None, None))
        if None not in x and None not in y:
            _ranges(p, x, y)
        return [x, *ins[1:]], [y]

    def infer_dtype(p, ins, outs):
        d = ins[0] or outs[0]
        return [d, *(k or d for k in ins[1:])], [d]

    def ref(xp, p, x, like=None):
        out = (*x.shape[:2], *(p.h_w if like is None else like.shape[2:]))
        return x[tuple(slice(b, b + c) for b, _, c in _ranges(p, x.shape, out))].copy()

    def launch(p, ins, outs):
        return slice_box(ins[0], *zip(*_ranges(p, ins[0], outs[0])))

    def grad(F, n, dy):
        dx = into_zeros(F, n, dy, _ranges(n.p, n.in_shapes[0], n.out_shapes[0]))
        return (dx, None)[:len(n.inputs)]
