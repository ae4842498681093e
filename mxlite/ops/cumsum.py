"""Running sums."""
from . import types as T
from .elementwise import is_float, to_dtype
from .record import Op, Param, S, unify
from .rules import axis_of, size
from .shape import known
from .values import returning

AXIS = Param(T.optional(T.integer), None, "axis to add along; None: the flattened array")
WIDE = ("float32", "float64", "int32", "int64")
COUNTED = ("float32", "float64", "int32", "int64", "uint8", "int8", "bool")


def _flat(p, shape):
    return (size(shape),) if p.axis is None else tuple(shape)


def _launch(reverse):
    def launch(p, ins, outs):
        shape = _flat(p, ins[0])
        axis = 0 if p.axis is None else axis_of(p.axis, len(shape))
        return dict(outer=size(shape[:axis]), n=shape[axis], inner=size(shape[axis + 1:]), reverse=reverse)
    return launch


class _np_cumsum(Op):
    """Sums of the elements up to and with each, along `axis`, or over the flattened array. Every element is converted
    to `dtype` first (the input's, int64 for bool), and the sums are made in it, one after the other; integers wrap
    round. Negative axes count from the end (MXNet refuses them)."""
    inputs = "a"
    params = dict(axis=AXIS, dtype=Param(T.optional(T.dtype), None, "dtype of the sums; None: the input's"))
    aliases = "cumsum"

    def cpu(p):
        return "cumsum.cumsum" if p.dtype is None or p.dtype in WIDE else None
    cpu_dtypes = COUNTED
    launch = _launch(0)
    samples = (S((2, 3)), S((2, 3, 4), axis=1), S((2, 3, 4), axis=0), S((5,), axis=-1), S((0, 3), axis=0),
               returning("float64", S((2, 70), axis=1)), S((3, 0)))

    def infer(p, ins, outs):
        data = ins[0]
        if data is None or (p.axis is None and not known(data)):
            return ins, outs
        if p.axis is not None:
            axis_of(p.axis, len(data))
        return ins, [unify(_flat(p, data), outs[0])]

    def infer_dtype(p, ins, outs):
        return ins, [p.dtype or ("int64" if ins[0] == "bool" else ins[0])]

    def ref(xp, p, x):
        dtype = p.dtype or ("int64" if x.dtype.kind == "b" else x.dtype.name)
        dtype = "float32" if dtype == "bfloat16" else dtype
        x = x.reshape(_flat(p, x.shape))
        x = to_dtype(xp, x, dtype) if is_float(x) else x.astype(dtype)
        return xp.cumsum(x, 0 if p.axis is None else p.axis, dtype=dtype)

    def grad(F, n, dy):
        if n.p.axis is None:
            return F._reshape_to(F._backward_np_cumsum(dy, axis=0), shape=n.in_shapes[0])
        return F._backward_np_cumsum(dy, axis=n.p.axis)


class _backward_np_cumsum(Op):
    """Sums of the elements from each to the end of `axis`."""
    inputs = "dy"
    params = dict(axis=Param(T.integer, 0, "as in cumsum"))
    cpu, cpu_dtypes = "cumsum.cumsum", COUNTED[:-1]
    launch = _launch(1)
    samples = (S((7,)), S((2, 3, 4), axis=1), S((2, 70), axis=-1), S((0, 3)))

    def ref(xp, p, dy):
        return xp.flip(xp.cumsum(xp.flip(dy, p.axis), p.axis, dtype=dy.dtype), p.axis)

    def grad(F, n, ddy):
        return F._np_cumsum(ddy, axis=n.p.axis)
