"""What all cells have in common: their parameters, first states, unrolling, packed and unpacked weights."""
from .. import ndarray as nd
from .. import symbol as sym
from ..symbol import Symbol

__all__ = ["RNNParams", "BaseRNNCell"]


class RNNParams:
    """The variables of a cell by name, made when they are first asked for. Cells share parameters by sharing one."""

    def __init__(self, prefix=""):
        self._prefix = prefix
        self._params = {}

    def get(self, name, **kwargs):
        """The variable `prefix` + `name`; `kwargs` go to :func:`mx.sym.Variable` when it is made."""
        name = self._prefix + name
        if name not in self._params:
            self._params[name] = sym.Variable(name, **kwargs)
        return self._params[name]


def sequence(length, inputs, layout, merge, in_layout=None):
    """(`inputs` as one symbol (`merge`), as a list of steps (not `merge`) or as they are (None), axis of the steps).

    `inputs` is one symbol laid out as `in_layout` (default `layout`), or a list of symbols (batch, channels), a step
    each.
    """
    if inputs is None:
        raise AssertionError("unroll(inputs=None) is no longer supported: make the input variables outside of unroll")
    axis = layout.find("T")
    in_axis = axis if in_layout is None else in_layout.find("T")
    if isinstance(inputs, Symbol):
        if merge is False:
            if len(inputs.list_outputs()) != 1:
                raise AssertionError("unroll takes no symbol of several outputs: give list(inputs), or one symbol of "
                                     "all steps")
            inputs = list(sym.split(inputs, axis=in_axis, num_outputs=length, squeeze_axis=1))
    else:
        if length is not None and len(inputs) != length:
            raise AssertionError(f"{len(inputs)} inputs for {length} steps")
        if merge is True:
            inputs = sym.Concat(*[sym.expand_dims(step, axis=axis) for step in inputs], dim=axis)
            in_axis = axis
    if isinstance(inputs, Symbol) and axis != in_axis:
        inputs = sym.swapaxes(inputs, dim1=axis, dim2=in_axis)
    return inputs, axis


class BaseRNNCell:
    """Base of all cells. ``output, states = cell(inputs, states)`` makes the symbols of one step.

    `prefix` is put before the names of parameters and nodes; `params` is an :class:`RNNParams` to take the parameters
    from, None for one of the cell's own.
    """

    def __init__(self, prefix="", params=None):
        self._own_params = params is None
        self._prefix = prefix
        self._params = RNNParams(prefix) if params is None else params
        self._modified = False
        self.reset()

    def reset(self):
        """Count steps from 0 again: for a second graph of the same cell."""
        self._init_counter = -1
        self._counter = -1
        for cell in getattr(self, "_cells", ()):
            cell.reset()

    def __call__(self, inputs, states):
        """The symbols (output, states) of one step, from the input (batch, channels) and a list of states."""
        raise NotImplementedError(f"{type(self).__name__} has no step")

    def _step(self):
        """The name of the next step's nodes."""
        self._counter += 1
        return f"{self._prefix}t{self._counter}_"

    @property
    def params(self):
        """The cell's :class:`RNNParams`."""
        self._own_params = False
        return self._params

    @property
    def state_info(self):
        """A dict `shape`, `__layout__` for each state; 0 is the unknown size of the batch."""
        raise NotImplementedError(f"{type(self).__name__} has no states of its own")

    @property
    def state_shape(self):
        """The shapes of :attr:`state_info`."""
        return [info["shape"] for info in self.state_info]

    @property
    def _gate_names(self):
        return ()

    def _steppable(self):
        if self._modified:
            raise AssertionError("a cell inside of a modifier (ZoneoutCell, ResidualCell) is not used by itself: use "
                                 "the modifier")

    def begin_state(self, func=sym.zeros, **kwargs):
        """The first states: a symbol ``func(name=..., shape=..., __layout__=...)`` each; zeros unless told otherwise.
        ``func=mx.sym.Variable`` makes them inputs. `kwargs` go to `func`, too."""
        self._steppable()
        states = []
        for info in self.state_info:
            self._init_counter += 1
            states.append(func(name=f"{self._prefix}begin_state_{self._init_counter}", **{**kwargs, **(info or {})}))
        return states

    def unpack_weights(self, args):
        """A copy of the dict `args` (name -> NDArray) in which each gate has arrays of its own."""
        args = dict(args)
        for group in ("i2h", "h2h") if self._gate_names else ():
            whole = [(kind, args.pop(f"{self._prefix}{group}_{kind}")) for kind in ("weight", "bias")]
            for i, gate in enumerate(self._gate_names):
                rows = slice(i * self._num_hidden, (i + 1) * self._num_hidden)
                args.update((f"{self._prefix}{group}{gate}_{kind}", array[rows].copy()) for kind, array in whole)
        return args

    def pack_weights(self, args):
        """The inverse of :meth:`unpack_weights`."""
        args = dict(args)
        for group in ("i2h", "h2h") if self._gate_names else ():
            for kind in ("weight", "bias"):
                parts = [args.pop(f"{self._prefix}{group}{gate}_{kind}") for gate in self._gate_names]
                args[f"{self._prefix}{group}_{kind}"] = nd.concat(*parts, dim=0)
        return args

    def unroll(self, length, inputs, begin_state=None, layout="NTC", merge_outputs=None):
        """(outputs, last states) of `length` steps.

        `inputs` is one symbol laid out as `layout` ("NTC": batch, steps, channels; "TNC") or a list of `length`
        symbols (batch, channels). `begin_state` is a list of first states (default :meth:`begin_state`). With
        `merge_outputs` outputs are one symbol laid out likewise; with False a list, one a step; with None whichever
        comes for free.
        """
        self.reset()
        inputs, _ = sequence(length, inputs, layout, False)
        states, outputs = self.begin_state() if begin_state is None else begin_state, []
        for step in inputs:
            output, states = self(step, states)
            outputs.append(output)
        return sequence(length, outputs, layout, merge_outputs)[0], states

    def _activation(self, inputs, activation, **kwargs):
        """`activation` (the name of one, or a function of a symbol) on `inputs`."""
        if isinstance(activation, str):
            return sym.Activation(inputs, act_type=activation, **kwargs)
        return activation(inputs, **kwargs)


_ELSEWHERE = {"RNNCell": "cells", "LSTMCell": "cells", "GRUCell": "cells", "FusedRNNCell": "fused",
              "SequentialRNNCell": "stacks", "BidirectionalCell": "stacks", "ModifierCell": "modifiers",
              "DropoutCell": "modifiers", "ZoneoutCell": "modifiers", "ResidualCell": "modifiers"}


def __getattr__(name):
    # All cells are found here, as in MXNet, whose files are cut otherwise.
    from importlib import import_module

    from ..namespace import missing
    if name not in _ELSEWHERE:
        raise missing(__name__, name)
    return getattr(import_module(f"{__package__}.{_ELSEWHERE[name]}"), name)
