"""What is measured: a module a family.

A family has `CASES`, and a function a library (`mxlite`, `mxnet`, `torch`, `numpy`; `mx` stands for the first two) that
takes the library and a case's `spec` and gives ``{variant: step}``. A step is a function to be timed, a pair (function,
function to be called before each, untimed), or a number. A text instead of a dict says why there is none. Optional:
`TOTALS`, `THREADS` (a fixed number), `WALL` (always real time), `UNIT` (of numbers).
"""
import collections
import importlib
import pkgutil


class Case(collections.namedtuple("Case", "name spec goal")):
    """A row: `spec` goes to the builders; `goal`: {"best" or a library: least time of it over ours}."""

    def __new__(cls, name, *spec, **goal):
        return super().__new__(cls, name, spec, goal)


# A row over rows: `kind` "sum" (of times, each `weight` times) or "mean" (geometric, of ratios); rows: {name: weight}.
Total = collections.namedtuple("Total", "name kind rows goal")


def families():
    """{name: module}, in the order that the modules state."""
    modules = {m.name: importlib.import_module(f"jobs.{m.name}") for m in pkgutil.iter_modules(__path__)}
    return {k: m for k, m in sorted(modules.items(), key=lambda item: getattr(item[1], "ORDER", -1))
            if hasattr(m, "CASES")}


def settled(lib, call):
    """`call`, and in MXNet, which queues its work, the wait for all results."""
    if lib.__name__ != "mxnet":
        return call
    wait = lib.nd.waitall

    def run():
        call()
        wait()
    return run


def array(lib, a, dtype=None):
    """A library's array of a NumPy one (float32 unless told)."""
    a = a.astype(dtype or "float32")
    return lib.from_numpy(a.copy()) if lib.__name__ == "torch" else lib.nd.array(a, dtype=a.dtype)


def bound(lib, symbol, arrays, grads=None):
    """Executor of `symbol` over arrays by name, and the call that runs its inference."""
    req = {name: "write" if name in (grads or ()) else "null" for name in symbol.list_arguments()}
    gradients = {name: lib.nd.zeros(arrays[name].shape) for name in grads or ()}
    aux = {name: arrays[name] for name in symbol.list_auxiliary_states()}
    args = {name: arrays[name] for name in symbol.list_arguments()}
    return symbol.bind(lib.cpu(), args, args_grad=gradients or None, grad_req=req, aux_states=aux)


def forward(lib, symbol, arrays, is_train=False):
    """{"": step}: the bound symbol's forward."""
    executor = bound(lib, symbol, arrays)
    return {"": settled(lib, lambda: executor.forward(is_train=is_train))}
