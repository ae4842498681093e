"""One executor a device, each with its slice of the batch: what a Module runs."""
from collections import OrderedDict

import numpy as np

from .. import ndarray as nd
from ..base import MXNetError
from ..context import Context, cpu
from ..io import DataDesc
from ..symbol.bind import variable_contexts

# Shapes that come back (the short last batch, a score between two epochs) find their executors still bound.
_KEPT_SHAPES = 8


def split_batch(batch_size, work_load):
    """Slices of `batch_size` rows in proportion to the numbers in `work_load`. ValueError where one would be empty."""
    total = sum(work_load)
    counts = [round(batch_size * load / total) for load in work_load]
    counts[-1] += max(0, batch_size - sum(counts))
    slices, begin = [], 0
    for count in counts:
        end = min(begin + count, batch_size)
        if end <= begin:
            raise ValueError(f"Too many slices. Some splits are empty: a batch of {batch_size} can not be split over "
                             f"{len(work_load)} devices with work loads {list(work_load)}")
        slices.append(slice(begin, end))
        begin = end
    return slices


def group2ctxs_of(given, n):
    """A group2ctx dict or None for each of `n` devices, from Module's argument.

    `given`: None, a list of such dicts, or one dict whose values are a context or a list of one a device. TypeError
    for anything else, ValueError where a list has another length.
    """
    if given is None:
        return [None] * n
    if isinstance(given, dict):
        given = {group: [ctx] * n if isinstance(ctx, Context) else ctx for group, ctx in given.items()}
        for group, contexts in given.items():
            if not isinstance(contexts, (list, tuple)):
                raise TypeError(f"group2ctxs[{group!r}] must be a Context or a list of them, got "
                                f"{type(contexts).__name__}")
            if len(contexts) != n:
                raise ValueError(f"group2ctxs[{group!r}] has {len(contexts)} contexts for {n} devices")
        return [{group: contexts[k] for group, contexts in given.items()} for k in range(n)]
    if not isinstance(given, (list, tuple)) or not all(one is None or isinstance(one, dict) for one in given):
        raise TypeError(f"group2ctxs must be a dict or a list of dicts, got {type(given).__name__}")
    if len(given) != n:
        raise ValueError(f"group2ctxs has {len(given)} dicts for {n} devices")
    return list(given)


def _take(array, rows, axis):
    """Rows of `array` along `axis`; all of it where it has no batch axis."""
    if axis < 0:
        return array
    return array[rows] if axis == 0 else array[(slice(None),) * axis + (rows,)]


def _assign(target, source):
    """Copy `source` (NDArray or NumPy) into `target`, whatever its context and dtype."""
    if isinstance(source, nd.NDArray):
        source.copyto(target)
    else:
        target[:] = source


def _load(name, target, source):
    """`_assign` to the input `name`. MXNetError naming it where the shapes do not agree."""
    try:
        _assign(target, source)
    except (MXNetError, ValueError) as error:
        raise MXNetError(f"{name!r} is bound with shape {tuple(target.shape)}, but the batch gives "
                         f"{tuple(source.shape)}: {error}") from None


class _Bound:
    """The executors of one set of input shapes, and their input arrays by name, both a list over devices."""

    def __init__(self, slices, execs, inputs):
        self.slices, self.execs, self.inputs = slices, execs, inputs
        self.step = self.losses_only = None     # of one executor on a GPU: its train step, and whether it can have one


