"""Optimizers and learning-rate schedules against MXNet 1.9.1's numbers."""
import base64
import logging
import pickle
import zlib

import numpy as np
import pytest

import mxlite as mx

WEIGHT = np.array([[1., -2.], [3., .5]], "float32")
GRAD = np.array([[.5, -1.], [.25, 2.]], "float32")
# What MXNet's Updater.get_states() returned for Adam after one update of two weights by (0.5, -1).
MXNET_STATES = zlib.decompress(base64.b64decode(
    "eJxrYJl6mAECaqd4M/SI5lbkpZbo5aUkFhUlVsLoKT3sfi6OYNbkKX6tU4Km1E7pYctIzEvJSZ3Sw5FUmplTkplXPKWHM6myJDUR"
    "qtBZ4+SvyT9BRjMCMRPUGkYGBLhwxsf2wpkze6eAjCxOymDOYAEZncGewUVYM4NQsyUQW0E1t00p1gMAg/g9+Q=="))


def updated(optimizer, steps=3, dtype="float32", updater=None):
    """The weight after `steps` updates by GRAD, 2 GRAD, 3 GRAD, ..."""
    updater = updater or mx.optimizer.get_updater(optimizer)
    weight = mx.nd.array(WEIGHT, dtype=dtype)
    for step in range(steps):
        updater(0, mx.nd.array(GRAD * (step + 1), dtype=dtype), weight)
    return weight.asnumpy()


@pytest.mark.parametrize("name, options, expected", [
    ("sgd", {}, [0.97, -1.9400001, 2.9849999, 0.38]),
    ("sgd", {"momentum": 0.9, "wd": 0.1, "rescale_grad": 0.5, "clip_gradient": 0.75, "learning_rate": 0.1},
     [0.7080765, -1.5384029, 2.7149858, 0.0550319]),
    ("nag", {"momentum": 0.9, "learning_rate": 0.1}, [0.27205, -0.5440999, 2.6360252, -2.4117999]),
    ("signum", {"wd_lh": 0.1, "wd": 0.1}, [0.9670331, -1.9640361, 2.9610391, 0.4685315]),
    ("signum", {"momentum": 0.0}, [0.97, -1.97, 2.97, 0.47]),
    ("adam", {}, [0.9970768, -1.9970767, 2.997077, 0.4970768]),
    ("adam", {"learning_rate": 0.1, "wd": 0.1, "clip_gradient": 1.0}, [0.7024652, -1.6999981, 2.701364, 0.1999981]),
    ("adagrad", {"learning_rate": 0.1, "wd": 0.1}, [0.7035623, -1.6738613, 2.6441605, 0.2184128]),
    ("rmsprop", {"wd": 0.1}, [0.9914806, -1.9914806, 2.9917955, 0.491402]),
    ("rmsprop", {"centered": True, "learning_rate": 0.01}, [0.8204083, -1.8204083, 2.8204083, 0.3204083]),
    ("adadelta", {"wd": 0.01}, [0.9324563, -1.9027508, 2.8730714, 0.4473014]),
    ("ftrl", {"wd": 0.1}, [0.1982909, -0.8200274, 0.5041839, 0.1218404]),
    ("ftml", {"learning_rate": 0.01}, [0.9750121, -1.9750124, 2.9750123, 0.4750122]),
    ("adamax", {"wd": 0.1}, [0.9950117, -1.9950118, 2.9947383, 0.4950826]),
    ("nadam", {"wd": 0.1}, [0.9970481, -1.997048, 2.9971514, 0.4970227]),
    ("dcasgd", {"learning_rate": 0.1}, [0.7010982, -1.4087423, 2.8501375, -0.6314432]),
    ("test", {}, [4.0, -8.0, 4.5, 12.5]),
])
def test_three_steps(name, options, expected):
    optimizer = mx.optimizer.create(name, param_idx2name={0: "w_weight"}, **options)
    # MXNet takes 1 - beta2 in float32, which is 1.3e-5 off.
    np.testing.assert_allclose(updated(optimizer).ravel(), expected, rtol=2e-5)


def test_float16_with_a_float32_copy():
    optimizer = mx.optimizer.create("sgd", multi_precision=True, momentum=0.9, param_idx2name={0: "w_weight"})
    weight = updated(optimizer, dtype="float16")
    assert weight.dtype == np.float16
    np.testing.assert_array_equal(weight.ravel(), np.array([0.9526367, -1.9052734, 2.9765625, 0.3098145], "float16"))
    optimizer = mx.optimizer.create("adam", multi_precision=True, param_idx2name={0: "w_weight"})
    np.testing.assert_allclose(updated(optimizer, dtype="float16").ravel(), [0.997, -1.997, 2.997, 0.497], atol=2e-3)


