"""Random numbers of the seeded generator: ``mx.random.seed(1)`` makes what follows repeatable.

Where a distribution's parameters are numbers the result has shape `shape`; where they are NDArrays each of their
elements is a distribution, and `shape` numbers are drawn from each. `dtype` is the result's (float32 unless given),
`ctx` where it lives, `out` an array to draw into.
"""
import numbers

from . import ndarray as nd
from ._core import rng
from .context import Context

__all__ = ["seed", "uniform", "normal", "randn", "exponential", "poisson", "randint"]


def seed(seed_state, ctx="all"):
    """Start the generator of every context over from the int `seed_state`. ValueError for anything but an int.

    `ctx` is checked and otherwise ignored: the numbers depend on the seed, never on the device that draws them.
    """
    if isinstance(seed_state, bool) or not isinstance(seed_state, numbers.Integral):
        raise ValueError("seed_state must be int")
    if ctx != "all":
        Context(ctx)
    rng.seed(int(seed_state))


def _given(**options):
    """The options that are not None, contexts as text."""
    given = {key: value for key, value in options.items() if value is not None}
    if "ctx" in given:
        given["ctx"] = str(given["ctx"])
    return given


def _draw(name, params, shape, dtype, ctx, out, **kwargs):
    """Run ``nd.random_<name>`` for numbers, ``nd.sample_<name>`` for NDArrays; `params` by the operator's names."""
    arrays = [isinstance(value, nd.NDArray) for value in params.values()]
    if all(arrays):
        return getattr(nd, f"sample_{name}")(*params.values(), **_given(shape=shape, dtype=dtype, out=out), **kwargs)
    if any(arrays):
        kinds = " and ".join(str(type(value)) for value in params.values())
        raise ValueError(f"Distribution parameters must all have the same type, but got both {kinds}.")
    shape = (1,) if shape is None and out is None else shape
    return getattr(nd, f"random_{name}")(**params, **_given(shape=shape, dtype=dtype, ctx=ctx, out=out), **kwargs)


def uniform(low=0, high=1, shape=None, dtype=None, ctx=None, out=None, **kwargs):
    """Uniform on [low, high)."""
    return _draw("uniform", {"low": low, "high": high}, shape, dtype, ctx, out, **kwargs)


def normal(loc=0, scale=1, shape=None, dtype=None, ctx=None, out=None, **kwargs):
    """Normal with mean `loc` and standard deviation `scale`."""
    if isinstance(loc, nd.NDArray) or isinstance(scale, nd.NDArray):
        return _draw("normal", {"mu": loc, "sigma": scale}, shape, dtype, ctx, out, **kwargs)
    return _draw("normal", {"loc": loc, "scale": scale}, shape, dtype, ctx, out, **kwargs)


def randn(*shape, loc=0, scale=1, dtype=None, ctx=None, out=None, **kwargs):
    """:func:`normal` of shape `shape`, given as separate numbers."""
    return normal(loc, scale, shape or None, dtype, ctx, out, **kwargs)


def exponential(scale=1, shape=None, dtype=None, ctx=None, out=None, **kwargs):
    """Exponential with mean `scale`."""
    return _draw("exponential", {"lam": 1.0 / scale}, shape, dtype, ctx, out, **kwargs)


def poisson(lam=1, shape=None, dtype=None, ctx=None, out=None, **kwargs):
    """Poisson with mean `lam`, as floats."""
    return _draw("poisson", {"lam": lam}, shape, dtype, ctx, out, **kwargs)


def randint(low, high, shape=None, dtype=None, ctx=None, out=None, **kwargs):
    """Integers uniform on [low, high), int32 unless `dtype` says int64."""
    shape = (1,) if shape is None and out is None else shape
    return nd.random_randint(low=low, high=high, **_given(shape=shape, dtype=dtype, ctx=ctx, out=out), **kwargs)
