"""Python's garbage collector, out of the way while a graph is bound: it would walk through all nodes again and again,
which are many, new, and not garbage."""
import gc


class paused:
    """A block without automatic collections. Entered by several threads, collections may begin again a little early."""

    __slots__ = ("was",)

    def __enter__(self):
        self.was = gc.isenabled()
        gc.disable()

    def __exit__(self, *exc):
        if self.was:
            gc.enable()
