"""Shape and dtype rules that several families share. Shapes are tuples, None is unknown, so is a None dimension."""
from .elementwise import FLOATS
from .record import show, unify


def like(*which):
    """Rule: output j has the shape of input ``which[j]``; inputs are left as they are."""
    def infer(p, ins, outs):
        return ins, [unify(ins[i], o) for i, o in zip(which, outs)]
    return infer


def float_dtype(p, ins, outs):
    """Rule: all have one floating-point dtype."""
    d = next((i for i in (*ins, *outs) if i is not None), None)
    if d is not None and d not in FLOATS:
        raise ValueError(f"floating-point data is needed, not {d}")
    if any(i not in (None, d) for i in ins):
        raise ValueError(f"inputs must have one dtype, not {', '.join(map(str, ins))}")
    return [d] * len(ins), [d] * len(outs)


def axis_of(axis, ndim, what="axis"):
    """`axis` counted from the front; ValueError where it is out of range."""
    if not -ndim <= axis < ndim:
        raise ValueError(f"{what} {axis} is out of range for {ndim} axes")
    return axis % ndim


def broadcast_shapes(a, b):
    """NumPy's broadcast of two partial shapes, aligned at the right; ValueError where they do not fit."""
    if a is None or b is None:
        return None
    n = max(len(a), len(b))
    x, y = (1,) * (n - len(a)) + tuple(a), (1,) * (n - len(b)) + tuple(b)
    out = []
    for i, j in zip(x, y):
        if i == 1 or (i is None and j is not None and j != 1):
            out.append(j)
        elif j == 1 or j is None or i == j:
            out.append(i)
        else:
            raise ValueError(f"shapes {show(a)} and {show(b)} do not broadcast")
    return tuple(out)


def broadcast(p, ins, outs):
    """Rule for two inputs of broadcastable shapes."""
    return ins, [unify(broadcast_shapes(*ins), outs[0])]


def reduced_axes(axis, ndim, exclude=False):
    """The axes that a reduction runs over, sorted and counted from the front. None and () mean all of them."""
    if axis is None or axis == ():
        return tuple(range(ndim))
    axis = (axis,) if isinstance(axis, int) else axis
    chosen = {axis_of(a, ndim) for a in axis}
    if len(chosen) != len(axis):
        raise ValueError(f"axis {axis} names one axis twice")
    if exclude:
        chosen = set(range(ndim)) - chosen
    return tuple(sorted(chosen))


def size(shape):
    """Number of elements of a known shape."""
    n = 1
    for d in shape:
        n *= d
    return n
