"""Functions that training calls after each batch or epoch: checkpoints, speed and metrics in the log."""
import logging
import math
import time

from .model import save_checkpoint

__all__ = ["module_checkpoint", "do_checkpoint", "log_train_metric", "Speedometer", "ProgressBar",
           "LogValidationMetricsCallback"]


def _every(period, action):
    """An epoch-end callback that runs ``action(number of epochs done, symbol, arg, aux)`` each `period` epochs."""
    period = int(max(1, period))

    def callback(iter_no, sym=None, arg=None, aux=None):
        if (iter_no + 1) % period == 0:
            action(iter_no + 1, sym, arg, aux)

    return callback


def module_checkpoint(mod, prefix, period=1, save_optimizer_states=False):
    """An epoch-end callback that saves module `mod` under `prefix` (see :meth:`Module.save_checkpoint`)."""
    return _every(period, lambda epoch, sym, arg, aux: mod.save_checkpoint(prefix, epoch, save_optimizer_states))


def do_checkpoint(prefix, period=1):
    """An epoch-end callback that writes ``prefix-symbol.json`` and ``prefix-NNNN.params``, NNNN counted from 1."""
    return _every(period, lambda epoch, sym, arg, aux: save_checkpoint(prefix, epoch, sym, arg, aux))


def log_train_metric(period, auto_reset=False):
    """A batch-end callback that logs the metric each `period` batches, and resets it then if `auto_reset`."""
    def callback(param):
        metric = param.eval_metric
        if param.nbatch % period or metric is None:
            return
        for name, value in metric.get_name_value():
            logging.info("Iter[%d] Batch[%d] Train-%s=%f", param.epoch, param.nbatch, name, value)
        if auto_reset:
            metric.reset_local()

    return callback


class Speedometer:
    """A batch-end callback that logs samples a second, and the metric, each `frequent` batches.

    With `auto_reset` the metric then starts afresh, so each line speaks of the batches since the one before.
    """

    def __init__(self, batch_size, frequent=50, auto_reset=True):
        self.batch_size = batch_size
        self.frequent = frequent
        self.auto_reset = auto_reset
        self.init = False               # whether the clock runs
        self.tic = 0
        self.last_count = 0

    def __call__(self, param):
        count = param.nbatch
        if count < self.last_count:     # a new epoch began: what lies between was no training
            self.init = False
        self.last_count = count
        if not self.init:
            self.init = True
            self.tic = time.time()
        elif count % self.frequent == 0:
            passed = time.time() - self.tic
            speed = self.frequent * self.batch_size / passed if passed else float("inf")
            self._log(param, count, speed)
            self.tic = time.time()

    def _log(self, param, count, speed):
        metric = param.eval_metric
        if metric is None:
            logging.info("Iter[%d] Batch [%d]\tSpeed: %.2f samples/sec", param.epoch, count, speed)
            return
        values = metric.get_name_value()
        first = 0
        if self.auto_reset:
            metric.reset_local()
            first = count - self.frequent
        logging.info("Epoch[%d] Batch [%d-%d]\tSpeed: %.2f samples/sec" + "\t%s=%f" * len(values),
                     param.epoch, first, count, speed, *(part for pair in values for part in pair))


class ProgressBar:
    """A batch-end callback that logs a bar of `length` characters; `total` is the number of batches an epoch."""

    def __init__(self, total, length=80):
        self.total = total
        self.bar_len = length

    def __call__(self, param):
        done = param.nbatch / float(self.total)
        filled = int(round(self.bar_len * done))
        bar = "=" * filled + "-" * (self.bar_len - filled)
        logging.info("[%s] %s%s\r", bar, math.ceil(100.0 * param.nbatch / float(self.total)), "%")


class LogValidationMetricsCallback:
    """An ``eval_end_callback`` that logs the validation metrics."""

    def __call__(self, param):
        for name, value in param.eval_metric.get_name_value() if param.eval_metric else ():
            logging.info("Epoch[%d] Validation-%s=%f", param.epoch, name, value)
