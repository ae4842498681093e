"""Element-wise functions of one array.

Each row of the tables below is one operator: its value, and the derivative in terms of what backward keeps, the input
(``x``) or the output (``y``). The C text of the same functions is ``_core/kernels/unary.h``.
"""
import numpy as np

from . import special
from .elementwise import floating, native, quiet, record, to_dtype
from .record import Param, S, unify
from .types import DTYPES, dtype

DEFAULT = (S((2, 3)), S((5,)), S((0, 4)), S((3, 1, 37)))
TWO_OVER_ROOT_PI = 1.1283791670955126


def unary(name, doc, value, keep=None, slope=None, curve=None, exact=False, low=-1.0, high=1.0, kinks=(), aliases=""):
    """Make the record of a function, and of its backward where it has one.

    value      ``(xp, x)``
    keep       what backward reads besides the head gradient: "x" or "y"
    slope      ``(xp, dy, kept)``: the gradient
    curve      ``(F, kept)``: derivative of the slope by what is kept, as a graph; 0 where it vanishes
    exact      integers keep their own arithmetic (else they are computed in float64 and truncated)
    """
    wrap = native if exact else floating
    samples = tuple(S(*s.shapes, low=low, high=high) for s in DEFAULT)
    backward = "_backward_" + name
    grad = None
    if keep is not None:
        def grad(F, n, dy):
            return getattr(F, backward)(dy, (n.inputs if keep == "x" else n.outputs)[0])
    record(name, doc, ref=wrap(lambda xp, p, x: value(xp, x)), inplace={0: 0}, grad=grad, samples=samples, kinks=kinks,
           aliases=aliases)
    if keep is None:
        return

    def again(F, n, ddy):
        dy, kept = n.inputs
        if curve == 0:
            return getattr(F, backward)(ddy, kept), None
        return getattr(F, backward)(ddy, kept), F.elemwise_mul(F.elemwise_mul(ddy, dy), curve(F, kept))
    if keep == "y":
        low, high = 0.1, 0.9
    shapes = tuple(S(*s.shapes, *s.shapes, low=low, high=high) for s in DEFAULT)
    record(backward, f"Gradient of `{name}`: head gradient times the derivative, from the "
           + ("input" if keep == "x" else "output") + " of forward.",
           inputs="ograd " + ("data" if keep == "x" else "output"), inplace={0: (0, 1)}, samples=shapes, kinks=kinks,
           ref=wrap(lambda xp, p, dy, s: slope(xp, dy, s)), grad=None if curve is None else again)


def _scale(F, x, k):
    return F._mul_scalar(x, scalar=k)


def _minus_power(k, power):
    """curve ``k * x ** power``."""
    return lambda F, x: _scale(F, F._power_scalar(x, scalar=power), k)


def _quadratic(a, b, k, power):
    """curve ``k * x * (a + b * x * x) ** power``"""
    def curve(F, x):
        inner = F._power_scalar(F._plus_scalar(_scale(F, F.square(x), b), scalar=a), scalar=power)
        return _scale(F, F.elemwise_mul(x, inner), k)
    return curve


def _softsign_curve(F, x):
    """-2 sign(x) / (1 + abs(x)) ** 3"""
    cube = F._power_scalar(F._plus_scalar(F.abs(x), scalar=1.0), scalar=-3.0)
    return _scale(F, F.elemwise_mul(F.sign(x), cube), -2.0)


def _gamma_curve(F, x):
    """gamma * (digamma ** 2 + trigamma)"""
    return F.elemwise_mul(F.gamma(x), F.elemwise_add(F.square(F._digamma(x)), F._trigamma(x)))


def _round_away(xp, x):
    return xp.trunc(x + xp.copysign(xp.where(xp.abs(x) < 2**52, 0.49999999999999994, 0.0), x)) \
        if x.dtype == np.float64 else xp.copysign(xp.floor(xp.abs(x).astype("float64") + 0.5), x)


def _rint(xp, x):
    """Nearest integer, halves downward: MXNet's rule."""
    f, c = xp.floor(x), xp.ceil(x)
    return xp.where(x - f <= c - x, f, c)


def _sigmoid(xp, x):
    e = xp.exp(-xp.abs(x))
    return xp.where(x < 0, e / (1 + e), 1 / (1 + e))


# -- activations --------------------------------------------------------------------------------------------------
unary("relu", "max(x, 0); NaN stays NaN.", lambda xp, x: xp.where((x > 0) | (x != x), x, x.dtype.type(0)),
      "y", lambda xp, dy, y: xp.where(y > 0, dy, xp.where(y != y, y, dy.dtype.type(0))), 0, exact=True, kinks=(0,))
