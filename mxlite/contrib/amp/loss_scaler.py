"""Dynamic loss scaling: the factor that keeps small gradients above float16's smallest number."""
import logging

from ... import autograd
from ... import ndarray as nd
from ...base import MXNetError

__all__ = ["LossScaler"]


def all_finite(arrays):
    """Whether every number in these NDArrays (any floating dtypes, on any contexts) is finite."""
    places = {}
    for array in arrays:
        places.setdefault(array.context, []).append(array)
    with autograd.pause():
        flags = [nd.multi_all_finite(*group, num_arrays=len(group)) for group in places.values()]
        return all(bool(flag.asnumpy()[0]) for flag in flags)


class LossScaler:
    """The scale, starting at 2**16: doubled after 2000 steps in a row without overflow, up to 2**24, and halved at
    each overflow, down to 2**-24 (which MXNet has no bound for)."""

    def __init__(self):
        self._loss_scale = 2.0 ** 16
        self._max_loss_scale, self._min_loss_scale = 2.0 ** 24, 2.0 ** -24
        self._scale_seq_len = 2000
        self._unskipped = 0                 # steps without overflow since the scale last changed

    @property
    def loss_scale(self):
        """The scale of the next backward pass."""
        return self._loss_scale

    def has_overflow(self, params):
        """Whether the gradients of `params` hold an infinity or NaN; the scale moves accordingly.

        params: NDArrays with a gradient (`attach_grad`). MXNetError where none has one, TypeError for anything else.
        """
        for param in params:
            if not isinstance(param, nd.NDArray):
                raise TypeError(f"has_overflow takes NDArrays that have a gradient, got {type(param).__name__}")
        grads = [param.grad for param in params if param.grad is not None]
        if not grads:
            raise MXNetError("has_overflow: none of the arrays has a gradient; call attach_grad() before recording")
        return not self.step(all_finite(grads))

    def step(self, finite):
        """Count a step whose gradients were `finite` or not, and move the scale; returns `finite`."""
        old = self._loss_scale
        self._unskipped = self._unskipped + 1 if finite else 0
        if not finite:
            self._loss_scale = max(self._min_loss_scale, old / 2)
        elif self._unskipped == self._scale_seq_len:
            self._unskipped = 0
            self._loss_scale = min(self._max_loss_scale, old * 2)
        if self._loss_scale != old:
            logging.info("AMP: loss scale %g, was %g", self._loss_scale, old)
        return finite
