# cython: language_level=3
"""Memory for arrays: 64-byte aligned blocks from a pool that keeps what is freed.

First touch of fresh pages costs twelve times a write to warm ones, so freed blocks wait in free lists by size class
(four classes an octave) instead of going back to the system, up to an eighth of the machine's memory; ``empty_cache``
gives them back. A big request also takes a block that is up to half as large again. Blocks of 4 MB and more are on
huge pages. All of it runs under the GIL.
"""
import os
cimport cython
from libc.stdlib cimport free
from libc.stdint cimport int64_t, uint64_t
from .context import CPU as _CPU, gpu_backend

cdef object CPU = _CPU

cdef extern from *:
    """
    #include <stdlib.h>
    #include <stdint.h>
    #if defined(__linux__)
    #include <sys/mman.h>
    #endif
    #define MXL_HUGE (2 << 20)
    static void *mxl_aligned(int64_t n)
    {
        void *p = 0;
        int big = n >= 2 * MXL_HUGE;
        if (posix_memalign(&p, big ? MXL_HUGE : 64, (size_t)n)) return 0;
    #if defined(MADV_HUGEPAGE)
        if (big) madvise(p, (size_t)n, MADV_HUGEPAGE);
    #endif
        return p;
    }
    """
    void* mxl_aligned(int64_t n) nogil

cdef enum:
    GPU = 2                     # device types of contexts
    PINNED = 3
    SMALLEST = 64
    CLASSES = 256
    BIG = 1 << 16               # from here on a block belongs to the class of its capacity, whatever it was asked for
    REACH = 2                   # classes above its own that a big request looks into: 1.5 times its size
cdef void* free_list[CLASSES]          # freed blocks, linked through their first word
cdef int64_t cached_bytes = 0
cdef int64_t memory_bytes = 0
try:
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
except (AttributeError, ValueError, OSError):
    memory_bytes = <int64_t>1 << 46
cdef int64_t CACHE_LIMIT = max(memory_bytes // 8, <int64_t>1 << 28)


def memory_limit():
    """Bytes that this machine has: no array can be larger."""
    return memory_bytes


def available():
    """Bytes that can be had now without swapping, as Linux counts them; all there are where nobody says."""
    try:
        with open("/proc/meminfo") as f:
            for line in f:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return memory_bytes


cdef int size_class(int64_t nbytes, int64_t* capacity) noexcept:
    """Class of a block that holds `nbytes`, and how much such a block holds: 64, 80, 96, 112, 128, 160, ..."""
    cdef int64_t base = SMALLEST
    cdef int c = 0
    while base * 2 <= nbytes:
        base *= 2
        c += 4
    cdef int64_t step = base // 4
    cdef int64_t k = 0
    if nbytes > base:
        k = (nbytes - base + step - 1) // step
    capacity[0] = (base + k * step + 63) & ~<int64_t>63
    return c + <int>k


cdef int64_t class_capacity(int c) noexcept:
    """How much a block of class `c` holds."""
    cdef int64_t base = <int64_t>SMALLEST << (c // 4)
    return (base + c % 4 * (base // 4) + 63) & ~<int64_t>63


@cython.freelist(256)
cdef class Storage:
    def __dealloc__(self):
        global cached_bytes
        cdef int c
        cdef int64_t capacity
        if self.capacity == 0 or self.data == NULL:
            return
        c = size_class(self.capacity if self.capacity >= BIG else self.nbytes, &capacity)
        if cached_bytes + self.capacity <= CACHE_LIMIT:
            (<void**>self.data)[0] = free_list[c]
            free_list[c] = self.data
            cached_bytes += self.capacity
        else:
            free(self.data)


cdef Storage new_storage(int64_t nbytes):
    """Uninitialised memory of `nbytes` bytes. MemoryError where the machine cannot have that much: Linux would
    promise it and kill the process later."""
    global cached_bytes
    cdef Storage s = Storage.__new__(Storage)
    cdef int64_t capacity
    cdef int c, k
    if nbytes < 0 or nbytes > memory_bytes:
        raise MemoryError(f"an array of {nbytes} bytes does not fit this machine's memory of {memory_bytes} bytes")
    c = size_class(nbytes, &capacity)
    if nbytes >= BIG and free_list[c] == NULL:
        for k in range(c + 1, min(c + REACH + 1, <int>CLASSES)):
            if free_list[k] != NULL:
                c, capacity = k, class_capacity(k)
                break
    if free_list[c] != NULL:
        s.data = free_list[c]
        free_list[c] = (<void**>s.data)[0]
        cached_bytes -= capacity
    else:
        if nbytes > memory_bytes // 16:     # large enough that a look at what is left costs nothing beside it
            if nbytes > available():
                empty_cache()
            if nbytes > available():
                raise MemoryError(f"an array of {nbytes} bytes: only {available()} of this machine's {memory_bytes} "
                                  f"bytes are free")
        s.data = mxl_aligned(capacity)
        if s.data == NULL:
            empty_cache()
            s.data = mxl_aligned(capacity)
        if s.data == NULL:
            raise MemoryError(f"the system has no {nbytes} bytes left")
    s.nbytes, s.capacity = nbytes, capacity
    return s


cdef Storage foreign_storage(void* data, int64_t nbytes, object owner):
    """Memory that belongs to `owner`, which is kept alive; others may write into it."""
    cdef Storage s = Storage.__new__(Storage)
    s.data, s.nbytes, s.capacity, s.owner, s.exported = data, nbytes, 0, owner, True
    return s


cdef Storage storage_on(int64_t nbytes, object context):
    """Uninitialised memory where arrays of `context` lie: the host's; a GPU's, from its own pool; page-locked memory of
    the host, where there is a GPU."""
    cdef Storage s
    if context is CPU:          # the usual case
        return new_storage(nbytes)
    memory = device = None
    if context.device_typeid == GPU:
        device = gpu_backend().get_device(context.device_id)
        memory = device.alloc(nbytes)
    elif context.device_typeid == PINNED:
        memory = gpu_backend().pinned(nbytes)
    if memory is None:
        return new_storage(nbytes)
    s = foreign_storage(<void*><size_t>memory.ptr, nbytes, memory)
    s.exported = False          # nobody but mxlite writes there
    s.device = device
    return s


def empty_cache():
    """Give the pool's free blocks back to the system."""
    global cached_bytes
    cdef int c
    cdef void* p
    for c in range(CLASSES):
        while free_list[c] != NULL:
            p = free_list[c]
            free_list[c] = (<void**>p)[0]
            free(p)
    cached_bytes = 0


def cached():
    """Bytes waiting in the pool."""
    return cached_bytes


def cache_limit():
    """Bytes that wait in the pool at most."""
    return CACHE_LIMIT
