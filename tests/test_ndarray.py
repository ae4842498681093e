"""NDArray by itself: dtypes, printed forms, conversions, operators, copies. What MXNet says is in tests/oracle."""
import copy
import gc
import operator
import pickle
import subprocess
import sys

import numpy as np
import pytest

import mxlite as mx
from mxlite._core.convert import from_bfloat16, to_bfloat16
from mxlite._core.dtypes import BFLOAT16, FLAG

DTYPES = list(FLAG)
FLOATS = ["float16", "bfloat16", "float32", "float64"]


def rounded(values, dtype):
    """`values` as an array of `dtype` holds them, in float64."""
    if dtype == "bfloat16":
        return from_bfloat16(to_bfloat16(np.asarray(values, np.float32))).astype(np.float64)
    return np.asarray(values).astype(dtype).astype(np.float64)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_is_made_read_and_converted(dtype):
    values = [[0, 1, 2], [3, 100, 1]]
    x = mx.nd.array(values, dtype=dtype)
    assert x.dtype == (BFLOAT16 if dtype == "bfloat16" else np.dtype(dtype).type)
    assert mx.nd.zeros((2,), dtype=x.dtype).dtype_name == dtype
    assert x.asnumpy().astype(np.float64).tolist() == rounded(values, dtype).tolist()
    assert mx.nd.full((2,), 3, dtype=dtype).asnumpy().tolist() == rounded([3, 3], dtype).tolist()
    for other in DTYPES:
        y = x.astype(other)
        assert y.dtype_name == other
        assert y.asnumpy().astype(np.float64).tolist() == rounded(rounded(values, dtype), other).tolist(), other
        z = mx.nd.empty((2, 3), dtype=other)
        assert x.copyto(z) is z and z.asnumpy().tolist() == y.asnumpy().tolist()
        assert mx.nd.array(x, dtype=other).asnumpy().tolist() == y.asnumpy().tolist()
    assert x.astype(dtype, copy=False) is x and x.astype(dtype) is not x
    assert f"<NDArray 2x3 @{x.context}>" in repr(x)


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d != "bool"])
def test_arithmetic_keeps_the_dtype(dtype):
    x, y = mx.nd.array([5, 9, 100], dtype=dtype), mx.nd.array([2, 3, 4], dtype=dtype)
    a, b = np.array([5.0, 9, 100]), np.array([2.0, 3, 4])
    divide = operator.truediv if dtype in FLOATS else operator.floordiv
    for f in (operator.add, operator.sub, operator.mod, operator.gt, operator.eq, operator.le):
        out = f(x, y)
        assert out.dtype_name == dtype
        assert out.asnumpy().astype(np.float64).tolist() == rounded(f(a, b), dtype).tolist(), f
        assert f(x, 2).asnumpy().astype(np.float64).tolist() == rounded(f(a, 2), dtype).tolist(), f
        assert f(7, y).asnumpy().astype(np.float64).tolist() == rounded(f(7, b), dtype).tolist(), f
    assert (x / y).asnumpy().astype(np.float64).tolist() == rounded(divide(a, b), dtype).tolist()
    assert (-y).asnumpy().astype(np.float64).tolist() == rounded(-(b.astype(int)), dtype).tolist()
    was = x
    for f in (operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.imod):
        x = f(x, y)
        assert x is was and x.dtype_name == dtype
    with pytest.raises(mx.MXNetError, match="dtype|float"):
        x + mx.nd.ones((3,), dtype="float64" if dtype != "float64" else "float32")


