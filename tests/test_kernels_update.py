"""Optimizer steps: literal values worked out by hand, states in place, order of clipping and decay, odd sizes."""
import numpy as np
import pytest

from mxlite.ops.record import RECORDS

from .kernel_calls import LEVELS, call, check, check_samples, kernel

STEPS = [name for name, op in RECORDS.items() if op.__module__.endswith("ops.update") and op.cpu]
MULTI = [name for name, op in RECORDS.items() if op.cpu == "update.multi_sgd"]


def test_samples():
    check_samples({"update", "multi_update"})


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


def many(name, sizes, dtype, seed=0):
    """(inputs, parameters, inputs a weight, learning rates, weight decays) of a call on weights of `sizes`."""
    rng, n = np.random.default_rng(seed), len(sizes)
    mixed, momentum = "multi_mp" in name, "mom" in name
    lrs, wds = rng.uniform(0.01, 0.1, n).astype("float32"), rng.uniform(0, 0.1, n).astype("float32")
    params = {"num_weights": n, "rescale_grad": 0.5, "clip_gradient": 0.4}
    if momentum:
        params["momentum"] = 0.9
    xs = []
    for size in sizes:
        w = rng.uniform(-1, 1, size).astype(dtype)
        xs += [w, rng.uniform(-2, 2, size).astype(dtype)]
        xs += [rng.uniform(-1, 1, size).astype("float32" if mixed else dtype)] * momentum
        xs += [w.astype("float32")] * mixed
    if name.startswith("preloaded"):
        xs += [lrs, wds]
    else:
        params.update(lrs=tuple(map(float, lrs)), wds=tuple(map(float, wds)))
    return xs, params, 2 + momentum + mixed, lrs, wds


SIZES = [(7,), (1025,), (0,), (3, 40_000), (1,), (2048,)]


def test_eight_records_have_the_kernel():
    assert len(MULTI) == 8


@pytest.mark.parametrize("name", MULTI)
def test_many_weights_are_single_steps_to_the_bit(name):
    """At every level, with one thread and two; in half precision within rounding of the reference."""
    for dtype in ("float16",) if "multi_mp" in name else ("float32", "float64"):
        xs, params, fields, lrs, wds = many(name, SIZES, dtype)
        one = "sgd_mom_update" if "mom" in name else "sgd_update"
        for isa in LEVELS:
            for threads in (1, 2):
                own = [x.copy() for x in xs]
                ys = kernel(name, own, params, isa, threads, into={i: own[fields * i] for i in range(len(SIZES))})
                for i, y in enumerate(ys):
                    w, g, *states = [x.copy() for x in xs[fields * i:fields * (i + 1)]]
                    single = {k: params[k] for k in ("rescale_grad", "clip_gradient", "momentum") if k in params}
                    single.update(lr=float(lrs[i]), wd=float(wds[i]))
                    if "multi_mp" in name:
                        w, g = states.pop(), g.astype("float32")
                    new = kernel(one, [w, g, *states], single, isa)[0]
                    if "multi_mp" in name:
                        np.testing.assert_array_equal(own[fields * i + fields - 1], new)
                    np.testing.assert_array_equal(y, new.astype(dtype), err_msg=f"{name} weight {i}")
                    for state, want in zip(own[fields * i + 2:], states):
                        np.testing.assert_array_equal(state, want)
                    np.testing.assert_array_equal(own[fields * i + 1], xs[fields * i + 1], err_msg="the gradient")


def test_many_weights_that_share_memory_go_one_after_the_other():
    """Two steps on one weight: the second starts where the first ended, whatever the number of threads."""
    w, g = np.ones(100_000, "float32"), np.full(100_000, 2, "float32")
    for threads in (1, 2):
        own = w.copy()
        kernel("multi_sgd_update", [own, 0 * g, own, g], {"lrs": (0.5, 0.5), "wds": (1.0, 0.0), "num_weights": 2},
               threads=threads, into={0: own, 1: own})
        assert (own == -0.5).all()              # halved, then less 1; the other way round it would be 0


def test_many_weights_of_wrong_dtypes_are_refused():
    w = np.ones(3, "float32")
    params = {"lrs": (0.25,), "wds": (0.0,), "num_weights": 1}
    assert call(RECORDS["multi_sgd_update"], [w, w.astype("float64")], params, into={0: w.copy()})[1] == 1


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
