"""How good predictions are: ``metric.update(labels, preds)`` batch by batch, ``metric.get()`` for name and value.

``mx.metric.create("acc")`` finds a metric by name; a list of names makes a :class:`CompositeEvalMetric`, a function
``feval(label, pred)`` on NumPy arrays a :class:`CustomMetric`. Besides the value since the last `reset_local` every
metric keeps the value since the last `reset` (``get_global``), which is what an epoch's log line shows.
"""
from .base import (
    CompositeEvalMetric,
    CustomMetric,
    EvalMetric,
    alias,
    check_label_shapes,
    create,
    np,
    register,
)
from .classification import F1, MCC, PCC, Accuracy, TopKAccuracy
from .likelihood import CrossEntropy, NegativeLogLikelihood, Perplexity
from .regression import MAE, MSE, RMSE, Caffe, Loss, PearsonCorrelation, Torch

__all__ = ["EvalMetric", "CompositeEvalMetric", "CustomMetric", "Accuracy", "TopKAccuracy", "F1", "MCC", "PCC",
           "Perplexity", "CrossEntropy", "NegativeLogLikelihood", "MAE", "MSE", "RMSE", "PearsonCorrelation", "Loss",
           "Torch", "Caffe", "check_label_shapes", "create", "register", "alias", "np"]
