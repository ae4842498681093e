"""Operators that look elements up by index. Indices may have any dtype; fractions are cut off towards zero, and a
float that fits no int64 (NaN, infinities) counts as the smallest one, so it clips to 0."""
from . import types as T
from .box import ALL
from .record import Op, Param, S, show, unify
from .rules import axis_of, size
from .shape import first_dtype, known
from .values import LOWEST, array_dtype, as_value, returning

MODES = ("clip", "wrap", "raise", "negative")       # their numbers in the kernels


def integers(xp, index):
    """`index` as int64, the way the kernels read it."""
    if index.dtype.kind != "f":
        return index.astype("int64")
    x = index.astype("float64")
    fits = (x >= -2.0 ** 63) & (x < 2.0 ** 63)
    return xp.where(fits, xp.where(fits, x, 0).astype("int64"), LOWEST)


def inside(xp, index, n, mode):
    """Indices brought into [0, n) by `mode`; ``raise`` reports those outside, ``negative`` counts them from the end
    once first."""
    index = integers(xp, index)
    if index.size == 0:
        return index
    if n == 0:
        raise IndexError("an index into an axis of size 0")
    if mode == "clip":
        return xp.clip(index, 0, n - 1)
    if mode == "wrap":
        return index % n
    if mode == "negative":
        index = xp.where(index < 0, index + n, index)
    if bool(((index < 0) | (index >= n)).any()):
        raise IndexError(f"an index is out of range for an axis of size {n}")
    return index


def rows(shape, axis, mode, index):
    """Kernel arguments where the indices of shape `index` run along one axis: elements before, on and after it."""
    return dict(outer=size(shape[:axis]), m=1, dims=[shape[axis]] + [0] * 7, inner=size(shape[axis + 1:]),
                count=size(index), mode=MODES.index(mode))




class take(Op):
    """Slices of `a` along `axis` at `indices`: the result has the indices' shape in place of that axis. Indices out of
    range go to the nearest end (``clip``), round (``wrap``), or are an error at run time (``raise``). Any dtypes."""
    inputs = "a indices"
    params = dict(axis=Param(T.integer, 0, "axis of a to index"),
                  mode=Param(T.text, "clip", "what happens to indices out of range", choices=MODES[:3]))
    infer_dtype = first_dtype
    cpu, cpu_dtypes = "index.take", ALL
    samples = (S((5, 3), (4,), index={1: 5}), S((2, 5, 3), (4, 2), axis=1, index={1: 5}),
               S((2, 5), (3,), axis=-1, mode="wrap", index={1: 12}), S((5, 3), (4,), mode="raise", index={1: 5}),
               S((5, 3), (2, 0)), S((0, 3), (0,)), S((4,), (3, 2), index={1: 9}))

    def infer(p, ins, outs):
        a, index = ins
        if a is None or index is None:
            return ins, outs
        axis = axis_of(p.axis, len(a))
        return ins, [unify(a[:axis] + index + a[axis + 1:], outs[0])]

    def ref(xp, p, a, index):
        axis = axis_of(p.axis, a.ndim)
        at = inside(xp, index, a.shape[axis], p.mode)
        if at.size == 0:
            return xp.zeros(a.shape[:axis] + at.shape + a.shape[axis + 1:], a.dtype)
        return xp.take(a, at, axis=axis)

    def launch(p, ins, outs):
        return rows(ins[0], axis_of(p.axis, len(ins[0])), p.mode, ins[1])

    def grad(F, n, dy):
        return F._backward_take(dy, n.inputs[1], shape=n.in_shapes[0], axis=n.p.axis, mode=n.p.mode), None


class _backward_take(Op):
    """Zeros of `shape` with the slices of `dy` added at `indices` along `axis`, in the order of the indices: the
    gradient of take and Embedding, the same bits for any number of threads. Floating point."""
    inputs = "dy indices"
    params = dict(shape=Param(T.shape, help="shape of the result, literal"), axis=Param(T.integer, 0, "as in take"),
                  mode=Param(T.text, "clip", "as in take", choices=MODES[:3]))
    infer_dtype = first_dtype
    cpu = "index.scatter_add"
    samples = (S((7, 3), (7,), shape=(4, 3), index={1: 4}), S((2, 3, 2, 4), (3, 2), shape=(2, 3, 4), axis=1,
                                                              index={1: 3}),
               S((2, 6), (6,), shape=(2, 4), axis=-1, mode="wrap", index={1: 9}), S((0, 3), (0,), shape=(4, 3)),
               S((40, 200), (40,), shape=(9, 200), index={1: 9}))

    def infer(p, ins, outs):
        dy, index = ins
        axis = axis_of(p.axis, len(p.shape))
        if index is not None:
            dy = unify(dy, p.shape[:axis] + tuple(index) + p.shape[axis + 1:])
        return [dy, index], [unify(p.shape, outs[0])]

    def ref(xp, p, dy, index):
        axis = axis_of(p.axis, len(p.shape))
        at = inside(xp, index, p.shape[axis], p.mode).ravel()
        outer, inner = size(p.shape[:axis]), size(p.shape[axis + 1:])
        out = _added(xp, (p.shape[axis], outer, inner), at, xp.moveaxis(dy.reshape(outer, at.size, inner), 1, 0))
        return xp.moveaxis(out, 0, 1).reshape(p.shape)

    def launch(p, ins, outs):
        return rows(p.shape, axis_of(p.axis, len(p.shape)), p.mode, ins[1])

    def grad(F, n, ddy):
        return F.take(ddy, n.inputs[1], axis=n.p.axis, mode=n.p.mode), None


