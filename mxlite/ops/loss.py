"""Layers that end a network with a declared gradient: the regression outputs and MakeLoss. They ignore whatever
gradient arrives from above."""
from .record import Op, Param, S, show, unify
from .rules import float_dtype, size
from .types import boolean, real, text


def _label(data, label):
    """The label's shape: the data's, (n,) for data (n, 1), or given with as many elements a row."""
    if label is None:
        return data[:1] if len(data) == 2 and data[1] == 1 else data
    if len(label) == len(data):
        known = all(a is None or b is None or a == b for a, b in zip(data, label))
        if known:
            return unify(data, label)
    if None in data or None in label:
        return label
    if not data or not label or data[0] != label[0] or size(data) != size(label):
        raise ValueError(f"label of shape {show(label)} does not fit data of shape {show(data)}")
    return label


def _infer(p, ins, outs):
    data = unify(ins[0], outs[0])
    if data is None:
        return ins, outs
    return [data, _label(data, ins[1])], [data]


def _launch(p, ins, outs):
    label = ins[1]
    return {"factor": p.grad_scale / (size(label[1:]) or 1)}


def _sigmoid(xp, x):
    e = xp.exp(-xp.abs(x))
    return (xp.where(x >= 0, 1 + 0 * e, e) / (1 + e)).astype(x.dtype)


FORWARD = {"linear": lambda xp, x: x.copy(), "logistic": _sigmoid, "mae": lambda xp, x: x.copy()}
BACKWARD = {"linear": lambda xp, d: d, "logistic": lambda xp, d: d,
            "mae": lambda xp, d: xp.where(d > 0, d.dtype.type(1), d.dtype.type(-1))}


def regression(title, kind, doc):
    """Makes the record ``<title>RegressionOutput`` and that of its backward."""
    params = {"grad_scale": Param(real, 1.0, "multiplies the gradient")}
    back = f"_backward_{kind}_reg_out"

    def grad(F, n, dy):
        return getattr(F, back)(n.outputs[0], n.inputs[1], grad_scale=n.p.grad_scale), None

    def backward(xp, p, y, label):
        factor = xp.asarray(p.grad_scale / (size(label.shape[1:]) or 1), dtype=y.dtype)
        return BACKWARD[kind](xp, y - label.reshape(y.shape)) * factor
    type(title + "RegressionOutput", (Op,), {
        "__doc__": doc + " The gradient is multiplied by `grad_scale` and divided by the number of labels in a row. "
                         "label has the data's shape, or as many elements a row; (n,) is taken for data (n, 1).",
        "inputs": "data label", "params": params, "infer": _infer, "infer_dtype": float_dtype, "loss": True,
        "inplace": {0: 0}, "cpu": "loss.sigmoid" if kind == "logistic" else "loss.copy",
        "ref": lambda xp, p, data, label: FORWARD[kind](xp, data), "grad": grad,
        "samples": (S((3, 4)), S((5, 1)), S((2, 3, 2), (2, 6)), S((0, 3)), S((4, 37), low=-20.0, high=20.0))})
    type(back, (Op,), {
        "__doc__": f"The gradient that :class:`{title}RegressionOutput` declares for its data.",
        "inputs": "y label", "outputs": "ddata", "params": params, "infer": _infer, "infer_dtype": float_dtype,
        "loss": True, "inplace": {0: 0}, "launch": _launch, "ref": backward,
        "cpu": "loss.sign_difference" if kind == "mae" else "loss.difference",
        "samples": (S((3, 4), grad_scale=3.0), S((5, 1)), S((2, 3, 2), (2, 6), grad_scale=0.5), S((0, 3)))})


regression("Linear", "linear", "Passes the data on; the gradient is that of half the squared error, "
                               "``data - label``.")
regression("Logistic", "logistic", "The data's sigmoid; the gradient is that of the cross entropy, "
                                   "``sigmoid(data) - label``.")
regression("MAE", "mae", "Passes the data on; the gradient is that of the absolute error: 1 where data is above label, "
                          "else -1, ties and NaN included, as in MXNet.")


