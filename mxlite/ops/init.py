"""Operators without inputs: arrays made from parameters. A 0 or -1 in `shape` is a dimension that the other operators
of the graph must tell; a literal shape is what reaches a reference or kernel."""
import math

from . import types as T
from .record import Op, Param, S, unify
from .values import array_dtype, as_value, returning

DTYPES = ("float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool", "bfloat16")
NUMBERS = tuple(d for d in DTYPES if d != "bool")
SHAPE = Param(T.shape, (), "shape; 0 or -1: told by the rest of the graph")
CTX = Param(T.text, "", "device of an imperative result")
DTYPE = Param(T.dtype, "float32", "dtype of the result", choices=DTYPES)
NUMBER = Param(T.dtype, "float32", "dtype of the result", choices=NUMBERS)


def _shape(p, ins, outs):
    """The shape parameter, unknown where it holds 0 or -1, and as a whole where it is empty."""
    shape = tuple(d if d > 0 else None for d in p.shape) if p.shape else None
    return ins, [unify(shape, outs[0])]


def _dtype(p, ins, outs):
    return ins, [p.dtype]


def _no_gradient(F, n, dy):
    return ()


class _zeros(Op):
    """Zeros of `shape` and `dtype`."""
    inputs = ""
    params = dict(shape=SHAPE, ctx=CTX, dtype=DTYPE)
    aliases = "zeros"
    infer, infer_dtype, grad = _shape, _dtype, _no_gradient
    cpu, cpu_dtypes = "init.fill", DTYPES
    samples = (S(shape=(2, 3)), returning("int32", S(shape=(4,))), returning("bool", S(shape=(3,))))

    def ref(xp, p):
        return xp.zeros(p.shape, array_dtype(p.dtype))

    def launch(p, ins, outs):
        return dict(value=0.0)


class _ones(Op):
    """Ones of `shape` and `dtype`."""
    inputs = ""
    params = dict(shape=SHAPE, ctx=CTX, dtype=DTYPE)
    aliases = "ones"
    infer, infer_dtype, grad = _shape, _dtype, _no_gradient
    cpu, cpu_dtypes = "init.fill", DTYPES
    samples = (S(shape=(2, 3)), returning("float16", S(shape=(4,))), returning("uint8", S(shape=(5,))))

    def ref(xp, p):
        return xp.ones(p.shape, array_dtype(p.dtype))

    def launch(p, ins, outs):
        return dict(value=1.0)


class _full(Op):
    """`value` everywhere, of `shape` and `dtype`. Integers drop the fraction and wrap round; any nonzero is True."""
    inputs = ""
    params = dict(shape=SHAPE, ctx=CTX, dtype=DTYPE, value=Param(T.real, help="value of every element"))
    aliases = "full"
    infer, infer_dtype, grad = _shape, _dtype, _no_gradient
    cpu, cpu_dtypes = "init.fill", DTYPES
    samples = (S(shape=(2, 3), value=2.5), returning("uint8", S(shape=(4,), value=300.7)),
               returning("bool", S(shape=(2,), value=0.5)),
               returning("float64", S(shape=(2,), value=-1e-3)), returning("uint8", S(shape=(3,), value=-1.0)))

    def ref(xp, p):
        dtype = array_dtype(p.dtype)
        return xp.broadcast_to(as_value(xp, p.value, dtype), p.shape).copy()

    def launch(p, ins, outs):
        return dict(value=p.value)


def _range(p):
    """(start, stop) with MXNet's rule: a stop left out makes `start` the stop, unless the length is inferred."""
    return (0.0, p.start) if p.stop is None and not p.infer_range else (p.start, p.stop)


