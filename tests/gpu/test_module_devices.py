"""Module over several fake devices: gradients summed from device to device, every one updating its own."""
import logging
import re

import numpy as np
import pytest

import mxlite as mx
from mxlite.gpu import get_device

from . import shim
from .fake_nccl import Nccl
from .test_module import (
    BATCH,
    FLAT,
    STEPS,
    _reload,
    _replace,
    _stop,
    _write,
    altered,
    batch,
    bound,
    mlp,
    same,
    states_of,
    trained,
    two_dtypes,
    values,
)

pytestmark = [shim.needs_cxx, pytest.mark.usefixtures("gpus")]

@pytest.fixture
def nccl(gpus):
    gpus.cuda.nccl = Nccl(gpus)
    return gpus.cuda.nccl


TWO = (mx.gpu(0), mx.gpu(1))


@pytest.mark.parametrize("kvstore", ["nccl", "local", None, "device"])
@pytest.mark.parametrize("optimizer, options", [FLAT[1], FLAT[3], ("adagrad", {})])
def test_two_devices_give_the_numbers_of_one(optimizer, options, kvstore, nccl, gpus):
    one, want = trained(mx.gpu(0), optimizer, options)
    two, got = trained(list(TWO), optimizer, options, kvstore=kvstore, steps=0)
    for k in range(STEPS):
        two.forward_backward(batch(k))
        start = len(gpus.log)
        two.update()
        moved = [entry for entry in gpus.log[start:] if entry[0] == "copy" and entry[1] in (1, 2)]
        assert all(entry[1] == 1 and entry[2] < 4096 for entry in moved), "nothing passes through the host"
        for first, second in two._exec_group.param_arrays:
            np.testing.assert_array_equal(first.asnumpy(), second.asnumpy())
    same(values(two), want)
    for a, b in zip(states_of(two), states_of(one)):
        np.testing.assert_allclose(a.asnumpy(), b.asnumpy(), rtol=1e-4, atol=1e-5)
    assert two._sums.name == ("peer copies" if kvstore == "device" else "NCCL")
    assert bool(nccl.asked) == (kvstore != "device")


def test_gradients_are_summed_by_one_call_a_dtype_on_the_streams_of_the_devices(nccl, gpus):
    mod = mx.mod.Module(two_dtypes(), context=list(TWO))
    mod.bind([("data", (BATCH, 6))], [("softmax_label", (BATCH,))])
    mod.init_params(mx.init.Uniform(0.3))
    mod.init_optimizer(kvstore="nccl")
    for _ in range(2):
        mod.forward_backward(batch(0))
        nccl.asked.clear()
        start = len(gpus.log)
        mod.update()
    region = {d: a.size for d, a in mod._exec_group._grad_regions[0][0].arrays.items()}
    streams = [get_device(k).stream.ptr for k in range(2)]
    assert nccl.asked == [[("sum", k, region[dtype], kind, streams[k]) for k in range(2)]
                          for dtype, kind in (("float32", 7), ("float64", 8))]
    assert [entry[1] for entry in gpus.log[start:] if entry[0] == "launch"] == ["update_many"] * 4
    assert region == {"float32": 64 + 64, "float64": 32 + 32}


def test_gradients_stay_each_devices_own(nccl):
    """Those that are added to would count other devices' shares twice."""
    def run(ctx, **kw):
        mod = bound(ctx, grad_req="add")
        mod.init_optimizer(optimizer="sgd", optimizer_params=FLAT[1][1], **kw)
        for k in range(3):
            mod.forward_backward(batch(k))
            mod.update()
        return values(mod)
    want = run([mx.cpu(0), mx.cpu(1)])
    same(run(list(TWO)), want)
    same(run(list(TWO), kvstore="device"), want)


@pytest.mark.parametrize("change", [_write, _replace, _reload, _stop])
def test_what_is_written_into_a_state_reaches_all_devices(change, nccl):
    _, want = altered(mx.cpu(), change)
    two, got = altered(list(TWO), change)
    same(got, want)
    for first, second in two._exec_group.param_arrays:
        np.testing.assert_array_equal(first.asnumpy(), second.asnumpy())


def test_without_nccl_it_is_said_what_takes_its_place(gpus, caplog):
    gpus.cuda.nccl = type("Nccl", (), {"available": False})
    missing = r"NCCL, which is not installed: `pip install mxlite\[gpu,dist\]`"
    mod = bound(list(TWO))
    with pytest.raises(mx.MXNetError, match=missing + r"; or kvstore='device', which sums by copies"):
        mod.init_optimizer(kvstore="nccl")
    for kvstore, warned in (("device", False), ("local", True), (None, True)):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            mod.init_optimizer(kvstore=kvstore, force_init=True)
        assert "summed over [gpu(0), gpu(1)] by peer copies" in caplog.text
        assert bool(re.search(missing, caplog.text)) == warned


def test_several_devices_are_several():
    for contexts in ([mx.gpu(0), mx.gpu(0)], [mx.gpu(0), mx.cpu(0)]):
        with pytest.raises(mx.MXNetError, match="all different"):
            bound(contexts)


def test_states_are_averaged_and_outputs_joined(nccl):
    cpu, want = trained([mx.cpu(0), mx.cpu(1)], "sgd", symbol=mlp(dropout=True), steps=3)
    gpu, got = trained(list(TWO), "sgd", symbol=mlp(dropout=True), steps=3)
    same(got, want, 1e-4)
    for mod in (cpu, gpu):
        mod.forward(batch(0), is_train=False)
    np.testing.assert_allclose(gpu.get_outputs()[0].asnumpy(), cpu.get_outputs()[0].asnumpy(), rtol=1e-4, atol=1e-5)
    assert gpu.get_outputs()[0].context == mx.gpu(0)
