"""Densities of random distributions at given samples, with gradients. The parameters' shape is the beginning of the
sample's: every element of theirs is a distribution, and the samples' further axes run over its samples. As in MXNet,
nothing checks that a sample lies where its distribution does."""
import math

from . import special
from . import types as T
from .elementwise import FLOATS, quiet
from .record import Op, Param, S, show, unify

LOG = dict(is_log=Param(T.boolean, False, "the logarithm of the density"))


class Term:
    """An entry of a graph with arithmetic that broadcasts, so that derivatives read as formulas."""

    __slots__ = ("F", "e")

    def __init__(self, F, e):
        self.F, self.e = F, e

    def _with(self, other, both, scalar):
        if isinstance(other, Term):
            return Term(self.F, getattr(self.F, both)(self.e, other.e))
        return Term(self.F, getattr(self.F, scalar)(self.e, scalar=float(other)))

    def __add__(self, other):
        return self._with(other, "broadcast_add", "_plus_scalar")

    def __sub__(self, other):
        return self._with(other, "broadcast_sub", "_minus_scalar")

    def __mul__(self, other):
        return self._with(other, "broadcast_mul", "_mul_scalar")

    def __truediv__(self, other):
        return self._with(other, "broadcast_div", "_div_scalar")

    def __rsub__(self, other):
        return Term(self.F, self.F._rminus_scalar(self.e, scalar=float(other)))

    def __rtruediv__(self, other):
        return Term(self.F, self.F._rdiv_scalar(self.e, scalar=float(other)))

    def __neg__(self):
        return Term(self.F, self.F.negative(self.e))

    def log(self):
        return Term(self.F, self.F.log(self.e))

    def digamma(self):
        return Term(self.F, self.F._digamma(self.e))


def _spread(param, sample):
    """Shape of a parameter that broadcasts against the sample."""
    return tuple(param) + (1,) * (len(sample) - len(param))


def density(kind, params, doc, log, slopes, **sample):
    """Makes the record ``_random_pdf_<kind>``.

    log: (xp, x, *parameters) -> logarithm of the density; slopes: (x, *parameters), Terms, -> derivatives of that
    logarithm by sample and parameters, None where there is none.
    """
    def infer(p, ins, outs):
        x, common = unify(ins[0], outs[0]), None
        for s in ins[1:]:
            common = unify(common, s)
        if x is not None and common is not None:
            if len(common) > len(x):
                raise ValueError(f"sample {show(x)} has fewer axes than its parameters {show(common)}")
            head = unify(x[:len(common)], common)
            x, common = head + x[len(common):], head
        return [x] + [common] * (len(ins) - 1), [x]

    @quiet
    def ref(xp, p, x, *params):
        wide = [a.astype("float64").reshape(_spread(a.shape, x.shape)) for a in params]
        y = xp.broadcast_to(log(xp, x.astype("float64"), *wide), x.shape)
        return (y if p.is_log else xp.exp(y)).astype(x.dtype)

    def grad(F, n, dy):
        shape = n.in_shapes[0]
        terms = [Term(F, n.inputs[0])] + [Term(F, F._reshape_to(e, shape=_spread(s, shape)))
                                          for e, s in zip(n.inputs[1:], n.in_shapes[1:])]
        weight = Term(F, dy if n.p.is_log else F.elemwise_mul(dy, n.outputs[0]))
        out = []
        for i, slope in enumerate(slopes(*terms)):
            if slope is None:
                out.append(None)
                continue
            d = (weight * slope).e
            rest = tuple(range(len(n.in_shapes[i]), len(shape)))
            out.append(F.sum(d, axis=rest) if rest and i else d)
            if i and not n.in_shapes[i]:
                out[-1] = F._reshape_to(out[-1], shape=())
        return out
    _record(kind, params, doc, infer, ref, grad, (
        S((2, 3), *[(2,)] * len(params.split()), **sample), S((2,), *[(2,)] * len(params.split()), **sample),
        S((2, 3, 2), *[(2, 3)] * len(params.split()), is_log=True, **sample)))


def _record(kind, params, doc, infer, ref, grad, samples):
    def infer_dtype(p, ins, outs):
        d = next((d for d in (*ins, *outs) if d is not None), None)
        if d is not None and d not in FLOATS:
            raise ValueError(f"sample and parameters must be of a floating type, not {d}")
        return [d] * len(ins), [d]
    type("_random_pdf_" + kind, (Op,), dict(
        __doc__=doc + " Or its logarithm (`is_log`). Floating point.", __module__=__name__, inputs="sample " + params,
        params=LOG, aliases="random_pdf_" + kind, hint="random_pdf_" + kind, infer=infer, infer_dtype=infer_dtype,
        ref=ref, grad=grad, samples=samples))


def _binomial(xp, x, k, p):
    lg = special.gammaln
    return lg(xp, x + k) - lg(xp, x + 1) - lg(xp, k) + k * xp.log(p) + x * xp.log1p(-p)


def _generalized(xp, x, mu, alpha):
    return _binomial(xp, x, 1 / alpha, 1 / (mu * alpha + 1))