class _arange(Op):
    """Values from `start` up to (not including) `stop`, `step` apart, each `repeat` times in a row; without `stop` they
    run from 0 to `start`. With ``infer_range`` and no stop the rest of the graph tells the shape. Computed in `dtype`,
    start and step rounded to it first, as in MXNet: an integer dtype with a step of 0.5 stands still."""
    inputs = ""
    params = dict(start=Param(T.real, help="first value"), stop=Param(T.optional(T.real), None, "end, not included"),
                  step=Param(T.real, 1.0, "distance of values, not 0"),
                  repeat=Param(T.integer, 1, "how often each value comes", low=1),
                  infer_range=Param(T.boolean, False, "without stop, take the length from the graph"), ctx=CTX,
                  dtype=NUMBER)
    aliases = "arange"
    infer_dtype, grad = _dtype, _no_gradient
    cpu, cpu_dtypes = "init.arange", NUMBERS
    samples = (S(start=5), S(start=2, stop=7, step=2), S(start=0, stop=1, step=0.3),
               returning("int32", S(start=5, stop=2, step=-1)),
               returning("float64", S(start=0, stop=3, repeat=2)), returning("int64", S(start=0.5, stop=3.7)))

    def infer(p, ins, outs):
        if p.step == 0:
            raise ValueError("step must not be 0")
        start, stop = _range(p)
        if stop is None:
            return ins, outs
        if not (start < stop if p.step > 0 else start > stop):
            raise ValueError(f"no value lies from {start} to {stop} in steps of {p.step}")
        return ins, [unify((math.ceil((stop - start) / p.step) * p.repeat,), outs[0])]

    def ref(xp, p):
        start, stop = _range(p)
        if stop is None:
            raise ValueError("the length of this range is not known")
        n = math.ceil((stop - start) / p.step)
        dtype = array_dtype(p.dtype)
        steps = xp.arange(n).astype("float32" if dtype == "float16" else dtype)
        values = (steps * as_value(xp, p.step, dtype)).astype(dtype) + as_value(xp, start, dtype)
        return xp.repeat(values, p.repeat)

    def launch(p, ins, outs):
        return dict(start=_range(p)[0], step=p.step, repeat=p.repeat)


def linspace_step(p):
    return (p.stop - p.start) / max(1, p.num - p.endpoint)


class _linspace(Op):
    """`num` evenly spaced values from `start` to `stop`, which is the last one with ``endpoint`` and left out without.
    Computed in double, then converted to `dtype`."""
    inputs = ""
    params = dict(start=Param(T.real, help="first value"), stop=Param(T.real, help="last value, or end"),
                  num=Param(T.integer, help="how many", low=0),
                  endpoint=Param(T.boolean, True, "whether stop is the last value"),
                  ctx=CTX, dtype=NUMBER)
    aliases = "linspace"
    infer_dtype, grad = _dtype, _no_gradient
    cpu, cpu_dtypes = "init.linspace", NUMBERS
    samples = (S(start=0, stop=1, num=5), returning("float64", S(start=0, stop=1, num=5, endpoint=False)),
               returning("int32", S(start=0, stop=10, num=4)), S(start=3, stop=4, num=1), S(start=0, stop=1, num=0))

    def infer(p, ins, outs):
        return ins, [unify((p.num,), outs[0])]

    def ref(xp, p):
        values = p.start + xp.arange(p.num) * linspace_step(p)
        if p.endpoint and p.num > 1:
            values[-1] = p.stop
        return values.astype(array_dtype(p.dtype))

    def launch(p, ins, outs):
        return dict(start=p.start, stop=p.stop, step=linspace_step(p), endpoint=int(p.endpoint))


class _eye(Op):
    """Ones on diagonal `k` (above the main one where positive), zeros elsewhere; N rows, M columns (N where M is not
    positive)."""
    inputs = ""
    params = dict(N=Param(T.integer, help="rows", low=0), M=Param(T.integer, 0, "columns; 0: as many as rows"),
                  k=Param(T.integer, 0, "which diagonal"), ctx=CTX, dtype=NUMBER)
    aliases = "eye"
    infer_dtype, grad = _dtype, _no_gradient
    cpu, cpu_dtypes = "init.eye", NUMBERS
    samples = (S(N=3), S(N=2, M=4, k=1), returning("int32", S(N=4, M=2, k=-1)), S(N=2, M=3, k=7), S(N=0))

    def infer(p, ins, outs):
        return ins, [unify((p.N, p.M if p.M > 0 else p.N), outs[0])]

    def ref(xp, p):
        return xp.eye(p.N, p.M if p.M > 0 else p.N, p.k, dtype=array_dtype(p.dtype))

    def launch(p, ins, outs):
        return dict(k=p.k)