FLOATS = ("float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bfloat16")


class Embedding(Op):
    """Rows of `weight` (input_dim, output_dim) at the indices `data`: the result has the data's shape and one axis
    more. Indices out of range go to the nearest row. The result has the weight's dtype, `dtype` unless it is known."""
    inputs = "data weight"
    params = dict(input_dim=Param(T.integer, help="number of rows", low=1),
                  output_dim=Param(T.integer, help="length of a row", low=1),
                  dtype=Param(T.dtype, "float32", "of the weight", choices=FLOATS),
                  sparse_grad=Param(T.boolean, False, "MXNet's row-sparse gradient; here gradients are dense"))
    cpu, cpu_dtypes = "index.embedding", ALL
    samples = (S((2, 3), (5, 4), input_dim=5, output_dim=4, index={0: 7}), S((6,), (3, 2), input_dim=3, output_dim=2,
               index={0: 3}), S((0,), (3, 2), input_dim=3, output_dim=2))

    def infer(p, ins, outs):
        if ins[0] is None:
            return ins, outs
        weight = unify(ins[1], (p.input_dim, p.output_dim))
        out = unify(ins[0] + (p.output_dim,), outs[0])
        return [out[:-1], weight], [out]

    def infer_dtype(p, ins, outs):
        dtype = ins[1] or outs[0] or p.dtype
        return [ins[0], dtype], [dtype]

    def ref(xp, p, index, weight):
        return xp.take(weight, inside(xp, index, p.input_dim, "clip"), axis=0)

    def launch(p, ins, outs):
        return rows(ins[1], 0, "clip", ins[0])

    def grad(F, n, dy):
        return None, F._backward_take(dy, n.inputs[0], shape=n.in_shapes[1])


class pick(Op):
    """One element of `data` along `axis` for every position of the other axes, at `index`; with ``keepdims`` the axis
    stays, with size 1. Indices out of range go to the nearest end (``clip``) or round (``wrap``). Any dtypes."""
    inputs = "data index"
    params = dict(axis=Param(T.optional(T.integer), -1, "axis to pick along"),
                  keepdims=Param(T.boolean, False, "keep the axis with size 1"),
                  mode=Param(T.text, "clip", "what happens to indices out of range", choices=("clip", "wrap")))
    aliases = "choose_element_0index"
    infer_dtype = first_dtype
    cpu, cpu_dtypes = "index.pick", ALL
    samples = (S((3, 4), (3,), index={1: 4}), S((3, 4), (4,), axis=0, mode="wrap", index={1: 7}),
               S((2, 3, 4), (2, 1, 4), axis=1, keepdims=True, index={1: 9}), S((5,), (1,), index={1: 5}),
               S((0, 3), (0,)))

    def infer(p, ins, outs):
        data, index = ins
        if p.axis is None:
            raise ValueError("pick needs an axis")
        if data is None:
            return ins, outs
        axis = axis_of(p.axis, len(data))
        kept = data[:axis] + (1,) + data[axis + 1:]
        dropped = data[:axis] + data[axis + 1:] or (1,)
        index = unify(index, kept if index is not None and len(index) == len(data) else dropped)
        return [data, index], [unify(kept if p.keepdims else dropped, outs[0])]

    def ref(xp, p, x, index):
        axis = axis_of(p.axis, x.ndim)
        kept = x.shape[:axis] + (1,) + x.shape[axis + 1:]
        y = xp.take_along_axis(x, inside(xp, index, x.shape[axis], p.mode).reshape(kept), axis)
        return y if p.keepdims else y.reshape(x.shape[:axis] + x.shape[axis + 1:] or (1,))

    def launch(p, ins, outs):
        return rows(ins[0], axis_of(p.axis, len(ins[0])), p.mode, ins[1])

    def grad(F, n, dy):
        return F._backward_pick(dy, n.inputs[1], shape=n.in_shapes[0], axis=n.p.axis, keepdims=n.p.keepdims,
                                mode=n.p.mode), None


