"""Mixed precision on a device: a converted symbol's program on the fake, beside the CPU's."""
import sys

import numpy as np
import pytest

import mxlite as mx
from mxlite.contrib import amp
from mxlite.contrib.amp.convert import Rules
from mxlite.contrib.amp.executor_group import SCALE, training_symbol
from mxlite.gpu import Backend, _libs, lt

from . import shim
from .fake import Cupy
from .fake_lt import FakeLt

pytestmark = shim.needs_cxx


@pytest.fixture
def device(monkeypatch):
    """The fake as mx.gpu(0), with products by a fake cublasLt and without the other libraries."""
    monkeypatch.setattr(_libs, "disk", lambda: _libs.Cache(None))
    backend = Backend(Cupy)
    monkeypatch.setattr(sys.modules["mxlite.gpu"], "_backend", backend)
    dev = backend.device(0)
    library = FakeLt()
    library.xp = dev.xp
    dev.libraries["lt"], dev.libraries["missing"] = lt.Lt(library, dev), {"dnn": "", "rnn": ""}
    return dev


def network():
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=16, name="fc1")
    x = mx.sym.Activation(mx.sym.BatchNorm(x, name="bn", fix_gamma=False), act_type="relu")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(x, num_hidden=8, name="fc2"), name="softmax")


def on_host(array):
    host = mx.nd.empty(array.shape, dtype=array.dtype)
    host.copy_from(array)
    return host.asnumpy()


def run(net, context, scale):
    """(the executor, outputs, gradients and states of two training steps on float32 arrays)."""
    shapes = {"data": (4, 6), "softmax_label": (4,)}
    exe = net.simple_bind(context, **shapes, type_dict=dict.fromkeys(net.list_arguments(), "float32"),
                          grad_req={n: "null" if n in (SCALE, *shapes) else "write" for n in net.list_arguments()})
    rng = np.random.default_rng(1)
    for name, array in exe.arg_dict.items():
        value = rng.integers(0, 8, array.shape) if name in shapes and name != "data" else rng.normal(size=array.shape)
        array.copy_from(mx.nd.array([scale] if name == SCALE else value))
    for array in exe.aux_dict.values():
        array.copy_from(mx.nd.ones(array.shape))
    out = []
    for _ in range(2):
        exe.forward(is_train=True)
        exe.backward()
        out += [on_host(a) for a in (*exe.outputs, *exe.aux_arrays)]
        out += [on_host(a) / scale for a in exe.grad_arrays if a is not None]
    return exe, out


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_training_in_half_precision(device, dtype):
    net, scale = network(), 256.0 if dtype == "float16" else 1.0
    half = training_symbol(net, Rules(dtype), dtype == "float16")
    exe, got = run(half, mx.gpu(0), scale)
    _, want = run(half, mx.cpu(), scale)
    _, wide = run(net, mx.cpu(), 1.0)
    assert len(got) == len(want) == 2 * (1 + 2 + 6)
    step = 2.0 ** (-10 if dtype == "float16" else -7)           # sums that round at other places
    for a, b in zip(got, want):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=4 * step, atol=4 * step)
    assert max(np.abs(a - b).max() for a, b in zip(got, wide)) > step / 4
    assert exe.outputs[0].context == mx.gpu(0) and device.xp.count("graph") >= 2
    text = str(exe.explain("train"))
    assert dtype in text and "amp_cast" in text


def test_prediction_with_half_parameters(device):
    """`convert_model` with parameters in float16: no cast in front of a product."""
    net = network()
    shapes = net.infer_shape(data=(4, 6))
    rng = np.random.default_rng(2)
    args = {n: mx.nd.array(rng.normal(size=s)) for n, s in zip(net.list_arguments(), shapes[0])
            if n not in ("data", "softmax_label")}
    aux = {n: mx.nd.ones(s) for n, s in zip(net.list_auxiliary_states(), shapes[2])}
    done, args, aux = amp.convert_model(net, args, aux, cast_optional_params=True)
    outs = []
    for context in (mx.cpu(), mx.gpu(0)):
        exe = done.simple_bind(context, grad_req="null", data=(4, 6), softmax_label=(4,))
        assert exe.arg_dict["fc1_weight"].dtype == np.float16
        for name, array in (*exe.arg_dict.items(), *exe.aux_dict.items()):
            array.copy_from({**args, **aux}.get(name, mx.nd.ones(array.shape)))
        exe.forward(is_train=False)
        outs.append(on_host(exe.outputs[0]))
    np.testing.assert_allclose(outs[1], outs[0], atol=4e-3)
    assert outs[0].std() > 0.1


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_module_trains_on_a_device_as_on_the_cpu(dtype, device):
    """float16 looks at its gradients before it updates; bfloat16 has nothing to look at, so its step is one run."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 6)).astype("float32"), rng.integers(0, 8, 32).astype("float32")

    def train(context):
        mx.random.seed(4)
        mod = mx.mod.Module(network(), context=context)
        mod.fit(mx.io.NDArrayIter(x, y, batch_size=8), num_epoch=3, optimizer_params={"learning_rate": 0.1})
        arrays = mod.get_params()
        return mod, {name: array.asnumpy() for table in arrays for name, array in table.items()}
    amp.init(dtype)
    try:
        (mod, got), (_, want) = train(mx.gpu(0)), train(mx.cpu())
    finally:
        amp.disable()
    assert all(array.dtype == np.float32 for array in got.values())
    for name in want:
        np.testing.assert_allclose(got[name], want[name], rtol=0.05, atol=0.02, err_msg=name)
    group = mod._exec_group
    assert (group._now.step is None) == (dtype == "float16")
    if dtype == "bfloat16":
        return
    before, scale = {k: v.asnumpy() for k, v in mod.get_params()[0].items()}, amp.get_loss_scaler(mod).loss_scale
    batch = mx.io.DataBatch([mx.nd.array(x[:8])], [mx.nd.array(y[:8])])
    mod.forward_backward(batch)
    group.grad_arrays[0][0][0, 0] = np.inf
    mod.update()
    assert amp.get_loss_scaler(mod).loss_scale == scale / 2
    for name, value in mod.get_params()[0].items():
        np.testing.assert_array_equal(value.asnumpy(), before[name])
