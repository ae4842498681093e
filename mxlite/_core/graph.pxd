cdef class Node:
    """One operation or variable of a graph."""
    cdef public object op            # the record; None for a variable
    cdef public str name
    cdef public dict attrs           # attribute text as given: parameters and user attributes, what JSON shows
    cdef public object p             # parsed parameters; None for a variable
    cdef public list inputs          # entries (node, output index): arguments, then auxiliary states
    cdef public int n_out            # outputs, hidden ones too
    cdef public int n_visible
    cdef public object where         # "file:line" of the user's call that made the node
    cdef public object rng_of        # for a backward node: the forward node whose random numbers it draws again

cdef class Indexed:
    """A graph as flat lists: nodes in execution order, entries numbered row by row."""
    cdef public list nodes
    cdef public list row_ptr         # node row -> its first entry id; one more at the end
    cdef public list inputs          # node row -> list of entry ids
    cdef public list heads           # entry ids of the outputs
    cdef public dict row_of          # node -> row
    cpdef int add(self, Node node) except -1
    cpdef int entry(self, object e) except -1
