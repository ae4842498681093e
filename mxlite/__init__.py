"""mxlite: MXNet 1.x's symbolic API, small and fast. ``import mxlite as mx`` and the script runs.

Submodules load when they are first used, so that importing one costs only that one.
"""
from importlib import import_module as _import_module

__version__ = "0.1.0"

# public name -> (module, attribute or None for the module itself)
_LAZY = {
    "nd": ("ndarray", None), "ndarray": ("ndarray", None), "sym": ("symbol", None), "symbol": ("symbol", None),
    "name": ("name", None), "attribute": ("attribute", None), "base": ("base", None), "context": ("context", None),
    "executor": ("executor", None), "io": ("io", None), "metric": ("metric", None), "optimizer": ("optimizer", None),
    "opt": ("optimizer", None), "lr_scheduler": ("lr_scheduler", None), "initializer": ("initializer", None),
    "init": ("initializer", None), "callback": ("callback", None), "model": ("model", None),
    "module": ("module", None), "mod": ("module", None), "visualization": ("visualization", None),
    "viz": ("visualization", None), "random": ("random", None), "rnd": ("random", None), "monitor": ("monitor", None),
    "mon": ("monitor", None), "runtime": ("runtime", None), "test_utils": ("test_utils", None),
    "registry": ("registry", None), "ops": ("ops", None),
    "Context": ("context", "Context"), "cpu": ("context", "cpu"), "gpu": ("context", "gpu"),
    "cpu_pinned": ("context", "cpu_pinned"), "current_context": ("context", "current_context"),
    "MXNetError": ("base", "MXNetError"), "AttrScope": ("attribute", "AttrScope"), "Monitor": ("monitor", "Monitor"),
    "NDArray": ("ndarray", "NDArray"), "Symbol": ("symbol", "Symbol"), "Executor": ("executor", "Executor"),
    "explain": ("explain", "explain"), "waitall": ("ndarray", "waitall"),
}
__all__ = [*_LAZY, "__version__"]


def __getattr__(name):
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LAZY[name]
    value = _import_module(f"{__name__}.{module}")
    if attribute is not None:
        value = getattr(value, attribute)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *_LAZY})
