"""Running sums on the processor against the CPU's kernel."""
import numpy as np
import pytest

from mxlite.gpu.families import cumsum as family

from . import check, shim

pytestmark = shim.needs_cxx


def test_samples_of_every_record():
    for dtype in ("float32", "float64", "int32"):
        assert check.check_samples(set(family.KERNELS), (dtype,)) == set(family.KERNELS)


@pytest.mark.parametrize("source, result", [("float32", None), ("float64", "float32"), ("float32", "int32"),
                                            ("int8", None), ("uint8", None), ("int32", "float64"), ("bool", "int64")])
def test_rows_and_columns(source, result):
    rng = np.random.default_rng(1)
    for shape, axis in (((3, 700), 1), ((700, 3), 0), ((2, 5, 70), 1), ((1000,), None), ((0, 3), 0), ((2, 1), 1)):
        x = rng.integers(0, 2 if source == "bool" else 9, shape).astype(source)
        params = {} if axis is None else {"axis": axis}
        if result:
            params["dtype"] = result
        check.check("_np_cumsum", [x], params)
