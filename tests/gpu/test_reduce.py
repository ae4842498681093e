"""Reductions' plans on the processor against the CPU's kernels and NumPy's float64."""
import ctypes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxlite.gpu import places
from mxlite.gpu.families import reduce as family

from . import check, shim

pytestmark = shim.needs_cxx
SOME = settings(max_examples=12, deadline=None, derandomize=True)
FLOATS = ("float32", "float64", "float16", "bfloat16")
EVERY = (*FLOATS, "int32", "int64", "int8", "uint8", "bool")
shapes = st.lists(st.sampled_from((1, 2, 3, 4, 5, 8, 33)), min_size=1, max_size=4).map(tuple)


def numbers(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    if dtype in FLOATS:
        return check.wrap(rng.uniform(-2, 2, shape), dtype)
    return rng.integers(-5 if dtype.startswith("int") else 0, 2 if dtype == "bool" else 9, shape).astype(dtype)


@pytest.mark.parametrize("dtype", ("float32", "float64", "bfloat16", "int32", "uint8"))
def test_samples_of_every_record(dtype):
    ran = check.check_samples(set(family.KERNELS), (dtype,))
    assert ran == set(family.KERNELS)


@SOME
@given(shapes, st.integers(0, 15), st.sampled_from(EVERY), st.integers(0, 3))
def test_any_axes(shape, axes, dtype, shift):
    axis = tuple(i for i in range(len(shape)) if axes >> i & 1) or None
    x = numbers(shape, dtype)
    for name in ("sum", "max"):
        check.check(name, [x], {"axis": axis} if axis else {}, shift=shift)


@SOME
@given(shapes, st.integers(-1, 3), st.sampled_from(EVERY), st.booleans())
def test_positions(shape, axis, dtype, nan):
    x = numbers(shape, dtype)
    if nan and dtype == "float32":
        x[np.random.default_rng(3).random(shape) < 0.2] = np.nan
    for name in ("argmax", "argmin"):
        check.check(name, [x], {"axis": axis} if 0 <= axis < len(shape) else {}, tol=0)


@pytest.mark.parametrize("shape, axis", [((3, 9000), 1), ((9000, 3), 0), ((40000,), None), ((2, 3, 5000), (0, 2)),
                                         ((5000, 40), 0), ((2, 2100, 3), 1), ((700, 5), 1)])
def test_parts_are_joined_in_order(shape, axis):
    """Long reductions: exact in float64 but for the fours, and positions that tie go to the first."""
    x = numbers(shape, "float32", 5)
    params = {} if axis is None else {"axis": axis}
    got = check.check("sum", [x], params, tol=1e-5)[0]
    wide = np.abs(x).astype("float64").sum(axis)
    assert (np.abs(got - x.astype("float64").sum(axis)) <= 2.0 ** -23 * wide + 1e-7 * np.abs(got)).all()
    check.check("min", [x], params, tol=0)
    if axis is None or isinstance(axis, int):
        check.check("argmax", [np.round(x)], params, tol=0)


def test_nothing_and_overflow():
    empty = np.zeros((0, 3), "float32")
    for name in ("sum", "prod", "mean", "nansum", "norm"):
        check.check(name, [empty], {"axis": 0})
        check.check(name, [np.zeros((2, 0), "int32")], {"axis": 1}, tol=0)
    big = np.tile(np.array([3e38, 3e38, -3e38, -3e38], "float32"), 300)
    assert check.check("sum", [big], {})[0] == 0
    assert check.check("sum", [np.repeat(big.reshape(1200, 1), 5, 1)], {"axis": 0})[0].tolist() == [0] * 5
    x = np.array([[1, np.nan, 3, np.inf], [2, 5, -1, -np.inf]], "float32")
    for name in ("max", "min", "sum", "nansum", "nanprod"):
        check.check(name, [x], {"axis": 1})
        check.check(name, [x], {"axis": 0})


def test_wide_positions_agree(monkeypatch):
    """Positions above 2^31 are computed in 64 bits; here for small arrays."""
    module = family._module
    monkeypatch.setattr(family, "_module", lambda *a: module(*a[:-1], True))
    monkeypatch.setattr(family, "nest", lambda dims, strides, wide: places.nest(dims, strides, True))
    monkeypatch.setattr(family, "divisor", ctypes.c_int64)
    x = numbers((3, 4, 5, 6), "float32")
    for axis in ((0, 2), (1, 3), 3, 0):
        check.check("sum", [x], {"axis": axis})
