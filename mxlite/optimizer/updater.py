"""An optimizer with the states of all parameters, and how these states are stored."""
import io
import pickle
import struct
from collections import namedtuple

from .. import ndarray as nd

__all__ = ["Updater", "get_updater"]

# An NDArray inside a pickle: its values, so that the file does not depend on how the array class stores them.
_Saved = namedtuple("_Saved", ["values"])


def map_arrays(state, kind, function):
    """`state` with every `kind` in it, however deep in tuples, lists and dicts, replaced by ``function(of it)``."""
    if isinstance(state, kind):
        return function(state)
    if isinstance(state, dict):
        return {key: map_arrays(value, kind, function) for key, value in state.items()}
    if type(state) in (tuple, list):
        return type(state)(map_arrays(value, kind, function) for value in state)
    return state


class _MXNetArray:
    """Stands in for MXNet's NDArray while its pickle is read: it is stored as one record of a ``.params`` file."""

    def __init__(self, *_):
        self.record = b""

    def __setstate__(self, state):
        self.record = bytes(state["handle"])

    def load(self):
        one_array = struct.pack("<QQQ", 0x112, 0, 1) + self.record + struct.pack("<Q", 0)
        return nd.load_frombuffer(one_array)[0]


class _StateReader(pickle.Unpickler):
    """Reads what `Updater.get_states` wrote, here or in MXNet."""

    def find_class(self, module, name):
        if module.startswith("mxnet."):
            if name == "NDArray":
                return _MXNetArray
            from .base import Optimizer
            if module.startswith("mxnet.optimizer") and name.lower() in Optimizer.opt_registry:
                return Optimizer.opt_registry[name.lower()]
            module = "mxlite." + module[len("mxnet."):]
        return super().find_class(module, name)


class Updater:
    """``updater(index, grad, weight)`` updates `weight` by `optimizer`; it keeps the state of each index.

    The three may be lists, one entry a parameter.
    """

    def __init__(self, optimizer):
        self.optimizer = optimizer
        self.states = {}
        self.states_synced = {}         # whether a state is known to be where its weight is
        self.aggregate_updates = False
        self.flat_states = {}           # contexts of GPUs -> their FlatStates

    def __call__(self, index, grad, weight):
        if not isinstance(index, (list, tuple)):
            index, grad, weight = [index], [grad], [weight]
        states, synced, context = self.states, self.states_synced, None
        index = [i.decode() if isinstance(i, bytes) else i for i in index]
        first = 0
        for k, (i, w) in enumerate(zip(index, weight)):
            if w.context is not context:        # what lies on one context is updated together
                if k > first:
                    self._update(context, index[first:k], weight[first:k], grad[first:k])
                first, context = k, w.context
            if i not in states or not synced.get(i):
                self.make_state(i, w)
        if index:
            self._update(context, index[first:], weight[first:], grad[first:])

    def make_state(self, index, weight):
        """See to it that there is a state for parameter `index`, and that it is where `weight` is."""
        if index not in self.states:
            self.states[index] = self.optimizer.create_state_multi_precision(index, weight)
        elif not self.states_synced.get(index):
            self.states[index] = self.sync_state_context(self.states[index], weight.context)
        self.states_synced[index] = True

    def _update(self, context, index, weights, grads):
        self.optimizer._set_current_context(context.device_id)
        self.optimizer._update_each(index, weights, grads, [self.states[i] for i in index])

    def sync_state_context(self, state, context):
        """`state` with its arrays on `context`."""
        return map_arrays(state, nd.NDArray, lambda array: array.as_in_context(context))

    def get_states(self, dump_optimizer=False):
        """All states, and with `dump_optimizer` the optimizer (which must be picklable), as bytes for a file."""
        states = map_arrays(self.states, nd.NDArray, lambda array: _Saved(array.asnumpy()))
        return pickle.dumps((states, self.optimizer) if dump_optimizer else states)

    def set_states(self, states):
        """Take over what `get_states` returned, here or in MXNet 1.x. It is a pickle: read only files you trust."""
        states = _StateReader(io.BytesIO(states)).load()
        if isinstance(states, tuple) and len(states) == 2:
            states, self.optimizer = states
        states = map_arrays(states, _Saved, lambda saved: nd.array(saved.values, dtype=saved.values.dtype))
        self.states = map_arrays(states, _MXNetArray, _MXNetArray.load)
        self.states_synced = dict.fromkeys(self.states, False)


def get_updater(optimizer):
    """An :class:`Updater` of `optimizer`."""
    return Updater(optimizer)
