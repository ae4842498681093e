# cython: language_level=3
"""Whether arrays were written since one looked last."""
from libc.stdint cimport uint64_t
from mxlite._core.ndarray cimport NDArrayBase
from mxlite._core.storage cimport Storage


cdef class Watch:
    """The versions of some arrays' memory. Memory that foreign code may write at any time counts as written always."""
    cdef list storages
    cdef list seen

    def __init__(self, arrays):
        cdef NDArrayBase a
        self.storages = [(<NDArrayBase>a).storage for a in arrays]
        self.seen = None

    def changed(self):
        """True where any of the arrays may have been written since ``note``, or ``note`` was never called."""
        cdef Storage s
        cdef int i = 0
        if self.seen is None:
            return True
        for s in self.storages:
            if s.exported or s.version != <uint64_t>self.seen[i]:
                return True
            i += 1
        return False

    def now(self):
        """The arrays' present state, for ``note``."""
        cdef Storage s
        return [s.version for s in self.storages]

    def note(self, list state):
        """Remember `state` as seen; None: what was prepared from the arrays is lost."""
        self.seen = state
