"""BatchNorm with what comes behind it, forward and backward: ``y = act(bn(x) + residual)``. See ``ops/fused.py``."""
from . import norm
from .fused import ACTS, activate
from .record import RECORDS, Op, Param
from .types import boolean, integer, real

LAST = len(ACTS) - 1


class FusedBatchNorm(Op, registered=False):
    """BatchNorm, then an addition, then an activation. Outputs as BatchNorm's."""

    def inputs(p):
        return "data gamma beta" + (" residual" if p.residual else "")

    aux, outputs, visible = "moving_mean moving_var", "output mean var", 1
    params = {**norm.PARAMS, "act": Param(integer, 0, "number of the activation", low=0, high=LAST),
              "lo": Param(real, 0.0, "least value that `clip` leaves"),
              "hi": Param(real, 0.0, "largest value that `clip` leaves"),
              "residual": Param(boolean, False, "the last input is added before the activation")}
    cpu, train_aware, moves_late = norm.BatchNorm.cpu, True, True

    def inplace(p):
        return {0: (0, 3) if p.residual else (0,)}

    def launch(p, ins, outs):
        return norm._launch(p, ins, outs, act=p.act, lo=p.lo, hi=p.hi, residual=int(p.residual))

    def ref(xp, p, data, gamma, beta, *rest, is_train):
        y, mean, inv_std = norm.BatchNorm.ref(xp, p, data, gamma, beta, *rest[-2:], is_train=is_train)
        return activate(xp, p, y + rest[0] if p.residual else y), mean, inv_std


class FusedBatchNormBackward(Op, registered=False):
    """The gradient of BatchNorm where relu came behind it: `dy` counts where the forward's result `y` is positive. The
    last output is that part of `dy`, for whom else it concerns (what was added before relu)."""

    inputs, aux = "dy data gamma mean inv_std y", "moving_mean moving_var"
    outputs, visible = "ddata dgamma dbeta dmasked", 3
    params = norm.PARAMS
    cpu, train_aware = "norm.batch_norm_backward", True
    inplace = {0: (0, 1, 5), 3: (0, 1, 5)}

    def launch(p, ins, outs):
        return norm._launch(p, ins, outs, masked=1)

    def ref(xp, p, dy, data, gamma, mean, inv_std, y, moving_mean, moving_var, is_train):
        masked = RECORDS["_backward_relu"].ref(xp, None, dy, y)
        return *norm._backward_BatchNorm.ref(xp, p, masked, data, gamma, mean, inv_std, moving_mean, moving_var,
                                             is_train=is_train), masked