unary("sigmoid", "1 / (1 + exp(-x)).", _sigmoid,
      "y", lambda xp, dy, y: dy * (y * (1 - y)), lambda F, y: F._rminus_scalar(_scale(F, y, 2.0), scalar=1.0), high=3.0)
unary("softsign", "x / (1 + abs(x)).", lambda xp, x: x / (1 + xp.abs(x)),
      "x", lambda xp, dy, x: dy / xp.square(1 + xp.abs(x)), _softsign_curve)
unary("tanh", "Hyperbolic tangent.", lambda xp, x: xp.tanh(x),
      "y", lambda xp, dy, y: dy * (1 - y * y), lambda F, y: _scale(F, y, -2.0), high=3.0)
unary("erf", "Gauss error function.", special.erf,
      "x", lambda xp, dy, x: dy * (TWO_OVER_ROOT_PI * xp.exp(-x * x)),
      lambda F, x: F.elemwise_mul(_scale(F, x, -2 * TWO_OVER_ROOT_PI), F.exp(F.negative(F.square(x)))), high=3.0)
unary("erfinv", "Inverse of `erf`: infinite at -1 and 1, NaN outside of them.", special.erfinv,
      "y", lambda xp, dy, y: dy * (xp.exp(y * y) / TWO_OVER_ROOT_PI),
      lambda F, y: F.elemwise_mul(_scale(F, y, 2 / TWO_OVER_ROOT_PI), F.exp(F.square(y))), low=-0.9, high=0.9)

# -- exponentials and logarithms ----------------------------------------------------------------------------------
unary("exp", "e to the power x.", lambda xp, x: xp.exp(x),
      "y", lambda xp, dy, y: dy * y, lambda F, y: F.ones_like(y), high=2.0)
unary("expm1", "exp(x) - 1, exact for small x.", lambda xp, x: xp.expm1(x),
      "y", lambda xp, dy, y: dy * (y + 1), lambda F, y: F.ones_like(y), high=2.0)
unary("log", "Natural logarithm.", lambda xp, x: xp.log(x),
      "x", lambda xp, dy, x: dy / x, _minus_power(-1.0, -2.0), low=0.2, high=3.0)
unary("log2", "Logarithm to base 2.", lambda xp, x: xp.log2(x),
      "x", lambda xp, dy, x: dy / (x * np.log(2.0).astype(x.dtype)), _minus_power(-1 / np.log(2.0), -2.0),
      low=0.2, high=3.0)
unary("log10", "Logarithm to base 10.", lambda xp, x: xp.log10(x),
      "x", lambda xp, dy, x: dy / (x * np.log(10.0).astype(x.dtype)), _minus_power(-1 / np.log(10.0), -2.0),
      low=0.2, high=3.0)
unary("log1p", "log(1 + x), exact for small x.", lambda xp, x: xp.log1p(x),
      "x", lambda xp, dy, x: dy / (1 + x),
      lambda F, x: F.negative(F._power_scalar(F._plus_scalar(x, scalar=1.0), scalar=-2.0)), low=-0.7, high=3.0)

# -- trigonometry -------------------------------------------------------------------------------------------------
unary("sin", "Sine of x in radians.", lambda xp, x: xp.sin(x),
      "x", lambda xp, dy, x: dy * xp.cos(x), lambda F, x: F.negative(F.sin(x)), low=-4.0, high=4.0)
unary("cos", "Cosine of x in radians.", lambda xp, x: xp.cos(x),
      "x", lambda xp, dy, x: dy * -xp.sin(x), lambda F, x: F.negative(F.cos(x)), low=-4.0, high=4.0)
unary("tan", "Tangent of x in radians.", lambda xp, x: xp.tan(x),
      "y", lambda xp, dy, y: dy * (1 + y * y), lambda F, y: _scale(F, y, 2.0))
unary("arcsin", "Inverse sine, in [-pi/2, pi/2]; NaN outside of [-1, 1].", lambda xp, x: xp.arcsin(x),
      "x", lambda xp, dy, x: dy / xp.sqrt(1 - x * x), _quadratic(1.0, -1.0, 1.0, -1.5), low=-0.9, high=0.9)
unary("arccos", "Inverse cosine, in [0, pi]; NaN outside of [-1, 1].", lambda xp, x: xp.arccos(x),
      "x", lambda xp, dy, x: -dy / xp.sqrt(1 - x * x), _quadratic(1.0, -1.0, -1.0, -1.5), low=-0.9, high=0.9)
unary("arctan", "Inverse tangent, in [-pi/2, pi/2].", lambda xp, x: xp.arctan(x),
      "x", lambda xp, dy, x: dy / (1 + x * x),
      _quadratic(1.0, 1.0, -2.0, -2.0), low=-3.0, high=3.0)
