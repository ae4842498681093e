"""Element-wise functions of one array and numbers: arithmetic with a scalar, clip, smooth_l1, hard_sigmoid.

The numbers are dynamic: kernels read them when they run, so ``x * 0.1`` and ``x * 0.2`` share one plan.
"""
import numpy as np

from .binary import VALUES
from .elementwise import FLOATS, is_float, quiet, record, to_dtype
from .record import Param, S
from .types import boolean, real

PARAMS = {"scalar": Param(real, 1.0, "The number."),
          "is_int": Param(boolean, True, "False: an integer array is computed and returned as float64.")}
SHAPES = ((2, 3), (0, 4), (3, 1, 37))


def _dtype(p, ins, outs):
    """The input's dtype, except that integers with a scalar said not to be one give float64, and bools give int64."""
    d = ins[0]
    if d == "bool":
        return ins, ["int64"]
    if not p.is_int and d is not None and d not in FLOATS:
        return ins, ["float64"]
    if d is None and p.is_int:
        d = outs[0]
    return [d], [d]


def whole(v):
    """A number for integer arithmetic: truncated, and limited to what int64 holds."""
    if v != v:
        return np.int64(0)
    return np.int64(2**63 - 1 if v >= 2.0**63 else -2**63 if v < -2.0**63 else int(v))


def _ref(value, reverse):
    """`value` of an array and the scalar; integers compute in int64 with the truncated scalar, and wrap."""
    @quiet
    def ref(xp, p, x):
        if x.dtype == bool:
            x = x.astype("int64")
        elif not p.is_int and not is_float(x):
            x = x.astype("float64")
        dtype = x.dtype
        work = x if is_float(x) else x.astype("int64")
        s = xp.asarray(dtype.type(p.scalar) if is_float(x) else whole(p.scalar))
        return value(xp, s, work).astype(dtype) if reverse else value(xp, work, s).astype(dtype)
    return ref


def scalar(name, doc, value, alias, reverse=False, grad=None, scalar=2.0, low=-1.0, high=1.0, kinks=()):
    """The record of ``value(x, scalar)``, or of ``value(scalar, x)`` where `reverse`."""
    record(name, doc, params=PARAMS, dynamic="scalar", infer_dtype=_dtype, aliases=alias, inplace={0: 0},
           ref=_ref(VALUES[value], reverse), cpu="elementwise." + name, grad=grad, kinks=kinks,
           samples=tuple(S(s, scalar=scalar, low=low, high=high) for s in SHAPES))


def slope(name, doc, value, keep="data", low=-1.0, high=1.0, at=2.0, kinks=(), grad=None):
    """The record of a scalar function's gradient, of the head gradient and what forward keeps."""
    @quiet
    def ref(xp, p, dy, x):
        if is_float(x):
            return value(xp, dy, x, x.dtype.type(p.scalar)).astype(x.dtype)
        return to_dtype(xp, value(xp, dy.astype("float64"), x.astype("float64"), float(p.scalar)), x.dtype)
    record(name, doc, inputs="ograd " + keep, params={"scalar": PARAMS["scalar"]}, dynamic="scalar", ref=ref,
           inplace={0: (0, 1)}, kinks=kinks, grad=grad, cpu="elementwise." + name,
           samples=tuple(S(s, s, scalar=at, low=low, high=high) for s in SHAPES))


def _by(name, keep_output=False):
    return lambda F, n, dy: getattr(F, name)(dy, (n.outputs if keep_output else n.inputs)[0], scalar=n.p.scalar)


scalar("_plus_scalar", "x + scalar.", "add", "_PlusScalar", grad=lambda F, n, dy: dy)
scalar("_minus_scalar", "x - scalar.", "sub", "_MinusScalar", grad=lambda F, n, dy: dy)
scalar("_rminus_scalar", "scalar - x.", "sub", "_RMinusScalar", True, grad=lambda F, n, dy: F.negative(dy))
scalar("_mul_scalar", "x * scalar.", "mul", "_MulScalar", grad=lambda F, n, dy: F._mul_scalar(dy, scalar=n.p.scalar))
scalar("_div_scalar", "x / scalar; integers divide toward zero, by zero to 0.", "div", "_DivScalar",
       grad=lambda F, n, dy: F._div_scalar(dy, scalar=n.p.scalar))
scalar("_rdiv_scalar", "scalar / x; integers divide toward zero, by zero to 0.", "div", "_RDivScalar", True,
       grad=_by("_backward_rdiv_scalar"), low=0.2)
scalar("_mod_scalar", "Remainder of x by scalar, with the sign of scalar; 0 where scalar is 0.", "mod", "_ModScalar",
       grad=lambda F, n, dy: dy, scalar=0.7, kinks=(-0.7, 0.0, 0.7))
