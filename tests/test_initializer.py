"""Initial values of parameters: which rule applies, what it fills in, how it is written down."""
import json

import numpy as np
import pytest

import mxlite as mx


def filled(init, name, shape, attrs=None, start=7.0):
    array = mx.nd.array(np.full(shape, start))
    init(mx.init.InitDesc(name, attrs), array)
    return array.asnumpy()


@pytest.mark.parametrize("name, value", [("fc_weight", 2), ("fc_bias", 0), ("bn_gamma", 1), ("bn_beta", 0),
                                         ("q_min", 0), ("q_max", 1)])
def test_the_names_end_decides(name, value):
    assert (filled(mx.init.Constant(2), name, (3, 2)) == value).all()


def test_the_symbols_attribute_comes_first():
    attrs = {"__init__": mx.init.One().dumps()}
    assert (filled(mx.init.Zero(), "a_bias", (3,), attrs) == 1).all()
    assert (filled(mx.init.Zero(), "anything", (3,), {"__init__": '["constant", {"value": 2.5}]'}) == 2.5).all()


def test_unknown_names_raise():
    with pytest.raises(ValueError, match="Unknown initialization pattern for moving_mean"):
        filled(mx.init.Zero(), "moving_mean", (3,))


@pytest.mark.parametrize("name, value", [("bn_moving_mean", 0), ("bn_moving_var", 1), ("a_moving_avg", 0),
                                         ("stn_loc_weight", 0), ("x_weight", 2)])
def test_bare_names_follow_the_old_rules(name, value):
    array = mx.nd.ones((6,)) * 7
    with pytest.warns(DeprecationWarning):
        mx.init.Constant(2)(name, array)
    assert (array.asnumpy() == value).all()


def test_spatial_transformers_start_as_the_identity():
    array = mx.nd.zeros((6,))
    with pytest.warns(DeprecationWarning):
        mx.init.Zero()("stn_loc_bias", array)
    assert array.asnumpy().tolist() == [1, 0, 0, 0, 1, 0]


@pytest.mark.parametrize("init, low, high", [
    (mx.init.Uniform(0.5), -0.5, 0.5), (mx.init.Uniform(), -0.07, 0.07),
    (mx.init.Xavier(), -(3 / 42) ** 0.5, (3 / 42) ** 0.5),
    (mx.init.Xavier(factor_type="in", magnitude=2), -(2 / 36) ** 0.5, (2 / 36) ** 0.5),
    (mx.init.Xavier(factor_type="out", magnitude=2), -(2 / 48) ** 0.5, (2 / 48) ** 0.5)])
def test_uniform_bounds(init, low, high):
    mx.random.seed(0)
    values = np.stack([filled(init, "w_weight", (16, 12, 3, 1)) for _ in range(5)])
    assert low <= values.min() < 0.97 * low and 0.97 * high < values.max() <= high


@pytest.mark.parametrize("init, deviation", [
    (mx.init.Normal(0.5), 0.5), (mx.init.Xavier("gaussian", "in", 2), (2 / 36) ** 0.5),
    (mx.init.MSRAPrelu("in", slope=0.5), (2 / 1.25 / 36) ** 0.5)])
def test_normal_deviations(init, deviation):
    mx.random.seed(0)
    values = np.stack([filled(init, "w_weight", (32, 12, 3, 1)) for _ in range(10)])
    assert values.std() == pytest.approx(deviation, rel=0.03)
    assert abs(values.mean()) < 0.05 * deviation


@pytest.mark.parametrize("init", [mx.init.Uniform(), mx.init.Normal(), mx.init.Orthogonal()])
def test_the_seed_repeats_the_values(init):
    values = []
    for seed in (3, 3, 4):
        mx.random.seed(seed)
        values.append(filled(init, "w_weight", (4, 5)))
    assert (values[0] == values[1]).all() and (values[0] != values[2]).any()


