"""The first version of Pooling, kept for old symbol files, and its gradients."""
from .dot import wide
from .pool import PARAMS, Windows, infer_windows, spread
from .record import Op, Param, S, unify
from .rules import float_dtype
from .types import text

V1_PARAMS = {k: PARAMS[k] for k in ("kernel", "pool_type", "global_pool", "pooling_convention", "stride", "pad")}
V1_PARAMS["pool_type"] = Param(text, "max", PARAMS["pool_type"].help, choices=("max", "avg", "sum"))
V1_PARAMS["pooling_convention"] = Param(text, "valid", PARAMS["pooling_convention"].help, choices=("valid", "full"))


def _zero_padded(xp, p, w, x):
    """The input with its padding of zeros; what a window reads beyond that ('full') never wins a maximum."""
    padded = w.padded(xp, x, 0)
    if p.pool_type == "max":
        for i, (d, q) in enumerate(zip(w.x, w.pad)):
            padded[(slice(None),) * (i + 2) + (slice(d + 2 * q, None),)] = -xp.inf
    return padded


class Pooling_v1(Op):
    """The first version of Pooling (2 or 3 spatial axes), kept for old symbol files.

    It differs from Pooling where there is padding: the padding is zeros that may win a maximum, an average always
    divides by the whole kernel, and every element of a tie gets the gradient.
    """
    params = V1_PARAMS
    infer_dtype = float_dtype

    def infer(p, ins, outs):
        return infer_windows(p, ins, outs, v1=True)

    def ref(xp, p, x):
        w = Windows(p, x.shape, v1=True)
        dtype, padded = x.dtype, _zero_padded(xp, p, w, wide(xp, x))
        y = None
        for at in w.taps():
            v = padded[at]
            y = v if y is None else xp.maximum(y, v) if p.pool_type == "max" else y + v
        if y is None:
            y = xp.zeros(w.shape(x.shape), dtype)
        if p.pool_type == "avg":
            n = 1
            for k in w.kernel:
                n *= k
            y = y / xp.asarray(max(n, 1), y.dtype)
        return y.astype(dtype)

    def grad(F, n, dy):
        return F._backward_Pooling_v1(dy, n.inputs[0], n.outputs[0], **{k: getattr(n.p, k) for k in V1_PARAMS})

    samples = (S((2, 3, 7, 8), kernel=(3, 3), stride=(2, 2), pad=(1, 1)),
               S((2, 3, 7, 8), kernel=(3, 2), stride=(2, 2), pad=(1, 1), pool_type="avg", pooling_convention="full"),
               S((2, 3, 5, 6), global_pool=True, pool_type="avg"),
               S((2, 3, 4, 4, 4), kernel=(2, 2, 2), pool_type="sum"))


class _backward_Pooling_v1(Op):
    """Gradient of Pooling_v1 from dy, data and output; elements equal to a maximum all get it."""
    inputs = "dy data output"
    params = V1_PARAMS

    def infer(p, ins, outs):
        x = unify(ins[1], outs[0])
        if x is None:
            return ins, outs
        y = unify(Windows(p, x, v1=True).shape(x), unify(ins[0], ins[2]))
        return [y, x, y], [x]

    def ref(xp, p, dy, x, y):
        w = Windows(p, x.shape, v1=True)
        dtype, dy, padded, taps = dy.dtype, wide(xp, dy), _zero_padded(xp, p, w, x), w.taps()
        if p.pool_type == "max":
            return spread(xp, w, lambda i: xp.where(padded[taps[i]] == y, dy, 0), dy.dtype).astype(dtype)
        if p.pool_type == "avg":
            dy = dy / xp.asarray(len(taps), dy.dtype)
        return spread(xp, w, lambda i: dy, dy.dtype).astype(dtype)

    def grad(F, n, ddx):
        given = {k: getattr(n.p, k) for k in V1_PARAMS}
        if n.p.pool_type == "max":
            return F._pool_pick_v1(ddx, *n.inputs[1:], **given), None, None
        return F.Pooling_v1(ddx, **given), None, None

    samples = (S((2, 3, 4, 4), (2, 3, 7, 8), (2, 3, 4, 4), kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="avg"),
               S((2, 3, 6, 6), (2, 3, 7, 7), (2, 3, 6, 6), kernel=(2, 2), pool_type="sum"))


class _pool_pick_v1(Op):
    """Sums of the elements of `values` at the places where `data` equals the maximum of its window (`output`): the
    gradient of Pooling_v1's gradient with respect to dy. `values` has the shape of data."""
    inputs = "values data output"
    params = V1_PARAMS

    def infer(p, ins, outs):
        x = unify(*ins[:2])
        if x is None:
            return ins, outs
        y = unify(Windows(p, x, v1=True).shape(x), unify(ins[2], outs[0]))
        return [x, x, y], [y]

    def ref(xp, p, values, x, y):
        w = Windows(p, x.shape, v1=True)
        padded, values = _zero_padded(xp, p, w, x), w.padded(xp, wide(xp, values), 0)
        total = xp.zeros(y.shape, values.dtype)
        for at in w.taps():
            total += xp.where(padded[at] == y, values[at], 0)
        return total.astype(y.dtype)

    def grad(F, n, dy):
        return F._backward_Pooling_v1(dy, *n.inputs[1:], **{k: getattr(n.p, k) for k in V1_PARAMS}), None, None

    samples = (S((2, 3, 7, 8), (2, 3, 7, 8), (2, 3, 3, 3), kernel=(3, 3), stride=(2, 2)),)
