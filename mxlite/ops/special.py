"""Special functions that NumPy lacks, element by element in double precision; for references only.

Arrays of a GPU stay there: what they are given to is CuPy's.
"""
import math
from importlib import import_module

import numpy as np


def mapped(name, f):
    """`f` of one float as a function ``(xp, x)`` of arrays that keeps the dtype; `name` is its name on a GPU."""
    def apply(xp, x):
        if not isinstance(x, (np.ndarray, np.generic)):
            return import_module("mxlite.gpu.special").apply(name, x)
        out = np.fromiter((f(float(v)) for v in x.ravel()), "float64", x.size)
        return out.reshape(x.shape).astype(x.dtype)
    return apply


def _gamma(v):
    if v == 0:
        return math.copysign(math.inf, v)
    try:
        return math.gamma(v)
    except OverflowError:
        return math.inf
    except ValueError:          # a pole, or -inf
        return math.nan


def _gammaln(v):
    try:
        return math.lgamma(v)
    except (ValueError, OverflowError):
        return math.inf


def _digamma(v):
    """Logarithmic derivative of the gamma function: reflection, recurrence up to 12, then the asymptotic series."""
    if math.isnan(v) or v == math.inf:
        return v
    if v <= 0:
        if v == -math.inf or v == math.floor(v):
            return math.inf         # poles, as MXNet has them
        return _digamma(1 - v) - math.pi / math.tan(math.pi * v)
    shift = 0.0
    while v < 12:
        shift -= 1 / v
        v += 1
    z = 1 / (v * v)
    tail = z * (1 / 12 - z * (1 / 120 - z * (1 / 252 - z * (1 / 240 - z * (1 / 132 - z * 691 / 32760)))))
    return shift + math.log(v) - 0.5 / v - tail


def _trigamma(v):
    """Derivative of digamma, by the same three steps."""
    if math.isnan(v) or v == math.inf:
        return v if v != v else 0.0
    if v <= 0:
        if v == -math.inf or v == math.floor(v):
            return math.inf
        return (math.pi / math.sin(math.pi * (v - math.floor(v)))) ** 2 - _trigamma(1 - v)
    shift = 0.0
    while v < 12:
        shift += 1 / (v * v)
        v += 1
    z = 1 / (v * v)
    tail = z * (1 / 6 - z * (1 / 30 - z * (1 / 42 - z * (1 / 30 - z * (5 / 66 - z * (691 / 2730 - z * 7 / 6))))))
    return shift + (1 + tail) / v + z / 2


def _erfinv(v):
    """Inverse of erf: Winitzki's estimate, refined by Halley steps on erfc, which keeps its digits near 1."""
    if math.isnan(v) or abs(v) > 1:
        return math.nan
    if abs(v) == 1:
        return math.copysign(math.inf, v)
    if v == 0:
        return v
    a, q = abs(v), 1 - abs(v)
    w = math.log(q * (1 + a))
    t = 2 / (math.pi * 0.147) + w / 2
    x = math.sqrt(max(math.sqrt(t * t - w / 0.147) - t, 0.0)) or a * math.sqrt(math.pi) / 2
    for _ in range(3):
        err = (math.erf(x) - a) if a < 0.5 else (q - math.erfc(x))
        step = err / (2 / math.sqrt(math.pi) * math.exp(-x * x))
        x -= step / (1 + x * step)
    return math.copysign(x, v)


erf, gamma, gammaln = mapped("erf", math.erf), mapped("gamma", _gamma), mapped("gammaln", _gammaln)
digamma, trigamma, erfinv = mapped("digamma", _digamma), mapped("trigamma", _trigamma), mapped("erfinv", _erfinv)
