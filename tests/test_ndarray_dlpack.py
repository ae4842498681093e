"""Memory shared with NumPy, PyTorch and any DLPack library: no copy, no leak, nothing freed twice."""
import gc
import os
import pathlib
import subprocess
import sys
import weakref

import numpy as np
import pytest

import mxlite as mx
from mxlite._core.dtypes import FLAG

NUMPY_DTYPES = [d for d in FLAG if d != "bfloat16"]


def references(x):
    gc.collect()
    return sys.getrefcount(x.storage)


@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
def test_numpy_sees_our_memory(dtype):
    x = mx.nd.array([[0, 1, 0], [1, 1, 0]], dtype=dtype)
    seen = np.from_dlpack(x)
    assert (seen.dtype.name, seen.shape, seen.ctypes.data) == (dtype, (2, 3), x.address)
    x[0] = 1
    assert seen.tolist() == x.asnumpy().tolist()
    seen[...] = 0
    assert not x.asnumpy().any()


@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
def test_we_see_numpys_memory(dtype):
    a = np.array([[0, 1, 0], [1, 1, 0]], dtype)
    for x in (mx.nd.from_dlpack(a), mx.nd.from_numpy(a), mx.nd.from_dlpack(a.__dlpack__())):
        assert (x.dtype_name, x.shape, x.address) == (dtype, (2, 3), a.ctypes.data)
        assert x.storage.exported
        x[1, 2] = 1
        assert a[1, 2] == 1
        a[1, 2] = 0
        assert not x[1, 2].asscalar()


@pytest.mark.parametrize("shape", [(), (0,), (1,), (0, 3), (3, 0, 2), (1, 4, 1), (2,) * 8])
def test_shapes_there_and_back(shape):
    x = mx.nd.zeros(shape)
    assert np.from_dlpack(x).shape == shape
    assert mx.nd.from_dlpack(x).shape == shape
    assert mx.nd.from_dlpack(np.zeros(shape)).shape == shape


def test_a_view_is_lent_alone():
    x = mx.nd.arange(12).reshape((3, 4))
    seen = np.from_dlpack(x[1:])
    seen[0] = -1
    assert x.asnumpy().tolist() == [[0, 1, 2, 3], [-1] * 4, [8, 9, 10, 11]]
    y = mx.nd.from_dlpack(np.arange(12.0).reshape(3, 4)[1:, :])
    assert y.asnumpy().tolist() == [[4, 5, 6, 7], [8, 9, 10, 11]]
    y = mx.nd.from_dlpack(np.arange(12.0).reshape(3, 4)[:1, ::2][:, :1])     # strides of length-1 axes do not matter
    assert y.asnumpy().tolist() == [[0]]


def test_an_untaken_capsule_gives_its_reference_back():
    x = mx.nd.ones((3,))
    before = references(x)
    for capsule in (x.to_dlpack_for_read(), x.to_dlpack_for_write(), x.__dlpack__(max_version=(1, 2)),
                    mx.nd.to_dlpack_for_read(x), mx.nd.to_dlpack_for_write(x)):
        assert references(x) > before
        del capsule
    assert references(x) == before
    copy = x.__dlpack__(copy=True)
    assert references(x) == before
    taken = mx.nd.from_dlpack(copy)
    taken[:] = 5
    assert x.asnumpy().tolist() == [1, 1, 1]


def test_the_lender_lives_as_long_as_its_memory_is_used():
    x = mx.nd.arange(4)
    storage, before = x.storage, references(x)
    seen = np.from_dlpack(x)
    del x
    gc.collect()
    assert seen.tolist() == [0, 1, 2, 3]
    del seen
    gc.collect()
    assert sys.getrefcount(storage) == before - 1           # neither the array nor NumPy holds it any more

    class Lender(np.ndarray):
        pass
    for take in (mx.nd.from_dlpack, mx.nd.from_numpy, lambda a: mx.nd.from_dlpack(a.__dlpack__())):
        a = np.arange(4.0).view(Lender)
        alive = weakref.ref(a)
        x = take(a)
        view = x[2:]
        del a, x
        gc.collect()
        assert alive() is not None and view.asnumpy().tolist() == [2, 3]
        del view
        gc.collect()
        assert alive() is None


def test_a_capsule_is_taken_once():
    x = mx.nd.ones((2,))
    for capsule in (x.to_dlpack_for_read(), x.__dlpack__(max_version=(1, 0))):
        y = mx.nd.from_dlpack(capsule)
        with pytest.raises(ValueError, match="taken before"):
            mx.nd.from_dlpack(capsule)
        y[:] = 7
        assert x.asnumpy().tolist() == [7, 7]


def test_many_exchanges_leak_nothing():
    x = mx.nd.ones((1000,))
    before = references(x)
    for _ in range(3000):
        np.from_dlpack(x)
        mx.nd.from_dlpack(mx.nd.from_dlpack(x))
        x.to_dlpack_for_read()
    assert references(x) == before


def test_versions():
    x = mx.nd.ones((2,))
    assert '"dltensor"' in repr(x.__dlpack__()) and '"dltensor"' in repr(x.__dlpack__(max_version=(0, 8)))
    assert '"dltensor_versioned"' in repr(x.__dlpack__(max_version=(1, 0)))

    class Old:                              # a library from before DLPack 1.0
        def __dlpack__(self, stream=None):
            return x.__dlpack__()

        def __dlpack_device__(self):
            return 1, 0
    assert mx.nd.from_dlpack(Old()).address == x.address


