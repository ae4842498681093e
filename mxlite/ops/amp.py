"""Operators of mixed precision: casts between floating types, and checks and sums over many arrays at once."""
from . import types as T
from .elementwise import FLOATS, quiet, to_dtype
from .record import Op, Param, S, unify

KINDS = ("float16", "bfloat16", "float32", "float64", "int32", "int64", "int8", "uint8")
MOST = 65536        # arrays of one call: a count out of a damaged file must not make 10^12 names


LOW = ("float16", "bfloat16", "float32")         # the dtypes that are mixed


def _kind(p, dtype):
    return p.dtype if dtype in LOW else dtype


class amp_cast(Op):
    """`data` converted to `dtype` where it is float16, bfloat16 or float32; other dtypes pass as they are."""
    params = dict(dtype=Param(T.dtype, help="dtype of the result", choices=KINDS))
    cpu, cpu_dtypes = "elementwise.cast", (*FLOATS, "uint8", "int8", "int32", "int64")

    def infer_dtype(p, ins, outs):
        return ins, [None if ins[0] is None else _kind(p, ins[0])]

    @quiet
    def ref(xp, p, x):
        kind = _kind(p, x.dtype.name)
        return to_dtype(xp, x, "float32" if kind == "bfloat16" else kind)

    def grad(F, n, dy):
        return F.Cast(dy, dtype=n.in_dtypes[0])


def _to(dtype, sample):
    sample.params["dtype"] = dtype
    return sample


amp_cast.samples = (_to("float64", S((2, 3))), _to("float32", S((4,), index={0: 9}, dtype="int32")),
                    _to("float64", S((0, 2))))


def _arrays(p, ins, field):
    n = getattr(p, field)
    if n != len(ins):
        raise ValueError(f"{field}={n}, but there are {len(ins)} inputs")


class amp_multicast(Op):
    """All inputs in one dtype: the widest of float16, bfloat16 and float32 among them (`cast_narrow`: the narrowest).
    Inputs of other dtypes pass as they are. Shapes are free."""
    inputs = "*data"
    params = dict(num_outputs=Param(T.integer, help="how many inputs and outputs", low=1, high=MOST),
                  cast_narrow=Param(T.boolean, False, "cast to the narrowest dtype"))
    gpu = "amp.multicast"
    samples = (S((2, 3), (4,), num_outputs=2), S((2,), num_outputs=1, cast_narrow=True))

    def outputs(p):
        return ["output"] if p.num_outputs == 1 else [f"output{i}" for i in range(p.num_outputs)]

    def infer(p, ins, outs):
        _arrays(p, ins, "num_outputs")
        both = [unify(a, b) for a, b in zip(ins, outs)]
        return both, both

    def infer_dtype(p, ins, outs):
        mixed = [d for d in ins if d in LOW]
        if len(set(mixed)) < 2:
            return ins, list(ins)
        half = [d for d in mixed if d != "float32"]
        to = half[0] if p.cast_narrow or "float32" not in mixed else "float32"
        return ins, [to if d in mixed else d for d in ins]

    def ref(xp, p, *xs):
        _, kinds = amp_multicast.infer_dtype(p, [x.dtype.name for x in xs], [None] * len(xs))
        return tuple(x.astype(k) for x, k in zip(xs, kinds))

    def grad(F, n, *dys):
        return [dy if kind == n.out_dtypes[i] else F.Cast(dy, dtype=kind)
                for i, (dy, kind) in enumerate(zip(dys, n.in_dtypes))]


def _floating(ins):
    for d in ins:
        if d is not None and d not in FLOATS:
            raise ValueError(f"arrays must be of a floating type, not {d}")


def _fresh(p):
    if not p.init_output:
        raise ValueError("init_output=False would combine the result with what is in `out`, which no operator reads "
                         "here; multiply the results of two calls instead")


INIT = dict(init_output=Param(T.boolean, True, "start from True; False is not supported"))


def _finite(xp, xs):
    return xp.asarray([all(bool(xp.isfinite(x).all()) for x in xs)], dtype="float32")


class all_finite(Op):
    """[1] where every element of `data` is finite, else [0]; float32. Floating-point data."""
    params = INIT
    gpu = "amp.all_finite"
    samples = (S((2, 3)), S((0,)))

    def infer(p, ins, outs):
        _fresh(p)
        return ins, [unify((1,), outs[0])]

    def infer_dtype(p, ins, outs):
        _floating(ins)
        return ins, ["float32"]

    def ref(xp, p, x):
        return _finite(xp, [x])

    def grad(F, n, dy):
        return None


class multi_all_finite(Op):
    """[1] where every element of all inputs is finite, else [0]; float32. Floating-point data."""
    inputs = "*data"
    params = dict(num_arrays=Param(T.integer, 1, "how many inputs", low=1, high=MOST), **INIT)
    gpu = "amp.all_finite"
    samples = (S((2, 3), (4,), num_arrays=2), S((2,)))

    def infer(p, ins, outs):
        _fresh(p)
        _arrays(p, ins, "num_arrays")
        return ins, [unify((1,), outs[0])]

    infer_dtype = all_finite.infer_dtype

    def ref(xp, p, *xs):
        return _finite(xp, xs)

    def grad(F, n, dy):
        return (None,) * len(n.inputs)


class multi_sum_sq(Op):
    """The sum of squares of every input, as a float32 vector of `num_arrays`. Floating-point data of one dtype.
    No gradient."""
    inputs = "*data"
    params = dict(num_arrays=Param(T.integer, help="how many inputs", low=1, high=MOST))
    gpu = "amp.sum_sq"
    samples = (S((2, 3), (4,), num_arrays=2), S((2, 0), num_arrays=1))

    def infer(p, ins, outs):
        _arrays(p, ins, "num_arrays")
        return ins, [unify((p.num_arrays,), outs[0])]

    def infer_dtype(p, ins, outs):
        _floating(ins)
        return [next((d for d in ins if d is not None), None)] * len(ins), ["float32"]

    def ref(xp, p, *xs):
        return xp.stack([xp.square(x.astype("float64")).sum() for x in xs]).astype("float32")


class reset_arrays(Op):
    """Sets all arrays to zero, in place; there is no output. Any dtype."""
    inputs = "*data"
    outputs = ""
    params = dict(num_arrays=Param(T.integer, help="how many arrays", low=1, high=MOST))
    samples = (S((2, 3), (4,), num_arrays=2),)

    def aux(p):
        return [f"arg{i}" for i in range(p.num_arrays)]

    def infer(p, ins, outs):
        _arrays(p, ins, "num_arrays")
        return ins, outs

    def infer_dtype(p, ins, outs):
        return ins, outs

    def ref(xp, p, *xs):
        for x in xs:
            x[...] = 0
        return ()
