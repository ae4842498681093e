"""Devices. A Context is interned: equal contexts are one object, so comparing costs nothing."""
import threading
from importlib import import_module

from .errors import MXNetError


class Context:
    """A device: ``Context('cpu', 0)``, ``Context('gpu', 1)``. As a ``with`` block it is the default of new arrays."""

    devtype2str = {1: "cpu", 2: "gpu", 3: "cpu_pinned", 5: "cpu_shared"}
    devstr2type = {"cpu": 1, "gpu": 2, "cpu_pinned": 3, "cpu_shared": 5}
    _made = {}
    _stack = threading.local()

    def __new__(cls, device_type, device_id=0):
        if isinstance(device_type, Context):
            device_type, device_id = device_type.device_type, device_type.device_id
        if device_type not in cls.devstr2type:
            raise MXNetError(f"unknown device type {device_type!r}: choose one of {', '.join(cls.devstr2type)}")
        key = (device_type, int(device_id))
        if key[1] < 0:
            raise MXNetError(f"device number {device_id} is negative")
        self = cls._made.get(key)
        if self is None:
            self = object.__new__(cls)
            self.device_typeid, self.device_id = cls.devstr2type[device_type], int(device_id)
            self = cls._made.setdefault(key, self)
        return self

    def __reduce__(self):
        return Context, (self.device_type, self.device_id)

    def __deepcopy__(self, memo):
        return self

    @property
    def device_type(self):
        return self.devtype2str[self.device_typeid]

    def __repr__(self):
        return f"{self.device_type}({self.device_id})"

    def __enter__(self):
        stack = self._stack.__dict__.setdefault("contexts", [])
        stack.append(self)
        return self

    def __exit__(self, *exc):
        self._stack.contexts.pop()

    def empty_cache(self):
        """Give cached free memory of this device back to the system."""
        if self.device_type == "gpu":
            gpu_backend().empty_cache(self.device_id)
            return
        from .storage import empty_cache
        empty_cache()


_gpu = None


def gpu_backend():
    """The GPU backend's module. It stands on top of this package and is asked for by name, when a GPU is wanted: until
    then nothing of CuPy is imported."""
    global _gpu
    if _gpu is None:
        _gpu = import_module("mxlite.gpu")
    return _gpu


def as_context(ctx):
    """`ctx` itself, or the Context that a text like ``'cpu(0)'`` or ``'gpu'`` stands for; else TypeError."""
    if isinstance(ctx, Context):
        return ctx
    if not isinstance(ctx, str):
        raise TypeError(f"ctx must be a Context such as mx.cpu(), got {type(ctx).__name__} {ctx!r}")
    kind, _, number = ctx.partition("(")
    if number and not (number.endswith(")") and number[:-1].isdigit()):
        raise MXNetError(f"{ctx!r} names no device: expected a text like 'cpu(0)'")
    return Context(kind, int(number[:-1]) if number else 0)


def check_usable(ctx):
    """`ctx` itself, or MXNetError where this machine cannot use it: which of CuPy, driver and device is missing."""
    if not isinstance(ctx, Context):
        raise TypeError(f"ctx must be a Context such as mx.cpu(), got {type(ctx).__name__} {ctx!r}")
    if ctx.device_typeid == 2:
        gpu_backend().check(ctx.device_id)
    return ctx


CPU = Context("cpu", 0)


def current_context():
    """The innermost ``with`` context of this thread, ``cpu(0)`` outside any."""
    stack = Context._stack.__dict__.get("contexts")
    return stack[-1] if stack else CPU
