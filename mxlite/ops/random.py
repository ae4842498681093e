"""Random numbers and Dropout. All draw from :class:`~mxlite.ops.philox.Philox`: the same seed gives the same bits for
any thread count, and a backward pass draws its forward's numbers again."""
from . import draws
from .record import Op, Param, S, unify
from .rules import axis_of, float_dtype, size
from .types import boolean, dtype, integer, optional, real, shape, text


def _common(kinds):
    return {"shape": Param(optional(shape), None, "shape of the output"),
            "ctx": Param(text, "", "context of the output, where no input says it"),
            "dtype": Param(optional(dtype), None, f"dtype of the output; {kinds[0]} where None", kinds)}


def _infer(check):
    def infer(p, ins, outs):
        check(p)
        return [], [outs[0] if p.shape is None else unify(p.shape, outs[0])]
    return infer


def _must(ok, message):
    if not ok:
        raise ValueError(message)


def _kernel(name):
    return lambda p: name if p.dtype in (None, "float32", "float64") else None


def _draw(p, default="float32"):
    """Shape, number of elements, dtype, and the dtype to draw in."""
    kind = p.dtype or default
    where = p.shape or ()
    return where, size(where), kind, "float64" if kind == "float64" else "float32"


def _sample(**params):
    """A sample whose `low` and `high` are parameters, not bounds of random inputs."""
    sample = S()
    sample.params = params
    return sample


FLOAT = _common(("float32", "float64", "float16"))


def check_uniform(p):
    _must(p.high >= p.low, f"low={p.low} must not exceed high={p.high}")


def check_normal(p):
    _must(p.scale > 0, f"scale={p.scale} must be positive")


class _random_uniform(Op):
    """Numbers drawn uniformly from [low, high), of the given shape."""

    inputs = ""
    params = {"low": Param(real, 0.0, "lower end"), "high": Param(real, 1.0, "upper end"), **FLOAT}
    aliases = "uniform random_uniform"
    hint = "random_uniform"
    infer = _infer(check_uniform)
    random = True
    cpu, gpu = _kernel("random.uniform"), "random.uniform"
    dynamic = "low high"
    samples = (S(shape=(3, 5)), _sample(shape=(7,), low=-2.0, high=3.0), _sample(shape=(4, 2), dtype="float64"),
               S(shape=(0,)), S(shape=(531,)))

    def infer_dtype(p, ins, outs):
        return [], [p.dtype or "float32"]

    def ref(xp, p, rng):
        check_uniform(p)
        where, n, kind, work = _draw(p)
        # Products of 24-bit factors are exact in float64, so that a fused multiply-add changes nothing.
        low, high = xp.float32(p.low).astype("float64"), xp.float32(p.high).astype("float64")
        if work == "float64":
            low, high = xp.float64(p.low), xp.float64(p.high)
            return (low + rng.uniform(n, work) * (high - low)).reshape(where)
        span = (high - low).astype("float32").astype("float64")
        return (low + rng.uniform(n, work).astype("float64") * span).astype(work).astype(kind).reshape(where)


class _random_normal(Op):
    """Numbers drawn from the normal distribution of mean `loc` and standard deviation `scale`, by Box and Muller."""

    inputs = ""
    params = {"loc": Param(real, 0.0, "mean"), "scale": Param(real, 1.0, "standard deviation"), **FLOAT}
    aliases = "normal random_normal"
    hint = "random_normal"
    infer = _infer(check_normal)
    random = True
    cpu, gpu = _kernel("random.normal"), "random.normal"
    dynamic = "loc scale"
    samples = (S(shape=(3, 5)), S(shape=(7,), loc=-2.0, scale=3.0), _sample(shape=(5, 3), dtype="float64"),
               S(shape=(0,)), S(shape=(531,)))

    def infer_dtype(p, ins, outs):
        return [], [p.dtype or "float32"]

    def ref(xp, p, rng):
        check_normal(p)
        where, n, kind, work = _draw(p)
        one = xp.float64 if work == "float64" else xp.float32
        return (rng.normal(n, work) * one(p.scale) + one(p.loc)).astype(kind).reshape(where)


def drawn(kind, names, doc, infer, **fields):
    """Makes the record ``_random_<kind>``: numbers of one distribution of `draws`, with numbers as parameters."""
    def ref(xp, p, rng):
        where, n, dtype, _ = _draw(p)
        given = [xp.full(n, float(getattr(p, k))) for k in names]
        return draws.draw(xp, kind, rng, dtype, *given).reshape(where)

    def infer_dtype(p, ins, outs):
        return [], [p.dtype or "float32"]

    def launch(p, ins, outs):
        return dict(kind=list(draws.KINDS).index(kind), arrays=0, per=1)
    type("_random_" + kind, (Op,), dict(
        __doc__=doc, __module__=__name__, inputs="", params={**names, **FLOAT}, aliases="random_" + kind,
        hint="random_" + kind, infer=_infer(infer), infer_dtype=infer_dtype, ref=ref, launch=launch, random=True,
        cpu="sampling.draw", cpu_dtypes=("float32", "float64", "float16"), dynamic=" ".join(names), **fields))


