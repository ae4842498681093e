"""Random draws that take arrays: distributions with an array for every parameter, draws in the shape of another array,
draws of categories, and shuffling. Element i depends on seed, run, node and i alone (see draws)."""
from . import draws
from . import types as T
from .box import ALL
from .elementwise import FLOATS, quiet
from .random import (
    BINOMIAL,
    GAMMA,
    GENERALIZED,
    LAM,
    POISSON,
    _random_normal,
    _random_uniform,
    check_binomial,
    check_exponential,
    check_gamma,
    check_generalized,
    check_normal,
    check_poisson,
    check_uniform,
)
from .record import Op, Param, S, show, unify
from .rules import size

KINDS = list(draws.KINDS)
OUT = ("float32", "float64", "float16")
READ = (*FLOATS, "int32", "int64", "int8", "uint8")
SHAPE = dict(shape=Param(T.shape, (), "how many numbers for each element of the parameters"),
             dtype=Param(T.optional(T.dtype), None, "dtype of the result; float32 where None", OUT))


def sampler(kind, inputs, doc, **fields):
    """Makes the record ``_sample_<kind>``: `shape` numbers for every element of the parameter arrays."""
    def infer(p, ins, outs):
        common = None
        for s in ins:
            common = unify(common, s)
        out = None if common is None else tuple(common) + p.shape
        return [common] * len(ins), [unify(out, outs[0])]

    def infer_dtype(p, ins, outs):
        d = next((d for d in ins if d is not None), None)
        return [d] * len(ins), [p.dtype or "float32"]

    def ref(xp, p, *params, rng):
        per = size(p.shape)
        given = [xp.repeat(x.astype("float64").ravel(), per) for x in params]
        return draws.draw(xp, kind, rng, p.dtype or "float32", *given).reshape(params[0].shape + p.shape)

    def launch(p, ins, outs):
        return dict(kind=KINDS.index(kind), arrays=1, per=size(p.shape))

    def grad(F, n, dy):
        return (None,) * len(n.inputs)
    type("_sample_" + kind, (Op,), dict(
        __doc__=doc + " One such distribution for each element of the parameters, which have one shape and dtype; the "
        "result has their shape followed by `shape`. Parameters that make no distribution give NaN. No gradient.",
        __module__=__name__, inputs=inputs, params=SHAPE, aliases="sample_" + kind, hint="sample_" + kind,
        infer=infer, infer_dtype=infer_dtype, ref=ref, launch=launch, grad=grad, random=True, cpu="sampling.draw",
        cpu_dtypes=READ, **fields))


def _many(*shapes, **bounds):
    """Samples with parameters of these shapes."""
    n = len(shapes)
    last = S(*shapes, shape=(2, 3), **bounds)
    wide = S(*shapes, **bounds)
    wide.params = {"dtype": "float64"}
    return S(*shapes, **bounds), last, wide, S(*[(0,)] * n, shape=(2,), **bounds)


sampler("uniform", "low high", "Numbers drawn uniformly from [low, high).", samples=_many((3,), (3,)))
sampler("normal", "mu sigma", "Numbers drawn from the normal distribution of mean `mu` and standard deviation `sigma`.",
        samples=_many((2, 2), (2, 2), low=0.5, high=2.0))
sampler("exponential", "lam", "Numbers drawn from the exponential distribution of rate `lam`.",
        samples=_many((3,), low=0.5, high=2.0))
sampler("gamma", "alpha beta", "Numbers drawn from the gamma distribution of shape `alpha` and scale `beta`.",
        samples=_many((3,), (3,), low=0.2, high=3.0))
sampler("poisson", "lam", "Numbers drawn from the Poisson distribution of mean `lam`.",
        samples=_many((9,), low=0.0, high=30.0))
sampler("negative_binomial", "k p", "How many failures come before success number `k`, where one comes with "
        "probability `p`.", samples=_many((9,), (9,), low=0.1, high=0.9))
sampler("generalized_negative_binomial", "mu alpha", "Numbers drawn from the negative binomial distribution of mean "
        "`mu` and variance mu + alpha * mu ** 2.", samples=_many((9,), (9,), low=0.0, high=9.0))


