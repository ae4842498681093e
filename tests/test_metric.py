"""Metrics against MXNet 1.9.1's numbers."""
import math

import numpy as np
import pytest

import mxlite as mx

SCORES = np.array([[.3, .7], [0, 1.], [.4, .6], [.8, .2]], "float32")
LABELS = np.array([0, 1, 1, 0], "float32")
SCORES3 = np.array([[.1, .2, .7], [.5, .3, .2], [.2, .5, .3], [.6, .3, .1]], "float32")
LABELS3 = np.array([2, 1, 1, 2], "float32")
VALUES, TRUE = np.array([1., 2., 4., 3.], "float32"), np.array([1.5, 2., 3., 5.], "float32")


def measured(metric, *batches):
    for label, pred in batches:
        metric.update([mx.nd.array(label)], [mx.nd.array(pred)])
    return metric


@pytest.mark.parametrize("name, options, batches, expected", [
    ("acc", {}, [(LABELS, SCORES)], 0.75),
    ("acc", {}, [(LABELS, SCORES), (LABELS3, SCORES3)], 5 / 8),
    ("acc", {"axis": 0}, [(np.array([1, 0, 1]), SCORES3[:2])], 1 / 3),
    ("accuracy", {}, [(LABELS, np.array([0, 0, 1, 0]))], 0.75),
    ("top_k_accuracy", {"top_k": 2}, [(LABELS3, SCORES3)], 0.75),
    ("f1", {}, [(LABELS, SCORES)], 0.8),
    ("f1", {}, [(LABELS, SCORES), (1 - LABELS, SCORES)], 0.6),
    ("f1", {"average": "micro"}, [(LABELS, SCORES), (1 - LABELS, SCORES)], 0.6),
    ("f1", {"average": "micro"}, [(LABELS, SCORES), (LABELS[:1], SCORES[:1])], 2 / 3),
    ("mcc", {}, [(LABELS, SCORES)], 0.5773502691896258),
    ("mcc", {"average": "micro"}, [(LABELS, SCORES), (LABELS[:1], SCORES[:1])], 1 / 6 ** 0.5),
    ("pcc", {}, [(LABELS, SCORES)], 0.5773502691896258),
    ("pcc", {}, [(LABELS3, SCORES3)], 0.4472136),
    ("ce", {}, [(LABELS, SCORES)], 0.4844814),
    ("nll_loss", {}, [(LABELS3, SCORES3)], 1.1391285),
    ("perplexity", {"ignore_label": None}, [(LABELS3, SCORES3)], 3.124045),
    ("perplexity", {"ignore_label": 2}, [(LABELS3, SCORES3)], 2.581989),
    ("mae", {}, [(TRUE, VALUES)], 0.875), ("mse", {}, [(TRUE, VALUES)], 1.3125),
    ("rmse", {}, [(TRUE, VALUES)], 1.1456439), ("rmse", {}, [(TRUE, VALUES), (TRUE[:2], VALUES[:2])], 0.7495987),
    ("pearsonr", {}, [(TRUE, VALUES)], 0.6255432),
    ("pearsonr", {"average": "micro"}, [(TRUE[:3], VALUES[:3]), (TRUE[3:], VALUES[3:])], 0.6255432),
    ("loss", {}, [(TRUE, VALUES)], 2.5), ("torch", {}, [(TRUE, VALUES)], 2.5), ("caffe", {}, [(TRUE, VALUES)], 2.5),
])
def test_value(name, options, batches, expected):
    metric = measured(mx.metric.create(name, **options), *batches)
    assert metric.get()[1] == pytest.approx(expected, rel=1e-4)
    if not (name == "pearsonr" and options):      # where MXNet's global value is always zero
        assert metric.get_global()[1] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name, metric", [
    ("accuracy", "acc"), ("f1", "f1"), ("mcc", "mcc"), ("pcc", "pcc"), ("cross-entropy", "ce"), ("mae", "MAE"),
    ("nll-loss", "nll_loss"), ("pearsonr", "pearsonr"), ("loss", "loss")])
def test_names_and_the_value_of_nothing(name, metric):
    metric = mx.metric.create(metric)
    assert metric.get()[0] == name
    assert math.isnan(metric.get()[1])
    assert math.isnan(metric.get_global()[1])
    assert mx.metric.create("top_k_accuracy", top_k=5).name == "top_k_accuracy_5"


def test_local_and_global_values():
    metric = measured(mx.metric.create("acc"), (LABELS, SCORES))
    metric.reset_local()
    assert math.isnan(metric.get()[1])
    measured(metric, (1 - LABELS, SCORES))
    assert metric.get_name_value() == [("accuracy", 0.25)]
    assert metric.get_global_name_value() == [("accuracy", 0.5)]
    metric.reset()
    assert math.isnan(metric.get_global()[1])


