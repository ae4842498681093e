"""Element-wise functions of two arrays, of one shape (``elemwise_*``, ``_power``...) or broadcast (``broadcast_*``).

Integers compute exactly in int64 and wrap. The C text of the same functions is ``_core/kernels/binary.h``.
"""
import functools

from .elementwise import EVERY, is_float, quiet, record, to_dtype
from .record import Op, Param, S, same_shape, show, unify
from .rules import axis_of, broadcast, broadcast_shapes, size
from .types import integer, optional, shape


def _div(xp, a, b):
    if is_float(a):
        return a / b
    q = xp.abs(a) // xp.maximum(xp.abs(b), 1)
    return xp.where(b == 0, 0, xp.where((a < 0) != (b < 0), -q, q))


def _mod(xp, a, b):
    """Remainder with the divisor's sign; 0 for a zero divisor. An infinite divisor of the other sign is the result."""
    if not is_float(a):
        return xp.where(b == 0, 0, a % xp.where(b == 0, 1, b))
    r = xp.fmod(a, b)
    fixed = xp.where((r != 0) & ((r < 0) != (b < 0)), r + b, xp.where((r == 0) & ((a < 0) != (b < 0)), xp.abs(r), r))
    return xp.where(b == 0, 0, fixed)


def _power(xp, a, b):
    if is_float(a):
        return xp.power(a, b)
    whole = a ** xp.maximum(b, 0)
    return xp.where(b >= 0, whole, xp.where(a == 1, 1, xp.where(a == -1, 1 - 2 * (b & 1), 0)))


def _maximum(xp, a, b):
    return xp.where((a != a) | (a > b), a, b)


def _minimum(xp, a, b):
    return xp.where((a != a) | (a < b), a, b)


def _hypot(xp, a, b):
    if is_float(a):
        return xp.hypot(a, b)
    return to_dtype(xp, xp.hypot(a.astype("float64"), b.astype("float64")), "int64")


def _truth(test):
    return lambda xp, a, b: test(a, b).astype(a.dtype)


VALUES = {
    "add": lambda xp, a, b: a + b, "sub": lambda xp, a, b: a - b, "mul": lambda xp, a, b: a * b,
    "div": _div, "mod": _mod, "power": _power, "maximum": _maximum, "minimum": _minimum, "hypot": _hypot,
    "equal": _truth(lambda a, b: a == b), "not_equal": _truth(lambda a, b: a != b),
    "greater": _truth(lambda a, b: a > b), "greater_equal": _truth(lambda a, b: a >= b),
    "lesser": _truth(lambda a, b: a < b), "lesser_equal": _truth(lambda a, b: a <= b),
    "logical_and": _truth(lambda a, b: (a != 0) & (b != 0)), "logical_or": _truth(lambda a, b: (a != 0) | (b != 0)),
    "logical_xor": _truth(lambda a, b: (a != 0) ^ (b != 0)),
}


def on_every_dtype(value):
    """A reference that computes floats as they are, and integers and booleans in int64."""
    @quiet
    @functools.wraps(value)
    def ref(xp, p, a, b):
        dtype = a.dtype
        if not is_float(a):
            a, b = a.astype("int64"), b.astype("int64")
        return value(xp, a, b).astype(dtype)
    return ref


class Same:
    """Builds gradients of same-shape operators: ``B.mul(a, b)`` is a node of ``elemwise_mul``."""

    names = {"mul": "elemwise_mul", "div": "elemwise_div", "sub": "elemwise_sub"}
    prefix = "_"

    def __init__(self, F, n):
        self.F, self.n = F, n

    def __getattr__(self, name):
        return getattr(self.F, self.names.get(name, self.prefix + name))

    def fit(self, g, i):
        return g


class Broadcast(Same):
    """The same for broadcasting operators; `fit` sums a gradient back to its input's shape."""

    names = {}
    prefix = "broadcast_"

    def fit(self, g, i):
        small, full = self.n.in_shapes[i], self.n.out_shapes[0]
        return g if g is None or small == full else self.F._unbroadcast(g, shape=small)


def _grad_mul(B, F, dy, a, b, y):
    return B.mul(dy, b), B.mul(dy, a)


def _grad_div(B, F, dy, a, b, y):
    da = B.div(dy, b)
    return da, F.negative(F.elemwise_mul(da, y))


def _grad_mod(B, F, dy, a, b, y):
    return dy, F.negative(F.elemwise_mul(dy, F.floor(B.div(a, b))))


def _grad_power(B, F, dy, a, b, y):
    return (F.elemwise_mul(dy, B.mul(B.power(a, F._minus_scalar(b, scalar=1.0)), b)),
            F.elemwise_mul(dy, B.mul(y, F.log(a))))


