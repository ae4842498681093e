"""Options that change how things are computed (``mx.runtime.set_option``). Who plans ahead asks for the ``epoch``."""
from ..ops import settings
from . import cpu

HELP = {
    "winograd": "3x3 convolutions of stride 1 by Winograd's F(4x4, 3x3) where it wins; off: about a third of the "
                "rounding error",
    "fuse": "several nodes of a bound graph run as one kernel: convolution with bias, addition and activation, "
            "BatchNorm with addition and activation, chains of element-wise operators",
    "fold": "at inference, BatchNorm behind a convolution or a FullyConnected becomes part of its weights",
    "prepare": "at inference, weights are packed or transformed once and kept until somebody writes into them",
    "unroll": "unrolled recurrent cells are recognised: one kernel for a cell's gates, one matrix product for the "
              "steps of a sequence",
    "tf32": "on a GPU, products and convolutions of float32 round their factors to 10 bits of fraction (TF32), which "
            "its tensor cores multiply several times as fast; off (the default): float32",
    "layout": "on a GPU, convolutions on tensor cores (float16, bfloat16, TF32) and what stands between them keep an "
              "element's channels side by side in memory (N, H, W, C); shapes outside stay",
    "autotune": "on a GPU, the plans that a library offers for a product or a convolution are timed when a program is "
                "made, and the quickest is kept, on disk too",
}
on_change = []          # called after an option was set: what was planned before is void
_changes = 0


def epoch():
    """A value that is another one after any option, the instruction-set level or the thread count was changed."""
    return _changes, cpu.get_isa(), cpu.get_threads()


def get(name):
    """The option's value. KeyError, with the names that there are, for an unknown one."""
    check(name)
    return getattr(settings, name)


def assign(name, value):
    """Set an option to True or False; returns what it was. Executors plan anew at their next run."""
    global _changes
    check(name)
    if not isinstance(value, (bool, int)) or value not in (0, 1):
        raise TypeError(f"option {name!r} is on or off (True or False), not {value!r}")
    before = getattr(settings, name)
    if bool(value) != before:
        setattr(settings, name, bool(value))
        _changes += 1
        changed()
    return before


def changed():
    """Let everybody who planned ahead know."""
    for call in on_change:
        call()


def check(name):
    if name not in HELP:
        raise KeyError(f"there is no option {name!r}; there are {', '.join(HELP)}")
