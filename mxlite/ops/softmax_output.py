"""Classification layers that end a network: SoftmaxOutput, whose gradient is declared, and softmax_cross_entropy."""
from .record import Op, Param, S, show, unify
from .rules import size
from .softmax import FLOATS, _softmax
from .types import boolean, real, text

PARAMS = {
    "grad_scale": Param(real, 1.0, "multiplies the gradient"),
    "ignore_label": Param(real, -1.0, "rows of this label get no gradient where `use_ignore` is set"),
    "multi_output": Param(boolean, False, "softmax along axis 1, one label for every other position"),
    "use_ignore": Param(boolean, False, "heed `ignore_label`"),
    "preserve_shape": Param(boolean, False, "softmax along the last axis"),
    "normalization": Param(text, "null", "divide the gradient by the batch size (with `preserve_shape` the number of "
                                         "labels), by the number of valid labels, or not", ("batch", "null", "valid")),
    "out_grad": Param(boolean, False, "multiply the gradient by that of the output"),
    "smooth_alpha": Param(real, 0.0, "label smoothing: this much of the label's weight goes to the other classes"),
}


def as_rows(p, shape):
    """Data shape as (outer, k, inner): classes along the middle. Without `multi_output` and `preserve_shape` all axes
    but the first are one row."""
    if p.multi_output:
        return shape[0], shape[1], size(shape[2:])
    if p.preserve_shape:
        return size(shape[:-1]), shape[-1], 1
    return shape[0], size(shape[1:]), 1


def label_shape(p, data, label):
    """The label's shape: the data's own (labels are then probabilities), or one class index a row."""
    if p.multi_output:
        if len(data) < 2:
            raise ValueError(f"multi_output needs at least two axes, data has shape {show(data)}")
        rest = None if None in data[2:] else size(data[2:])
        if label is None:
            return (data[0],) if len(data) == 2 else (data[0], rest)
        wanted = [(data[0],) + data[2:], (data[0], 1) + data[2:], (data[0], rest), data]
    else:
        if label is None:
            return data[:-1] if len(data) > 1 else data
        wanted = [data[:-1] if len(data) > 1 else data, data]
    for shape in wanted:
        if len(shape) == len(label) and all(a is None or b is None or a == b for a, b in zip(shape, label)):
            return unify(shape, label)
    raise ValueError(f"label of shape {show(label)} does not fit data of shape {show(data)}: it may be "
                     + " or ".join(dict.fromkeys(map(show, wanted))))


def _infer(p, ins, outs):
    data = unify(ins[0], outs[0])
    if data is None:
        return ins, outs
    if len(data) < 1:
        raise ValueError("data must have at least one axis")
    label = ins[1] if len(ins) > 1 else None
    return [data, label_shape(p, data, label)], [data]


class SoftmaxOutput(Op):
    """Softmax, ended by the gradient of the cross entropy with `label`: ``softmax(data) - one_hot(label)``, whatever
    gradient arrives from above (unless `out_grad`).

    Classes lie along all axes but the first together; along the last with `preserve_shape`; along axis 1 with
    `multi_output`, whose gradient is divided by the number of positions unless `normalization` is ``valid``. A label
    of the data's shape holds probabilities, and then only `grad_scale` applies. ``valid`` counts the labels that
    differ from `ignore_label`, with or without `use_ignore`; `smooth_alpha` has no effect with `multi_output`; both as
    in MXNet. A label that is no class leaves its row without a target. MXNet's `out_grad` multiplies by the output by
    mistake; here it multiplies by the output's gradient."""

    inputs = "data label"
    params = PARAMS
    aliases = "Softmax"
    infer = _infer
    cpu = "softmax.softmax_output"
    inplace = {0: 0}
    loss = True
    samples = (S((5, 4), index={1: 4}), S((2, 3, 4), multi_output=True, index={1: 3}),
               S((2, 3, 4), preserve_shape=True, index={1: 4}), S((4, 40), (4, 40)), S((3, 2, 5), index={1: 10}),
               S((2, 3, 2, 2), (2, 2, 2), multi_output=True, index={1: 3}), S((0, 3)))

    def infer_dtype(p, ins, outs):
        d = ins[0] or outs[0]
        if d is None:
            return ins, outs
        if d not in FLOATS:
            raise ValueError(f"data must be of a floating type, not {d}")
        if ins[1] not in (None, d):
            raise ValueError(f"label must have the data's dtype {d}, not {ins[1]}")
        return [d, d], [d]

    def launch(p, ins, outs):
        outer, k, inner = as_rows(p, ins[0])
        return {"outer": outer, "k": k, "inner": inner, "scale": 1.0}

    def ref(xp, p, data, label):
        x = data.astype("float32") if data.dtype.name == "float16" else data
        return _softmax(xp, x.reshape(as_rows(p, x.shape)), 1).reshape(data.shape).astype(data.dtype)

    def grad(F, n, dy):
        values = {k: getattr(n.p, k) for k in n.p.__slots__}
        if n.p.out_grad and dy is not None:
            return F._backward_SoftmaxOutput(n.outputs[0], n.inputs[1], dy, **values), None
        values["out_grad"] = False
        return F._backward_SoftmaxOutput(n.outputs[0], n.inputs[1], **values), None


