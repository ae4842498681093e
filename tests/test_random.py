"""Random numbers: the distributions by their own density, seeds and threads, shapes and dtypes, and gradients."""
import itertools
import math

import numpy as np
import pytest

import mxlite as mx
from mxlite._core import cpu
from mxlite.ops.philox import Philox
from mxlite.ops.record import RECORDS

from .kernel_calls import kernel, reference

N = 60_000
CONTINUOUS = [
    ("uniform", (-1.0, 3.0), ("low", "high"), (-1, 3)), ("normal", (2.0, 3.0), ("loc", "scale"), (-22, 26)),
    ("exponential", (4.0,), ("lam",), (1e-9, 12)), ("gamma", (0.3, 2.0), ("alpha", "beta"), (1e-14, 60)),
    ("gamma", (1.0, 0.5), ("alpha", "beta"), (1e-9, 20)), ("gamma", (7.5, 2.0), ("alpha", "beta"), (1e-9, 120)),
    ("gamma", (900.0, 1.0), ("alpha", "beta"), (500, 1400))]
DISCRETE = [
    ("poisson", (0.0,), ("lam",)), ("poisson", (0.7,), ("lam",)), ("poisson", (9.99,), ("lam",)),
    ("poisson", (10.0,), ("lam",)), ("poisson", (250.0,), ("lam",)), ("negative_binomial", (3, 0.4), ("k", "p")),
    ("negative_binomial", (40, 0.1), ("k", "p")), ("negative_binomial", (5, 1.0), ("k", "p")),
    ("generalized_negative_binomial", (6.0, 0.7), ("mu", "alpha")),
    ("generalized_negative_binomial", (20.0, 0.01), ("mu", "alpha"))]


def density(kind, at, params):
    """The density at the points `at`, by the pdf operator's reference."""
    if kind == "gamma":                             # whose density takes a rate
        params = params[0], 1 / params[1]
    arrays = [at[None]] + [np.array([float(p)]) for p in params]
    return reference("_random_pdf_" + kind, arrays, {})[0][0]


def numbers(kind, names, params, how, n=N):
    """`n` numbers drawn as scalar parameters, array parameters, or like an array."""
    given = dict(zip(names, params))
    if how == "scalar":
        y = kernel("_random_" + kind, [], dict(given, shape=(n,)), seed=5, threads=2)
    elif how == "array":
        arrays = [np.array([p], "float32") for p in params]
        y = kernel("_sample_" + kind, arrays, {"shape": (n,)}, seed=6, threads=2)
    else:
        y = kernel(f"_random_{kind}_like", [np.zeros(n)], given, seed=7, threads=2)
    return y[0].astype("float64").ravel()


@pytest.mark.parametrize("how", ["scalar", "array", "like"])
@pytest.mark.parametrize("kind, params, names, ends", CONTINUOUS)
def test_continuous(kind, params, names, ends, how):
    """Kolmogorov and Smirnov: the largest distance of the empirical distribution from the integrated density."""
    y = np.sort(numbers(kind, names, params, how))
    # Points that lie dense where the density is steep: geometric from the left end, for those that begin at 0.
    grid = np.geomspace(*ends, 400_001) if ends[0] > 0 else np.linspace(*ends, 400_001)
    f = density(kind, grid, params)
    cdf = np.concatenate([[0], np.cumsum((f[1:] + f[:-1]) / 2 * np.diff(grid))])
    cdf += (1 - cdf[-1]) if kind == "gamma" and params[0] < 1 else 0       # the spike left of the first point
    assert abs(cdf[-1] - 1) < 1e-4
    expected = np.interp(y, grid, cdf)
    steps = np.arange(N + 1) / N
    distance = max(np.max(steps[1:] - expected), np.max(expected - steps[:-1]))
    assert distance < 1.95 / math.sqrt(N), f"distance {distance}"           # exceeded by chance once in 1000 seeds