def test_what_cannot_be_shared():
    x = mx.nd.ones((4,))
    frozen = np.ones(3)
    frozen.flags.writeable = False
    for bad, error, text in [
            (3, TypeError, "got int"), (None, TypeError, "NoneType"),
            (np.ones((4, 4))[:, ::2], ValueError, "contiguous"), (np.ones((2, 3)).T, ValueError, "contiguous"),
            (frozen, ValueError, "read-only"), (np.ones(3, "uint16"), mx.MXNetError, "16 bits"),
            (np.ones(3, "complex64"), mx.MXNetError, "64 bits"), (np.ones((1,) * 9), mx.MXNetError, "8 axes"),
            (Elsewhere(2), mx.MXNetError, r"gpu\(1\) cannot be used"),
            (Elsewhere(4), mx.MXNetError, r"device \(4, 1\)"),
            (np.random.default_rng(0).bit_generator.capsule, TypeError, "BitGenerator")]:
        with pytest.raises(error, match=text):
            mx.nd.from_dlpack(bad)
    with pytest.raises(BufferError, match=r"cpu\(0\)"):
        x.__dlpack__(dl_device=(2, 0))
    with pytest.raises(BufferError, match="stream"):
        x.__dlpack__(stream=1)
    with pytest.raises(TypeError, match="NDArray"):
        mx.nd.to_dlpack_for_read(np.ones(3))
    for bad in (np.frombuffer(bytearray(9), "f4", 2, 1), np.ones(3, ">f4")):
        with pytest.raises(ValueError, match="aligned or of another byte order"):
            mx.nd.from_numpy(bad)
        assert mx.nd.from_numpy(bad, zero_copy=False).asnumpy().tolist() == bad.tolist()
    assert x.__dlpack_device__() == (1, 0)


class Elsewhere:
    def __init__(self, kind):
        self.kind = kind

    def __dlpack__(self, **kwargs):
        raise AssertionError("asked for memory that is on another device")

    def __dlpack_device__(self):
        return self.kind, 1


def test_array_protocol():
    x = mx.nd.array([[1, 2], [3, 4]], dtype="int32")
    shared = np.asarray(x, copy=False)
    shared[0, 0] = 9
    assert x[0, 0].asscalar() == 9 and x.storage.exported
    for copy in (np.asarray(x), np.array(x), np.array(x, copy=True), np.asarray(x, dtype="float64")):
        copy[...] = 0
    assert x.asnumpy().tolist() == [[9, 2], [3, 4]]
    assert np.asarray(x, dtype="float64").dtype == np.float64
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(x, dtype="float64", copy=False)
    with pytest.raises(ValueError, match="bfloat16"):
        np.asarray(x.astype("bfloat16"), copy=False)
    assert np.asarray(x.astype("bfloat16")).dtype == np.float32


TORCH = """
import gc, sys, numpy as np, torch, mxlite as mx
from mxlite._core.dtypes import FLAG
for dtype in FLAG:
    x = mx.nd.array([[1, 0, 3], [4, 5, 6]], dtype=dtype)
    before = sys.getrefcount(x.storage)
    t, u = torch.from_dlpack(x), torch.utils.dlpack.from_dlpack(x.to_dlpack_for_write())
    assert str(t.dtype) == "torch." + dtype and t.data_ptr() == u.data_ptr() == x.address
    t[0, 0] = 0
    assert not x[0, 0].asscalar()
    x[1] = 1
    assert (u[1].float() == 1).all()
    for back in (mx.nd.from_dlpack(t), mx.nd.from_dlpack(torch.utils.dlpack.to_dlpack(t))):
        assert (back.dtype_name, back.shape, back.address) == (dtype, (2, 3), t.data_ptr())
    back[:] = 0
    assert not t.any()
    del back, t, u
    gc.collect()
    assert sys.getrefcount(x.storage) == before
    t = torch.ones(4).to(getattr(torch, dtype))
    x = mx.nd.from_dlpack(t)
    del t
    gc.collect()
    assert x.asnumpy().tolist() == [1] * 4
for bad in (torch.zeros(3, 4).T, torch.zeros(3, requires_grad=True), torch.zeros(3, dtype=torch.complex64)):
    try:
        mx.nd.from_dlpack(bad)
    except (ValueError, BufferError, mx.MXNetError):
        continue
    raise AssertionError(bad)
assert mx.nd.from_dlpack(torch.zeros(0, 3)).shape == (0, 3) == torch.from_dlpack(mx.nd.zeros((0, 3))).shape
print("well")
"""


def torch_python():
    for path in (os.environ.get("MXLITE_TORCH"), pathlib.Path(__file__).parents[1] / ".torch/bin/python"):
        if path and pathlib.Path(path).exists():
            return path
    pytest.skip("no Python with PyTorch: set MXLITE_TORCH to one, or make .torch")


def test_pytorch_shares_memory_both_ways():
    """In a process of its own: bfloat16 and bool too."""
    path = str(pathlib.Path(mx.__file__).parents[1])
    done = subprocess.run([torch_python(), "-c", TORCH], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "PYTHONPATH": path})
    assert done.stdout.strip() == "well", done.stderr
