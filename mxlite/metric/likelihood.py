"""Metrics of the probability that was given to the true class."""
import math

import numpy

from .base import EvalMetric, alias, check_label_shapes, host, register


class _LogLoss(EvalMetric):
    """The mean of ``-log(p + eps)``, p being the probability of the true class: `preds` (N, classes), `labels` N."""

    def __init__(self, eps, name, output_names, label_names):
        super().__init__(name, eps=eps, output_names=output_names, label_names=label_names, has_global_stats=True)
        self.eps = eps

    def update(self, labels, preds):
        labels, preds = check_label_shapes(labels, preds, True)
        for label, pred in zip(labels, preds):
            label, pred = host(label).ravel(), host(pred)
            if len(label) != len(pred):
                raise AssertionError(f"{len(label)} labels do not match {len(pred)} predictions")
            prob = pred[numpy.arange(len(label)), label.astype("int64")]
            self._add(-numpy.log(prob + self.eps).sum(), len(label))


@register
@alias("ce")
class CrossEntropy(_LogLoss):
    """The mean of ``-log(p + eps)``, p being the predicted probability of the true class."""

    def __init__(self, eps=1e-12, name="cross-entropy", output_names=None, label_names=None):
        super().__init__(eps, name, output_names, label_names)


@register
@alias("nll_loss")
class NegativeLogLikelihood(_LogLoss):
    """The same number as :class:`CrossEntropy`, under the name that likelihood models use."""

    def __init__(self, eps=1e-12, name="nll-loss", output_names=None, label_names=None):
        super().__init__(eps, name, output_names, label_names)


@register
class Perplexity(EvalMetric):
    """``exp`` of the mean of ``-log max(p, 1e-10)``; instances labelled `ignore_label` (None: none) do not count.

    `preds` hold probabilities along `axis`; the labels' size is the product of the other axes.
    """

    def __init__(self, ignore_label, axis=-1, name="perplexity", output_names=None, label_names=None):
        super().__init__(name, ignore_label=ignore_label, output_names=output_names, label_names=label_names,
                         has_global_stats=True)
        self.ignore_label = ignore_label
        self.axis = axis

    def get_config(self):
        return {**super().get_config(), **({} if self.axis == -1 else {"axis": self.axis})}

    def update(self, labels, preds):
        labels, preds = check_label_shapes(labels, preds, True)
        loss, count = 0.0, 0
        for label, pred in zip(labels, preds):
            label, pred = host(label), host(pred)
            if label.size * pred.shape[-1] != pred.size:
                raise AssertionError(f"shape mismatch: {label.shape} vs. {pred.shape}")
            pred = numpy.moveaxis(pred, self.axis, -1)
            label = label.ravel()
            column = numpy.clip(label.astype("int32"), 0, pred.shape[-1] - 1)
            prob = pred.reshape(len(label), -1)[numpy.arange(len(label)), column]
            if self.ignore_label is not None:
                prob = prob[label != self.ignore_label]
            loss -= float(numpy.log(numpy.maximum(prob, 1e-10)).sum())
            count += prob.size
        self._add(loss, count)

    def get(self):
        return self._exp(super().get())

    def get_global(self):
        return self._exp(super().get_global())

    @staticmethod
    def _exp(result):
        return result[0], math.exp(result[1])       # NaN stays NaN
