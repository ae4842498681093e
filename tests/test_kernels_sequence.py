"""Sequences, running sums, counts by bins, blocks, diagonals and assignments: kernels against plain NumPy on random
shapes and dtypes, large arrays on several threads, and values that data must not have."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mxlite as mx
from mxlite.ops.record import REGISTRY

from .kernel_calls import call, check_samples

EINDEX, EVALUE = 2, 3
MANY = settings(max_examples=40, deadline=None)
DTYPES = ("float32", "float64", "float16", "uint8", "int8", "int32", "int64", "bool")
dtypes, threads = st.sampled_from(DTYPES), st.sampled_from((1, 2, 5))


def run(name, arrays, params, most=1, into=None):
    ys, rc = call(REGISTRY[name], arrays, params, None, most, into=into)
    assert rc == 0
    return ys


def numbers(seed, shape, dtype):
    rng = np.random.default_rng(seed)
    return rng.integers(-50 if dtype not in ("uint8", "bool") else 0, 100, shape).astype(dtype)


def test_samples():
    check_samples({"sequence", "cumsum", "histogram", "blocks", "assign"})


@MANY
@given(st.integers(1, 6), st.integers(1, 5), st.lists(st.integers(1, 4), max_size=2), st.integers(0, 1), dtypes,
       st.sampled_from(("float32", "int32", "int64", "uint8", "float64")), threads, st.integers(0, 99))
def test_sequences(steps, batch, rest, axis, dtype, length_dtype, most, seed):
    x = numbers(seed, [batch, steps, *rest] if axis else [steps, batch, *rest], dtype)
    length = np.random.default_rng(seed).integers(1, steps + 3, batch).astype(length_dtype)
    first = x.swapaxes(0, 1) if axis else x
    n = np.minimum(length.astype(int), steps)
    masked, last, turned = first.copy(), [], first.copy()
    for b in range(batch):
        masked[n[b]:, b] = 1
        last.append(first[n[b] - 1, b])
        turned[:n[b], b] = first[:n[b], b][::-1]
    use = {"use_sequence_length": True}
    got = run("SequenceMask", [x, length], dict(use, axis=axis, value=1), most)[0]
    assert np.array_equal(got.swapaxes(0, 1) if axis else got, masked)
    own = x.copy()
    assert np.array_equal(run("SequenceMask", [own, length], dict(use, axis=axis, value=1), most, {0: own})[0], got)
    assert np.array_equal(run("SequenceLast", [x, length], dict(use, axis=axis), most)[0], np.stack(last))
    back = run("_backward_SequenceLast", [np.stack(last), length], dict(use, axis=axis, shape=x.shape), most)[0]
    back = back.swapaxes(0, 1) if axis else back
    for b in range(batch):
        assert np.array_equal(back[n[b] - 1, b], last[b]) and np.count_nonzero(back[:, b]) == np.count_nonzero(last[b])
    if not axis:
        assert np.array_equal(run("SequenceReverse", [x, length], use, most)[0], turned)


def test_lengths_beyond_the_data():
    x = np.arange(6, dtype="float32").reshape(3, 2)
    use = {"use_sequence_length": True}
    for bad in ([-3, 9], [np.nan, np.inf], [-np.inf, 3.9]):
        length = np.array(bad, "float32")
        whole = bad[1] != np.inf            # infinity fits no integer, so it counts as the smallest one
        mask = run("SequenceMask", [x, length], dict(use, value=7))[0]
        assert mask.tolist() == [[7, 1 if whole else 7], [7, 3 if whole else 7], [7, 5 if whole else 7]]
        turned = run("SequenceReverse", [x, length], use)[0]
        assert turned.tolist() == ([[0, 5], [2, 3], [4, 1]] if whole else x.tolist())
    for zero in (0, 0.9, -1, np.nan):
        for name, array, params in (("SequenceLast", x, {}), ("_backward_SequenceLast", x[0], {"shape": (3, 2)})):
            assert call(REGISTRY[name], [array, np.array([1, zero], "float32")], dict(use, **params))[1] == EINDEX
    with pytest.raises(mx.MXNetError, match="SequenceLast.*index"):
        mx.nd.SequenceLast(mx.nd.array(x), mx.nd.array([1, 0]), use_sequence_length=True)


@MANY
@given(st.lists(st.integers(0, 6), min_size=1, max_size=3), dtypes,
       st.sampled_from((None, "float32", "float64", "int32", "int64")), threads, st.data())
def test_cumsum(shape, dtype, out, most, data):
    if dtype == "float16":
        return                                          # no kernel: the reference is NumPy's own
    axis = data.draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1)))
    x = numbers(sum(shape), shape, dtype)
    params = {"axis": axis, **({"dtype": out} if out else {})}
    got = run("cumsum", [x], params, most)[0]
    want = np.cumsum(x, axis, dtype=out or ("int64" if dtype == "bool" else dtype))
    assert got.dtype == want.dtype and np.array_equal(got, want)
    if axis is not None and dtype != "bool":
        back = run("_backward_np_cumsum", [x], {"axis": axis}, most)[0]
        assert np.array_equal(back, np.flip(np.cumsum(np.flip(x, axis), axis, dtype=dtype), axis))


@pytest.mark.parametrize("shape, axis", [((3, 70000), 1), ((70000, 3), 0), ((7, 300, 90), 1), ((200000,), 0)])
def test_cumsum_large(shape, axis):
    x = np.random.default_rng(1).normal(size=shape).astype("float32")
    one = run("cumsum", [x], {"axis": axis})[0]
    for most in (2, 5):
        assert np.array_equal(run("cumsum", [x], {"axis": axis}, most)[0], one), "depends on the number of threads"
    np.testing.assert_array_equal(one, np.cumsum(x, axis, dtype="float32"))


def test_cumsum_converts_first():
    x = np.array([1.9, -1.9, 3e9, np.nan, 1], "float32")
    low = -2 ** 31
    assert run("cumsum", [x], {"dtype": "int32"})[0].tolist() == [1, 0, low, 0, 1]
    assert run("cumsum", [np.array([2 ** 31 - 1, 1], "int32")], {})[0].tolist() == [2 ** 31 - 1, low]


@MANY
@given(st.integers(0, 400), st.sampled_from(("float32", "float64", "int32", "int64", "uint8", "int8")),
       st.integers(1, 30), st.integers(-40, 40), st.integers(0, 80), threads)
def test_histogram(n, dtype, bins, low, width, most):
    x = numbers(n, (n,), dtype)
    if dtype == "uint8":
        low = abs(low)
    got = run("_histogram", [x], {"bin_cnt": bins, "range": (low, low + width)}, most)
    edges = got[1]
    want = np.linspace(low - (width == 0) * 0.5, low + width + (width == 0) * 0.5, bins + 1)
    if x.dtype.kind == "f":
        np.testing.assert_allclose(edges, want, rtol=1e-6, atol=1e-6)
    inside = x[(x >= edges[0]) & (x <= edges[-1])]
    count = np.zeros(bins, int)
    for v in inside:
        count[min(np.searchsorted(edges, v, "right") - 1, bins - 1)] += 1
    assert got[0].tolist() == count.tolist()
    given_edges = np.sort(np.random.default_rng(n).choice(np.arange(0, 90), bins + 1)).astype(dtype)
    got = run("_histogram", [x, given_edges], {}, most)
    assert got[0].tolist() == np.histogram(x, given_edges)[0].tolist() or given_edges[-1] == given_edges[-2]
    assert np.array_equal(got[1], given_edges)


def test_histogram_large_and_odd_values():
    x = np.random.default_rng(2).normal(size=300_001).astype("float32")
    want = np.histogram(x.astype("float64"), np.linspace(-3, 3, 101).astype("float32"))[0]
    for most in (1, 2, 5):
        assert np.array_equal(run("_histogram", [x], {"bin_cnt": 100, "range": (-3, 3)}, most)[0], want)
    odd = np.array([np.nan, np.inf, -np.inf, 0, 3, 2.9999], "float32")
    assert run("_histogram", [odd], {"bin_cnt": 3, "range": (0, 3)})[0].tolist() == [1, 0, 2]
    for edges in ([0, 2, 1], [0, np.nan, 1]):
        assert call(REGISTRY["_histogram"], [odd, np.array(edges, "float32")], {})[1] == EVALUE
    counts, edges = mx.nd.histogram(mx.nd.array([1, 2, 3, 4, 5, 0.5]), 3)       # the range of the data: NumPy's
    assert counts.dtype == np.float32 and counts.asnumpy().tolist() == [2, 2, 2]
    assert edges.asnumpy().tolist() == [0.5, 2, 3.5, 5]
    with pytest.raises(mx.MXNetError, match="bin_cnt"):
        mx.nd.histogram(mx.nd.ones((3,)), 0, range=(0, 1))


@MANY
@given(st.integers(1, 3), st.lists(st.integers(1, 3), min_size=4, max_size=4), dtypes, threads)
def test_blocks(b, shape, dtype, most):
    n, c, h, w = shape
    x = numbers(sum(shape), (n, c * b * b, h, w), dtype)
    deep = x.reshape(n, b, b, c, h, w)
    got = run("depth_to_space", [x], {"block_size": b}, most)[0]
    for i in range(b):
        for j in range(b):
            assert np.array_equal(got[:, :, i::b, j::b], deep[:, i, j])
    assert np.array_equal(run("space_to_depth", [got], {"block_size": b}, most)[0], x)


@MANY
@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), dtypes, st.data())
def test_diagonals(shape, dtype, data):
    x = numbers(sum(shape), shape, dtype)
    if len(shape) == 1:
        k = data.draw(st.integers(-3, 3))
        assert np.array_equal(run("diag", [x], {"k": k})[0], np.diag(x, k))
        return
    one, two = data.draw(st.permutations(range(len(shape))))[:2]
    k = data.draw(st.integers(-shape[one], shape[two]))
    params = {"k": k, "axis1": one, "axis2": two - len(shape)}
    got = run("diag", [x], params)[0]
    assert np.array_equal(got, np.diagonal(x, k, one, two))
    back = run("_backward_diag", [got], dict(params, shape=shape))[0]
    assert np.array_equal(np.diagonal(back, k, one, two), got) and np.count_nonzero(back) == np.count_nonzero(got)


@MANY
@given(st.lists(st.integers(0, 6), min_size=1, max_size=3), dtypes, threads, st.data())
def test_assignments(shape, dtype, most, data):
    bound = st.one_of(st.none(), st.integers(-7, 7))
    n = data.draw(st.integers(1, len(shape)))
    begin, end = (tuple(data.draw(bound) for _ in range(n)) for _ in range(2))
    step = tuple(data.draw(st.sampled_from((None, 1, 2, -1, -3))) for _ in range(n))
    x = numbers(sum(shape), shape, dtype)
    key = tuple(map(slice, begin, end, step))
    rhs = numbers(7, x[key].shape, dtype)
    want, filled = x.copy(), x.copy()
    want[key] = rhs
    filled[key] = 3
    params = {"begin": begin, "end": end, "step": step}
    assert np.array_equal(run("_slice_assign", [x, rhs], params, most)[0], want)
    assert np.array_equal(run("_slice_assign_scalar", [x], dict(params, scalar=3), most)[0], filled)
    own = x.copy()
    assert np.array_equal(run("_slice_assign", [own, rhs], params, most, {0: own})[0], want)
