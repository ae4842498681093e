"""On a GPU, convolutions and what stands between them keep an element's channels side by side: (N, *X, C) for
(N, C, *X), which is how cuDNN computes on tensor cores; tensors in planes it would turn before every call, and back
behind it.

Rows that know both orders (:mod:`.layout_rules`) are turned in connected regions that have convolutions in them. What a
turned row alone makes and reads changes its shape; what others share has a twin, and a row that transposes one into the
other. Users' arrays stay as they are. Where only axes of size 1 change places the bytes stay, too, and nothing runs.
"""
from math import prod

from ..ops.record import RECORDS
from .dtypes import ITEMSIZE
from .epilogue import in_front, is_parameter
from .graph import Node
from .layout_rules import WORTH, form, last, turn


def channels_last(draft):
    """Turn the regions of convolutions in which fewer bytes are transposed than cuDNN would transpose itself."""
    if not draft.has(*WORTH):
        return
    regions = Regions(draft)
    if any(found.worth for found in regions.forms.values()):
        regions.trim()
        regions.drop_poor()
        Turning(draft, regions).run()


class Regions:
    """Which rows are turned: ``forms``, row -> :class:`Form`; and what that costs."""

    def __init__(self, draft):
        self.draft, self.producers, self.readers = draft, draft.producers(), draft.readers()
        self.once = set(draft.once)
        self.users = {}             # entry -> rows that make or read it, where a turned row is among them
        self.forms, self.weights = {}, set()
        for row in draft.rows:
            if draft.nodes[row].op is not None and row not in self.once:
                found = form(draft, row)
                if found is not None:
                    self.forms[row] = found
                    self.weights.add(found.weight)
        for found in self.forms.values():
            for e in found.entries:
                if e not in self.users:
                    maker = self.producers.get(e)
                    made = [] if maker is None or draft.nodes[maker].op is None else [maker]
                    self.users[e] = made + self.readers.get(e, [])

    def variable(self, e):
        """Has `e` the order that somebody outside gave it?"""
        maker = self.producers.get(e)
        return maker is None or self.draft.nodes[maker].op is None or e in self.draft.pinned or e in self.draft.keep

    def same_bytes(self, e):
        """Does turning `e` leave its bytes where they are?"""
        shape = self.draft.shapes[e]
        return shape[1] == 1 or prod(shape[2:]) == 1 or 0 in shape

    def constant(self, e):
        """Is `e` a weight at inference: the same from run to run, until a parameter changes?"""
        return e in self.weights and self.draft.train == (False, None) and (
            self.producers.get(e) in self.once or is_parameter(self.draft, self.producers, e))

    def price(self, e, flip=None):
        """Bytes of the transposition of `e`, if it takes one, with row `flip` on the other side."""
        if self.same_bytes(e) or self.constant(e):
            return 0
        sides = {(row in self.forms) != (row == flip) for row in self.users[e]}
        if True not in sides or (False not in sides and not self.variable(e)):
            return 0
        return self.nbytes(e)

    def nbytes(self, e):
        return prod(self.draft.shapes[e]) * ITEMSIZE[self.draft.dtypes[e]]

    def saved(self, row):
        """Bytes that cuDNN would transpose for this row if it were not turned."""
        found = self.forms[row]
        return sum(self.nbytes(e) for e in found.entries if not self.same_bytes(e)) if found.worth else 0

    def trim(self):
        """Leave out rows at the rims of regions with which less is transposed if they are not turned."""
        changed = True
        while changed:
            changed = False
            for row in list(self.forms):
                entries = self.forms[row].entries
                gain = sum(self.price(e) - self.price(e, flip=row) for e in entries)
                if gain > self.saved(row):
                    del self.forms[row]
                    changed = True

    def drop_poor(self):
        """Leave out connected regions that transpose as much as they save, or more."""
        region = {}                 # row -> list of the rows connected with it, itself among them
        for row, found in self.forms.items():
            region[row] = mine = [row]
            for e in found.entries:
                if self.variable(e) or self.same_bytes(e):
                    continue
                for other in self.users[e]:
                    theirs = region.get(other, mine)
                    if theirs is not mine:
                        mine, theirs = (mine, theirs) if len(mine) > len(theirs) else (theirs, mine)
                        mine += theirs
                        for moved in theirs:
                            region[moved] = mine
        for rows in {id(rows): rows for rows in region.values()}.values():
            entries = {e for row in rows for e in self.forms[row].entries}
            if sum(map(self.saved, rows)) <= sum(map(self.price, entries)):
                for row in rows:
                    del self.forms[row]