@pytest.mark.parametrize("how", ["scalar", "array", "like"])
@pytest.mark.parametrize("kind, params, names", DISCRETE)
def test_discrete(kind, params, names, how):
    """Pearson's chi-square over the values that are expected at least 20 times, and the rest as one."""
    y = numbers(kind, names, params, how)
    assert np.array_equal(y, np.floor(y)) and y.min() >= 0
    if params in ((0.0,), (5, 1.0)):
        assert not y.any()
        return
    at = np.arange(2000.0)
    expected = N * density(kind, at, params)
    assert abs(expected.sum() - N) < 1e-3 * N
    counts = np.bincount(y.astype(int), minlength=2000)[:2000]
    usual = expected >= 20
    rest = N - expected[usual].sum()
    square = ((counts - expected)[usual] ** 2 / expected[usual]).sum()
    if rest > 5:
        square += (N - counts[usual].sum() - rest) ** 2 / rest
    freedom = usual.sum()
    assert square < freedom + 3.3 * math.sqrt(2 * freedom) + 8, f"{square} for {freedom} degrees of freedom"


def test_moments_of_large_means():
    y = numbers("poisson", ("lam",), (3e6,), "scalar")
    assert abs(y.mean() - 3e6) < 5 * math.sqrt(3e6 / N) and abs(y.var() / 3e6 - 1) < 0.03
    y = kernel("_random_poisson", [], {"lam": 1e12, "shape": (N,), "dtype": "float64"}, seed=5)[0]
    assert abs(y.mean() - 1e12) < 5 * math.sqrt(1e12 / N) and abs(y.var() / 1e12 - 1) < 0.03


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_kernels_draw_what_the_references_draw(dtype):
    state = dict(seed=0xDEADBEEF12345678, step=2 ** 33 + 5, rng_id=9)
    tol = dict(float32=2e-6, float64=1e-9, float16=2e-3)[dtype]
    rng = np.random.default_rng(1)
    for kind, names in (("uniform", 2), ("normal", 2), ("exponential", 1), ("gamma", 2), ("poisson", 1),
                        ("negative_binomial", 2), ("generalized_negative_binomial", 2)):
        arrays = [rng.uniform(0.05, 20, 40) for _ in range(names)]
        if kind == "negative_binomial":
            arrays[1] = rng.uniform(0.05, 0.95, 40)
        params = {"shape": (50,), "dtype": dtype}
        want = reference("_sample_" + kind, arrays, params, **state)[0]
        for threads in (1, 2, 5):
            got = kernel("_sample_" + kind, arrays, params, None, threads, **state)[0]
            assert got.dtype == dtype and got.shape == (40, 50)
            np.testing.assert_allclose(got, want, rtol=tol, atol=tol, err_msg=kind)
    params = {"low": -5, "high": 7, "shape": (1000,)}
    for low, high, kind in ((-5, 7, "int32"), (-2 ** 31, 2 ** 31, "int32"), (-2 ** 62, 2 ** 62 + 3, "int64"),
                            (-2 ** 63, 2 ** 63, "int64")):
        params = {"low": low, "high": high, "shape": (1001,), "dtype": kind}
        want = reference("_random_randint", [], params, **state)[0]
        assert want.min() >= low and want.max() < high and len(np.unique(want)) > min(high - low, 900) - 1
        for threads in (1, 2, 5):
            assert np.array_equal(kernel("_random_randint", [], params, None, threads, **state)[0], want)


def test_elements_depend_on_their_place_alone():
    """A longer draw begins with the shorter one, for the methods that reject candidates too."""
    for kind, names, params in (("gamma", ("alpha", "beta"), (0.5, 2.0)), ("poisson", ("lam",), (33.0,)),
                                ("negative_binomial", ("k", "p"), (3, 0.2))):
        long, short = (numbers(kind, names, params, "scalar", n) for n in (5000, 700))
        assert np.array_equal(long[:700], short)
        assert len(np.unique(long)) > 20


