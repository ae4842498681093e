# cython: language_level=3
"""The pass that runs neighbouring element-wise nodes as one kernel, see ``kernels/elementwise_chain.h``.

A group grows along the edges between its members. It runs at one place of the program, so everything that it reads has
to be there before, and everything that reads of it comes after: a place between the two is what makes a group one.
"""
from bisect import bisect_left

from ..ops.fused_elementwise import ElementwiseChain
from ..ops.rules import size
from .dtypes import ITEMSIZE
from .graph import states_of
from .graph cimport Node
from .kernels import elementwise

cdef enum:                              # within the kernel's bounds, registers included
    MOST_STEPS = 32
    MOST_INPUTS = 20
    MOST_OUTPUTS = 8
cdef int WHOLE = 0, ONE = 1, PERIODIC = 2               # CHAIN_WHOLE ... of the kernel
cdef tuple ALL = (WHOLE, 1, 1)
cdef dict LOOPS = elementwise.loops
cdef str FAMILY = "elementwise."
cdef tuple DTYPES = ElementwiseChain.cpu_dtypes


cdef class Group:
    """Rows that become one, what must agree between them, and where in the program they run."""

    cdef list rows
    cdef set members
    cdef tuple key
    cdef int at, steps

    def __init__(self, row, key, at, steps):
        self.rows, self.members, self.key, self.at, self.steps = [row], {row}, key, at, steps


def fuse_chains(draft):
    """Replace groups of element-wise rows, of one shape, dtype, side and context, by one row each."""
    cdef Chains chains = Chains(draft)
    cdef Group group
    cdef list rows, outs
    for row in <list>draft.rows:
        if row in chains.group:
            for e in <list>chains.ins[row]:
                source = chains.group.get(chains.producers[e])
                if source is not None:
                    chains.join(<Group>source, <Group>chains.group[row])
    done = set()
    for row in list(draft.rows):
        group = chains.group.get(row)
        if group is None or len(group.rows) == 1 or group in done:
            continue
        done.add(group)
        rows = sorted(group.rows, key=chains.place.get)
        at, outs = None, []
        for member in rows:
            if chains.place[member] == group.at:
                at = member
            e = (<list>chains.outs[member])[0]
            if chains.wanted(e, group):
                outs.append(e)
        p, ins = program(chains, rows, outs)
        draft.replace(rows, draft.fused(ElementwiseChain, p, rows), ins, outs, at)


