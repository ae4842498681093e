"""What Module runs while mixed precision is on: executors of the converted symbol, and gradients that are scaled."""
from ... import ndarray as nd
from ..._core.dtypes import name_of
from ..._core.graph import Node, topological
from ...base import MXNetError
from ...module.executor_group import DataParallelExecutorGroup
from ...ops.record import REGISTRY
from ...symbol import Symbol
from .convert import Conversion
from .lists import TARGETS
from .loss_scaler import LossScaler, all_finite

SCALE = "amp_loss_scale"        # the variable that the executors read the scale from


def training_symbol(symbol, rules, scaled):
    """`symbol` in mixed precision, for parameters that stay float32; with `scaled` its gradients are multiplied by the
    variable `SCALE`, where they begin: at the outputs, and behind the operators that make gradients of their own."""
    entries = Conversion(symbol._entries, rules, set(symbol.list_inputs())).entries
    if not scaled:
        return Symbol(entries)
    scale = Node(None, SCALE, {}), 0
    op = REGISTRY["_scale_gradient"]

    def through(entry, name, where, **attrs):
        return Node(op, f"{name}_{SCALE}", attrs, op.parse(attrs), [entry, scale], where), 0
    behind = {}         # an operator that adds to a gradient adds to one that is not scaled yet
    for node in topological(entries):
        if node.op is None:
            continue
        node.inputs = [behind.get(e, e) for e in node.inputs]
        if node.op.loss:
            node.inputs[0] = through(node.inputs[0], node.name, node.where)
            if node.op.name == "IdentityAttachKLSparseReg":
                behind[node, 0] = through((node, 0), f"{node.name}_out", node.where, inverse="True")
    heads = []
    for i, (node, k) in enumerate(behind.get(e, e) for e in entries):
        makes_its_own = node.op is not None and node.op.loss and node.op is not op
        heads.append((node, k) if makes_its_own else through((node, k), f"{node.name}_head{i}", node.where))
    return Symbol(heads)


class Scaling:
    """The scale of gradients, on all devices, for groups that share memory."""

    def __init__(self):
        self.scaler = LossScaler()
        self.used = self.scaler.loss_scale      # what the gradients in memory were multiplied by
        self.unscaled = False                   # whether they have been divided by it again
        self.arrays = {}                        # context -> array of one number, the scale

    def array(self, context):
        """What an executor on `context` reads."""
        if context not in self.arrays:
            self.arrays[context] = nd.array([self.used], ctx=context)
        return self.arrays[context]

    def begin(self):
        """Before a forward pass: the scale that the scaler has reached is that of the backward pass behind it."""
        if self.scaler.loss_scale != self.used:
            self.used = self.scaler.loss_scale
            for array in self.arrays.values():
                array[:] = self.used


class MixedExecutorGroup(DataParallelExecutorGroup):
    """A DataParallelExecutorGroup whose executors run the converted symbol. Everything else (names, shapes, dtypes,
    parameters, gradients) is the float32 symbol's.

    In float16 gradients are scaled between backward and update, which takes the scale out again, or leaves everything
    as it is where a gradient overflowed.
    """

    rules = None

    @classmethod
    def of(cls, rules):
        """The class of groups that convert by these rules."""
        return type(cls.__name__, (cls,), {"__doc__": cls.__doc__, "rules": rules})

    def __init__(self, symbol, contexts, *args, **kwargs):
        super().__init__(symbol, contexts, *args, **kwargs)
        self.scaling = None
        if self.rules.target == "float16" and self.for_training:
            if SCALE in self.arg_names:
                raise MXNetError(f"the network has an input {SCALE!r}, which is what mixed precision calls the scale "
                                 "of its gradients: give it another name")
            self.scaling = (self._shared and self._shared.scaling) or Scaling()
        self.bound_symbol = training_symbol(symbol, self.rules, self.scaling is not None)

    def _bind_one(self, k, shapes, dtypes, shared_exec):
        # Inputs in half precision would make all parameters half: they are bound in float32, and loading converts.
        dtypes = {name: "float32" if name_of(dtype) in TARGETS else dtype for name, dtype in dtypes.items()}
        return super()._bind_one(k, shapes, dtypes, shared_exec)

    def _make_executor(self, context, args, grads, aux, group2ctx, shared_exec):
        if SCALE in self.bound_symbol.list_arguments():
            args = {**args, SCALE: self.scaling.array(context)}
        return self.bound_symbol.bind(context, args, args_grad=grads, grad_req=self.grad_req, aux_states=aux,
                                      group2ctx=group2ctx, shared_exec=shared_exec)

    def forward(self, is_train=None):
        """See DataParallelExecutorGroup."""
        if self.scaling:        # not as late as in backward: on several contexts forward copies the scale
            self.scaling.begin()
        super().forward(is_train)

    def backward(self, out_grads=None):
        """See DataParallelExecutorGroup; the gradients are multiplied by the scale."""
        if self.scaling and self.scaling.unscaled:
            raise MXNetError("the gradients have been unscaled: call update() before the next backward()")
        super().backward(out_grads)

    def gradients(self):
        """The parameters' gradients on all devices."""
        return [grad for grads in self.grad_arrays for grad in grads if grad is not None]

    def unscale(self):
        """Divide the parameters' gradients by the scale, once until the next update."""
        if self.scaling and not self.scaling.unscaled:
            for grad in self.gradients():
                grad /= self.scaling.used
            self.scaling.unscaled = True

    def update(self, updater, *args, **kwargs):
        """See DataParallelExecutorGroup; where a gradient overflowed nothing is updated but the scale."""
        scaling = self.scaling
        if not scaling:
            super().update(updater, *args, **kwargs)
            return
        scale, scaling.unscaled = 1.0 if scaling.unscaled else scaling.used, False
        if not scaling.scaler.step(all_finite(self.gradients())):
            return
        optimizer = updater.optimizer
        rescale = optimizer.rescale_grad
        optimizer.rescale_grad = rescale / scale
        try:
            super().update(updater, *args, **kwargs)
        finally:
            optimizer.rescale_grad = rescale

    def train_step(self, updater, index_of):
        """See DataParallelExecutorGroup; not as one run where an overflow may keep the update from happening."""
        return not self.scaling and super().train_step(updater, index_of)

    def get_input_grads(self, merge_multi_context=True):
        """See DataParallelExecutorGroup; these are not scaled."""
        grads = super().get_input_grads(merge_multi_context)
        if not self.scaling:
            return grads
        scale = self.scaling.used
        return [grad / scale if isinstance(grad, nd.NDArray) else [one / scale for one in grad] for grad in grads]