@pytest.mark.parametrize("shape", [(4, 10), (10, 4), (4, 2, 3)])
@pytest.mark.parametrize("kind", ["uniform", "normal"])
def test_orthogonal(shape, kind):
    matrix = filled(mx.init.Orthogonal(scale=2, rand_type=kind), "w_weight", shape).reshape(shape[0], -1)
    if matrix.shape[0] > matrix.shape[1]:
        matrix = matrix.T
    np.testing.assert_allclose(matrix @ matrix.T, 4 * np.eye(len(matrix)), atol=1e-5)


def test_bilinear():
    weight = filled(mx.init.Bilinear(), "up_weight", (2, 1, 4, 4))
    row = np.array([0.25, 0.75, 0.75, 0.25])
    np.testing.assert_allclose(weight[1, 0], np.outer(row, row))


def test_lstm_bias():
    assert filled(mx.init.LSTMBias(2.0), "x_weight", (8,)).tolist() == [0, 0, 2, 2, 0, 0, 0, 0]


def test_fused_rnn():
    hidden, inputs = 3, 5
    init = mx.init.FusedRNN(mx.init.Constant(2), hidden, 2, "lstm", bidirectional=True, forget_bias=5.0)
    weights = 2 * 4 * hidden * (inputs + hidden) + 2 * 4 * hidden * (2 * hidden + hidden)
    values = filled(init, "parameters", (weights + 2 * 2 * 2 * 4 * hidden,), {"__init__": init.dumps()})
    assert (values[:weights] == 2).all()
    biases = values[weights:].reshape(-1, 4, hidden)
    assert (biases[:, 1] == 5).all() and (biases[:, [0, 2, 3]] == 0).all()
    with pytest.raises(ValueError, match="no size of an RNN"):
        filled(init, "w_weight", (10,))


def test_text_and_back():
    assert json.loads(mx.init.Xavier(magnitude=2).dumps()) == [
        "xavier", {"rnd_type": "uniform", "factor_type": "avg", "magnitude": 2}]
    assert mx.init.Constant(np.array([1.0, 2.0])).dumps() == '["constant", {"value": [1.0, 2.0]}]'
    for init in (mx.init.Uniform(0.2), mx.init.MSRAPrelu(slope=0.1), mx.init.LSTMBias(2.0), mx.init.Zero()):
        assert mx.init.create(init.dumps()) == init
    assert mx.init.create("ones") == mx.init.One()
    assert mx.init.create("uniform", scale=0.2) == mx.init.Uniform(0.2) != mx.init.Uniform(0.1)
    with pytest.raises(AssertionError):
        mx.init.create("no_such")


def test_load_and_mixed(tmp_path):
    path = str(tmp_path / "some.params")
    mx.nd.save(path, {"arg:a_weight": mx.nd.ones((2, 2)) * 3})
    load = mx.init.Load(path, default_init=mx.init.Zero())
    assert (filled(load, "a_weight", (2, 2)) == 3).all()
    assert (filled(load, "b_weight", (2, 2)) == 0).all()
    with pytest.raises(AssertionError, match="Shape mismatch"):
        filled(load, "a_weight", (3, 2))
    with pytest.raises(AssertionError, match="no default"):
        filled(mx.init.Load({}), "b_weight", (2,))
    mixed = mx.init.Mixed(["b", ".*"], [mx.init.One(), mx.init.Zero()])
    assert (filled(mixed, "b_weight", (2, 2)) == 1).all()
    assert (filled(mixed, "a_weight", (2, 2)) == 0).all()
    with pytest.raises(ValueError, match="did not match"):
        filled(mx.init.Mixed(["b"], [mx.init.One()]), "a", (2,))


@pytest.mark.parametrize("init, shape", [(mx.init.Xavier(), (3,)), (mx.init.Xavier(factor_type="x"), (3, 3)),
                                         (mx.init.Xavier("x"), (3, 3)), (mx.init.Orthogonal(rand_type="x"), (3, 3))])
def test_errors(init, shape):
    with pytest.raises(ValueError):
        filled(init, "w_weight", shape)


def test_a_subclass_needs_only_its_rule():
    @mx.init.register
    class Sevens(mx.init.Initializer):
        def _init_weight(self, name, arr):
            arr[:] = 7

    assert (filled(mx.init.Zero(), "x", (2,), {"__init__": '["sevens", {}]'}, start=0.0) == 7).all()
