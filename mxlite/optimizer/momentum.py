"""Optimizers that follow the gradient, with or without momentum."""
import math

from .. import ndarray as nd
from .. import random
from .base import Optimizer, zeros_beside

__all__ = ["SGD", "ccSGD", "NAG", "Signum", "SGLD", "DCASGD", "Test"]


class _Momentum(Optimizer):
    """Optimizers whose state is the momentum or None, beside the float32 weight in mixed precision:
    (momentum, float32 weight)."""

    def __init__(self, momentum=0.0, **kwargs):
        super().__init__(**kwargs)
        self.momentum = momentum

    def create_state(self, index, weight):
        """The momentum, zeros like `weight`; None without momentum."""
        return zeros_beside(weight) if self.momentum != 0.0 else None

    def create_state_multi_precision(self, index, weight):
        state = super().create_state_multi_precision(index, weight)
        return state[::-1] if self._in_half(weight) else state

    def update_multi_precision(self, index, weight, grad, state):
        # The operators know of the pair of weights: `_step` gets all of the state.
        self.update(index, weight, grad, state)

    def _operator_options(self):
        options = super()._operator_options()
        if self.momentum > 0:
            options["momentum"] = self.momentum
        return options

    def _apply(self, plain, with_momentum, weight, grad, state, lr, wd, **more):
        """Run the operator called `plain` or `with_momentum`, or its mixed-precision form ``mp_...``."""
        if self.momentum > 0 and isinstance(state, nd.NDArray) and not more:       # the usual case, without detours
            getattr(nd, with_momentum)(weight, grad, state, lr=lr, momentum=self.momentum, wd=wd,
                                       rescale_grad=self.rescale_grad, clip_gradient=self.clip_gradient or -1.0,
                                       out=weight)
            return
        options = {"lr": lr, "wd": wd, "out": weight, **self._operator_options(), **more}
        pair = state if isinstance(state, tuple) else (state,)
        name = with_momentum if pair[0] is not None and self.momentum > 0 else plain
        states = [array for array in (pair[:1] if name == with_momentum else ()) + pair[1:] if array is not None]
        getattr(nd, f"mp_{name}" if len(pair) == 2 else name)(weight, grad, *states, **options)


@Optimizer.register
class SGD(_Momentum):
    """``w -= lr * (g + wd * w)``, or with momentum ``m = momentum * m - lr * (g + wd * w); w += m``.

    `lazy_update` is taken for MXNet's sake: it concerns row-sparse gradients only.
    """

    def __init__(self, momentum=0.0, lazy_update=True, **kwargs):
        super().__init__(momentum, **kwargs)
        self.lazy_update = lazy_update

    def _step(self, weight, grad, state, lr, wd, count):
        self._apply("sgd_update", "sgd_mom_update", weight, grad, state, lr, wd)

    def _update_each(self, index, weights, grads, states):
        # What `update` does for each, with what is the same for all of them asked once.
        if type(self) not in (SGD, ccSGD) or any([isinstance(state, tuple) for state in states]):
            super()._update_each(index, weights, grads, states)
            return
        momentum, rescale, clip = self.momentum, self.rescale_grad, self.clip_gradient or -1.0
        plain, moving, rate, known = nd.sgd_update, nd.sgd_mom_update, 0.0, None
        for i, weight, grad, state in zip(index, weights, grads, states):
            self._update_count(i)
            if self.num_update != known:
                known, rate = self.num_update, self.learning_rate
            lr, wd = rate * self._scale(i, "lr_mult"), self.wd * self._scale(i, "wd_mult")
            if state is not None and momentum > 0:
                moving(weight, grad, state, lr=lr, momentum=momentum, wd=wd, rescale_grad=rescale, clip_gradient=clip,
                       out=weight)
            else:
                plain(weight, grad, lr=lr, wd=wd, rescale_grad=rescale, clip_gradient=clip, out=weight)


@Optimizer.register
class ccSGD(SGD):
    """:class:`SGD` under an old name."""


@Optimizer.register
class NAG(_Momentum):
    """SGD with Nesterov's momentum; plain SGD with ``momentum=0``."""

    def _step(self, weight, grad, state, lr, wd, count):
        self._apply("sgd_update", "nag_mom_update", weight, grad, state, lr, wd)


@Optimizer.register
class Signum(Optimizer):
    """Steps of size `lr` in the direction of the momentum's sign (Bernstein et al., 2018); signSGD with ``momentum=0``.

    `wd_lh` decays weights outside the sign (Loshchilov and Hutter, 2017).
    """

    def __init__(self, learning_rate=0.01, momentum=0.9, wd_lh=0.0, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.momentum = momentum
        self.wd_lh = wd_lh

    def create_state(self, index, weight):
        """The momentum, zeros like `weight`; None without momentum."""
        return zeros_beside(weight) if self.momentum != 0.0 else None

    def _step(self, weight, grad, state, lr, wd, count):
        options = {"lr": lr, "wd": wd, "out": weight, **self._operator_options()}
        if state is None:
            nd.signsgd_update(weight, grad, **options)
        else:
            nd.signum_update(weight, grad, state, momentum=self.momentum, wd_lh=self.wd_lh, **options)


@Optimizer.register
class SGLD(Optimizer):
    """Langevin dynamics: half a gradient step and normal noise of variance `lr` (Welling and Teh, 2011)."""

    def _step(self, weight, grad, state, lr, wd, count):
        grad = self._clipped(grad * self.rescale_grad)
        noise = random.normal(0, math.sqrt(lr), shape=weight.shape, dtype=weight.dtype, ctx=weight.context)
        weight[:] = weight - lr / 2 * (grad + wd * weight) + noise


@Optimizer.register
class DCASGD(Optimizer):
    """SGD for late gradients: they are corrected by `lamda` g² (w - w at the last update) (Zheng et al., 2016)."""

    def __init__(self, momentum=0.0, lamda=0.04, **kwargs):
        super().__init__(**kwargs)
        self.momentum = momentum
        self.lamda = lamda

    def create_state(self, index, weight):
        """(momentum or None, the weight at the last update)."""
        return zeros_beside(weight) if self.momentum != 0.0 else None, weight.copy()

    def _step(self, weight, grad, state, lr, wd, count):
        grad = self._clipped(grad * self.rescale_grad)
        momentum, before = state
        move = -lr * (grad + wd * weight + self.lamda * grad * grad * (weight - before))
        if momentum is not None:
            move = self.momentum * momentum + move
            momentum[:] = move
        before[:] = weight
        weight[:] = weight + move


@Optimizer.register
class Test(Optimizer):
    """Adds the gradient to the weight and keeps a copy of the result: for testing what calls optimizers."""

    __test__ = False        # no test case, whatever pytest thinks of the name

    def create_state(self, index, weight):
        """Zeros like `weight`."""
        return zeros_beside(weight)

    def _step(self, weight, grad, state, lr, wd, count):
        weight[:] = weight + grad * self.rescale_grad
        state[:] = weight