def check_poisson(p):
    _must(p.lam >= 0, f"lam={p.lam} must not be negative")


LAM = {"lam": Param(real, 1.0, "rate")}
GAMMA = {"alpha": Param(real, 1.0, "shape"), "beta": Param(real, 1.0, "scale")}
POISSON = {"lam": Param(real, 1.0, "mean")}
BINOMIAL = {"k": Param(integer, 1, "how many successes end the experiment"),
            "p": Param(real, 1.0, "probability of a success")}
GENERALIZED = {"mu": Param(real, 1.0, "mean"), "alpha": Param(real, 1.0, "variance is mu + alpha * mu ** 2")}


def check_exponential(p):
    _must(p.lam > 0, f"lam={p.lam} must be positive")


def check_gamma(p):
    _must(p.alpha > 0, f"alpha={p.alpha} must be positive")
    _must(p.beta > 0, f"beta={p.beta} must be positive")


def check_binomial(p):
    _must(p.k >= 0, f"k={p.k} must not be negative")
    _must(0 <= p.p <= 1, f"p={p.p} must be a probability")


def check_generalized(p):
    _must(p.mu >= 0, f"mu={p.mu} must not be negative")
    _must(p.alpha >= 0, f"alpha={p.alpha} must not be negative")


drawn("exponential", LAM, "Numbers drawn from the exponential distribution of rate `lam` (mean 1 / lam).",
      check_exponential, samples=(S(shape=(3, 5)), S(shape=(7,), lam=4.0), _sample(shape=(4,), dtype="float64"),
                                  _sample(shape=(4,), dtype="float16"), S(shape=(0,))))
drawn("gamma", GAMMA, "Numbers drawn from the gamma distribution of shape `alpha` and scale `beta`, mean alpha * beta.",
      check_gamma, samples=(S(shape=(3, 5)), S(shape=(70,), alpha=0.3, beta=2.0), S(shape=(70,), alpha=9.0),
                            _sample(shape=(4,), dtype="float64"), S(shape=(0,))))
drawn("poisson", POISSON, "Numbers drawn from the Poisson distribution of mean `lam`, as floats.", check_poisson,
      samples=(S(shape=(3, 5)), S(shape=(70,), lam=4.0), S(shape=(70,), lam=100.0), S(shape=(7,), lam=1e9),
               S(shape=(2,), lam=0)))
drawn("negative_binomial", BINOMIAL, "How many failures come before success number `k`, where one comes with "
      "probability `p`: mean k * (1 - p) / p.", check_binomial,
      samples=(S(shape=(3, 5), k=3, p=0.4), S(shape=(70,), k=20, p=0.1), S(shape=(3,)), S(shape=(3,), k=0, p=0.5)))
drawn("generalized_negative_binomial", GENERALIZED, "Numbers drawn from the negative binomial distribution of mean "
      "`mu` and variance mu + alpha * mu ** 2.", check_generalized,
      samples=(S(shape=(3, 5)), S(shape=(70,), mu=12.0, alpha=0.3), S(shape=(7,), mu=3.0, alpha=0.0)))


class _random_randint(Op):
    """Integers drawn uniformly from [low, high), of dtype int32 or int64."""

    inputs = ""
    params = {"low": Param(integer, help="lower end"), "high": Param(integer, help="upper end, not itself drawn"),
              **_common(("int32", "int64"))}
    aliases = "random_randint"
    hint = "random_randint"
    random = True
    cpu, cpu_dtypes = "sampling.randint", ("int32", "int64")
    samples = (_sample(shape=(3, 5), low=-2, high=9), _sample(shape=(7,), low=0, high=2, dtype="int64"),
               _sample(shape=(300,), low=-2 ** 62, high=2 ** 62, dtype="int64"),
               _sample(shape=(9,), low=-2 ** 31, high=2 ** 31))

    def infer(p, ins, outs):
        _must(p.high > p.low, f"low={p.low} must be less than high={p.high}")
        _must(p.low >= -2 ** 63 and p.high <= 2 ** 63, f"low={p.low} and high={p.high} must fit 64 bits")
        return [], [outs[0] if p.shape is None else unify(p.shape, outs[0])]

    def infer_dtype(p, ins, outs):
        return [], [p.dtype or "int32"]

    def ref(xp, p, rng):
        where, n, kind, _ = _draw(p, "int32")
        span = p.high - p.low
        if span <= 1 << 32:
            # Multiply-shift: the high word of bits * span (Lemire, "Fast random integer generation", 2019).
            y = rng.bits(n).astype("uint64") * xp.uint64(span) >> xp.uint64(32)
        else:
            w = rng.bits(2 * n).astype("uint64")
            y = w[0::2] << xp.uint64(32) | w[1::2]
            y = y % xp.uint64(span) if span < 1 << 64 else y
        # Two's complement wraps: the sum is right for a negative `low` as well.
        return (y + xp.uint64(p.low % 2 ** 64)).astype("int64").astype(kind).reshape(where)

    def launch(p, ins, outs):
        return dict(low=p.low, span=(p.high - p.low) % 2 ** 64)


