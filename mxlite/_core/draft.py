"""A program on its way to instructions: what the passes between the gradient pass and the planner edit.

Forward and backward nodes are there, typed and pruned. From here on a node is a row of tables and no longer an object
that others point at, so a pass replaces some rows by one without touching their readers.
"""
from .graph import Node


class Draft:
    """Tables by row and by entry; `rows` is the program.

    By row: ``nodes``; ``ins`` and ``outs``, lists of entry ids (a variable has one output); ``backward``, whether it
    belongs to the backward half; ``contexts``, or None where there is one context.
    By entry: ``shapes``, ``dtypes``; ``pinned``: entry -> array bound to it from outside; ``keep``: entries that the
    program is there for.
    ``rows``: the rows that run, in order, variables among them (``gone``: replaced since the last ``sweep``). ``once``: those of them that need not run again until a
    parameter changes; they come first. ``made_of``: row -> names of the operators that a fused row stands for.
    """

    __slots__ = ("nodes", "ins", "outs", "backward", "contexts", "shapes", "dtypes", "pinned", "keep", "rows", "once",
                 "made_of", "heads", "train", "gone")

    def __init__(self, g, rows, shapes, dtypes, pinned, keep, n_forward, contexts, mode):
        """`g`: the :class:`Indexed` graph; `n_forward`: its first backward row; `mode`: is_train of both halves."""
        self.nodes, self.ins, self.rows = list(g.nodes), list(g.inputs), list(rows)
        self.outs = [list(range(g.row_ptr[row], g.row_ptr[row + 1])) for row in range(len(g.nodes))]
        self.backward = [row >= n_forward for row in range(len(g.nodes))]
        self.shapes, self.dtypes, self.pinned, self.keep = shapes, dtypes, pinned, set(keep)
        self.contexts, self.heads, self.train = contexts, list(g.heads), mode
        self.once, self.made_of, self.gone = [], {}, set()

    def context_of(self, row):
        """The context of a row; None where there is only one."""
        return None if self.contexts is None else self.contexts[row]

    def producers(self):
        """entry -> row that makes it, of the rows that run."""
        return {e: row for row in self.rows for e in self.outs[row]}

    def readers(self):
        """entry -> rows that read it, in order, one for each time it is read."""
        out = {}
        for row in self.rows:
            for e in self.ins[row]:
                out.setdefault(e, []).append(row)
        return out

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

    def sweep(self):
        """Take the rows that were replaced, and those whose results nobody needs any more, out of ``rows``."""
        needed, kept = set(self.keep), []
        for row in reversed(self.rows):
            if row not in self.gone and any(e in needed for e in self.outs[row]):
                needed.update(self.ins[row])
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