class DataParallelExecutorGroup:
    """Executors of `symbol` on each of `contexts`, on slices of the batch that `work_load` weighs.

    Parameters, gradients and auxiliary states exist once a device, in dicts by name, and are shared with
    `shared_group` if given. `group2ctxs`: a dict of contexts by ctx_group, or None, a device. Labels are optional:
    where none are given their shapes are inferred.
    """

    def __init__(self, symbol, contexts, work_load, param_names, data_names, label_names, state_names,
                 fixed_param_names, for_training, inputs_need_grad, grad_req, shared_group=None, group2ctxs=None):
        self.group2ctxs = group2ctxs or [None] * len(contexts)
        self.symbol, self.contexts, self.work_load = symbol, contexts, work_load
        self.arg_names, self.aux_names = symbol.list_arguments(), symbol.list_auxiliary_states()
        self.output_names = symbol.list_outputs()
        self.param_names, self.data_names, self.label_names = param_names, data_names, label_names
        self.state_names = state_names
        self.for_training = for_training
        self.grad_req = self._requests(grad_req, fixed_param_names, inputs_need_grad)
        self._shared = shared_group
        none = [{} for _ in contexts]
        self._params = shared_group._params if shared_group else none
        self._grads = shared_group._grads if shared_group else [{} for _ in contexts]
        self._aux = shared_group._aux if shared_group else [{} for _ in contexts]
        # On a GPU parameters lie side by side, and so do gradients: a list of regions a device, alike on all of them.
        self._param_regions = shared_group._param_regions if shared_group else [[] for _ in contexts]
        self._grad_regions = shared_group._grad_regions if shared_group else [[] for _ in contexts]
        self.on_gpu = any([context.device_type == "gpu" for context in contexts])
        if self.on_gpu and len({context for context in contexts if context.device_type == "gpu"}) != len(contexts):
            raise MXNetError(f"a Module runs on GPUs that are all different, or on CPU contexts, not on {contexts}")
        self._device_update = None
        self._bounds = OrderedDict()
        self._now = None
        self._monitors = []
        self.data_shapes = self.label_shapes = None
        self._output_axes = [DataDesc.get_batch_axis(symbol[i].attr("__layout__"))
                             for i in range(len(self.output_names))]

    def _requests(self, grad_req, fixed, inputs_need_grad):
        """name -> "write", "add" or "null" for every argument."""
        default = grad_req if isinstance(grad_req, str) else "write"
        wanted = dict.fromkeys(self.arg_names, "null")
        wanted.update((name, "null" if name in fixed else default) for name in self.param_names)
        if inputs_need_grad:
            wanted.update((name, default) for name in self.data_names)
        if isinstance(grad_req, (list, tuple)):
            if len(grad_req) != len(self.arg_names):
                raise ValueError(f"grad_req has {len(grad_req)} entries for {len(self.arg_names)} arguments")
            wanted = dict(zip(self.arg_names, grad_req))
        elif isinstance(grad_req, dict):
            wanted.update(grad_req)
        elif not isinstance(grad_req, str):
            raise ValueError("grad_req must be a string, a list or a dict")
        return wanted if self.for_training else dict.fromkeys(self.arg_names, "null")

    # Binding

    def reshape(self, data_shapes, label_shapes):
        """Bind for these DataDescs (labels: or None), or take the executors that were bound for them before."""
        self.data_shapes, self.label_shapes = data_shapes, label_shapes or None
        descs = list(data_shapes) + list(label_shapes or [])
        key = tuple((d.name, tuple(d.shape), np.dtype(d.dtype).str if d.dtype != "bfloat16" else d.dtype, d.layout)
                    for d in descs)
        if key not in self._bounds:
            self._bounds[key] = self._bind(descs)
            if len(self._bounds) > _KEPT_SHAPES:
                self._bounds.popitem(last=False)
        self._bounds.move_to_end(key)
        self._now = self._bounds[key]
        self._axis = {d.name: DataDesc.get_batch_axis(d.layout) for d in descs}

    def _bind(self, descs):
        sizes = {d.shape[axis] for d in descs if (axis := DataDesc.get_batch_axis(d.layout)) >= 0 and len(d.shape)}
        if len(self.contexts) == 1:
            slices = [slice(0, max(sizes, default=0))]
        elif len(sizes) == 1:
            slices = split_batch(sizes.pop(), self.work_load)
        else:
            raise ValueError(f"all data must have the same batch size to be split over devices, not {sorted(sizes)}")
        sharer = self._now or (self._shared._now if self._shared else None)
        execs, inputs = [], []
        for k, rows in enumerate(slices):
            shapes = {d.name: self._share_of(d, rows) for d in descs}
            executor, arrays = self._bind_one(k, shapes, {d.name: d.dtype for d in descs}, sharer and sharer.execs[k])
            execs.append(executor)
            inputs.append(arrays)
            for monitor in self._monitors:
                monitor.install(executor)
        return _Bound(slices, execs, inputs)

    def _share_of(self, desc, rows):
        """The shape of one device's part of an input."""
        axis = DataDesc.get_batch_axis(desc.layout)
        shape = tuple(desc.shape)
        if axis < 0 or len(self.contexts) == 1:
            return shape
        return shape[:axis] + (rows.stop - rows.start,) + shape[axis + 1:]

    def _bind_one(self, k, shapes, dtypes, shared_exec):
        """The executor on device `k`, and its input arrays by name."""
        context, group2ctx = self.contexts[k], self.group2ctxs[k]
        placed = variable_contexts(self.symbol, context, group2ctx)
        arg_shapes, _, aux_shapes = self.symbol.infer_shape(**shapes)
        arg_types, _, aux_types = self.symbol.infer_type(**dtypes)
        if arg_shapes is None or arg_types is None:
            raise MXNetError(f"the shapes or dtypes of the arguments can not be inferred from {shapes}")

        def array(table, name, shape, dtype):
            if name not in table:
                table[name] = nd.zeros(shape, ctx=placed[name], dtype=dtype)
            elif tuple(table[name].shape) != tuple(shape):
                raise MXNetError(f"parameter {name} has shape {table[name].shape}, but for inputs {shapes} it would "
                                 f"have to be {shape}")
            return table[name]

        params, inputs, args, grads = set(self.param_names), {}, {}, {}
        if self.on_gpu:
            self._lay_out(k, [part for part in zip(self.arg_names, arg_shapes, arg_types) if part[0] in params])
        for name, shape, dtype in zip(self.arg_names, arg_shapes, arg_types):
            args[name] = array(self._params[k] if name in params else inputs, name, shape, dtype)
            if self.grad_req[name] != "null":
                # A parameter's gradient outlives the shape of the batch (it may be added to); an input's does not.
                table = self._grads[k] if name in params else grads
                grads[name] = array(table, name, shape, dtype)
        aux = {name: array(self._aux[k], name, shape, dtype)
               for name, shape, dtype in zip(self.aux_names, aux_shapes, aux_types)}
        return self._make_executor(context, args, grads, aux, group2ctx, shared_exec), inputs

    def _make_executor(self, context, args, grads, aux, group2ctx, shared_exec):
        return self.symbol.bind(context, args, args_grad=grads, grad_req=self.grad_req, aux_states=aux,
                                group2ctx=group2ctx, shared_exec=shared_exec)

    def _lay_out(self, k, parts):
        """Regions for those parameters `parts`, (name, shape, dtype), and their gradients, that there are none of."""
        from ..gpu.regions import Regions
        for table, regions, wanted in ((self._params[k], self._param_regions[k], parts),
                                       (self._grads[k], self._grad_regions[k],
                                        [part for part in parts if self.grad_req[part[0]] != "null"])):
            new = [part for part in wanted if part[0] not in table]
            if new:
                regions.append(Regions(self.contexts[k], new))
                table.update(regions[-1].views)

    @property
    def execs(self):
        """The executors, one a device."""
        return self._now.execs

    @property
    def slices(self):
        """The rows of the batch that each device gets."""
        return self._now.slices

    @property
    def batch_size(self):
        """The number of rows over all devices."""
        return self._now.slices[-1].stop

    @property
    def param_arrays(self):
        """For each parameter a list of its array on each device."""
        return [[table[name] for table in self._params] for name in self.param_names]

    @property
    def grad_arrays(self):
        """For each parameter a list of its gradient on each device, None where it has none."""
        return [[table.get(name) if self.grad_req[name] != "null" else None for table in self._grads]
                for name in self.param_names]

    @property
    def aux_arrays(self):
        """For each auxiliary state a list of its array on each device."""
        return [[table[name] for table in self._aux] for name in self.aux_names]

    # Parameters

    def set_params(self, arg_params, aux_params, allow_extra=False):
        """Copy values to every device. ValueError for a name that the symbol does not have, unless `allow_extra`."""
        inputs = set(self.arg_names)
        for what, tables, given in (("arguments", self._params, arg_params), ("auxiliary states", self._aux,
                                                                                aux_params)):
            for name, value in (given or {}).items():
                if name not in tables[0]:
                    if not allow_extra and name not in inputs:
                        raise ValueError(f'Find name "{name}" that is not in the {what}')
                    continue
                for table in tables:
                    if tuple(table[name].shape) != tuple(value.shape):
                        raise MXNetError(f"{name} has shape {value.shape}, but the bound network needs "
                                         f"{table[name].shape}")
                    _assign(table[name], value)

    def get_params(self, arg_params, aux_params):
        """Copy the values into these dicts' arrays; auxiliary states are averaged over devices."""
        for names, tables, target in ((self.param_names, self._params, arg_params),
                                      (self.aux_names, self._aux, aux_params)):
            for name in names:
                values = [table[name] for table in tables]
                if len(values) > 1:
                    host = sum(value.asnumpy() for value in values) / len(values)
                    values = [nd.array(host, ctx=cpu(), dtype=values[0].dtype)]
                if name in target:
                    values[0].copyto(target[name])
                else:
                    target[name] = values[0].copyto(cpu())

    def update(self, updater, index_of, sums=None):
        """Add up each parameter's gradients, update the first device's value and copy it to the others; on GPUs `sums`
        adds up and every one updates its own.

        `index_of(name)` is the number under which `updater` knows the parameter.
        """
        if self.on_gpu:
            self.device_update(updater, index_of, sums).run()
            return
        first, gradients, names = self._params[0], self._grads[0], self._trained()
        weights, grads = [first[name] for name in names], [gradients[name] for name in names]
        for table in self._grads[1:]:
            grads = [grad + table[name].as_in_context(grad.context) for grad, name in zip(grads, names)]
        updater([index_of(name) for name in names], grads, weights)
        for table in self._params[1:]:
            for name, weight in zip(names, weights):
                weight.copyto(table[name])

    def _trained(self):
        """Names of the parameters that have gradients."""
        return [name for name in self.param_names if self.grad_req[name] != "null" and name in self._grads[0]]

    def device_update(self, updater, index_of, sums=None):
        """The :class:`~mxlite.module.device_update.DeviceUpdate` on GPUs; the same object for the same arguments."""
        held = self._device_update
        if held is None or held.updater is not updater or held.sums is not sums:
            from .device_update import DeviceUpdate
            names, n = self._trained(), len(self.contexts)      # a shared group may be on more devices
            held = self._device_update = DeviceUpdate(
                updater, [index_of(name) for name in names], names, self.contexts, self._params[:n], self._grads[:n],
                self._param_regions[:n], self._grad_regions[:n], sums)
        return held

    def train_step(self, updater, index_of):
        """Forward, backward and update of the loaded batch as one run. False, with nothing done, where that takes
        several: more than one device, the CPU, a monitor, outputs that are no loss, an optimizer without a
        kernel."""
        now = self._now
        if not (self.on_gpu and len(self.contexts) == 1 and self.for_training and now.execs[0]._monitor is None):
            return False
        if now.losses_only is None:
            now.losses_only = now.execs[0]._bound.losses_only()
        if not now.losses_only:
            return False
        update = self.device_update(updater, index_of)
        if not update.flat.begin():
            return False
        if now.step is None:
            from ..gpu.step import TrainStep
            now.step = TrainStep(now.execs[0]._bound)
        try:
            now.step.run(update.flat.tables[0])
        except BaseException:
            update.flat.undo()
            raise
        finally:
            update.touched()
        return True

    # Running

    def load(self, batch):
        """Copy a DataBatch (or a list of them, one a device) into the inputs."""
        batches = batch if isinstance(batch, list) else None
        if batches is not None and len(batches) != len(self.contexts):
            raise ValueError(f"{len(batches)} batches for {len(self.contexts)} devices")
        for k, (rows, inputs) in enumerate(zip(self._now.slices, self._now.inputs)):
            part = batches[k] if batches else batch
            split = not batches and len(self.contexts) > 1
            for descs, names, arrays in ((self.data_shapes, self.data_names, part.data),
                                         (self.label_shapes, self.label_names, getattr(part, "label", None))):
                names = [d.name for d in descs] if descs else names
                for name, array in zip(names, arrays or ()):
                    if name in inputs:
                        _load(name, inputs[name], _take(array, rows, self._axis.get(name, 0)) if split else array)

    def forward(self, is_train=None):
        """Run on what was loaded. `is_train` defaults to how it was bound."""
        for executor in self._now.execs:
            executor.forward(is_train=self.for_training if is_train is None else is_train)

    def backward(self, out_grads=None):
        """Run backward; `out_grads` are the heads' gradients for the whole batch (an NDArray or a list)."""
        if not self.for_training:
            raise AssertionError("re-bind with for_training=True to run backward")
        if isinstance(out_grads, nd.NDArray):
            out_grads = [out_grads]
        for k, (rows, executor) in enumerate(zip(self._now.slices, self._now.execs)):
            heads = [(_take(grad, rows, axis) if len(self.contexts) > 1 else grad).as_in_context(self.contexts[k])
                     for grad, axis in zip(out_grads or (), self._output_axes)]
            executor.backward(heads or None)

    def _merged(self, by_device, axes, merge):
        """`by_device[k][i]` as one array an i (joined along its axis, on the first device), or as a list over k."""
        by_array = [list(arrays) for arrays in zip(*by_device)]
        if not merge:
            return by_array
        if len(self.contexts) == 1:
            return [arrays[0] for arrays in by_array]
        return [nd.concat(*(a.as_in_context(self.contexts[0]) for a in arrays), dim=axis) if axis >= 0 else arrays[0]
                for arrays, axis in zip(by_array, axes)]

    def get_outputs(self, merge_multi_context=True):
        """The outputs for the whole batch, or a list over devices for each."""
        return self._merged([executor.outputs for executor in self.execs], self._output_axes, merge_multi_context)

    def get_output_shapes(self):
        """(name, shape) of the outputs for the whole batch."""
        shapes = []
        for i, (name, axis) in enumerate(zip(self.output_names, self._output_axes)):
            parts = [tuple(executor.outputs[i].shape) for executor in self.execs]
            shape = parts[0]
            if axis >= 0 and len(parts) > 1:
                shape = shape[:axis] + (sum(part[axis] for part in parts),) + shape[axis + 1:]
            shapes.append((name, shape))
        return shapes

    def get_input_grads(self, merge_multi_context=True):
        """The gradients of the data for the whole batch, or a list over devices for each."""
        names = [desc.name for desc in self.data_shapes]
        grads = [[executor.grad_dict[name] for name in names] for executor in self.execs]
        return self._merged(grads, [self._axis[name] for name in names], merge_multi_context)

    def get_states(self, merge_multi_context=True):
        """The state inputs' arrays for the whole batch, or a list over devices for each."""
        states = [[inputs[name] for name in self.state_names] for inputs in self._now.inputs]
        return self._merged(states, [0] * len(self.state_names), merge_multi_context)

    def set_states(self, states=None, value=None):
        """Set the state inputs to `states` (as `get_states(False)` gives them, or merged) or all to a number."""
        if (states is None) == (value is None):
            raise AssertionError("Only one of states and value can be specified")
        for i, name in enumerate(self.state_names):
            for k, (rows, inputs) in enumerate(zip(self._now.slices, self._now.inputs)):
                if states is None:
                    inputs[name][:] = value
                elif isinstance(states[i], (list, tuple)):
                    _assign(inputs[name], states[i][k])
                else:
                    _assign(inputs[name], states[i][rows] if len(self.contexts) > 1 else states[i])

    def update_metric(self, eval_metric, labels, pre_sliced=False):
        """Update the metric from the outputs and `labels` (of the whole batch, or if `pre_sliced` a list a device)."""
        names = [d.name for d in self.label_shapes] if self.label_shapes else self.label_names
        for k, (rows, executor) in enumerate(zip(self.slices, self.execs)):
            if pre_sliced:
                mine = labels[k] or ()
            elif len(self.contexts) == 1:
                mine = labels or ()
            else:
                mine = [_take(label, rows, self._axis.get(name, 0)) for name, label in zip(names, labels or ())]
            eval_metric.update_dict(OrderedDict(zip(names, mine)), OrderedDict(zip(self.output_names,
                                                                                   executor.outputs)))

    def install_monitor(self, monitor):
        """Install `monitor` on all executors, those bound later too."""
        self._monitors.append(monitor)
        for bound in self._bounds.values():
            for executor in bound.execs:
                monitor.install(executor)


# What Module runs; mx.contrib.amp.init puts the class of mixed precision here.
group_class = DataParallelExecutorGroup