def threshold(p):
    """A word of at least this value keeps its element: round(p * 2^32), the same integer on every device."""
    return round(p.p * 4294967296.0)


def _active(p, is_train):
    return (is_train or p.mode == "always") and p.p > 0


def _shared(p, ndim):
    """True for each axis along which the mask is one."""
    axes = {axis_of(a, ndim) for a in p.axes}
    return [i in axes for i in range(ndim)]


def _mask_launch(p, ins, outs):
    """The data's axes merged where neighbours are alike, innermost last: sizes and whether the mask is shared."""
    dims = []
    for n, shared in zip(ins[0], _shared(p, len(ins[0]))):
        if n != 1:
            if dims and dims[-1][1] == shared:
                dims[-1][0] *= n
            else:
                dims.append([n, shared])
    dims = dims or [[1, False]]
    args = {"threshold": threshold(p), "scale": 1.0 / (1.0 - p.p) if p.p < 1 else 0.0,
            "always": p.mode == "always", "ndim": len(dims)}
    for i in range(8):
        args[f"size{i}"], args[f"shared{i}"] = dims[i] if i < len(dims) else (1, False)
    return args


def _apply_mask(xp, p, x, rng, is_train):
    if not _active(p, is_train):
        return x.copy()
    where = [1 if s else n for n, s in zip(x.shape, _shared(p, x.ndim))]
    keep = (rng.bits(size(where)).astype("uint64") >= xp.uint64(threshold(p))).reshape(where)
    scale = xp.asarray(1.0 / (1.0 - p.p) if p.p < 1 else 0.0, dtype=x.dtype)
    return xp.where(keep, x * scale, xp.zeros((), dtype=x.dtype))


def _check_axes(p, ins, outs):
    x = unify(ins[0], outs[0])
    if x is not None:
        _shared(p, len(x))
    return [x], [x]


class Dropout(Op):
    """While training (or always, by `mode`) sets each element to 0 with probability `p` and multiplies the others by
    1 / (1 - p); else passes the data on (Srivastava et al., "Dropout", 2014). The mask is shared along `axes`. It is
    not stored: backward draws it again. p = 1 gives zeros (MXNet: NaN)."""

    params = {
        "p": Param(real, 0.5, "probability of setting an element to 0", low=0.0, high=1.0),
        "mode": Param(text, "training", "drop while training only, or always", ("always", "training")),
        "axes": Param(shape, (), "axes along which the mask is shared"),
        "cudnn_off": Param(optional(boolean), False, "accepted and ignored"),
    }
    mxnet_outputs = 2
    infer, infer_dtype, launch = _check_axes, float_dtype, _mask_launch
    cpu = "random.dropout"
    inplace = {0: 0}
    random = train_aware = True
    samples = (S((3, 7)), S((4, 5, 6), p=0.3, axes=(1,)), S((4, 5, 6), p=0.3, axes=(0, 2)), S((3, 4), p=0.0),
               S((3, 4), p=1.0), S((11, 13), mode="always", p=0.75), S((0, 3)), S((2, 3, 4), axes=(2,)))

    def ref(xp, p, data, rng, is_train):
        return _apply_mask(xp, p, data, rng, is_train)

    def grad(F, n, dy):
        return F._backward_Dropout(dy, **{k: getattr(n.p, k) for k in n.p.__slots__}, _rng_of=n)


class _backward_Dropout(Op):
    """Gradient of :class:`Dropout`: the same mask, drawn again, on the output's gradient."""

    inputs = "dy"
    outputs = "ddata"
    params = Dropout.params
    infer, infer_dtype, launch = _check_axes, float_dtype, _mask_launch
    cpu = "random.dropout"
    inplace = {0: 0}
    random = train_aware = True
    samples = (S((3, 7)), S((4, 5, 6), p=0.3, axes=(1,)))

    def ref(xp, p, dy, rng, is_train):
        return _apply_mask(xp, p, dy, rng, is_train)

    def grad(F, n, g):
        return F._backward_Dropout(g, **{k: getattr(n.p, k) for k in n.p.__slots__}, _rng_of=n)
