"""mx.test_utils: comparisons that must fail as well as hold, and the helpers around them. Figures are MXNet 1.9.1's."""
import os

import numpy as np
import pytest

import mxlite as mx
from mxlite import test_utils

A = np.arange(10.0)
B = A + (A == 3)                # one element in ten is off


@pytest.mark.parametrize("share, holds", [(None, False), (0.05, False), (0.11, True)])
def test_a_share_may_be_off(share, holds):
    if holds:
        test_utils.assert_almost_equal_with_err(A, B, etol=share)
        return
    with pytest.raises(AssertionError):
        test_utils.assert_almost_equal_with_err(A, B, etol=share)


def test_nan_is_left_out():
    holes = np.where(A == 5, np.nan, A)
    test_utils.assert_almost_equal_ignore_nan(A, holes)
    test_utils.assert_almost_equal_ignore_nan(mx.nd.array(holes), mx.nd.array(A))
    with pytest.raises(AssertionError):
        test_utils.assert_almost_equal_ignore_nan(B, holes)


def test_tolerances_by_dtype():
    wide = {np.dtype("float64"): 1.0, np.dtype("float32"): 0}
    test_utils.assert_almost_equal(A, B, rtol=wide, atol=0)
    with pytest.raises(AssertionError):
        test_utils.assert_almost_equal(A.astype("float32"), B.astype("float32"), rtol=wide, atol=0)
    assert test_utils.default_rtols()[np.dtype("float16")] == 1e-2 and test_utils.default_atols()[np.dtype(int)] == 0
    assert test_utils.default_numeric_eps()[np.dtype("float32")] == 2.0 ** -9


def test_same_array_is_the_same_memory():
    x = mx.nd.ones((2, 3))
    assert test_utils.same_array(x, x[0:2])
    assert not test_utils.same_array(x, x.copy())
    assert not test_utils.same_array(x, x.reshape((3, 2)))
    assert not test_utils.same_array(x[0], x[1])


def test_environment_is_put_back(monkeypatch):
    monkeypatch.setenv("MXLITE_TEST_A", "1")
    monkeypatch.delenv("MXLITE_TEST_B", raising=False)
    with pytest.raises(KeyError), test_utils.environment({"MXLITE_TEST_A": None, "MXLITE_TEST_B": "2"}):
        assert "MXLITE_TEST_A" not in os.environ and os.environ["MXLITE_TEST_B"] == "2"
        raise KeyError
    assert os.environ["MXLITE_TEST_A"] == "1" and "MXLITE_TEST_B" not in os.environ
    with test_utils.environment("MXLITE_TEST_A", "3"):
        assert os.environ["MXLITE_TEST_A"] == "3"
    with pytest.raises(AssertionError), test_utils.environment("MXLITE_TEST_A"):
        pass


def activation(kind="relu", name="a"):
    return mx.sym.Activation(mx.sym.Variable("data"), act_type=kind, name=name)


CONTEXTS = [{"ctx": mx.cpu(), "data": (2, 3), "type_dict": {"data": dtype}}
            for dtype in ("float16", "float64", "float32")]
ONES = {"data": np.ones((2, 3))}


@pytest.mark.parametrize("grad_req, names", [("write", ["a_output", "data"]), ("add", ["a_output", "data"]),
                                             ("null", ["a_output"])])
def test_contexts_agree(grad_req, names):
    truth = test_utils.check_consistency(activation(), CONTEXTS, grad_req=grad_req)
    assert sorted(truth) == names
    assert truth["a_output"].dtype == np.float64                # the most precise is what others are held to


@pytest.mark.parametrize("symbols, options", [
    ([activation(), activation(), activation("tanh")], {}),                             # other values
    ([activation(), activation(), activation("tanh")], {"grad_req": "null"}),
    ([activation(), activation(), activation(name="b")], {}),                           # other names
    (activation(), {"arg_params": ONES, "ground_truth": {"a_output": np.zeros((2, 3))}}),
    (activation(), {"arg_params": ONES, "ground_truth": {"a_output": np.ones((2, 3)), "data": np.zeros((2, 3))}})])
def test_contexts_that_do_not_agree(symbols, options):
    with pytest.raises(AssertionError):
        test_utils.check_consistency(symbols, CONTEXTS, **options)


def test_gradients_are_compared():
    """The same values with another gradient."""
    blocked = mx.sym.BlockGrad(activation(), name="a")
    networks = [mx.sym.identity(activation(name="inner"), name="a"), blocked, blocked]
    test_utils.check_consistency(networks, CONTEXTS, grad_req="null")
    with pytest.raises(AssertionError, match="data"):
        test_utils.check_consistency(networks, CONTEXTS, arg_params=ONES)


def test_differences_may_be_printed(capsys):
    test_utils.check_consistency([activation(), activation("tanh")], CONTEXTS[1:], raise_on_err=False)
    assert "Items are not equal" in capsys.readouterr().out


@pytest.mark.parametrize("typ", ["whole", "forward"])
def test_speed_runs_as_often_as_asked(typ, monkeypatch):
    calls = []
    forward = mx.Executor.forward
    monkeypatch.setattr(mx.Executor, "forward", lambda self, **kwargs: calls.append(kwargs) or forward(self, **kwargs))
    assert test_utils.check_speed(activation(), N=3, typ=typ, data=(2, 3)) > 0
    assert test_utils.check_speed(activation(), {"data": np.ones((2, 3))}, N=1, typ=typ) > 0
    assert calls == [{"is_train": typ == "whole"}] * 6          # each run warms up once
    with pytest.raises(ValueError, match="'both'"):
        test_utils.check_speed(activation(), typ="both", data=(2, 3))


def test_random_helpers():
    arrays = test_utils.random_uniform_arrays((200,), (3, 1), low=1, high=2)
    assert [a.shape for a in arrays] == [(200,), (3, 1)] and arrays[0].dtype == np.float32
    assert 1 <= arrays[0].min() < 1.2 and 1.8 < arrays[0].max() < 2
    assert sorted(test_utils.random_sample([1, 2, 3], 3)) == [1, 2, 3]
    with pytest.raises(AssertionError):
        test_utils.random_sample([1], 2)


def test_retry():
    runs = []

    @test_utils.retry(3)
    def lucky(number):
        runs.append(number)
        assert len(runs) >= number

    lucky(3)
    assert runs == [3, 3, 3]
    with pytest.raises(AssertionError):
        lucky(9)
    assert len(runs) == 6


def test_structure_of_symbols():
    same = test_utils.same_symbol_structure
    assert same(activation(), mx.sym.Activation(mx.sym.Variable("other"), act_type="relu"))
    assert not same(activation(), mx.sym.exp(mx.sym.Variable("data")))
    x, y = mx.sym.Variable("x"), mx.sym.Variable("y")
    assert not same(x - y, x - x)