@pytest.mark.parametrize("name", ["f1", "mcc", "pcc"])
def test_local_values_of_tables(name):
    options = {} if name == "pcc" else {"average": "micro"}
    metric = measured(mx.metric.create(name, **options), (LABELS, SCORES))
    whole = metric.get()[1]
    metric.reset_local()
    measured(metric, (LABELS, SCORES))
    assert metric.get()[1] == pytest.approx(whole)
    assert metric.get_global()[1] == pytest.approx(whole)


def test_composite():
    metric = measured(mx.metric.create(["acc", "ce"]), (LABELS, SCORES))
    assert isinstance(metric, mx.metric.CompositeEvalMetric)
    names, values = metric.get()
    assert names == ["accuracy", "cross-entropy"]
    assert values == pytest.approx([0.75, 0.4844814], rel=1e-4)
    assert [name for name, _ in metric.get_global_name_value()] == names
    assert metric.get_metric(0).name == "accuracy"
    metric.reset_local()
    assert all(math.isnan(value) for value in metric.get()[1])


def test_custom():
    def error(label, pred):
        return float(np.abs(label - pred).sum()), label.size

    metric = measured(mx.metric.create(error), (TRUE, VALUES))
    assert metric.get() == ("error", 0.875)
    assert mx.metric.CustomMetric(lambda label, pred: 1.0).name == "custom(<lambda>)"
    metric = measured(mx.metric.np(lambda label, pred: 2.0, name="two"), (TRUE, VALUES))
    assert metric.get() == ("two", 2.0)
    with pytest.raises(NotImplementedError):
        metric.get_config()


def test_extra_outputs():
    def first(label, pred):
        return float(pred[0])

    with pytest.raises(ValueError, match="does not match"):
        mx.metric.np(first).update([mx.nd.array([1])], [mx.nd.array([2]), mx.nd.array([3])])
    metric = mx.metric.np(first, allow_extra_outputs=True)
    metric.update([mx.nd.array([1])], [mx.nd.array([2]), mx.nd.array([3])])
    assert metric.get()[1] == 2.0


def test_update_by_names():
    metric = mx.metric.Accuracy(output_names=["b_output"], label_names=["y"])
    metric.update_dict({"y": mx.nd.array(LABELS), "other": mx.nd.array(TRUE)},
                       {"a_output": mx.nd.array(SCORES[:, ::-1]), "b_output": mx.nd.array(SCORES)})
    assert metric.get() == ("accuracy", 0.75)


def test_numpy_arrays_will_do():
    metric = mx.metric.create("mse")
    metric.update([TRUE], [VALUES])
    assert metric.get() == ("mse", 1.3125)
    assert type(metric.get()[1]) is float


def test_config_makes_the_same_metric():
    metric = mx.metric.create("top_k_accuracy", top_k=3)
    twin = mx.metric.create(metric.get_config())
    assert (type(twin), twin.top_k, twin.name) == (mx.metric.TopKAccuracy, 3, "top_k_accuracy_3")
    assert mx.metric.create('["perplexity", {"ignore_label": 1}]').ignore_label == 1


@pytest.mark.parametrize("metric, extra", [
    (lambda: mx.metric.F1(), {}), (lambda: mx.metric.MCC(), {}), (lambda: mx.metric.PearsonCorrelation(), {}),
    (lambda: mx.metric.Perplexity(ignore_label=0), {"ignore_label": 0}), (lambda: mx.metric.PCC(), {}),
    (lambda: mx.metric.Accuracy(axis=2), {"axis": 2}), (lambda: mx.metric.TopKAccuracy(top_k=2), {"top_k": 2}),
    # MXNet forgets these, and makes another metric from the config.
    (lambda: mx.metric.F1(average="micro"), {"average": "micro"}),
    (lambda: mx.metric.PearsonCorrelation(average="micro"), {"average": "micro"}),
    (lambda: mx.metric.Perplexity(None, axis=1), {"ignore_label": None, "axis": 1})])
def test_config_says_what_mxnets_says(metric, extra):
    metric = metric()
    config = metric.get_config()
    assert config == {"metric": type(metric).__name__, "name": metric.name, "output_names": None, "label_names": None,
                      **extra}
    assert mx.metric.create(config).get_config() == config


def test_subclass_that_keeps_no_global_value():
    class Ones(mx.metric.EvalMetric):
        def update(self, labels, preds):
            self.sum_metric += 1
            self.num_inst += 1

    metric = measured(Ones("ones"), (TRUE, VALUES))
    assert metric.get() == metric.get_global() == ("ones", 1.0)
    assert str(metric) == "EvalMetric: {'ones': 1.0}"


@pytest.mark.parametrize("make, error", [
    (lambda: mx.metric.create("no_such"), AssertionError),
    (lambda: mx.metric.create("top_k_accuracy", top_k=1), AssertionError),
    (lambda: measured(mx.metric.F1(), (LABELS3, SCORES3), (np.array([0, 1, 2, 1]), SCORES3)), ValueError),
    (lambda: measured(mx.metric.create("acc"), (LABELS[:3], SCORES)), ValueError),
    (lambda: measured(mx.metric.create("ce"), (LABELS[:3], SCORES)), AssertionError)])
def test_errors(make, error):
    with pytest.raises(error):
        make()
