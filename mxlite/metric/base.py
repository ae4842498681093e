"""The base of all metrics, the factory, and the two metrics that are made of others' work."""
import numpy

from ..registry import get_alias_func, get_create_func, get_register_func


def host(array):
    """`array` (an NDArray, or anything NumPy takes) as a NumPy array."""
    return array.asnumpy() if hasattr(array, "asnumpy") else numpy.asarray(array)


def look(array):
    """`host` for a metric that only reads and keeps nothing: without a copy where there need be none."""
    if hasattr(array, "host_view") and array.dtype_name != "bfloat16":
        return array.host_view()
    return host(array)


def check_label_shapes(labels, preds, wrap=False, shape=False):
    """``(labels, preds)`` if they are equally long (of one shape, if `shape`), else ValueError.

    With `wrap` a single array comes back as a list of one.
    """
    sizes = (labels.shape, preds.shape) if shape else (len(labels), len(preds))
    if sizes[0] != sizes[1]:
        raise ValueError(f"Shape of labels {sizes[0]} does not match shape of predictions {sizes[1]}")
    if wrap:
        labels = labels if isinstance(labels, (list, tuple)) else [labels]
        preds = preds if isinstance(preds, (list, tuple)) else [preds]
    return labels, preds


class EvalMetric:
    """A running average: `sum_metric` over `num_inst`, and the same over the whole epoch in `global_...`.

    `output_names` and `label_names` choose, in that order, what `update_dict` hands to `update`; None is everything.
    A subclass defines ``update(labels, preds)`` (lists of arrays of equal batch size) and adds to the sums with
    `_add`, saying so with ``has_global_stats=True``; one that only adds to `sum_metric` and `num_inst` itself works
    too, its global value being the local one.
    """

    def __init__(self, name, output_names=None, label_names=None, **kwargs):
        self.name = str(name)
        self.output_names = output_names
        self.label_names = label_names
        self._has_global_stats = kwargs.pop("has_global_stats", False)
        self._kwargs = kwargs
        self.reset()

    def __str__(self):
        return f"EvalMetric: {dict(self.get_name_value())}"

    def get_config(self):
        """A dict from which `create` makes the same metric; some leave out what has its default value."""
        return {**self._kwargs, "metric": type(self).__name__, "name": self.name, "output_names": self.output_names,
                "label_names": self.label_names}

    def update_dict(self, label, pred):
        """`update` from dicts name -> array."""
        def chosen(arrays, names):
            return list(arrays.values()) if names is None else [arrays[name] for name in names]

        self.update(chosen(label, self.label_names), chosen(pred, self.output_names))

    def update(self, labels, preds):
        """Take in one batch: `labels` and `preds` are lists of arrays, paired by position."""
        raise NotImplementedError(f"{type(self).__name__} must define update(labels, preds)")

    def _add(self, value, count):
        """Add `value` over `count` instances to the local and the global sum."""
        # Plain Python numbers: a float32 from NumPy would keep the sum in single precision.
        value = value.item() if hasattr(value, "item") else value
        count = count.item() if hasattr(count, "item") else count
        self.sum_metric += value
        self.num_inst += count
        self.global_sum_metric += value
        self.global_num_inst += count

    def reset(self):
        """Forget everything."""
        self.global_num_inst = 0
        self.global_sum_metric = 0.0
        self.num_inst = 0
        self.sum_metric = 0.0

    def reset_local(self):
        """Start the local value afresh; the global one goes on."""
        self.num_inst = 0
        self.sum_metric = 0.0

    def get(self):
        """``(name, value)`` since the last `reset_local`; NaN before the first batch."""
        return self.name, self.sum_metric / self.num_inst if self.num_inst else float("nan")

    def get_global(self):
        """``(name, value)`` since the last `reset`."""
        if not self._has_global_stats:
            return self.get()
        return self.name, self.global_sum_metric / self.global_num_inst if self.global_num_inst else float("nan")

    def get_name_value(self):
        """`get` as a list of (name, value) pairs."""
        return _pairs(*self.get())

    def get_global_name_value(self):
        """`get_global` as a list of (name, value) pairs."""
        return _pairs(*(self.get_global() if self._has_global_stats else self.get()))


