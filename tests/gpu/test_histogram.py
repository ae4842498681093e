"""Histograms on the processor against the CPU's kernel."""
import numpy as np
import pytest

from mxlite.gpu.families import histogram as family

from . import check, shim

pytestmark = shim.needs_cxx


def test_samples():
    for dtype in family.DTYPES:
        if not dtype.startswith("u"):
            assert check.check_samples(set(family.KERNELS), (dtype,)) == set(family.KERNELS)


@pytest.mark.parametrize("dtype", family.DTYPES)
def test_edges_and_counts(dtype):
    """Few bins and more than a block keeps; values on edges, outside, and NaN; edges that coincide after conversion."""
    rng = np.random.default_rng(2)
    for bins, low, high, n in ((1, -1, 1, 50), (7, 0, 9, 9000), (2048, 0, 100, 500), (2049, -3, 5, 5000), (5, 0, 1, 30),
                               (3, 2, 2, 9)):
        params = dict(bin_cnt=bins, range=(low, high))
        real, unsigned = dtype.startswith("f"), dtype.startswith("u")
        x = (rng.uniform(low - 1, high + 1, n) if real else rng.integers(0, 9, n)).astype(dtype)
        x[:2] = max(low, 0) if unsigned else low, high
        if real:
            x[2:5] = np.nan, np.inf, -np.inf
        if unsigned and low - 0.5 * (low == high) < 0:          # wraps: the CPU's kernel refuses it
            assert check.on_gpu("_histogram", [x], params) is None
            continue
        counts, edges = check.check("_histogram", [x], params, 0)
        assert counts.sum() > 0
        alone, _ = check.on_gpu("_histogram", [x], params, unread=(1,))[0]
        np.testing.assert_array_equal(alone, counts)
        _, alone = check.on_gpu("_histogram", [x], params, unread=(0,))[0]
        np.testing.assert_array_equal(alone, edges)


def test_given_edges_are_the_reference_s():
    assert check.on_gpu("_histogram", [np.ones(3, "float32"), np.arange(3, dtype="float32")], {}) is None
