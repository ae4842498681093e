from libc.stdint cimport int64_t, uint64_t

cdef class Storage:
    """A block of memory. `version` counts the writes that mxlite knows of; `exported` says that others may write."""
    cdef void* data
    cdef readonly int64_t nbytes
    cdef int64_t capacity
    cdef public uint64_t version
    cdef public bint exported
    cdef public bint spare          # it is larger than the array in it, whose maker keeps notes behind
    cdef object owner
    cdef readonly object device     # the GPU that it is on, None for the host

cdef Storage new_storage(int64_t nbytes)
cdef Storage foreign_storage(void* data, int64_t nbytes, object owner)
cdef Storage storage_on(int64_t nbytes, object context)
