"""Metrics of predicted classes: `preds` are scores (N, classes, ...) or classes, `labels` class numbers."""
import math

import numpy

from .base import EvalMetric, alias, check_label_shapes, host, look, register


@register
@alias("acc")
class Accuracy(EvalMetric):
    """The share of right classes. A prediction of the label's shape holds classes, another scores along `axis`."""

    def __init__(self, axis=1, name="accuracy", output_names=None, label_names=None):
        super().__init__(name, axis=axis, output_names=output_names, label_names=label_names, has_global_stats=True)
        self.axis = axis

    def update(self, labels, preds):
        labels, preds = check_label_shapes(labels, preds, True)
        for label, pred in zip(labels, preds):
            label, pred = look(label), look(pred)
            if pred.shape != label.shape:
                pred = pred.argmax(axis=self.axis)
            if label.dtype != numpy.int32:
                label = label.astype(numpy.int32)
            if pred.dtype.kind not in "iu":     # classes that argmax found are integers already
                pred = pred.astype(numpy.int32)
            label, pred = label.ravel(), pred.ravel()
            check_label_shapes(label, pred)
            self._add(numpy.count_nonzero(label == pred), len(pred))


@register
@alias("top_k_accuracy", "top_k_acc")
class TopKAccuracy(EvalMetric):
    """How often the label is among the `top_k` (> 1) highest of the scores (N, classes)."""

    def __init__(self, top_k=1, name="top_k_accuracy", output_names=None, label_names=None):
        if top_k <= 1:
            raise AssertionError("Please use Accuracy if top_k is no more than 1")
        super().__init__(name, top_k=top_k, output_names=output_names, label_names=label_names, has_global_stats=True)
        self.top_k = top_k
        # The name in `get_config` has it already.
        self.name = self.name.removesuffix(f"_{top_k}") + f"_{top_k}"

    def update(self, labels, preds):
        labels, preds = check_label_shapes(labels, preds, True)
        for label, pred in zip(labels, preds):
            scores, label = host(pred).astype("float32"), host(label).astype("int32")
            if scores.ndim != 2:
                raise AssertionError(f"Predictions should be 2 dims (batch, classes), not {scores.shape}")
            check_label_shapes(label, scores)
            top_k = min(scores.shape[1], self.top_k)
            best = numpy.argpartition(scores, -top_k)[:, -top_k:]
            self._add((best == label.reshape(-1, 1)).sum(), len(scores))


class _Counts:
    """True and false positives and negatives of a two-class problem, class 1 being the positive one."""

    def __init__(self):
        self.tp = self.fp = self.fn = self.tn = 0

    def add(self, label, pred):
        said, is_ = numpy.argmax(pred, axis=1) == 1, label == 1
        is_ = is_.ravel()
        self.tp += int((said & is_).sum())
        self.fp += int((said & ~is_).sum())
        self.fn += int((~said & is_).sum())
        self.tn += int((~said & ~is_).sum())

    @property
    def total(self):
        return self.tp + self.fp + self.fn + self.tn

    def f1(self):
        precision = self.tp / (self.tp + self.fp) if self.tp + self.fp else 0.0
        recall = self.tp / (self.tp + self.fn) if self.tp + self.fn else 0.0
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

    def mcc(self):
        if not self.total:
            return 0.0
        # An empty row or column of the table is left out of the product: the numerator is zero then anyway.
        sums = (self.tp + self.fp, self.tp + self.fn, self.tn + self.fp, self.tn + self.fn)
        return (self.tp * self.tn - self.fp * self.fn) / math.sqrt(math.prod(float(s) for s in sums if s))


class _TwoClass(EvalMetric):
    """A score of the table of hits and misses: the mean of batches' scores ("macro"), or the score of all ("micro")."""

    _score = None       # _Counts -> number

    def __init__(self, name, output_names, label_names, average):
        self.average = average
        super().__init__(name, output_names=output_names, label_names=label_names, has_global_stats=True)

    def get_config(self):
        return {**super().get_config(), **({} if self.average == "macro" else {"average": self.average})}

    def update(self, labels, preds):
        labels, preds = check_label_shapes(labels, preds, True)
        batch = _Counts()
        for label, pred in zip(labels, preds):
            label, pred = host(label).astype("int32"), host(pred)
            check_label_shapes(label, pred)
            if len(numpy.unique(label)) > 2:
                raise ValueError(f"{type(self).__name__} currently only supports binary classification.")
            for counts in (batch, self._local, self._global):
                counts.add(label, pred)
        score = type(self)._score
        if self.average == "macro":
            self._add(score(batch), 1)
            return
        self.num_inst, self.global_num_inst = self._local.total, self._global.total
        self.sum_metric = score(self._local) * self.num_inst
        self.global_sum_metric = score(self._global) * self.global_num_inst

    def reset(self):
        super().reset()
        self._local, self._global = _Counts(), _Counts()

    def reset_local(self):
        super().reset_local()
        self._local = _Counts()


@register
class F1(_TwoClass):
    """The harmonic mean of precision and recall of class 1, from scores (N, 2). ValueError for more than two labels."""

    _score = _Counts.f1

    def __init__(self, name="f1", output_names=None, label_names=None, average="macro"):
        super().__init__(name, output_names, label_names, average)


@register
class MCC(_TwoClass):
    """Matthews' correlation coefficient from scores (N, 2). ValueError for more than two labels."""

    _score = _Counts.mcc

    def __init__(self, name="mcc", output_names=None, label_names=None, average="macro"):
        super().__init__(name, output_names, label_names, average)


@register
class PCC(EvalMetric):
    """Correlation of predicted and true class for any number of classes (Gorodkin, 2004); for two it is MCC."""

    def __init__(self, name="pcc", output_names=None, label_names=None, has_global_stats=True):
        self.k = 2
        super().__init__(name, output_names=output_names, label_names=label_names, has_global_stats=has_global_stats)

    def update(self, labels, preds):
        labels, preds = check_label_shapes(labels, preds, True)
        for label, pred in zip(labels, preds):
            label, pred = host(label).astype("int32"), host(pred)
            pred = pred.argmax(axis=1) if pred.shape != label.shape else pred.astype("int32")
            more = int(max(pred.max(), label.max())) + 1 - self.k
            if more > 0:
                self.lcm, self.gcm = (numpy.pad(table, (0, more)) for table in (self.lcm, self.gcm))
                self.k += more
            for table in (self.lcm, self.gcm):
                numpy.add.at(table, (pred.ravel(), label.ravel()), 1)
        self.num_inst += 1
        self.global_num_inst += 1

    @staticmethod
    def _correlation(table):
        total, predicted, true = table.sum(), table.sum(axis=1), table.sum(axis=0)
        spread = (predicted * (total - predicted)).sum() * (true * (total - true)).sum()
        if spread == 0:
            return float("nan")
        return float((table.diagonal() * total - predicted * true).sum() / spread ** 0.5)

    @property
    def sum_metric(self):
        return self._correlation(self.lcm) * self.num_inst

    @property
    def global_sum_metric(self):
        return self._correlation(self.gcm) * self.global_num_inst

    def reset(self):
        self.global_num_inst = 0
        self.gcm = numpy.zeros((self.k, self.k))
        self.reset_local()

    def reset_local(self):
        self.num_inst = 0
        self.lcm = numpy.zeros((self.k, self.k))
