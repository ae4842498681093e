"""What this build and this machine can do: ``mx.runtime``."""
from ._core import cpu as _cpu

__all__ = ["Features", "feature_list", "get_isa", "set_isa", "get_threads", "set_threads", "info"]

get_isa, set_isa = _cpu.get_isa, _cpu.set_isa
get_threads, set_threads = _cpu.get_threads, _cpu.set_threads


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
