"""Attributes for every symbol made inside a ``with`` block.

``with mx.AttrScope(ctx_group="dev1"):`` gives each symbol made inside that attribute; scopes nest, and the inner one
wins where both name a key. Values are text, because they are written into the symbol's JSON.
"""
import threading

__all__ = ["AttrScope", "current"]


class _Active(threading.local):
    """The running thread's scope in ``value``; each thread starts with an empty one."""

    def __init__(self):
        self.value = AttrScope()


class _AttrScopeType(type):
    @property
    def current(cls):
        """The scope that symbols made in this thread take their attributes from."""
        return AttrScope._current.value

    @current.setter
    def current(cls, scope):
        AttrScope._current.value = scope


class AttrScope(metaclass=_AttrScopeType):
    """A set of ``key=text`` attributes. Raises ValueError for a value that is no text."""

    _current = None         # set below, once the class exists

    def __init__(self, **kwargs):
        for key, value in kwargs.items():
            if not isinstance(value, str):
                raise ValueError(f"Attributes need to be string, but {key}={value!r} is {type(value).__name__}")
        self._own = kwargs
        self._attr = dict(kwargs)       # with what the enclosing scopes add, while the block runs
        self._outer = []

    def get(self, attr):
        """A new dict of this scope's attributes, overridden by `attr` (a dict or None). {} if there are none at all."""
        return {**self._attr, **(attr or {})}

    def __enter__(self):
        outer = AttrScope._current.value
        self._outer.append((outer, self._attr))
        self._attr = {**outer._attr, **self._own}
        AttrScope._current.value = self
        return self

    def __exit__(self, *exc):
        AttrScope._current.value, self._attr = self._outer.pop()


AttrScope._current = _Active()


def current():
    """The scope that symbols made in this thread take their attributes from."""
    return AttrScope._current.value
