"""The text that callbacks log, and the files they write."""
import logging
import re
from types import SimpleNamespace

import pytest

import mxlite as mx


def metric(values=(0.5,)):
    m = mx.metric.Accuracy()
    m.sum_metric, m.num_inst = sum(values), len(values)
    return m


def param(nbatch, eval_metric=None, epoch=1):
    return mx.model.BatchEndParam(epoch=epoch, nbatch=nbatch, eval_metric=eval_metric, locals={})


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO)
    return caplog


@pytest.mark.parametrize("auto_reset, begin", [(True, 2), (False, 0)])
def test_speedometer(log, auto_reset, begin):
    meter = mx.callback.Speedometer(8, frequent=2, auto_reset=auto_reset)
    value = metric()
    for nbatch in range(5):
        meter(param(nbatch, value if nbatch < 3 else metric()))
    assert re.fullmatch(r"Epoch\[1\] Batch \[0-2\]\tSpeed: [\d.]+ samples/sec\taccuracy=0\.500000", log.messages[0])
    assert re.fullmatch(rf"Epoch\[1\] Batch \[{begin}-4\]\tSpeed: [\d.]+ samples/sec\taccuracy=0\.500000",
                        log.messages[1])
    assert (value.num_inst == 0) == auto_reset


def test_speedometer_without_metric_and_over_epochs(log):
    meter = mx.callback.Speedometer(8, frequent=2)
    for nbatch in (0, 1, 2, 0, 1, 2):
        meter(param(nbatch))
    assert len(log.messages) == 2
    assert re.fullmatch(r"Iter\[1\] Batch \[2\]\tSpeed: [\d.]+ samples/sec", log.messages[0])


def test_log_train_metric(log):
    value = metric()
    callback = mx.callback.log_train_metric(2, auto_reset=True)
    callback(param(1, value))
    callback(param(2, value))
    assert log.messages == ["Iter[1] Batch[2] Train-accuracy=0.500000"]
    assert value.num_inst == 0


def test_progress_bar(log):
    mx.callback.ProgressBar(total=4, length=8)(param(1))
    assert log.messages == ["[==------] 25%\r"]


def test_log_validation_metrics(log):
    mx.callback.LogValidationMetricsCallback()(param(3, metric(), epoch=2))
    mx.callback.LogValidationMetricsCallback()(param(3))
    assert log.messages == ["Epoch[2] Validation-accuracy=0.500000"]


def test_checkpoints_are_numbered_from_one(tmp_path, log):
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc")
    prefix = str(tmp_path / "net")
    callback = mx.callback.do_checkpoint(prefix, period=2)
    for epoch in range(4):
        callback(epoch, net, {"fc_weight": mx.nd.ones((2, 3)) * epoch}, {"s": mx.nd.zeros((1,))})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net-0002.params", "net-0004.params",
                                                                "net-symbol.json"]
    assert log.messages == [f'Saved checkpoint to "{prefix}-000{n}.params"' for n in (2, 4)]
    symbol, args, aux = mx.model.load_checkpoint(prefix, 4)
    assert symbol.tojson() == net.tojson()
    assert (args["fc_weight"].asnumpy() == 3).all() and list(aux) == ["s"]


def test_module_checkpoint():
    saved = []
    mod = SimpleNamespace(save_checkpoint=lambda *args: saved.append(args))
    callback = mx.callback.module_checkpoint(mod, "net", period=2, save_optimizer_states=True)
    for epoch in range(4):
        callback(epoch)
    assert saved == [("net", 2, True), ("net", 4, True)]


def test_parameters_without_their_prefix(tmp_path, log):
    mx.nd.save(str(tmp_path / "net-0000.params"), {"weight": mx.nd.ones((1,))})
    with pytest.raises(ValueError, match="neither 'arg:' nor 'aux:'"):
        mx.model.load_params(str(tmp_path / "net"), 0)
