"""Checkpoints: a symbol in ``prefix-symbol.json`` and its parameters in ``prefix-NNNN.params``."""
import logging
from collections import namedtuple

from . import ndarray as nd
from . import symbol as sym
from .context import cpu
from .namespace import hinted as _hinted

__all__ = ["BatchEndParam", "save_checkpoint", "load_checkpoint", "load_params"]

__getattr__ = _hinted(__name__)

BatchEndParam = namedtuple("BatchEndParams", ["epoch", "nbatch", "eval_metric", "locals"])
BatchEndParam.__doc__ = "What a batch-end callback is told: epoch, number of the batch, metric, the caller's locals()."


def pack_params(arg_params, aux_params):
    """One dict as it stands in a ``.params`` file: ``arg:`` and ``aux:`` before the names, arrays on the CPU."""
    packed = {f"arg:{name}": array.as_in_context(cpu()) for name, array in arg_params.items()}
    packed.update((f"aux:{name}", array.as_in_context(cpu())) for name, array in aux_params.items())
    return packed


def unpack_params(packed, where, strict=True):
    """``(arg_params, aux_params)`` from what `nd.load` returned for file `where`.

    Raises ValueError for entries without a prefix (arrays saved as a list, or by Gluon) and, if `strict`, for entries
    with another prefix than ``arg:`` and ``aux:``; else those are left out.
    """
    parts = {"arg": {}, "aux": {}}
    if not isinstance(packed, dict):
        if packed:
            raise ValueError(f"Invalid param file {where}: it holds {len(packed)} arrays without names")
        packed = {}
    for key, array in packed.items():
        kind, colon, name = key.partition(":")
        if kind in parts and colon:
            parts[kind][name] = array
        elif strict or not colon:
            raise ValueError(f"Invalid param file {where}: {key!r} starts with neither 'arg:' nor 'aux:'")
    return parts["arg"], parts["aux"]


def save_checkpoint(prefix, epoch, symbol, arg_params, aux_params, remove_amp_cast=True):
    """Write ``prefix-symbol.json`` (unless `symbol` is None) and ``prefix-NNNN.params``, NNNN being `epoch`.

    `arg_params` and `aux_params` are dicts name -> NDArray of any shape and dtype.
    """
    if symbol is not None:
        symbol.save(f"{prefix}-symbol.json", remove_amp_cast=remove_amp_cast)
    path = f"{prefix}-{epoch:04d}.params"
    nd.save(path, pack_params(arg_params, aux_params))
    logging.info('Saved checkpoint to "%s"', path)


def load_params(prefix, epoch):
    """``(arg_params, aux_params)`` from ``prefix-NNNN.params``: dicts name -> NDArray on the CPU.

    Entries with another prefix are left out; those without one raise ValueError; an empty file only logs a warning.
    """
    path = f"{prefix}-{epoch:04d}.params"
    packed = nd.load(path)
    if not packed:
        logging.warning("Params file '%s' is empty", path)
    return unpack_params(packed, path, strict=False)


def load_checkpoint(prefix, epoch):
    """``(symbol, arg_params, aux_params)`` as :func:`save_checkpoint` wrote them."""
    return sym.load(f"{prefix}-symbol.json"), *load_params(prefix, epoch)
