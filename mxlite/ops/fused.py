"""What several nodes of a bound graph become when they run as one kernel. No user calls these: the passes of
``_core/fuse.py`` make them, after differentiation, so they have no gradient.

A product (convolution, dense layer) takes an *epilogue*: ``y = act(product + bias + residual)``, with `act` one of
``none``, ``relu`` and ``clip`` (to [lo, hi]). Its weight may be *prepared*: packed or transformed by another node, once
for as long as the parameter stays as it is.
"""
from . import conv, dot, winograd
from .norm import stat_dtype
from .record import RECORDS, Op, Param
from .types import boolean, integer, real, shape, text

ACTS = ("none", "relu", "clip")
EPILOGUE = dict(
    act=Param(integer, 0, "number of the activation in ACTS", low=0, high=2),
    lo=Param(real, 0.0, "least value that `clip` leaves"), hi=Param(real, 0.0, "largest value that `clip` leaves"),
    residual=Param(boolean, False, "the last input is added before the activation"),
    prepared=Param(integer, 0, "0: the weight as it is; 1: packed; 2: in Winograd's domain", low=0, high=2),
    weight=Param(shape, help="shape of the weight as it is"))


def activate(xp, p, y):
    """The activation of an epilogue; NaN stays NaN."""
    if p.act == 1:
        return RECORDS["relu"].ref(xp, p, y)
    if p.act == 2:
        return xp.clip(y, y.dtype.type(p.lo), y.dtype.type(p.hi))
    return y


def _inputs(p):
    return "data weight" + ("" if p.no_bias else " bias") + (" residual" if p.residual else "")


def _ref(base):
    def ref(xp, p, x, w, *rest):
        if p.prepared:
            raise ValueError(f"{base.name}: a prepared weight has no reference")
        n = 0 if p.no_bias else 1
        y = base.ref(xp, p, x, w, *rest[:n])
        return activate(xp, p, y + rest[n] if p.residual else y)
    return ref


def _epilogue(p):
    return {"act": p.act, "lo": p.lo, "hi": p.hi, "bias": int(not p.no_bias), "residual": int(p.residual),
            "prepared": p.prepared}


def _plain(p, ins):
    """The shapes of data, weight and bias, with the weight as it is."""
    return [ins[0], p.weight, *ins[2:2 + (not p.no_bias)]]


def _residual_in_place(p):
    """The result may lie where the residual was: each element of it is read before it is written."""
    return {0: 3 - p.no_bias} if p.residual else {}


class FusedConvolution(Op, registered=False):
    """Convolution, then an addition, then an activation."""

    inputs, params = _inputs, {**conv.PARAMS, **EPILOGUE}
    ref = _ref(conv.Convolution)
    inplace = _residual_in_place

    def cpu(p):
        return conv.Convolution.cpu(p)

    gpu = conv.Convolution.gpu

    def launch(p, ins, outs):
        plain = _plain(p, ins)
        return conv.launch((0, 1, len(plain)))(p, plain, outs, **_epilogue(p))

    def workspace(p, ins, outs, itemsize, threads):
        return conv.forward_workspace(p, _plain(p, ins), outs, itemsize, threads)


class FusedConvolutionDgrad(Op, registered=False):
    """The gradient of a convolution with respect to its data, added to another gradient."""

    inputs, params = "dy weight residual", conv._conv_dgrad.params
    cpu, gpu, inplace = conv._conv_dgrad.cpu, conv._conv_dgrad.gpu, {0: 2}

    def launch(p, ins, outs):
        return conv.launch((2, 1, 0))(p, ins[:2], outs, residual=1)

    def workspace(p, ins, outs, itemsize, threads):
        return conv.dgrad_workspace(p, *ins[:2], p.shape, itemsize, threads)

    def ref(xp, p, dy, w, residual):
        return conv._conv_dgrad.ref(xp, p, dy, w) + residual


