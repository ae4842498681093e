"""mxlite: MXNet 1.x's symbolic API, small and fast. ``import mxlite as mx`` and the script runs.

Submodules load when they are first used, so that importing one costs only that one.
"""
import os as _os
import sys as _sys
from importlib import import_module as _import_module

__version__ = "0.1.0"

# public name -> (module, attribute or None for the module itself)
_LAZY = {
    "nd": ("ndarray", None), "ndarray": ("ndarray", None), "sym": ("symbol", None), "symbol": ("symbol", None),
    "autograd": ("autograd", None), "name": ("name", None), "attribute": ("attribute", None), "base": ("base", None),
    "context": ("context", None), "apply": ("symbol.functions", "apply"),
    "arguments": ("symbol.functions", "arguments"),
    "executor": ("executor", None), "io": ("io", None), "metric": ("metric", None), "optimizer": ("optimizer", None),
    "opt": ("optimizer", None), "lr_scheduler": ("lr_scheduler", None), "initializer": ("initializer", None),
    "init": ("initializer", None), "callback": ("callback", None), "model": ("model", None),
    "module": ("module", None), "mod": ("module", None), "visualization": ("visualization", None),
    "viz": ("visualization", None), "random": ("random", None), "rnd": ("random", None), "monitor": ("monitor", None),
    "mon": ("monitor", None), "runtime": ("runtime", None), "test_utils": ("test_utils", None),
    "registry": ("registry", None), "rnn": ("rnn", None), "ops": ("ops", None), "contrib": ("contrib", None),
    "Context": ("context", "Context"), "cpu": ("context", "cpu"), "gpu": ("context", "gpu"),
    "cpu_pinned": ("context", "cpu_pinned"), "current_context": ("context", "current_context"),
    "MXNetError": ("base", "MXNetError"), "AttrScope": ("attribute", "AttrScope"), "Monitor": ("monitor", "Monitor"),
    "NDArray": ("ndarray", "NDArray"), "Symbol": ("symbol", "Symbol"), "Executor": ("executor", "Executor"),
    "explain": ("program_table", "explain"), "waitall": ("ndarray", "waitall"),
}
__all__ = [*_LAZY, "__version__"]


def __getattr__(name):
    if name not in _LAZY:
        if name.startswith("__") or _os.path.exists(f"{__path__[0]}/{name}.py"):
            # Python's own questions: `from . import calls` asks here before it imports the module.
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from .absent import why
        reason = why(__name__, name)
        error = AttributeError(f"module {__name__!r} has no attribute {name!r}" + (f": {reason}" if reason else ""))
        if reason:
            error.name = name       # without an object: Python would suggest some other attribute behind the reason
        raise error
    module, attribute = _LAZY[name]
    value = _import_module(f"{__name__}.{module}")
    if attribute is not None:
        value = getattr(value, attribute)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *_LAZY})


class _Absent:
    """Asked last for a module that nobody finds: ``import mxlite.gluon`` and ``from mxlite import gluon`` say why."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        package, _, module = name.rpartition(".")
        if package == __name__ or package.startswith(__name__ + "."):
            from .absent import why
            reason = why(package, module)
            if reason:
                # No `name=`: an error that names the module is swallowed by `from mxlite import gluon`.
                raise ModuleNotFoundError(f"No module named {name!r}: {reason}")
        return None


if not any(getattr(finder, "__module__", None) == __name__ for finder in _sys.meta_path):     # reloaded
    _sys.meta_path.append(_Absent)
