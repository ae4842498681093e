"""Training in mixed precision: what turns it on, and what looks at the scale of its gradients."""
from ...base import MXNetError
from ...module import executor_group
from ...module.base_module import BaseModule
from ...optimizer import Optimizer
from .convert import Rules
from .executor_group import MixedExecutorGroup
from .loss_scaler import LossScaler

__all__ = ["init", "disable", "init_trainer", "get_loss_scaler", "scale_loss", "unscale"]


def init(target_dtype="float16", target_precision_ops=None, conditional_fp32_ops=None, fp32_ops=None):
    """Turn mixed precision on: every Module bound from now on runs its symbol converted to `target_dtype`.

    "float16" or "bfloat16". The lists of operators stand in for MXNet's, as for `convert_symbol`. Parameters,
    gradients, checkpoints and ``module.symbol`` stay float32. In float16 gradients are scaled (see LossScaler), and a
    step whose gradients overflow updates nothing. Calling it again changes what is bound afterwards. AssertionError as
    for `convert_symbol`.
    """
    rules = Rules(target_dtype, target_precision_ops, fp32_ops, conditional_fp32_ops)
    executor_group.group_class = MixedExecutorGroup.of(rules)


def disable():
    """Turn mixed precision off, for what is bound from now on."""
    executor_group.group_class = executor_group.DataParallelExecutorGroup


def _group_of(module, what):
    """The MixedExecutorGroup of a bound Module or BucketingModule."""
    if isinstance(module, Optimizer):
        raise TypeError(f"amp.{what} takes a Module, which has the gradients, not an Optimizer")
    if not isinstance(module, BaseModule):
        raise TypeError(f"amp.{what} takes a Module, not {type(module).__name__}; there is no Gluon Trainer in mxlite")
    module = getattr(module, "_curr_module", module)
    group = getattr(module, "_exec_group", None)
    if not isinstance(group, MixedExecutorGroup):
        raise MXNetError(f"amp.{what}: the module runs in float32: call amp.init() before module.bind()")
    return group


def get_loss_scaler(module):
    """The LossScaler of a module that was bound in mixed precision; None for bfloat16, and where it does not train.

    TypeError for what is no module, MXNetError for a module that is not in mixed precision.
    """
    scaling = _group_of(module, "get_loss_scaler").scaling
    return scaling and scaling.scaler


def init_trainer(optimizer_or_trainer):
    """Begin anew with the scale of the gradients of a Module (what MXNet's Gluon Trainer needs before its first step,
    and a Module does by itself). TypeError for what is no module, MXNetError for one that is not in mixed precision."""
    scaling = _group_of(optimizer_or_trainer, "init_trainer").scaling
    if scaling:
        scaling.scaler = LossScaler()


def scale_loss(loss, optimizer_or_trainer):
    """Not there: MXNet multiplies the loss of a Gluon network by hand, a Module scales by itself. Raises MXNetError."""
    raise MXNetError("amp.scale_loss belongs to Gluon's Trainer, which is not part of mxlite: a Module that is bound "
                     "after amp.init() scales its gradients, and head gradients given to backward(), by itself")


def unscale(optimizer_or_trainer):
    """Take the scale out of a Module's gradients between backward and update, so that they can be looked at or clipped.

    `update` knows of it. TypeError for what is no module, MXNetError for one that is not in mixed precision.
    """
    _group_of(optimizer_or_trainer, "unscale").unscale()
