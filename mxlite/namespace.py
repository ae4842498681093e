"""Modules that hold operators alone, made on first use: ``mx.nd.op``, ``mx.sym.op`` and their ``_internal``."""
import sys
import types

from . import calls


class Operators(types.ModuleType):
    """A module whose attributes are ``get(name)`` for the operator names that ``names()`` lists."""

    def __init__(self, name, get, names):
        super().__init__(name, "Operators, made on first use.")
        self._get, self._names = get, names
        sys.modules[name] = self

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self._get(name)

    def __dir__(self):
        return sorted(self._names())


def pair(package, get):
    """The modules ``package.op`` (public names) and ``package._internal`` (underscored names)."""
    return (Operators(f"{package}.op", get, calls.public_names),
            Operators(f"{package}._internal", get, calls.internal_names))
