"""How modules look up what they make on first use, and what they say of a name that they do not have."""
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
        return operator(self.__name__, self._get, name)

    def __dir__(self):
        return sorted(self._names())


def pair(package, get):
    """The modules ``package.op`` (public names) and ``package._internal`` (underscored names)."""
    return (Operators(f"{package}.op", get, calls.public_names),
            Operators(f"{package}._internal", get, calls.internal_names))


def operator(package, get, name):
    """``get(name)``. AttributeError saying why not, for an operator or namespace that only MXNet has."""
    try:
        return get(name)
    except AttributeError:
        error = missing(package, name)
        if error.name is None:
            raise                           # what `get` said has near names
    raise error


def missing(package, name):
    """The AttributeError for `name` in `package`, saying why it is missing where MXNet has it."""
    text = f"module {package!r} has no attribute {name!r}"
    if name.startswith("__"):
        return AttributeError(text)         # Python's own questions: is it a package?
    from . import absent  # only who misses something pays for the table
    reason = absent.why(package, name)
    if reason is None:
        return AttributeError(text)
    # A name without an object: Python would suggest some other attribute behind the reason.
    return AttributeError(f"{text}: {reason}", name=name)


def hinted(package):
    """A ``__getattr__`` for a module that has all its attributes: it only says why one is missing."""
    def __getattr__(name):
        raise missing(package, name)
    return __getattr__
