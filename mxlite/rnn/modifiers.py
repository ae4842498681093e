"""Cells around cells: dropout, zoneout, residual connections."""
from .. import symbol as sym
from ..symbol import Symbol
from .rnn_cell import BaseRNNCell, sequence

__all__ = ["DropoutCell", "ModifierCell", "ZoneoutCell", "ResidualCell"]


class DropoutCell(BaseRNNCell):
    """Dropout of its inputs with probability `dropout`, while training. It has no states."""

    def __init__(self, dropout, prefix="dropout_", params=None):
        super().__init__(prefix, params)
        if isinstance(dropout, str) or not hasattr(dropout, "__float__"):
            raise AssertionError(f"dropout must be a number, not {type(dropout).__name__}")
        self.dropout = dropout

    @property
    def state_info(self):
        return []

    def __call__(self, inputs, states):
        if self.dropout > 0:
            inputs = sym.Dropout(data=inputs, p=self.dropout)
        return inputs, states

    def unroll(self, length, inputs, begin_state=None, layout="NTC", merge_outputs=None):
        self.reset()
        inputs, _ = sequence(length, inputs, layout, merge_outputs)
        if isinstance(inputs, Symbol):
            return self(inputs, [])
        return super().unroll(length, inputs, begin_state=begin_state, layout=layout, merge_outputs=merge_outputs)


class ModifierCell(BaseRNNCell):
    """Base of cells that change what `base_cell` does. Parameters and states are those of `base_cell`, which is then
    only called through the modifier."""

    def __init__(self, base_cell):
        super().__init__()
        base_cell._modified = True
        self.base_cell = base_cell

    @property
    def params(self):
        self._own_params = False
        return self.base_cell.params

    @property
    def state_info(self):
        return self.base_cell.state_info

    def begin_state(self, init_sym=sym.zeros, **kwargs):
        self._steppable()
        kwargs.setdefault("func", init_sym)
        self.base_cell._modified = False
        try:
            return self.base_cell.begin_state(**kwargs)
        finally:
            self.base_cell._modified = True

    def unpack_weights(self, args):
        return self.base_cell.unpack_weights(args)

    def pack_weights(self, args):
        return self.base_cell.pack_weights(args)

    def __call__(self, inputs, states):
        raise NotImplementedError(f"{type(self).__name__} has no step")


class ZoneoutCell(ModifierCell):
    """Outputs and states that keep their value of the step before with the given probabilities, while training (Krueger
    et al. 2016). AssertionError for a FusedRNNCell or a BidirectionalCell, which have no steps."""

    def __init__(self, base_cell, zoneout_outputs=0., zoneout_states=0.):
        from .fused import FusedRNNCell
        from .stacks import BidirectionalCell, SequentialRNNCell
        if isinstance(base_cell, FusedRNNCell):
            raise AssertionError("FusedRNNCell has no steps, and so no zoneout: unfuse it first")
        if isinstance(base_cell, BidirectionalCell) or isinstance(base_cell, SequentialRNNCell) and any(
                isinstance(cell, BidirectionalCell) for cell in base_cell._cells):
            raise AssertionError("BidirectionalCell has no steps, and so no zoneout: put ZoneoutCell around the cells "
                                 "inside")
        super().__init__(base_cell)
        self.zoneout_outputs, self.zoneout_states = zoneout_outputs, zoneout_states

    def reset(self):
        super().reset()             # the cell inside counts on: its steps keep names of their own, as in MXNet
        self.prev_output = None

    def __call__(self, inputs, states):
        new_output, new_states = self.base_cell(inputs, states)

        def mixed(p, new, old):
            return sym.where(sym.Dropout(sym.ones_like(new), p=p), new, old)
        before = self.prev_output if self.prev_output is not None else sym.zeros((0, 0))
        output = mixed(self.zoneout_outputs, new_output, before) if self.zoneout_outputs != 0. else new_output
        if self.zoneout_states != 0.:
            new_states = [mixed(self.zoneout_states, new, old) for new, old in zip(new_states, states)]
        self.prev_output = output
        return output, new_states


class ResidualCell(ModifierCell):
    """``base_cell``'s outputs plus its inputs (He et al. 2015; Wu et al. 2016)."""

    def __call__(self, inputs, states):
        output, states = self.base_cell(inputs, states)
        return sym.elemwise_add(output, inputs, name=f"{output.name}_plus_residual"), states

    def unroll(self, length, inputs, begin_state=None, layout="NTC", merge_outputs=None):
        self.reset()
        self.base_cell._modified = False
        try:
            outputs, states = self.base_cell.unroll(length, inputs=inputs, begin_state=begin_state, layout=layout,
                                                    merge_outputs=merge_outputs)
        finally:
            self.base_cell._modified = True
        merged = isinstance(outputs, Symbol) if merge_outputs is None else merge_outputs
        inputs, _ = sequence(length, inputs, layout, merged)
        if merged:
            return sym.elemwise_add(outputs, inputs, name=f"{outputs.name}_plus_residual"), states
        return [sym.elemwise_add(a, b, name=f"{a.name}_plus_residual") for a, b in zip(outputs, inputs)], states
