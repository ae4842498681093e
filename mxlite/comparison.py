"""Comparisons of arrays for tests, with tolerances by dtype: what mx.test_utils offers of that."""
import numpy as np

from . import ndarray as nd

_RTOL = {"float16": 1e-2, "float32": 1e-4, "float64": 1e-5}
_ATOL = {"float16": 1e-1, "float32": 1e-3, "float64": 1e-20}


def host(array):
    return array.asnumpy() if isinstance(array, nd.NDArray) else np.asarray(array)


def default_rtols():
    """The relative tolerance of comparisons for each dtype, a dict by numpy.dtype. Integers are compared exactly."""
    return _by_dtype(_RTOL)


def default_atols():
    """The absolute tolerance of comparisons for each dtype, a dict by numpy.dtype."""
    return _by_dtype(_ATOL)


def _by_dtype(table):
    exact = ("bool", "int8", "uint8", "int32", "uint32", "int64", "uint64")
    return {np.dtype(name): table.get(name, 0) for name in (*table, *exact)}


def tolerances(a, b, rtol, atol):
    """Tolerances for a comparison: of the less precise of the two dtypes, where not given (or in a dict by dtype)."""
    names = [str(array.dtype) for array in (a, b)]
    rtol, atol = (max(given.get(np.dtype(name), 0) for name in names) if isinstance(given, dict) else given
                  for given in (rtol, atol))
    return tuple(max(table.get(name, 0) for name in names) if given is None else given
                 for given, table in ((rtol, _RTOL), (atol, _ATOL)))


def same(a, b):
    """Whether `a` and `b` (NDArray or NumPy) have the same shape and values."""
    return np.array_equal(host(a), host(b))


def almost_equal(a, b, rtol=None, atol=None, equal_nan=False, use_broadcast=True):
    """Whether ``|a - b| <= atol + rtol |b|`` everywhere. Tolerances default by dtype (float32: 1e-4 and 1e-3)."""
    a, b = host(a), host(b)
    if not use_broadcast and a.shape != b.shape:
        return False
    rtol, atol = tolerances(a, b, rtol, atol)
    return bool(np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan))


def assert_almost_equal(a, b, rtol=None, atol=None, names=("a", "b"), equal_nan=False, use_broadcast=True,
                        mismatches=(10, 10)):
    """Raise AssertionError unless :func:`almost_equal`, telling how far off the worst element is and where.

    `mismatches` is taken for MXNet's sake.
    """
    a, b = host(a), host(b)
    if not use_broadcast and a.shape != b.shape:
        raise AssertionError(f"{names[0]} has shape {a.shape}, {names[1]} has shape {b.shape}")
    if almost_equal(a, b, rtol, atol, equal_nan):
        return
    rtol, atol = tolerances(a, b, rtol, atol)
    a, b = np.broadcast_arrays(a, b)
    with np.errstate(all="ignore"):
        wide_a, wide_b = a.astype("float64"), b.astype("float64")
        error = np.abs(wide_a - wide_b) / (atol + rtol * np.abs(wide_b) + 1e-300)
    error = np.where(a == b, 0, np.where(np.isnan(error), np.inf, error))
    if equal_nan:
        error = np.where(np.isnan(wide_a) & np.isnan(wide_b), 0, error)
    worst = np.unravel_index(np.argmax(error), error.shape)
    where = tuple(int(i) for i in worst)
    raise AssertionError(
        f"\nItems are not equal:\nError {error[worst]:f} exceeds tolerance rtol={rtol:e}, atol={atol:e} "
        f"(mismatch {100 * np.mean(error > 1):f}%).\nLocation of maximum error: {where}, {names[0]}={a[worst]:.8f}, "
        f"{names[1]}={b[worst]:.8f}\n ACTUAL: {a!r}\n DESIRED: {b!r}")


def assert_allclose(a, b, rtol=1e-07, atol=0, equal_nan=True):
    """:func:`assert_almost_equal` with NumPy's tolerances."""
    assert_almost_equal(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan)


def assert_almost_equal_with_err(a, b, rtol=None, atol=None, etol=None, names=("a", "b"), equal_nan=False,
                                 mismatches=(10, 10)):
    """:func:`assert_almost_equal`, but a share of at most `etol` of the elements may be off (default: none)."""
    if not etol:
        assert_almost_equal(a, b, rtol, atol, names, equal_nan, mismatches=mismatches)
        return
    a, b = host(a), host(b)
    rtol, atol = tolerances(a, b, rtol, atol)
    off = 1 - np.mean(np.isclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan))
    if off > etol:
        raise AssertionError(f"{100 * off:f}% of {names[0]} and {names[1]} differ by more than rtol={rtol:e}, "
                             f"atol={atol:e}; etol={etol:f} allows {100 * etol:f}%")


def assert_almost_equal_ignore_nan(a, b, rtol=None, atol=None, names=("a", "b")):
    """:func:`assert_almost_equal` where neither `a` nor `b` is NaN."""
    a, b = host(a), host(b)
    nan = np.isnan(a) | np.isnan(b)
    assert_almost_equal(np.where(nan, a.dtype.type(0), a), np.where(nan, b.dtype.type(0), b), rtol, atol, names)


def same_array(array1, array2):
    """Whether two NDArrays are one piece of memory under one shape, so that writing to one shows in the other."""
    return array1.shape == array2.shape and array1.dtype == array2.dtype and array1.address == array2.address
