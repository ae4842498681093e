# cython: language_level=3
"""Offsets for blocks of memory: which bytes of an arena each block of a plan gets.

Finding the smallest arena is NP-hard; what stands here is greedy in several orders, and then in better ones: blocks
that stick out above what must be alive at once are placed earlier the next time. It stops at the lower bound, or when
the work that it may do is done, so that binding a graph of 10^4 blocks takes milliseconds.
"""
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove

cdef enum:
    WORK = 12000000          # looks at placed blocks, in all attempts on one arena together
    GREEDY_MOST = 12000      # more blocks than this are placed by the linear allocator alone
    ATTEMPTS = 200           # on small graphs the work would allow for more

ctypedef struct Block:
    int64_t size
    int birth, death

ctypedef struct Span:
    int64_t start, end
    int birth, death


cdef int64_t greedy(int n, const int* order, const Block* blocks, int64_t* offset, Span* placed, int64_t most,
                    int64_t* work) noexcept nogil:
    """Blocks in the given order, each at the lowest offset that is free during its whole life; the bytes that they
    span, or `most` as soon as that is reached. `placed` has room for `n`."""
    cdef int k, j, b, m = 0, low, high
    cdef int64_t at, peak = 0
    cdef Block block
    for k in range(n):
        b = order[k]
        block = blocks[b]
        offset[b] = 0
        if block.size == 0:
            continue
        at = 0
        for j in range(m):
            if placed[j].birth <= block.death and block.birth <= placed[j].death:
                if placed[j].start - at >= block.size:
                    break
                if placed[j].end > at:
                    at = placed[j].end
        work[0] -= m
        offset[b] = at
        if at + block.size > peak:
            peak = at + block.size
            if peak >= most:
                return most
        low, high = 0, m
        while low < high:
            j = (low + high) // 2
            if placed[j].start < at:
                low = j + 1
            else:
                high = j
        memmove(placed + low + 1, placed + low, (m - low) * sizeof(Span))
        placed[low].start, placed[low].end = at, at + block.size
        placed[low].birth, placed[low].death = block.birth, block.death
        m += 1
    return peak


def place_blocks(list birth, list death, list size, list offset, int64_t peak, int64_t bound):
    """Better offsets than `offset`, which span `peak` bytes, as (offsets, bytes): `bound` of them cannot be avoided."""
    cdef int n = len(size), i, k, m, stuck
    cdef int64_t work = WORK, got, most
    if peak <= bound or n > GREEDY_MOST:
        return offset, peak
    cdef Block* blocks = <Block*>malloc(n * sizeof(Block))
    cdef Span* placed = <Span*>malloc((n + 1) * sizeof(Span))
    cdef int64_t* found = <int64_t*>malloc(3 * n * sizeof(int64_t))
    cdef int* order = <int*>malloc(3 * n * sizeof(int))
    cdef int64_t* best = found + n
    cdef int64_t* now = found + 2 * n       # of the order that is being improved
    cdef int* base = order + n
    try:
        if blocks == NULL or placed == NULL or found == NULL or order == NULL:
            raise MemoryError
        for i in range(n):
            blocks[i].birth, blocks[i].death, blocks[i].size = birth[i], death[i], size[i]
            best[i] = offset[i]
        numbers = range(n)
        orders = [sorted(numbers, key=lambda b: (-size[b], birth[b])),
                  sorted(numbers, key=lambda b: (birth[b] - death[b], -size[b])),
                  sorted(numbers, key=lambda b: (-size[b] * (death[b] - birth[b] + 1), birth[b]))]
        most = 2 * peak             # an order that is twice as long is not worth improving
        tried = []
        for given in orders:
            for i in range(n):
                base[i] = given[i]
            got = greedy(n, base, blocks, now, placed, most, &work)
            if got < peak:
                peak = got
                memcpy(best, now, n * sizeof(int64_t))
                if peak <= bound:
                    break
            if got < most:
                tried.append((got, len(tried), given))
        for _, _, given in sorted(tried) if peak > bound else ():
            for i in range(n):
                base[i] = given[i]
            greedy(n, base, blocks, now, placed, most, &work)
            stuck = 0
            for k in range(ATTEMPTS):
                if peak <= bound or stuck > 8 or work < 0:
                    break
                # First those that stick out, as they stand in the order; then all others.
                m = 0
                for i in range(n):
                    if now[base[i]] + blocks[base[i]].size > bound:
                        order[m] = base[i]
                        m += 1
                for i in range(n):
                    if now[base[i]] + blocks[base[i]].size <= bound:
                        order[m] = base[i]
                        m += 1
                memcpy(base, order, n * sizeof(int))
                got = greedy(n, base, blocks, now, placed, most, &work)
                if got >= most:
                    break
                stuck += 1
                if got < peak:
                    peak, stuck = got, 0
                    memcpy(best, now, n * sizeof(int64_t))
        return [best[i] for i in range(n)], peak
    finally:
        free(blocks)
        free(placed)
        free(found)
        free(order)


def place_scratch(list offset, list birth, list death, list size, int64_t above, list wanted):
    """Offsets for scratch of single steps, in holes that the blocks leave at that step, else above them.

    `wanted`: (step, bytes) pairs; `above`: where no block is any more. Returns (offsets, bytes with the scratch)."""
    cdef int n = len(size), i, m = 0, step
    cdef int64_t at, nbytes, top = above
    cdef Span* spans = <Span*>malloc((n + 1) * sizeof(Span))
    cdef list out = []
    if spans == NULL:
        raise MemoryError
    try:
        for i in sorted(range(n), key=offset.__getitem__):
            if size[i]:
                spans[m].start = offset[i]
                spans[m].end = spans[m].start + <int64_t>size[i]
                spans[m].birth, spans[m].death = birth[i], death[i]
                m += 1
        for step, nbytes in wanted:
            at = 0
            for i in range(m):
                if spans[i].birth <= step <= spans[i].death:
                    if spans[i].start - at >= nbytes:
                        break
                    if spans[i].end > at:
                        at = spans[i].end
            out.append(at)
            if at + nbytes > top:
                top = at + nbytes
        return out, top
    finally:
        free(spans)