def test_float16_without_it_warns():
    with pytest.warns(UserWarning, match="multi_precision"):
        mx.optimizer.create("sgd").create_state_multi_precision(0, mx.nd.zeros((2,), dtype="float16"))


def test_langevin_noise_has_variance_lr():
    mx.random.seed(1)
    weight = mx.nd.zeros((10000,))
    mx.optimizer.create("sgld", learning_rate=0.04).update(0, weight, mx.nd.zeros((10000,)), None)
    assert abs(weight.asnumpy().std() - 0.2) < 0.01


def test_rates_and_decays_of_a_parameter():
    names = {0: "fc_weight", 1: "fc_bias", 2: "bn_gamma", 3: "bn_beta"}
    optimizer = mx.optimizer.create("sgd", learning_rate=0.5, wd=0.1, param_idx2name=names)
    assert optimizer._get_wds([0, 1, 2, 3, 9]) == [0.1, 0.0, 0.1, 0.0, 0.1]
    optimizer.set_lr_mult({"fc_bias": 2.0, 0: 3.0})
    assert optimizer._get_lrs([0, 1, 2]) == [1.5, 1.0, 0.5]
    optimizer.set_wd_mult({"fc_bias": 1.0})
    assert optimizer._get_wds([0, 1, 3]) == [0.1, 0.1, 0.0]


def test_multipliers_of_the_symbol():
    data = mx.sym.Variable("data")
    weight = mx.sym.Variable("fc_weight", lr_mult=0.5, wd_mult=3.0)
    net = mx.sym.FullyConnected(data, weight=weight, num_hidden=2, name="fc")
    optimizer = mx.optimizer.create("sgd", sym=net, learning_rate=1.0, wd=0.1,
                                    param_idx2name={0: "fc_weight", 1: "fc_bias"})
    assert optimizer._get_lrs([0, 1]) == [0.5, 1.0]
    assert optimizer._get_wds([0, 1]) == pytest.approx([0.3, 0.0])


def test_learning_rate():
    assert mx.optimizer.create("sgd").learning_rate == 0.01
    optimizer = mx.optimizer.create("sgd", learning_rate=0.3)
    optimizer.set_learning_rate(0.2)
    assert optimizer.learning_rate == 0.2
    optimizer = mx.optimizer.create("sgd", lr_scheduler=mx.lr_scheduler.FactorScheduler(2, 0.5, base_lr=1.0))
    with pytest.raises(UserWarning):
        optimizer.set_learning_rate(0.1)
    updated(optimizer, steps=3)
    assert (optimizer.num_update, optimizer.learning_rate) == (3, 0.5)


def test_a_given_rate_overrides_the_schedules(capsys):
    schedule = mx.lr_scheduler.FactorScheduler(2, 0.5, base_lr=1.0)
    mx.optimizer.create("sgd", learning_rate=0.3, lr_scheduler=schedule)
    assert schedule.base_lr == 0.3
    assert "overwritten by ``learning_rate``" in capsys.readouterr().out


def test_each_device_counts_for_itself():
    optimizer = mx.optimizer.create("adam")
    updater = mx.optimizer.get_updater(optimizer)
    for device in (0, 1):
        updater(device, mx.nd.ones((2,), ctx=mx.cpu(device)), mx.nd.ones((2,), ctx=mx.cpu(device)))
    assert optimizer.num_update == 1


def test_updater_takes_lists_and_keeps_states():
    updater = mx.optimizer.get_updater(mx.optimizer.create("adam", learning_rate=0.1))
    weights = [mx.nd.array(WEIGHT), mx.nd.array(WEIGHT)]
    updater([0, 1], [mx.nd.array(GRAD), mx.nd.array(GRAD)], weights)
    assert sorted(updater.states) == [0, 1]
    np.testing.assert_array_equal(weights[0].asnumpy(), weights[1].asnumpy())


