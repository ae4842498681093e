"""Memory that the programs of an executor share, and who may run in it."""
import os
import threading
import weakref

from . import ndarray as _nd


class Arena:
    """Memory that programs share: the largest chunk any of them asked for. Chunks never move."""

    def __init__(self):
        self.chunks = []
        self.lock = threading.Lock()
        self.runner = None          # the thread that runs a program of this arena
        self.last = None            # the token of the Bound that ran last: whose activations the chunks hold
        ARENAS.add(self)

    def reserve(self, nbytes, context):
        """An array of at least `nbytes` bytes on `context`; an existing chunk where one is large enough."""
        for chunk in self.chunks:
            if chunk.size >= nbytes and chunk.context is context:
                return chunk
        self.chunks.append(_nd.empty((max(nbytes, 64),), "uint8", context))
        return self.chunks[-1]


ARENAS = weakref.WeakSet()


def _after_fork():
    """In a forked child: a lock that another thread held will never be released there."""
    for arena in list(ARENAS):
        arena.lock, arena.runner = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
