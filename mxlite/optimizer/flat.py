"""Which optimizers a kernel can apply to many weights at once: the update operator that stands for their rule, where in
their states its arrays are, and its numbers.

A rule belongs to exactly one class: a subclass may have overridden anything.
"""
import math

from .adaptive import Adam, Ftrl, RMSProp
from .base import Optimizer
from .momentum import NAG, SGD, Signum, ccSGD

__all__ = ["FlatRule", "flat_rule"]

_OVERRIDDEN = frozenset("update update_multi_precision _step _update_each _get_lr _get_wd create_state".split())
# What the operators call a bound that is off.
_OFF = {"clip_gradient": -1.0, "clip_weights": -1.0}


class FlatRule:
    """A rule of an optimizer class. ``step(optimizer, state)``: (name of the update operator without ``_update``, its
    state arrays); ``form(optimizer)``: what the choice of operator depends on beside the state; ``copy_first``: whether
    a mixed-precision state is (float32 copy, state) or the other way round; ``correction(optimizer, count)``: what the
    learning rate of update number `count` is multiplied by."""

    __slots__ = ("step", "form", "copy_first", "correction")

    def __init__(self, step, form=lambda optimizer: None, copy_first=True, correction=None):
        self.step, self.form, self.copy_first, self.correction = step, form, copy_first, correction

    def parts(self, optimizer, state, mixed):
        """(operator, its state arrays, the float32 copy of the weight or None) of one parameter's state."""
        if not mixed:
            return (*self.step(optimizer, state), None)
        copy, inner = state if self.copy_first else state[::-1]
        return (*self.step(optimizer, inner), copy)


def numbers(optimizer, names):
    """The values of an operator's scalars `names` behind the learning rate."""
    return [(getattr(optimizer, name) or _OFF[name]) if name in _OFF else getattr(optimizer, name) for name in names]


def _momentum(moving, plain):
    """A rule whose state is the momentum or None; the momentum's sign counts as it does in the optimizer."""
    def step(optimizer, state):
        return (moving, (state,)) if state is not None and optimizer.momentum > 0 else (plain, ())
    return FlatRule(step, lambda optimizer: optimizer.momentum > 0, copy_first=False)


def _signum(optimizer, state):
    return ("signsgd", ()) if state is None else ("signum", (state,))


def _rmsprop(optimizer, state):
    return "rmspropalex" if optimizer.centered else "rmsprop", tuple(state)


def _adam_correction(optimizer, count):
    return math.sqrt(1.0 - optimizer.beta2 ** count) / (1.0 - optimizer.beta1 ** count)


_RULES = {
    SGD: _momentum("sgd_mom", "sgd"), ccSGD: _momentum("sgd_mom", "sgd"), NAG: _momentum("nag_mom", "sgd"),
    Signum: FlatRule(_signum),
    Adam: FlatRule(lambda optimizer, state: ("adam", tuple(state)), correction=_adam_correction),
    RMSProp: FlatRule(_rmsprop, lambda optimizer: optimizer.centered),
    Ftrl: FlatRule(lambda optimizer, state: ("ftrl", tuple(state)))}


def flat_rule(optimizer):
    """The :class:`FlatRule` of an optimizer, or None where its own code has to run."""
    if not isinstance(optimizer, Optimizer) or not _OVERRIDDEN.isdisjoint(vars(optimizer)):
        return None
    return _RULES.get(type(optimizer))