class FusedFullyConnected(Op, registered=False):
    """A dense layer, then an addition, then an activation."""

    inputs, params = _inputs, {**dot.FullyConnected.params, **EPILOGUE}
    ref = _ref(dot.FullyConnected)
    inplace = _residual_in_place
    cpu = dot.FullyConnected.cpu

    def launch(p, ins, outs):
        return {**dot.FullyConnected.launch(p, _plain(p, ins), outs), **_epilogue(p)}

    def workspace(p, ins, outs, itemsize, threads):
        return dot.FullyConnected.workspace(p, _plain(p, ins), outs, itemsize, threads)


class FusedGemm(Op, registered=False):
    """The matrix product of two tensors seen as matrices (`_gemm`) with a prepared second factor."""

    inputs = "lhs rhs"
    params = {**dot._gemm.params, **EPILOGUE}
    cpu = dot._gemm.cpu

    def ref(xp, p, a, b):
        raise ValueError("a prepared weight has no reference")

    def launch(p, ins, outs):
        return {**dot._gemm.launch(p, ins, outs), "prepared": p.prepared}

    workspace = dot._gemm.workspace


PRODUCTS = {"Convolution": FusedConvolution, "FullyConnected": FusedFullyConnected}


def _fold_inputs(p):
    return "weight" + ("" if p.no_bias else " bias") + " gamma beta moving_mean moving_var"


class FoldBatchNorm(Op, registered=False):
    """Weight and bias of a product that does what the product and a BatchNorm behind it did at inference: each output
    channel (the weight's first axis) scaled by ``gamma / sqrt(var + eps)`` and shifted. Computed in float64."""

    inputs, outputs = _fold_inputs, "folded_weight folded_bias"
    params = dict(eps=Param(real, 1e-3, "added to the variance"),
                  fix_gamma=Param(boolean, True, "gamma counts as 1"),
                  no_bias=Param(boolean, False, "the product has no bias"))

    def ref(xp, p, weight, *rest):
        bias = None if p.no_bias else rest[0].astype("float64")
        gamma, beta, mean, var = (a.astype("float64") for a in rest[-4:])
        scale = 1 / xp.sqrt(var + p.eps)
        if not p.fix_gamma:
            scale = scale * gamma
        shift = beta - mean * scale
        if bias is not None:
            shift = shift + bias * scale
        return (weight * scale.astype(stat_dtype(weight.dtype.name)).reshape(-1, *(1,) * (weight.ndim - 1)),
                shift)


class PrepareWeight(Op, registered=False):
    """A weight in the order in which the kernel of a product reads it: packed, or in Winograd's domain. `args` are the
    arguments of the product's kernel, `length` the elements of the result (levels may need fewer)."""

    inputs, outputs = "weight", "prepared"
    params = dict(kernel=Param(text, help="which kernel prepares"),
                  length=Param(integer, help="elements of the result"), args=Param(tuple, help="names and values"))

    def cpu(p):
        return p.kernel

    def launch(p, ins, outs):
        return dict(p.args)

    def ref(xp, p, weight):
        raise ValueError("preparing a weight has no reference")


PLAIN = {"act": 0, "bias": 0, "residual": 0, "prepared": 0}


def preparation(record, p, ins, outs, dtype):
    """How the weight of a product is best prepared: (what `prepared` then says, parameters of :class:`PrepareWeight`);
    None where the plain weight is as good. `ins` has the plain weight's shape; `dtype` is float32 or float64."""
    if record in (conv.Convolution, FusedConvolution):
        args = {**conv.launch((0, 1, 2))(p, ins[:2], outs), **PLAIN}
        geometry = conv.Geometry(p)
        if dtype == "float32" and winograd.prepares(geometry, p.num_group, ins[0], ins[1], outs[0]):
            return 2, ("conv.winograd_weight", winograd.weight_floats(*ins[1][:2]), {**args, "winograd": 1})
        if dtype == "float32" and args["winograd"]:
            return None
        length = conv.packed_weight_floats(p, ins[1])
        return (1, ("conv.pack_weight", length, {**args, "winograd": 0})) if length else None
    base = dot._gemm if record in (dot._gemm, FusedGemm) else dot.FullyConnected
    args = {**base.launch(p, ins, outs), **PLAIN}
    if min(args["m"], args["n"]) <= dot.THIN or args["k"] == 0:
        return None
    return 1, ("gemm.pack_weight", dot.packed_size(args["n"], args["k"]), args)
