"""Pooling kernels: MXNet's rules for ties, NaN, padding and empty windows as literal values, and any geometry."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mxlite as mx
from mxlite.ops.pool import code_dtype
from mxlite.ops.record import RECORDS

from . import guard_pages
from .kernel_calls import LEVELS, call, run_kernel
from .reference import run

POOL, BACK = RECORDS["Pooling"], RECORDS["_backward_Pooling"]


def both(x, dy=None, dtype="f4", **params):
    """Output and gradient, from the kernels at every level; they and the reference agree."""
    x = np.asarray(x, dtype)
    want, *codes = run(POOL, POOL.parse(params), [x])
    dy = np.arange(1, want.size + 1, dtype=dtype).reshape(want.shape) if dy is None else dy
    extra = codes or ([x, want] if params["pool_type"] == "lp" else [])
    given_ = dict(params, shape=x.shape)
    want_dx = run(BACK, BACK.parse(given_), [dy, *extra])[0]
    tol = 2e-5 if dtype == "f4" else 1e-12
    for level in LEVELS:
        for threads in (1, 2):
            y, *own = run_kernel(POOL, [x], level, threads, **params)
            dx = run_kernel(BACK, [dy, *extra], level, threads, **given_)[0]
            np.testing.assert_allclose(y, want, rtol=tol, atol=tol)
            if codes:
                np.testing.assert_array_equal(own, codes)
                alone = call(POOL, [x], params, level, threads, unread=(1,))[0][0]
                np.testing.assert_array_equal(alone, y, err_msg="depends on whether somebody reads the codes")
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


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([(3, 2, 1), (2, 2, 0), (3, 1, 1), (2, 3, 1), (5, 2, 2), (3, 4, 0), (7, 1, 3)]),
       st.integers(8, 75), st.integers(8, 40), st.sampled_from(["max", "avg", "sum", "lp"]),
       st.sampled_from(["f4", "f8"]), st.sampled_from(["plain", "lowest", "nan"]))
def test_rows_of_any_length(window, width, height, kind, dtype, special):
    """Rows longer and shorter than vectors; -inf and NaN, alone in their window or not."""
    k, s, p = window
    rng = np.random.default_rng(width * height)
    x = rng.uniform(0.1, 1, (2, 1, height, width))
    if kind == "max" and special != "plain":
        x[rng.random(x.shape) < 0.7] = -np.inf
        x[..., : width // 2] = -np.inf
        if special == "nan":
            x[rng.random(x.shape) < 0.5] = np.nan
    params = dict(kernel=(k, k), stride=(s, s), pad=(p, p), pool_type=kind)
    if kind == "lp":
        params["p_value"] = 2
    both(x, dtype=dtype, **params)


@pytest.mark.parametrize("shape", [(2, 3, 7, 7), (1, 2, 40), (1, 2, 130, 70), (2, 2, 3, 4, 5), (1, 1, 1)])
@pytest.mark.parametrize("kind", ["max", "avg", "sum"])
def test_one_window_for_the_whole_plane(shape, kind):
    x = np.random.default_rng(8).normal(size=shape)
    both(x, global_pool=True, pool_type=kind)
    if kind == "max":
        x[0, 0] = -np.inf
        both(x, global_pool=True, pool_type=kind)
        x[0, 0].flat[:1] = np.nan
        both(x, global_pool=True, pool_type=kind)
        x[0, 0] = np.nan
        both(x, global_pool=True, pool_type=kind)


@pytest.mark.parametrize("kind", ["max", "avg", "lp"])
@pytest.mark.parametrize("params", [dict(kernel=(3, 3), stride=(2, 2), pad=(1, 1)), dict(global_pool=True),
                                    dict(kernel=(2, 2))])
def test_half_precision_goes_through_float32(kind, params):
    params = dict(params, pool_type=kind, **({"p_value": 2} if kind == "lp" else {}))
    x = np.random.default_rng(6).uniform(0.1, 1, (3, 2, 9, 21)).astype("float16")
    want, *want_codes = run(POOL, POOL.parse(params), [x.astype("float32")])
    dy = np.random.default_rng(7).normal(size=want.shape).astype("float16")
    given_ = dict(params, shape=x.shape)
    for level in LEVELS:
        for threads in (1, 2):
            y, *codes = run_kernel(POOL, [x], level, threads, **params)
            np.testing.assert_allclose(y, want.astype("float16"), rtol=1e-3)
            np.testing.assert_array_equal(codes, want_codes)
            extra = codes or ([x, y] if kind == "lp" else [])
            dx = run_kernel(BACK, [dy, *extra], level, threads, **given_)[0]
            wide = [e.astype("float32") if e.dtype == "float16" else e for e in extra]
            wide = run(BACK, BACK.parse(given_), [dy.astype("float32"), *wide])[0]
            np.testing.assert_allclose(dx, wide.astype("float16"), rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize("window", [(3, 2, 1), (2, 2, 0), (3, 1, 1), (2, 3, 0), (3, 4, 1), (9, 1, 0)])
def test_nothing_outside_is_touched(window, kind, dtype):
    k, s, p = window
    params = dict(kernel=(k, k), stride=(s, s), pad=(p, p), pool_type=kind, pooling_convention="full")
    x = np.random.default_rng(3).normal(size=(2, 1, 9, 19)).astype(dtype)
    op = POOL.parse(params)
    ys = run_kernel(POOL, [x], **params)
    back = BACK.parse(dict(params, shape=x.shape))
    ins = [np.ones_like(ys[0]), *ys[1:]]
    dx = run_kernel(BACK, ins, **params, shape=x.shape)[0]
    for level in LEVELS:
        for at_end in (True, False):
            got = guard_pages.run("pool.forward", [x], POOL.launch(op, [x.shape], [y.shape for y in ys]), ys,
                                  POOL.workspace(op, [x.shape], [ys[0].shape], x.itemsize, 1), level, 1, at_end)
            np.testing.assert_allclose(got[0], ys[0], rtol=1e-3, atol=1e-5)
            np.testing.assert_array_equal(got[1:], ys[1:])
            got = guard_pages.run("pool.backward", ins, BACK.launch(back, [i.shape for i in ins], [x.shape]), [x.shape],
                                  BACK.workspace(back, [i.shape for i in ins], [x.shape], x.itemsize, 1), level, 1,
                                  at_end)[0]
            np.testing.assert_allclose(got, dx, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("params", [dict(kernel=(3, 3), stride=(2, 2), pad=(1, 1)), dict(kernel=(17, 16), pad=(8, 7)),
                                    dict(global_pool=True)])
def test_codes_that_no_window_has_give_nothing(params):
    shape = (2, 3, 20, 37)
    p = POOL.parse(params)
    y = POOL.infer(p, [shape], [None, None])[1][0]
    rng, kind = np.random.default_rng(5), np.dtype(code_dtype(p))
    low, high = (0, 256) if kind == "uint8" else (-2000, 2000)
    codes, dy = rng.integers(low, high, y).astype(kind), rng.normal(size=y).astype("f4")
    if kind != "uint8":
        codes.flat[:2] = np.iinfo("int64").min, np.iinfo("int64").max
    want = run(BACK, BACK.parse(dict(params, shape=shape)), [dy, codes])[0]
    for level in LEVELS:
        np.testing.assert_allclose(run_kernel(BACK, [dy, codes], level, **params, shape=shape)[0], want, rtol=1e-4,
                                   atol=1e-5)


def test_only_codes_are_kept_for_backward():
    x = mx.sym.Variable("x")
    y = mx.sym.Pooling(x * 2, kernel=(3, 3), stride=(2, 2), pad=(1, 1))
    assert y.list_outputs() == [y.name + "_output"]
    bound = y.simple_bind(mx.cpu(), x=(4, 8, 20, 20))
    data = np.random.default_rng(1).normal(size=(4, 8, 20, 20)).astype("f4")
    bound.arg_dict["x"][:] = data
    bound.forward(is_train=True)
    out = bound.outputs[0].asnumpy()
    bound.backward([mx.nd.ones(out.shape)])
    grad = bound.grad_dict["x"].asnumpy()
    assert grad.sum() == 2 * out.size and set(np.unique(data[grad > 0] * 2)) == set(np.unique(out))
    bound.forward(is_train=False)
    np.testing.assert_array_equal(bound.outputs[0].asnumpy(), out)