class Turning:
    """Rewrites the rows of :class:`Regions`."""

    def __init__(self, draft, regions):
        self.draft, self.regions, self.forms = draft, regions, regions.forms
        self.twin = {}              # entry in its order -> the entry that turned rows know instead
        self.before, self.behind = {}, {}       # row -> new rows to run in front of it, behind it

    def run(self):
        draft, first_once = self.draft, len(self.draft.once)
        for e in list(self.regions.users):
            if any(row in self.forms for row in self.regions.users[e]):
                self.settle(e)
        for row, found in self.forms.items():
            for entries, positions in ((draft.ins[row], found.ins), (draft.outs[row], found.outs)):
                for k in positions:
                    entries[k] = self.twin.get(entries[k], entries[k])
            node = draft.nodes[row]
            if found.changes:
                draft.nodes[row] = new = Node(node.op, node.name, node.attrs, node.p.replace(**found.changes),
                                              node.inputs, node.where)
                new.rng_of = node.rng_of
        if self.before or self.behind:
            draft.rows = [new for row in draft.rows
                          for new in (*self.before.get(row, ()), row, *self.behind.get(row, ()))]
        if len(draft.once) > first_once:
            draft.rows = in_front(draft, draft.once)

    def settle(self, e):
        """Give the entry its new shape, or a twin and what makes one of the other."""
        draft, regions, users = self.draft, self.regions, self.regions.users[e]
        plain = [row for row in users if row not in self.forms]
        same = regions.same_bytes(e)
        if not plain and (same or not regions.variable(e)):
            draft.shapes[e] = turn(draft.shapes[e])
            return
        maker = regions.producers.get(e)
        if maker in self.forms:
            twin = self.twin[e] = self.entry(e)
            at = maker if e in draft.pinned or e in draft.keep else plain[0]
            new = self.transposition(e, at, twin, e, back=True)
            (self.behind if at == maker else self.before).setdefault(at, []).append(new)
            return
        at = next(row for row in users if row in self.forms)
        twin = self.twin[e] = self.entry(e)
        new = self.transposition(e, at, e, twin, back=False)
        if regions.constant(e) and not same:
            draft.backward[new] = False     # and behind what folds it, so that no two folded weights are there at once
            draft.once.insert(draft.once.index(maker) + 1 if maker in regions.once else len(draft.once), new)
        else:
            self.before.setdefault(at, []).append(new)

    def entry(self, e):
        """A new entry: `e` turned."""
        self.draft.shapes.append(turn(self.draft.shapes[e]))
        self.draft.dtypes.append(self.draft.dtypes[e])
        return len(self.draft.shapes) - 1

    def transposition(self, e, like, source, target, back):
        """A row that makes the entry `target` of `source`; both are there. It runs on the side of row `like`."""
        draft, shape = self.draft, self.draft.shapes[target]
        maker = self.regions.producers.get(e)
        of = draft.nodes[like if maker is None else maker]
        if self.regions.same_bytes(e):
            op, params = RECORDS["_reshape_to"], {"shape": shape}
        else:
            axes = (0, len(shape) - 1, *range(1, len(shape) - 1)) if back else last(len(shape))
            op, params = RECORDS["transpose"], {"axes": axes}
        node = Node(op, f"{of.name}_{'planes' if back else 'last'}", {}, op.parse(params), [], of.where)
        row = draft.add(node, [source], [], [], like)
        draft.outs[row] = [target]
        draft.made_of[row] = ["channels back" if back else "channels last"]
        return row
