"""Reductions against NumPy in float64: any axes, the stated accuracy of sums, overflow, NaN, ties and positions."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxlite.ops.record import RECORDS

from .guard_pages import run
from .kernel_calls import LEVELS, call

SHAPES = st.sampled_from([(1,), (7,), (33,), (5, 3), (3, 5, 28), (40, 64), (2, 3, 4, 5), (16, 3, 70), (3, 4200),
                          (4200, 3), (17, 9, 130), (1, 1, 129), (600, 2, 31), (9, 520), (2, 40000), (24, 2, 100)])
levels = st.sampled_from(LEVELS)


def kernel(name, x, params, isa=None, threads=1):
    ys, rc = call(RECORDS[name], [x], params, isa, threads)
    assert rc == 0
    return ys[0]


@settings(max_examples=150, deadline=None)
@given(shape=SHAPES, name=st.sampled_from(("sum", "mean", "max", "min", "nansum", "norm", "prod")), isa=levels,
       dtype=st.sampled_from(("float32", "float64")), data=st.data())
def test_any_shape_and_axes(shape, name, isa, dtype, data):
    axes = data.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1).map(sorted).map(tuple))
    x = np.random.default_rng(sum(shape)).normal(size=shape).astype(dtype)
    if name == "prod":
        x = np.exp(x / 8).astype(dtype)
    got = kernel(name, x, {"axis": axes}, isa)
    np.testing.assert_array_equal(got, kernel(name, x, {"axis": axes}, isa, 2), err_msg="depends on threads")
    wide = x.astype("float64")
    if name in ("max", "min"):
        np.testing.assert_array_equal(got, getattr(wide, name)(axes).reshape(got.shape))
        return
    want = np.sqrt((wide * wide).sum(axes)) if name == "norm" else getattr(np, name)(wide, axes)
    size = np.abs(want) if name == "prod" else np.abs(wide).sum(axes)
    if name == "mean":
        size = size / (wide.size / want.size)
    # Two roundings to float on the way and one of the result; products and roots of sums go in double all the way.
    bound = size * (2.0 ** -23 if dtype == "float32" else 1e-14) + np.abs(want) * (2.0 ** -24)
    assert (np.abs(got - want.reshape(got.shape)) <= bound.reshape(got.shape) + 1e-300).all()


@pytest.mark.parametrize("isa", LEVELS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32", "int64"])
@pytest.mark.parametrize("shape", [(300, 5000), (1030, 2100), (2, 70, 9000)])
def test_wide_columns_in_parts(shape, dtype, isa):
    """Whole numbers, so that every order of additions gives the same."""
    x = np.random.default_rng(1).integers(-3, 4, shape).astype(dtype)
    for name in ("sum", "max"):
        want = getattr(x.astype("float64"), name)(-2)
        for threads in (1, 3):
            np.testing.assert_array_equal(kernel(name, x, {"axis": -2}, isa, threads), want, err_msg=name)


@pytest.mark.parametrize("isa", LEVELS)
def test_sums_that_overflow_only_on_the_way(isa):
    big = np.float32(3e38)
    for n in (8, 70, 300):
        x = np.zeros((n, 70), "float32")
        x[::2], x[1::2] = big, -big
        assert kernel("sum", x, {"axis": 0}, isa).tolist() == [0] * 70
        assert kernel("sum", np.ascontiguousarray(x.T), {"axis": 1}, isa).tolist() == [0] * 70
        x = np.repeat(x[:2], n // 2, 0)
        assert kernel("sum", np.ascontiguousarray(x.T), {"axis": 1}, isa).tolist() == [0] * 70
        assert kernel("sum", x, {"axis": 0}, isa).tolist() == [0] * 70
        x[0, 3], x[0, 5], x[0, 7] = np.inf, -np.inf, np.nan
        for y in (kernel("sum", x, {"axis": 0}, isa), kernel("sum", np.ascontiguousarray(x.T), {"axis": 1}, isa)):
            assert y[3] == np.inf and y[5] == -np.inf and np.isnan(y[7]) and y[0] == 0


@settings(max_examples=100, deadline=None)
@given(shape=SHAPES, largest=st.booleans(), isa=levels,
       dtype=st.sampled_from(("float32", "float64", "float16", "int32")), nan=st.booleans(), data=st.data())
def test_positions_and_extremes(shape, largest, isa, dtype, nan, data):
    axis = data.draw(st.integers(0, len(shape) - 1))
    rng = np.random.default_rng(sum(shape) + axis)
    x = rng.integers(-3, 3, shape).astype(dtype)           # many ties
    if nan and dtype != "int32":
        x[rng.random(shape) < 0.05] = np.nan
        x[rng.random(shape) < 0.05] = np.inf if rng.random() < 0.5 else -np.inf
    pick = "argmax" if largest else "argmin"
    got = kernel(pick, x, {"axis": axis}, isa)
    want = getattr(np, pick)(x, axis)
    np.testing.assert_array_equal(got, want.astype(dtype).reshape(got.shape))
    np.testing.assert_array_equal(got, kernel(pick, x, {"axis": axis}, isa, 2))
    got = kernel("max" if largest else "min", x, {"axis": axis}, isa)
    np.testing.assert_array_equal(got, (x.max if largest else x.min)(axis).reshape(got.shape))


@pytest.mark.parametrize("dtype", ("float16", "float32", "float64"))
@pytest.mark.parametrize("shape, axes", [((3, 29), (1,)), ((29, 3), (0,)), ((2, 5, 37), (0, 2)), ((7, 70), (1,)),
                                         ((70, 7), (0,)), ((1, 129), (1,)), ((130, 19), (0,))])
def test_nothing_outside_is_touched(shape, axes, dtype):
    x = np.random.default_rng(1).normal(size=shape).astype(dtype)
    for name in ("sum", "max", "norm"):
        op = RECORDS[name]
        p = op.parse({"axis": axes})
        out = op.infer(p, [shape], [None])[1][0]
        args = op.launch(p, [shape], [out])
        cpu = op.cpu(p) if callable(op.cpu) else op.cpu
        for level in LEVELS:
            for at_end in (True, False):
                got = run(cpu, [x], args, [out], op.workspace(p, [shape], [out], 4, 1), level, 1, at_end)[0]
                np.testing.assert_allclose(got, kernel(name, x, {"axis": axes}, level))
