"""L2Normalization and LRN of the GPU against the CPU's kernels, on the processor."""
import numpy as np
import pytest

from mxlite.gpu.families import l2norm, lrn

from . import check, shim

pytestmark = shim.needs_cxx


def test_samples():
    kernels = {**l2norm.KERNELS, **lrn.KERNELS}.keys()
    assert check.check_samples(kernels, tol=2e-5) == set(kernels)


@pytest.mark.parametrize("dtype", ("float32", "float64"))
@pytest.mark.parametrize("shape", ((2, 0, 3), (3, 40, 5), (2, 3, 9001), (2, 33, 1)))
def test_norms_of_every_mode(dtype, shape):
    x, dy = (np.random.default_rng(i).normal(size=shape).astype(dtype) for i in range(2))
    tol = 1e-5 if dtype == "float32" else 1e-12
    for mode in ("instance", "channel", "spatial"):
        check.check("L2Normalization", [x], {"mode": mode}, tol, shift=1)
        for into in ({}, {0: 0}, {0: 1}):
            check.check("_backward_L2Normalization", [dy, x], {"mode": mode}, tol, into=into)


@pytest.mark.parametrize("params", (dict(nsize=5, alpha=0.9), dict(nsize=63, alpha=2.0, beta=0.6, knorm=0.5)))
@pytest.mark.parametrize("shape", ((2, 7, 3, 5), (1, 70, 3), (3, 9), (2, 0, 2)))
def test_local_response(params, shape):
    x, dy = (np.random.default_rng(i).normal(size=shape).astype("float32") for i in range(2))
    check.check("LRN", [x], params, 1e-5, shift=1)
    for into in ({}, {0: 0}):
        check.check("_backward_LRN", [dy, x], params, 2e-5, into=into)


@pytest.mark.parametrize("dtype", ("float16", "bfloat16"))
def test_half_precision(dtype):
    xs = [check.wrap(np.random.default_rng(i).uniform(0.5, 2, (3, 8, 5)), dtype) for i in range(2)]
    wide = [check.wide(a).astype("float32") for a in xs]
    for name, params in (("L2Normalization", {}), ("L2Normalization", {"mode": "channel"}), ("LRN", {"nsize": 3})):
        for op, n in ((name, 1), ("_backward_" + name, 2)):
            got, want = check.on_gpu(op, xs[:n], params)[0], check.on_cpu(op, wide[:n], params)[0][0]
            check.same(got, [check.wrap(want[0], dtype)])