unary("sinh", "Hyperbolic sine.", lambda xp, x: xp.sinh(x),
      "x", lambda xp, dy, x: dy * xp.cosh(x), lambda F, x: F.sinh(x), low=-2.0, high=2.0)
unary("cosh", "Hyperbolic cosine.", lambda xp, x: xp.cosh(x),
      "x", lambda xp, dy, x: dy * xp.sinh(x), lambda F, x: F.cosh(x), low=-2.0, high=2.0)
unary("arcsinh", "Inverse hyperbolic sine.", lambda xp, x: xp.arcsinh(x),
      "x", lambda xp, dy, x: dy / xp.hypot(x, x.dtype.type(1)), _quadratic(1.0, 1.0, -1.0, -1.5), low=-3.0, high=3.0)
unary("arccosh", "Inverse hyperbolic cosine; NaN below 1.", lambda xp, x: xp.arccosh(x),
      "x", lambda xp, dy, x: dy / xp.sqrt(x * x - 1), _quadratic(-1.0, 1.0, -1.0, -1.5), low=1.1, high=4.0)
unary("arctanh", "Inverse hyperbolic tangent; NaN outside of [-1, 1].", lambda xp, x: xp.arctanh(x),
      "x", lambda xp, dy, x: dy / (1 - x * x), _quadratic(1.0, -1.0, 2.0, -2.0), low=-0.9, high=0.9)

# -- powers and roots ---------------------------------------------------------------------------------------------
unary("sqrt", "Square root; NaN below 0.", lambda xp, x: xp.sqrt(x),
      "y", lambda xp, dy, y: dy * (0.5 / y), _minus_power(-0.5, -2.0), low=0.2, high=3.0)
unary("rsqrt", "1 / sqrt(x).", lambda xp, x: 1 / xp.sqrt(x),
      "x", lambda xp, dy, x: dy * (-0.5 / (x * xp.sqrt(x))), _minus_power(0.75, -2.5), low=0.2, high=3.0)
unary("cbrt", "Cube root.", lambda xp, x: xp.cbrt(x),
      "y", lambda xp, dy, y: dy / (3 * y * y), _minus_power(-2 / 3, -3.0), low=0.2, high=3.0)
unary("rcbrt", "1 / cbrt(x).", lambda xp, x: 1 / xp.cbrt(x),
      "x", lambda xp, dy, x: dy * (-1 / (3 * x * xp.cbrt(x))),
      lambda F, x: _scale(F, F.elemwise_div(F.rcbrt(x), F.square(x)), 4 / 9), low=0.2, high=3.0)
unary("square", "x * x.", lambda xp, x: x * x,
      "x", lambda xp, dy, x: dy * (2 * x), lambda F, x: _scale(F, F.ones_like(x), 2.0), exact=True)
unary("reciprocal", "1 / x.", lambda xp, x: 1 / x,
      "x", lambda xp, dy, x: dy * (-1 / (x * x)), _minus_power(2.0, -3.0), low=0.2, high=3.0)
unary("gamma", "Gamma function.", special.gamma,
      "x", lambda xp, dy, x: dy * (special.gamma(xp, x) * special.digamma(xp, x)), _gamma_curve, low=0.3, high=3.0)
unary("gammaln", "Logarithm of the gamma function's magnitude.", special.gammaln,
      "x", lambda xp, dy, x: dy * special.digamma(xp, x), lambda F, x: F._trigamma(x), low=0.3, high=3.0)
unary("_digamma", "Derivative of `gammaln`; infinite at 0 and the negative integers.", special.digamma,
      "x", lambda xp, dy, x: dy * special.trigamma(xp, x), low=0.3, high=3.0)
unary("_trigamma", "Derivative of `_digamma`; infinite at 0 and the negative integers.", special.trigamma, low=0.3,
      high=3.0)

# -- sign and rounding --------------------------------------------------------------------------------------------
unary("abs", "Magnitude of x.", lambda xp, x: xp.abs(x),
      "x", lambda xp, dy, x: dy * xp.where(x > 0, 1, xp.where(x < 0, -1, 0)).astype(x.dtype), 0, exact=True, kinks=(0,))
STEPS = (-1.0, -0.5, 0.0, 0.5, 1.0)     # kinks of the rounding functions within the samples' range
unary("sign", "-1, 0 or 1; 0 for NaN.", exact=True, kinks=(0,),
      value=lambda xp, x: ((x > 0).astype(x.dtype) - (x < 0).astype(x.dtype) if x.dtype.kind != "u"
                           else (x > 0).astype(x.dtype)))
