"""Bias, addition and activation behind a product, for what a library leaves undone. No record names it: the plans of
libraries do."""
import ctypes

from ..launch import FLOATS, Launch, Module, blocks, ptr
from ..source import CTYPE

KERNELS = {}
BLOCK, MOST_BLOCKS = 256, 1 << 16


class Epilogue(ctypes.Structure):
    """`struct Epilogue` of epilogue.cu."""

    _fields_ = [(k, ctypes.c_int64) for k in ("size", "channels", "inner", "act")] + [
        (k, ctypes.c_double) for k in ("lo", "hi")]


def epilogue(dtype, x, y, size, channels, inner, bias=0, residual=0, act=0, lo=0.0, hi=0.0):
    """The launch of ``y = act(x + bias + residual)`` on addresses, 0 for what is left out: `size` elements of
    `channels` channels with `inner` elements each."""
    given = Epilogue(size, max(channels, 1), max(inner, 1), act, lo, hi)
    return Launch(Module("epilogue.cu", {"TYPE": CTYPE[dtype]}), "epilogue", blocks(size, BLOCK, MOST_BLOCKS), BLOCK,
                  [ptr(x), ptr(bias), ptr(residual), ptr(y), given])


def MODULES():
    for dtype in FLOATS:
        yield Module("epilogue.cu", {"TYPE": CTYPE[dtype]})
