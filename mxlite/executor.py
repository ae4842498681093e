"""The Executor: a symbol bound to arrays, ready to run forward and backward."""
import warnings

import numpy as np

from ._core.errors import MXNetError
from .ndarray import NDArray

__all__ = ["Executor"]

# Operators of one input that name it: in a monitor, MXNet calls the one input of any other `input0`.
_NAMES_ITS_INPUT = frozenset("""
    Dropout L2Normalization LRN LeakyReLU MakeLoss Pad Pooling Pooling_v1 SequenceLast SequenceMask SequenceReverse
    SliceChannel SwapAxis UpSampling _histogram _ravel_multi_index _split_v2 _unravel_index all_finite col2im
    depth_to_space diag im2col log_softmax moments repeat reverse softmax space_to_depth squeeze tile""".split())


def _input_name(node, label):
    unnamed = label == "data" and len(node.inputs) == 1 and node.op.name not in _NAMES_ITS_INPUT
    return "input0" if unnamed else label


class Executor:
    """Made by ``Symbol.bind`` and ``Symbol.simple_bind``.

    ``arg_arrays``, ``grad_arrays``, ``aux_arrays`` and ``outputs`` are lists in the symbol's order; ``arg_dict`` and
    the others are the same by name. Writing into a bound array changes what the next run sees.
    """

    def __init__(self, symbol, bound, ctx, grad_req, group2ctx):
        self._symbol, self._bound, self._ctx, self._grad_req, self._group2ctx = symbol, bound, ctx, grad_req, group2ctx
        self.arg_arrays = bound.args
        self.grad_arrays = bound.grads
        self.aux_arrays = bound.aux
        self._outputs = list(bound.outputs)
        self._dicts = {}
        self._monitor = None

    # -- running ----------------------------------------------------------------------------------------------------

    @property
    def outputs(self):
        """The output arrays. Every forward overwrites them in place."""
        return self._outputs

    def forward(self, is_train=False, **kwargs):
        """Compute the outputs and return them, a list of NDArray.

        ``name=array`` (NDArray or NumPy) first copies into that argument. TypeError for an unknown name, ValueError
        for a wrong shape or kind of value, MXNetError where an operator fails.
        """
        if kwargs:
            self._feed(kwargs)
        if self._monitor is not None:
            self._run_monitored(bool(is_train))
        else:
            self._bound.forward(bool(is_train))
        return self.outputs

    def _feed(self, values):
        args = self.arg_dict
        for name, value in values.items():
            if name not in args:
                raise TypeError(f"Unknown argument {name}; the arguments are {', '.join(args)}")
            if not isinstance(value, (NDArray, np.ndarray)):
                raise ValueError(f"only accept keyword argument of NDArrays and numpy.ndarray; {name} is "
                                 f"{type(value).__name__}")
            if tuple(value.shape) != args[name].shape:
                raise ValueError(f"Shape not match! Argument {name}, need: {args[name].shape}, received: "
                                 f"{tuple(value.shape)}")
            args[name][:] = value

    def backward(self, out_grads=None, is_train=True):
        """Compute the gradients of the last forward's outputs into ``grad_arrays``.

        `out_grads`: an NDArray, a list of them, or a dict by output name: the gradients of some further loss with
        respect to the outputs. Not needed where every output is a loss (SoftmaxOutput, MakeLoss, ...).
        """
        if out_grads is None:
            grads = []
        elif isinstance(out_grads, NDArray):
            grads = [out_grads]
        elif isinstance(out_grads, dict):
            names = self._symbol.list_outputs()
            for k in out_grads:
                if k not in names:
                    raise ValueError(f"out_grads names {k!r}; the outputs are {', '.join(names)}")
            grads = [out_grads.get(n) for n in names]
        elif isinstance(out_grads, (list, tuple)):
            grads = list(out_grads)
        else:
            raise TypeError(f"out_grads must be an NDArray, a list or a dict, got {type(out_grads).__name__}")
        for g in grads:
            if g is not None and not isinstance(g, NDArray):
                raise TypeError(f"inputs must be NDArray, got {type(g).__name__}")
        self._bound.backward(grads, bool(is_train))

    def warm_up(self, is_train=False):
        """Plan, compile and tune now what `forward` (with `is_train` also `backward`) would the first times it is
        called; on a GPU, capture its CUDA graphs. Outputs, gradients and auxiliary states keep their values."""
        self._bound.warm_up(bool(is_train))

    # -- by name ----------------------------------------------------------------------------------------------------

    @property
    def arg_dict(self):
        """{argument name: its array}."""
        return self._named("arg", self._symbol.list_arguments, self.arg_arrays)

    @property
    def grad_dict(self):
        """{argument name: its gradient array, or None}."""
        return self._named("grad", self._symbol.list_arguments, self.grad_arrays)

    @property
    def aux_dict(self):
        """{auxiliary state name: its array}."""
        return self._named("aux", self._symbol.list_auxiliary_states, self.aux_arrays)

    @property
    def output_dict(self):
        """{output name: its array}."""
        return self._named("output", self._symbol.list_outputs, self._bound.outputs)

    def _named(self, what, list_names, arrays):
        if what not in self._dicts:
            names = list_names()
            if len(set(names)) != len(names):
                raise ValueError(f"Duplicate names detected, {names}")
            self._dicts[what] = dict(zip(names, arrays))
        return self._dicts[what]

    # -- parameters and shapes --------------------------------------------------------------------------------------

    def copy_params_from(self, arg_params, aux_params=None, allow_extra_params=False):
        """Copy arrays by name into the arguments and auxiliary states, in their dtypes.

        ValueError for a name that is none, unless `allow_extra_params`; MXNetError for an array of another shape;
        TypeError for what is no dict of arrays. Nothing is copied then.
        """
        copies = []
        for given, own, what in ((arg_params, self.arg_dict, "arguments"),
                                 ({} if aux_params is None else aux_params, self.aux_dict, "auxiliary states")):
            if not isinstance(given, dict):
                raise TypeError(f"the {what} must be a dict of arrays by name, got {type(given).__name__}")
            for name, array in given.items():
                if name not in own:
                    if not allow_extra_params:
                        raise ValueError(f'Find name "{name}" that is not in the {what}: {", ".join(own) or "none"}')
                    continue
                if not isinstance(array, (NDArray, np.ndarray)):
                    raise TypeError(f"{name!r} must be an NDArray, got {type(array).__name__}")
                if tuple(array.shape) != own[name].shape:
                    raise MXNetError(f"copy_params_from: {name!r} has shape {tuple(array.shape)}, the executor's has "
                                     f"{own[name].shape}")
                copies.append((own[name], array))
        for target, array in copies:
            target[:] = array

    def reshape(self, partial_shaping=False, allow_up_sizing=False, **kwargs):
        """An executor of the same symbol for other input shapes, sharing parameters and memory with this one.

        MXNetError where an argument that is not named would change its shape (unless `partial_shaping`) or where an
        array would grow (unless `allow_up_sizing`).
        """
        from . import ndarray as nd
        names = self._symbol.list_arguments()
        given = {k: v for k, v in kwargs.items() if k in names}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")         # said below, as an error
            shapes, _, aux_shapes = self._symbol.infer_shape(**given)
        if shapes is None:
            raise MXNetError(f"reshape: the shapes given ({', '.join(given) or 'none'}) do not decide all others; name "
                             f"every input whose shape changes")

        def fit(name, new, old, named):
            if old is None or old.shape == new:
                return old
            if not named and not partial_shaping:
                raise MXNetError(f"reshape: the shape of argument {name!r} changes from {old.shape} to {new} though "
                                 f"it was not given; name it, or set partial_shaping=True")
            size = 1
            for d in new:
                size *= d
            if size > old.size:
                if not allow_up_sizing:
                    raise MXNetError(f"reshape: {name!r} grows from {old.shape} to {new}; bind the largest shape "
                                     f"first, or set allow_up_sizing=True to allocate a new array")
                return nd.zeros(new, ctx=old.context, dtype=old.dtype)
            return old.part(0, new)
        args = {n: fit(n, s, a, n in given) for n, s, a in zip(names, shapes, self.arg_arrays)}
        grads = {n: fit(n, s, a, n in given) for n, s, a in zip(names, shapes, self.grad_arrays) if a is not None}
        aux = {n: fit(n, s, a, False) for n, s, a in zip(self._symbol.list_auxiliary_states(), aux_shapes,
                                                         self.aux_arrays)}
        return self._symbol.bind(self._ctx, args, grads or None, self._grad_req, aux, self._group2ctx, self)

    # -- looking inside ---------------------------------------------------------------------------------------------

    def set_monitor_callback(self, callback, monitor_all=False):
        """Call ``callback(name, array)`` for every node's outputs (and inputs, with `monitor_all`) in each forward.

        Names are MXNet's (``fc1_output``); arrays are copies. None stops monitoring.
        """
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be a function of name and array, or None, got {type(callback).__name__}")
        self._monitor, self._monitor_all = callback, monitor_all

    def _run_monitored(self, is_train):
        """A forward that shows every entry to the monitor, from a program of its own that keeps them all."""
        from .symbol.symbol import entry_name
        for node, index, array, reader, label in self._bound.forward_monitored(is_train):
            if reader is None:
                self._monitor(entry_name(node, index), array)
            elif self._monitor_all:
                if node.op is None:
                    self._monitor(node.name, array)
                self._monitor(f"{reader.name}_{_input_name(reader, label)}", array)

    def memory_plan(self, mode=None):
        """Bytes that the planner gave out, a dict: ``entries`` (arena for intermediate results), ``outputs``,
        ``planned`` (their sum), ``lower_bound`` (most bytes alive at once), ``workspace``, ``arguments``, ..."""
        return self._bound.memory_plan(mode)

    def explain(self, mode=None):
        """The bound program as a table; see :func:`mxlite.explain`."""
        from .program_table import table
        return table(self._bound, mode)

    def debug_str(self):
        """The graph that runs, with its backward nodes, as text; closed by the bytes that the executor allocated."""
        from .symbol.compose import text_of
        mode, plan = self._bound.mode_named(None), self.memory_plan()
        draft, lowered = self._bound.draft(mode)[0], self._bound.program(mode)
        targets = {id(a) for a in self.grad_arrays if a is not None}
        heads = list(self._bound.entries)
        heads += [(draft.nodes[row], i) for row in draft.rows if draft.backward[row] and draft.nodes[row].op is not None
                  for i, e in enumerate(draft.outs[row]) if id(draft.pinned.get(e)) in targets]
        scratch = sum(launch.work > 0 for launch in lowered.launches.values())
        return (text_of([draft.nodes[row] for row in draft.rows], heads)
                + f"Total {plan['arena'] + plan['outputs'] >> 20} MB allocated\n"
                + f"Total {scratch} TempSpace resource requested\n")

    def get_optimized_symbol(self):
        """The symbol that was bound: MXNet shows here what a backend made of it, and lowering keeps the symbol."""
        return self._symbol