def test_operands_of_every_kind():
    x = mx.nd.array([1, -2, 3.5])
    for other in (2, 2.0, np.float32(2), np.int64(2), np.array(2.0), np.array([2, 2, 2]), mx.nd.array([2, 2, 2])):
        assert (x + other).asnumpy().tolist() == [3, 0, 5.5] == (other + x).asnumpy().tolist()
        assert (x > other).asnumpy().tolist() == [0, 0, 1] == (other < x).asnumpy().tolist()
        y = x.copy()
        y *= other
        assert y.asnumpy().tolist() == [2, -4, 7]
        assert mx.nd.add(x, other).asnumpy().tolist() == [3, 0, 5.5] == mx.nd.add(other, x).asnumpy().tolist()
    for other in (None, "a", [1, 2, 3], (1, 2, 3), {}, 1j):
        for f in (operator.add, operator.iadd, operator.mul, operator.eq, operator.ne, operator.gt, operator.le,
                  mx.nd.add, mx.nd.equal):
            with pytest.raises(TypeError):
                f(x.copy(), other)
            if f is not operator.iadd:
                with pytest.raises(TypeError):
                    f(other, x)
    assert hash(x) == hash(x) and {x: 1}[x] == 1 and x in [x]
    assert mx.nd.power(base=2, exp=mx.nd.array([3.0])).asscalar() == 8
    assert (mx.nd.maximum(1, 2), mx.nd.minimum(1, 2), mx.nd.lesser(1, 2), mx.nd.modulo(7, 4)) == (2, 1, 1, 3)
    assert (mx.nd.logical_xor(1, 0), mx.nd.true_divide(1, 2), mx.nd.hypot(3, 4)) == (1, 0.5, 5)
    b = mx.nd.array([1, 0], dtype="bool")
    assert (-b).asnumpy().tolist() == [-1, 0]


def test_one_element():
    for shape in ((), (1,), (1, 1)):
        x = mx.nd.full(shape, 3.5)
        assert (x.asscalar(), x.item(), float(x), int(x), bool(x)) == (3.5, 3.5, 3.5, 3, True)
        assert type(x.asscalar()) is np.float32
    assert operator.index(mx.nd.array([2], dtype="int8")) == 2 and [1, 2, 3][mx.nd.array([1], dtype="int64")] == 2
    for x in (mx.nd.array([1.0]), mx.nd.array([1, 2], dtype="int32")):
        with pytest.raises(TypeError, match="integer"):
            operator.index(x)
    assert not mx.nd.zeros((0,)) and not mx.nd.zeros((1,))
    with pytest.raises(ValueError, match="ambiguous"):
        bool(mx.nd.ones((2,)))


def test_an_array_is_made_by_functions():
    with pytest.raises(TypeError, match="nd.array"):
        mx.nd.NDArray(3)

    class Mine(mx.nd.NDArray):
        def __init__(self):
            pass
    x = Mine()
    x[:] = 1
    x += 1
    assert x.shape == (0,) and x.asnumpy().tolist() == [] and mx.nd.relu(x).shape == (0,)


def test_reshape_shares_and_checks():
    x = mx.nd.arange(6)
    for y in (x.reshape((2, 3)), x.reshape(2, 3), x.reshape(shape=(2, 3)), x.reshape((3, 2), shape=(1, 6)),
              x.reshape(-1, 3), x.reshape([0, 1]), x.expand_dims(0, inplace=True), x.expand_dims(-1, inplace=True),
              x.reshape((1, 6)).squeeze(inplace=True), x.reshape((1, 6)).flatten(inplace=True), x.detach(),
              x.as_nd_ndarray()):
        assert y.address == x.address
    assert x.reshape((3, 2), shape=(1, 6)).shape == (3, 2)
    for y in (x.expand_dims(0), x.flatten(), x.squeeze(), x.T.T, x.tostype("default"), x.copy(), x.astype("float32"),
              copy.copy(x), copy.deepcopy(x), x.broadcast_to((6,)), x.as_in_context(mx.cpu(1))):
        assert y is x or y.address != x.address
    assert x[0].reshape(()).shape == ()
    for axis in (2, -3):
        with pytest.raises(mx.MXNetError, match="out of range"):
            x.expand_dims(axis, inplace=True)
    with pytest.raises(mx.MXNetError, match="size 2"):
        x.reshape((2, 3)).squeeze(0, inplace=True)


def test_broadcasting_methods():
    x = mx.nd.array([[1], [2]])
    assert x.broadcast_to((3, 2, 2)).asnumpy().tolist() == [[[1, 1], [2, 2]]] * 3
    assert x.broadcast_like(mx.nd.zeros((2, 3))).shape == (2, 3)
    assert mx.nd.ones((1, 3)).broadcast_like(mx.nd.zeros((0, 3))).shape == (0, 3)
    for shape in ((2,), (3, 1), (2, 3, 1), (3, 3), (0, 3)):
        with pytest.raises(ValueError, match="cannot be broadcast"):
            x.broadcast_to(shape)


