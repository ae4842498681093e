"""Pooling kernels: MXNet's rules for ties, NaN, padding and empty windows as literal values, and any geometry."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxlite.ops.record import RECORDS

from .kernel_calls import LEVELS, run_kernel
from .reference import run

POOL, BACK = RECORDS["Pooling"], RECORDS["_backward_Pooling"]


def both(x, dy=None, dtype="f4", **params):
    """Output and gradient, from the kernels at every level; they and the reference agree."""
    x = np.asarray(x, dtype)
    want = run(POOL, POOL.parse(params), [x])[0]
    dy = np.arange(1, want.size + 1, dtype=dtype).reshape(want.shape) if dy is None else dy
    extra = {"max": [x], "lp": [x, want]}.get(params.get("pool_type", "max"), [])
    given_ = dict(params, shape=x.shape)
    want_dx = run(BACK, BACK.parse(given_), [dy, *extra])[0]
    tol = 2e-5 if dtype == "f4" else 1e-12
    for level in LEVELS:
        for threads in (1, 2):
            y = run_kernel(POOL, [x], level, threads, **params)[0]
            dx = run_kernel(BACK, [dy, *extra], level, threads, **given_)[0]
            np.testing.assert_allclose(y, want, rtol=tol, atol=tol)
            np.testing.assert_allclose(dx, want_dx, rtol=tol, atol=tol * max(1, np.abs(want_dx).max(initial=0)))
    return y, dx


def test_first_of_a_tie_gets_the_gradient():
    _, dx = both(np.ones((1, 1, 3, 3)), kernel=(2, 2))
    assert dx.ravel().tolist() == [1, 2, 0, 3, 4, 0, 0, 0, 0]
    _, dx = both([[[1, 2, 2, 1, 2]]], kernel=(3,))
    assert dx.ravel().tolist() == [0, 3, 3, 0, 0]


def test_nan_loses():
    y, dx = both([[[1, np.nan, 2, 1, 3]]], kernel=(2,))
    assert y.ravel().tolist() == [1, 2, 2, 3] and dx.ravel().tolist() == [1, 0, 5, 0, 4]
    y, dx = both([[[[np.nan, 1, 2, 1, 3]]]], kernel=(1, 2))
    assert y.ravel().tolist() == [1, 2, 2, 3] and dx.ravel().tolist() == [0, 1, 5, 0, 4]
    y, dx = both([[[np.nan, np.nan, -np.inf, -np.inf]]], kernel=(2,), stride=(2,))
    assert np.isnan(y[0, 0, 0]) and y[0, 0, 1] == -np.inf and dx.ravel().tolist() == [1, 0, 2, 0]


def test_padding_never_wins():
    y, _ = both(-np.ones((1, 1, 3)), kernel=(3,), pad=(1,))
    assert y.ravel().tolist() == [-1, -1, -1]


@pytest.mark.parametrize("include,convention,y,dx", [
    (True, "valid", [1, 3, 5], [1 / 3, 1, 2 / 3, 5 / 3, 1, 1]),
    (None, "full", [1, 3, 5, 3], [1 / 3, 1, 2 / 3, 5 / 3, 1, 3]),
    (False, "valid", [1.5, 3, 5], [0.5, 7 / 6, 2 / 3, 5 / 3, 1, 1]),
    (False, "full", [1.5, 3, 5, 6], [0.5, 7 / 6, 2 / 3, 5 / 3, 1, 5])])
def test_divisor_of_an_average(include, convention, y, dx):
    got = both(np.arange(1, 7).reshape(1, 1, 6), kernel=(3,), pad=(1,), stride=(2,), pool_type="avg",
               count_include_pad=include, pooling_convention=convention)
    np.testing.assert_allclose(got[0].ravel(), y, rtol=1e-6)
    np.testing.assert_allclose(got[1].ravel(), dx, rtol=1e-6)


@pytest.mark.parametrize("kind,last", [("max", np.finfo("f4").min), ("avg", 0), ("sum", 0)])
def test_empty_window(kind, last):
    y, dx = both(np.arange(1, 7).reshape(1, 1, 6), kernel=(1,), stride=(3,), pooling_convention="full", pool_type=kind)
    assert y.ravel().tolist() == [1, 4, last] and dx.ravel().tolist() == [1, 0, 0, 2, 0, 0]


@pytest.mark.parametrize("p,y,dx", [
    (1, [1, -1, 1, 4, 0, 0], [1, 3, 5, 7, 9, 11, 6]),
    (2, [2.236068, 3.6055512, 5, 4, 0, 0], [-0.4472136, 2.0038276, -3.4641008, 6.4, 0, 0, 0]),
    (3, [1.9129312, -2.6684017, 3.3322217, 4, 0, 0], [0.27327588, 2.216641, 4.9595804, 8.322884, 0, 0, 0])])
def test_lp(p, y, dx):
    got = both([[[-1, 2, -3, 4, 0, 0, 0]]], kernel=(2,), pool_type="lp", p_value=p)
    np.testing.assert_allclose(got[0].ravel(), y, rtol=1e-6)
    np.testing.assert_allclose(got[1].ravel(), dx, rtol=1e-6)


@st.composite
def geometry(draw):
    nd = draw(st.integers(1, 3))

    def each(a, b):
        return tuple(draw(st.integers(a, b)) for _ in range(nd))
    kernel, stride = each(1, 5), each(1, 4)
    pad = tuple(draw(st.integers(0, k - 1)) for k in kernel)
    size = tuple(max(1, k - 2 * p) + draw(st.integers(0, 20)) for k, p in zip(kernel, pad))
    kind = draw(st.sampled_from(["max", "avg", "sum", "lp"]))
    params = dict(kernel=kernel, stride=stride, pad=pad, pool_type=kind,
                  pooling_convention=draw(st.sampled_from(["valid", "full"])),
                  count_include_pad=draw(st.sampled_from([None, True, False])))
    if draw(st.integers(0, 6)) == 0:
        params = dict(global_pool=True, pool_type=kind)
    if kind == "lp":
        params["p_value"] = draw(st.integers(1, 3))
    return (draw(st.integers(0, 2)), draw(st.integers(1, 3)), *size), params


@settings(max_examples=100, deadline=None)
@given(case=geometry(), dtype=st.sampled_from(["f4", "f8"]), coarse=st.booleans())
def test_any_geometry(case, dtype, coarse):
    shape, params = case
    rng = np.random.default_rng(sum(shape))
    x = rng.uniform(0.1, 1, shape)
    both(np.ceil(x * 4) / 4 if coarse else x, dtype=dtype, **params)


@pytest.mark.parametrize("shape,params,words", [
    ((1, 3, 5, 5), {}, "kernel is required"), ((1, 3, 5), dict(kernel=(2, 2)), "must have 1 axes"),
    ((1, 3, 5, 5), dict(kernel=(7, 7)), "exceeds the input"), ((3, 4), dict(global_pool=True), "3, 4 or 5 axes"),
    ((1, 3, 5, 5), dict(kernel=(2, 2), pool_type="lp"), "needs p_value"),
    ((1, 3, 5, 5), dict(kernel=(2, 2), pool_type="lp", p_value=4), "needs p_value"),
    ((1, 3, 5, 5), dict(kernel=(2, 2), pad=(2, 2)), "smaller than kernel"),
    ((1, 3, 5, 5), dict(kernel=(2, 2), stride=(2,)), "must have 2 axes"),
    ((1, 3, 5, 5), dict(kernel=(2, 2), pooling_convention="same"), "one spatial axis"),
    ((1, 3, 5, 5), dict(kernel=(2, 2), layout="NCW"), "does not fit")])
def test_shape_errors(shape, params, words):
    with pytest.raises(ValueError, match=words):
        POOL.infer(POOL.parse(params), [shape], [None])


def test_channels_last_runs_the_reference():
    p = POOL.parse({"kernel": (2,), "layout": "NWC"})
    assert POOL.cpu(p) is None and POOL.infer(p, [(1, 5, 3)], [None])[1] == [(1, 4, 3)]


def test_v1_pads_with_zeros_and_shares_ties():
    op, back = RECORDS["Pooling_v1"], RECORDS["_backward_Pooling_v1"]
    p = op.parse({"kernel": (3, 3), "pad": (1, 1)})
    assert run(op, p, [-np.ones((1, 1, 3, 3))])[0].ravel().tolist() == [0, 0, 0, 0, -1, 0, 0, 0, 0]
    p, x, y = op.parse({"kernel": (2, 2)}), np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2))
    dx = run(back, p, [np.arange(1.0, 5).reshape(1, 1, 2, 2), x, y])[0]
    assert dx.ravel().tolist() == [1, 3, 2, 4, 10, 6, 3, 7, 4]
