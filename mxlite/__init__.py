"""mxlite: MXNet 1.x's symbolic API, small and fast. ``import mxlite as mx`` and the script runs.

Submodules load when they are first used, so that importing one costs only that one.
"""
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
    "registry": ("registry", None), "ops": ("ops", None),
    "Context": ("context", "Context"), "cpu": ("context", "cpu"), "gpu": ("context", "gpu"),
    "cpu_pinned": ("context", "cpu_pinned"), "current_context": ("context", "current_context"),
    "MXNetError": ("base", "MXNetError"), "AttrScope": ("attribute", "AttrScope"), "Monitor": ("monitor", "Monitor"),
    "NDArray": ("ndarray", "NDArray"), "Symbol": ("symbol", "Symbol"), "Executor": ("executor", "Executor"),
    "explain": ("program_table", "explain"), "waitall": ("ndarray", "waitall"),
}
__all__ = [*_LAZY, "__version__"]

# What MXNet has and this version has not: said when somebody reaches for it.
_LATER = "this version has the symbolic core, mx.nd and mx.mod"
_ABSENT = {
    "gluon": f"Gluon is not part of mxlite; {_LATER}", "np": f"the NumPy interface is not part of mxlite; {_LATER}",
    "npx": f"the NumPy interface is not part of mxlite; {_LATER}",
    "kv": f"KVStore is not there yet; Module adds gradients over its contexts by itself; {_LATER}",
    "kvstore": f"KVStore is not there yet; Module adds gradients over its contexts by itself; {_LATER}",
    "rnn": f"recurrent cells are not there yet; {_LATER}", "operator": f"custom operators are not there yet; {_LATER}",
    "image": f"image reading is not there yet; {_LATER}", "img": f"image reading is not there yet; {_LATER}",
    "recordio": f"RecordIO is not there yet; {_LATER}", "contrib": f"contrib is not there yet; {_LATER}",
    "profiler": f"the profiler is not there yet; mx.explain shows what a bound graph runs; {_LATER}",
    "engine": f"there is no asynchronous engine: every call has finished when it returns; {_LATER}",
}


def __getattr__(name):
    if name not in _LAZY:
        hint = _ABSENT.get(name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}" + (f": {hint}" if hint else ""))
    module, attribute = _LAZY[name]
    value = _import_module(f"{__name__}.{module}")
    if attribute is not None:
        value = getattr(value, attribute)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *_LAZY})
