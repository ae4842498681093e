"""How exact the element-wise functions are: the largest error of each in units of the last place, at every level."""
import math

import numpy as np
import pytest

from . import kernel_calls
from .test_kernels_elementwise import INF, NAN, call, f32

level = kernel_calls.level            # the fixture


def ulps(got, want):
    """Largest error in units of the last place of the right result, and NaN or infinity in the same places."""
    with np.errstate(all="ignore"):
        near = want.astype(got.dtype)
        np.testing.assert_array_equal(np.isnan(got), np.isnan(near))
        fine = np.isfinite(near) & np.isfinite(got)
        assert (fine | (got == near) | np.isnan(near)).all()
        return float((np.abs(got.astype(want.dtype) - want) / np.spacing(np.abs(near)).astype(want.dtype))[fine].max())


def exact_sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softrelu(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


WIDE = 0.501        # computed in double: all that is lost is float's rounding, and rarely a tie
ACCURACY = {        # name: (function, low, high, bound for float32 in ulp; measured on every level)
    "exp": (np.exp, -104, 89, 1.1), "expm1": (np.expm1, -30, 89, 1.6), "log": (np.log, 0, 1e38, 0.9),
    "log2": (np.log2, 0, 1e38, 1.4), "log10": (np.log10, 0, 1e38, 1.9), "log1p": (np.log1p, -1, 1e10, 1.7),
    "tanh": (np.tanh, -12, 12, 1.5), "sigmoid": (exact_sigmoid, -104, 40, 2.4),
    "erf": (np.vectorize(math.erf, otypes=[float]), -5, 5, 1.3), "_softrelu": (softrelu, -104, 50, 1.9),
    "sin": (np.sin, -1e4, 1e4, WIDE), "cos": (np.cos, -1e4, 1e4, WIDE), "tan": (np.tan, -1e3, 1e3, WIDE),
    "arcsin": (np.arcsin, -1, 1, WIDE), "arccos": (np.arccos, -1, 1, WIDE), "arctan": (np.arctan, -50, 50, WIDE),
    "sinh": (np.sinh, -80, 80, WIDE), "cosh": (np.cosh, -80, 80, WIDE), "arcsinh": (np.arcsinh, -1e4, 1e4, WIDE),
    "arccosh": (np.arccosh, 1, 1e10, WIDE), "arctanh": (np.arctanh, -1, 1, WIDE), "cbrt": (np.cbrt, -1e4, 1e4, WIDE),
    "sqrt": (np.sqrt, 0, 1e30, 0.501), "rsqrt": (lambda x: 1 / np.sqrt(x), 1e-30, 1e30, 1.5),
    "rcbrt": (lambda x: 1 / np.cbrt(x), -1e4, 1e4, 1.6), "softsign": (lambda x: x / (1 + np.abs(x)), -50, 50, 1.6),
}


@pytest.mark.parametrize("name", ACCURACY)
def test_accuracy(name, level):
    f, low, high, bound = ACCURACY[name]
    rng = np.random.default_rng(11)
    x = np.concatenate([rng.uniform(low, high, 20000), rng.uniform(-1, 2, 20000),
                        np.exp(rng.uniform(-87, 3, 5000)) * rng.choice([-1, 1], 5000)]).astype("float32")
    x = x[(x >= low) & (x <= high)]
    with np.errstate(all="ignore"):
        assert ulps(call(name, x), f(x.astype("float64"))) <= bound
        if name not in ("erf", "rcbrt"):        # libm's
            assert ulps(call(name, x.astype("float64")), f(x.astype("longdouble"))) <= 3


@pytest.mark.parametrize("name", ACCURACY)
def test_accuracy_from_end_to_end(name, level):
    """Every 16411th bit pattern: all signs, exponents and subnormal numbers, infinities and NaNs of all sorts."""
    f, _, _, bound = ACCURACY[name]
    x = np.concatenate([np.arange(0, 2**32, 16411, dtype="uint64").astype("uint32").view("float32"),
                        f32(0, -0.0, INF, -INF, NAN, 1, -1)])
    with np.errstate(all="ignore"):
        got, want = call(name, x), f(x.astype("float64"))
        huge = np.isinf(want.astype("float32")) & (np.abs(want) < 3.402825e38)     # rounds to infinity or just does not
        assert ulps(got[~huge], want[~huge]) <= bound
        zero = want == 0
        if name not in ("cos", "_softrelu", "exp", "sigmoid", "log", "log2", "log10", "arccos", "arccosh"):
            np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(want[zero]))


def test_accuracy_of_power(level):
    rng = np.random.default_rng(2)
    a = np.exp(rng.uniform(-87, 88, 40000)).astype("float32")
    b = (rng.uniform(-100, 100, 40000) / np.log(a)).astype("float32")
    a = np.concatenate([a, rng.uniform(0.5, 2, 40000).astype("float32"), -a[:20000]])
    b = np.concatenate([b, rng.uniform(-120, 120, 40000).astype("float32"), np.rint(b[:20000])])
    special = f32(1, -1, 0, -0.0, INF, -INF, NAN, 2.5, -2.5, 2, -2, 3, -3, 0.5, -0.5, 1e-45, -1e-45, 3e38, -3e38,
                  16777215, -16777215, 16777216, 33554433, 1e20, -1e20)
    with np.errstate(all="ignore"):
        want = np.power(a.astype("float64"), b.astype("float64"))
        near = np.abs(want) > 3.4028e38
        assert ulps(call("_power", a, b)[~near], want[~near]) <= WIDE
        a, b = (v.ravel() for v in np.meshgrid(special, special))
        want = np.power(a.astype("float64"), b.astype("float64"))
        got = call("_power", a, b)
        assert ulps(got, want) <= WIDE
        number = ~np.isnan(want)
        np.testing.assert_array_equal(np.signbit(got[number]), np.signbit(want[number]))


def test_far_arguments_of_sine(level):
    """The reduction of large arguments is libm's, one by one, beside near ones in the same vector."""
    x = np.concatenate([f32(4e8, -4e8, 1e20, 3e38, -3.4e38, INF, NAN, 1.0, 2.0), np.full(30, 0.5, "float32"),
                        np.geomspace(1e6, 3e38, 50).astype("float32")])
    with np.errstate(all="ignore"):
        for name, f in (("sin", np.sin), ("cos", np.cos), ("tan", np.tan)):
            assert ulps(call(name, x), f(x.astype("float64"))) <= WIDE
            assert ulps(call("_backward_sin", np.ones_like(x), x), np.cos(x.astype("float64"))) <= WIDE
