"""Regions of arrays, and sums over devices without NCCL."""
import numpy as np
import pytest

import mxlite as mx
from mxlite.gpu import get_device
from mxlite.gpu.peers import PeerCopies
from mxlite.gpu.regions import Regions

from . import shim

pytestmark = [shim.needs_cxx, pytest.mark.usefixtures("gpus")]
PARTS = [("a", (3, 2), "float32"), ("b", (5,), np.float64), ("c", (0, 4), "float32"), ("d", (), "float32"),
         ("e", (70,), "float32")]


def test_arrays_of_a_dtype_lie_in_one_region(gpus):
    regions = Regions(mx.gpu(0), PARTS)
    assert gpus.count("memset") == 2, "zeros are one memset a dtype"
    assert {d: a.size for d, a in regions.arrays.items()} == {"float32": 64 + 64 + 128, "float64": 32}
    for name, shape, dtype in PARTS:
        view = regions.views[name]
        assert view.shape == shape and view.dtype == np.dtype(dtype) and view.context == mx.gpu(0)
        assert view.size == 0 or view.address % 256 == 0
        assert (view.asnumpy() == 0).all()
    regions.views["a"][:] = 7
    whole = regions.arrays["float32"].asnumpy()
    assert (whole[:6] == 7).all() and (whole[6:] == 0).all()
    other = regions.like()
    assert other.places == regions.places and (other.arrays["float32"].asnumpy() == 0).all()
    with pytest.raises(ValueError, match="twice"):
        Regions(mx.gpu(0), PARTS[:1] * 2)


def sums(gpus, dtype="float32", into=False):
    values = [np.arange(6).astype(dtype), np.full(6, 0.5).astype(dtype)]
    arrays = [mx.nd.array(v, ctx=mx.gpu(k), dtype=dtype) for k, v in enumerate(values)]
    targets = [mx.nd.zeros((6,), ctx=mx.gpu(k), dtype=dtype) for k in range(2)] if into else arrays
    peers = PeerCopies([get_device(k) for k in range(2)])
    for _ in range(1 if not into else 2):           # beside its terms a sum can be made again
        start = len(gpus.log)
        peers.all_reduce([a.address for a in arrays], 6, dtype, [t.address for t in targets] if into else None)
    return values, arrays, targets, gpus.log[start:]


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
@pytest.mark.parametrize("into", [False, True])
def test_sums_by_copies_between_devices(dtype, into, gpus):
    values, arrays, targets, log = sums(gpus, dtype, into)
    for array in targets:
        np.testing.assert_array_equal(array.asnumpy(), values[0] + values[1])
        assert array.dtype == np.dtype(dtype)
    if into:
        for array, value in zip(arrays, values):
            np.testing.assert_array_equal(array.asnumpy(), value)
    size = 6 * np.dtype(dtype).itemsize
    assert [entry for entry in log if entry[0] == "peer"] == [("peer", 0, 1, size), ("peer", 1, 0, size)]
    assert not [entry for entry in log if entry[0] == "copy" and entry[1] != 3], "nothing passes through the host"


def test_copies_between_devices_wait_for_what_they_read_and_are_waited_for(gpus):
    first, second = (get_device(k).stream.ptr for k in range(2))
    _, _, _, log = sums(gpus)
    kinds = [entry for entry in log if entry[0] in ("record", "wait_event", "peer", "launch")]
    names = [(*entry[:1], *entry[1:3]) for entry in kinds]
    there = [("record", second), ("wait_event", first, second), ("peer", 0, 1), ("record", first),
             ("wait_event", second, first)]
    assert names[:5] == there and names[5][0] == "launch"
    back = [("record", first), ("wait_event", second, first), ("peer", 1, 0), ("record", second),
            ("wait_event", first, second)]
    assert names[6:] == back


def test_what_cannot_be_summed_is_refused():
    devices = [get_device(k) for k in range(2)]
    with pytest.raises(mx.MXNetError, match="twice"):
        PeerCopies(devices[:1] * 2)
    with pytest.raises(mx.MXNetError, match="1 arrays for 2 devices"):
        PeerCopies(devices).all_reduce([256], 4, "float32")
    with pytest.raises(mx.MXNetError, match="no sums of bool over devices"):
        PeerCopies(devices).all_reduce([256, 512], 4, "bool")
    PeerCopies(devices).all_reduce([0, 0], 0, "float32")
