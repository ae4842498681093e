"""The matrix-product kernel: literal values, every shape class, every level, any number of threads."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxlite.ops.record import RECORDS

from .kernel_calls import LEVELS, run_kernel

SIZES = st.one_of(st.integers(0, 9), st.sampled_from([15, 16, 17, 47, 48, 49, 95, 97, 130]))


def test_literal():
    a, b = np.array([[1, 2], [3, 4]], "f4"), np.array([[5, 6], [7, 8]], "f4")
    dot = RECORDS["dot"]
    assert run_kernel(dot, [a, b])[0].tolist() == [[19, 22], [43, 50]]
    assert run_kernel(dot, [a, b], transpose_a=True)[0].tolist() == [[26, 30], [38, 44]]
    assert run_kernel(dot, [a, b], transpose_b=True)[0].tolist() == [[17, 23], [39, 53]]
    assert run_kernel(dot, [a[0], b[0]])[0].tolist() == [17]
    bias = np.array([10, 20, 30], "f4")
    w = np.array([[1, 0], [0, 1], [1, 1]], "f4")
    assert run_kernel(RECORDS["FullyConnected"], [a, w, bias], num_hidden=3)[0].tolist() == [[11, 22, 33], [13, 24, 37]]


def test_axes_of_dot():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(4, 2, 3)), rng.normal(size=(5, 6, 4))
    got = run_kernel(RECORDS["dot"], [a, b], transpose_a=True, transpose_b=True)[0]
    np.testing.assert_allclose(got, np.einsum("kab,cdk->abcd", a, b), rtol=1e-12)


def test_nan_and_infinity_stay():
    a = np.zeros((9, 9), "f4")
    a[3, 4] = np.nan
    a[5, 6] = np.inf
    y = run_kernel(RECORDS["dot"], [a, np.ones((9, 50), "f4")])[0]
    assert np.isnan(y[3]).all() and np.isinf(y[5]).all() and not y[[0, 1, 2, 4, 6, 7, 8]].any()


@settings(max_examples=120, deadline=None)
@given(m=SIZES, n=SIZES, k=st.one_of(SIZES, st.sampled_from([255, 256, 257, 600])), ta=st.booleans(), tb=st.booleans(),
       level=st.sampled_from(LEVELS), dtype=st.sampled_from(["f4", "f8"]))
def test_any_shape(m, n, k, ta, tb, level, dtype):
    rng = np.random.default_rng(m * 7919 + n * 31 + k)
    a = rng.uniform(-1, 1, (k, m) if ta else (m, k)).astype(dtype)
    b = rng.uniform(-1, 1, (n, k) if tb else (k, n)).astype(dtype)
    want = (a.T if ta else a).astype("f8") @ (b.T if tb else b).astype("f8")
    got = [run_kernel(RECORDS["dot"], [a, b], level, threads, transpose_a=ta, transpose_b=tb)[0] for threads in (1, 2)]
    np.testing.assert_allclose(got[0], want, rtol=0, atol=(3e-6 if dtype == "f4" else 1e-13) * max(1, k) ** 0.5)
    assert np.array_equal(*got), "the result depends on the number of threads"


@settings(max_examples=30, deadline=None)
@given(batch=st.integers(1, 5), m=SIZES, n=SIZES, k=SIZES, ta=st.booleans(), tb=st.booleans(),
       level=st.sampled_from(LEVELS))
def test_batches(batch, m, n, k, ta, tb, level):
    rng = np.random.default_rng(m * 7919 + n * 31 + k)
    a = rng.uniform(-1, 1, (batch, k, m) if ta else (batch, m, k)).astype("f4")
    b = rng.uniform(-1, 1, (batch, n, k) if tb else (batch, k, n)).astype("f4")
    got = run_kernel(RECORDS["batch_dot"], [a, b], level, 2, transpose_a=ta, transpose_b=tb)[0]
    want = (a.swapaxes(1, 2) if ta else a).astype("f8") @ (b.swapaxes(1, 2) if tb else b)
    np.testing.assert_allclose(got, want, atol=5e-5)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("m,n,k", [(600, 500, 300), (513, 385, 257), (1, 2000, 700), (2000, 3, 700)])
def test_threads_do_not_change_bits(level, m, n, k):
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(m, k)).astype("f4"), rng.normal(size=(n, k)).astype("f4")
    bias = rng.normal(size=n).astype("f4")
    got = [run_kernel(RECORDS["FullyConnected"], [a, b, bias], level, t, num_hidden=n)[0] for t in (1, 2)]
    assert np.array_equal(*got)
    np.testing.assert_allclose(got[0], a.astype("f8") @ b.T + bias, atol=1e-4 * k ** 0.5)


@pytest.mark.parametrize("name,shapes,params,words", [
    ("dot", [(2, 3), (4, 5)], {}, "contracted axes differ"),
    ("dot", [(3,), (3,)], {"transpose_a": True}, "vectors cannot be transposed"),
    ("dot", [(), (3,)], {}, "at least one axis"),
    ("batch_dot", [(2, 3), (3, 4)], {}, "at least 3"),
    ("batch_dot", [(2, 3, 4), (3, 4, 5)], {}, "do not agree"),
    ("FullyConnected", [(2, 3), (5, 4), None], {"num_hidden": 5}, "do not agree"),
    ("FullyConnected", [(2, 3), None, (4,)], {"num_hidden": 5}, "do not agree")])
def test_shape_errors(name, shapes, params, words):
    op = RECORDS[name]
    with pytest.raises(ValueError, match=words):
        op.infer(op.parse(params), shapes, [None])


def test_fully_connected_infers_both_ways():
    op = RECORDS["FullyConnected"]
    p, flat = op.parse({"num_hidden": 5, "flatten": False}), op.parse({"num_hidden": 5})
    assert op.infer(p, [(None, 4, 3), None, None], [(7, 4, 5)]) == ([(7, 4, 3), (5, 3), (5,)], [(7, 4, 5)])
    assert op.infer(flat, [(2, None), (5, 3), None], [None]) == ([(2, 3), (5, 3), (5,)], [(2, 5)])
    assert op.infer(flat, [(None, 3, 4), None, None], [None]) == ([(None, 3, 4), (5, 12), (5,)], [(None, 5)])
    assert op.infer(flat, [None, (5, 3), None], [None]) == ([None, (5, 3), (5,)], [None])