class _backward_pick(Op):
    """Zeros of `shape`, with `dy` at the elements that pick took."""
    inputs = "dy index"
    params = dict(shape=Param(T.shape, help="shape of the result, literal"), axis=Param(T.integer, -1, "as in pick"),
                  keepdims=Param(T.boolean, False, "as in pick"),
                  mode=Param(T.text, "clip", "as in pick", choices=("clip", "wrap")))
    infer_dtype = first_dtype
    cpu, cpu_dtypes = "index.pick_backward", ALL
    samples = (S((3,), (3,), shape=(3, 4), index={1: 4}), S((2, 4), (2, 1, 4), shape=(2, 3, 4), axis=1, mode="wrap",
               index={1: 9}), S((0,), (0,), shape=(0, 3)))

    def infer(p, ins, outs):
        return ins, [unify(p.shape, outs[0])]

    def ref(xp, p, dy, index):
        axis = axis_of(p.axis, len(p.shape))
        kept = p.shape[:axis] + (1,) + p.shape[axis + 1:]
        at = inside(xp, index, p.shape[axis], p.mode).reshape(kept)
        hit = xp.arange(p.shape[axis]).reshape([-1 if i == axis else 1 for i in range(len(p.shape))]) == at
        return xp.where(hit, dy.reshape(kept), xp.zeros((), dy.dtype))

    def launch(p, ins, outs):
        return rows(p.shape, axis_of(p.axis, len(p.shape)), p.mode, ins[1])

    def grad(F, n, ddy):
        return F.pick(ddy, n.inputs[1], axis=n.p.axis, keepdims=n.p.keepdims, mode=n.p.mode), None


class one_hot(Op):
    """A new last axis of size `depth`, with `on_value` at the index and `off_value` elsewhere; indices out of range
    give `off_value` alone. The result has `dtype`."""
    inputs = "indices"
    params = dict(depth=Param(T.integer, help="size of the new axis", low=0),
                  on_value=Param(T.real, 1.0, "at the index"),
                  off_value=Param(T.real, 0.0, "elsewhere"),
                  dtype=Param(T.dtype, "float32", "of the result", choices=FLOATS))
    cpu, cpu_dtypes = "index.one_hot", ALL
    samples = (S((4,), depth=3, index={0: 5}), returning("float64",
                                                         S((2, 3), depth=4, on_value=2.5, off_value=-1, index={0: 4})),
               returning("int32", S((3,), depth=3, on_value=7, off_value=-2, index={0: 3})), S((0,), depth=3),
               S((2,), depth=0))

    def infer(p, ins, outs):
        return ins, [unify(ins[0] + (p.depth,) if known(ins[0]) else None, outs[0])]

    def infer_dtype(p, ins, outs):
        return ins, [p.dtype]

    def ref(xp, p, index):
        hit = integers(xp, index)[..., None] == xp.arange(p.depth)
        dtype = array_dtype(p.dtype)
        return xp.where(hit, as_value(xp, p.on_value, dtype), as_value(xp, p.off_value, dtype))

    def launch(p, ins, outs):
        return dict(depth=p.depth, on=p.on_value, off=p.off_value)

    def grad(F, n, dy):
        return None


def _nd(data, index):
    """Kernel arguments where index tuples name the first axes."""
    m = index[0]
    return dict(outer=1, m=m, dims=list(data[:m]) + [0] * (8 - m), inner=size(data[m:]), count=size(index[1:]),
                mode=MODES.index("negative"))


def _nd_shapes(data, index):
    """Shape of gather_nd's result, or None where not all is known."""
    if not known(data) or not known(index):
        return None
    if len(index) < 2:
        raise ValueError(f"indices {show(index)} need at least 2 axes: the first holds the numbers of a tuple")
    if index[0] > len(data):
        raise ValueError(f"indices {show(index)} name more axes than {show(data)} has")
    return index[1:] + data[index[0]:]


def _added(xp, shape, at, values):
    """Zeros of `shape` with `values` added at the positions `at` of its first axis. What has one byte is summed in
    int32: CuPy adds no others at positions."""
    wide = "int32" if values.dtype.itemsize == 1 else values.dtype
    out = xp.zeros(shape, wide)
    xp.add.at(out, at, values.astype(wide, copy=False))
    return out.astype(values.dtype, copy=False)


def _flat(xp, shape, index):
    """Row numbers for the index tuples of `index` (m, ...), flattened."""
    m = index.shape[0]
    at = 0
    for i in range(m):
        at = at * shape[i] + inside(xp, index[i], shape[i], "negative")
    return xp.asarray(at).ravel()