def _grad_hypot(B, F, dy, a, b, y):
    q = F.elemwise_div(dy, y)
    return B.mul(q, a), B.mul(q, b)


# name -> (what it computes, gradient, kinks, low, high)
TABLE = {
    "add": ("lhs + rhs", lambda B, F, dy, *_: (dy, dy), (), -1, 1),
    "sub": ("lhs - rhs", lambda B, F, dy, *_: (dy, F.negative(dy)), (), -1, 1),
    "mul": ("lhs * rhs", _grad_mul, (), -1, 1),
    "div": ("lhs / rhs; integers divide toward zero, by zero to 0", _grad_div, (), 0.3, 2),
    "mod": ("Remainder of lhs by rhs, with the sign of rhs; 0 where rhs is 0", _grad_mod, (), 0.55, 0.95),
    "power": ("lhs to the power rhs", _grad_power, (), 0.3, 2),
    "maximum": ("The larger of lhs and rhs; NaN where either is. At a tie the gradient goes to lhs",
                lambda B, F, dy, a, b, y: (F.elemwise_mul(dy, B.greater_equal(a, b)),
                                           F.elemwise_mul(dy, B.lesser(a, b))), (), -1, 1),
    "minimum": ("The smaller of lhs and rhs; NaN where either is. At a tie the gradient goes to lhs",
                lambda B, F, dy, a, b, y: (F.elemwise_mul(dy, B.lesser_equal(a, b)),
                                           F.elemwise_mul(dy, B.greater(a, b))), (), -1, 1),
    "hypot": ("sqrt(lhs * lhs + rhs * rhs), without overflow", _grad_hypot, (), 0.2, 1),
    **{name: (f"1 where {test}, else 0, in the inputs' dtype", None, (0,), -1, 1) for name, test in (
        ("equal", "lhs == rhs"), ("not_equal", "lhs != rhs"), ("greater", "lhs > rhs"),
        ("greater_equal", "lhs >= rhs"), ("lesser", "lhs < rhs"), ("lesser_equal", "lhs <= rhs"),
        ("logical_and", "both are nonzero"), ("logical_or", "either is nonzero"),
        ("logical_xor", "just one is nonzero"))},
}
ELEMWISE = {"add": "_add _plus _Plus", "sub": "_sub _minus _Minus", "mul": "_mul _Mul", "div": "_div _Div"}
BROADCAST = {"add": "broadcast_plus", "sub": "broadcast_minus"}
SAME_SAMPLES = ((2, 3), (0, 4), (3, 1, 37))
PAIRS = (((2, 3), (2, 3)), ((4, 1), (1, 5)), ((5, 7), (7,)), ((3, 1), (3, 70)), ((1,), (2, 3)),
         ((2, 1, 3, 1), (5, 1, 4)), ((0, 3), (1, 3)), ((4, 2, 3), (2, 1)), ((3, 40, 1), (1, 40, 6)))


def _strides(shape_, n, out):
    """Element strides of `shape_` against the output shape `out`: 0 where it is repeated."""
    full = (1,) * (n - len(shape_)) + tuple(shape_)
    steps, step = [], 1
    for d in reversed(full):
        steps.append(0 if d == 1 else step)
        step *= d
    return steps[::-1]


def broadcast_args(p, ins, outs):
    """Loop nest of a broadcast: axes of size 1 dropped, neighbours merged where both inputs allow it."""
    out = outs[0]
    a, b = (_strides(s, len(out), out) for s in (ins[0], ins[-1]))
    return _nest(out, a, b)


def _nest(out, a, b):
    dims, sa, sb = [], [], []
    for d, i, j in zip(out, a, b):
        if d == 1:
            continue
        if dims and sa[-1] == i * d and sb[-1] == j * d:
            dims[-1] *= d
            sa[-1], sb[-1] = i, j
        else:
            dims.append(d)
            sa.append(i)
            sb.append(j)
    pad = 8 - len(dims)
    if pad < 0:
        raise ValueError("at most 8 axes")
    return {"ndim": len(dims), "dims": dims + [0] * pad, "a": sa + [0] * pad, "b": sb + [0] * pad}


