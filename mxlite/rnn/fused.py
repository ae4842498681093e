"""All layers and steps as one operator, RNN: the fastest form of the plain cells."""
import warnings

from .. import ndarray as nd
from .. import symbol as sym
from ..initializer import FusedRNN
from .cells import GRUCell, LSTMCell, RNNCell
from .modifiers import DropoutCell
from .rnn_cell import BaseRNNCell, sequence
from .stacks import BidirectionalCell, SequentialRNNCell

__all__ = ["FusedRNNCell"]

GATES = {"rnn_relu": [""], "rnn_tanh": [""], "lstm": ["_i", "_f", "_c", "_o"], "gru": ["_r", "_z", "_o"]}


class FusedRNNCell(BaseRNNCell):
    """`num_layers` layers of `num_hidden` units as one operator (:func:`mx.sym.RNN`), unrolled only as a whole.

    `mode` is ``"rnn_relu"``, ``"rnn_tanh"``, ``"lstm"`` or ``"gru"`` (ValueError for another), `dropout` the
    probability between layers, `get_next_state` whether :meth:`unroll` returns last states (else an empty list),
    `forget_bias` where the biases of an lstm's forget gates begin. All parameters are one vector,
    ``{prefix}parameters``; `prefix` is ``{mode}_`` where None.
    """

    def __init__(self, num_hidden, num_layers=1, mode="lstm", bidirectional=False, dropout=0., get_next_state=False,
                 forget_bias=1.0, prefix=None, params=None):
        if mode not in GATES:
            raise ValueError(f"mode {mode!r} is none of {', '.join(map(repr, GATES))}")
        super().__init__(prefix=f"{mode}_" if prefix is None else prefix, params=params)
        self._num_hidden, self._num_layers, self._mode = num_hidden, num_layers, mode
        self._bidirectional, self._dropout, self._get_next_state = bidirectional, dropout, get_next_state
        self._directions = ["l", "r"] if bidirectional else ["l"]
        self._parameter = self.params.get("parameters", init=FusedRNN(None, num_hidden, num_layers, mode, bidirectional,
                                                                      forget_bias))

    @property
    def state_info(self):
        count = len(self._directions) * self._num_layers
        return [{"shape": (count, 0, self._num_hidden), "__layout__": "LNC"} for _ in range(1 + (self._mode == "lstm"))]

    @property
    def _gate_names(self):
        return GATES[self._mode]

    @property
    def _num_gates(self):
        return len(self._gate_names)

    def _pieces(self, inputs):
        """[(name, shape)] of all gates' matrices and biases, in the vector's order; `inputs` is the first layer's."""
        size, found = self._num_hidden, []
        cells = [(layer, d) for layer in range(self._num_layers) for d in self._directions]
        for layer, d in cells:
            below = inputs if layer == 0 else size * len(self._directions)
            found += [(f"{self._prefix}{d}{layer}_{group}{gate}_weight", (size, columns))
                      for group, columns in (("i2h", below), ("h2h", size)) for gate in self._gate_names]
        return found + [(f"{self._prefix}{d}{layer}_{group}{gate}_bias", (size,)) for layer, d in cells
                        for group in ("i2h", "h2h") for gate in self._gate_names]

    def _views(self, vector, inputs):
        """[(name, view of the vector)]."""
        at, views = 0, []
        for name, shape in self._pieces(inputs):
            n = shape[0] * (shape[1] if len(shape) > 1 else 1)
            views.append((name, vector[at:at + n].reshape(shape)))
            at += n
        return views

    def _length(self, inputs):
        """Length of the vector for so many inputs of the first layer."""
        size, directions = self._num_hidden, len(self._directions)
        rest = (self._num_layers - 1) * (directions * size + size + 2)
        return self._num_gates * size * directions * (inputs + size + 2 + rest)

    def unpack_weights(self, args):
        """A copy of the dict `args` in which each layer, direction and gate has arrays of its own, named as those of
        the cells of :meth:`unfuse`. ValueError where the vector's length belongs to no number of inputs."""
        args = dict(args)
        vector = args.pop(self._parameter.name)
        inputs, odd = divmod(vector.size - self._length(0), self._length(1) - self._length(0))
        if odd or inputs < 0:
            raise ValueError(f"{self._parameter.name} has {vector.size} numbers, which is no size of this cell: "
                             f"{self._length(0)} and {self._length(1) - self._length(0)} for each input")
        args.update((name, view.copy()) for name, view in self._views(vector, inputs))
        return args

    def pack_weights(self, args):
        args = dict(args)
        first = args[f"{self._prefix}l0_i2h{self._gate_names[0]}_weight"]
        inputs = first.shape[1]
        vector = nd.zeros((self._length(inputs),), ctx=first.context, dtype=first.dtype)
        for name, view in self._views(vector, inputs):
            view[:] = args.pop(name)
        args[self._parameter.name] = vector
        return args

    def __call__(self, inputs, states):
        raise NotImplementedError("FusedRNNCell cannot be stepped: use unroll, or step the cells of unfuse()")

    def unroll(self, length, inputs, begin_state=None, layout="NTC", merge_outputs=None):
        self.reset()
        inputs, axis = sequence(length, inputs, layout, True)
        if axis == 1:
            warnings.warn("layout NTC is turned into TNC and back; data in layout TNC saves that", stacklevel=2)
            inputs = sym.swapaxes(inputs, dim1=0, dim2=1)
        elif axis != 0:
            raise AssertionError(f"layout {layout!r} is neither 'NTC' nor 'TNC'")
        states = self.begin_state() if begin_state is None else begin_state
        rnn = sym.RNN(data=inputs, parameters=self._parameter, state_size=self._num_hidden, num_layers=self._num_layers,
                      bidirectional=self._bidirectional, p=self._dropout, state_outputs=self._get_next_state,
                      mode=self._mode, name=self._prefix + "rnn", **dict(zip(("state", "state_cell"), states)))
        outputs, states = rnn, []
        if self._get_next_state:
            outputs, *states = list(rnn)
            for state in states:
                state._set_attr(__layout__="LNC")
        if axis == 1:
            outputs = sym.swapaxes(outputs, dim1=0, dim2=1)
        return sequence(length, outputs, layout, merge_outputs)[0], states

    def unfuse(self):
        """The same network as a :class:`SequentialRNNCell` of plain cells: they can be stepped, and use the weights of
        :meth:`unpack_weights` once packed."""
        def cell(prefix):
            if self._mode == "lstm":
                return LSTMCell(self._num_hidden, prefix=prefix)
            if self._mode == "gru":
                return GRUCell(self._num_hidden, prefix=prefix)
            return RNNCell(self._num_hidden, activation=self._mode[4:], prefix=prefix)
        stack = SequentialRNNCell()
        for i in range(self._num_layers):
            if self._bidirectional:
                stack.add(BidirectionalCell(cell(f"{self._prefix}l{i}_"), cell(f"{self._prefix}r{i}_"),
                                            output_prefix=f"{self._prefix}bi_l{i}_"))
            else:
                stack.add(cell(f"{self._prefix}l{i}_"))
            if self._dropout > 0 and i != self._num_layers - 1:
                stack.add(DropoutCell(self._dropout, prefix=f"{self._prefix}_dropout{i}_"))
        return stack
