"""Operators that move blocks and diagonals: depth_to_space, space_to_depth, diag. All are one strided copy."""
from . import types as T
from .box import ALL, box, strides
from .record import Op, Param, S, show, unify
from .rules import axis_of
from .shape import known, permuted

BLOCK = dict(block_size=Param(T.integer, help="edge of a block, positive"))


def _four(p, shape):
    if p.block_size < 1:
        raise ValueError(f"block_size={p.block_size} must be positive")
    if len(shape) != 4:
        raise ValueError(f"data must have 4 axes (n, c, h, w), not {show(shape)}")


def _split(p, shape, to_space):
    """(data's shape with the block's axes on their own, their order in the result)."""
    b = p.block_size
    n, c, h, w = shape
    if to_space:
        return (n, b, b, c // (b * b), h, w), (0, 3, 4, 1, 5, 2)
    return (n, c, h // b, b, w // b, b), (0, 3, 5, 1, 2, 4)


def _moved(to_space):
    def ref(xp, p, x):
        shape, axes = _split(p, x.shape, to_space)
        out = (depth_to_space if to_space else space_to_depth).infer(p, [x.shape], [None])[1][0]
        return xp.ascontiguousarray(x.reshape(shape).transpose(axes)).reshape(out)

    def launch(p, ins, outs):
        return permuted(*_split(p, ins[0], to_space))
    return dict(ref=ref, launch=launch)


class depth_to_space(Op):
    """Channels become places: (n, c * b * b, h, w) to (n, c, h * b, w * b) for blocks of edge b = `block_size`. The
    block's row and column are the leading parts of the channel number. Any dtype."""
    params = BLOCK
    cpu, cpu_dtypes = "movement.strided", ALL
    ref, launch = _moved(True).values()
    samples = (S((2, 8, 2, 3), block_size=2), S((1, 9, 1, 2), block_size=3), S((2, 3, 2, 2), block_size=1),
               S((0, 4, 2, 2), block_size=2))

    def infer(p, ins, outs):
        if ins[0] is None:
            return ins, outs
        _four(p, ins[0])
        b = p.block_size
        n, c, h, w = ins[0]
        if c is not None and c % (b * b):
            raise ValueError(f"{c} channels are no multiple of block_size ** 2 = {b * b}")
        return ins, [unify((n, None if c is None else c // (b * b), h and h * b, w and w * b), outs[0])]

    def grad(F, n, dy):
        return F.space_to_depth(dy, block_size=n.p.block_size)


class space_to_depth(Op):
    """Places become channels: (n, c, h * b, w * b) to (n, b * b * c, h, w) for blocks of edge b = `block_size`; the
    reverse of depth_to_space. Any dtype."""
    params = BLOCK
    cpu, cpu_dtypes = "movement.strided", ALL
    ref, launch = _moved(False).values()
    samples = (S((2, 2, 4, 6), block_size=2), S((1, 1, 3, 6), block_size=3), S((2, 3, 2, 2), block_size=1),
               S((0, 4, 2, 2), block_size=2))

    def infer(p, ins, outs):
        if ins[0] is None:
            return ins, outs
        _four(p, ins[0])
        b = p.block_size
        n, c, h, w = ins[0]
        for d in (h, w):
            if d is not None and d % b:
                raise ValueError(f"{d} places are no multiple of block_size={b}")
        return ins, [unify((n, c and c * b * b, h and h // b, w and w // b), outs[0])]

    def grad(F, n, dy):
        return F.depth_to_space(dy, block_size=n.p.block_size)


def _diagonal(p, shape):
    """(shape of the diagonals, its strides in the array, offset of its first element): the diagonal is the last
    axis."""
    if len(shape) == 1:
        raise ValueError("a diagonal needs two axes")
    a, b = axis_of(p.axis1, len(shape), "axis1"), axis_of(p.axis2, len(shape), "axis2")
    if a == b:
        raise ValueError(f"axis1 and axis2 are the same axis, {a}")
    length = min(shape[a] + min(p.k, 0), shape[b] - max(p.k, 0))
    if length < 0:
        raise ValueError(f"there is no diagonal {p.k} in axes of sizes {shape[a]} and {shape[b]}")
    step = strides(shape)
    rest = [i for i in range(len(shape)) if i not in (a, b)]
    return (tuple(shape[i] for i in rest) + (length,), [step[i] for i in rest] + [step[a] + step[b]],
            -p.k * step[a] if p.k < 0 else p.k * step[b])


DIAG = dict(k=Param(T.integer, 0, "which diagonal: above the main one where positive"),
            axis1=Param(T.integer, 0, "axis of the rows"), axis2=Param(T.integer, 1, "axis of the columns"))


class diag(Op):
    """Diagonal `k`. Of an array with two axes or more: the diagonals of the planes (`axis1`, `axis2`), as last axis of
    the result. Of a vector: the square matrix that has it on diagonal `k` and zeros elsewhere. Any dtype."""
    params = DIAG
    cpu, cpu_dtypes = "movement.into_zeros", ALL
    samples = (S((3, 4)), S((3, 4), k=1), S((3, 4), k=-2), S((3, 4), k=4), S((2, 3, 4, 2), axis1=2, axis2=0),
               S((2, 3, 4), k=1, axis1=-1, axis2=1), S((3,)), S((3,), k=2), S((2,), k=-1), S((0,)), S((0, 3)),
               S((0,), k=2))

    def infer(p, ins, outs):
        data = ins[0]
        if not known(data):
            return ins, outs
        if not data:
            raise ValueError("data needs at least one axis")
        if len(data) == 1:
            n = data[0] + abs(p.k)
            return ins, [unify((n, n), outs[0])]
        return ins, [unify(_diagonal(p, data)[0], outs[0])]

    def ref(xp, p, x):
        if x.ndim == 1:
            return xp.diag(x, p.k)
        return xp.diagonal(x, p.k, p.axis1, p.axis2).copy()

    def launch(p, ins, outs):
        if len(ins[0]) == 1:
            n = outs[0][0]
            return box(ins[0], [1], [n + 1], 0, -p.k * n if p.k < 0 else p.k)
        shape, step, offset = _diagonal(p, ins[0])
        return box(shape, step, strides(shape), offset)

    def grad(F, n, dy):
        if len(n.in_shapes[0]) == 1:
            return F.diag(dy, k=n.p.k)
        return F._backward_diag(dy, shape=n.in_shapes[0], k=n.p.k, axis1=n.p.axis1, axis2=n.p.axis2)


class _backward_diag(Op):
    """Zeros of `shape` with `dy` on the diagonals that diag took."""
    inputs = "dy"
    params = dict(shape=Param(T.shape, help="shape of the result, literal"), **DIAG)
    cpu, cpu_dtypes = "movement.into_zeros", ALL
    samples = (S((3,), shape=(3, 4)), S((3, 2, 2), shape=(2, 3, 4, 2), axis1=2, axis2=0), S((0,), shape=(3, 4), k=4))

    def infer(p, ins, outs):
        return [unify(ins[0], _diagonal(p, p.shape)[0])], [unify(p.shape, outs[0])]

    def ref(xp, p, dy):
        _, step, offset = _diagonal(p, p.shape)
        out = xp.zeros(p.shape, dy.dtype)
        at = offset + sum(xp.arange(d).reshape([-1 if j == i else 1 for j in range(dy.ndim)]) * s
                          for i, (d, s) in enumerate(zip(dy.shape, step)))
        out.reshape(-1)[at] = dy
        return out

    def launch(p, ins, outs):
        shape, step, offset = _diagonal(p, p.shape)
        return box(shape, strides(shape), step, 0, offset)

    def grad(F, n, ddy):
        return F.diag(ddy, k=n.p.k, axis1=n.p.axis1, axis2=n.p.axis2)