class gather_nd(Op):
    """Elements or slices of `data` at the index tuples ``indices[:, ...]``: indices (m, ...) index the first m axes.
    Negative indices count from the end; others out of range are an error at run time. Any dtypes."""
    inputs = "data indices"
    infer_dtype = first_dtype
    cpu, cpu_dtypes = "index.take", ALL
    samples = (S((3, 4), (2, 5), index={1: 3}), S((3, 4, 2), (1, 2, 3), index={1: 3}), S((3, 4), (2, 0)))

    def infer(p, ins, outs):
        return ins, [unify(_nd_shapes(*ins), outs[0])]

    def ref(xp, p, x, index):
        m = index.shape[0]
        rows = x.reshape((size(x.shape[:m]), size(x.shape[m:])))
        return rows[_flat(xp, x.shape, index)].reshape(_nd_shapes(x.shape, index.shape))

    def launch(p, ins, outs):
        return _nd(*ins)

    def grad(F, n, dy):
        return F._backward_gather_nd(dy, n.inputs[1], shape=n.in_shapes[0]), None


def _nd_infer(p, ins, outs):
    want = _nd_shapes(p.shape, ins[1])
    return [unify(ins[0], want), ins[1]], [unify(p.shape, outs[0])]


class scatter_nd(Op):
    """Zeros of `shape`, with `data` written at the index tuples ``indices[:, ...]`` as gather_nd reads them; where a
    tuple occurs twice the last one stays. Any dtypes."""
    inputs = "data indices"
    params = dict(shape=Param(T.shape, help="shape of the result"))
    infer_dtype = first_dtype
    cpu, cpu_dtypes = "index.scatter", ALL
    # One tuple a sample: where one occurs twice, the gradient (MXNet's gather) is not the derivative.
    samples = (S((1, 4), (1, 1), shape=(5, 4), index={1: 5}), S((0,), (2, 0), shape=(3, 4)),
               S((1,), (2, 1), shape=(9, 9),
               index={1: 9}))

    infer = _nd_infer

    def ref(xp, p, x, index):
        m = index.shape[0]
        out = xp.zeros((size(p.shape[:m]), size(p.shape[m:])), x.dtype)
        at = _flat(xp, p.shape, index)
        last = xp.full(out.shape[0], -1)
        xp.maximum.at(last, at, xp.arange(at.size))
        rows = x.reshape(at.size, out.shape[1])
        out[last >= 0] = rows[last[last >= 0]]
        return out.reshape(p.shape)

    def launch(p, ins, outs):
        return _nd(p.shape, ins[1])

    def grad(F, n, dy):
        return F.gather_nd(dy, n.inputs[1]), None


class _backward_gather_nd(Op):
    """Zeros of `shape` with `dy` added at the index tuples, in their order: the gradient of gather_nd. Floating
    point."""
    inputs = "dy indices"
    params = dict(shape=Param(T.shape, help="shape of the result"))
    infer_dtype = first_dtype
    cpu = "index.scatter_add"
    samples = (S((5,), (2, 5), shape=(3, 4), index={1: 3}), S((6, 2), (1, 6), shape=(3, 2), index={1: 3}),
               S((0,), (2, 0), shape=(3, 4)))

    infer = _nd_infer

    def ref(xp, p, dy, index):
        m = index.shape[0]
        at, k = _flat(xp, p.shape, index), size(p.shape[m:])
        return _added(xp, (size(p.shape[:m]), k), at, dy.reshape(at.size, k)).reshape(p.shape)

    def launch(p, ins, outs):
        return _nd(p.shape, ins[1])

    def grad(F, n, ddy):
        return F.gather_nd(ddy, n.inputs[1]), None


class batch_take(Op):
    """One element of every row of `a` (..., k): ``a[i, indices[i]]``; int32 indices, out of range to the nearest end.
    No gradient, as in MXNet (pick has one)."""
    inputs = "a indices"
    cpu, cpu_dtypes = "index.pick", ALL
    samples = (S((3, 4), (3,), index={1: 6}, dtype="int32"), S((3, 4), (3, 1), index={1: 4}, dtype="int32"),
               S((0, 4), (0,), dtype="int32"))

    def infer(p, ins, outs):
        a, index = ins
        if a is not None and len(a) < 2:
            raise ValueError(f"a needs at least 2 axes, not {show(a)}")
        if known(a) and known(index) and size(index) != size(a[:-1]):
            raise ValueError(f"indices {show(index)} must have one value for every row of {show(a)}")
        return ins, [unify(index, outs[0])]

    def infer_dtype(p, ins, outs):
        d = ins[0] or outs[0]
        return [d, "int32"], [d]

    def ref(xp, p, a, index):
        at = inside(xp, index, a.shape[-1], "clip").reshape(a.shape[:-1] + (1,))
        return xp.take_along_axis(a, at, -1).reshape(index.shape)

    def launch(p, ins, outs):
        return rows(ins[0], len(ins[0]) - 1, "clip", ins[1])