scalar("_rmod_scalar", "Remainder of scalar by x, with the sign of x; 0 where x is 0.", "mod", "_RModScalar", True,
       grad=_by("_backward_rmod_scalar"), scalar=2.0, low=0.7, high=0.95)
scalar("_power_scalar", "x to the power scalar.", "power", "_PowerScalar", grad=_by("_backward_power_scalar"), low=0.2,
       scalar=2.5)
scalar("_rpower_scalar", "scalar to the power x.", "power", "_RPowerScalar", True,
       grad=_by("_backward_rpower_scalar", True))
scalar("_maximum_scalar", "The larger of x and scalar; NaN if x is.", "maximum", "_MaximumScalar",
       grad=_by("_backward_maximum_scalar"), scalar=0.2, kinks=(0.2,))
scalar("_minimum_scalar", "The smaller of x and scalar; NaN if x is.", "minimum", "_MinimumScalar",
       grad=_by("_backward_minimum_scalar"), scalar=0.2, kinks=(0.2,))
scalar("_hypot_scalar", "sqrt(x * x + scalar * scalar), without overflow.", "hypot", "_HypotScalar",
       grad=_by("_backward_hypot_scalar"))
for _name, _alias, _doc in (
        ("equal", "Equal", "x == scalar"), ("not_equal", "NotEqual", "x != scalar"),
        ("greater", "Greater", "x > scalar"), ("greater_equal", "GreaterEqual", "x >= scalar"),
        ("lesser", "Lesser", "x < scalar"), ("lesser_equal", "LesserEqual", "x <= scalar"),
        ("logical_and", "LogicalAnd", "both x and scalar are nonzero"),
        ("logical_or", "LogicalOr", "x or scalar is nonzero"),
        ("logical_xor", "LogicalXor", "just one of x and scalar is nonzero")):
    scalar(f"_{_name}_scalar", f"1 where {_doc}, else 0, in x's dtype.", _name, f"_{_alias}Scalar", scalar=0.5,
           kinks=(0.0, 0.5))



def _again(name, curve=None):
    """The gradient of ``dy * slope(kept)``. `curve` is ``(F, kept, scalar)``: the slope's derivative as a graph, or
    None where it vanishes, which it may also return."""
    def grad(F, n, g):
        dy, kept = n.inputs
        bend = curve and curve(F, kept, n.p.scalar)
        return (getattr(F, name)(g, kept, scalar=n.p.scalar),
                None if bend is None else F.elemwise_mul(F.elemwise_mul(g, dy), bend))
    return grad


def _power_curve(F, x, s):
    """Nothing where the slope is constant, and not zero times an infinity."""
    return F._mul_scalar(F._power_scalar(x, scalar=s - 2), scalar=s * (s - 1)) if s not in (0, 1) else None


def _hypot_curve(F, x, s):
    """s^2 / hypot^3, of ratios that do not overflow."""
    h = F._hypot_scalar(x, scalar=s)
    return F.elemwise_div(F.square(F._rdiv_scalar(h, scalar=s)), h)


def _log(s):
    return np.log(s) if s > 0 else -np.inf if s == 0 else np.nan


slope("_backward_rdiv_scalar", "Gradient of scalar / x.", lambda xp, dy, x, s: -dy * s / (x * x), low=0.2,
      grad=_again("_backward_rdiv_scalar",
                  lambda F, x, s: F._mul_scalar(F._power_scalar(x, scalar=-3.0), scalar=2 * s)))
slope("_backward_rmod_scalar", "Gradient of the remainder of scalar by x.", lambda xp, dy, x, s: dy * -xp.floor(s / x),
      low=0.7, high=0.95, grad=_again("_backward_rmod_scalar"))
slope("_backward_power_scalar", "Gradient of x ** scalar.", lambda xp, dy, x, s: dy * (s * x ** (s - 1)), low=0.2,
      at=2.5, grad=_again("_backward_power_scalar", _power_curve))
slope("_backward_rpower_scalar", "Gradient of scalar ** x, from the output.",
      lambda xp, dy, y, s: dy * (y * xp.log(xp.asarray(s))), keep="output", low=0.2,
      grad=_again("_backward_rpower_scalar", lambda F, y, s: F._mul_scalar(F.ones_like(y), scalar=_log(s))))
slope("_backward_maximum_scalar", "`ograd` where x >= scalar, else 0.",
      lambda xp, dy, x, s: xp.where(x >= s, dy, dy * 0), at=0.2, kinks=(0.2,), grad=_again("_backward_maximum_scalar"))
slope("_backward_minimum_scalar", "`ograd` where x <= scalar, else 0.",
      lambda xp, dy, x, s: xp.where(x <= s, dy, dy * 0), at=0.2, kinks=(0.2,), grad=_again("_backward_minimum_scalar"))
