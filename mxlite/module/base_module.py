"""What every module can do: fit, score, predict, and the steps of which these are made.

A module goes through states, and each step needs the ones before it::

    bind            input shapes are known, memory is there          .binded
    init_params     parameters have values                           .params_initialized
    init_optimizer  there is a rule to update them                   .optimizer_initialized

    forward, get_outputs, score, predict need the first two; backward needs for_training; update needs all three
"""
import logging
import time

import numpy as np

from .. import metric
from .. import ndarray as nd
from ..initializer import Uniform
from ..io import DataBatch, DataDesc, DataIter
from ..model import BatchEndParam, pack_params, unpack_params

__all__ = ["BaseModule"]

DEFAULT_INITIALIZER = Uniform(0.01)


def as_list(value):
    """`value` if it is a list or tuple, else a list of it."""
    return value if isinstance(value, (list, tuple)) else [value]


def as_descs(shapes):
    """DataDescs from DataDescs or (name, shape[, dtype[, layout]]) tuples."""
    return [desc if isinstance(desc, DataDesc) else DataDesc(*desc) for desc in shapes]


def _call(callbacks, *args):
    for callback in as_list(callbacks) if callbacks is not None else ():
        callback(*args)


class BaseModule:
    """Base of all modules. Steps that a kind of module has to define raise NotImplementedError here."""

    def __init__(self, logger=logging):
        self.logger = logger
        self.binded = False
        self.for_training = False
        self.inputs_need_grad = False
        self.params_initialized = False
        self.optimizer_initialized = False
        self._symbol = None
        self._label_inputs = []         # the network's inputs that are labels

    def _need(self, *states):
        """Raise AssertionError unless the module has come through these states."""
        for state in states:
            if not getattr(self, state):
                step = {"binded": "bind", "params_initialized": "init_params", "inputs_need_grad":
                        "bind with inputs_need_grad=True", "optimizer_initialized": "init_optimizer"}[state]
                raise AssertionError(f"call {step} first")

    @property
    def symbol(self):
        """The symbol that is computed."""
        return self._symbol

    @property
    def data_names(self):
        """Names of the data inputs."""
        raise NotImplementedError

    @property
    def output_names(self):
        """Names of the outputs."""
        raise NotImplementedError

    @property
    def data_shapes(self):
        """DataDescs of the data that it was bound for."""
        raise NotImplementedError

    @property
    def label_shapes(self):
        """DataDescs of the labels that it was bound for; None without labels."""
        raise NotImplementedError

    @property
    def output_shapes(self):
        """(name, shape) of the outputs."""
        raise NotImplementedError

    # Loops over data

    def forward_backward(self, data_batch):
        """`forward` for training, then `backward`."""
        self.forward(data_batch, is_train=True)
        self.backward()

    def train_step(self, data_batch):
        """`forward_backward` and `update`: what `fit` does with each batch."""
        self.forward_backward(data_batch)
        self.update()

    def _batches(self, data, num_batch, reset, sparse_row_id_fn):
        """(number, batch) of at most `num_batch` batches, each after its forward pass."""
        self._need("binded", "params_initialized")
        if reset:
            data.reset()
        for nbatch, batch in enumerate(data):
            if nbatch == num_batch:
                return
            self.prepare(batch, sparse_row_id_fn=sparse_row_id_fn)
            self.forward(batch, is_train=False)
            yield nbatch, batch

    def _update_metric_from(self, eval_metric, batch):
        if isinstance(batch, list):
            self.update_metric(eval_metric, [part.label for part in batch], pre_sliced=True)
        else:
            self.update_metric(eval_metric, batch.label)

    def score(self, eval_data, eval_metric, num_batch=None, batch_end_callback=None, score_end_callback=None,
              reset=True, epoch=0, sparse_row_id_fn=None):
        """Run over `eval_data` and return the metric as a list of (name, value).

        Callbacks get a :class:`BatchEndParam`. Filler rows of a padded last batch count like others, as in MXNet.
        """
        if not isinstance(eval_metric, metric.EvalMetric):
            eval_metric = metric.create(eval_metric)
        eval_metric.reset()
        seen = 0
        for nbatch, eval_batch in self._batches(eval_data, num_batch, reset, sparse_row_id_fn):
            self._update_metric_from(eval_metric, eval_batch)
            _call(batch_end_callback, BatchEndParam(epoch, nbatch, eval_metric, locals()))
            seen += 1
        _call(score_end_callback, BatchEndParam(epoch, seen, eval_metric, locals()))
        return eval_metric.get_name_value()

    def iter_predict(self, eval_data, num_batch=None, reset=True, sparse_row_id_fn=None):
        """Yield (outputs without filler rows, number of the batch, batch). Outputs hold until the next batch."""
        for nbatch, batch in self._batches(eval_data, num_batch, reset, sparse_row_id_fn):
            yield [self._unpadded(out, batch) for out in self.get_outputs()], nbatch, batch

    @staticmethod
    def _unpadded(output, batch):
        return output[0:output.shape[0] - batch.pad] if batch.pad else output

    def predict(self, eval_data, num_batch=None, merge_batches=True, reset=True, always_output_list=False,
                sparse_row_id_fn=None):
        """The outputs for `eval_data`, without filler rows.

        For an array: the first output. For an iterator: each output joined over batches along axis 0 (a single output
        by itself, unless `always_output_list`), or without `merge_batches` a list over batches of lists of outputs.
        """
        if isinstance(eval_data, (nd.NDArray, np.ndarray)):
            self._need("binded", "params_initialized")
            data = nd.array(eval_data) if isinstance(eval_data, np.ndarray) else eval_data
            self.forward(DataBatch([data]), is_train=False)
            return self.get_outputs()[0]
        if not isinstance(eval_data, DataIter):
            raise ValueError("eval_data must be of type NDArray or DataIter")
        batches = [[self._unpadded(out, batch).copy() for out in self.get_outputs()]
                   for _, batch in self._batches(eval_data, num_batch, reset, sparse_row_id_fn)]
        if not batches or not merge_batches:
            return batches
        if len({len(outputs) for outputs in batches}) != 1:
            raise AssertionError("Cannot merge batches, as num of outputs is not the same in mini-batches. Maybe "
                                 "bucketing is used?")
        merged = [parts[0] if len(parts) == 1 else nd.concat(*parts, dim=0) for parts in zip(*batches)]
        return merged[0] if len(merged) == 1 and not always_output_list else merged

    def fit(self, train_data, eval_data=None, eval_metric="acc", epoch_end_callback=None, batch_end_callback=None,
            kvstore="local", optimizer="sgd", optimizer_params=(("learning_rate", 0.01),), eval_end_callback=None,
            eval_batch_end_callback=None, initializer=DEFAULT_INITIALIZER, arg_params=None, aux_params=None,
            allow_missing=False, force_rebind=False, force_init=False, begin_epoch=0, num_epoch=None,
            validation_metric=None, monitor=None, sparse_row_id_fn=None):
        """Train for epochs `begin_epoch` to `num_epoch` - 1.

        Each epoch runs forward, backward and update for every batch of `train_data`, logs ``Epoch[%d] Train-...`` and
        ``Time cost``, and scores `eval_data` by `validation_metric` (`eval_metric` if None). Batch callbacks get a
        :class:`BatchEndParam`, epoch callbacks (epoch, symbol, arg_params, aux_params).

        ValueError, before anything is trained, where `train_data` gives no label or one of another name than the
        network's.
        """
        if num_epoch is None:
            raise AssertionError("please specify number of epochs")
        # None leaves open what the batches hold; an empty list says that they hold none.
        if self._label_inputs and train_data.provide_label is not None and not train_data.provide_label:
            raise ValueError(f"the network trains on the label {', '.join(map(repr, self._label_inputs))}, but "
                             f"train_data, a {type(train_data).__name__}, gives no label")
        self.bind(data_shapes=train_data.provide_data, label_shapes=train_data.provide_label, for_training=True,
                  force_rebind=force_rebind)
        if monitor is not None:
            self.install_monitor(monitor)
        self.init_params(initializer=initializer, arg_params=arg_params, aux_params=aux_params,
                         allow_missing=allow_missing, force_init=force_init)
        self.init_optimizer(kvstore=kvstore, optimizer=optimizer, optimizer_params=optimizer_params)
        validation_metric = eval_metric if validation_metric is None else validation_metric
        if not isinstance(eval_metric, metric.EvalMetric):
            eval_metric = metric.create(eval_metric)

        for epoch in range(begin_epoch, num_epoch):
            tic = time.time()
            eval_metric.reset()
            for name, value in self._fit_epoch(epoch, train_data, eval_metric, batch_end_callback, monitor,
                                               sparse_row_id_fn):
                self.logger.info("Epoch[%d] Train-%s=%f", epoch, name, value)
            self.logger.info("Epoch[%d] Time cost=%.3f", epoch, time.time() - tic)
            # Devices leave the epoch with one set of values, which is also what callbacks save.
            arg_params, aux_params = self.get_params()
            self.set_params(arg_params, aux_params)
            _call(epoch_end_callback, epoch, self.symbol, arg_params, aux_params)
            if eval_data is not None:
                for name, value in self.score(eval_data, validation_metric, score_end_callback=eval_end_callback,
                                              batch_end_callback=eval_batch_end_callback, epoch=epoch):
                    self.logger.info("Epoch[%d] Validation-%s=%f", epoch, name, value)
            train_data.reset()

    def _fit_epoch(self, epoch, train_data, eval_metric, batch_end_callback, monitor, sparse_row_id_fn):
        """One pass over `train_data`; returns the metric of the whole epoch as a list of (name, value)."""
        values = []
        batches = iter(train_data)
        data_batch = next(batches, None)
        nbatch = 0
        while data_batch is not None:
            if monitor is not None:
                monitor.tic()
            self.train_step(data_batch)
            self._update_metric_from(eval_metric, data_batch)
            upcoming = next(batches, None)
            if upcoming is not None:
                self.prepare(upcoming, sparse_row_id_fn=sparse_row_id_fn)
            if monitor is not None:
                monitor.toc_print()
            if upcoming is None:
                # Read before the callback, which may reset the metric.
                values = eval_metric.get_global_name_value()
            _call(batch_end_callback, BatchEndParam(epoch, nbatch, eval_metric, locals()))
            data_batch = upcoming
            nbatch += 1
        return values

    # Parameters

    def get_params(self):
        """``(arg_params, aux_params)``: dicts name -> NDArray on the CPU."""
        raise NotImplementedError

    def init_params(self, initializer=DEFAULT_INITIALIZER, arg_params=None, aux_params=None, allow_missing=False,
                    force_init=False, allow_extra=False):
        """Give parameters their values: from the dicts, or by `initializer`."""
        raise NotImplementedError

    def set_params(self, arg_params, aux_params, allow_missing=False, force_init=True, allow_extra=False):
        """Set parameters from dicts name -> NDArray; see `init_params`."""
        self.init_params(initializer=None, arg_params=arg_params, aux_params=aux_params, allow_missing=allow_missing,
                         force_init=force_init, allow_extra=allow_extra)

    def save_params(self, fname):
        """Write the parameters to a ``.params`` file."""
        nd.save(fname, pack_params(*self.get_params()))

    def load_params(self, fname):
        """Set the parameters from a ``.params`` file. ValueError for an entry that is neither ``arg:`` nor ``aux:``."""
        self.set_params(*unpack_params(nd.load(fname), fname))

    def get_states(self, merge_multi_context=True):
        """The values of the state inputs; a module without states has none."""
        self._need("binded", "params_initialized")
        return []

    def set_states(self, states=None, value=None):
        """Set the state inputs; a module without states takes none."""
        self._need("binded", "params_initialized")
        if states or value:
            raise AssertionError("this module has no states")

    # Steps

    def prepare(self, data_batch, sparse_row_id_fn=None):
        """Called with each batch before its forward pass."""

    def install_monitor(self, mon):
        """Have `mon` watch the executors."""
        raise NotImplementedError

    def forward(self, data_batch, is_train=None):
        """Run the network on a batch; `is_train` defaults to `for_training`."""
        raise NotImplementedError

    def backward(self, out_grads=None):
        """Compute gradients; `out_grads` are needed for outputs that are no loss."""
        raise NotImplementedError

    def get_outputs(self, merge_multi_context=True):
        """The outputs of the last forward pass."""
        raise NotImplementedError

    def get_input_grads(self, merge_multi_context=True):
        """The gradients of the data of the last backward pass."""
        raise NotImplementedError

    def update(self):
        """Update the parameters by the last gradients."""
        raise NotImplementedError

    def update_metric(self, eval_metric, labels, pre_sliced=False):
        """Update `eval_metric` from the last outputs and `labels`."""
        raise NotImplementedError

    def bind(self, data_shapes, label_shapes=None, for_training=True, inputs_need_grad=False, force_rebind=False,
             shared_module=None, grad_req="write"):
        """Allocate memory for inputs of these shapes."""
        raise NotImplementedError

    def init_optimizer(self, kvstore="local", optimizer="sgd", optimizer_params=(("learning_rate", 0.01),),
                       force_init=False):
        """Make ready for `update`."""
        raise NotImplementedError
