"""Indexing by itself: what shares memory, every dtype, masks, 0-d and zero-size arrays. MXNet's word: tests/oracle."""
import numpy as np
import pytest

import mxlite as mx
from mxlite._core.dtypes import FLAG

SHARING = ["0", "-1", "0:1", "1:2", ":", "...", "()", "None", "0, 1", "0, 1:3", "1, 2, 3", "1, 2, 1:3", "0:1, 1:3",
           "1, ...", "None, 1, None", "..., None", "1:2, 2:3, 1:2", "0:2:3", "::2, 0", "5:9", "1, ::1"]
COPYING = [":, 1", "::-1", "..., 0", "[0]", "[0, 1], 1", "np.array([0, 1])", "1, ::2", ":, 1:3", "1, :, 2:4", "mask"]


@pytest.mark.parametrize("dtype", FLAG)
def test_contiguous_basic_keys_share_memory_others_copy(dtype):
    for share, keys in ((True, SHARING), (False, COPYING)):
        for key in keys:
            x = mx.nd.zeros((2, 3, 4), dtype=dtype)
            names = {"x": x, "a": x.numpy_view(), "np": np, "mask": np.array([True, False])}
            part = eval(f"x[{key}]", names)
            assert part.dtype_name == dtype and part.shape == (eval(f"a[{key}]", names).shape or (1,)), key
            part[:] = 1
            arrived = x.asnumpy().astype(int).sum()
            assert arrived == (part.size if share else 0), key
            x[:] = 0
            assert part.asnumpy().astype(int).sum() == (0 if share else part.size), key


def test_views_of_views_write_through():
    x = mx.nd.zeros((4, 3, 2))
    version = x.storage.version
    x[1:3][1][2][0:1] = 5
    assert x.asnumpy()[2, 2].tolist() == [5, 0] and x.storage.version > version
    x[0].reshape((6,))[3:] += 1
    assert x.asnumpy()[0].tolist() == [[0, 0], [0, 1], [1, 1]]
    row = x[3]
    x[3] = 7
    assert (row == 7).asnumpy().all()
    del x
    assert (row == 7).asnumpy().all()


def test_overlapping_assignment_reads_before_it_writes():
    for key, value in (("1:", ":-1"), (":-1", "1:"), ("::-1", ":"), ("[2, 1, 0]", "1:4")):
        x, a = mx.nd.arange(5), np.arange(5.0)
        if key.startswith("["):
            exec(f"x[{key}] = x[{value}]; a[{key}] = a[{value}].copy()")
        else:
            exec(f"x[{key}] = x[{value}]; a[{key}] = a[{value}].copy()")
        assert x.asnumpy().tolist() == a.tolist(), key


@pytest.mark.parametrize("dtype", FLAG)
def test_values_of_every_kind_in_every_dtype(dtype):
    for value in (1, 0, True, 1.0, np.float64(1), [1, 0, 1], (1, 0, 1), np.array([[1], [0]]),
                  np.array([1, 1, 0], "int8"), *(mx.nd.array([1, 0, 1], dtype=d) for d in FLAG), mx.nd.array([1])):
        plain = value.asnumpy() if isinstance(value, mx.nd.NDArray) else value
        for key in (slice(None), (slice(None), slice(None, None, -1)), [0, 1]):
            x, a = mx.nd.zeros((2, 3), dtype=dtype), np.zeros((2, 3))
            x[key], a[key] = value, plain
            assert x.asnumpy().astype(float).tolist() == a.tolist(), (value, key)
    x = mx.nd.zeros((2,), dtype=dtype)
    x[0] = 10**30 if dtype in ("float32", "float64", "bfloat16") else 100
    assert x.asnumpy()[0] > 0


def test_integers_are_exact():
    x = mx.nd.zeros((3,), dtype="int64")
    x[0], x[1:2], x[[2]] = 2**53 + 1, 2**62 + 1, -2**53 - 1
    assert x.asnumpy().tolist() == [2**53 + 1, 2**62 + 1, -2**53 - 1]
    assert x[mx.nd.array([2, 0], dtype="int32")].asnumpy().tolist() == [-2**53 - 1, 2**53 + 1]


