"""Operators that order elements along an axis. Equal elements keep their order, in both directions; NaN counts as the
largest (MXNet leaves NaN anywhere)."""
from . import types as T
from .record import Op, Param, S, unify
from .rules import axis_of, size
from .shape import known
from .values import returning

INDEX_DTYPES = ("uint8", "int32", "int64", "float16", "float32", "float64")
AXIS = Param(T.optional(T.integer), -1, "axis to sort along; None: the flattened array")
INDEX = Param(T.dtype, "float32", "dtype of the indices", choices=INDEX_DTYPES)
KINDS = ("value", "indices", "mask", "both")


def _rows(p, shape):
    """(elements before the axis, on it, after it), and the axis."""
    if p.axis is None:
        return 1, size(shape), 1, 0
    axis = axis_of(p.axis, len(shape))
    return size(shape[:axis]), shape[axis], size(shape[axis + 1:]), axis


def _order(xp, p, x, ascend):
    """Indices along the sorted axis, stable: (outer, n, inner)."""
    outer, n, inner, _ = _rows(p, x.shape)
    x = x.reshape(outer, n, inner)
    if ascend:
        return xp.argsort(x, 1, kind="stable")
    return n - 1 - xp.argsort(x[:, ::-1], 1, kind="stable")[:, ::-1]


def _count(p, n):
    if p.k > n:
        raise ValueError(f"k={p.k} is not within the {n} elements")
    return p.k if p.k > 0 else n


def _launch(p, ins, ascend, k, value, index, mask):
    outer, n, inner, _ = _rows(p, ins[0])
    return dict(outer=outer, n=n, inner=inner, k=k, ascend=int(ascend), value=value, index=index, mask=mask)


def _workspace(p, ins, outs, itemsize, threads):
    """Two rows of keys with their places (kernels/sort_run.h), for each thread."""
    n = _rows(p, ins[0])[1]
    return threads * 2 * n * (16 if itemsize == 8 or n >= 2**32 else 8)


class topk(Op):
    """The `k` largest (``is_ascend``: smallest) elements along `axis`, in order; a k below 1 takes all. `ret_typ` says
    what of them: their values, their indices along the axis in `dtype`, both, or a mask of the input's shape with 1
    where they are. Values have the input's dtype."""
    params = dict(axis=AXIS, k=Param(T.integer, 1, "how many; below 1: all"),
                  ret_typ=Param(T.text, "indices", "what to return", choices=KINDS),
                  is_ascend=Param(T.boolean, False, "smallest first"), dtype=INDEX)
    cpu, cpu_dtypes, workspace = "sort.sort", ("float32", "float64", "int32", "int64", "uint8", "int8"), _workspace
    samples = (S((3, 5), k=2), S((3, 5), k=2, ret_typ="value"),
               S((3, 5, 2), k=3, axis=1, ret_typ="both", is_ascend=True),
               S((3, 5), k=2, ret_typ="mask"), returning("int32", S((3, 4), k=5, axis=None, ret_typ="both")),
               S((2, 3), k=0), S((0, 3), k=1))

    def outputs(p):
        return ["output"] if p.ret_typ in ("indices", "mask") else ["output0", "output1"]

    def visible(p):
        return 2 if p.ret_typ == "both" else 1

    def infer(p, ins, outs):
        data = ins[0]
        if not known(data):
            return ins, outs
        _, n, _, axis = _rows(p, data)
        k = _count(p, n)
        out = data if p.ret_typ == "mask" else (k,) if p.axis is None else data[:axis] + (k,) + data[axis + 1:]
        return ins, [unify(out, o) for o in outs]

    def infer_dtype(p, ins, outs):
        if p.ret_typ == "indices":
            return ins, [p.dtype]
        return ins, [ins[0]] if p.ret_typ == "mask" else [ins[0], p.dtype]

    def ref(xp, p, x):
        outer, n, inner, _ = _rows(p, x.shape)
        k = _count(p, n)
        order = _order(xp, p, x, p.is_ascend)[:, :k]
        shape = topk.infer(p, [x.shape], [None])[1][0]
        if p.ret_typ == "indices":
            return order.astype(p.dtype).reshape(shape)
        if p.ret_typ == "mask":
            hit = (order[:, :, None] == xp.arange(n)[:, None]).any(1) if k else xp.zeros((outer, n, inner), bool)
            return hit.astype(x.dtype).reshape(shape)
        values = xp.take_along_axis(x.reshape(outer, n, inner), order, 1)
        return values.reshape(shape), order.astype(p.dtype).reshape(shape)

    def launch(p, ins, outs):
        at = {"value": (0, 1, -1), "both": (0, 1, -1), "indices": (-1, 0, -1), "mask": (-1, -1, 0)}[p.ret_typ]
        return _launch(p, ins, p.is_ascend, _count(p, _rows(p, ins[0])[1]), *at)

    def grad(F, n, dy, _=None):
        if n.p.ret_typ in ("indices", "mask"):
            return None
        return F._backward_topk(dy, n.outputs[1], shape=n.in_shapes[0], axis=n.p.axis) if dy is not None else None