def _pairs(name, value):
    return list(zip(name if isinstance(name, list) else [name], value if isinstance(value, list) else [value]))


register = get_register_func(EvalMetric, "metric")
alias = get_alias_func(EvalMetric, "metric")
_create = get_create_func(EvalMetric, "metric")


def create(metric, *args, **kwargs):
    """A metric from its name, a function ``feval(label, pred)``, a list of these, JSON text, or a metric itself.

    Further arguments go to the metric's constructor. Raises AssertionError for an unknown name.
    """
    if callable(metric):
        return CustomMetric(metric, *args, **kwargs)
    if isinstance(metric, list):
        return CompositeEvalMetric([create(child, *args, **kwargs) for child in metric])
    return _create(metric, *args, **kwargs)


@register
@alias("composite")
class CompositeEvalMetric(EvalMetric):
    """Several metrics updated together; `get` returns a list of names and a list of values."""

    def __init__(self, metrics=None, name="composite", output_names=None, label_names=None):
        self.metrics = [create(metric) for metric in metrics or ()]
        super().__init__(name, output_names=output_names, label_names=label_names, has_global_stats=True)

    def add(self, metric):
        """Append a metric (anything `create` takes)."""
        self.metrics.append(create(metric))

    def get_metric(self, index):
        """The metric at `index`. Raises ValueError where there is none."""
        try:
            return self.metrics[index]
        except IndexError:
            raise ValueError(f"Metric index {index} is out of range 0 and {len(self.metrics)}") from None

    def update_dict(self, labels, preds):
        if self.label_names is not None:
            labels = {name: array for name, array in labels.items() if name in self.label_names}
        if self.output_names is not None:
            preds = {name: array for name, array in preds.items() if name in self.output_names}
        for metric in self.metrics:
            metric.update_dict(labels, preds)

    def update(self, labels, preds):
        for metric in self.metrics:
            metric.update(labels, preds)

    def reset(self):
        for metric in self.metrics:
            metric.reset()

    def reset_local(self):
        for metric in self.metrics:
            metric.reset_local()

    def get(self):
        return self._gather(metric.get() for metric in self.metrics)

    def get_global(self):
        return self._gather(metric.get_global() for metric in self.metrics)

    @staticmethod
    def _gather(results):
        pairs = [pair for result in results for pair in _pairs(*result)]
        return [name for name, _ in pairs], [value for _, value in pairs]

    def get_config(self):
        return {**super().get_config(), "metrics": [metric.get_config() for metric in self.metrics]}


@register
class CustomMetric(EvalMetric):
    """The mean over batches of ``feval(label, pred)``, a function on NumPy arrays.

    `feval` returns a number, or ``(sum, count)``. With `allow_extra_outputs` there may be more predictions than
    labels; they are paired from the front.
    """

    def __init__(self, feval, name=None, allow_extra_outputs=False, output_names=None, label_names=None):
        if name is None:
            name = getattr(feval, "__name__", type(feval).__name__)
            if "<" in name:             # a lambda
                name = f"custom({name})"
        super().__init__(name, feval=feval, allow_extra_outputs=allow_extra_outputs, output_names=output_names,
                         label_names=label_names, has_global_stats=True)
        self._feval = feval
        self._allow_extra_outputs = allow_extra_outputs

    def update(self, labels, preds):
        if not self._allow_extra_outputs:
            labels, preds = check_label_shapes(labels, preds, True)
        for pred, label in zip(preds, labels):
            result = self._feval(host(label), host(pred))
            self._add(*(result if isinstance(result, tuple) else (result, 1)))

    def get_config(self):
        raise NotImplementedError("CustomMetric cannot be serialized")


def np(numpy_feval, name=None, allow_extra_outputs=False):
    """A :class:`CustomMetric` of ``numpy_feval(label, pred)`` on NumPy arrays, by default named after it."""
    def feval(label, pred):
        return numpy_feval(label, pred)

    feval.__name__ = numpy_feval.__name__
    return CustomMetric(feval, name, allow_extra_outputs)