unary("ceil", "Smallest integer not below x.", exact=True, kinks=STEPS,
      value=lambda xp, x: xp.ceil(x) if x.dtype.kind == "f" else x)
unary("floor", "Largest integer not above x.", exact=True, kinks=STEPS,
      value=lambda xp, x: xp.floor(x) if x.dtype.kind == "f" else x)
unary("trunc", "x without its fraction.", exact=True, kinks=STEPS,
      value=lambda xp, x: xp.trunc(x) if x.dtype.kind == "f" else x)
unary("fix", "x without its fraction: the integer nearest to x toward zero.", exact=True, kinks=STEPS,
      value=lambda xp, x: xp.trunc(x) if x.dtype.kind == "f" else x)
unary("round", "Nearest integer, halves away from zero.", exact=True, kinks=STEPS,
      value=lambda xp, x: _round_away(xp, x) if x.dtype.kind == "f" else x)
unary("rint", "Nearest integer, halves downward (MXNet's rule: rint(0.5) is 0, rint(1.5) is 1, rint(-1.5) is -2).",
      exact=True, kinks=STEPS, value=lambda xp, x: _rint(xp, x) if x.dtype.kind == "f" else x)
unary("logical_not", "1 where x is zero, else 0, in x's dtype.", lambda xp, x: (x == 0).astype(x.dtype), exact=True,
      kinks=(0,))


def _linear(name, doc, value, factor, exact=False):
    """A function that multiplies by a constant: its gradient does the same to the head gradient."""
    record(name, doc, ref=(native if exact else floating)(lambda xp, p, x: value(xp, x)), inplace={0: 0},
           samples=DEFAULT, grad=factor)


_linear("negative", "-x; unsigned integers wrap.", lambda xp, x: -x, lambda F, n, dy: F.negative(dy), exact=True)
_linear("degrees", "Radians to degrees.", lambda xp, x: xp.degrees(x), lambda F, n, dy: F.degrees(dy))
_linear("radians", "Degrees to radians.", lambda xp, x: xp.radians(x), lambda F, n, dy: F.radians(dy))

record("_copy", "A copy of the input.", ref=lambda xp, p, x: x.copy(), inplace={0: 0}, grad=lambda F, n, dy: dy,
       aliases="identity", samples=DEFAULT)
record("BlockGrad", "The input; no gradient passes through.", ref=lambda xp, p, x: x.copy(), inplace={0: 0},
       aliases="stop_gradient", cpu="elementwise._copy", samples=DEFAULT)
record("make_loss", "The input, made a source of gradients: the gradient is 1 whatever arrives from above.",
       ref=lambda xp, p, x: x.copy(), inplace={0: 0}, cpu="elementwise._copy", loss=True, samples=DEFAULT,
       outputs="loss", grad=lambda F, n, dy: F.ones_like(n.inputs[0]))
record("zeros_like", "Zeros of the input's shape and dtype.", ref=lambda xp, p, x: xp.zeros_like(x), inplace={0: 0},
       samples=DEFAULT)
record("ones_like", "Ones of the input's shape and dtype.", ref=lambda xp, p, x: xp.ones_like(x), inplace={0: 0},
       samples=DEFAULT)
record("_where_number", "`ograd` where `data` is a number, 0 where it is NaN: the gradient of NaN-skipping reductions.",
       inputs="ograd data", ref=native(lambda xp, p, dy, x: xp.where(x == x, dy, dy.dtype.type(0))),
       inplace={0: (0, 1)}, samples=(S((2, 3), (2, 3)),),
       grad=lambda F, n, ddy: (F._where_number(ddy, n.inputs[1]), None))


def _cast_dtype(p, ins, outs):
    return ins, [p.dtype]


def _cast_shape(p, ins, outs):
    shape = unify(ins[0], outs[0])
    return [shape], [shape]


def _cast_sample(shape, to):
    sample = S(shape)               # S has a field `dtype` of its own
    sample.params["dtype"] = to
    return sample


record("Cast", "The input converted to another dtype. Floats lose their fraction on the way to integers and wrap as "
       "C's conversion on x86 does; any nonzero number becomes a true bool.",
       params={"dtype": Param(dtype, help="Output data type.", choices=DTYPES)}, aliases="cast",
       infer=_cast_shape, infer_dtype=_cast_dtype, cpu="elementwise.cast",
       ref=quiet(lambda xp, p, x: to_dtype(xp, x, p.dtype)), grad=lambda F, n, dy: F.Cast(dy, dtype=n.in_dtypes[0]),
       samples=(_cast_sample((2, 3), "float64"), _cast_sample((300,), "float64"), _cast_sample((0, 2), "float64")))