def _make(name):
    doc, gradient, kinks, low, high = TABLE[name]

    def through(build):
        if gradient is None:
            return None

        def grad(F, n, dy):
            B = build(F, n)
            da, db = gradient(B, F, dy, *n.inputs, n.outputs[0])
            return B.fit(da, 0), B.fit(db, 1)
        return grad
    shared = dict(inputs="lhs rhs", ref=on_every_dtype(VALUES[name]), kinks=kinks)
    record(ELEMWISE.get(name) and "elemwise_" + name or "_" + name, doc + "; both of one shape.",
           cpu="elementwise." + name, inplace={0: (0, 1)}, grad=through(Same), infer=same_shape,
           aliases=ELEMWISE.get(name, "_" + "_".join(w.capitalize() for w in name.split("_"))),
           samples=tuple(S(s, s, low=low, high=high) for s in SAME_SAMPLES), **shared)
    record("broadcast_" + name, doc + "; shapes are broadcast as NumPy does.", cpu="elementwise.broadcast_" + name,
           inplace={0: (0, 1)}, infer=broadcast, launch=broadcast_args, grad=through(Broadcast),
           aliases=BROADCAST.get(name, ""), samples=tuple(S(*s, low=low, high=high) for s in PAIRS), **shared)


for _name in TABLE:
    _make(_name)


class _accumulate(Op):
    """lhs + rhs, into lhs's memory where the planner can: what adds up gradients."""

    inputs = "lhs rhs"
    aliases = "_grad_add"
    ref = on_every_dtype(VALUES["add"])
    cpu = "elementwise.add"
    cpu_dtypes = EVERY
    inplace = {0: (0, 1)}
    samples = (S((2, 3), (2, 3)),)

    def grad(F, n, dy):
        return dy, dy


class add_n(Op):
    """Sum of any number of arrays of one shape."""

    inputs = "*args"
    params = {"num_args": Param(integer, 0, "Number of inputs.")}
    aliases = "ElementWiseSum"
    cpu = "elementwise.add_n"
    cpu_dtypes = EVERY
    inplace = {0: 0}
    samples = (S((2, 3), (2, 3), (2, 3)), S((300,)), S(*[(7, 5)] * 9), S((0,), (0,)))

    @quiet
    def ref(xp, p, *xs):
        total = xs[0].astype("float64") if is_float(xs[0]) else xs[0].astype("int64")
        for x in xs[1:]:
            total = total + x
        return total.astype(xs[0].dtype)

    def grad(F, n, dy):
        return (dy,) * len(n.inputs)


# -- broadcasting one array ---------------------------------------------------------------------------------------
def _spread_args(ins, out, axes):
    """Loop nest of a copy that repeats the input along `axes` and wherever it has size 1."""
    kept = tuple(1 if i in axes else d for i, d in enumerate(out))
    steps = _strides(kept, len(out), out)
    return _nest(out, steps, steps)


def _repeat_args(p, ins, outs):
    return _spread_args(ins, outs[0], tuple(i for i, (d, o) in enumerate(zip(ins[0], outs[0])) if d != o))


def _unsum(F, n, dy):
    return F._unbroadcast(dy, shape=n.in_shapes[0]) if n.in_shapes[0] != n.out_shapes[0] else dy


BROADCAST_ONE = dict(ref=None, cpu="elementwise.broadcast", cpu_dtypes=EVERY, launch=_repeat_args, grad=_unsum)


def _check_repeat(x, out):
    if x is not None and any(d not in (1, o) for d, o in zip(x, out) if d is not None and o is not None):
        raise ValueError(f"shape {show(x)} cannot be broadcast to {show(out)}")


def _to_infer(p, ins, outs):
    x, to = ins[0], p.shape
    if x is None:
        return ins, [unify(None if 0 in to else to, outs[0])]
    if len(x) != len(to):
        raise ValueError(f"shape {show(x)} cannot be broadcast to {show(to)}: the numbers of axes differ")
    out = unify(tuple(d if t == 0 else t for d, t in zip(x, to)), outs[0])
    _check_repeat(x, out)
    return ins, [out]


record("broadcast_to", "The input with axes of size 1 repeated to `shape`; 0 in `shape` keeps the input's size.",
       params={"shape": Param(shape, (), "Shape of the result; one entry an axis.")}, infer=_to_infer,
       samples=(S((2, 1, 3), shape=(2, 5, 3)), S((1, 4), shape=(3, 0)), S((1,), shape=(300,)), S((0, 1), shape=(0, 2))),
       **{**BROADCAST_ONE, "ref": lambda xp, p, x: xp.broadcast_to(
           x, tuple(d if t == 0 else t for d, t in zip(x.shape, p.shape))).copy()})


def _axis_out(x, axes, sizes):
    if len(axes) != len(sizes):
        raise ValueError(f"axis {axes} and size {sizes} differ in length")
    out = list(x)
    for a, n in zip(axes, sizes):
        a = axis_of(a, len(x))
        if x[a] not in (1, None):
            raise ValueError(f"broadcast axis {a} must have size 1, shape is {show(x)}")
        out[a] = n
    return tuple(out)


