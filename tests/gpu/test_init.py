"""Arrays from numbers on the processor against the CPU's kernels, bit for bit."""
import pytest

from mxlite.gpu.families import init as family

from . import check, shim

pytestmark = shim.needs_cxx
DTYPES = ("float32", "float64", "float16", "bfloat16", "uint8", "int8", "int32", "int64")


def test_samples_of_every_record():
    assert check.check_samples(set(family.KERNELS), ("float32",), tol=0) == set(family.KERNELS)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(dtype):
    for value in (0.0, 2.7, -3.2, 1e30):
        for n in (1, 5, 16, 37):
            check.check("_full", [], {"shape": (n,), "value": value, "dtype": dtype}, tol=0, shift=n % 3)
    check.check("_arange", [], {"start": 0.1, "stop": 30, "step": 0.7, "dtype": dtype}, tol=0)
    check.check("_arange", [], {"start": 5, "stop": -9, "step": -3, "repeat": 3, "dtype": dtype}, tol=0)
    check.check("_linspace", [], {"start": -1.5, "stop": 300, "num": 23, "dtype": dtype}, tol=0)
    check.check("_linspace", [], {"start": 0, "stop": 1, "num": 7, "endpoint": False, "dtype": dtype}, tol=0)
    for k in (-2, 0, 1, 9):
        check.check("_eye", [], {"N": 4, "M": 6, "k": k, "dtype": dtype}, tol=0)
