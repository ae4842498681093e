"""Memory outlives whoever may still look at it, and no description of memory is believed without a check."""
import ctypes
import gc
import pickle

import numpy as np
import pytest

import mxlite as mx
from mxlite._core import storage
from mxlite.ops.record import RECORDS, REGISTRY, Op, S


@pytest.fixture
def keeper():
    """An operator whose reference keeps what it is given."""
    kept = []

    class _keeps_its_input(Op):
        """Data + 1; the reference keeps its input."""

        samples = (S((2, 3)),)

        def ref(xp, p, data):
            kept.append(data)
            return data + 1
    yield kept
    for table in (RECORDS, REGISTRY):
        table.pop("_keeps_its_input")


def test_a_reference_may_keep_its_views(keeper):
    net = mx.sym._internal._keeps_its_input(mx.sym.Variable("d") * 2.0) * 3.0
    exe = net.simple_bind(mx.cpu(), d=(1000, 1000), grad_req="null")
    exe.arg_dict["d"][:] = 1
    exe.forward()
    before = keeper[0].sum()
    del exe, net
    gc.collect()
    storage.empty_cache()
    others = [mx.nd.ones((1000, 1000)) * 7 for _ in range(3)]       # would take the block over
    assert keeper[0].shape == (1000, 1000) and keeper[0].sum() == before
    del others


class Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32),
                ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8),
                ("lanes", ctypes.c_uint16), ("shape", ctypes.POINTER(ctypes.c_int64)),
                ("strides", ctypes.POINTER(ctypes.c_int64)),
                ("byte_offset", ctypes.c_uint64)]


class Managed(ctypes.Structure):
    _fields_ = [("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p)]


@pytest.mark.parametrize("shape", [(1 << 32, 1 << 32, 4), (1 << 62, 4), (1 << 40, 1 << 40)])
def test_a_tensor_larger_than_64_bits(shape):
    dims = (ctypes.c_int64 * len(shape))(*shape)
    managed = Managed(Tensor(None, 1, 0, len(shape), 2, 32, 1, dims, None, 0), None, None)
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    capsule = new(ctypes.addressof(managed), b"dltensor", None)
    with pytest.raises(mx.MXNetError, match="overflows 64 bits"):
        mx.nd.from_dlpack(capsule)


def test_parts_of_an_array_are_checked():
    x = mx.nd.ones(8)
    for start, shape, error in [(0, (-5,), mx.MXNetError), (0, (1 << 32, 1 << 32, 2), mx.MXNetError),
                                (9, (1,), IndexError), (-1, (1,), IndexError), (4, (5,), IndexError),
                                (1 << 62, (1,), IndexError)]:
        with pytest.raises(error):
            x.part(start, shape)
    with pytest.raises(TypeError):
        x.overlaps(None)
    with pytest.raises(AttributeError):
        x._entry = (1, 2)


def test_pickled_garbage_is_refused():
    function, _ = mx.nd.ones(3).__reduce__()
    for args in [(np.zeros(3, "f4"), "float32", "hello"), (np.zeros(3, "f4"), "float31", mx.cpu()),
                 ("no array", "float32", mx.cpu())]:
        with pytest.raises((TypeError, ValueError, mx.MXNetError)):
            function(*args)
    again = pickle.loads(pickle.dumps(mx.nd.arange(3)))
    assert again.asnumpy().tolist() == [0, 1, 2]
