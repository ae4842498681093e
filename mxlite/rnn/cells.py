"""The plain cells: RNNCell, LSTMCell, GRUCell."""
from .. import symbol as sym
from ..initializer import LSTMBias
from .rnn_cell import BaseRNNCell

__all__ = ["RNNCell", "LSTMCell", "GRUCell"]


class _Gated(BaseRNNCell):
    """A cell of `num_hidden` units with a matrix and bias for its inputs and others for its states, gates stacked."""

    def __init__(self, num_hidden, prefix, params, **bias):
        super().__init__(prefix=prefix, params=params)
        self._num_hidden = num_hidden
        self._iW, self._iB = self.params.get("i2h_weight"), self.params.get("i2h_bias", **bias)
        self._hW, self._hB = self.params.get("h2h_weight"), self.params.get("h2h_bias")

    @property
    def state_info(self):
        return [{"shape": (0, self._num_hidden), "__layout__": "NC"}]

    def _sums(self, inputs, state, name):
        """What the inputs and the state add to the gates."""
        width = self._num_hidden * len(self._gate_names)
        return (sym.FullyConnected(inputs, self._iW, self._iB, num_hidden=width, name=name + "i2h"),
                sym.FullyConnected(state, self._hW, self._hB, num_hidden=width, name=name + "h2h"))


class RNNCell(_Gated):
    """``h = activation(W x + b + R h + c)`` (Elman 1990). `activation` names one of :func:`mx.sym.Activation`, or is a
    function of a symbol. The state is h."""

    def __init__(self, num_hidden, activation="tanh", prefix="rnn_", params=None):
        super().__init__(num_hidden, prefix, params)
        self._activation_name = activation

    @property
    def _gate_names(self):
        return ("",)

    def __call__(self, inputs, states):
        name = self._step()
        i2h, h2h = self._sums(inputs, states[0], name)
        output = self._activation(i2h + h2h, self._activation_name, name=name + "out")
        return output, [output]


class LSTMCell(_Gated):
    """Long short-term memory (Hochreiter and Schmidhuber 1997) with forget gates (Gers et al. 2000), whose biases begin
    at `forget_bias`. Gates are i, f, c, o; the states are h and c."""

    def __init__(self, num_hidden, prefix="lstm_", params=None, forget_bias=1.0):
        super().__init__(num_hidden, prefix, params, init=LSTMBias(forget_bias=forget_bias))

    @property
    def state_info(self):
        return 2 * super().state_info

    @property
    def _gate_names(self):
        return ["_i", "_f", "_c", "_o"]

    def __call__(self, inputs, states):
        name = self._step()
        i2h, h2h = self._sums(inputs, states[0], name)
        gates = sym.SliceChannel(i2h + h2h, num_outputs=4, name=name + "slice")
        into, forget, new, out = (sym.Activation(gates[k], act_type=act, name=name + gate) for k, (gate, act) in
                                  enumerate([("i", "sigmoid"), ("f", "sigmoid"), ("c", "tanh"), ("o", "sigmoid")]))
        kept, added = forget * states[1], into * new
        cell = sym.elemwise_add(kept, added, name=name + "state")
        hidden = sym.elemwise_mul(out, sym.Activation(cell, act_type="tanh"), name=name + "out")
        return hidden, [hidden, cell]


class GRUCell(_Gated):
    """A gated recurrent unit (Cho et al. 2014), the reset gate behind the state's matrix as in cuDNN. Gates are r, z,
    o; the state is h."""

    def __init__(self, num_hidden, prefix="gru_", params=None):
        super().__init__(num_hidden, prefix, params)

    @property
    def _gate_names(self):
        return ["_r", "_z", "_o"]

    def __call__(self, inputs, states):
        name = self._step()
        before = states[0]
        i2h, h2h = self._sums(inputs, before, name + "_")
        i2h_r, i2h_z, i2h_o = sym.SliceChannel(i2h, num_outputs=3, name=name + "_i2h_slice")
        h2h_r, h2h_z, h2h_o = sym.SliceChannel(h2h, num_outputs=3, name=name + "_h2h_slice")
        reset = sym.Activation(i2h_r + h2h_r, act_type="sigmoid", name=name + "_r_act")
        update = sym.Activation(i2h_z + h2h_z, act_type="sigmoid", name=name + "_z_act")
        new = sym.Activation(i2h_o + reset * h2h_o, act_type="tanh", name=name + "_h_act")
        added, kept = (1. - update) * new, update * before
        output = sym.elemwise_add(added, kept, name=name + "out")
        return output, [output]