def test_draws_of_one_seed_are_alike_for_any_number_of_threads():
    draws = []
    for threads in (1, 2, 4):
        most = cpu.get_threads()
        cpu.set_threads(threads)
        try:
            mx.random.seed(11)
            draws.append([mx.nd.random.gamma(2, 3, shape=(30_000,)).asnumpy(),
                          mx.nd.random.poisson(20, shape=(30_000,)).asnumpy(),
                          mx.nd.random.multinomial(mx.nd.array([[0.2, 0.8]] * 3000), shape=9).asnumpy(),
                          mx.nd.random.shuffle(mx.nd.arange(1000)).asnumpy(), mx.nd.random.randint(0, 99).asnumpy()])
        finally:
            cpu.set_threads(most)
    for other in draws[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(draws[0], other))
    mx.random.seed(12)
    assert not np.array_equal(mx.nd.random.gamma(2, 3, shape=(30_000,)).asnumpy(), draws[0][0])


@pytest.mark.parametrize("name", ["uniform", "normal", "exponential", "gamma", "poisson", "negative_binomial",
                                  "generalized_negative_binomial"])
def test_shapes_dtypes_and_out(name):
    draw, like = getattr(mx.nd.random, name), getattr(mx.nd.random, name + "_like")
    one = {"negative_binomial": (3, 0.5), "exponential": (2,), "poisson": (2,)}.get(name, (1, 2))
    assert draw(*one).shape == (1,) and draw(*one).dtype == np.float32
    assert draw(*one, shape=3).shape == (3,)
    for dtype in ("float16", "float32", "float64"):
        got = draw(*one, shape=(2, 3), dtype=dtype)
        assert got.shape == (2, 3) and got.dtype == np.dtype(dtype) and np.isfinite(got.asnumpy()).all()
        out = mx.nd.full((4, 2), -7, dtype=dtype)
        assert draw(*one, out=out) is out and (out.asnumpy() != -7).all()
        assert like(out).dtype == out.dtype and like(out).shape == (4, 2)
    arrays = [mx.nd.array([[p, p]]) for p in one]
    assert draw(*arrays).shape == (1, 2) and draw(*arrays, shape=(3, 4)).shape == (1, 2, 3, 4)
    assert draw(*arrays, dtype="float64").dtype == np.float64
    assert draw(*[mx.nd.array([p], dtype="float64") for p in one]).dtype == np.float32
    out = mx.nd.full((1, 2, 5), -7)
    assert draw(*arrays, shape=5, out=out) is out and (out.asnumpy() != -7).all()
    assert draw(*[mx.nd.zeros((0,)) for _ in one], shape=(2,)).shape == (0, 2)
    assert draw(*one, shape=(0, 3)).shape == (0, 3)
    mx.random.seed(4)
    first = draw(*one, shape=(50,)).asnumpy()
    second = draw(*one, shape=(50,)).asnumpy()
    mx.random.seed(4)
    net = getattr(mx.sym.random, name)(*one, shape=(50,))
    exe = net.simple_bind(mx.cpu())
    assert np.array_equal(exe.forward()[0].asnumpy(), first) and not np.array_equal(first, second)
    assert np.array_equal(exe.forward()[0].asnumpy(), second)
    sym = getattr(mx.sym.random, name)(*[mx.sym.Variable(f"p{i}") for i in range(len(one))], shape=(3,))
    assert sym.infer_shape(p0=(2,))[1] == [(2, 3)]


def test_the_device_of_a_draw():
    for _ in range(2):                      # the second time by a plan that was kept
        assert mx.nd.random_normal(shape=(2,)).context == mx.cpu(0)
        with mx.cpu(1):
            assert mx.nd.random_normal(shape=(2,)).context == mx.cpu(1)
            assert mx.nd.random_normal(shape=(2,), ctx=mx.cpu(2)).context == mx.cpu(2)
        out = mx.nd.zeros((2,), ctx=mx.cpu(1))
        assert mx.random.normal(out=out, ctx=mx.cpu(2)) is out and out.asnumpy().all()      # as MXNet: out decides


