"""Optimizers that give every weight a step size of its own."""
import math

from .. import ndarray as nd
from .base import Optimizer, zeros_beside

__all__ = ["Adam", "AdaGrad", "AdaDelta", "RMSProp", "Ftrl", "FTML", "Adamax", "Nadam"]


def _zeros(count):
    """A `create_state` that makes `count` arrays of zeros like the weight."""
    def create_state(self, index, weight):
        return tuple(zeros_beside(weight) for _ in range(count))

    create_state.__doc__ = f"{count} arrays of zeros like `weight`."
    return create_state


@Optimizer.register
class Adam(Optimizer):
    """Kingma and Ba, 2014: steps by running means of the gradient and of its square, both corrected for their start.

    `epsilon` is added to the root of the uncorrected mean square, as in MXNet. `lazy_update` concerns row-sparse
    gradients only.
    """

    def __init__(self, learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8, lazy_update=True, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.lazy_update = lazy_update

    create_state = _zeros(2)

    def _step(self, weight, grad, state, lr, wd, count):
        lr *= math.sqrt(1.0 - self.beta2 ** count) / (1.0 - self.beta1 ** count)
        nd.adam_update(weight, grad, *state, out=weight, lr=lr, wd=wd, beta1=self.beta1, beta2=self.beta2,
                       epsilon=self.epsilon, **self._operator_options())


@Optimizer.register
class AdaGrad(Optimizer):
    """``h += g²; w -= lr * (g / sqrt(h + eps) + wd * w)`` (Duchi, Hazan and Singer, 2011)."""

    def __init__(self, eps=1e-7, **kwargs):
        super().__init__(**kwargs)
        self.float_stable_eps = eps

    def create_state(self, index, weight):
        """The sum of squares, zeros like `weight`."""
        return zeros_beside(weight)

    def _step(self, weight, grad, state, lr, wd, count):
        grad = self._clipped(grad * self.rescale_grad)
        state[:] = state + nd.square(grad)
        weight[:] = weight - lr * (grad / nd.sqrt(state + self.float_stable_eps) + wd * weight)


@Optimizer.register
class RMSProp(Optimizer):
    """Steps by the gradient over the root of the running mean of its square (Tieleman and Hinton, 2012).

    `centered` takes the variance instead and adds momentum `gamma2` (Graves, 2013). `clip_weights` bounds the weights.
    """

    def __init__(self, learning_rate=0.001, gamma1=0.9, gamma2=0.9, epsilon=1e-8, centered=False, clip_weights=None,
                 **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.gamma1, self.gamma2, self.epsilon = gamma1, gamma2, epsilon
        self.centered = centered
        self.clip_weights = clip_weights

    def create_state(self, index, weight):
        """(mean square,), or if `centered` (mean square, mean, momentum): zeros like `weight`."""
        return tuple(zeros_beside(weight) for _ in range(3 if self.centered else 1))

    def _step(self, weight, grad, state, lr, wd, count):
        options = {"lr": lr, "wd": wd, "gamma1": self.gamma1, "epsilon": self.epsilon, "out": weight,
                   **self._operator_options()}
        if self.clip_weights:
            options["clip_weights"] = self.clip_weights
        if self.centered:
            nd.rmspropalex_update(weight, grad, *state, gamma2=self.gamma2, **options)
        else:
            nd.rmsprop_update(weight, grad, *state, **options)


@Optimizer.register
class AdaDelta(Optimizer):
    """Zeiler, 2012: steps by the ratio of running mean squares of steps and gradients, without a learning rate."""

    def __init__(self, rho=0.9, epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        self.rho, self.epsilon = rho, epsilon

    create_state = _zeros(2)

    def _step(self, weight, grad, state, lr, wd, count):
        grad = self._clipped(grad * self.rescale_grad)
        squares, steps = state
        squares[:] = self.rho * squares + (1.0 - self.rho) * grad * grad
        step = nd.sqrt(steps + self.epsilon) / nd.sqrt(squares + self.epsilon) * grad
        steps[:] = self.rho * steps + (1.0 - self.rho) * step * step
        weight[:] = weight - (step + wd * weight)


@Optimizer.register
class Ftrl(Optimizer):
    """Follow the regularised leader, with `lamda1` of L1 (McMahan et al., "Ad click prediction", 2013)."""

    def __init__(self, lamda1=0.01, learning_rate=0.1, beta=1, **kwargs):
        super().__init__(**kwargs)
        self.lr = learning_rate         # unlike elsewhere it does not change a given scheduler, as in MXNet
        self.lamda1, self.beta = lamda1, beta

    create_state = _zeros(2)

    def _step(self, weight, grad, state, lr, wd, count):
        nd.ftrl_update(weight, grad, *state, out=weight, lr=lr, wd=wd, lamda1=self.lamda1, beta=self.beta,
                       **self._operator_options())


@Optimizer.register
class FTML(Optimizer):
    """Follow the moving leader (Zheng and Kwok, 2017)."""

    def __init__(self, beta1=0.6, beta2=0.999, epsilon=1e-8, **kwargs):
        super().__init__(**kwargs)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon

    create_state = _zeros(3)

    def _step(self, weight, grad, state, lr, wd, count):
        options = {"rescale_grad": self.rescale_grad}
        if self.clip_gradient:
            options["clip_grad"] = self.clip_gradient       # the operator's own name for it
        nd.ftml_update(weight, grad, *state, out=weight, lr=lr, wd=wd, beta1=self.beta1, beta2=self.beta2,
                       epsilon=self.epsilon, t=count, **options)


@Optimizer.register
class Adamax(Optimizer):
    """Adam with the greatest decayed gradient in place of the mean square (Kingma and Ba, 2014, section 7)."""

    def __init__(self, learning_rate=0.002, beta1=0.9, beta2=0.999, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1, self.beta2 = beta1, beta2

    create_state = _zeros(2)

    def _step(self, weight, grad, state, lr, wd, count):
        grad = self._clipped(grad * self.rescale_grad + wd * weight)
        mean, top = state
        mean[:] = self.beta1 * mean + (1.0 - self.beta1) * grad
        top[:] = nd.maximum(self.beta2 * top, nd.abs(grad))
        weight[:] = weight - lr / (1.0 - self.beta1 ** count) * mean / top


@Optimizer.register
class Nadam(Optimizer):
    """Adam with Nesterov's momentum (Dozat, 2016).

    The momentum schedule's running product is one for all parameters, as in MXNet.
    """

    def __init__(self, learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8, schedule_decay=0.004, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.schedule_decay = schedule_decay
        self.m_schedule = 1.0

    create_state = _zeros(2)

    def _momentum(self, count):
        return self.beta1 * (1.0 - 0.5 * 0.96 ** (count * self.schedule_decay))

    def _step(self, weight, grad, state, lr, wd, count):
        grad = self._clipped(grad * self.rescale_grad + wd * weight)
        now, later = self._momentum(count), self._momentum(count + 1)
        self.m_schedule *= now
        mean, square = state
        mean[:] = self.beta1 * mean + (1.0 - self.beta1) * grad
        square[:] = self.beta2 * square + (1.0 - self.beta2) * grad * grad
        direction = ((1.0 - now) / (1.0 - self.m_schedule) * grad
                     + later / (1.0 - self.m_schedule * later) * mean)
        weight[:] = weight - lr * direction / (nd.sqrt(square / (1.0 - self.beta2 ** count)) + self.epsilon)
