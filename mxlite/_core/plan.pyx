# cython: language_level=3
"""The memory planner: where every entry of a program lives.

Entries that share memory form one *block*: a view always joins its input's block, an output may take over the block of
an input that dies at that node. A block lives from the step that writes it to the last step that reads any of its
entries. Blocks that are alive together get disjoint ranges of one arena; entries bound to outside arrays (arguments,
gradients, outputs) are *pinned*: they are nobody's in-place target and take no arena bytes.
"""
from mxlite._core.graph cimport Node
from .placement import place_blocks, place_scratch

cdef enum:
    ALIGN = 64
    SCRATCH_MOST = 100000000 # more pairs of a block and a step with scratch are not looked at


class Plan:
    """What the planner decided.

    ``block_of``: entry id -> block or -1 (pinned or unused); ``offset``: block -> byte offset in the arena;
    ``inplace``: row -> {output: input} memory taken over; ``workspace``: row -> byte offset; ``entry_bytes``: size of
    the arena for entries; ``arena_bytes``: with workspaces; ``lower_bound``: most bytes alive at once. Where the graph
    spans several contexts there is an arena a context, ``home`` says which one each block is in, ``arenas`` has the
    bytes of each, a dict of these four names, and the totals are sums.
    """

    __slots__ = ("block_of", "offset", "size", "birth", "death", "inplace", "workspace", "entry_bytes", "arena_bytes",
                 "lower_bound", "workspace_bytes", "home", "arenas")


cdef inline object rounded(n):
    return (n + ALIGN - 1) // ALIGN * ALIGN


def candidates(claim):
    """A record's in-place claim, ``1`` or ``(0, 1)``, as a tuple."""
    return (claim,) if isinstance(claim, int) else tuple(claim)


def plan(draft, list nbytes, list workspaces, allow_inplace=True, list places=None):
    """Plan the memory of the :class:`Draft` `draft`, whose ``pinned`` entries live in outside memory.

    `nbytes`: bytes of every entry. `workspaces`: bytes of scratch by position in ``draft.rows``. `places`: row ->
    number of the arena that its outputs go into; None: there is one. Returns a :class:`Plan`.
    """
    cdef list rows = draft.rows, all_ins = draft.ins, all_outs = draft.outs, nodes = draft.nodes, outs, ins
    cdef int step, row, i, b, n_steps = len(rows), n_entries = len(nbytes)
    cdef Node node
    cdef list last = [-1] * n_entries, block_of = [-1] * n_entries
    cdef list birth = [], size = [], home = []
    cdef list death = []        # block -> last step that any of its entries is read
    cdef dict inplace = {}
    pinned = set(draft.pinned)
    for step in range(n_steps):
        for e in <list>all_ins[<int>rows[step]]:
            last[e] = step
    # Entries whose memory is somebody else's: a view of a pinned entry is pinned with it.
    held = set(pinned)
    for step in range(n_steps):
        row = rows[step]
        node = <Node>nodes[row]
        if node.op is None:
            continue
        ins, outs = all_ins[row], all_outs[row]
        taken = {}
        views = node.op.view(node.p) if callable(node.op.view) else node.op.view
        claims = node.op.inplace(node.p) if callable(node.op.inplace) else node.op.inplace
        for i in range(len(outs)):
            e = outs[i]
            if e in pinned:
                continue
            if last[e] < 0 and (i >= node.n_visible or i in node.op.optional):
                continue            # an output that nobody reads, and may be missing: the kernel gets a NULL pointer
            if allow_inplace and i in views:
                source = ins[views[i]]
                if source in held:
                    held.add(e)
                    taken[i] = views[i]
                    continue
                b = block_of[source]
                if b >= 0:
                    block_of[e] = b
                    death[b] = max(death[b], last[e])
                    taken[i] = views[i]
                    continue
            if allow_inplace and i in claims:
                allowed = candidates(claims[i])
                for k in allowed:
                    if k >= len(ins):
                        continue
                    source = ins[k]
                    b = block_of[source]
                    if source in held or b < 0 or nbytes[source] != nbytes[e] or death[b] > step:
                        continue
                    if places is not None and home[b] != places[row]:
                        continue
                    # Every place where the block is read here must allow the overwrite, and none be taken already.
                    if any([block_of[o] == b and j not in allowed for j, o in enumerate(ins)]):
                        continue
                    if b in [block_of[outs[j]] for j in taken]:
                        continue
                    block_of[e] = b
                    death[b] = max(last[e], step)
                    taken[i] = k
                    break
                if i in taken:
                    continue
            block_of[e] = len(size)
            size.append(rounded(nbytes[e]))
            home.append(0 if places is None else places[row])
            birth.append(step)
            death.append(max(last[e], step))
        if taken:
            inplace[row] = taken
    p = Plan()
    p.block_of, p.size, p.birth, p.death, p.inplace, p.home = block_of, size, birth, death, inplace, home
    p.offset, p.workspace, p.arenas = [0] * len(size), {}, []
    for k in range(1 if places is None else max(places, default=0) + 1):
        p.arenas.append(fill_arena(p, k, rows, workspaces if places is None else
                                   [w if places[row] == k else 0 for row, w in zip(rows, workspaces)]))
    for field in ("entry_bytes", "arena_bytes", "lower_bound", "workspace_bytes"):
        setattr(p, field, sum([arena[field] for arena in p.arenas]))
    return p


