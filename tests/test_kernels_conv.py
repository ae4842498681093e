"""Convolution kernels: literal values, and any geometry against the reference, at every level."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxlite.ops.record import RECORDS

from .kernel_calls import LEVELS, run_kernel
from .reference import run

CONV, DGRAD, WGRAD = (RECORDS[k] for k in ("Convolution", "_conv_dgrad", "_conv_wgrad"))


@st.composite
def geometry(draw):
    nd = draw(st.sampled_from([1, 2, 2, 2, 3]))

    def each(a, b):
        return tuple(draw(st.integers(a, b)) for _ in range(nd))
    kernel, stride, dilate, pad = each(1, 4), each(1, 3), each(1, 3), each(0, 3)
    size = tuple(max(1, d * (k - 1) + 1 - 2 * p) + draw(st.integers(0, 8))
                 for k, d, p in zip(kernel, dilate, pad))
    groups, per = draw(st.integers(1, 3)), draw(st.sampled_from([1, 2, 3, 5, 9, 20]))
    many = draw(st.sampled_from([1, 2, 4, 7, 8, 17]))
    return (draw(st.integers(1, 3)), groups * per, *size), dict(
        kernel=kernel, stride=stride, dilate=dilate, pad=pad, num_filter=groups * many, num_group=groups)


def check(x_shape, params, level, dtype="f4", threads=(1, 2)):
    rng = np.random.default_rng(sum(x_shape))
    n_out, g = params["num_filter"], params["num_group"]
    x = rng.uniform(-1, 1, x_shape).astype(dtype)
    w = rng.uniform(-1, 1, (n_out, x_shape[1] // g, *params["kernel"])).astype(dtype)
    bias = rng.uniform(-1, 1, n_out).astype(dtype)
    p = CONV.parse(params)
    want = run(CONV, p, [a.astype("f8") for a in (x, w, bias)])[0]
    dy = rng.uniform(-1, 1, want.shape).astype(dtype)
    for op, arrays, extra in ((CONV, (x, w, bias), {}), (DGRAD, (dy, w), {"shape": x.shape}),
                              (WGRAD, (dy, x), {"shape": w.shape})):
        given_ = dict(params, **extra)
        want = run(op, op.parse(given_), [a.astype("f8") for a in arrays])[0]
        got = [run_kernel(op, arrays, level, t, **given_)[0] for t in threads]
        tol = 1e-5 if dtype == "f4" else 1e-12
        np.testing.assert_allclose(got[0], want, rtol=0, atol=tol * max(1, np.abs(want).max()), err_msg=op.name)
        assert all(np.array_equal(got[0], y) for y in got[1:]), f"{op.name}: depends on the number of threads"


@settings(max_examples=150, deadline=None)
@given(case=geometry(), level=st.sampled_from(LEVELS), dtype=st.sampled_from(["f4", "f8"]))
def test_any_geometry(case, level, dtype):
    check(*case, level, dtype)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("x,params", [
    ((9, 33, 7, 7), dict(kernel=(3, 3), pad=(1, 1), num_filter=70)),
    ((2, 3, 40, 37), dict(kernel=(7, 7), stride=(2, 2), pad=(3, 3), num_filter=20)),
    ((40, 70, 4, 4), dict(kernel=(3, 3), pad=(1, 1), num_filter=530)),
    ((4, 16, 15, 15), dict(kernel=(1, 1), num_filter=24)),
    ((4, 16, 15, 15), dict(kernel=(1, 1), stride=(2, 2), num_filter=24)),
    # weight's gradient: transposed in one part, in several at once, in several after each other; dy as it lies
    ((3, 41, 13, 11), dict(kernel=(1, 1), num_filter=9)),
    ((17, 27, 12, 12), dict(kernel=(1, 1), num_filter=5)),
    ((52, 210, 11, 12), dict(kernel=(1, 1), num_filter=200)),
    ((5, 6, 24, 26), dict(kernel=(3, 3), stride=(2, 2), pad=(1, 1), num_filter=17)),
    ((3, 1, 28, 28), dict(kernel=(5, 5), num_filter=20)),
    ((2, 32, 17, 19), dict(kernel=(3, 3), pad=(1, 1), num_filter=32, num_group=32)),
    ((2, 8, 300), dict(kernel=(9,), dilate=(5,), num_filter=6))])
def test_layers(x, params, level):
    check(x, dict({"stride": (), "dilate": (), "pad": (), "num_group": 1}, **params), level)


def test_literal():
    x = np.arange(1, 10, dtype="f4").reshape(1, 1, 3, 3)
    w = np.array([[[[1, 0], [0, -1]]]], "f4")
    y = run_kernel(CONV, [x, w, np.array([10], "f4")], kernel=(2, 2), num_filter=1)[0]
    assert y.ravel().tolist() == [6, 6, 6, 6]
    y = run_kernel(CONV, [x, w], kernel=(2, 2), num_filter=1, pad=(1, 1), stride=(2, 2), no_bias=True)[0]
    assert y.ravel().tolist() == [-1, -3, -7, -4]


@pytest.mark.parametrize("shape,params,words", [
    ((1, 3, 5, 5), dict(kernel=(3, 3), num_filter=4, num_group=2), "not divisible"),
    ((1, 4, 5, 5), dict(kernel=(3, 3), num_filter=3, num_group=2), "not divisible"),
    ((1, 3, 5, 5), dict(kernel=(7, 7), num_filter=4), "has only 5"),
    ((1, 3, 5, 5), dict(kernel=(3, 3), num_filter=4, dilate=(3, 3)), "covers 7"),
    ((1, 3, 5), dict(kernel=(3, 3), num_filter=4), "must have 4 axes"),
    ((1, 3, 5, 5), dict(kernel=(3, 3), num_filter=4, stride=(0, 1)), "at least 1"),
    ((1, 3, 5, 5), dict(kernel=(3, 3), num_filter=4, stride=(2,)), "as many axes as kernel"),
    ((1, 3, 5, 5), dict(kernel=(3, 3), num_filter=4, layout="NCW"), "does not fit"),
    ((1, 3, 5, 5), dict(kernel=(3, 3, 3, 3), num_filter=4), "1, 2 or 3 axes")])
def test_shape_errors(shape, params, words):
    with pytest.raises(ValueError, match=words):
        CONV.infer(CONV.parse(params), [shape, None, None], [None])


def test_inference_both_ways():
    p = CONV.parse({"kernel": (3, 3), "num_filter": 4})
    assert CONV.infer(p, [(None, 3, None, None), None, None], [(2, 4, 6, 6)]) == (
        [(2, 3, 8, 8), (4, 3, 3, 3), (4,)], [(2, 4, 6, 6)])
    assert CONV.infer(p, [(2, None, 8, 8), (4, 3, 3, 3), None], [None])[0][0] == (2, 3, 8, 8)
    nhwc = CONV.parse({"kernel": (3, 3), "num_filter": 4, "layout": "NHWC"})
    assert CONV.infer(nhwc, [(2, 5, 5, 3), None, None], [None]) == ([(2, 5, 5, 3), (4, 3, 3, 3), (4,)], [(2, 3, 3, 4)])


def test_workspace_stays_small():
    p = CONV.parse({"kernel": (3, 3), "num_filter": 512, "pad": (1, 1)})
    ins, outs = CONV.infer(p, [(32, 512, 7, 7), None, None], [None])
    assert CONV.workspace(p, ins, outs, 4, 2) < 4 * 512 * 512 * 9 + (2 << 20)       # the packed weight, no columns
