"""Softmax kernels of the GPU against the CPU's, on the processor."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxlite.gpu.launch import FLOATS

from . import check, shim

pytestmark = shim.needs_cxx
TOL = {"float32": 2e-6, "float64": 1e-13}


def test_samples():
    kernels = {"softmax.softmax", "softmax.softmax_output", "softmax.log_softmax", "softmax.softmax_backward",
               "softmax.log_softmax_backward", "softmax.softmax_output_backward", "softmax.softmax_cross_entropy",
               "softmax.softmax_cross_entropy_backward"}
    assert check.check_samples(kernels) == kernels


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=3), st.data())
def test_any_shape_axis_and_place(shape, data):
    axis, dtype = data.draw(st.integers(0, len(shape) - 1)), data.draw(st.sampled_from(list(TOL)))
    shape[axis] = data.draw(st.sampled_from((1, 2, 31, 32, 33, 128, 500)))
    kw = {"axis": axis, "temperature": data.draw(st.sampled_from([None, 0.5]))}
    rng, shift = np.random.default_rng(len(shape)), data.draw(st.integers(0, 4))
    x, dy = (rng.normal(0, 3, shape).astype(dtype) for _ in range(2))
    for name in ("softmax", "log_softmax", "softmin"):
        y = check.check(name, [x], kw, TOL[dtype], shift=shift)[0]
        check.check("_backward_" + name, [dy, y], kw, 20 * TOL[dtype], shift=shift, into={0: 1})


@pytest.mark.parametrize("n", (4096, 4097, 16384, 20001))
def test_long_rows(n):
    x = np.random.default_rng(0).normal(0, 3, (2, n)).astype("float32")
    for name in ("softmax", "log_softmax"):
        y = check.check(name, [x], {}, 5e-6)[0]
        check.check("_backward_" + name, [x, y], {}, 2e-3 if name == "log_softmax" else 1e-5)
    label = np.array([5, n - 1], "float32")
    check.check("softmax_cross_entropy", [x, label], {}, 5e-6)
    check.check("_backward_softmax_cross_entropy", [np.array([0.5], "float32"), x, label], {}, 1e-5, into={0: 1})


@pytest.mark.parametrize("kind", ("int32", "int64"))
@pytest.mark.parametrize("axis", (0, 1))
def test_length(kind, axis):
    x = np.random.default_rng(1).normal(size=(40, 70)).astype("float32")
    x[-1, -1] = np.inf                                  # beyond every length: not looked at
    length = np.random.default_rng(2).integers(-1, 39, 110 - x.shape[axis]).astype(kind)
    check.check("softmax", [x, length], {"use_length": True, "axis": axis})


def test_what_is_not_finite():
    x = np.zeros((6, 40), "float32")
    x[1, 3], x[2, 4], x[3, :], x[4, 7], x[5, 1] = np.nan, np.inf, -np.inf, -np.inf, 1e30
    for axis, a in ((1, x), (0, x.T.copy())):
        y = check.check("softmax", [a], {"axis": axis})[0]
        rows = y if axis else y.T
        assert np.isnan(rows[1:4]).all() and not np.isnan(rows[[0, 4, 5]]).any() and rows[5, 1] == 1
    assert np.isnan(check.check("softmax", [x], {"temperature": 0})[0]).all()


@pytest.mark.parametrize("dtype", ("float16", "bfloat16"))
@pytest.mark.parametrize("shape, axis", (((5, 130), 1), ((3, 64), 1), ((2, 7, 5), 1)))
def test_half_precision_is_computed_in_float32(dtype, shape, axis):
    rng = np.random.default_rng(3)
    x, dy = (check.wrap(rng.normal(0, 2, shape), dtype) for _ in range(2))
    wide = [check.wide(a).astype("float32") for a in (x, dy)]
    for name in ("softmax", "log_softmax"):
        y, = check.on_gpu(name, [x], {"axis": axis})[0]
        want, = check.on_cpu(name, wide[:1], {"axis": axis})[0][0]
        check.same([y], [check.wrap(want, dtype)])
        dx, = check.on_gpu("_backward_" + name, [dy, y], {"axis": axis})[0]
        want, = check.on_cpu("_backward_" + name, [wide[1], check.wide(y).astype("float32")], {"axis": axis})[0][0]
        check.same([dx], [check.wrap(want, dtype)])


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_softmax_output_sweep(data):
    def pick(*values):
        return data.draw(st.sampled_from(values))
    form = pick("rows", "multi", "preserve", "probability")
    n, k, rest = pick(0, 1, 5), pick(1, 2, 33), pick(1, 3, 40)
    rng = np.random.default_rng(k)
    shape, label = {"rows": ((n, k), (n,)), "multi": ((n, k, rest), (n, rest)), "preserve": ((n, rest, k), (n, rest)),
                    "probability": ((n, k), (n, k))}[form]
    params = {"grad_scale": 2.5, "multi_output": form == "multi", "preserve_shape": form == "preserve",
              "use_ignore": pick(True, False), "ignore_label": pick(-1, 0, 2), "smooth_alpha": pick(0.0, 0.2),
              "normalization": pick("null", "batch", "valid"), "out_grad": pick(True, False)}
    dtype = pick("float32", "float64")
    x = rng.normal(size=shape).astype(dtype)
    labels = (rng.uniform(size=label) if form == "probability" else rng.integers(-1, k + 1, label)).astype(dtype)
    y = check.check("SoftmaxOutput", [x, labels], params, TOL[dtype])[0]
    extra = [rng.normal(size=shape).astype(dtype)] if params["out_grad"] else []
    check.check("_backward_SoftmaxOutput", [y, labels, *extra], params, 4 * TOL[dtype], into={0: 0})


def test_many_labels_and_odd_ones():
    rng = np.random.default_rng(0)
    y, label = rng.uniform(size=(3, 2, 50000)).astype("float32"), rng.integers(-1, 2, (3, 50000)).astype("float32")
    check.check("_backward_SoftmaxOutput", [y, label], {"multi_output": True, "normalization": "valid"})
    strange = np.array([np.nan, np.inf, -np.inf, 1e30, 0.9, -0.5, -1.5, 3.9], "float32")
    y = np.full((8, 4), 0.25, "float32")
    for params in ({}, {"use_ignore": True}, {"normalization": "valid"}):
        check.check("_backward_SoftmaxOutput", [y, strange], params)
    check.check("softmax_cross_entropy", [y, strange], {})


def test_dtypes_that_have_a_plan():
    for dtype in FLOATS:
        x = check.wrap(np.ones((2, 3)), dtype)
        assert check.on_gpu("softmax", [x], {}) is not None