slope("_backward_hypot_scalar", "Gradient of hypot(x, scalar).", lambda xp, dy, x, s: dy * (x / xp.hypot(x, s)),
      grad=_again("_backward_hypot_scalar", _hypot_curve))


# -- functions with parameters of their own -----------------------------------------------------------------------
def _parametric(name, doc, params, value, gradient, samples, kinks, exact=True, curve=None, **more):
    """A function with float parameters, and its `_backward_` of head gradient and data. `curve` is ``(F, x, p)``: the
    slope's derivative as a graph, where it does not vanish."""
    keys = tuple(params)

    def again(F, n, g):
        dy, x = n.inputs
        return (getattr(F, "_backward_" + name)(g, x, **{k: getattr(n.p, k) for k in keys}),
                None if curve is None else F.elemwise_mul(F.elemwise_mul(g, dy), curve(F, x, n.p)))

    def of(rule):
        @quiet
        def ref(xp, p, *xs):
            d = xs[0].dtype
            if not is_float(xs[0]):     # clip counts in int64, the others in float64
                xs = [x.astype("float64" if not exact else "int64") for x in xs]
            s = [xs[-1].dtype.type(getattr(p, k)) if is_float(xs[-1]) else whole(getattr(p, k)) for k in keys]
            return to_dtype(xp, rule(xp, *xs, *s), d)
        return ref
    shared = dict(params=params, dynamic=" ".join(keys), kinks=kinks, **more)
    record(name, doc, ref=of(value), inplace={0: 0}, samples=samples, **shared,
           grad=lambda F, n, dy: getattr(F, "_backward_" + name)(dy, n.inputs[0],
                                                                 **{k: getattr(n.p, k) for k in keys}))
    record("_backward_" + name, f"Gradient of `{name}` from the head gradient and the input.", inputs="ograd data",
           ref=of(gradient), inplace={0: (0, 1)}, grad=again,
           samples=tuple(S(*s.shapes, *s.shapes, low=s.low, high=s.high, **s.params) for s in samples), **shared)


_parametric(
    "clip", "x limited to [a_min, a_max]; NaN stays NaN. The gradient passes where x is inside, limits included.",
    {"a_min": Param(real, help="Minimum value."), "a_max": Param(real, help="Maximum value.")},
    lambda xp, x, lo, hi: xp.where(x > hi, hi, xp.where(x < lo, lo, x)),
    lambda xp, dy, x, lo, hi: xp.where((x < lo) | (x > hi), dy * 0, dy),
    (S((2, 3), a_min=-0.5, a_max=0.25), S((300,), a_min=-0.5, a_max=0.25), S((40,), a_min=0.5, a_max=-0.5),
     S((0,), a_min=0.0, a_max=1.0)),
    (-0.5, 0.25))


def _smooth_curve(F, x, p):
    """scalar^2 near zero, else 0."""
    if p.scalar == 0:
        return F.zeros_like(x)
    near = F._lesser_equal_scalar(F.abs(x), scalar=1 / (p.scalar * p.scalar))
    return F._mul_scalar(near, scalar=p.scalar * p.scalar)


def _smooth(xp, x, s):
    return xp.where(xp.abs(x) > 1 / (s * s), xp.abs(x) - x.dtype.type(0.5) / (s * s), (s * x) * (s * x) / 2)


_parametric(
    "smooth_l1", "Huber's loss of each element: (scalar x)^2 / 2 where abs(x) < 1 / scalar^2, else "
    "abs(x) - 0.5 / scalar^2.", {"scalar": Param(real, 1.0, "Its square is where the square gives way to the line.")},
    _smooth, lambda xp, dy, x, s: dy * xp.where(xp.abs(x) > 1 / (s * s), xp.sign(x), s * s * x),
    (S((2, 3), scalar=1.0, low=-3.0, high=3.0), S((70,), scalar=2.0), S((0, 1))), (-1.0, -0.25, 0.25, 1.0),
    exact=False, curve=_smooth_curve)
_parametric(
    "hard_sigmoid", "max(0, min(1, alpha x + beta)).",
    {"alpha": Param(real, float(np.float32(0.2)), "Slope."), "beta": Param(real, 0.5, "Value at 0.")},
    lambda xp, x, a, b: xp.where(a * x + b != a * x + b, x, xp.clip(a * x + b, 0, 1).astype(x.dtype)),
    lambda xp, dy, x, a, b: xp.where((a * x + b > 0) & (a * x + b < 1), dy * a, dy * 0),
    (S((2, 3), low=-4.0, high=4.0), S((70,), alpha=0.4, beta=0.3, low=-2.0, high=3.0), S((0, 1))),
    (-2.5, 2.5, -0.75, 1.75), exact=False)
