"""Softmax, its relatives, and the output layers: literal values, every parameter, odd sizes, odd labels."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxlite.ops.record import RECORDS

from .kernel_calls import LEVELS, check, check_samples, kernel

P = np.array([0.09003057, 0.24472847, 0.66524096])     # softmax of 1, 2, 3


def test_samples():
    check_samples({"softmax", "softmax_output", "loss"})


@pytest.mark.parametrize("isa", LEVELS)
def test_literal_values(isa):
    x = np.array([[1, 2, 3]], "float32")
    np.testing.assert_allclose(kernel("softmax", [x], {}, isa)[0], [P], rtol=1e-6)
    np.testing.assert_allclose(kernel("softmax", [x.T.copy()], {"axis": 0}, isa)[0], P[:, None], rtol=1e-6)
    np.testing.assert_allclose(kernel("softmax", [2 * x], {"temperature": 2.0}, isa)[0], [P], rtol=1e-6)
    np.testing.assert_allclose(kernel("softmin", [x], {}, isa)[0], [P[::-1]], rtol=1e-6)
    np.testing.assert_allclose(kernel("log_softmax", [x], {}, isa)[0], [np.log(P)], rtol=1e-6)
    loss = kernel("softmax_cross_entropy", [np.repeat(x, 3, 0), np.array([2, 0, 7], "float32")], {}, isa)[0]
    np.testing.assert_allclose(loss, [-np.log(P[2]) - np.log(P[0])], rtol=1e-6)     # 7 is no class
    y = P[None].astype("float32")
    dx = kernel("_backward_softmax", [np.array([[1, 0, 0]], "float32"), y], {}, isa)[0]
    np.testing.assert_allclose(dx, [P[0] * (np.array([1, 0, 0]) - P[0]) * [1, P[1] / P[0], P[2] / P[0]]], rtol=1e-5)


@pytest.mark.parametrize("isa", LEVELS)
def test_extremes(isa):
    x = np.zeros((2, 100), "float32")
    x[0, 3], x[1, 5] = 1e30, -np.inf
    y = kernel("softmax", [x], {}, isa)[0]
    assert y[0, 3] == 1 and y[0].sum() == 1 and y[1, 5] == 0
    np.testing.assert_allclose(y[1].sum(), 1, rtol=1e-6)
    x[0, 50] = np.nan
    y = kernel("softmax", [x], {}, isa)[0]
    assert np.isnan(y[0]).all() and not np.isnan(y[1]).any()
    assert np.isnan(kernel("softmax", [np.full((1, 5), -np.inf, "float32")], {}, isa)[0]).all()
    logs = kernel("log_softmax", [np.array([[0, -200.0]], "float32")], {}, isa)[0]
    np.testing.assert_allclose(logs, [[0, -200]])
    assert np.isnan(kernel("softmax", [x], {"temperature": 0}, isa)[0]).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=3), st.data())
def test_any_shape_and_axis(shape, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    kw = {"axis": axis, "temperature": data.draw(st.sampled_from([None, 0.5, 3.0]))}
    rng = np.random.default_rng(len(shape))
    x, dy = (rng.normal(0, 3, shape).astype(dtype) for _ in range(2))
    for name in ("softmax", "log_softmax", "softmin"):
        y = check(name, [x], kw)[0]
        check("_backward_" + name, [dy, y], kw, tol=1e-4 if dtype == "float32" else None)


@pytest.mark.parametrize("shape, axis", [((700, 300), 1), ((3, 17, 200, 9), 1), ((2, 5000), 1), ((257, 3000), 0)])
def test_larger_than_a_tile(shape, axis):
    x = np.random.default_rng(0).normal(0, 5, shape).astype("float32")
    for name in ("softmax", "log_softmax"):
        y = check(name, [x], {"axis": axis}, tol=5e-5)[0]
        check("_backward_" + name, [x, y], {"axis": axis}, tol=2e-2 if name == "log_softmax" else 1e-4)


@pytest.mark.parametrize("kind", ["int32", "int64"])
def test_length(kind):
    x = np.log(np.array([[1, 1, 2], [5, 6, 7], [1, 3, 9]], "float32"))
    length = np.array([3, 0, 2], kind)
    want = np.array([[0.25, 0.25, 0.5], [0, 0, 0], [0.25, 0.75, 0]])
    for isa in LEVELS:
        np.testing.assert_allclose(kernel("softmax", [x, length], {"use_length": True}, isa)[0], want, rtol=1e-6)
        np.testing.assert_allclose(
            kernel("softmax", [x.T.copy(), length], {"use_length": True, "axis": 0}, isa)[0], want.T, rtol=1e-6)
    far = np.random.default_rng(1).normal(size=(2, 5, 70)).astype("float32")
    far[0, 4] = np.inf                                  # beyond every length: must not be looked at
    check("softmax", [far, np.random.default_rng(2).integers(-1, 5, (2, 70)).astype(kind)],
          {"use_length": True, "axis": 1})
    with pytest.raises(ValueError, match="int32 or int64"):
        RECORDS["softmax"].infer_dtype(RECORDS["softmax"].parse({"use_length": True}), ["float32", "float32"], [None])


GRAD = np.array([P - [0, 0, 1], [-2 / 3, 1 / 3, 1 / 3]])    # of rows 1 2 3 and 1 1 1 with labels 2 and 0
OUTPUT_CASES = [
    ({}, GRAD), ({"grad_scale": 3.0}, 3 * GRAD), ({"normalization": "batch"}, GRAD / 2),
    ({"use_ignore": True, "ignore_label": 0}, GRAD * [[1], [0]]),
    ({"use_ignore": True, "ignore_label": 0, "normalization": "batch"}, GRAD * [[0.5], [0]]),
    ({"normalization": "valid"}, GRAD / 2), ({"normalization": "valid", "ignore_label": 0}, GRAD),
    ({"use_ignore": True, "ignore_label": 0, "normalization": "valid"}, GRAD * [[1], [0]]),
    ({"smooth_alpha": 0.3}, np.array([P - [0.15, 0.15, 0.7], [1 / 3 - 0.7, 1 / 3 - 0.15, 1 / 3 - 0.15]])),
]


@pytest.mark.parametrize("isa", LEVELS)
@pytest.mark.parametrize("params, want", OUTPUT_CASES)
def test_softmax_output_gradient(isa, params, want):
    y = np.array([P, [1 / 3] * 3], "float32")
    label = np.array([2, 0], "float32")
    for kw in (params, dict(params, preserve_shape=True)):
        got = kernel("_backward_SoftmaxOutput", [y, label], kw, isa)[0]
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-7)
    if "smooth_alpha" in params:
        return
    # multi_output: the two rows become two positions of one sample; divided by 2 positions unless "valid".
    multi = dict(params, multi_output=True)
    scale = {"batch": 1, "valid": 1}.get(params.get("normalization"), 0.5)
    got = kernel("_backward_SoftmaxOutput", [y.T[None].copy(), label[None]], multi, isa)[0]
    np.testing.assert_allclose(got, (want * scale).T[None], rtol=1e-5, atol=1e-7)


def test_softmax_output_odd_labels():
    y = np.full((6, 4), 0.25, "float32")
    hot = kernel("_backward_SoftmaxOutput", [y, np.array([0.9, 1.5, -0.5, -1.5, 3.9, 4.2], "float32")], {})[0] - y
    assert np.array_equal(hot.argmin(1)[[0, 1, 2, 4]], [0, 1, 0, 3])
    assert np.array_equal(hot.sum(1), [-1, -1, -1, 0, -1, 0])
    strange = np.array([np.nan, np.inf, -np.inf, 1e30, 2, 3], "float32")
    for params in ({}, {"use_ignore": True}, {"normalization": "valid"}):
        kernel("_backward_SoftmaxOutput", [y, strange], params)
        kernel("_backward_SoftmaxOutput", [y.reshape(1, 4, 6).copy(), strange[None]], dict(params, multi_output=True))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_softmax_output_sweep(data):
    pick = lambda *values: data.draw(st.sampled_from(values))
    form = pick("rows", "multi", "preserve", "probability")
    n, k, rest = data.draw(st.integers(0, 5)), data.draw(st.integers(1, 70)), data.draw(st.integers(1, 70))
    rng = np.random.default_rng(k)
    shape, label = {"rows": ((n, k), (n,)), "multi": ((n, k, rest), (n, rest)), "preserve": ((n, rest, k), (n, rest)),
                    "probability": ((n, k), (n, k))}[form]
    params = {"grad_scale": 2.5, "multi_output": form == "multi", "preserve_shape": form == "preserve",
              "use_ignore": pick(True, False), "ignore_label": pick(-1, 0, 2), "smooth_alpha": pick(0.0, 0.2),
              "normalization": pick("null", "batch", "valid"), "out_grad": pick(True, False)}
    x = rng.normal(size=shape).astype(pick("float32", "float64"))
    labels = rng.uniform(size=label) if form == "probability" else rng.integers(-1, k + 1, label)
    y = check("SoftmaxOutput", [x, labels.astype(x.dtype)], params)[0]
    extra = [rng.normal(size=shape).astype(x.dtype)] if params["out_grad"] else []
    check("_backward_SoftmaxOutput", [y, labels.astype(x.dtype), *extra], params)


def test_label_shapes():
    op = RECORDS["SoftmaxOutput"]
    infer = lambda data, label=None, **kw: op.infer(op.parse(kw), [data, label], [None])[0][1]
    assert infer((2, 3)) == (2,) and infer((2, 3, 4)) == (2, 3) and infer((5,)) == (5,)
    assert infer((2, 3, 4, 5), multi_output=True) == (2, 20)
    assert infer((2, 3, 4, 5), (2, 4, 5), multi_output=True) == (2, 4, 5)
    assert infer((2, 3, 4, 5), (2, 1, 4, 5), multi_output=True) == (2, 1, 4, 5)
    assert infer((2, 3), (2, 3)) == (2, 3) and infer((None, 3)) == (None,)
    for data, label, kw in (((2, 3), (2, 1), {}), ((2, 3), (3,), {}), ((2, 3, 4), (2, 3), {"multi_output": True})):
        with pytest.raises(ValueError, match="does not fit"):
            infer(data, label, **kw)
    op = RECORDS["LinearRegressionOutput"]
    infer = lambda data, label=None: op.infer(op.parse({}), [data, label], [None])[0][1]
    assert infer((4, 1)) == (4,) and infer((4, 3)) == (4, 3) and infer((4, 1), (4, 1)) == (4, 1)
    assert infer((3, 2, 2), (3, 4)) == (3, 4)
    with pytest.raises(ValueError, match="does not fit"):
        infer((3, 4), (4, 3))


@pytest.mark.parametrize("isa", LEVELS)
def test_regression_and_make_loss(isa):
    x, label = np.array([[1, 2, 3], [4, 5, 6]], "float32"), np.array([[1, 0, 5], [4, 9, 2]], "float32")
    kw = {"grad_scale": 6.0}                            # divided by the 3 labels of a row
    assert np.array_equal(kernel("_backward_linear_reg_out", [x, label], kw, isa)[0], [[0, 4, -4], [0, -8, 8]])
    assert np.array_equal(kernel("_backward_mae_reg_out", [x, label], kw, isa)[0], [[-2, 2, -2], [-2, -2, 2]])
    y = kernel("LogisticRegressionOutput", [np.array([[0, 1, -200, 200]], "float32")] * 2, {}, isa)[0]
    np.testing.assert_allclose(y, [[0.5, 0.7310586, 0, 1]], rtol=1e-6, atol=1e-30)
    for params, want in (({}, 3), ({"normalization": "batch"}, 1.5), ({"normalization": "valid"}, 0.5),
                         ({"normalization": "valid", "valid_thresh": 4}, 1.5),
                         ({"normalization": "valid", "valid_thresh": 9}, 3)):
        own = x.copy()
        got = kernel("_backward_MakeLoss", [own], dict(params, grad_scale=3.0), isa, into={0: own})[0]
        assert np.array_equal(got, np.full((2, 3), want)), params


@pytest.mark.parametrize("n", (1, 2, 7, 15, 16, 17, 33, 129, 1000, 2047, 2048, 2049, 9000))
def test_softmax_against_float64(n):
    """A probability is as good as the difference to the largest element, rounded to float, and 1e-6 besides; its
    logarithm 1e-6 of its size; they sum to 1."""
    rng = np.random.default_rng(n)
    x = rng.normal(scale=20, size=(3, n)).astype("float32")
    wide = x.astype("float64")
    logs = wide - wide.max(1, keepdims=True)
    logs -= np.log(np.exp(logs).sum(1, keepdims=True))
    want = np.exp(logs)
    for isa in LEVELS:
        y = kernel("softmax", [x], {}, isa)[0]
        assert (np.abs(y - want) <= want * (1e-6 + np.abs(logs) * 2.0 ** -23) + 3e-45).all()
        np.testing.assert_allclose(y.sum(1, dtype="float64"), 1, rtol=1e-6)
        np.testing.assert_allclose(kernel("log_softmax", [x], {}, isa)[0], logs, rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize("isa", LEVELS)
def test_softmax_of_what_is_not_finite(isa):
    x = np.zeros((5, 40), "float32")
    x[1, 3], x[2, 4], x[3, :], x[4, 7] = np.nan, np.inf, -np.inf, -np.inf
    y = kernel("softmax", [x], {}, isa)[0]
    assert np.isnan(y[1:4]).sum() >= 81 and np.isnan(y[1]).all() and np.isnan(y[3]).all() and np.isnan(y[2, 4])
    np.testing.assert_allclose(y[0], 1 / 40, rtol=1e-6)
    np.testing.assert_allclose(y[4], np.where(np.arange(40) == 7, 0, 1 / 39), rtol=1e-6)
