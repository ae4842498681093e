"""Module: one symbol, its parameters, and executors on one or several devices."""
import logging
import warnings

from .. import ndarray as nd
from .. import optimizer as opt
from ..base import MXNetError
from ..context import Context, cpu
from ..initializer import InitDesc
from ..io import DataDesc
from ..model import load_checkpoint
from ..symbol import Symbol
from . import executor_group
from .base_module import DEFAULT_INITIALIZER, BaseModule, as_descs
from .device_update import gradient_sums
from .executor_group import group2ctxs_of

__all__ = ["Module"]

_LABELS = ("softmax_label",)
_LOCAL_KVSTORES = ("local", "device", "nccl", "local_allreduce_cpu", "local_allreduce_device", "local_update_cpu")


def _check_kvstore(kvstore):
    """Gradients are added up in this process; raise MXNetError where somebody asks for more."""
    name = kvstore if kvstore is None or isinstance(kvstore, str) else getattr(kvstore, "type", str(kvstore))
    if name is not None and name not in _LOCAL_KVSTORES:
        raise MXNetError(f"kvstore={name!r} is not supported: mxlite trains in one process, with kvstore='local', "
                         "'device', 'nccl' or None")


class Module(BaseModule):
    """`symbol` with inputs `data_names` and `label_names`; all its other arguments are parameters.

    `context` is a device or a list of them, over which batches are split in proportion to `work_load_list`.
    Parameters in `fixed_param_names` are not trained; `state_names` are inputs that keep their value from batch to
    batch (`set_states`). `group2ctxs` places the parts of the network that ``AttrScope(ctx_group=...)`` named: a dict
    of contexts by group, its values lists where there are several devices, or a list of such dicts. Labels may be left
    out everywhere but where they are needed: to train, and to score.

    Raises ValueError for a name in `data_names`, `state_names` or `fixed_param_names` that the symbol does not have.
    """

    def __init__(self, symbol, data_names=("data",), label_names=_LABELS, logger=logging, context=None,
                 work_load_list=None, fixed_param_names=None, state_names=None, group2ctxs=None,
                 compression_params=None):
        super().__init__(logger=logger)
        if not isinstance(symbol, Symbol):
            raise TypeError(f"Module needs a Symbol, got {type(symbol).__name__}")
        context = cpu() if context is None else context
        self._context = [context] if isinstance(context, Context) else list(context)
        for ctx in self._context:
            if not isinstance(ctx, Context):
                raise TypeError(f"context must be a Context such as mx.cpu(), or a list of them, got {context!r}")
        self._work_load_list = list(work_load_list or [1] * len(self._context))
        if len(self._work_load_list) != len(self._context):
            raise AssertionError(f"{len(self._work_load_list)} work loads for {len(self._context)} contexts")
        self._group2ctxs = group2ctxs_of(group2ctxs, len(self._context))
        if compression_params:
            raise MXNetError("compression_params is not supported: gradients are not sent anywhere")
        self._symbol = symbol
        self._arg_names = symbol.list_arguments()
        self._aux_names = symbol.list_auxiliary_states()
        self._output_names = symbol.list_outputs()
        self._data_names = self._names("data", data_names)
        self._state_names = self._names("state", state_names)
        self._fixed_param_names = self._names("fixed_param", fixed_param_names)
        # A network without a loss has no label: that is no mistake unless the user named one.
        self._label_names = self._names("label", label_names, warn_only=tuple(label_names or ()) != _LABELS)
        inputs = {*self._data_names, *self._label_names, *self._state_names}
        # Prediction often comes with label_names=None: what is left of the loss is an input still, no parameter.
        attrs = symbol.attr_dict()
        self._spare_labels = [name for name in self._arg_names if name.endswith("_label") and name not in inputs
                              and "__init__" not in attrs.get(name, ())]
        inputs.update(self._spare_labels)
        self._label_inputs = [name for name in self._label_names if name in self._arg_names] + self._spare_labels
        self._param_names = [name for name in self._arg_names if name not in inputs]
        self._arg_params = self._aux_params = None
        self._params_dirty = False              # devices hold newer values than _arg_params, _aux_params
        self._optimizer = self._updater = self._index = None
        self._sums = None                       # what adds up gradients over several GPUs
        self._preload_opt_states = None
        self._exec_group = None
        self._data_shapes = self._label_shapes = None

    def _names(self, what, names, warn_only=None):
        """`names` as a list; an unknown one raises ValueError, or with `warn_only` True warns."""
        names = list(names or ())
        for name in names:
            if name in self._arg_names or warn_only is False:
                continue
            likely = [arg for arg in self._arg_names if not arg.endswith(("_weight", "_bias", "_gamma", "_beta"))]
            text = (f"You created Module with Module(..., {what}_names={names}) but input with name '{name}' is not "
                    "found in symbol.list_arguments(). Did you mean one of:\n\t" + "\n\t".join(likely))
            if not warn_only:
                raise ValueError(text)
            warnings.warn(text, stacklevel=4)
        return names

    @staticmethod
    def load(prefix, epoch, load_optimizer_states=False, **kwargs):
        """A module from what `save_checkpoint` wrote; `kwargs` are the constructor's."""
        symbol, arg_params, aux_params = load_checkpoint(prefix, epoch)
        mod = Module(symbol=symbol, **kwargs)
        mod._arg_params, mod._aux_params = arg_params, aux_params
        mod.params_initialized = True
        if load_optimizer_states:
            mod._preload_opt_states = f"{prefix}-{epoch:04d}.states"
        return mod

    def save_checkpoint(self, prefix, epoch, save_optimizer_states=False, remove_amp_cast=True):
        """Write ``prefix-symbol.json``, ``prefix-NNNN.params`` and, if asked for, ``prefix-NNNN.states``."""
        self._symbol.save(f"{prefix}-symbol.json", remove_amp_cast=remove_amp_cast)
        path = f"{prefix}-{epoch:04d}.params"
        self.save_params(path)
        logging.info('Saved checkpoint to "%s"', path)
        if save_optimizer_states:
            path = f"{prefix}-{epoch:04d}.states"
            self.save_optimizer_states(path)
            logging.info('Saved optimizer state to "%s"', path)

    @property
    def data_names(self):
        return self._data_names

    @property
    def label_names(self):
        """Names of the label inputs."""
        return self._label_names

    @property
    def output_names(self):
        return self._output_names

    @property
    def data_shapes(self):
        self._need("binded")
        return self._data_shapes

    @property
    def label_shapes(self):
        self._need("binded")
        return self._label_shapes

    @property
    def output_shapes(self):
        self._need("binded")
        return self._exec_group.get_output_shapes()

    # Binding

    def _set_shapes(self, data_shapes, label_shapes):
        data_shapes = as_descs(data_shapes)
        if sorted(self._data_names) != sorted(desc.name for desc in data_shapes):
            raise ValueError("Data provided by data_shapes don't match names specified by data_names "
                             f"({data_shapes} vs. {self._data_names})")
        label_shapes = as_descs(label_shapes) if label_shapes else None
        self._check_labels(label_shapes or ())
        if label_shapes and sorted(self._label_names) != sorted(desc.name for desc in label_shapes):
            if self.for_training:
                warnings.warn("Data provided by label_shapes don't match names specified by label_names "
                              f"({label_shapes} vs. {self._label_names})", stacklevel=4)
        self._data_shapes, self._label_shapes = data_shapes, label_shapes
        known = [desc for desc in label_shapes or () if desc.name in self._arg_names]
        self._exec_group.reshape(data_shapes, known)

    def _check_labels(self, label_shapes):
        """ValueError for a label under a name that is no input of a network with labels.

        Paired by position it would train on whatever stands there. A network that has no label at all takes any,
        which then only the metric sees.
        """
        strangers = [desc.name for desc in label_shapes if desc.name not in self._arg_names]
        if strangers and self._label_inputs:
            given = [desc.name for desc in label_shapes]
            raise ValueError(f"the data's labels are {given}, but the network's are {self._label_inputs}, and labels "
                             "are paired by name: rename the data's (an iterator's label_name, or the keys of its "
                             "dict), or the network's (and say so in Module's label_names)")

    def bind(self, data_shapes, label_shapes=None, for_training=True, inputs_need_grad=False, force_rebind=False,
             shared_module=None, grad_req="write"):
        """Allocate memory for inputs of these shapes (DataDescs or (name, shape) tuples); labels may be left out.

        `grad_req` is "write", "add" or "null" for all parameters, a list over arguments, or a dict name -> request.
        With `shared_module` (bound, with parameters) memory and parameters are its own. Binding again needs
        `force_rebind`; parameters keep their values then.
        """
        if force_rebind:
            if self.binded and self._params_dirty:
                self._sync_params_from_devices()
            self.binded = False
        if self.binded:
            self.logger.warning("Already bound, ignoring bind()")
            return
        if inputs_need_grad and not for_training:
            raise AssertionError("inputs_need_grad=True needs for_training=True")
        strangers = [name for name in self._label_names if name not in self._arg_names]
        if for_training and strangers and self._spare_labels:
            # Without this the loss would train on a label that nothing ever fills.
            raise ValueError(f"label_names={self._label_names}, but the network's label is "
                             f"{', '.join(self._spare_labels)}: give its name in label_names and in the iterator's "
                             f"label_name, or bind with for_training=False")
        shared_group = None
        if shared_module is not None:
            shared_module._need("binded", "params_initialized")
            shared_group = shared_module._exec_group
            if len(shared_group.contexts) < len(self._context):
                raise AssertionError("shared_module is bound on fewer contexts")
        self.for_training, self.inputs_need_grad = for_training, inputs_need_grad
        make_group = type(shared_group) if shared_group is not None else executor_group.group_class
        self._exec_group = make_group(
            self._symbol, self._context, self._work_load_list, self._param_names, self._data_names,
            self._label_names + self._spare_labels, self._state_names, self._fixed_param_names, for_training,
            inputs_need_grad, grad_req, shared_group, self._group2ctxs)
        self._set_shapes(data_shapes, label_shapes)
        self.binded = True
        if shared_module is not None:
            self.params_initialized = True
            self._arg_params, self._aux_params = shared_module._arg_params, shared_module._aux_params
            if shared_module.optimizer_initialized:
                self.borrow_optimizer(shared_module)
        elif self.params_initialized:
            self._exec_group.set_params(self._arg_params, self._aux_params, allow_extra=True)
        else:
            self._arg_params, self._aux_params = self._host_zeros()

    def _host_zeros(self):
        group = self._exec_group
        return tuple({name: nd.zeros(arrays[0].shape, dtype=arrays[0].dtype) for name, arrays in zip(names, table)}
                     for names, table in ((self._param_names, group.param_arrays), (self._aux_names, group.aux_arrays)))

    def reshape(self, data_shapes, label_shapes=None):
        """Make ready for inputs of other shapes. Parameters stay; shapes that were bound before cost nothing."""
        self._need("binded")
        self._set_shapes(data_shapes, label_shapes)

    # Parameters

    def get_params(self):
        """``(arg_params, aux_params)``: dicts name -> NDArray on the CPU, the same arrays on every call."""
        self._need("params_initialized")
        if self._params_dirty:
            self._sync_params_from_devices()
        return self._arg_params, self._aux_params

    def _sync_params_from_devices(self):
        self._exec_group.get_params(self._arg_params, self._aux_params)
        self._params_dirty = False

    def init_params(self, initializer=DEFAULT_INITIALIZER, arg_params=None, aux_params=None, allow_missing=False,
                    force_init=False, allow_extra=False):
        """Give parameters their values, in the order of their names.

        Values come from `arg_params` and `aux_params` (dicts name -> NDArray) where given, else from `initializer`.
        A name that a given dict lacks raises RuntimeError, or is left to `initializer` if `allow_missing`. Names
        that the symbol lacks are skipped, also without `allow_extra`, as in MXNet: the parameters of a whole network
        initialise a part of it. Without `force_init` a second call only warns.
        """
        if self.params_initialized and not force_init:
            warnings.warn("Parameters already initialized and force_init=False. init_params call ignored.",
                          stacklevel=2)
            return
        if not self.binded:
            raise AssertionError("call bind before initializing the parameters")
        if any(name not in (self._arg_params or ()) for name in self._param_names):
            # Loaded from a file that lacked some.
            zeros = self._host_zeros()
            self._arg_params, self._aux_params = ({**z, **old} for z, old in
                                                  zip(zeros, (self._arg_params, self._aux_params)))
        attrs = self._symbol.attr_dict()
        for names, given, target in ((self._param_names, arg_params, self._arg_params),
                                     (self._aux_names, aux_params, self._aux_params)):
            for name in sorted(names):
                self._init_one(InitDesc(name, attrs.get(name)), target[name], given, initializer, allow_missing)
        self.params_initialized = True
        self._params_dirty = False
        self._exec_group.set_params(self._arg_params, self._aux_params, allow_extra=True)

    @staticmethod
    def _init_one(desc, array, given, initializer, allow_missing):
        if given is not None and desc in given:
            if tuple(given[desc].shape) != tuple(array.shape):
                raise MXNetError(f"parameter {desc} is given with shape {given[desc].shape}, but the bound network "
                                 f"needs {array.shape}")
            if given[desc] is not array:
                array[:] = given[desc]
        elif given is not None and not allow_missing:
            raise RuntimeError(f"{desc} is not presented")
        elif initializer is not None:
            initializer(desc, array)
        elif given is None:
            raise RuntimeError(f"{desc} has neither a value nor an initializer")

    def set_params(self, arg_params, aux_params, allow_missing=False, force_init=True, allow_extra=False):
        """Set parameters from dicts name -> NDArray. With `allow_missing` others keep their values."""
        if not allow_missing:
            self.init_params(initializer=None, arg_params=arg_params, aux_params=aux_params, force_init=force_init,
                             allow_extra=allow_extra)
            return
        if self.params_initialized and not force_init:
            warnings.warn("Parameters already initialized and force_init=False. set_params call ignored.",
                          stacklevel=2)
            return
        self._exec_group.set_params(arg_params, aux_params, allow_extra=allow_extra)
        self._params_dirty = True
        self.params_initialized = True

    # Optimizer

    def init_optimizer(self, kvstore="local", optimizer="sgd", optimizer_params=(("learning_rate", 0.01),),
                       force_init=False):
        """Make ready for `update` with an optimizer or the name of one.

        A named one gets `optimizer_params` and ``rescale_grad = 1 / batch_size``, unless they say otherwise.
        `kvstore` may be "local", "device", "nccl" or None: gradients of several devices are added up and all get the
        new values. Over GPUs NCCL adds up, or with "device", and where it is not installed, copies between the devices;
        over CPU contexts they are all the same. MXNetError for a distributed one, and for "nccl" without NCCL.
        """
        self._need("binded", "params_initialized")
        if self.optimizer_initialized and not force_init:
            self.logger.warning("optimizer already initialized, ignoring...")
            return
        _check_kvstore(kvstore)
        if self._exec_group.on_gpu and len(self._context) > 1:
            self._sums = gradient_sums(kvstore, self._context, self.logger)
        rescale_grad = 1.0 / self._exec_group.batch_size
        self._index = {name: i for i, name in enumerate(self._param_names)}
        idx2name = dict(enumerate(self._param_names))
        if isinstance(optimizer, str):
            options = {"rescale_grad": rescale_grad, **dict(optimizer_params)}
            optimizer = opt.create(optimizer, sym=self.symbol, param_idx2name=idx2name, **options)
        elif not isinstance(optimizer, opt.Optimizer):
            raise AssertionError(f"optimizer must be a name or an Optimizer, not {type(optimizer).__name__}")
        else:
            if optimizer.rescale_grad != rescale_grad:
                warnings.warn("Optimizer created manually outside Module but rescale_grad is not normalized to "
                              f"1.0/batch_size/num_workers ({optimizer.rescale_grad} vs. {rescale_grad}). "
                              "Is this intended?", stacklevel=2)
            if not optimizer.idx2name:
                optimizer.idx2name = idx2name
        self._optimizer = optimizer
        self._updater = opt.get_updater(optimizer)
        self.optimizer_initialized = True
        if self._preload_opt_states is not None:
            self.load_optimizer_states(self._preload_opt_states)
            self._preload_opt_states = None

    def borrow_optimizer(self, shared_module):
        """Update by the optimizer, and the states, of `shared_module`."""
        shared_module._need("optimizer_initialized")
        self._optimizer, self._updater = shared_module._optimizer, shared_module._updater
        self._index, self._sums = shared_module._index, shared_module._sums
        self.optimizer_initialized = True

    def _index_of(self, name):
        """The optimizer's number for a parameter. One that only a borrower has gets the next free number."""
        return self._index.setdefault(name, len(self._index))

    def save_optimizer_states(self, fname):
        """Write the optimizer's states to a file."""
        self._need("optimizer_initialized")
        with open(fname, "wb") as file:
            file.write(self._updater.get_states())

    def load_optimizer_states(self, fname):
        """Read what `save_optimizer_states` wrote. It is a pickle: read only files you trust."""
        self._need("optimizer_initialized")
        with open(fname, "rb") as file:
            self._updater.set_states(file.read())
        # MXNet numbers parameters on one device, and calls them by name on several.
        for table in (self._updater.states, self._updater.states_synced):
            for name in [key for key in table if isinstance(key, str)]:
                table[self._index_of(name)] = table.pop(name)

    # Steps

    def forward(self, data_batch, is_train=None):
        """Run the network on a DataBatch, whose shapes may differ from those it was bound for.

        A batch without labels runs too: the label inputs then keep what they hold. Of a batch only the attribute
        `data` is needed, so a named tuple will do.
        """
        self._need("binded", "params_initialized")
        self._load(data_batch)
        self._exec_group.forward(is_train)

    def _load(self, data_batch):
        """Bind for the batch's shapes, and copy it into the inputs."""
        batches = data_batch if isinstance(data_batch, list) else [data_batch]
        shapes = [tuple(array.shape) for array in batches[0].data]
        if len(batches) > 1:
            if any([tuple(array.shape) for array in batch.data] != shapes for batch in batches):
                raise AssertionError("All data batches in a list need to have the same shape")
            shapes = [(len(batches) * shape[0],) + shape[1:] for shape in shapes]
        if len(shapes) != len(self._data_shapes):
            raise ValueError(f"a batch has {len(shapes)} data arrays, but {len(self._data_shapes)} were bound: "
                             f"{self._data_shapes}")
        labels = getattr(batches[0], "label", None) or []
        lacks_labels = bool(labels) and not self._label_shapes
        if shapes != [tuple(desc.shape) for desc in self._data_shapes] or lacks_labels:
            self._reshape_for(batches[0], shapes, labels, len(batches))
        self._exec_group.load(data_batch)

    def _reshape_for(self, batch, shapes, labels, parts):
        data_shapes = getattr(batch, "provide_data", None)
        if not data_shapes:
            data_shapes = [DataDesc(desc.name, shape, desc.dtype, desc.layout)
                           for desc, shape in zip(self._data_shapes, shapes)]
        label_shapes = getattr(batch, "provide_label", None)
        if not label_shapes and labels:
            old = self._label_shapes or [DataDesc(name, None) for name in self._label_names]
            label_shapes = [DataDesc(desc.name, (parts * label.shape[0],) + tuple(label.shape[1:]), desc.dtype,
                                     desc.layout) for desc, label in zip(old, labels)]
        self.reshape(data_shapes, label_shapes)

    def backward(self, out_grads=None):
        """Compute gradients; `out_grads` (an NDArray or a list) are needed for outputs that are no loss."""
        self._need("binded", "params_initialized")
        self._exec_group.backward(out_grads)

    def update(self):
        """Update the parameters by the last gradients."""
        self._need("binded", "params_initialized", "optimizer_initialized")
        self._params_dirty = True
        self._exec_group.update(self._updater, self._index_of, self._sums)

    def train_step(self, data_batch):
        """`forward_backward` and `update`. On a GPU they are one CUDA graph, where nothing can look at what is between:
        no monitor, no loss scaling, one device, and an optimizer that has a kernel for all parameters at once."""
        self._need("binded", "params_initialized", "optimizer_initialized")
        if self._exec_group.on_gpu and self._steps_are_ours():
            self._load(data_batch)
            self._params_dirty = True
            if not self._exec_group.train_step(self._updater, self._index_of):
                self._exec_group.forward(True)
                self.backward()
                self.update()
        else:
            super().train_step(data_batch)

    def _steps_are_ours(self):
        """Whether a train step is what this class says it is, and no subclass has put more into a part of it."""
        own = type(self)
        if not vars(self).keys().isdisjoint(("forward_backward", "forward", "backward", "update")):
            return False
        return (own.forward_backward is BaseModule.forward_backward and own.forward is Module.forward
                and own.backward is Module.backward and own.update is Module.update)

    def get_outputs(self, merge_multi_context=True):
        """The outputs of the last forward pass, or without `merge_multi_context` a list over devices for each."""
        self._need("binded", "params_initialized")
        return self._exec_group.get_outputs(merge_multi_context)

    def get_input_grads(self, merge_multi_context=True):
        """The gradients of the data, in the order of `data_shapes`; the module must be bound with inputs_need_grad."""
        self._need("binded", "params_initialized", "inputs_need_grad")
        return self._exec_group.get_input_grads(merge_multi_context)

    def get_states(self, merge_multi_context=True):
        """The values of the inputs in `state_names`."""
        self._need("binded", "params_initialized")
        return self._exec_group.get_states(merge_multi_context)

    def set_states(self, states=None, value=None):
        """Set the inputs in `state_names` to arrays, or all to a number."""
        self._need("binded", "params_initialized")
        self._exec_group.set_states(states, value)

    def update_metric(self, eval_metric, labels, pre_sliced=False):
        """Update `eval_metric` from the last outputs and `labels`."""
        self._exec_group.update_metric(eval_metric, labels, pre_sliced)

    def install_monitor(self, mon):
        """Have `mon` watch the executors."""
        self._need("binded")
        self._exec_group.install_monitor(mon)

    def prepare(self, data_batch, sparse_row_id_fn=None):
        """Called with each batch before its forward pass. Row-sparse parameters are not supported."""
        self._need("binded")
        if sparse_row_id_fn is not None:
            warnings.warn("Parameters are not updated in the KVStore. No need to call sparse_row_id_fn.",
                          stacklevel=2)
