"""BucketingModule: a family of graphs over one set of parameters, the batch saying which to run."""
import logging
import os

import numpy as np

from .. import ndarray as nd
from .. import symbol as sym
from ..context import cpu
from ..model import load_params
from .base_module import DEFAULT_INITIALIZER, BaseModule
from .module import Module

__all__ = ["BucketingModule"]


class BucketingModule(BaseModule):
    """Runs the graph of each batch's `bucket_key`, for instance of its sentences' length.

    ``sym_gen(bucket_key)`` returns (symbol, data_names, label_names). The graph of `default_bucket_key` is bound
    first; it must have all parameters, and should be the largest, because the others use its memory.
    """

    def __init__(self, sym_gen, default_bucket_key=None, logger=logging, context=None, work_load_list=None,
                 fixed_param_names=None, state_names=None, group2ctxs=None, compression_params=None):
        super().__init__(logger=logger)
        if default_bucket_key is None:
            raise AssertionError("BucketingModule needs a default_bucket_key")
        self._sym_gen = sym_gen
        self._default_bucket_key = default_bucket_key
        self._options = {"logger": logger, "context": cpu() if context is None else context,
                         "work_load_list": work_load_list, "fixed_param_names": fixed_param_names,
                         "state_names": state_names, "group2ctxs": group2ctxs,
                         "compression_params": compression_params}
        self._buckets = {}
        self._curr_module = self._curr_bucket_key = None
        self._grad_req = "write"
        self._params_dirty = False
        self._monitor = None
        self._loaded = None
        self._generated = {}
        self._given = []                        # keys of the buckets whose symbols were loaded
        # Wrong names are found now, not at the first batch.
        self._label_inputs = self._module(default_bucket_key)._label_inputs

    def _call_sym_gen(self, key):
        if key not in self._generated:
            self._generated[key] = self._sym_gen(key)
        return self._generated[key]

    def _module(self, key):
        symbol, data_names, label_names = self._call_sym_gen(key)
        return Module(symbol, data_names, label_names, **self._options)

    @staticmethod
    def load(prefix, epoch, sym_gen=None, default_bucket_key=None, **kwargs):
        """A module from what `save_checkpoint` wrote: buckets that were saved have the symbols of their files.

        `sym_gen` gives the names of their inputs, and other buckets; `kwargs` are the constructor's. Without a file
        ``prefix.buckets`` all symbols come from `sym_gen`. ValueError where the default bucket was not saved.
        """
        if sym_gen is None:
            raise AssertionError("loading a BucketingModule needs sym_gen")
        symbols = {}
        if os.path.exists(f"{prefix}.buckets"):
            keys = [int(key) for key in nd.load(f"{prefix}.buckets")[0].asnumpy()]
            if default_bucket_key not in keys:
                raise ValueError(f"default_bucket_key={default_bucket_key!r} is not one of the buckets {keys} in "
                                 f"{prefix}.buckets")
            symbols = {key: (sym.load(f"{prefix}-{key}-symbol.json"), *sym_gen(key)[1:]) for key in keys}
        mod = BucketingModule(sym_gen, default_bucket_key, **kwargs)
        return mod._with(symbols, *load_params(prefix, epoch))

    @staticmethod
    def load_dict(sym_dict=None, sym_gen=None, default_bucket_key=None, arg_params=None, aux_params=None, **kwargs):
        """A module with the symbols of `sym_dict` (bucket key -> Symbol) and these parameters (name -> NDArray).

        `sym_gen` gives the names of their inputs, by its answer for the default bucket, and the buckets that
        `sym_dict` lacks; `kwargs` are the constructor's. AssertionError for an argument that is missing.
        """
        needed = {"sym_dict": sym_dict, "arg_params": arg_params, "aux_params": aux_params,
                  "default_bucket_key": default_bucket_key, "sym_gen": sym_gen}
        for name, value in needed.items():
            if value is None:
                raise AssertionError(f"BucketingModule.load_dict needs {name}")
        names = sym_gen(default_bucket_key)[1:]
        mod = BucketingModule(sym_gen, default_bucket_key, **kwargs)
        return mod._with({key: (symbol, *names) for key, symbol in sym_dict.items()}, arg_params, aux_params)

    def _with(self, generated, arg_params, aux_params):
        """This module with `generated` (key -> what sym_gen would return) and parameters, not bound yet."""
        self._generated.update(generated)
        self._given = list(generated)
        self._label_inputs = self._module(self._default_bucket_key)._label_inputs
        self._loaded = arg_params, aux_params
        self.params_initialized = True
        return self

    def save_checkpoint(self, prefix, epoch, remove_amp_cast=False):
        """Write the parameters to ``prefix-NNNN.params`` and each bucket's symbol to ``prefix-KEY-symbol.json``.

        The keys of the buckets so far go to ``prefix.buckets``; they must be integers, else ValueError.
        AssertionError before `bind`.
        """
        keys = list(dict.fromkeys([*self._buckets, *self._given]))
        if not keys:
            raise AssertionError("a BucketingModule without buckets can not be saved: call bind first")
        if not all(isinstance(key, (int, np.integer)) for key in keys):
            raise ValueError(f"the file {prefix}.buckets holds integers, but the keys of the buckets are {keys}; "
                             "save_params writes the parameters alone")
        self.save_params(f"{prefix}-{epoch:04d}.params")
        for key in keys:
            self._call_sym_gen(key)[0].save(f"{prefix}-{key}-symbol.json", remove_amp_cast=remove_amp_cast)
        nd.save(f"{prefix}.buckets", nd.array(keys, dtype="int32"))

    @property
    def symbol(self):
        """The current bucket's symbol."""
        self._need("binded")
        return self._curr_module.symbol

    @property
    def data_names(self):
        return self._curr_module.data_names if self.binded else self._call_sym_gen(self._default_bucket_key)[1]

    @property
    def output_names(self):
        if self.binded:
            return self._curr_module.output_names
        return self._call_sym_gen(self._default_bucket_key)[0].list_outputs()

    @property
    def data_shapes(self):
        self._need("binded")
        return self._curr_module.data_shapes

    @property
    def label_shapes(self):
        self._need("binded")
        return self._curr_module.label_shapes

    @property
    def output_shapes(self):
        self._need("binded")
        return self._curr_module.output_shapes

    def bind(self, data_shapes, label_shapes=None, for_training=True, inputs_need_grad=False, force_rebind=False,
             shared_module=None, grad_req="write"):
        """Bind the default bucket; see :meth:`Module.bind`. `shared_module` is not supported."""
        if shared_module is not None:
            raise AssertionError("shared_module for BucketingModule is not supported")
        if self.binded and not force_rebind:
            self.logger.warning("Already bound, ignoring bind()")
            return
        if self.params_initialized and self._loaded is None:
            self._loaded = self.get_params()
        self.for_training, self.inputs_need_grad, self._grad_req = for_training, inputs_need_grad, grad_req
        module = self._module(self._default_bucket_key)
        if self._loaded is not None:
            (module._arg_params, module._aux_params), self._loaded = self._loaded, None
            module.params_initialized = True
        module.bind(data_shapes, label_shapes, for_training, inputs_need_grad, grad_req=grad_req)
        self._buckets = {self._default_bucket_key: module}
        self._curr_module, self._curr_bucket_key = module, self._default_bucket_key
        self.optimizer_initialized = False
        self._params_dirty = False
        self.binded = True

    def switch_bucket(self, bucket_key, data_shapes, label_shapes=None):
        """Make the graph of `bucket_key` the current one, bound for these shapes."""
        self._need("binded")
        if bucket_key not in self._buckets:
            default = self._buckets[self._default_bucket_key]
            module = self._module(bucket_key)
            unknown = sorted({*module._param_names, *module._aux_names}
                             - {*default._param_names, *default._aux_names})
            if unknown:
                raise ValueError(f"bucket {bucket_key!r} has parameters that the default bucket "
                                 f"{self._default_bucket_key!r} lacks: {', '.join(unknown)}")
            module.bind(data_shapes, label_shapes, self.for_training, self.inputs_need_grad, shared_module=default,
                        grad_req=self._grad_req)
            if self._monitor is not None:
                module.install_monitor(self._monitor)
            self._buckets[bucket_key] = module
        self._curr_module, self._curr_bucket_key = self._buckets[bucket_key], bucket_key

    def get_params(self):
        """``(arg_params, aux_params)``: dicts name -> NDArray on the CPU."""
        self._need("params_initialized")
        if self._loaded is not None:
            return self._loaded
        default = self._buckets[self._default_bucket_key]
        default._params_dirty = default._params_dirty or self._params_dirty
        self._params_dirty = False
        return default.get_params()

    def init_params(self, initializer=DEFAULT_INITIALIZER, arg_params=None, aux_params=None, allow_missing=False,
                    force_init=False, allow_extra=False):
        """Give the parameters, which all buckets share, their values; see :meth:`Module.init_params`."""
        if self.params_initialized and not force_init:
            return
        if not self.binded:
            raise AssertionError("call bind before initializing the parameters")
        self._buckets[self._default_bucket_key].init_params(initializer, arg_params, aux_params, allow_missing,
                                                            force_init, allow_extra)
        self._params_dirty = False
        self.params_initialized = True

    def set_params(self, arg_params, aux_params, allow_missing=False, force_init=True, allow_extra=False):
        """Set the parameters, which all buckets share; see :meth:`Module.set_params`."""
        if self.params_initialized and not force_init:
            return
        self._need("binded")
        self._buckets[self._default_bucket_key].set_params(arg_params, aux_params, allow_missing, force_init,
                                                           allow_extra)
        self._params_dirty = False
        self.params_initialized = True

    def init_optimizer(self, kvstore="local", optimizer="sgd", optimizer_params=(("learning_rate", 0.01),),
                       force_init=False):
        """Make ready for `update`; all buckets share the optimizer. See :meth:`Module.init_optimizer`."""
        self._need("binded", "params_initialized")
        if self.optimizer_initialized and not force_init:
            self.logger.warning("optimizer already initialized, ignoring.")
            return
        default = self._buckets[self._default_bucket_key]
        default.init_optimizer(kvstore, optimizer, optimizer_params, force_init=force_init)
        for module in self._buckets.values():
            if module is not default:
                module.borrow_optimizer(default)
        self.optimizer_initialized = True

    def prepare(self, data_batch, sparse_row_id_fn=None):
        """Bind the batch's bucket, if it is new, before it is needed; the current bucket stays."""
        self._need("binded", "params_initialized")
        key = self._curr_bucket_key
        self.switch_bucket(data_batch.bucket_key, data_batch.provide_data, data_batch.provide_label)
        self._curr_module.prepare(data_batch, sparse_row_id_fn=sparse_row_id_fn)
        self._curr_module, self._curr_bucket_key = self._buckets[key], key

    def forward(self, data_batch, is_train=None):
        """Switch to the batch's bucket and run it."""
        self._need("binded", "params_initialized")
        self.switch_bucket(data_batch.bucket_key, data_batch.provide_data, data_batch.provide_label)
        self._curr_module.forward(data_batch, is_train=is_train)

    def backward(self, out_grads=None):
        """Compute gradients in the current bucket."""
        self._need("binded", "params_initialized")
        self._curr_module.backward(out_grads)

    def update(self):
        """Update the parameters by the current bucket's gradients."""
        self._need("binded", "params_initialized", "optimizer_initialized")
        self._params_dirty = True
        self._curr_module.update()

    def train_step(self, data_batch):
        """`forward_backward` and `update` in the batch's bucket; see :meth:`Module.train_step`."""
        own = type(self)
        if any([getattr(own, name) is not getattr(BucketingModule, name)
                for name in ("forward_backward", "forward", "backward", "update")]):
            super().train_step(data_batch)
            return
        self._need("binded", "params_initialized", "optimizer_initialized")
        self.switch_bucket(data_batch.bucket_key, data_batch.provide_data, data_batch.provide_label)
        self._params_dirty = True
        self._curr_module.train_step(data_batch)

    def get_outputs(self, merge_multi_context=True):
        """The current bucket's outputs."""
        self._need("binded", "params_initialized")
        return self._curr_module.get_outputs(merge_multi_context)

    def get_input_grads(self, merge_multi_context=True):
        """The gradients of the current bucket's data."""
        self._need("binded", "params_initialized", "inputs_need_grad")
        return self._curr_module.get_input_grads(merge_multi_context)

    def get_states(self, merge_multi_context=True):
        """The current bucket's states."""
        self._need("binded", "params_initialized")
        return self._curr_module.get_states(merge_multi_context)

    def set_states(self, states=None, value=None):
        """Set the current bucket's states."""
        self._need("binded", "params_initialized")
        self._curr_module.set_states(states, value)

    def update_metric(self, eval_metric, labels, pre_sliced=False):
        """Update `eval_metric` from the current bucket's outputs and `labels`."""
        self._need("binded", "params_initialized")
        self._curr_module.update_metric(eval_metric, labels, pre_sliced)

    def install_monitor(self, mon):
        """Have `mon` watch the executors of all buckets."""
        self._need("binded")
        self._monitor = mon
        for module in self._buckets.values():
            module.install_monitor(mon)