def like(kind, params, check, **fields):
    """Makes the record ``_random_<kind>_like``: numbers in shape and dtype of the input."""
    def infer(p, ins, outs):
        check(p)
        shape = unify(ins[0], outs[0])
        return [shape], [shape]

    def infer_dtype(p, ins, outs):
        d = ins[0] or outs[0]
        if d is not None and d not in FLOATS:
            raise ValueError(f"data must be of a floating type, not {d}")
        return [d], [d]

    def ref(xp, p, x, rng):
        given = [xp.full(x.size, float(getattr(p, k))) for k in params]
        return draws.draw(xp, kind, rng, x.dtype.name, *given).reshape(x.shape)

    def launch(p, ins, outs):
        return dict(kind=KINDS.index(kind), arrays=0, per=1)

    def grad(F, n, dy):
        return None
    type(f"_random_{kind}_like", (Op,), dict(
        __doc__=f"Numbers from the distribution of _random_{kind} in shape and dtype of `data`, whose values do not "
        "matter. Floating point; no gradient.", __module__=__name__, params=params, hint=kind + "_like", infer=infer,
        infer_dtype=infer_dtype, ref=ref, launch=launch, grad=grad, random=True, cpu="sampling.draw",
        cpu_dtypes=FLOATS, dynamic=" ".join(params), **fields))


def _bounds(*shapes, **params):
    out = [S(s) for s in shapes]
    for s in out:
        s.params = params
    return tuple(out)


like("uniform", {k: _random_uniform.params[k] for k in ("low", "high")},
     check_uniform, samples=_bounds((3, 5), (0,), (300,), low=-2.0, high=3.0))
like("normal", {k: _random_normal.params[k] for k in ("loc", "scale")},
     check_normal, samples=_bounds((3, 5), (300,), loc=3, scale=2))
like("exponential", LAM, check_exponential, samples=_bounds((3, 5), (0,), lam=2.0))
like("gamma", GAMMA, check_gamma, samples=_bounds((3, 5), alpha=0.5, beta=2.0))
like("poisson", POISSON, check_poisson, samples=_bounds((3, 5), lam=20.0))
like("negative_binomial", BINOMIAL, check_binomial, samples=_bounds((3, 5), k=3, p=0.3))
like("generalized_negative_binomial", GENERALIZED, check_generalized, samples=_bounds((3, 5), mu=4.0, alpha=0.5))


class _sample_multinomial(Op):
    """Numbers of categories, drawn by the probabilities along the last axis of `data`: `shape` of them for each row, in
    `dtype`. With `get_prob` also the logarithm of each one's probability, in the data's dtype.

    Rows sum to 1; what a row lacks goes to its last category of a probability. The gradient of the logarithm is that of
    log(data), added up at the categories drawn; the numbers themselves have none. Data is of a floating type.
    """
    params = dict(shape=Param(T.shape, (), "how many numbers for each row"),
                  get_prob=Param(T.boolean, False, "return the logarithms of the probabilities too"),
                  dtype=Param(T.dtype, "int32", "dtype of the numbers",
                              choices=("uint8", "int32", "float16", "float32", "float64")))
    aliases = "sample_multinomial"
    hint = "sample_multinomial"
    random = True
    cpu, cpu_dtypes = "sampling.categories", FLOATS
    samples = (S((4,), low=0.1, high=0.5, shape=(5,)), S((2, 3), low=0.1, high=0.5), S((2, 2, 3), low=0.1, high=0.5,
                                                                                       shape=(2, 2)),
               S((2, 3), low=0.1, high=0.5, shape=(4,), get_prob=True), S((0, 3), get_prob=True))

    def outputs(p):
        return ["output0", "output1"] if p.get_prob else ["output"]

    def infer(p, ins, outs):
        data = ins[0]
        if data is None:
            return ins, outs
        if not data or data[-1] == 0:
            raise ValueError(f"data {show(data)} must have a last axis of probabilities")
        out = data[:-1] + p.shape or (1,)
        return ins, [unify(out, o) for o in outs]

    def infer_dtype(p, ins, outs):
        if ins[0] is not None and ins[0] not in FLOATS:
            raise ValueError(f"data must be of a floating type, not {ins[0]}")
        return ins, [p.dtype, ins[0]][:len(outs)]

    @quiet
    def ref(xp, p, x, rng):
        rows, per = size(x.shape[:-1]), size(p.shape)
        out = x.shape[:-1] + p.shape or (1,)
        wide = x.astype("float64").reshape(rows, x.shape[-1])
        found = draws.categories(xp, rng, wide, per)
        numbers = found.astype(p.dtype).reshape(out)
        if not p.get_prob:
            return numbers
        return numbers, xp.log(xp.take_along_axis(wide, found, 1)).astype(x.dtype).reshape(out)

    def launch(p, ins, outs):
        return dict(rows=size(ins[0][:-1]), k=ins[0][-1], per=size(p.shape))

    def grad(F, n, *dys):
        if not n.p.get_prob or dys[1] is None or 0 in n.out_shapes[1]:
            return None
        shape = n.in_shapes[0]
        rows, k = size(shape[:-1]), shape[-1]
        at = F._reshape_to(F.Cast(n.outputs[0], dtype="int64"), shape=(rows, size(n.p.shape)))
        first = F._arange(start=0, stop=rows * k, step=k, dtype="int64")
        at = F._reshape_to(F.broadcast_add(at, F._reshape_to(first, shape=(rows, 1))), shape=(rows * size(n.p.shape),))
        flat = F._reshape_to(n.inputs[0], shape=(rows * k,))
        dlog = F.elemwise_div(F._reshape_to(dys[1], shape=(rows * size(n.p.shape),)), F.take(flat, at))
        return F._reshape_to(F._backward_take(dlog, at, shape=(rows * k,)), shape=shape)