class MakeLoss(Op):
    """Passes the data on, as a loss: its gradient is `grad_scale`, divided by the batch size (`normalization`
    ``batch``; MXNet counts every axis but the last) or by the number of elements above `valid_thresh` (``valid``, at
    least 1), whatever arrives from above."""

    params = {
        "grad_scale": Param(real, 1.0, "the gradient"),
        "valid_thresh": Param(real, 0.0, "elements above this count as valid"),
        "normalization": Param(text, "null", "divide by the batch size, by the number of valid elements, or not",
                               ("batch", "null", "valid")),
    }
    infer_dtype = float_dtype
    cpu = "loss.copy"
    inplace = {0: 0}
    loss = True
    samples = (S((3, 4)), S((5,), normalization="batch"))
    ref = lambda xp, p, data: data.copy()

    def grad(F, n, dy):
        return F._backward_MakeLoss(n.inputs[0], **{k: getattr(n.p, k) for k in n.p.__slots__})


class _backward_MakeLoss(Op):
    """The constant gradient that :class:`MakeLoss` declares, of the data's shape."""

    params = MakeLoss.params
    outputs = "ddata"
    infer_dtype = float_dtype
    cpu = "loss.make_loss_backward"
    inplace = {0: 0}
    loss = True
    samples = (S((3, 4), grad_scale=3.0), S((5, 7), normalization="batch"), S((3, 41), normalization="valid"),
               S((3, 4), normalization="valid", valid_thresh=9.0), S((0, 4), normalization="batch"))

    def launch(p, ins, outs):
        return {"grad_scale": p.grad_scale / (max(size(ins[0][:-1]), 1) if p.normalization == "batch" else 1),
                "valid_thresh": p.valid_thresh, "valid": p.normalization == "valid"}

    def ref(xp, p, data):
        scale = p.grad_scale
        if p.normalization == "batch":
            scale = scale / max(size(data.shape[:-1]), 1)
        elif p.normalization == "valid":
            scale = scale / xp.maximum((data > p.valid_thresh).sum(), 1)
        return xp.zeros_like(data) + xp.asarray(scale, dtype=data.dtype)


def _svm_infer(p, ins, outs):
    data = unify(ins[0], outs[0])
    return ([data, ins[1]], [data]) if data is None else ([data, unify(ins[1], data[:-1])], [data])


class SVMOutput(Op):
    """Passes the scores on; the gradient is that of the hinge loss, squared unless `use_linear`: each score but the
    label's must stay below ``-margin``, the label's above ``margin``. Classes lie along the last axis, label has the
    data's shape without it."""

    inputs = "data label"
    params = {
        "margin": Param(real, 1.0, "how far scores must stay from zero"),
        "regularization_coefficient": Param(real, 1.0, "multiplies the gradient"),
        "use_linear": Param(boolean, False, "the hinge loss itself, not its square"),
    }
    infer, infer_dtype = _svm_infer, float_dtype
    cpu = "loss.copy"
    inplace = {0: 0}
    loss = True
    samples = (S((5, 4), index={1: 4}), S((0, 3)))
    ref = lambda xp, p, data, label: data.copy()

    def grad(F, n, dy):
        return F._backward_SVMOutput(n.outputs[0], n.inputs[1], **{k: getattr(n.p, k) for k in n.p.__slots__}), None


class _backward_SVMOutput(Op):
    """The gradient that :class:`SVMOutput` declares for its data."""

    inputs = "y label"
    outputs = "ddata"
    params = SVMOutput.params
    infer, infer_dtype = _svm_infer, float_dtype
    loss = True
    samples = (S((5, 4), index={1: 4}), S((2, 3, 4), index={1: 4}, use_linear=True, margin=0.25), S((0, 3)))

    def ref(xp, p, y, label):
        hot = xp.arange(y.shape[-1]) == label.astype("int64")[..., None]
        sign = xp.where(hot, -xp.ones((), dtype=y.dtype), xp.ones((), dtype=y.dtype))
        slack = xp.asarray(p.margin, dtype=y.dtype) + sign * y
        g = sign if p.use_linear else 2 * sign * slack
        return xp.where(slack > 0, g * xp.asarray(p.regularization_coefficient, dtype=y.dtype), 0 * y)