class _backward_SoftmaxOutput(Op):
    """The gradient that :class:`SoftmaxOutput` declares for its data, from its output and the label."""

    inputs = lambda p: "y label dy" if p.out_grad else "y label"
    params = PARAMS
    outputs = "ddata"
    cpu = "softmax.softmax_output_backward"
    inplace = lambda p: {0: (0, 2)} if p.out_grad else {0: 0}
    loss = True
    samples = tuple(
        S(*shapes, grad_scale=3.0, ignore_label=1.0, index=None if shapes[0] == shapes[1] else {1: k + 1}, **kw)
        for shapes, k, kw in (
            (((5, 4), (5,)), 4, {}), (((5, 4), (5,)), 4, {"use_ignore": True, "normalization": "valid"}),
            (((2, 3, 4), (2, 4)), 3, {"multi_output": True, "use_ignore": True}),
            (((2, 3, 4), (2, 4)), 3, {"multi_output": True, "normalization": "batch"}),
            (((2, 3, 4), (2, 3)), 4, {"preserve_shape": True, "normalization": "batch", "smooth_alpha": 0.1}),
            (((4, 40), (4,)), 40, {"normalization": "valid", "smooth_alpha": 0.2}),
            (((4, 40), (4, 40)), 1, {"normalization": "batch"}), (((3, 2, 5), (3, 2)), 10, {}),
            (((4, 6), (4,), (4, 6)), 6, {"out_grad": True}),
            (((2, 3, 70), (2, 70), (2, 3, 70)), 3, {"out_grad": True, "multi_output": True, "use_ignore": True}),
            (((4, 6), (4, 6), (4, 6)), 1, {"out_grad": True}), (((0, 3), (0,)), 3, {"normalization": "valid"})))

    def infer(p, ins, outs):
        data = unify(unify(ins[0], outs[0]), ins[2] if p.out_grad else None)
        if data is None:
            return ins, outs
        return [data, label_shape(p, data, ins[1])] + [data] * p.out_grad, [data]

    def launch(p, ins, outs):
        outer, k, inner = as_rows(p, ins[0])
        probability = len(ins[0]) == len(ins[1]) and tuple(ins[0]) == tuple(ins[1])
        return {"outer": outer, "k": k, "inner": inner, "grad_scale": p.grad_scale, "ignore_label": p.ignore_label,
                "smooth_alpha": 0.0 if p.multi_output else p.smooth_alpha, "use_ignore": p.use_ignore,
                "valid": p.normalization == "valid", "batch": ins[1][0] if p.multi_output else size(ins[1]),
                "by_batch": p.normalization == "batch", "multi_output": p.multi_output, "probability": probability,
                "out_grad": p.out_grad}

    def ref(xp, p, y, label, dy=None):
        if y.shape == label.shape:
            g = (y - label) * xp.asarray(p.grad_scale, dtype=y.dtype)
            return g if dy is None else g * dy
        outer, k, inner = as_rows(p, y.shape)
        prob = y.reshape(outer, k, inner)
        wide = "float64" if y.dtype.name == "float64" else "float32"
        # A row of several label positions (neither multi_output nor preserve_shape) reads the first `outer` labels.
        index = label.reshape(-1)[:outer * inner].reshape(outer, 1, inner).astype("int64")
        hot = (xp.arange(k).reshape(1, k, 1) == index).astype(wide)
        if p.smooth_alpha and not p.multi_output:
            hot = hot * (1 - p.smooth_alpha) + (1 - hot) * (p.smooth_alpha / (k - 1) if k > 1 else 0.0)
        g = prob.astype(wide) - hot
        if p.use_ignore:
            g = xp.where(index == int(p.ignore_label), 0 * g, g)
        scale = p.grad_scale
        if p.normalization == "valid":
            count = (label.astype("int64") != int(p.ignore_label)).sum()
            scale = scale / xp.maximum(count, 1)
        else:
            scale = scale / (max(inner, 1) if p.multi_output else 1)
            if p.normalization == "batch":
                scale = scale / max(label.shape[0] if p.multi_output else label.size, 1)
        g = (g * xp.asarray(scale, dtype=wide)).reshape(y.shape).astype(y.dtype)
        return g if dy is None else g * dy


