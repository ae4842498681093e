"""Checkpoints of recurrent networks, in which every gate has arrays of its own: fused and plain cells read them."""
import warnings

from .. import symbol as sym
from ..model import load_checkpoint, save_checkpoint

__all__ = ["rnn_unroll", "save_rnn_checkpoint", "load_rnn_checkpoint", "do_rnn_checkpoint"]


def _each(cells):
    return cells if isinstance(cells, (list, tuple)) else [cells]


def rnn_unroll(cell, length, inputs=None, begin_state=None, input_prefix="", layout="NTC"):
    """``cell.unroll(...)``; without `inputs` from variables ``{input_prefix}t{step}_data``. Deprecated."""
    warnings.warn("rnn_unroll is deprecated: call cell.unroll", stacklevel=2)
    if inputs is None:
        inputs = [sym.Variable(f"{input_prefix}t{i}_data") for i in range(length)]
    return cell.unroll(length, inputs, begin_state=begin_state, layout=layout)


def save_rnn_checkpoint(cells, prefix, epoch, symbol, arg_params, aux_params):
    """:func:`mx.model.save_checkpoint` of the unpacked weights of `cells` (a cell or a list of them)."""
    for cell in _each(cells):
        arg_params = cell.unpack_weights(arg_params)
    save_checkpoint(prefix, epoch, symbol, arg_params, aux_params)


def load_rnn_checkpoint(cells, prefix, epoch):
    """(symbol, arguments, states) of such a checkpoint, packed for `cells`."""
    symbol, arg_params, aux_params = load_checkpoint(prefix, epoch)
    for cell in _each(cells):
        arg_params = cell.pack_weights(arg_params)
    return symbol, arg_params, aux_params


def do_rnn_checkpoint(cells, prefix, period=1):
    """An epoch-end callback that saves such a checkpoint each `period` epochs."""
    period = int(max(1, period))

    def callback(iter_no, sym=None, arg=None, aux=None):
        if (iter_no + 1) % period == 0:
            save_rnn_checkpoint(cells, prefix, iter_no + 1, sym, arg, aux)

    return callback