def fill_arena(p, k, rows, workspaces):
    """Give the blocks whose home is arena `k`, and the scratch `workspaces`, their offsets; the arena's bytes."""
    blocks = [b for b in range(len(p.size)) if p.home[b] == k]
    birth, death, size = ([field[b] for b in blocks] for field in (p.birth, p.death, p.size))
    bound = most_alive(birth, death, size, len(rows))
    offset, top = place(birth, death, size, len(rows), bound)
    wanted = [(s, rounded(n)) for s, n in enumerate(workspaces) if n]
    scratch, arena = place_workspaces(offset, birth, death, size, top, wanted)
    # Scratch is a block that lives for one step: where holes do not do, both are placed together.
    birth, death, size = ([*field, *more] for field, more in zip((birth, death, size), (
        [s for s, _ in wanted], [s for s, _ in wanted], [n for _, n in wanted])))
    whole = most_alive(birth, death, size, len(rows))
    if arena > whole:
        together, span = place_blocks(birth, death, size, offset + scratch, arena, whole)
        end = max([at + n for at, n in zip(together, size[:len(blocks)])], default=0)
        if span < arena and end <= top:     # scratch may come and go with threads and levels: results come first
            offset, scratch, top, arena = together, together[len(blocks):], end, span
    for b, at in zip(blocks, offset):
        p.offset[b] = at
    p.workspace.update([(rows[s], at) for (s, _), at in zip(wanted, scratch)])
    return {"entry_bytes": top, "arena_bytes": arena, "lower_bound": bound,
            "workspace_bytes": max(workspaces, default=0)}


def most_alive(birth, death, size, n_steps):
    """Most bytes alive at one step: no plan can be smaller."""
    change = [0] * (n_steps + 2)
    for b, d, s in zip(birth, death, size):
        change[b] += s
        change[d + 1] -= s
    most = alive = 0
    for c in change:
        alive += c
        most = max(most, alive)
    return most


def place(birth, death, size, n_steps, bound):
    """Offsets for the blocks, and the bytes they span: the best of several orders, stopping at the lower bound."""
    by_birth = sorted(range(len(size)), key=lambda b: (birth[b], -size[b]))
    offset, top = place_linear(by_birth, birth, death, size)
    return place_blocks(birth, death, size, offset, top, bound)


def place_linear(order, birth, death, size):
    """Blocks in order of birth, each into the smallest free range that holds it (best fit)."""
    import heapq
    offset = [0] * len(size)
    free = []                # sorted list of (start, end)
    alive = []               # heap of (death, start, end)
    top = peak = 0
    for b in order:
        while alive and alive[0][0] < birth[b]:
            _, start, end = heapq.heappop(alive)
            free = give_back(free, start, end)
        if size[b] == 0:
            continue
        choice = None
        for i, (start, end) in enumerate(free):
            if end - start >= size[b] and (choice is None or end - start < free[choice][1] - free[choice][0]):
                choice = i
        if choice is not None:
            start, end = free[choice]
            if end - start == size[b]:
                free.pop(choice)
            else:
                free[choice] = (start + size[b], end)
        elif free and free[-1][1] == top:
            start = free.pop()[0]
            top = start + size[b]
        else:
            start = top
            top += size[b]
        offset[b] = start
        peak = max(peak, top)
        heapq.heappush(alive, (death[b], start, start + size[b]))
    return offset, peak


def give_back(free, start, end):
    """`free` (sorted ranges) with one more, neighbours joined."""
    import bisect
    i = bisect.bisect(free, (start, end))
    if i < len(free) and free[i][0] == end:
        end = free.pop(i)[1]
    if i and free[i - 1][1] == start:
        start = free.pop(i - 1)[0]
        i -= 1
    free.insert(i, (start, end))
    return free


def place_workspaces(offset, birth, death, size, entry_bytes, wanted):
    """Offsets for the scratch of steps, `wanted` (step, bytes) pairs, in holes that entries leave at that step, else
    above them; and the bytes that all of it spans."""
    if len(wanted) * len(size) > SCRATCH_MOST:      # a huge graph: one region above the entries serves all
        return [entry_bytes] * len(wanted), entry_bytes + max(n for _, n in wanted)
    return place_scratch(offset, birth, death, size, entry_bytes, wanted)


def check(p, g, rows, pinned):
    """The planner's invariant, for tests: no two blocks of one arena that are alive together overlap, and no pinned
    entry has a block. ValueError names the two that do."""
    home = getattr(p, "home", None)
    for b in range(len(p.size)):
        for c in range(b):
            if home is not None and home[b] != home[c]:
                continue
            if p.birth[b] <= p.death[c] and p.birth[c] <= p.death[b] and p.size[b] and p.size[c] \
                    and p.offset[b] < p.offset[c] + p.size[c] and p.offset[c] < p.offset[b] + p.size[b]:
                raise ValueError(f"blocks {c} and {b} are alive together and overlap: "
                                 f"[{p.offset[c]}, {p.offset[c] + p.size[c]}) and "
                                 f"[{p.offset[b]}, {p.offset[b] + p.size[b]})")
    for e in pinned:
        if p.block_of[e] >= 0:
            raise ValueError(f"pinned entry {e} was given block {p.block_of[e]}")