def order(xp, rng, n):
    """A permutation of n: the order of 64 random bits an element, so that each element's place is a function of the
    draw alone."""
    w = rng.bits(2 * n).astype("uint64")
    return xp.argsort(w[0::2] << xp.uint64(32) | w[1::2], kind="stable")


def _shuffled(backward):
    """Kernel, arguments and scratch: two lists of a key and a row number for every row."""
    def launch(p, ins, outs):
        return dict(rows=ins[0][0], inner=size(ins[0][1:]), backward=backward)

    def workspace(p, ins, outs, itemsize, threads):
        return 2 * 16 * ins[0][0]
    return "sampling.shuffle", ALL, launch, workspace


class _shuffle(Op):
    """`data` with its rows (elements of the first axis) in random order, every order with the same probability. Any
    dtype. The gradient goes back to where its row came from (MXNet has none)."""
    aliases = "shuffle"
    random = True
    cpu, cpu_dtypes, launch, workspace = _shuffled(0)
    samples = (S((5,)), S((4, 3)), S((0, 2)), S((301, 2)), S((1,)))

    def infer(p, ins, outs):
        shape = unify(ins[0], outs[0])
        if shape == ():
            raise ValueError("data needs at least one axis")
        return [shape], [shape]

    def ref(xp, p, x, rng):
        return x[order(xp, rng, x.shape[0])]

    def grad(F, n, dy):
        return F._backward_shuffle(dy, _rng_of=n)


class _backward_shuffle(Op):
    """`dy` with its rows where _shuffle took them from."""
    inputs = "dy"
    random = True
    cpu, cpu_dtypes, launch, workspace = _shuffled(1)
    samples = (S((5,)), S((4, 3)), S((301, 2)))

    def ref(xp, p, dy, rng):
        out = xp.empty_like(dy)
        out[order(xp, rng, dy.shape[0])] = dy
        return out

    def grad(F, n, ddy):
        return F._shuffle(ddy, _rng_of=n)


class _sample_unique_zipfian(Op):
    """Different integers of [0, range_max), log-uniform: k comes with probability log((k + 2) / (k + 1)) /
    log(range_max + 1). `shape` is (rows, n): n different ones a row. The second result says how many draws each row
    took. A row needs n <= range_max."""
    inputs = ""
    outputs = "output0 output1"
    params = dict(range_max=Param(T.integer, help="end of the range, not itself drawn", low=1),
                  shape=Param(T.shape, (), "(rows, numbers a row)"))
    random = True
    samples = (S(range_max=100, shape=(2, 5)), S(range_max=4, shape=(3, 4)), S(range_max=7, shape=(0, 2)))

    def infer(p, ins, outs):
        if len(p.shape) != 2:
            raise ValueError(f"shape={p.shape} must be (rows, numbers a row)")
        if not 0 <= p.shape[1] <= p.range_max:
            raise ValueError(f"there are no {p.shape[1]} different integers below range_max={p.range_max}")
        return ins, [unify(p.shape, outs[0]), unify(p.shape[:1], outs[1])]

    def infer_dtype(p, ins, outs):
        return ins, ["int64", "int64"]

    def ref(xp, p, rng):
        rows, n = p.shape
        numbers, counts = xp.zeros(p.shape, "int64"), xp.zeros(rows, "int64")
        log = float(xp.log(p.range_max + 1.0))
        for r in range(rows):
            seen, plane, k = {}, 0, 0
            while len(seen) < n:
                if plane == PLANES:         # a few numbers that hardly ever come: take the first ones left
                    rest = (i for i in range(p.range_max) if i not in seen)
                    seen.update((next(rest), None) for _ in range(n - len(seen)))
                    break
                w0, w1, _, _ = rng.at(r, 256, plane)
                drawn = xp.minimum(xp.exp(draws.whole(xp, w0, w1) * log).astype("int64") - 1, p.range_max - 1)
                for v in drawn.tolist():
                    k += 1
                    seen.setdefault(v)
                    if len(seen) == n:
                        break
                plane += 1
            numbers[r], counts[r] = xp.asarray(list(seen), dtype="int64"), k
        return numbers, counts


PLANES = 256
