"""Training on a GPU goes as on the CPU: the same loss curve, step by step, and the same parameters at its end."""
import numpy as np
import pytest

import mxlite as mx

from ..networks import lenet, mlp

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def small_resnet(classes=10):
    """Two residual units with BatchNorm, the second of stride 2."""
    def unit(x, filters, stride, name):
        y = mx.sym.Convolution(x, kernel=(3, 3), pad=(1, 1), stride=stride, num_filter=filters, no_bias=True,
                               name=name + "_a")
        y = mx.sym.Activation(mx.sym.BatchNorm(y, fix_gamma=False, name=name + "_bn_a"), act_type="relu")
        y = mx.sym.Convolution(y, kernel=(3, 3), pad=(1, 1), num_filter=filters, no_bias=True, name=name + "_b")
        y = mx.sym.BatchNorm(y, fix_gamma=False, name=name + "_bn_b")
        if stride != (1, 1):
            x = mx.sym.Convolution(x, kernel=(1, 1), stride=stride, num_filter=filters, no_bias=True, name=name + "_s")
        return mx.sym.Activation(y + x, act_type="relu")
    net = mx.sym.Convolution(mx.sym.Variable("data"), kernel=(3, 3), pad=(1, 1), num_filter=8, name="stem")
    net = unit(unit(net, 8, (1, 1), "one"), 16, (2, 2), "two")
    net = mx.sym.Flatten(mx.sym.Pooling(net, global_pool=True, kernel=(2, 2), pool_type="avg"))
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=classes, name="fc"), name="softmax")


def unrolled_lstm(classes=10, steps=5, hidden=12):
    """Cells, a product each, as MXNet's examples unroll them."""
    cells = mx.rnn.SequentialRNNCell()
    for i in range(2):
        cells.add(mx.rnn.LSTMCell(hidden, prefix=f"lstm{i}_"))
    outputs, _ = cells.unroll(steps, mx.sym.Variable("data"), layout="NTC", merge_outputs=False)
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(outputs[-1], num_hidden=classes, name="fc"), name="softmax")


def fused_lstm(classes=10, steps=5, hidden=12):
    """The operator RNN."""
    net = mx.rnn.FusedRNNCell(hidden, num_layers=2, mode="lstm", prefix="lstm_")
    data = mx.sym.swapaxes(mx.sym.Variable("data"), 0, 1)
    outputs, _ = net.unroll(steps, data, layout="TNC", merge_outputs=True)
    last = mx.sym.Reshape(mx.sym.slice_axis(outputs, axis=0, begin=-1, end=None), shape=(-1, hidden))
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(last, num_hidden=classes, name="fc"), name="softmax")


# name -> (network, shape of an example, learning rate, steps on a made-up device)
NETWORKS = {"MLP": (lambda: mlp(mx), (20,), 0.1, 6), "LeNet": (lambda: lenet(mx), (1, 16, 16), 0.05, 2),
            "ResNet": (small_resnet, (3, 8, 8), 0.05, 3), "LSTM": (unrolled_lstm, (5, 6), 0.2, 4),
            "fused LSTM": (fused_lstm, (5, 6), 0.2, 4)}
STEPS, BATCH = 40, 16


def data(shape, batch):
    """Pictures of ten classes, each a pattern and noise."""
    rng = np.random.default_rng(8)
    y = rng.integers(0, 10, batch)
    x = rng.normal(size=(10, *shape))[y] + 0.3 * rng.normal(size=(batch, *shape))
    return x.astype("float32"), y.astype("float32")


def train(net, ctx, shape, rate, steps, optimizer="sgd"):
    """(loss of every step, parameters at the end) of a Module."""
    mx.random.seed(1)
    np.random.seed(1)
    x, y = data(shape, BATCH)
    module = mx.mod.Module(net, context=ctx)
    module.bind([("data", x.shape)], [("softmax_label", y.shape)])
    module.init_params(mx.init.Xavier())
    words = {"learning_rate": rate, **({"momentum": 0.9} if optimizer == "sgd" else {})}
    module.init_optimizer(optimizer=optimizer, optimizer_params=words)
    batch, losses = mx.io.DataBatch([mx.nd.array(x)], [mx.nd.array(y)]), []
    for _ in range(steps):
        module.forward_backward(batch)
        module.update()
        p = module.get_outputs()[0].asnumpy()[np.arange(BATCH), y.astype(int)]
        losses.append(float(-np.log(np.maximum(p, 1e-12)).mean()))
    args, aux = module.get_params()
    return losses, {k: v.asnumpy() for k, v in {**args, **aux}.items()}


@pytest.mark.parametrize("name", NETWORKS)
def test_loss_curves_agree(gpu, name, record_property):
    make, shape, rate, few = NETWORKS[name]
    steps = gpu.times(STEPS, few)
    got, ours = train(make(), gpu.ctx, shape, rate, steps)
    want, theirs = train(make(), mx.cpu(), shape, rate, steps)
    record_property("curve", [[round(a, 6), round(b, 6)] for a, b in zip(got, want)])
    # Rounding differences grow with the steps: exactly at first, closely for the rest.
    np.testing.assert_allclose(got[:3], want[:3], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got, want, rtol=2e-2, atol=2e-3)
    assert got[-1] < got[0], "it does not learn"
    if not gpu.fake:
        assert got[-1] < 0.5 * got[0]
    for k, w in theirs.items():
        np.testing.assert_allclose(ours[k], w, rtol=5e-2, atol=5e-3 * max(1, np.abs(w).max()), err_msg=k)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "nag"])
def test_optimizers_agree(gpu, optimizer):
    shape, steps = (20,), gpu.times(20, 3)
    rate = 0.05 if optimizer == "nag" else 0.003
    got, ours = train(mlp(mx, (16,)), gpu.ctx, shape, rate, steps, optimizer)
    want, theirs = train(mlp(mx, (16,)), mx.cpu(), shape, rate, steps, optimizer)
    np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4)
    for k, w in theirs.items():
        np.testing.assert_allclose(ours[k], w, rtol=1e-2, atol=2e-3, err_msg=k)