def test_uniform_stays_below_its_end():
    for dtype, n in (("float16", 1 << 15), ("float32", 1 << 17)):
        low, high = np.array([0.0], dtype), np.array([1.0], dtype)
        y = kernel("_sample_uniform", [low, high], {"shape": (n,), "dtype": dtype}, seed=1)[0]
        assert y.max() < 1 and y.min() >= 0 and abs(y.astype("float64").mean() - 0.5) < 5 / math.sqrt(12 * n)


def test_parameters_that_make_no_distribution():
    R, a = mx.nd.random, lambda *v: mx.nd.array(v)
    for call in (lambda: R.uniform(2, 1), lambda: R.normal(0, 0), lambda: R.normal(0, -1), lambda: R.exponential(-1),
                 lambda: R.gamma(0, 1), lambda: R.gamma(1, -1), lambda: R.poisson(-1), lambda: R.negative_binomial(-1),
                 lambda: R.negative_binomial(3, 1.5), lambda: R.negative_binomial(2.5, 0.5),
                 lambda: R.generalized_negative_binomial(-1, 1), lambda: R.generalized_negative_binomial(1, -1),
                 lambda: R.randint(3, 3), lambda: R.randint(5, 3), lambda: R.randint(0.5, 3),
                 lambda: R.randint(0, 2 ** 70), lambda: R.randint(0, 3, dtype="float32"),
                 lambda: R.uniform(dtype="int32"),
                 lambda: R.uniform(a(0, 1), a(1, 2, 3)), lambda: R.multinomial(mx.nd.array([1], dtype="int32")),
                 lambda: R.multinomial(a(0.5, 0.5), dtype="int64"), lambda: R.multinomial(mx.nd.zeros((2, 0))),
                 lambda: R.uniform_like(mx.nd.array([1], dtype="int32"))):
        with pytest.raises(mx.MXNetError):
            call()
    R.uniform(0, 1), R.gamma(1, 1)          # a call like an earlier one is checked too: what it says depends on nothing
    for call in (lambda: R.uniform(2, 1), lambda: mx.nd.random_uniform(2, 1, shape=(1,))):
        with pytest.raises(mx.MXNetError):
            call()
    with pytest.raises(mx.MXNetError, match=r"gamma: alpha=-2.0 must be positive"):
        R.gamma(-2, 1)
    for call in (lambda: R.uniform(a(0), 1), lambda: R.uniform("x"), lambda: R.gamma(a(1), 2),
                 lambda: mx.random.seed(1.5), lambda: mx.sym.random.normal("x"),
                 lambda: mx.sym.random.uniform(mx.sym.Variable("a"), 1)):
        with pytest.raises(ValueError):
            call()
    with pytest.raises(ZeroDivisionError):
        R.exponential(0)
    nan = np.isnan
    assert nan(R.gamma(a(-1, 1, np.nan), a(1, -1, 1)).asnumpy()).all() and not R.gamma(a(0), a(3)).asnumpy().any()
    assert nan(R.poisson(a(-1, np.nan)).asnumpy()).all() and R.poisson(a(np.inf)).asnumpy()[0] == np.inf
    assert nan(R.exponential(a(-1, np.nan)).asnumpy()).all()
    assert nan(R.negative_binomial(a(3, 3, -1), a(-0.5, 1.5, 0.5)).asnumpy()).all()
    assert nan(R.generalized_negative_binomial(a(-1, 1), a(1, -1)).asnumpy()).all()


