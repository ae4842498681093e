"""Optimizer steps: literal values worked out by hand, states in place, order of clipping and decay, odd sizes."""
import numpy as np
import pytest

from mxlite.ops.record import RECORDS

from .kernel_calls import LEVELS, check, check_samples, kernel

STEPS = [name for name, op in RECORDS.items() if name.endswith("_update") and op.cpu]


def test_samples():
    check_samples({"update"})


# name, parameters, weight, gradient, states -> weight, states
LITERAL = [
    ("sgd_update", {"lr": 0.5}, 1, 4, [], -1, []),
    ("sgd_update", {"lr": 0.5, "rescale_grad": 0.25, "wd": 0.5}, 1, 4, [], 0.25, []),
    ("sgd_update", {"lr": 0.5, "clip_gradient": 2.0, "wd": 1.0}, 1, -4, [], 1.5, []),
    ("sgd_update", {"lr": 0.5, "clip_gradient": 0.0}, 1, -4, [], 1, []),
    ("sgd_mom_update", {"lr": 0.5, "momentum": 0.5, "wd": 2.0}, 1, 2, [8], 3, [2]),
    ("nag_mom_update", {"lr": 0.5, "momentum": 0.5}, 1, 2, [8], 1.5, [3]),
    ("adam_update", {"lr": 1.0, "beta1": 0.5, "beta2": 0.75, "epsilon": 1.0}, 3, 2, [4, 4], 2, [3, 4]),
    # Weight decay comes before clipping here.
    ("adam_update", {"lr": 1.0, "beta1": 0.5, "beta2": 0.75, "epsilon": 1.0, "wd": 1.0, "clip_gradient": 2.0}, 3, 2,
     [4, 4], 2, [3, 4]),
    ("rmsprop_update", {"lr": 1.0, "gamma1": 0.75, "epsilon": 5.0}, 1, 2, [4], 1 - 2 / 3, [4]),
    ("rmsprop_update", {"lr": 1.0, "gamma1": 0.75, "epsilon": 5.0, "clip_weights": 0.25}, 1, 2, [4], 0.25, [4]),
    ("rmspropalex_update", {"lr": 3.0, "gamma1": 0.5, "gamma2": 0.5, "epsilon": 5.0}, 1, 2, [12, 0, 2],
     2 - 3 ** 0.5, [8, 1, 1 - 3 ** 0.5]),
    ("ftrl_update", {"lr": 0.5, "lamda1": 1.0, "beta": 1.0, "wd": 1.0}, 1, 4, [2, 9], -1 / 13, [2, 25]),
    ("ftrl_update", {"lr": 0.5, "lamda1": 3.0, "beta": 1.0, "wd": 1.0}, 1, 4, [2, 9], 0, [2, 25]),
    ("signsgd_update", {"lr": 0.5, "wd": 0.5}, 2, -7, [], 2, []),
    ("signum_update", {"lr": 0.5, "momentum": 0.5, "wd": 2.0, "wd_lh": 0.5}, 2, 4, [2], 1, [-3]),
]


@pytest.mark.parametrize("isa", LEVELS)
@pytest.mark.parametrize("name, params, weight, grad, states, new, kept", LITERAL)
@pytest.mark.parametrize("n", [1, 19])
def test_literal_steps(isa, name, params, weight, grad, states, new, kept, n):
    for dtype in ("float32", "float64"):
        xs = [np.full(n, v, dtype) for v in (weight, grad, *states)]
        y = kernel(name, xs, params, isa, into={0: xs[0]})[0]
        assert y is xs[0]
        np.testing.assert_allclose(y, np.full(n, new), rtol=1e-6, atol=1e-7)
        for state, k in zip(xs[2:], kept):
            np.testing.assert_allclose(state, np.full(n, k), rtol=1e-6)
        assert (xs[1] == grad).all(), "the gradient was written"


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("n", [0, 1, 1023, 1025, 200_003])
def test_against_the_reference(name, n):
    op = RECORDS[name]
    rng = np.random.default_rng(n)
    params = {k: v for k, v in {"lr": 0.1, "wd": 0.05, "rescale_grad": 0.5, "clip_gradient": 0.4, "momentum": 0.9,
                                "epsilon": 1e-2, "clip_weights": 0.8, "wd_lh": 0.1}.items() if k in op.params}
    for dtype in ("float32", "float64"):
        xs = [rng.uniform(-1, 1, n).astype(dtype) for _ in range(2)]
        xs += [rng.uniform(0.2, 1, n).astype(dtype) for _ in op.aux_names(None)]
        if name == "rmspropalex_update":
            xs[2] += 1                                  # n - g * g must stay positive
        if name == "signum_update":
            xs[2] += 1                                  # away from where the sign jumps
        check(name, xs, params)


@pytest.mark.parametrize("name", STEPS)
def test_nan_is_not_hidden(name):
    op = RECORDS[name]
    xs = [np.ones(40, "float32") for _ in range(2 + len(op.aux_names(None)))]
    xs[1][7] = np.nan
    params = {"lr": 0.1, "clip_gradient": 0.5}
    y = kernel(name, xs, params)[0]
    assert np.isfinite(np.delete(y, 7)).all()
    assert np.isnan(y[7]) or np.isnan(xs[2][7])         # ftrl's weight is 0 where its sums are NaN


def test_mixed_precision_keeps_a_float32_weight():
    op = RECORDS["mp_sgd_mom_update"]
    p = op.parse({"lr": 2.0 ** -14, "momentum": 0.5})
    weight, grad = np.array([1, 2], "float16"), np.array([1, -1], "float16")
    mom, master = np.zeros(2, "float32"), np.array([1, 2], "float32")
    for _ in range(3):
        new = op.ref(np, p, weight, grad, mom, master)
    assert new.dtype == np.float16 and mom.dtype == np.float32
    moved = 2.0 ** -14 * (1 + 1.5 + 1.75)               # below half a unit of float16's 1
    np.testing.assert_allclose(master, [1 - moved, 2 + moved], rtol=1e-7)
    assert op.infer_dtype(p, ["float16", None, None, None], [None]) == (
        ["float16", "float16", "float32", "float32"], ["float16"])


def test_parameters():
    op = RECORDS["adam_update"]
    assert list(op.params) == ["lr", "beta1", "beta2", "epsilon", "wd", "rescale_grad", "clip_gradient", "lazy_update"]
    assert op.dynamic == ("lr", "beta1", "beta2", "epsilon", "wd", "rescale_grad", "clip_gradient")
    with pytest.raises(ValueError, match="'lr' is required"):
        op.parse({})
