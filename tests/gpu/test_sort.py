"""Sorting of the GPU against the CPU's kernel, on the processor: equal to the element."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxlite.gpu.families import sort

from . import check, shim

pytestmark = shim.needs_cxx
KINDS = ("value", "indices", "mask", "both")


def test_samples():
    dtypes = ("float32", "float64", "int32", "int64", "uint8", "int8")
    assert check.check_samples(set(sort.KERNELS), dtypes) == set(sort.KERNELS)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_every_option(data):
    def pick(*values):
        return data.draw(st.sampled_from(values))
    shape = (pick(0, 1, 3), pick(1, 2, 7, 33), pick(1, 4))
    dtype = pick("float32", "float64", "int32", "int64", "uint8", "int8")
    axis, ascend = pick(0, 1, None), pick(True, False)
    x = np.random.default_rng(1).integers(0, 5, shape).astype(dtype)            # many ties
    index = pick("int32", "float32", "float64", "int64")
    n = x.size if axis is None else shape[axis]
    params = dict(axis=axis, is_ascend=ascend, dtype=index)
    if n:
        check.check("topk", [x], dict(params, k=pick(0, 1, n), ret_typ=pick(*KINDS)), 0, shift=pick(0, 1))
    check.check("argsort", [x], params, 0)
    check.check("sort", [x], dict(axis=axis, is_ascend=ascend), 0)


@pytest.mark.parametrize("dtype", ("float32", "float64"))
@pytest.mark.parametrize("ascend", (True, False))
def test_numbers_that_are_none(dtype, ascend):
    x = np.array([[1, np.nan, -np.inf, 0.0, -0.0, np.inf, np.nan, -1, 0.0]], dtype)
    params = dict(is_ascend=ascend, dtype="int32")
    check.check("argsort", [x], params, 0)
    check.check("topk", [x], dict(params, k=4, ret_typ="both"), 0)


@pytest.mark.parametrize("n", (4096, 4097, 9000))
@pytest.mark.parametrize("dtype", ("float32", "int64"))
def test_long_rows(n, dtype):
    x = np.random.default_rng(n).integers(-500, 500, (2, n)).astype(dtype)
    for ascend in (True, False):
        check.check("argsort", [x], dict(is_ascend=ascend, dtype="int32"), 0)
    check.check("topk", [x], dict(k=10, ret_typ="mask"), 0)


@pytest.mark.parametrize("dtype", ("float16", "bfloat16"))
def test_half_precision(dtype):
    x = check.wrap(np.random.default_rng(0).normal(size=(3, 50)), dtype)
    args = dict(outer=3, n=50, inner=1, k=50, ascend=1, value=0, index=1, mask=-1)
    got = check.run("sort.sort", args, [x], [((3, 50), dtype), ((3, 50), "int64")])[0]
    want = np.argsort(check.wide(x), 1, kind="stable")
    assert np.array_equal(got[1], want)
    assert np.array_equal(check.wide(got[0]), np.take_along_axis(check.wide(x), want, 1))


def test_outputs_that_nobody_reads():
    x = np.random.default_rng(0).normal(size=(3, 5)).astype("float32")
    for unread in ((0,), (1,), (0, 1)):
        check.check("sort", [x], {}, 0, unread=unread)
