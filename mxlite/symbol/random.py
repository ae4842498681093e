"""``mx.sym.random``: symbols that draw random numbers, new ones at every forward."""
from .symbol import Symbol, call


def _draw(name, params, kwargs):
    """The node for fixed parameters (``_random_x``) or, where they are symbols, one draw a row (``_sample_x``)."""
    if any(isinstance(v, Symbol) for v in params.values()):
        return call(f"_sample_{name}", f"_sample_{name}", *params.values(), **_given(kwargs))
    return call(f"_random_{name}", f"_random_{name}", **params, **_given(kwargs))


def _given(kwargs):
    return {k: v for k, v in kwargs.items() if v is not None}


def uniform(low=0, high=1, shape=None, dtype=None, **kwargs):
    """Uniform on [low, high)."""
    return _draw("uniform", {"low": low, "high": high}, dict(kwargs, shape=shape, dtype=dtype))


def normal(loc=0, scale=1, shape=None, dtype=None, **kwargs):
    """Normal with mean `loc` and standard deviation `scale`."""
    return _draw("normal", {"loc": loc, "scale": scale}, dict(kwargs, shape=shape, dtype=dtype))


def randn(*shape, loc=0, scale=1, dtype=None, **kwargs):
    """Normal, the shape as separate arguments."""
    return normal(loc, scale, shape, dtype, **kwargs)


def exponential(scale=1, shape=None, dtype=None, **kwargs):
    """Exponential with mean `scale`."""
    return _draw("exponential", {"lam": 1.0 / scale}, dict(kwargs, shape=shape, dtype=dtype))


def poisson(lam=1, shape=None, dtype=None, **kwargs):
    """Poisson with mean `lam`."""
    return _draw("poisson", {"lam": lam}, dict(kwargs, shape=shape, dtype=dtype))


def randint(low, high, shape=None, dtype=None, **kwargs):
    """Integers in [low, high)."""
    return _draw("randint", {"low": low, "high": high}, dict(kwargs, shape=shape, dtype=dtype))
