"""The base of all optimizers: learning rates and weight decays by parameter, update counts, the table of names."""
import warnings

import numpy as np

from .. import ndarray as nd

__all__ = ["Optimizer"]


class Optimizer:
    """Base of all optimizers.

    Gradients are multiplied by `rescale_grad` and, if `clip_gradient` is given, clipped to [-it, it]. The learning
    rate is `learning_rate`, or what `lr_scheduler` says for the highest update count of any parameter (with both, the
    scheduler starts from `learning_rate`); 0.01 without either. It and the weight decay `wd` are multiplied for each
    parameter by numbers that are looked up by index or by name (`param_idx2name` gives the names): from
    `set_lr_mult` / `set_wd_mult`, or from the ``__lr_mult__`` / ``__wd_mult__`` attributes of symbol `sym`; and weight
    decay is off for names that end in neither ``_weight`` nor ``_gamma``. With `multi_precision` float16 weights are
    kept in float32 beside.

    A subclass defines ``create_state(index, weight)`` and either ``_step(weight, grad, state, lr, wd, count)`` or, as
    scripts for MXNet do, ``update(index, weight, grad, state)``.
    """

    opt_registry = {}

    def __init__(self, rescale_grad=1.0, param_idx2name=None, wd=0.0, clip_gradient=None, learning_rate=None,
                 lr_scheduler=None, sym=None, begin_num_update=0, multi_precision=False, param_dict=None):
        if param_idx2name is not None and not isinstance(param_idx2name, dict):
            raise AssertionError("param_idx2name should be a dict of param indexes to names.")
        if lr_scheduler is None and learning_rate is None:
            learning_rate = 0.01
        if lr_scheduler is not None and learning_rate is not None and lr_scheduler.base_lr != learning_rate:
            print(UserWarning("learning rate from ``lr_scheduler`` has been overwritten by ``learning_rate`` in "
                              "optimizer."))
            lr_scheduler.base_lr = learning_rate
        self.rescale_grad = rescale_grad
        self.clip_gradient = clip_gradient
        self.lr = learning_rate
        self.lr_scheduler = lr_scheduler
        self.wd = wd
        self.multi_precision = multi_precision
        self.aggregate_num = 0              # how many parameters MXNet would update in one call: here one
        self.begin_num_update = begin_num_update
        self.num_update = begin_num_update
        # Each device counts for itself: the same parameter is updated once on every one of them.
        self._all_index_update_counts = {0: {}}
        self._index_update_count = self._all_index_update_counts[0]
        self.idx2name = dict(param_idx2name or {})
        self.param_dict = param_dict or {}
        self.sym_info = (sym.attr_dict(), sym.list_arguments()) if sym is not None else ()
        self.set_lr_mult({})
        self.set_wd_mult({})

    @staticmethod
    def register(klass):
        """Class decorator: enter `klass` under its lower-case name."""
        name = klass.__name__.lower()
        old = Optimizer.opt_registry.get(name, klass)
        if old is not klass:
            warnings.warn(f"New optimizer {klass.__module__}.{klass.__name__} is overriding existing optimizer "
                          f"{old.__module__}.{old.__name__}", stacklevel=2)
        Optimizer.opt_registry[name] = klass
        return klass

    @staticmethod
    def create_optimizer(name, **kwargs):
        """The optimizer called `name` (upper or lower case), made with `kwargs`. ValueError for an unknown name."""
        try:
            klass = Optimizer.opt_registry[name.lower()]
        except KeyError:
            known = ", ".join(sorted(Optimizer.opt_registry))
            raise ValueError(f"Cannot find optimizer {name}; known are {known}") from None
        return klass(**kwargs)

    @property
    def learning_rate(self):
        """The learning rate now, before any parameter's multiplier."""
        return self.lr if self.lr_scheduler is None else self.lr_scheduler(self.num_update)

    def set_learning_rate(self, lr):
        """Set the learning rate. Raises UserWarning where a scheduler decides it."""
        if self.lr_scheduler is not None:
            raise UserWarning("LRScheduler of the optimizer has already been defined. Note that set_learning_rate can "
                              "mutate the value of the learning rate of the optimizer only when the LRScheduler of "
                              "the optimizer is undefined.")
        self.lr = lr

    def set_lr_scale(self, args_lrscale):
        """Replaced by `set_lr_mult`."""
        raise DeprecationWarning("use set_lr_mult")

    def _multipliers(self, key):
        """name -> number from the symbol's attributes called `key`."""
        if not self.sym_info:
            return {}
        attrs, names = self.sym_info
        return {name: float(attrs[name][key]) for name in names if key in attrs.get(name, ())}

    def set_lr_mult(self, args_lr_mult):
        """Multiply learning rates: a dict index or name -> number, over what the symbol's attributes say."""
        self.lr_mult = {**self._multipliers("__lr_mult__"), **args_lr_mult}

    def set_wd_mult(self, args_wd_mult):
        """Multiply weight decays: a dict index or name -> number, over what attributes and names say."""
        undecayed = {name: 0.0 for name in self.idx2name.values() if not name.endswith(("_weight", "_gamma"))}
        self.wd_mult = {**undecayed, **self._multipliers("__wd_mult__"), **args_wd_mult}

    def _scale(self, index, which):
        """Parameter `index`'s multiplier, `which` being "lr_mult" or "wd_mult"."""
        if index in self.param_dict:
            return getattr(self.param_dict[index], which)
        table = getattr(self, which)
        if not table:
            return 1.0
        return table[index] if index in table else table.get(self.idx2name.get(index), 1.0)

    def _get_lr(self, index):
        return self.learning_rate * self._scale(index, "lr_mult")

    def _get_wd(self, index):
        return self.wd * self._scale(index, "wd_mult")

    def _get_lrs(self, indices):
        return [self._get_lr(index) for index in indices]

    def _get_wds(self, indices):
        return [self._get_wd(index) for index in indices]

    def _set_current_context(self, device_id):
        self._index_update_count = self._all_index_update_counts.setdefault(device_id, {})

    def _update_count(self, index):
        """Count one update of parameter `index` (or of each in a list)."""
        counts = self._index_update_count
        for i in index if isinstance(index, (list, tuple)) else (index,):
            counts[i] = count = counts.get(i, self.begin_num_update) + 1
            if count > self.num_update:
                self.num_update = count

    def _in_half(self, weight):
        """Whether `weight` has a float32 copy in its state."""
        return self.multi_precision and weight.dtype == np.float16

    def create_state(self, index, weight):
        """What the optimizer remembers of a parameter: an NDArray, a tuple of them, or None."""

    def create_state_multi_precision(self, index, weight):
        """`create_state`, for float16 with `multi_precision` as (float32 copy of the weight, state)."""
        if self._in_half(weight):
            copy = weight.astype(np.float32)
            return copy, self.create_state(index, copy)
        if weight.dtype == np.float16:
            warnings.warn("Accumulating with float16 in optimizer can lead to poor accuracy or slow convergence. "
                          "Consider using multi_precision=True option of the optimizer", stacklevel=2)
        return self.create_state(index, weight)

    def update(self, index, weight, grad, state):
        """Write the new value into `weight`, and into `state` what is to be remembered.

        All four may be lists, one entry a parameter.
        """
        if isinstance(index, (list, tuple)):
            for one in zip(index, weight, grad, state):
                self.update(*one)
            return
        self._update_count(index)
        self._step(weight, grad, state, self._get_lr(index), self._get_wd(index), self._index_update_count[index])

    def _step(self, weight, grad, state, lr, wd, count):
        """The rule itself: `lr` and `wd` are this parameter's, `count` its number of updates, this one included."""
        raise NotImplementedError(f"{type(self).__name__} must define update(index, weight, grad, state)")

    def update_multi_precision(self, index, weight, grad, state):
        """`update`, by way of the float32 copy where there is one."""
        if isinstance(index, (list, tuple)):
            for one in zip(index, weight, grad, state):
                self.update_multi_precision(*one)
        elif self._in_half(weight):
            copy, inner = state
            self.update(index, copy, grad.astype(np.float32), inner)
            weight[:] = copy.astype(weight.dtype)
        else:
            self.update(index, weight, grad, state)

    def _update_each(self, index, weights, grads, states):
        """`update_multi_precision` of each of these parameters, which lie on one context."""
        for one in zip(index, weights, grads, states):
            self.update_multi_precision(*one)

    def _operator_options(self):
        """Options that every update operator takes."""
        options = {"rescale_grad": self.rescale_grad}
        if self.clip_gradient:
            options["clip_gradient"] = self.clip_gradient
        return options

    def _clipped(self, grad):
        return grad if self.clip_gradient is None else nd.clip(grad, -self.clip_gradient, self.clip_gradient)

    def __getstate__(self):
        return {key: value for key, value in self.__dict__.items() if key != "param_dict"}

    def __setstate__(self, state):
        self.__dict__.update(state, param_dict={})


def zeros_beside(weight):
    """Zeros of the weight's shape, dtype and context."""
    return nd.zeros(weight.shape, ctx=weight.context, dtype=weight.dtype)
