"""Random numbers of the seeded generator: ``mx.random.seed(1)`` makes what follows repeatable. Also ``mx.nd.random``.

Where a distribution's parameters are numbers the result has shape `shape` ((1,) unless given); where they are NDArrays,
of one shape, each of their elements is a distribution, and `shape` numbers are drawn from each. `dtype` is the
result's (float32 unless given), `ctx` where it lives, `out` an array to draw into, whose shape and dtype are then
the default. The numbers depend on the seed and on what was drawn before, never on threads or device.

ValueError for a parameter that is neither, or numbers mixed with NDArrays; MXNetError for parameters that make no
distribution.
"""
import numbers

from . import ndarray as nd
from ._core import rng
from ._core.errors import MXNetError
from .context import Context

__all__ = ["seed", "uniform", "normal", "randn", "exponential", "gamma", "poisson", "negative_binomial",
           "generalized_negative_binomial", "multinomial", "shuffle", "randint", "uniform_like", "normal_like",
           "exponential_like", "gamma_like", "poisson_like", "negative_binomial_like",
           "generalized_negative_binomial_like"]


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


def _op(name):
    return getattr(nd._internal, name)


def _into(shape, dtype, out):
    """Shape and dtype, from `out` where they are not given."""
    if out is None:
        return (1,) if shape is None else shape, dtype
    return out.shape if shape is None else shape, out.dtype if dtype is None else dtype


def _run(name, function, *args, **kwargs):
    """Call the operator `function`. Errors speak of ``random.<name>``, which is what the caller wrote."""
    if isinstance(kwargs.get("dtype"), Context):
        raise TypeError(f"random.{name}: dtype={kwargs['dtype']} is a context: ctx comes after dtype")
    try:
        return function(*args, **kwargs)
    except (MXNetError, TypeError) as e:
        text = str(e)
        for own in (function.__name__, function.record.name):
            if text.startswith(own):
                raise type(e)(f"random.{name}{text[len(own):]}") from None
        raise


def _draw(name, scalars, arrays, shape, dtype, ctx, out, **kwargs):
    """Run ``_random_<name>`` for numbers, ``_sample_<name>`` for NDArrays; parameters by the operators' names."""
    kinds = [isinstance(value, nd.NDArray) for value in arrays.values()]
    if all(kinds):
        if out is not None and dtype is None:
            dtype = out.dtype
        return _run(name, _op("_sample_" + name), *arrays.values(), **_given(shape=shape, dtype=dtype, out=out),
                    **kwargs)
    if any(kinds):
        kinds = " and ".join(type(value).__name__ for value in arrays.values())
        raise ValueError(f"the parameters of a distribution are all numbers or all NDArrays, got {kinds}")
    for key, value in scalars.items():
        if not isinstance(value, numbers.Number):
            raise ValueError(f"{key} must be a number or an NDArray, got {type(value).__name__}")
    shape, dtype = _into(shape, dtype, out)
    function = _op("_random_" + name)
    try:
        return _run(name, function, **scalars, **_given(shape=shape, dtype=dtype, ctx=ctx, out=out), **kwargs)
    except MXNetError:
        _explain(name, function.record, scalars)
        raise


def _explain(name, record, scalars):
    """MXNetError that says which of the numbers makes no distribution, if one does: a kernel cannot say it."""
    try:
        record.infer(record.parse(scalars), [], [None])
    except ValueError as e:
        raise MXNetError(f"random.{name}: {e}") from None


def uniform(low=0, high=1, shape=None, dtype=None, ctx=None, out=None, **kwargs):
    """Uniform on [low, high)."""
    given = {"low": low, "high": high}
    return _draw("uniform", given, given, shape, dtype, ctx, out, **kwargs)


def normal(loc=0, scale=1, shape=None, dtype=None, ctx=None, out=None, **kwargs):
    """Normal with mean `loc` and standard deviation `scale`."""
    return _draw("normal", {"loc": loc, "scale": scale}, {"mu": loc, "sigma": scale}, shape, dtype, ctx, out, **kwargs)


def randn(*shape, loc=0, scale=1, dtype=None, ctx=None, out=None, **kwargs):
    """:func:`normal` of shape `shape`, given as separate numbers."""
    return normal(loc, scale, shape or None, dtype, ctx, out, **kwargs)