def _one_label_a_row(p, ins, outs):
    """Shapes of the last two inputs: data (n, k) and label (n,)."""
    data, label = ins[-2:]
    if data is not None and len(data) != 2:
        raise ValueError(f"data must have two axes, not shape {show(data)}")
    if label is not None and len(label) != 1:
        raise ValueError(f"label must have one axis, not shape {show(label)}")
    if data is not None:
        label = unify(label, data[:1])
    return [data, label]


def _same_as_data(p, ins, outs):
    d = next((i for i in (*ins, *outs) if i is not None), None)
    if d is not None and d not in FLOATS:
        raise ValueError(f"data must be of a floating type, not {d}")
    return [d] * len(ins), [d]


def _rows(p, ins, outs):
    data = ins[-2]
    return {"outer": data[0], "k": data[1], "inner": 1, "scale": 1.0}


class softmax_cross_entropy(Op):
    """Sum over rows of ``-log(softmax(data)[label])``, shape (1,); a probability below 1e-8 counts as 1e-8. data is
    (n, k), label (n,) holds class indices; a row whose label is no class adds nothing."""

    inputs = "data label"
    infer_dtype = _same_as_data
    cpu = "softmax.softmax_cross_entropy"
    launch = _rows
    samples = (S((5, 4), index={1: 4}), S((3, 50), index={1: 50}), S((0, 3)))

    def infer(p, ins, outs):
        return _one_label_a_row(p, ins, outs), [unify((1,), outs[0])]

    def ref(xp, p, data, label):
        n, k = data.shape
        index = label.astype("int64")
        prob = _softmax(xp, data, 1)
        here = (xp.arange(k)[None, :] == index[:, None])
        picked = xp.where(here, prob, 0 * prob).sum(axis=1)
        loss = xp.where(here.any(axis=1), -xp.log(xp.maximum(picked, 1e-8)), 0 * picked)
        return loss.sum().reshape(1).astype(data.dtype)

    def grad(F, n, dy):
        return F._backward_softmax_cross_entropy(dy, *n.inputs), None


class _backward_softmax_cross_entropy(Op):
    """Gradient of :class:`softmax_cross_entropy` for data, from that of the loss, data and label."""

    inputs = "dy data label"
    outputs = "ddata"
    infer_dtype = _same_as_data
    cpu = "softmax.softmax_cross_entropy_backward"
    launch = _rows
    inplace = {0: 1}
    samples = (S((1,), (5, 4), (5,), index={2: 4}), S((1,), (3, 50), (3,), index={2: 51}), S((1,), (0, 3), (0,)))

    def infer(p, ins, outs):
        shapes = _one_label_a_row(p, [unify(ins[1], outs[0]), ins[2]], outs)
        return [unify((1,), ins[0]), *shapes], [shapes[0]]

    def ref(xp, p, dy, data, label):
        here = xp.arange(data.shape[1])[None, :] == label.astype("int64")[:, None]
        g = (_softmax(xp, data, 1) - here) * dy
        return xp.where(here.any(axis=1)[:, None], g, 0 * g).astype(data.dtype)

    def grad(F, n, g):
        """The rows' gradients are ``dy * (softmax(data) - one_hot(label))``, zeros where the label is no class."""
        dy, data, label = n.inputs
        shape = n.in_shapes[1]
        known = F.elemwise_mul(F._greater_scalar(label, scalar=-1.0), F._lesser_scalar(label, scalar=float(shape[1])))
        g = F.elemwise_mul(g, F._spread(known, shape=shape, axes=(1,)))
        unit = F._backward_softmax_cross_entropy(F.ones_like(dy), data, label)
        by_data = F._backward_softmax(g, F.softmax(data))
        return (F.sum(F.elemwise_mul(g, unit)),
                F.elemwise_mul(by_data, F._spread(dy, shape=shape, axes=(0, 1))), None)
