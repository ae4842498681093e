# cython: language_level=3
"""A program on its way to instructions: what the passes between the gradient pass and the planner edit.

Forward and backward nodes are there, typed and pruned. From here on a node is a row of tables and no longer an object
that others point at, so a pass replaces some rows by one without touching their readers.
"""
from heapq import heapify, heappop, heappush

from .graph import Node, states_of


def moved_states(draft, row):
    """The entries of the auxiliary states that `row` of the forward half writes."""
    op = draft.nodes[row].op
    return states_of(op, draft.nodes[row].p, draft.ins[row]) if op is not None and op.aux and not op.moves_late else ()


class Draft:
    """Tables by row and by entry; `rows` is the program.

    By row: ``nodes``; ``ins`` and ``outs``, lists of entry ids (a variable has one output); ``backward``, whether it
    belongs to the backward half; ``contexts``, or None where there is one context.
    By entry: ``shapes``, ``dtypes``; ``pinned``: entry -> array bound to it from outside; ``keep``: entries that the
    program is there for.
    ``rows``: the rows that run, in order, variables among them (``gone``: replaced since the last ``sweep``). ``once``:
    those of them that need not run again until a parameter changes; they come first. ``made_of``: row -> names of the
    operators that a fused row stands for. ``on_cpu``: whether the CPU will run it. ``rng_ids``: node that draws random
    numbers -> its number. ``moving``: states that rows of the forward half write, so that it matters when they are
    read.
    """

    __slots__ = ("nodes", "ins", "outs", "backward", "contexts", "shapes", "dtypes", "pinned", "keep", "rows", "once",
                 "made_of", "heads", "train", "gone", "rng_ids", "moving", "on_cpu")

    def __init__(self, g, rows, shapes, dtypes, pinned, keep, n_forward, contexts, mode, drawing=()):
        """`g`: the :class:`Indexed` graph; `n_forward`: its first backward row; `mode`: is_train of both halves;
        `drawing`: the nodes of the user's graph that draw random numbers."""
        self.nodes, self.ins, self.rows = list(g.nodes), list(g.inputs), list(rows)
        self.outs = [list(range(g.row_ptr[row], g.row_ptr[row + 1])) for row in range(len(g.nodes))]
        self.backward = [row >= n_forward for row in range(len(g.nodes))]
        self.shapes, self.dtypes, self.pinned, self.keep = shapes, dtypes, pinned, set(keep)
        self.contexts, self.heads, self.train = contexts, list(g.heads), mode
        self.once, self.made_of, self.gone, self.on_cpu = [], {}, set(), True
        self.rng_ids = {node: i for i, node in enumerate(drawing)}
        self.moving = {e for row in rows if not self.backward[row] for e in moved_states(self, row)}

    def context_of(self, row):
        """The context of a row; None where there is only one."""
        return None if self.contexts is None else self.contexts[row]

    def producers(self):
        """entry -> row that makes it, of the rows that run."""
        cdef dict out = {}
        cdef list outs = self.outs
        for row in <list>self.rows:
            for e in <list>outs[<int>row]:
                out[e] = row
        return out

    def readers(self):
        """entry -> rows that read it, in order, one for each time it is read."""
        cdef dict out = {}
        cdef list ins = self.ins
        for row in <list>self.rows:
            for e in <list>ins[<int>row]:
                found = out.get(e)
                if found is None:
                    out[e] = [row]
                else:
                    (<list>found).append(row)
        return out

    def has(self, *operators):
        """Whether any of these operators is in the program."""
        for row in self.rows:
            node = self.nodes[row]
            if node.op is not None and node.op.name in operators:
                return True
        return False

    def add(self, node, ins, shapes, dtypes, like):
        """Append a row for `node` that reads the entries `ins`, with new entries of `shapes` and `dtypes`, on the side
        and context of row `like`. It is in no order yet: put it into ``rows`` or ``once``. Returns the row."""
        first = len(self.shapes)
        self.nodes.append(node)
        self.ins.append(list(ins))
        self.outs.append(list(range(first, first + len(shapes))))
        self.shapes += [tuple(s) for s in shapes]
        self.dtypes += list(dtypes)
        self.backward.append(self.backward[like])
        if self.contexts is not None:
            self.contexts.append(self.contexts[like])
        return len(self.nodes) - 1

    def replace(self, rows, node, ins, outs, at=None):
        """The rows `rows` become one: `node` reads the entries `ins` and makes `outs`, which some of them made. It runs
        in the place of row `at` (one of them; default the last). What they made beside `outs` exists no more: nobody
        else may read it. Returns the row."""
        at = rows[-1] if at is None else at
        names = []
        for row in rows:
            names += self.made_of.pop(row, None) or [self.nodes[row].op.name]
        self.gone.update(row for row in rows if row != at)
        self.nodes[at], self.ins[at], self.outs[at], self.made_of[at] = node, list(ins), list(outs), names
        return at

    def insert(self, rows, before):
        """Put the new rows `rows` into ``rows``, in front of the row `before`."""
        at = self.rows.index(before)
        self.rows[at:at] = rows

    def drop(self, rows):
        """The rows `rows` are no longer needed: others make what they made, or nobody reads it."""
        self.gone.update(rows)

    def in_order(self):
        """Does every row come behind what it reads, and the forward half in front of the backward half?"""
        cdef set there = set()
        cdef list ins = self.ins, outs = self.outs, backward = self.backward
        cdef bint behind = False
        for row in <list>self.rows:
            if behind and not backward[<int>row]:
                return False
            behind = backward[<int>row]
            if not there.issuperset(<list>ins[<int>row]):
                return False
            there.update(<list>outs[<int>row])
        return True

    def order(self):
        """Sort ``rows`` so that each comes behind what it reads, where that is not so; otherwise they stay as near to
        their order as that allows."""
        if self.gone:
            self.rows = [row for row in self.rows if row not in self.gone]
        if self.in_order():
            return
        place = {row: i for i, row in enumerate(self.rows)}
        producers, waits, readers, out = self.producers(), {}, {}, []
        for row in self.rows:
            sources = {producers[e] for e in self.ins[row]}
            waits[row] = len(sources)
            for source in sources:
                readers.setdefault(source, []).append(row)
        ready = [place[row] for row in self.rows if not waits[row]]
        heapify(ready)
        rows = self.rows
        while ready:
            row = rows[heappop(ready)]
            out.append(row)
            for reader in readers.get(row, ()):
                waits[reader] -= 1
                if not waits[reader]:
                    heappush(ready, place[reader])
        if len(out) != len(rows):
            raise AssertionError("a pass made a program whose rows wait for each other")
        # The forward half stays in front of the backward half, whatever is ready early.
        self.rows = [r for r in out if not self.backward[r]] + [r for r in out if self.backward[r]]

    def sweep(self):
        """Take the rows that were replaced, and those whose results nobody needs any more, out of ``rows``."""
        cdef set needed = set(self.keep), gone = self.gone
        cdef list ins = self.ins, outs = self.outs, kept = []
        for row in reversed(<list>self.rows):
            if row not in gone and not needed.isdisjoint(<list>outs[<int>row]):
                needed.update(<list>ins[<int>row])
                kept.append(row)
        self.rows = kept[::-1]
        self.once = [row for row in self.once if row not in self.gone]
        self.gone.clear()

    def fused(self, record, p, rows):
        """A node of `record` for the rows `rows`: named after them, with the first one's source line."""
        names = list(dict.fromkeys(name for row in rows for name in self.nodes[row].name.split(" + ")))
        if len(names) > 4:
            names = [*names[:2], "...", names[-1]]
        return Node(record, " + ".join(names), {}, p, [], self.nodes[rows[0]].where)
