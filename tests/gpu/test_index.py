"""Lookups and scatters on the processor against the CPU's kernels, bit for bit."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxlite.gpu.families import index as family

from . import check, shim

pytestmark = shim.needs_cxx
SOME = settings(max_examples=15, deadline=None, derandomize=True)
dtypes = st.sampled_from(("float32", "float64", "bfloat16", "float16", "uint8", "int64"))
index_dtypes = st.sampled_from(("float32", "float64", "float16", "int8", "int32", "int64", "uint8"))
shifts = st.integers(0, 3)


def numbers(shape, dtype, seed=0):
    return check.wrap(np.random.default_rng(seed).integers(0, 100, shape), dtype)


@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_samples_of_every_record(dtype):
    assert check.check_samples(set(family.KERNELS), (dtype,), tol=0) == set(family.KERNELS)


@SOME
@given(st.lists(st.sampled_from((1, 2, 3, 8, 9)), min_size=1, max_size=3), st.lists(st.integers(0, 9), max_size=2),
       st.sampled_from(("clip", "wrap")), dtypes, index_dtypes, shifts, st.integers(0, 2))
def test_take_and_its_gradient(shape, places, mode, dtype, index_dtype, shift, axis):
    axis %= len(shape)
    rng = np.random.default_rng(sum(shape))
    index = rng.integers(0 if index_dtype == "uint8" else -12, 12, places).astype(index_dtype)
    params = {"axis": axis, "mode": mode}
    y = check.check("take", [numbers(shape, dtype), index], params, tol=0, shift=shift)[0]
    if dtype in ("float32", "float64"):
        dy = rng.normal(size=check.bits_of(y).shape).astype(dtype)
        check.check("_backward_take", [dy, index], {"shape": tuple(shape), **params}, tol=0, shift=shift)


@pytest.mark.parametrize("rows, inner, count", [(5000, 3, 3000), (7, 70, 2500), (1, 1, 1500), (300, 5, 1), (2, 4, 0)])
def test_gradient_adds_in_the_order_of_the_indices(rows, inner, count):
    """Several tiles and passes of the sort; float32 sums to the last bit."""
    rng = np.random.default_rng(rows)
    index = (rng.integers(0, rows, count) // 3 * 3).astype("int32")
    dy = rng.normal(size=(count, inner)).astype("float32")
    check.check("_backward_take", [dy, index], {"shape": (rows, inner), "axis": 0, "mode": "clip"}, tol=0)


@SOME
@given(st.integers(1, 3), st.integers(0, 30), st.sampled_from((1, 3, 8)), dtypes, st.sampled_from(("int64", "float32")))
def test_tuples(m, count, inner, dtype, index_dtype):
    rng = np.random.default_rng(count)
    shape = (*(4, 3, 5)[:m], inner)
    index = np.stack([rng.integers(-d, d, count) for d in shape[:m]]).reshape(m, count).astype(index_dtype)
    y = check.check("gather_nd", [numbers(shape, dtype), index], {}, tol=0)[0]
    check.check("scatter_nd", [y, index], {"shape": shape}, tol=0)
    if dtype == "float32":
        check.check("_backward_gather_nd", [y, index], {"shape": shape}, tol=0)


@pytest.mark.parametrize("index_dtype", ("int32", "float32"))
def test_refused_indices_touch_nothing(index_dtype):
    x, index = numbers((4, 8), "float32"), np.array([[1, 9, -7, 3]], index_dtype)
    (y,), _ = check.on_gpu("gather_nd", [x, index], {}, expect_error=True)
    assert y[[0, 3]].tolist() == x[[1, 3]].tolist() and not y[1:3].any()
    (z,), _ = check.on_gpu("scatter_nd", [y, index], {"shape": (4, 8)}, expect_error=True)
    assert z[[1, 3]].tolist() == x[[1, 3]].tolist() and not z[[0, 2]].any()
    (g,), _ = check.on_gpu("_backward_gather_nd", [y, index], {"shape": (4, 8)}, expect_error=True)
    assert g.tolist() == z.tolist()


@SOME
@given(st.lists(st.sampled_from((1, 2, 5, 7)), min_size=1, max_size=3), st.integers(0, 2),
       st.sampled_from(("clip", "wrap")), dtypes, index_dtypes, st.booleans(), shifts)
def test_pick_and_its_gradient(shape, axis, mode, dtype, index_dtype, keepdims, shift):
    axis %= len(shape)
    places = [1 if i == axis else d for i, d in enumerate(shape) if i != axis or keepdims] or [1]
    rng = np.random.default_rng(axis)
    index = rng.integers(0 if index_dtype == "uint8" else -9, 9, places).astype(index_dtype)
    params = {"axis": axis, "mode": mode, "keepdims": keepdims}
    y = check.check("pick", [numbers(shape, dtype), index], params, tol=0, shift=shift)[0]
    check.check("_backward_pick", [y, index], {"shape": tuple(shape), **params}, tol=0, shift=shift)


@SOME
@given(st.lists(st.integers(0, 5), max_size=2), st.integers(0, 6), index_dtypes,
       st.sampled_from(("float32", "float16", "int8", "int64")))
def test_one_hot(shape, depth, index_dtype, dtype):
    rng = np.random.default_rng(depth)
    index = rng.integers(0 if index_dtype == "uint8" else -2, 8, shape).astype(index_dtype)
    params = {"depth": depth, "on_value": 2.5, "off_value": -1.0, "dtype": dtype}
    check.check("one_hot", [index], params, tol=0)