@pytest.mark.parametrize("name, options", [("sgd", {"momentum": 0.9}), ("adam", {}), ("sgd", {})])
@pytest.mark.parametrize("with_optimizer", [False, True])
def test_states_are_restored(name, options, with_optimizer):
    def updater():
        return mx.optimizer.get_updater(mx.optimizer.create(name, begin_num_update=0, **options))

    first, second = updater(), updater()
    updated(None, updater=first)
    second.set_states(first.get_states(dump_optimizer=with_optimizer))
    if not with_optimizer:      # the counts are the optimizer's
        second.optimizer._update_count([0, 0, 0])
    np.testing.assert_array_equal(updated(None, updater=first), updated(None, updater=second))


def test_states_that_mxnet_wrote():
    updater = mx.optimizer.get_updater(mx.optimizer.create("adam"))
    updater.set_states(MXNET_STATES)
    mean, variance = updater.states[0]
    np.testing.assert_allclose(mean.asnumpy(), [0.05, -0.1], rtol=1e-6)
    np.testing.assert_allclose(variance.asnumpy(), [0.00025, 0.001], rtol=2e-5)


def test_optimizer_is_picklable():
    optimizer = mx.optimizer.create("adam", learning_rate=0.3, param_idx2name={0: "a_weight"})
    twin = pickle.loads(pickle.dumps(optimizer))
    assert (type(twin), twin.lr, twin.idx2name) == (mx.optimizer.Adam, 0.3, {0: "a_weight"})


def test_own_optimizers_work_as_in_mxnet():
    @mx.optimizer.register
    class Halving(mx.optimizer.Optimizer):
        def create_state(self, index, weight):
            return None

        def update(self, index, weight, grad, state):
            self._update_count(index)
            weight[:] = weight * 0.5

    try:
        optimizer = mx.optimizer.create("HALVING")
        np.testing.assert_array_equal(updated(optimizer), WEIGHT / 8)
    finally:
        del mx.optimizer.Optimizer.opt_registry["halving"]


def test_unknown_optimizer():
    with pytest.raises(ValueError, match="Cannot find optimizer no_such"):
        mx.optimizer.create("no_such")


@pytest.mark.parametrize("name, options, expected", [
    ("FactorScheduler", {"step": 3, "factor": .5, "base_lr": 1.}, [1, 1, 1, 1, .5, .5, .5, .25, .25, .25]),
    ("FactorScheduler", {"step": 2, "factor": .1, "base_lr": 1., "stop_factor_lr": .05, "warmup_steps": 2,
                         "warmup_begin_lr": .5}, [.5, .75, 1, .1, .1, .05, .05, .05, .05, .05]),
    ("MultiFactorScheduler", {"step": [2, 5], "factor": .1, "base_lr": 1.},
     [1, 1, 1, .1, .1, .1, .01, .01, .01, .01]),
    ("PolyScheduler", {"max_update": 8, "base_lr": 1., "pwr": 2, "final_lr": .1, "warmup_steps": 2},
     [0, .5, 1, .725, .5, .325, .2, .125, .1, .1]),
    ("CosineScheduler", {"max_update": 8, "base_lr": 1., "final_lr": .1, "warmup_steps": 2, "warmup_begin_lr": .2,
                         "warmup_mode": "constant"},
     [.2, .2, 1, .939711, .775, .55, .325, .160289, .1, .1]),
])
def test_schedule(name, options, expected):
    schedule = getattr(mx.lr_scheduler, name)(**options)
    assert [schedule(update) for update in range(10)] == pytest.approx(expected, abs=1e-6)


def test_schedules_log_their_changes(caplog):
    caplog.set_level(logging.INFO)
    schedule = mx.lr_scheduler.FactorScheduler(1, 0.1, stop_factor_lr=0.05, base_lr=1.0)
    schedule(3)
    assert caplog.messages == ["Update[3]: Change learning rate to 1.00000e-01",
                               "Update[3]: now learning rate arrived at 5.00000e-02, will not change in the future"]


@pytest.mark.parametrize("make", [
    lambda: mx.lr_scheduler.FactorScheduler(0), lambda: mx.lr_scheduler.FactorScheduler(1, factor=2),
    lambda: mx.lr_scheduler.MultiFactorScheduler([3, 3]), lambda: mx.lr_scheduler.MultiFactorScheduler([0, 3]),
    lambda: mx.lr_scheduler.PolyScheduler(0), lambda: mx.lr_scheduler.LRScheduler(warmup_steps=-1),
    lambda: mx.lr_scheduler.LRScheduler(base_lr=1, warmup_begin_lr=2),
    lambda: mx.lr_scheduler.LRScheduler(warmup_mode="square")])
def test_wrong_schedules(make):
    with pytest.raises(ValueError):
        make()
