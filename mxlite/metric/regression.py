"""Metrics of predicted numbers, and the mean of a network's own loss."""
import numpy

from .base import EvalMetric, alias, check_label_shapes, host, register


class _Error(EvalMetric):
    """The mean over batches of an error of the differences; a vector (N,) counts as (N, 1) beside a matrix."""

    def __init__(self, name, output_names, label_names):
        super().__init__(name, output_names=output_names, label_names=label_names, has_global_stats=True)

    @staticmethod
    def _error(difference):
        raise NotImplementedError

    def update(self, labels, preds):
        labels, preds = check_label_shapes(labels, preds, True)
        for label, pred in zip(labels, preds):
            label, pred = (a.reshape(-1, 1) if a.ndim == 1 else a for a in (host(label), host(pred)))
            self._add(self._error(label - pred), 1)


@register
class MAE(_Error):
    """Mean absolute error."""

    def __init__(self, name="mae", output_names=None, label_names=None):
        super().__init__(name, output_names, label_names)

    @staticmethod
    def _error(difference):
        return numpy.abs(difference).mean()


@register
class MSE(_Error):
    """Mean squared error."""

    def __init__(self, name="mse", output_names=None, label_names=None):
        super().__init__(name, output_names, label_names)

    @staticmethod
    def _error(difference):
        return (difference ** 2.0).mean()


@register
class RMSE(_Error):
    """The mean over batches of each batch's root mean squared error."""

    def __init__(self, name="rmse", output_names=None, label_names=None):
        super().__init__(name, output_names, label_names)

    @staticmethod
    def _error(difference):
        return numpy.sqrt((difference ** 2.0).mean())


@register
@alias("pearsonr")
class PearsonCorrelation(EvalMetric):
    """Pearson's r of predictions and labels of one shape: mean of batches' r ("macro"), or of all values ("micro")."""

    def __init__(self, name="pearsonr", output_names=None, label_names=None, average="macro"):
        self.average = average
        super().__init__(name, output_names=output_names, label_names=label_names, has_global_stats=True)

    def get_config(self):
        return {**super().get_config(), **({} if self.average == "macro" else {"average": self.average})}

    def reset_micro(self):
        """Forget the running moments."""
        self._count = 0
        self._mean = numpy.zeros(2)                 # of labels, of predictions
        self._moments = numpy.zeros((2, 2))         # sums of products of deviations from the means

    def reset(self):
        super().reset()
        self.reset_micro()

    def update(self, labels, preds):
        labels, preds = check_label_shapes(labels, preds, True)
        for label, pred in zip(labels, preds):
            check_label_shapes(label, pred, False, True)
            values = numpy.stack([host(label).ravel(), host(pred).ravel()]).astype("float64")
            if self.average == "macro":
                self._add(numpy.corrcoef(values)[0, 1], 1)
                continue
            self.num_inst += 1
            self.global_num_inst += 1
            # Moments of two groups combine without a second look at the data (Chan, Golub and LeVeque, 1979).
            size = values.shape[1]
            mean = values.mean(axis=1)
            deviation = values - mean[:, None]
            gap = mean - self._mean
            total = self._count + size
            self._moments += deviation @ deviation.T + numpy.outer(gap, gap) * (self._count * size / total)
            self._mean += gap * (size / total)
            self._count = total

    def get(self):
        if self.average == "macro" or not self.num_inst:
            return super().get()
        return self.name, float(self._moments[0, 1] / numpy.sqrt(self._moments[0, 0] * self._moments[1, 1]))

    def get_global(self):
        return super().get_global() if self.average == "macro" else self.get()


@register
class Loss(EvalMetric):
    """The mean of all values of the outputs, for a network whose output is its loss; labels are not looked at."""

    def __init__(self, name="loss", output_names=None, label_names=None):
        super().__init__(name, output_names=output_names, label_names=label_names, has_global_stats=True)

    def update(self, _, preds):
        for pred in preds if isinstance(preds, (list, tuple)) else [preds]:
            values = host(pred)
            self._add(values.sum(), values.size)


@register
class Torch(Loss):
    """:class:`Loss` under another name."""

    def __init__(self, name="torch", output_names=None, label_names=None):
        super().__init__(name, output_names, label_names)


@register
class Caffe(Loss):
    """:class:`Loss` under another name."""

    def __init__(self, name="caffe", output_names=None, label_names=None):
        super().__init__(name, output_names, label_names)