def test_categories():
    p = np.array([[0.5, 0.25, 0, 0.25], [0, 0, 1, 0], [0.1, 0.2, 0.3, 0.4]], "float32")
    mx.random.seed(3)
    found, log = mx.nd.random.multinomial(mx.nd.array(p), shape=(100, 300), get_prob=True)
    assert found.shape == log.shape == (3, 100, 300) and found.dtype == np.int32 and log.dtype == np.float32
    found, log = found.asnumpy(), log.asnumpy()
    for row, given in zip(found, p):
        frequency = np.bincount(row.ravel(), minlength=4) / row.size
        assert (np.abs(frequency - given) < 4 * np.sqrt(given * (1 - given) / row.size) + 1e-12).all()
    rows = np.broadcast_to(np.arange(3)[:, None, None], found.shape)
    np.testing.assert_allclose(log, np.log(p[rows, found]), rtol=1e-6)
    draw = lambda *v, **k: mx.nd.random.multinomial(mx.nd.array(v), **k)
    assert draw(0.5, 0.5).shape == (1,) and draw(0.5, 0.5, shape=3).shape == (3,)
    assert set(draw(0.1, 0.2, 0.0, shape=99).asnumpy().tolist()) <= {0, 1}   # what is missing to 1 goes to the last
    for dtype in ("uint8", "float16", "float32", "float64"):
        assert draw(0.0, 1.0, dtype=dtype).dtype == np.dtype(dtype)
    wide, _ = kernel("_sample_multinomial", [p.astype("float16")], {"shape": (9,), "get_prob": True}, seed=2)
    assert np.array_equal(wide, reference("_sample_multinomial", [p], {"shape": (9,), "get_prob": True}, seed=2)[0])


def test_gradient_of_a_category():
    """That of log(data) at the categories drawn, and once more."""
    data = mx.sym.Variable("data")
    drawn = mx.sym.random.multinomial(data, shape=(4,), get_prob=True, name="m")
    p = np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]], "float32")
    exe = drawn.simple_bind(mx.cpu(), data=(2, 3))
    found, _ = exe.forward(is_train=True, data=mx.nd.array(p))
    found, weight = found.asnumpy(), np.arange(1.0, 9).reshape(2, 4).astype("float32")
    exe.backward([mx.nd.zeros((2, 4), dtype="int32"), mx.nd.array(weight)])
    want = np.zeros((2, 3))
    for r, j in itertools.product(range(2), range(4)):
        want[r, found[r, j]] += weight[r, j] / p[r, found[r, j]]
    np.testing.assert_allclose(exe.grad_dict["data"].asnumpy(), want, rtol=1e-5)


def test_shuffle():
    mx.random.seed(1)
    seen = np.zeros(6)
    orders = list(itertools.permutations(range(3)))
    for _ in range(1200):
        seen[orders.index(tuple(mx.nd.random.shuffle(mx.nd.arange(3)).asnumpy().astype(int)))] += 1
    assert ((seen - 200) ** 2 / 200).sum() < 25         # 5 degrees of freedom: by chance once in 7000 seeds
    x = mx.nd.arange(40, dtype="int32").reshape((20, 2))
    y = mx.nd.shuffle(x).asnumpy()
    assert y.dtype == np.int32 and not np.array_equal(y, x.asnumpy())
    assert np.array_equal(y[y[:, 0].argsort()], x.asnumpy())
    exe = mx.sym.random.shuffle(mx.sym.Variable("a")).simple_bind(mx.cpu(), a=(7, 2))
    given = np.random.default_rng(0).normal(size=(7, 2)).astype("float32")
    got = exe.forward(is_train=True, a=mx.nd.array(given))[0].asnumpy()
    exe.backward([mx.nd.array(got * 3)])
    np.testing.assert_allclose(exe.grad_dict["a"].asnumpy(), given * 3, rtol=1e-6)


def test_unique_zipfian():
    mx.random.seed(2)
    found, tries = mx.nd._internal._sample_unique_zipfian(range_max=50, shape=(4000, 3))
    found, tries = found.asnumpy(), tries.asnumpy()
    assert found.min() >= 0 and found.max() < 50 and (tries >= 3).all() and found.dtype == tries.dtype == np.int64
    assert all(len(set(row)) == 3 for row in found.tolist())
    first = np.bincount(found[:, 0], minlength=50) / 4000
    k = np.arange(50)
    given = np.log((k + 2) / (k + 1)) / np.log(51)
    assert (np.abs(first - given) < 4.5 * np.sqrt(given / 4000)).all()
    op = RECORDS["_sample_unique_zipfian"]
    whole = op.ref(np, op.parse({"range_max": 30, "shape": (1, 30)}), rng=Philox(np, 1, 1))[0]
    assert sorted(whole[0]) == list(range(30))
