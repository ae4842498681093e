"""Cells made of cells: one on top of the other, and two directions side by side."""
from .. import symbol as sym
from ..symbol import Symbol
from .rnn_cell import BaseRNNCell, sequence

__all__ = ["SequentialRNNCell", "BidirectionalCell"]


class _Stack(BaseRNNCell):
    """A cell made of `_cells`: states, weights and their packing are those of the cells, in order."""

    def __init__(self, prefix, params):
        self._cells = []
        super().__init__(prefix=prefix, params=params)
        self._override_cell_params = params is not None

    def _take(self, cell):
        """Append `cell`; its parameters are the stack's, too."""
        self._cells.append(cell)
        if self._override_cell_params:
            if not cell._own_params:
                raise AssertionError(f"give params to {type(self).__name__} or to the cells inside, not to both")
            cell.params._params.update(self.params._params)
        self.params._params.update(cell.params._params)

    @property
    def state_info(self):
        return [info for cell in self._cells for info in cell.state_info]

    def begin_state(self, **kwargs):
        self._steppable()
        return [state for cell in self._cells for state in cell.begin_state(**kwargs)]

    def unpack_weights(self, args):
        for cell in self._cells:
            args = cell.unpack_weights(args)
        return args

    def pack_weights(self, args):
        for cell in self._cells:
            args = cell.pack_weights(args)
        return args

    def _parts(self, states):
        """(cell, its part of the flat list `states`) for each cell."""
        at = 0
        for cell in self._cells:
            n = len(cell.state_info)
            yield cell, states[at:at + n]
            at += n


class SequentialRNNCell(_Stack):
    """Cells on top of each other: each reads the outputs of the one below. The states are those of all cells."""

    def __init__(self, params=None):
        super().__init__("", params)

    def add(self, cell):
        """Put `cell` on top."""
        self._take(cell)

    def __call__(self, inputs, states):
        self._counter += 1
        after = []
        for cell, part in self._parts(states):
            if isinstance(cell, BidirectionalCell):
                raise AssertionError("a BidirectionalCell needs all steps: it cannot be stepped")
            inputs, part = cell(inputs, part)
            after += part
        return inputs, after

    def unroll(self, length, inputs, begin_state=None, layout="NTC", merge_outputs=None):
        self.reset()
        states, after = self.begin_state() if begin_state is None else begin_state, []
        for i, (cell, part) in enumerate(self._parts(states)):
            inputs, part = cell.unroll(length, inputs, part, layout,
                                       merge_outputs if i == len(self._cells) - 1 else None)
            after += part
        return inputs, after


class BidirectionalCell(_Stack):
    """`l_cell` over the steps and `r_cell` over the steps in reverse, their outputs side by side. It needs all steps:
    only :meth:`unroll`. Last states come as two lists, one a cell."""

    def __init__(self, l_cell, r_cell, params=None, output_prefix="bi_"):
        super().__init__("", params)
        self._output_prefix = output_prefix
        self._take(l_cell)
        self._take(r_cell)

    def __call__(self, inputs, states):
        raise NotImplementedError("a BidirectionalCell cannot be stepped: use unroll")

    def unroll(self, length, inputs, begin_state=None, layout="NTC", merge_outputs=None):
        self.reset()
        inputs, axis = sequence(length, inputs, layout, False)
        states = self.begin_state() if begin_state is None else begin_state
        (left, left_part), (right, right_part) = self._parts(states)
        l_outputs, l_states = left.unroll(length, inputs, left_part, layout, merge_outputs)
        r_outputs, r_states = right.unroll(length, list(reversed(inputs)), right_part, layout, merge_outputs)
        if merge_outputs is None:
            merge_outputs = isinstance(l_outputs, Symbol) and isinstance(r_outputs, Symbol)
            if not merge_outputs:
                l_outputs, r_outputs = (
                    list(sym.SliceChannel(side, axis=axis, num_outputs=length, squeeze_axis=1))
                    if isinstance(side, Symbol) else side for side in (l_outputs, r_outputs))
        if merge_outputs:
            r_outputs = sym.reverse(r_outputs, axis=axis)
            return (sym.Concat(l_outputs, r_outputs, dim=2, name=f"{self._output_prefix}out"),
                    [l_states, r_states])
        return ([sym.Concat(a, b, dim=1, name=f"{self._output_prefix}t{t}")
                 for t, (a, b) in enumerate(zip(l_outputs, reversed(r_outputs)))], [l_states, r_states])
