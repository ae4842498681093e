"""LayerNorm, InstanceNorm and GroupNorm of the GPU against the CPU's kernels, on the processor."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxlite.gpu.families import layernorm

from . import check, shim

pytestmark = shim.needs_cxx
TOL = {"float32": 1e-5, "float64": 1e-12}


def both_ways(name, x, groups, params, dtype, tol=None, **kw):
    rng = np.random.default_rng(5)
    x, dy = x.astype(dtype), rng.normal(size=x.shape).astype(dtype)
    gamma, beta = (rng.uniform(0.5, 2, groups).astype(dtype) for _ in range(2))
    tol = tol or TOL[dtype]
    check.check(name, [x, gamma, beta], params, tol, **kw)
    check.check("_backward_" + name, [dy, x, gamma], {k: v for k, v in params.items() if k != "output_mean_var"},
                4 * tol, **kw)


def test_samples():
    assert check.check_samples(set(layernorm.KERNELS), tol=2e-5) == set(layernorm.KERNELS)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from((0, 1, 2, 3, 8)), min_size=1, max_size=3), st.data())
def test_any_shape_and_axis(shape, data):
    axis, dtype = data.draw(st.integers(0, len(shape) - 1)), data.draw(st.sampled_from(list(TOL)))
    shape[axis] = data.draw(st.sampled_from((1, 5, 32, 130)))
    x = np.random.default_rng(0).normal(3, 1, shape)
    params = dict(axis=axis, eps=0.1, output_mean_var=data.draw(st.booleans()))
    into = data.draw(st.sampled_from(({}, {0: 0})))
    both_ways("LayerNorm", x, shape[axis], params, dtype, shift=data.draw(st.integers(0, 4)), into=into)


@pytest.mark.parametrize("shape", ((300, 40), (2, 4096), (2, 9001), (3, 70, 50)))
def test_many_rows_and_long_ones(shape):
    x = np.random.default_rng(0).normal(3, 1, shape)
    both_ways("LayerNorm", x, shape[1], dict(axis=1, output_mean_var=True), "float32", 2e-5)


@pytest.mark.parametrize("dtype", sorted(TOL))
def test_instances_and_groups(dtype):
    x = np.random.default_rng(0).normal(1, 2, (3, 6, 5, 7))
    both_ways("InstanceNorm", x, 6, {}, dtype)
    both_ways("GroupNorm", x, 2, dict(num_groups=2, output_mean_var=True), dtype)
    both_ways("InstanceNorm", x[:, :, :0], 6, {}, dtype)


def test_outputs_that_nobody_reads():
    rng = np.random.default_rng(0)
    x, dy = (rng.normal(size=(6, 5)).astype("float32") for _ in range(2))
    one = np.ones(5, "float32")
    for unread in ((1,), (2,), (1, 2), (0,)):
        check.check("LayerNorm", [x, one, one], dict(output_mean_var=True), 1e-5, unread=unread)
        check.check("_backward_LayerNorm", [dy, x, one], {}, 4e-5, unread=unread)


@pytest.mark.parametrize("dtype", ("float16", "bfloat16"))
@pytest.mark.parametrize("shape, axis", (((5, 33), 1), ((4, 64), 1), ((2, 9, 4), 1)))
def test_half_precision(dtype, shape, axis):
    rng = np.random.default_rng(0)
    xs = [check.wrap(rng.uniform(0.5, 2, s), dtype) for s in (shape, shape, shape[axis], shape[axis])]
    wide = [check.wide(a).astype("float32") for a in xs]
    for name, pick in (("LayerNorm", (1, 2, 3)), ("_backward_LayerNorm", (0, 1, 2))):
        got = check.on_gpu(name, [xs[i] for i in pick], {"axis": axis})[0]
        want = check.on_cpu(name, [wide[i] for i in pick], {"axis": axis})[0][0]
        check.same(got, [check.wrap(w, dtype) for w in want], 2e-2 if dtype == "bfloat16" else 2e-3)
