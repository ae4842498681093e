"""What this build and this machine can do: ``mx.runtime``."""
from contextlib import contextmanager

from ._core import cpu as _cpu
from ._core import options as _options

__all__ = ["Features", "feature_list", "get_isa", "set_isa", "get_threads", "set_threads", "info", "options",
           "get_option", "set_option", "option"]

get_isa, get_threads = _cpu.get_isa, _cpu.get_threads


def set_isa(level):
    """Use an instruction-set level (``"baseline"``, ``"avx2"``, ``"avx512"``, or its number) from now on, in every
    kernel. ValueError for one that does not exist, or that this processor lacks."""
    _cpu.set_isa(level)
    _options.changed()


def set_threads(n):
    """Most threads that a kernel may use from now on. ValueError below 1. Results do not depend on it."""
    _cpu.set_threads(n)
    _options.changed()


class Feature:
    """A named feature and whether it is there."""

    def __init__(self, name, enabled):
        self.name, self.enabled = name, enabled

    def __repr__(self):
        return f"{'✔' if self.enabled else '✖'} {self.name}"


def feature_list():
    """The features of this build."""
    return [Feature("OPENMP", bool(_cpu.openmp)), Feature("CPU_AVX2", _cpu.detected_isa >= 1),
            Feature("CPU_AVX512", _cpu.detected_isa >= 2), Feature("CUDA", False), Feature("CUDNN", False),
            Feature("NCCL", False)]


class Features(dict):
    """name -> Feature."""

    def __init__(self):
        super().__init__((f.name, f) for f in feature_list())

    def is_enabled(self, name):
        """Whether feature `name` is there. RuntimeError for a name that does not exist."""
        if name.upper() not in self:
            raise RuntimeError(f"Feature '{name}' is unknown, known features are: {list(self)}")
        return self[name.upper()].enabled


def info():
    """Instruction-set level, threads and OpenMP of this process, a dict."""
    return {"isa": _cpu.get_isa(), "isa_levels_built": _cpu.levels_built, "threads": _cpu.get_threads(),
            "openmp": bool(_cpu.openmp), "forked": _cpu.forked()}


def options():
    """The options and what each does: a dict name -> text."""
    return dict(_options.HELP)


def get_option(name):
    """Whether option `name` is on. KeyError for a name that :func:`options` does not list."""
    return _options.get(name)


def set_option(name, value):
    """Turn option `name` on or off for the whole process; returns what it was. Executors plan anew at their next run.
    KeyError for an unknown name, TypeError for a value that is neither True nor False."""
    return _options.assign(name, value)


@contextmanager
def option(name, value):
    """``with option("winograd", False):`` sets an option and, at the end, what it was before."""
    before = set_option(name, value)
    try:
        yield
    finally:
        set_option(name, before)