def test_negative_arrays_of_indices_write_where_they_read():
    x = mx.nd.zeros((8, 2))
    part = x[4:]
    part[[0, -1]] = 1
    part[mx.nd.array([-2]), -1] = 2
    assert x.asnumpy().tolist() == [[0, 0]] * 4 + [[1, 1], [0, 0], [0, 2], [1, 1]]
    for key in ([0, 4], [-5], mx.nd.array([9]), np.array([float("nan")]), np.array([1e30])):
        for f in (lambda k: part[k], lambda k: part.__setitem__(k, 1)):
            with pytest.raises(IndexError):
                f(key)


def test_masks():
    x = mx.nd.arange(6).reshape((2, 3))
    mask = np.array([[True, False, True], [False, False, True]])
    assert x[mask].asnumpy().tolist() == [0, 2, 5] == x[mx.nd.array(mask, dtype="bool")].asnumpy().tolist()
    assert x[[False, True]].asnumpy().tolist() == [[3, 4, 5]]
    assert x[..., np.array([True, False, True])].asnumpy().tolist() == [[0, 2], [3, 5]]
    assert x[mask, ...].asnumpy().tolist() == [0, 2, 5]
    x[mask] = 9
    x[np.zeros(2, bool)] = 7
    assert x.asnumpy().tolist() == [[9, 1, 9], [3, 4, 9]]
    assert x[True].asnumpy().tolist() == [3, 4, 9]          # a number, no mask
    with pytest.raises(IndexError, match="boolean"):
        x[np.array([True, False, True])]
    as_numbers = x > 5                                      # comparisons have the dtype of x: numbers, that gather
    assert x[as_numbers].shape == (2, 3, 3)


def test_arrays_of_no_axes_and_no_elements():
    x = mx.nd.array(5)
    assert x[()].shape == x[...].shape == x[:].shape == () and x[None].shape == (1,)
    for key in ((), Ellipsis, slice(None)):
        x[key] = 7
        assert x.asscalar() == 7
    for key in (0, [0], slice(0, 1)):
        with pytest.raises(IndexError):
            x[key]
    z = mx.nd.zeros((0, 3))
    assert z[:].shape == (0, 3) and z[:, 1].shape == (0,) and z[[]].shape == (0, 3) and z[None].shape == (1, 0, 3)
    z[:] = 1
    z[[]] = 2
    assert mx.nd.ones((3,))[[]].shape == (0,) and mx.nd.ones((3,))[2:1].shape == (0,)
    with pytest.raises(IndexError):
        z[0]


def test_an_ellipsis_for_no_axis_parts_nothing():
    """As in MXNet; NumPy moves the arrays' axes to the front."""
    x = mx.nd.arange(24).reshape((2, 3, 4))
    a = x.asnumpy()
    assert x[:, [0, 1], ..., [2, 3]].asnumpy().tolist() == a[:, [0, 1], [2, 3]].tolist()
    assert x[[0, 1], ..., [2, 3]].asnumpy().tolist() == a[[0, 1], :, [2, 3]].tolist()
    mask = np.ones((2, 3), bool)
    assert x[mask, ..., [1]].asnumpy().tolist() == a[mask, [1]].tolist()


def test_what_is_no_index():
    x = mx.nd.arange(6).reshape((2, 3))
    for key in (1.0, "a", {}, object(), 1j, np.float32(1), ["a"], [[0, 1], [0]], (0, "a"), (0, 1.5), [None],
                [slice(1)]):
        for f in (lambda k: x[k], lambda k: x.__setitem__(k, 1)):
            with pytest.raises((ValueError, TypeError)):
                f(key)
    for key in ((0, 0, 0), (..., ...), 2, -3, (0, 3), [2], ([0, 1], [0, 1, 2])):
        for f in (lambda k: x[k], lambda k: x.__setitem__(k, 1)):
            with pytest.raises(IndexError):
                f(key)
    for value in ("a", None, 1j, object(), ["a"], {}):
        with pytest.raises(TypeError, match="assign"):
            x[0] = value
    for value in (np.ones(4), mx.nd.ones((2, 3)), [1, 2], mx.nd.ones((6,))):
        with pytest.raises(mx.MXNetError, match="cannot assign"):
            x[0] = value
    assert x.asnumpy().tolist() == [[0, 1, 2], [3, 4, 5]]
