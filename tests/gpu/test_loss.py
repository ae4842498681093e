"""Loss layers of the GPU against the CPU's kernels, on the processor."""
import numpy as np
import pytest

from mxlite.gpu.families import loss

from . import check, shim

pytestmark = shim.needs_cxx


def test_samples():
    assert check.check_samples(set(loss.KERNELS)) == set(loss.KERNELS)


@pytest.mark.parametrize("shape", ((0, 3), (3, 41), (5,)))
@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_regression(shape, dtype):
    x, label = (np.random.default_rng(i).normal(0, 50, shape).astype(dtype) for i in range(2))
    x.ravel()[:3], label.ravel()[:2] = (np.nan, np.inf, -np.inf)[:x.size], 1
    for kind, title in (("linear", "Linear"), ("mae", "MAE"), ("logistic", "Logistic")):
        for into in ({}, {0: 0}):
            check.check(title + "RegressionOutput", [x, label], {}, into=into, shift=1)
            check.check(f"_backward_{kind}_reg_out", [x, label], {"grad_scale": 6.0}, into=into)


@pytest.mark.parametrize("n", (1, 300, 9000))
@pytest.mark.parametrize("least", (0.0, 0.5, 9.0))
def test_valid_elements_are_counted_before_the_first_is_written(n, least):
    x = np.random.default_rng(n).uniform(-1, 1, (1, n)).astype("float32")
    params = {"normalization": "valid", "valid_thresh": least, "grad_scale": 3.0}
    check.check("_backward_MakeLoss", [x], params, into={0: 0})


@pytest.mark.parametrize("dtype", ("float16", "bfloat16"))
def test_half_precision(dtype):
    x, label = (check.wrap(np.random.default_rng(i).normal(size=(3, 7)), dtype) for i in range(2))
    wide = [check.wide(a).astype("float32") for a in (x, label)]
    for name in ("LogisticRegressionOutput", "_backward_linear_reg_out", "_backward_mae_reg_out"):
        got, want = check.on_gpu(name, [x, label], {})[0], check.on_cpu(name, wide, {})[0][0]
        check.same(got, [check.wrap(want[0], dtype)])