cdef class Chains:
    """What joining asks of a draft, and the group of each row that may be in a chain."""

    cdef object draft, keep, pinned
    cdef dict place, producers, readers, group, loops
    cdef list ins, outs, shapes, heavy

    def __init__(self, draft):
        cdef Node node
        cdef int i = 0
        self.draft, self.keep, self.pinned = draft, draft.keep, draft.pinned
        self.ins, self.outs, self.shapes = draft.ins, draft.outs, draft.shapes
        self.place, self.producers, self.readers = {}, draft.producers(), draft.readers()
        self.group, self.loops, self.heavy = {}, {}, []
        states, once = set(), set(draft.once)
        shared = written_twice(draft)
        for row in <list>draft.rows:
            node = <Node>(<list>draft.nodes)[row]
            if node.op is not None and node.op.aux:
                states.update(states_of(node.op, node.p, self.ins[row]))
        for row in <list>draft.rows:
            self.place[row] = i
            node = <Node>(<list>draft.nodes)[row]
            if node.op is not None:
                loop = None
                if row not in once and (not states or states.isdisjoint(self.ins[row])) \
                        and (not shared or shared.isdisjoint(self.outs[row])):
                    loop = loop_of(draft, row)
                if loop is None:
                    self.heavy.append(i)
                else:
                    e = self.outs[row][0]
                    key = self.shapes[e], draft.dtypes[e], draft.backward[row], draft.context_of(row)
                    self.loops[row] = loop
                    self.group[row] = Group(row, key, i, max(1, len(self.ins[row]) - 1))
            i += 1

    cdef int where(self, row) except -1:
        group = self.group.get(row)
        return <int>self.place[row] if group is None else (<Group>group).at

    cdef bint wanted(self, e, Group group) except -1:
        """Does anybody outside of `group` want entry `e`?"""
        if e in self.keep or e in self.pinned:
            return True
        for row in self.readers.get(e, ()):
            if row not in group.members:
                return True
        return False

    cdef int join(self, Group a, Group b) except -1:
        """Make one group of `a` and `b`, which reads of it, where that is possible and pays."""
        if a is b or a.steps + b.steps > MOST_STEPS or a.key != b.key:
            return 0
        cdef set ins = set()
        cdef set kept = set()
        cdef int after = -1, before = len(self.place), at
        cdef Group group
        cdef bint out
        for group in (a, b):
            for row in group.rows:
                for e in <list>self.ins[row]:
                    source = self.producers[e]
                    if source not in a.members and source not in b.members:
                        ins.add(e)
                        after = max(after, self.where(source))
                for e in <list>self.outs[row]:
                    out = e in self.keep or e in self.pinned
                    for reader in self.readers.get(e, ()):
                        if reader not in a.members and reader not in b.members:
                            out = True
                            before = min(before, self.where(reader))
                    if out:
                        kept.add(e)
        if len(ins) > MOST_INPUTS or len(kept) > MOST_OUTPUTS:
            return 0
        if after < b.at < before:
            at = b.at
        elif after < a.at < before:
            at = a.at
        else:
            return 0
        if self.holds_memory(a, b, at, kept):
            return 0
        a.rows += b.rows
        a.members |= b.members
        a.at, a.steps = at, a.steps + b.steps
        for row in b.rows:
            self.group[row] = a
        return 1

    cdef bint holds_memory(self, Group a, Group b, int at, set kept) except -1:
        """Would running `a` later, or `b` sooner, keep more arrays alive while other kernels run?"""
        if bisect_left(self.heavy, min(a.at, b.at)) == bisect_left(self.heavy, max(a.at, b.at)):
            return False
        cdef set saved = set(), longer = set()
        for row in b.rows:
            for e in <list>self.ins[row]:
                if self.producers[e] in a.members and e not in kept:
                    saved.add(e)
        if at == a.at:
            for row in b.rows:
                for e in <list>self.outs[row]:
                    if e in kept and e not in self.pinned:
                        longer.add(e)
        else:
            for row in a.rows:
                for e in <list>self.ins[row]:
                    if e in self.pinned or self.shapes[e] != a.key[0] or self.producers[e] in a.members:
                        continue
                    longer.add(e)
                    for reader in self.readers[e]:
                        if reader not in a.members and reader not in b.members and self.where(reader) >= at:
                            longer.discard(e)
                            break
        return len(longer) > len(saved)


cdef set written_twice(draft):
    """Entries bound to memory that another row writes too: gradients that are added up in one array. A chain would have
    read the array before the other one's sum is in it."""
    cdef set out = set()
    cdef list found = []
    for row in <list>draft.rows:
        if (<Node>(<list>draft.nodes)[row]).op is not None:
            for e in (<list>draft.outs)[row]:
                if e in draft.pinned:
                    array = draft.pinned[e]
                    found.append((array.address, e, array))
    found.sort(key=lambda one: one[0])
    cdef object widest = None               # of those so far, the one that reaches furthest
    for one in found:
        if widest is not None and one[2].overlaps(widest[2]):
            out.update((one[1], widest[1]))
        if widest is None or end_of(one) > end_of(widest):
            widest = one
    return out


cdef object end_of(one):
    array = one[2]
    return one[0] + array.size * ITEMSIZE[array.dtype_name]