def test_slice_assign():
    x = mx.nd.zeros((3, 4))
    assert x.slice_assign(mx.nd.ones((2, 2)), (0, None), (None, 2), (2, None)) is x
    assert x.slice_assign_scalar(7, (1, -1), (2, -3), (None, -1)) is x
    assert x.asnumpy().tolist() == [[1, 1, 0, 0], [0, 0, 7, 7], [1, 1, 0, 0]]
    assert x.slice_assign_scalar(5, (0,), (1,), ()).asnumpy()[0].tolist() == [5] * 4
    with pytest.raises(ValueError, match="as many axes"):
        x.slice_assign_scalar(5, (0,), (1,), (1, 2))
    with pytest.raises(TypeError, match="int"):
        x.slice_assign(5, (0,), (1,), ())


def test_what_is_not_there_says_so():
    x = mx.nd.ones((2,))
    for call, error, text in [(x.as_np_ndarray, mx.MXNetError, "asnumpy"),
                              (lambda: x.tostype("csr"), mx.MXNetError, "sparse"),
                              (lambda: x.tostype("foo"), ValueError, "foo"),
                              (lambda: mx.nd.imdecode(b""), mx.MXNetError, "images"),
                              (lambda: mx.nd.zeros((2,), stype="csr"), mx.MXNetError, "sparse")]:
        with pytest.raises(error, match=text):
            call()


@pytest.mark.parametrize("dtype", DTYPES)
def test_pickle_and_copies(dtype):
    for x in (mx.nd.array([[1, 0, 3]], dtype=dtype), mx.nd.zeros((0, 2), dtype=dtype), mx.nd.full((), 1, dtype=dtype)):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            y = pickle.loads(pickle.dumps(x, protocol))
            assert (y.dtype_name, y.shape, y.context, y.asnumpy().tolist()) == (
                dtype, x.shape, x.context, x.asnumpy().tolist())
        both = [x, x]
        again = copy.deepcopy(both)
        assert again[0].asnumpy().tolist() == x.asnumpy().tolist() and again[0].address != x.address or not x.size
    view = mx.nd.array([[1, 0], [3, 4]], dtype=dtype)[1]
    assert pickle.loads(pickle.dumps(view)).shape == (2,)


def test_pickles_cross_processes():
    """Written by another process, read here, and the other way round."""
    code = ("import pickle, sys, mxlite as mx\n"
            "given = pickle.load(sys.stdin.buffer)\n"
            "pickle.dump([x * 2 for x in given], sys.stdout.buffer)")
    given = [mx.nd.array([1, 2, 3], dtype=d) for d in DTYPES if d != "bool"]
    done = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(given), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    for x, y in zip(given, pickle.loads(done.stdout)):
        assert y.dtype_name == x.dtype_name and y.asnumpy().tolist() == [2, 4, 6]


def test_iteration_and_membership():
    x = mx.nd.arange(6).reshape((3, 2))
    assert [row.asnumpy().tolist() for row in x] == [[0, 1], [2, 3], [4, 5]] and len(x) == 3
    for row in x:
        row[:] = 9                          # rows are views
    assert (x == 9).asnumpy().all() and x.size == 6 and x.ndim == 2
    y = mx.nd.array([1, 2, 3])
    assert 2 in y and 7 not in y and [float(v) for v in y] == [1, 2, 3]


def test_memory_is_given_back():
    from mxlite._core.storage import cached
    x = mx.nd.ones((1 << 18,))
    for _ in range(3):
        x.reshape((512, 512)), x[1:], pickle.loads(pickle.dumps(x)), x.astype("float64")
    gc.collect()
    before = cached()
    for _ in range(20):
        x.reshape((512, 512)), x[1:], pickle.loads(pickle.dumps(x)), x.astype("float64")
    gc.collect()
    assert cached() == before
