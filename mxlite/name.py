"""Automatic names for symbols that were given none.

``NameManager.current`` is the manager of the running thread. ``with mx.name.Prefix("stage1_"):`` puts another one on
top; leaving the block brings the old one back, so managers nest and one manager may be entered twice.
"""
import threading

__all__ = ["NameManager", "Prefix", "current"]


class _Active(threading.local):
    """The running thread's manager in ``value``; each thread starts with a fresh one, whose counters are at zero."""

    def __init__(self):
        self.value = NameManager()


class _NameManagerType(type):
    @property
    def current(cls):
        """The manager that names symbols in this thread."""
        return NameManager._current.value

    @current.setter
    def current(cls, manager):
        NameManager._current.value = manager


class NameManager(metaclass=_NameManagerType):
    """Counts up one number a hint: ``convolution0``, ``convolution1``, ``fullyconnected0``, ..."""

    _current = None         # set below, once the class exists

    def __init__(self):
        self._counter = {}
        self._outer = []

    def get(self, name, hint):
        """`name` itself if there is one, else `hint` followed by how often this manager has been asked for it."""
        if name:
            return name
        count = self._counter.get(hint, 0)
        self._counter[hint] = count + 1
        return f"{hint}{count}"

    def __enter__(self):
        self._outer.append(NameManager._current.value)
        NameManager._current.value = self
        return self

    def __exit__(self, *exc):
        NameManager._current.value = self._outer.pop()


class Prefix(NameManager):
    """Puts `prefix` before every name, the user's own names too (as MXNet does)."""

    def __init__(self, prefix):
        super().__init__()
        if not isinstance(prefix, str):
            raise TypeError(f"prefix must be a str, got {type(prefix).__name__}")
        self._prefix = prefix

    def get(self, name, hint):
        """The name that :meth:`NameManager.get` finds, with the prefix before it."""
        return self._prefix + super().get(name, hint)


NameManager._current = _Active()


def current():
    """The manager that names symbols in this thread."""
    return NameManager._current.value