cdef tuple loop_of(draft, row):
    """(loop number, arrays it reads, cost) where the row's kernel is one loop over the elements, else None."""
    cdef Node node = <Node>(<list>draft.nodes)[row]
    cdef list ins = (<list>draft.ins)[row], shapes = draft.shapes, dtypes = draft.dtypes
    cdef bint whole = False
    op = node.op
    if op.name == "_CrossDeviceCopy":       # it reads another context's memory
        return None
    kernel = op.cpu(node.p) if callable(op.cpu) else op.cpu
    if kernel is None or not (<str>kernel).startswith(FAMILY) or node.n_out != 1 or op.random or op.aux:
        return None
    name = (<str>kernel)[len(FAMILY):]
    e = (<list>draft.outs)[row][0]
    dtype, shape = dtypes[e], shapes[e]
    loop = (LOOPS["add"][0], len(ins), len(ins)) if name == "add_n" else LOOPS.get(name)
    if loop is None or len(ins) != loop[1] or not 0 < len(ins) <= MOST_INPUTS or len(op.dynamic) > 3:
        return None
    if dtype not in DTYPES or dtype not in op.cpu_dtypes or not size(shape):
        return None
    for e in ins:
        if dtypes[e] != dtype:
            return None
        lies = layout(shapes[e], shape)
        if lies is None:
            return None
        whole |= lies is ALL
    return loop if whole else None


cdef tuple layout(part, shape):
    """How an array of shape `part` lies under `shape`: (kind, channels, inner), element ``i // inner % channels`` of it
    at element i. None where it repeats along axes that are not neighbours."""
    if part == shape or size(part) == size(shape):
        return ALL
    if size(part) == 1:
        return ONE, 1, 1
    part = (1,) * (len(shape) - len(part)) + tuple(part)
    own = [i for i, d in enumerate(part) if d != 1]
    first, last = own[0], own[-1]
    if part[first:last + 1] != tuple(shape[first:last + 1]):
        return None
    return PERIODIC, size(part), size(shape[last + 1:])


cdef tuple program(Chains chains, list rows, list outs):
    """(parameters of a chain, its inputs) for `rows`, in an order that they can run in; `outs` are what it leaves."""
    cdef Node node
    cdef dict own = {}, number = {}, last = {}, operand = {}, first_write = {}, last_read = {}
    cdef list ins = [], steps = [], code = [], free = [], lies, read
    cdef int k, i, cost = 0, registers = 0, tensors
    shape = chains.shapes[outs[0]]
    for k, row in enumerate(rows):
        own[chains.outs[row][0]] = k
    for row in rows:
        for e in <list>chains.ins[row]:
            if e not in own and e not in number:
                number[e] = len(ins)
                ins.append(e)
    lies = [layout(chains.shapes[e], shape) for e in ins]
    for k, row in enumerate(rows):
        node = <Node>(<list>chains.draft.nodes)[row]
        for e in <list>chains.ins[row]:
            last[e] = k
        steps.append((node.op, node.p, tuple([number[e] for e in <list>chains.ins[row]])))
        number[chains.outs[row][0]] = len(ins) + k
    for i, e in enumerate(ins + outs):
        operand[e] = i
    tensors = len(ins) + len(outs)
    for k, row in enumerate(rows):
        node, read, made = <Node>(<list>chains.draft.nodes)[row], chains.ins[row], chains.outs[row][0]
        op, arrays, price = chains.loops[row]
        cost += price
        dying = [operand[e] for e in dict.fromkeys(read) if last[e] == k and operand[e] >= tensors]
        if arrays <= 2:                     # a loop may write over what it reads
            free += dying
        if made not in operand:
            if not free:
                free.append(tensors + registers)
                registers += 1
            operand[made] = free.pop()
        if arrays > 2:
            free += dying
        y, a, others = operand[made], operand[read[0]], [operand[e] for e in read[1:]]
        s = [float(0 if getattr(node.p, key) is None else getattr(node.p, key)) for key in node.op.dynamic]
        s += [0.0] * (3 - len(s))
        if not others and op == LOOPS["add"][0]:
            op = LOOPS["_copy"][0]          # the sum of one array
        for b in others or [a]:
            first_write.setdefault(y, len(code))
            last_read[a] = last_read[b] = len(code)
            code.append((op, y, a, b, tuple(s)))
            a = y
    claims = []
    for k in range(len(outs)):
        claim = tuple([i for i in range(len(ins)) if lies[i] is ALL and last_read[i] <= first_write[len(ins) + k]])
        if claim:
            claims.append((k, claim))
    p = ElementwiseChain.P()
    p.steps, p.outs, p.claims = tuple(steps), tuple([number[e] for e in outs]), tuple(claims)
    p.code = tuple(lies), tuple(code), registers, cost
    return p, ins
