"""Draws of integers, and of numbers in half precision, on the processor: the CPU's bits."""
import numpy as np
import pytest

from mxlite.gpu.families import sampling as family
from mxlite.ops.record import RECORDS

from .. import reference as R
from . import check, shim

pytestmark = shim.needs_cxx


@pytest.mark.parametrize("dtype, low, high", [
    ("int32", -2, 9), ("int64", 0, 2), ("int32", -2 ** 31, 2 ** 31), ("int64", 5, 5 + 2 ** 32), ("int64", -7, 2 ** 33),
    ("int64", -2 ** 63, 2 ** 63), ("int64", 2 ** 62, 2 ** 63)])
def test_integers_are_the_cpus(dtype, low, high):
    for shape in ((3, 5), (1,), (0,), (1025,)):
        for state in ((7, 1), (0xfedcba9876543210, 3)):
            y, = check.check("_random_randint", [], dict(low=low, high=high, shape=shape, dtype=dtype), 0, rng=state,
                             rng_id=9)
            assert y.shape == shape and (y >= low).all() and (y <= high - 1).all()


@pytest.mark.parametrize("name, tol", [("_random_uniform", 0), ("_random_normal", 1e-3)])
def test_half_precision_is_float32_rounded(name, tol):
    op = RECORDS[name]
    p = op.parse(dict(shape=(531,), dtype="float16"))
    want, = R.run(op, p, [], seed=7, step=1, rng_id=4)
    scalars = [float(getattr(p, k)) for k in op.dynamic]
    (got,), _ = check.run(op.gpu, None, [], [((531,), "float16")], scalars, rng=(7, 1), rng_id=4)
    np.testing.assert_allclose(got.astype("float32"), want.astype("float32"), rtol=tol, atol=tol)
    assert len(np.unique(got)) > 200 and len(list(family.MODULES())) == 4