class _backward_topk(Op):
    """Zeros of `shape`, with `dy` at the indices along `axis` that topk or sort gave."""
    inputs = "dy indices"
    params = dict(shape=Param(T.shape, help="shape of the result"), axis=AXIS)
    samples = (S((3, 1), (3, 1), shape=(3, 4), index={1: 4}), S((1,), (1,), shape=(3, 4), axis=None, index={1: 9}))

    def infer(p, ins, outs):
        shape = unify(ins[0], ins[1])
        return [shape, shape], [unify(p.shape, outs[0])]

    def infer_dtype(p, ins, outs):
        return ins, [ins[0]]

    def ref(xp, p, dy, index):
        outer, n, inner, _ = _rows(p, p.shape)
        out = xp.zeros(outer * n * inner, dy.dtype)
        at = index.astype("int64").reshape(outer, -1, inner)
        at = (xp.arange(outer)[:, None, None] * n + at) * inner + xp.arange(inner)
        out[at.ravel()] = dy.ravel()
        return out.reshape(p.shape)

    def grad(F, n, ddy):
        return F._backward_backward_topk(ddy, n.inputs[1], axis=n.p.axis), None


class _backward_backward_topk(Op):
    """Elements of `data` at the indices along `axis` that topk or sort gave: the gradient of its gradient."""
    inputs = "data indices"
    params = dict(axis=AXIS)
    samples = (S((3, 4), (3, 1), index={1: 4}), S((3, 4), (1,), axis=None, index={1: 9}))

    def infer(p, ins, outs):
        return ins, [unify(ins[1], outs[0])]

    def infer_dtype(p, ins, outs):
        return ins, [ins[0]]

    def ref(xp, p, x, index):
        outer, n, inner, _ = _rows(p, x.shape)
        at = index.astype("int64").reshape(outer, -1, inner)
        return xp.take_along_axis(x.reshape(outer, n, inner), at, 1).reshape(index.shape)

    def grad(F, n, dy):
        return F._backward_topk(dy, n.inputs[1], shape=n.in_shapes[0], axis=n.p.axis), None


class sort(Op):
    """`data` in order along `axis`. Any number dtype."""
    params = dict(axis=AXIS, is_ascend=Param(T.boolean, True, "smallest first"))
    outputs, visible = "output0 indices", 1
    cpu, cpu_dtypes, workspace = "sort.sort", topk.cpu_dtypes, _workspace
    samples = (S((3, 5)), S((3, 5, 2), axis=1, is_ascend=False), S((2, 3), axis=None), S((2, 0)))

    def infer(p, ins, outs):
        data = ins[0]
        if not known(data):
            return ins, outs
        out = (size(data),) if p.axis is None else data
        _rows(p, data)
        return ins, [unify(out, o) for o in outs]

    def infer_dtype(p, ins, outs):
        d = ins[0] or outs[0]
        return [d], [d, "int64"]

    def ref(xp, p, x):
        outer, n, inner, _ = _rows(p, x.shape)
        order = _order(xp, p, x, p.is_ascend)
        shape = (x.size,) if p.axis is None else x.shape
        return xp.take_along_axis(x.reshape(outer, n, inner), order, 1).reshape(shape), order.reshape(shape)

    def launch(p, ins, outs):
        return _launch(p, ins, p.is_ascend, _rows(p, ins[0])[1], 0, 1, -1)

    def grad(F, n, dy, _=None):
        return F._backward_topk(dy, n.outputs[1], shape=n.in_shapes[0], axis=n.p.axis)


class argsort(Op):
    """Indices, in `dtype`, that put `data` in order along `axis`."""
    params = dict(axis=AXIS, is_ascend=Param(T.boolean, True, "smallest first"), dtype=INDEX)
    cpu, cpu_dtypes, workspace = "sort.sort", topk.cpu_dtypes, _workspace
    samples = (S((3, 5)), returning("int32", S((3, 5, 2), axis=1, is_ascend=False)), S((2, 3), axis=None))

    def infer(p, ins, outs):
        data = ins[0]
        if not known(data):
            return ins, outs
        _rows(p, data)
        return ins, [unify((size(data),) if p.axis is None else data, outs[0])]

    def infer_dtype(p, ins, outs):
        return ins, [p.dtype]

    def ref(xp, p, x):
        return _order(xp, p, x, p.is_ascend).astype(p.dtype).reshape((x.size,) if p.axis is None else x.shape)

    def launch(p, ins, outs):
        return _launch(p, ins, p.is_ascend, _rows(p, ins[0])[1], -1, 0, -1)

    def grad(F, n, dy):
        return None
