"""Random kernels: known answers of Philox, the same bits as the NumPy generator, distributions, and dropout's masks."""
import itertools

import numpy as np
import pytest

from mxlite.ops.philox import Philox, philox4x32
from mxlite.ops.record import RECORDS

from .kernel_calls import LEVELS, check_samples, kernel, reference

WORDS = [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]      # seed, step, node and block 0


def test_samples():
    check_samples({"random"})


def test_known_answers():
    """The vectors of Random123's kat_vectors for philox4x32, 10 rounds."""
    ones = 0xFFFFFFFF
    for counter, key, want in (
            ([0] * 4, [0] * 2, WORDS),
            ([ones] * 4, [ones] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
            ([0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344], [0xA4093822, 0x299F31D0],
             [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1])):
        assert [int(w) for w in philox4x32(np, counter, key)] == want
    # Counter words: block, node, step low, step high; key: seed low, seed high.
    rng = Philox(np, 0x299F31D0A4093822, 0x0370734413198A2E, 0x85A308D3)
    block = philox4x32(np, [5, 0x85A308D3, 0x13198A2E, 0x03707344], [0xA4093822, 0x299F31D0])
    assert [int(w) for w in rng.bits(24)[20:]] == [int(w) for w in block]


@pytest.mark.parametrize("isa", LEVELS)
def test_literal_draws(isa):
    zero = dict(isa=isa, seed=0, step=0, rng_id=0)
    y = kernel("_random_uniform", [], {"shape": (4,)}, **zero)[0]
    assert y.tolist() == [(w >> 8) / 2 ** 24 for w in WORDS]
    y = kernel("_random_uniform", [], {"shape": (2,), "dtype": "float64"}, **zero)[0]
    assert y.tolist() == [((a >> 5) * 2 ** 26 + (b >> 6)) / 2 ** 53 for a, b in (WORDS[:2], WORDS[2:])]
    y = kernel("_random_normal", [], {"shape": (2,), "loc": 1.0, "scale": 3.0}, **zero)[0]
    r, angle = np.sqrt(-2 * np.log(WORDS[0] / 2 ** 32)), 2 * np.pi * (WORDS[1] >> 8) / 2 ** 24
    np.testing.assert_allclose(y, [1 + 3 * r * np.cos(angle), 1 + 3 * r * np.sin(angle)], rtol=1e-5)
    y = kernel("Dropout", [np.ones(4, "float32")], {"p": 0.5}, **zero)[0]
    assert y.tolist() == [0, 2, 2, 2]                   # a word below 2^31 drops its element


@pytest.mark.parametrize("n", [0, 1, 3, 4, 255, 256, 257, 1027, 70001])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kernel_draws_what_philox_draws(n, dtype):
    state = dict(seed=0xDEADBEEF12345678, step=2 ** 33 + 5, rng_id=9)
    for low, high in ((0, 1), (-0.3, 0.7), (1e-3, 5e4)):
        params = {"shape": (n,), "dtype": dtype, "low": low, "high": high}
        want = reference("_random_uniform", [], params, **state)[0]
        for isa, threads in itertools.product(LEVELS, (1, 2, 5)):
            got = kernel("_random_uniform", [], params, isa, threads, **state)[0]
            assert got.dtype == dtype and np.array_equal(got, want), (isa, threads)
    params = {"shape": (n,), "dtype": dtype}
    want = reference("_random_normal", [], params, **state)[0]
    for isa, threads in itertools.product(LEVELS, (1, 2)):
        tol = 2e-6 if dtype == "float32" else 1e-13
        np.testing.assert_allclose(kernel("_random_normal", [], params, isa, threads, **state)[0], want, tol, tol)


@pytest.mark.parametrize("shape", [(7,), (70000,), (5, 7), (3, 4, 5, 6), (2, 3, 1, 5, 700), (600, 3)])
def test_dropout_masks(shape):
    x = np.random.default_rng(0).uniform(1, 2, shape).astype("float32")
    for axes in itertools.chain.from_iterable(itertools.combinations(range(len(shape)), k)
                                              for k in range(len(shape) + 1)):
        params = {"p": 0.3, "axes": axes}
        want = reference("Dropout", [x], params)[0]
        along = tuple(axes)
        if along and want.size:
            assert np.array_equal((want == 0).all(axis=along), (want == 0).any(axis=along)), "mask not shared"
        for isa in LEVELS:
            for threads in (1, 2):
                own = x.copy()
                assert np.array_equal(kernel("Dropout", [own], params, isa, threads, into={0: own})[0], want)
            assert np.array_equal(kernel("_backward_Dropout", [x], params, isa)[0], want)
            assert np.array_equal(kernel("Dropout", [x], params, isa, is_train=False)[0], x)
            always = kernel("Dropout", [x], dict(params, mode="always"), isa, is_train=False)[0]
            assert np.array_equal(always, want)


def test_dropout_edges():
    x = np.array([1, -2, np.inf, np.nan], "float32")
    assert np.array_equal(kernel("Dropout", [x], {"p": 0.0})[0], x, equal_nan=True)
    assert np.array_equal(kernel("Dropout", [x], {"p": 1.0})[0], np.zeros(4))
    kept = kernel("Dropout", [np.ones(1 << 20, "float32")], {"p": 0.2})[0]
    assert set(np.unique(kept)) == {0, np.float32(1 / 0.8)} and abs((kept == 0).mean() - 0.2) < 2e-3
    with pytest.raises(ValueError, match="out of range"):
        RECORDS["Dropout"].parse({"p": 1.5})


def test_distributions():
    n = 200_000
    draw = lambda name, **p: reference(name, [], dict(p, shape=(n,)), seed=3)[0].astype("float64")
    for name, p, mean, var in (
            ("_random_uniform", {"low": -1, "high": 3}, 1, 16 / 12), ("_random_normal", {"loc": 2, "scale": 3}, 2, 9),
            ("_random_exponential", {"lam": 4}, 0.25, 1 / 16), ("_random_poisson", {"lam": 3.5}, 3.5, 3.5),
            ("_random_poisson", {"lam": 80}, 80, 80), ("_random_poisson", {"lam": 0}, 0, 0),
            ("_random_randint", {"low": -5, "high": 6}, 0, 10)):
        y = draw(name, **p)
        assert abs(y.mean() - mean) <= 6 * (var / n) ** 0.5, name
        assert abs(y.var() - var) <= 0.02 * var, name
    assert sorted(np.unique(draw("_random_randint", low=-5, high=6))) == list(range(-5, 6))
    z = kernel("_random_normal", [], {"shape": (n,)}, seed=3)[0]
    assert abs((np.abs(z) < 1).mean() - 0.6827) < 0.005 and abs((np.abs(z) > 3).mean() - 0.0027) < 5e-4
    assert abs(np.corrcoef(z[::2], z[1::2])[0, 1]) < 0.01
    wide = reference("_random_randint", [], {"low": -2 ** 62, "high": 2 ** 62, "shape": (1000,), "dtype": "int64"})[0]
    assert wide.min() < -2 ** 61 and wide.max() > 2 ** 61


@pytest.mark.parametrize("name, params", [
    ("_random_uniform", {"low": 2, "high": 1}), ("_random_normal", {"scale": -1}), ("_random_exponential", {"lam": 0}),
    ("_random_randint", {"low": 1, "high": 1})])
def test_wrong_parameters(name, params):
    op = RECORDS[name]
    with pytest.raises(ValueError):
        op.infer(op.parse(dict(params, shape=(2,))), [], [None])


def test_nodes_steps_and_seeds_differ():
    draws = [kernel("_random_uniform", [], {"shape": (64,)}, seed=s, step=t, rng_id=i)[0]
             for s, t, i in ((1, 1, 0), (2, 1, 0), (1, 2, 0), (1, 1, 1), (1 + 2 ** 32, 1, 0), (1, 1 + 2 ** 32, 0))]
    for a, b in itertools.combinations(draws, 2):
        assert not np.isclose(a, b).any()