def exponential(scale=1, shape=None, dtype=None, ctx=None, out=None, **kwargs):
    """Exponential with mean `scale`. ZeroDivisionError for the number 0."""
    given = {"lam": 1.0 / scale if isinstance(scale, (nd.NDArray, numbers.Number)) else scale}
    return _draw("exponential", given, given, shape, dtype, ctx, out, **kwargs)


def gamma(alpha=1, beta=1, shape=None, dtype=None, ctx=None, out=None, **kwargs):
    """Gamma of shape `alpha` and scale `beta`: mean alpha * beta."""
    given = {"alpha": alpha, "beta": beta}
    return _draw("gamma", given, given, shape, dtype, ctx, out, **kwargs)


def poisson(lam=1, shape=None, dtype=None, ctx=None, out=None, **kwargs):
    """Poisson with mean `lam`, as floats."""
    given = {"lam": lam}
    return _draw("poisson", given, given, shape, dtype, ctx, out, **kwargs)


def negative_binomial(k=1, p=1, shape=None, dtype=None, ctx=None, out=None, **kwargs):
    """How many failures come before success number `k`, where one comes with probability `p`, as floats."""
    given = {"k": k, "p": p}
    return _draw("negative_binomial", given, given, shape, dtype, ctx, out, **kwargs)


def generalized_negative_binomial(mu=1, alpha=1, shape=None, dtype=None, ctx=None, out=None, **kwargs):
    """Negative binomial with mean `mu` and variance mu + alpha * mu ** 2, as floats."""
    given = {"mu": mu, "alpha": alpha}
    return _draw("generalized_negative_binomial", given, given, shape, dtype, ctx, out, **kwargs)


def multinomial(data, shape=None, get_prob=False, out=None, dtype="int32", **kwargs):
    """Numbers of categories, `shape` for each row of `data` (..., k), drawn by its probabilities, in `dtype`. With
    `get_prob` a list: the numbers, and the logarithms of their probabilities, which have a gradient by `data`."""
    return _run("multinomial", _op("_sample_multinomial"), data, get_prob=get_prob,
                **_given(shape=shape, dtype=dtype, out=out), **kwargs)


def shuffle(data, **kwargs):
    """`data` with its rows (elements of the first axis) in random order."""
    return _run("shuffle", _op("_shuffle"), data, **kwargs)


def randint(low, high, shape=None, dtype=None, ctx=None, out=None, **kwargs):
    """Integers uniform on [low, high), int32 unless `dtype` says int64."""
    shape, dtype = _into(shape, dtype, out)
    return _run("randint", _op("_random_randint"), low=low, high=high,
                **_given(shape=shape, dtype=dtype, ctx=ctx, out=out), **kwargs)


def _like(name, data, out, **kwargs):
    return _run(f"{name}_like", _op(f"_random_{name}_like"), data, **_given(out=out), **kwargs)


def uniform_like(data, low=0, high=1, out=None, **kwargs):
    """:func:`uniform` in shape, dtype and context of `data`."""
    return _like("uniform", data, out, low=low, high=high, **kwargs)


def normal_like(data, loc=0, scale=1, out=None, **kwargs):
    """:func:`normal` in shape, dtype and context of `data`."""
    return _like("normal", data, out, loc=loc, scale=scale, **kwargs)


def exponential_like(data, lam=1, out=None, **kwargs):
    """Exponential with rate `lam` (mean 1 / lam), in shape, dtype and context of `data`."""
    return _like("exponential", data, out, lam=lam, **kwargs)


def gamma_like(data, alpha=1, beta=1, out=None, **kwargs):
    """:func:`gamma` in shape, dtype and context of `data`."""
    return _like("gamma", data, out, alpha=alpha, beta=beta, **kwargs)


def poisson_like(data, lam=1, out=None, **kwargs):
    """:func:`poisson` in shape, dtype and context of `data`."""
    return _like("poisson", data, out, lam=lam, **kwargs)


def negative_binomial_like(data, k=1, p=1, out=None, **kwargs):
    """:func:`negative_binomial` in shape, dtype and context of `data`."""
    return _like("negative_binomial", data, out, k=k, p=p, **kwargs)


def generalized_negative_binomial_like(data, mu=1, alpha=1, out=None, **kwargs):
    """:func:`generalized_negative_binomial` in shape, dtype and context of `data`."""
    return _like("generalized_negative_binomial", data, out, mu=mu, alpha=alpha, **kwargs)