def _generalized_slopes(x, mu, alpha):
    # With k = 1 / alpha and s = 1 + mu * alpha the logarithm is lg(x + k) - lg(k) - k log s + x log(mu alpha / s), plus
    # what depends on x alone.
    k, s = 1 / alpha, mu * alpha + 1
    by_k = (x + k).digamma() - k.digamma() - s.log()
    by_alpha = -(by_k * k * k) - mu * k / s + x * k - x * mu / s
    return None, (x - mu) / (mu * s), by_alpha


density("uniform", "low high", "Density of the uniform distribution on [low, high) at `sample`.",
        lambda xp, x, low, high: -xp.log(high - low),
        lambda x, low, high: (None, 1 / (high - low), -1 / (high - low)), index={1: 1}, low=0.5, high=2.0)
density("normal", "mu sigma", "Density of the normal distribution of mean `mu` and standard deviation `sigma` at "
        "`sample`.",
        lambda xp, x, mu, sigma: -0.5 * ((x - mu) / sigma) ** 2 - xp.log(sigma) - 0.5 * math.log(2 * math.pi),
        lambda x, mu, sigma: (-((x - mu) / (sigma * sigma)), (x - mu) / (sigma * sigma),
                              ((x - mu) * (x - mu) / (sigma * sigma) - 1) / sigma), low=0.5, high=2.0)
density("gamma", "alpha beta", "Density of the gamma distribution of shape `alpha` and rate `beta` (a rate here, "
        "though random_gamma takes a scale) at `sample`.",
        lambda xp, x, a, b: a * xp.log(b) + (a - 1) * xp.log(x) - b * x - special.gammaln(xp, a),
        lambda x, a, b: ((a - 1) / x - b, b.log() + x.log() - a.digamma(), a / b - x), low=0.5, high=2.0)
density("exponential", "lam", "Density of the exponential distribution of rate `lam` at `sample`.",
        lambda xp, x, lam: xp.log(lam) - lam * x, lambda x, lam: (-lam, 1 / lam - x), low=0.5, high=2.0)
density("poisson", "lam", "Probability of `sample` under the Poisson distribution of mean `lam`; no gradient by the "
        "sample.", lambda xp, x, lam: x * xp.log(lam) - lam - special.gammaln(xp, x + 1),
        lambda x, lam: (None, x / lam - 1), index={0: 4}, low=0.5, high=2.0)
density("negative_binomial", "k p", "Probability of `sample` failures before success number `k`, where one comes with "
        "probability `p`; no gradient by the sample.", _binomial,
        lambda x, k, p: (None, (x + k).digamma() - k.digamma() + p.log(), k / p - x / (1 - p)),
        index={0: 4}, low=0.3, high=0.8)
density("generalized_negative_binomial", "mu alpha", "Probability of `sample` under the negative binomial distribution "
        "of mean `mu` and variance mu + alpha * mu ** 2; no gradient by the sample.", _generalized, _generalized_slopes,
        index={0: 4}, low=0.5, high=2.0)


def _dirichlet_infer(p, ins, outs):
    x, a = ins
    if x is None or a is None:
        return ins, outs
    if not a or len(a) > len(x):
        raise ValueError(f"alpha {show(a)} and sample {show(x)} must end with the axis of the parts")
    last, head = unify(a[-1:], x[-1:]), unify(a[:-1], x[:len(a) - 1])
    x = head + x[len(a) - 1:-1] + last
    return [x, head + last], [unify(x[:-1] or (1,), outs[0])]


def _dirichlet_alpha(a, x):
    """Shape of alpha that broadcasts against the sample."""
    return tuple(a[:-1]) + (1,) * (len(x) - len(a)) + tuple(a[-1:])


@quiet
def _dirichlet(xp, p, x, alpha):
    a = alpha.astype("float64").reshape(_dirichlet_alpha(alpha.shape, x.shape))
    y = ((a - 1) * xp.log(x.astype("float64"))).sum(-1) + special.gammaln(xp, a.sum(-1)) \
        - special.gammaln(xp, a).sum(-1)
    return (y if p.is_log else xp.exp(y)).astype(x.dtype).reshape(x.shape[:-1] or (1,))


def _dirichlet_grad(F, n, dy):
    shape, own = n.in_shapes
    if 0 in shape:
        return None, None
    x, a = Term(F, n.inputs[0]), Term(F, F._reshape_to(n.inputs[1], shape=_dirichlet_alpha(own, shape)))
    weight = dy if n.p.is_log else F.elemwise_mul(dy, n.outputs[0])
    weight = Term(F, F._reshape_to(weight, shape=shape[:-1] + (1,)))
    total = Term(F, F.sum(a.e, axis=(len(shape) - 1,), keepdims=True))
    by_alpha = (weight * (x.log() + total.digamma() - a.digamma())).e
    rest = tuple(range(len(own) - 1, len(shape) - 1))
    return (weight * ((a - 1) / x)).e, F.sum(by_alpha, axis=rest) if rest else by_alpha


_record("dirichlet", "alpha", "Density of the Dirichlet distribution of `alpha` (..., k) at `sample` (..., k): the "
        "last axis holds the parts, which are positive and sum to 1.", _dirichlet_infer, _dirichlet, _dirichlet_grad,
        (S((2, 3), (2, 3), low=0.1, high=0.6), S((2, 4, 3), (2, 3), low=0.1, high=0.6, is_log=True),
         S((3,), (3,), low=0.1, high=0.6)))