def _axis_infer(p, ins, outs):
    return ins, [unify(None if ins[0] is None else _axis_out(ins[0], p.axis, p.size), outs[0])]


record("broadcast_axis", "The input with the axes `axis`, of size 1, repeated `size` times.", aliases="broadcast_axes",
       params={"axis": Param(shape, (), "The axes to repeat."), "size": Param(shape, (), "Their sizes in the result.")},
       infer=_axis_infer,
       samples=(S((2, 1, 3), axis=1, size=4), S((1, 3, 1), axis=(2, 0), size=(5, 2)), S((2, 3))),
       **{**BROADCAST_ONE, "ref": lambda xp, p, x: xp.broadcast_to(x, _axis_out(x.shape, p.axis, p.size)).copy()})


def _like_out(p, a, b):
    if p.lhs_axes is None or p.rhs_axes is None:        # one alone says nothing, as in MXNet
        if len(a) != len(b):
            raise ValueError(f"shapes {show(a)} and {show(b)} differ in their number of axes")
        out = [n if m in (1, None) or n is not None else m for m, n in zip(a, b)]   # an unknown one fits lhs
    elif len(p.lhs_axes) != len(p.rhs_axes) or not p.lhs_axes:
        raise ValueError("lhs_axes and rhs_axes must have the same length")
    else:
        out = list(a)
        for i, j in zip(p.lhs_axes, p.rhs_axes):
            out[axis_of(i, len(a), "lhs axis")] = b[axis_of(j, len(b), "rhs axis")]
    _check_repeat(a, out)
    return tuple(out)


record("broadcast_like", "lhs with axes of size 1 repeated to the shape of rhs, or, where `lhs_axes` and `rhs_axes` "
       "are given, those axes of lhs to the sizes of those axes of rhs. rhs gives its shape only.", inputs="lhs rhs",
       params={"lhs_axes": Param(optional(shape), None, "Axes of lhs to repeat."),
               "rhs_axes": Param(optional(shape), None, "Axes of rhs to take the sizes from.")},
       infer=lambda p, ins, outs: (ins, [unify(None if None in ins else _like_out(p, *ins), outs[0])]),
       samples=(S((2, 1, 3), (2, 4, 3)), S((2, 1), (4, 5), lhs_axes=(1,), rhs_axes=(0,))),
       **{**BROADCAST_ONE, "grad": lambda F, n, dy: (_unsum(F, n, dy), None),
          "ref": lambda xp, p, x, y: xp.broadcast_to(x, _like_out(p, x.shape, y.shape)).copy()})


# -- adjoints of broadcasting and of sums --------------------------------------------------------------------------
SPREAD = {"shape": Param(shape, help="Shape of the result."),
          "axes": Param(optional(shape), None, "The axes that are repeated or summed; found from the shapes if None.")}


def spread_axes(small, full, axes):
    """The axes along which `small` is repeated to become `full`; by default those that broadcasting repeats."""
    if axes is not None:
        return axes
    if broadcast_shapes(small, full) != tuple(full):
        raise ValueError(f"shape {show(small)} does not broadcast to {show(full)}")
    lead = len(full) - len(small)
    return tuple(i for i, d in enumerate(full) if i < lead or small[i - lead] != d)


def kept_shape(full, axes):
    return tuple(1 if i in axes else d for i, d in enumerate(full))


def _spread_infer(p, ins, outs):
    if ins[0] is not None and None not in ins[0]:
        axes = spread_axes(ins[0], p.shape, p.axes)
        if size(kept_shape(p.shape, axes)) != size(ins[0]):
            raise ValueError(f"shape {show(ins[0])} does not spread over axes {axes} of {show(p.shape)}")
    return ins, [p.shape]


record("_spread", "The input, of a sum's shape, repeated along the summed `axes` of `shape`: the gradient of a sum.",
       params=SPREAD, infer=_spread_infer, cpu="elementwise.broadcast", cpu_dtypes=EVERY,
       launch=lambda p, ins, outs: _spread_args(ins, p.shape, spread_axes(ins[0], p.shape, p.axes)),
       ref=lambda xp, p, x: xp.broadcast_to(
           x.reshape(kept_shape(p.shape, spread_axes(x.shape, p.shape, p.axes))), p.shape).copy(),
       grad=lambda F, n, dy: F._unbroadcast(dy, shape=n.in_shapes[0],
                                            axes=spread_axes(n.in_shapes[0], n.p.shape, n.p.axes)),
       samples=(S((2, 3), shape=(2, 5, 3), axes=(1,)), S((1,), shape=(2, 3), axes=(0, 1)), S((3,), shape=(4, 3))))
