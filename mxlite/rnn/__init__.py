"""Recurrent networks as symbols: cells that are unrolled step by step, the fused operator, sentences in buckets.

A cell is called once a step, or unrolled over all of them:

    cell = mx.rnn.LSTMCell(200, prefix="lstm_")
    outputs, states = cell.unroll(35, mx.sym.Variable("data"), layout="NTC", merge_outputs=True)
"""
from ..namespace import hinted as _hinted
from . import io, rnn, rnn_cell
from .cells import GRUCell, LSTMCell, RNNCell
from .fused import FusedRNNCell
from .io import BucketSentenceIter, encode_sentences
from .modifiers import DropoutCell, ModifierCell, ResidualCell, ZoneoutCell
from .rnn import do_rnn_checkpoint, load_rnn_checkpoint, rnn_unroll, save_rnn_checkpoint
from .rnn_cell import BaseRNNCell, RNNParams
from .stacks import BidirectionalCell, SequentialRNNCell

__all__ = ["RNNParams", "BaseRNNCell", "RNNCell", "LSTMCell", "GRUCell", "FusedRNNCell", "SequentialRNNCell",
           "BidirectionalCell", "ModifierCell", "DropoutCell", "ZoneoutCell", "ResidualCell", "BucketSentenceIter",
           "encode_sentences", "rnn_unroll", "save_rnn_checkpoint", "load_rnn_checkpoint", "do_rnn_checkpoint",
           "io", "rnn", "rnn_cell"]

__getattr__ = _hinted(__name__)
