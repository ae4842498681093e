"""Which kernels run by NVIDIA's libraries, and what a plan of a library is."""
from importlib import import_module

from ._libs import Missing

# kernel -> (module here, its rule: (device, args, ins, outs, context) -> LibraryPlan, or None: not these)
RULES = {"gemm.gemm": ("lt", "gemm"),
         "conv.forward": ("dnn", "forward"), "conv.dgrad": ("dnn", "dgrad"), "conv.wgrad": ("dnn", "wgrad"),
         "rnn.forward": ("rnn", "forward"), "rnn.backward": ("rnn", "backward")}


class Call:
    """One call of a library: ``run(stream)`` starts it; ``text`` is for who looks at the program."""

    __slots__ = ("run", "text", "keep")

    def __init__(self, run, text, keep=None):
        self.run, self.text, self.keep = run, text, keep


class LibraryPlan:
    """How a library runs a kernel: ``launches(work)`` gives :class:`Call` and
    :class:`~mxlite.gpu.launch.Launch` objects in order, `work` being the address of `workspace` bytes. `grow`: {hidden
    output: elements} that it needs where the record's shape is that of another kernel's notes."""

    __slots__ = ("library", "launches", "workspace", "error", "grow")

    def __init__(self, library, launches, workspace=0, grow=None):
        self.library, self.launches, self.workspace, self.error, self.grow = library, launches, workspace, None, grow


def library_plan(device, kernel, args, ins, outs, scalars, context):
    """The :class:`LibraryPlan` of a call; None where no library has it, or where the library is not installed (which
    :func:`missing` tells)."""
    if kernel not in RULES:
        return None
    where, rule = RULES[kernel]
    if where in device.libraries.get("missing", {}):
        return None
    try:
        return getattr(import_module(f"{__package__}.{where}"), rule)(device, args, ins, outs, context)
    except Missing as e:
        device.libraries.setdefault("missing", {})[where] = str(e)
        return None


def missing(device):
    """Texts about the libraries that were wanted and are not there."""
    return list(device.libraries.get("missing", {}).values())
