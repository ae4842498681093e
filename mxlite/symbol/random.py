"""``mx.sym.random``: symbols that draw random numbers, new ones at every forward.

Where a distribution's parameters are numbers the result has shape `shape`; where they are symbols, of one shape, each
of their elements is a distribution, and `shape` numbers are drawn from each. `dtype` is float32 unless given.
ValueError for numbers mixed with symbols.
"""
import numbers

from ..context import Context
from ..ops.record import find
from .functions import SymbolFunction
from .symbol import Symbol, call

__all__ = ["uniform", "normal", "randn", "exponential", "gamma", "poisson", "negative_binomial",
           "generalized_negative_binomial", "multinomial", "shuffle", "randint", "uniform_like", "normal_like",
           "exponential_like", "gamma_like", "poisson_like", "negative_binomial_like",
           "generalized_negative_binomial_like"]


def _given(kwargs):
    return {k: v for k, v in kwargs.items() if v is not None}


def _check(name, kwargs):
    """TypeError for a context in the place of the dtype: by position one follows the other in ``mx.random``."""
    if isinstance(kwargs["dtype"], Context):
        raise TypeError(f"random.{name}: dtype={kwargs['dtype']} is a context: give it as ctx=, dtype comes before it")


def _draw(name, scalars, arrays, kwargs):
    """The node for numbers (``_random_x``) or for symbols (``_sample_x``); parameters by the operators' names."""
    _check(name, kwargs)
    kinds = [isinstance(v, Symbol) for v in arrays.values()]
    if all(kinds):
        return call(f"_sample_{name}", f"_sample_{name}", *arrays.values(), **_given(kwargs))
    if any(kinds):
        kinds = " and ".join(type(v).__name__ for v in arrays.values())
        raise ValueError(f"the parameters of a distribution are all numbers or all symbols, got {kinds}")
    for k, v in scalars.items():
        if not isinstance(v, numbers.Number):
            raise ValueError(f"{k} must be a number or a Symbol, got {type(v).__name__}")
    return call(f"_random_{name}", f"_random_{name}", **scalars, **_given(kwargs))


def uniform(low=0, high=1, shape=None, dtype=None, **kwargs):
    """Uniform on [low, high)."""
    given = {"low": low, "high": high}
    return _draw("uniform", given, given, dict(kwargs, shape=shape, dtype=dtype))


def normal(loc=0, scale=1, shape=None, dtype=None, **kwargs):
    """Normal with mean `loc` and standard deviation `scale`."""
    return _draw("normal", {"loc": loc, "scale": scale}, {"mu": loc, "sigma": scale},
                 dict(kwargs, shape=shape, dtype=dtype))


def randn(*shape, loc=0, scale=1, dtype=None, **kwargs):
    """:func:`normal`, the shape as separate numbers."""
    return normal(loc, scale, shape, dtype, **kwargs)


def exponential(scale=1, shape=None, dtype=None, **kwargs):
    """Exponential with mean `scale`."""
    given = {"lam": 1.0 / scale if isinstance(scale, (Symbol, numbers.Number)) else scale}
    return _draw("exponential", given, given, dict(kwargs, shape=shape, dtype=dtype))


def gamma(alpha=1, beta=1, shape=None, dtype=None, **kwargs):
    """Gamma of shape `alpha` and scale `beta`: mean alpha * beta."""
    given = {"alpha": alpha, "beta": beta}
    return _draw("gamma", given, given, dict(kwargs, shape=shape, dtype=dtype))


def poisson(lam=1, shape=None, dtype=None, **kwargs):
    """Poisson with mean `lam`, as floats."""
    given = {"lam": lam}
    return _draw("poisson", given, given, dict(kwargs, shape=shape, dtype=dtype))


def negative_binomial(k=1, p=1, shape=None, dtype=None, **kwargs):
    """How many failures come before success number `k`, where one comes with probability `p`, as floats."""
    given = {"k": k, "p": p}
    return _draw("negative_binomial", given, given, dict(kwargs, shape=shape, dtype=dtype))


def generalized_negative_binomial(mu=1, alpha=1, shape=None, dtype=None, **kwargs):
    """Negative binomial with mean `mu` and variance mu + alpha * mu ** 2, as floats."""
    given = {"mu": mu, "alpha": alpha}
    return _draw("generalized_negative_binomial", given, given, dict(kwargs, shape=shape, dtype=dtype))


def multinomial(data, shape=None, get_prob=True, dtype="int32", **kwargs):
    """Numbers of categories, `shape` for each row of `data` (..., k), drawn by its probabilities, in `dtype`. With
    `get_prob` (the default here, as in MXNet) also the logarithms of their probabilities, with a gradient by `data`."""
    return call("_sample_multinomial", "_sample_multinomial", data, get_prob=get_prob, dtype=dtype,
                **_given(dict(kwargs, shape=shape)))


def shuffle(data, **kwargs):
    """`data` with its rows (elements of the first axis) in random order."""
    return call("_shuffle", "_shuffle", data, **kwargs)


def randint(low, high, shape=None, dtype=None, **kwargs):
    """Integers in [low, high), int32 unless `dtype` says int64."""
    kwargs.update(shape=shape, dtype=dtype)
    _check("randint", kwargs)
    return call("_random_randint", "_random_randint", low=low, high=high, **_given(kwargs))


def _like(kind):
    return SymbolFunction(find(f"_random_{kind}_like"), f"{kind}_like", __name__)


uniform_like, normal_like, exponential_like, gamma_like, poisson_like, negative_binomial_like, \
    generalized_negative_binomial_like = map(_like, (
        "uniform", "normal", "exponential", "gamma", "poisson", "negative_binomial", "generalized_negative_binomial"))
