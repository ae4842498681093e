# cython: language_level=3
"""Unrolled sequences: the products of all steps with one weight become one product, and so do the sums of products that
are the weight's gradient.

Thirty-five products of 32 rows read the weight thirty-five times and never fill the machine; one of 1,120 rows does.
Products whose inputs depend on each other (a recurrence) stay apart.
"""
from ..ops.record import RECORDS
from .graph import Node
from .sums import leaves_of_sums

FEWEST = 3              # members of a batch
MOST_ROWS = 256         # a product of more rows keeps the machine busy alone


def batch_products(draft):
    """Products with one weight and independent inputs of equal shape become: join, one product, cut."""
    groups = {}
    for row in draft.rows:
        node = draft.nodes[row]
        if node.op is None or node.op.name not in ("FullyConnected", "_gemm") or row in draft.once:
            continue
        if plain_product(draft, row) and draft.moving.isdisjoint(draft.ins[row]):
            key = (node.op, tuple(draft.ins[row][1:]), draft.shapes[draft.ins[row][0]],
                   draft.dtypes[draft.ins[row][0]], draft.backward[row], draft.context_of(row), node.p)
            groups.setdefault(key, []).append(row)
    joined = {}
    for rows in groups.values():
        if len(rows) >= FEWEST:
            one_product(draft, rows, joined)
    if sum_products(draft, joined) or joined:
        draft.order()


def plain_product(draft, row):
    """Is it x(m, k) times a matrix, of few rows, giving (m, n)?"""
    node, data, out = draft.nodes[row], draft.shapes[draft.ins[row][0]], draft.shapes[draft.outs[row][0]]
    if node.op.name == "_gemm" and (node.p.transpose_a or data != (node.p.m, node.p.k)
                                    or out != (node.p.m, node.p.n)):
        return False
    return len(data) == 2 and len(out) == 2 and 0 < data[0] <= MOST_ROWS and 0 not in out and data[1] > 0


def independent(draft, rows):
    """Those of `rows` whose inputs do not depend on any other of them, and the program cut apart around them: (members,
    rows that run before all of them are there, rows that run after)."""
    cdef set members = set(rows), reached = set()
    cdef list ins = draft.ins, outs = draft.outs, program = draft.rows, found = [], before = [], after = []
    cdef int at, first = program.index(rows[0]), left = len(rows)
    for at in range(first, len(program)):
        row = program[at]
        member = row in members
        left -= member
        if not reached.isdisjoint(<list>ins[<int>row]):
            reached.update(<list>outs[<int>row])
            after.append(row)
        elif member:
            found.append(row)
            reached.update(<list>outs[<int>row])
        else:
            before.append(row)
        if left == 0:
            break
    return found, program[:first] + before, after + program[first + len(found) + len(before) + len(after):]


def join(draft, entries, joined, like, rows, exactly=False):
    """The entry that has the 2-D `entries` one below the other, and their order: one that is there in some order (with
    `exactly` in this one) is taken, else a row that makes it is added to `rows`. `like`: a row of the same side."""
    key = frozenset(entries)
    found = joined.get(key)
    if found is not None and len(key) == len(entries) and (draft.backward[like] or not draft.backward[found[2]]) \
            and (not exactly or found[1] == tuple(entries)):
        return found[:2]
    record = RECORDS["Concat"]
    height = sum([draft.shapes[e][0] for e in entries])
    node = Node(record, draft.nodes[like].name + "_steps", {}, record.parse({"dim": 0, "num_args": len(entries)}), [],
                draft.nodes[like].where)
    row = draft.add(node, entries, [(height, draft.shapes[entries[0]][1])], [draft.dtypes[entries[0]]], like)
    rows.append(row)
    made = draft.outs[row][0], tuple(entries), row
    if len(key) == len(entries):            # one that repeats an entry is of no use to others
        joined[key] = made
    return made[:2]


def one_product(draft, rows, joined):
    """The independent ones of `rows` become join, product, cut."""
    rows, before, after = independent(draft, rows)
    by_data = {draft.ins[row][0]: row for row in rows}
    if len(rows) < FEWEST or len(by_data) < len(rows):
        return
    first, nodes, made = rows[0], draft.nodes, []
    data, order = join(draft, [draft.ins[row][0] for row in rows], joined, first, made)
    rows = [by_data[e] for e in order]
    p, m, n = nodes[first].p, draft.shapes[data][0], draft.shapes[draft.outs[first][0]][1]
    if nodes[first].op.name == "_gemm":
        p = p.replace(m=m, shape=(m, n))
    product = draft.fused(nodes[first].op, p, rows)
    at = draft.add(product, [data, *draft.ins[first][1:]], [(m, n)], [draft.dtypes[data]], first)
    draft.made_of[at] = [f"{nodes[first].op.name} of {len(rows)} steps"]
    record = RECORDS["SliceChannel"]
    cut = draft.fused(record, record.parse({"num_outputs": len(rows), "axis": 0}), rows)
    apart = draft.add(cut, draft.outs[at], [], [], first)
    draft.outs[apart] = [draft.outs[row][0] for row in rows]
    draft.rows = [*before, *made, at, apart, *after]


def sum_products(draft, joined):
    """``a1' b1 + a2' b2 + ...``, the gradient of a weight that every step uses, is one product of all a and all b; the
    gradient of its bias is one sum. True where anything changed."""
    changed = False
    for root, adds, leaves in leaves_of_sums(draft):
        for pick, build in ((is_gradient, product_of), (is_bias_gradient, sum_of)):
            groups = {}
            for e, row in leaves:
                if row >= 0 and pick(draft, row):
                    groups.setdefault((draft.nodes[row].p.__class__, str(draft.nodes[row].p) if pick is not is_gradient
                                       else draft.shapes[e]), []).append(row)
            best = max(groups.values(), key=len, default=())
            if len(best) < FEWEST or any(draft.context_of(r) is not draft.context_of(root) for r in best):
                continue
            rest = [e for e, row in leaves if row not in set(best)]
            build(draft, root, adds, best, rest, joined)
            changed = True
            break
    return changed


def is_gradient(draft, row):
    """A product a' b of a (k, m) and b (k, n) with few k?"""
    node = draft.nodes[row]
    if node.op is None or node.op.name != "_gemm" or not node.p.transpose_a or node.p.transpose_b:
        return False
    p, (a, b) = node.p, [draft.shapes[e] for e in draft.ins[row]]
    return a == (p.k, p.m) and b == (p.k, p.n) and 0 < p.k <= MOST_ROWS and p.m > 0 and p.n > 0


def is_bias_gradient(draft, row):
    """A sum over the rows of a matrix?"""
    node = draft.nodes[row]
    if node.op is None or node.op.name != "sum":
        return False
    s, out, p = draft.shapes[draft.ins[row][0]], draft.shapes[draft.outs[row][0]], node.p
    over_rows = p.axis in ((0,), (-2,), 0, -2) if not p.exclude else p.axis in ((1,), (-1,), 1, -1)
    return len(s) == 2 and over_rows and out == s[1:] and s[0] > 0


def product_of(draft, root, adds, rows, rest, joined):
    made, sides = [], [[draft.ins[row][k] for row in rows] for k in (0, 1)]
    alone = [len(set(side)) == len(rows) for side in sides]
    # The side that is joined already, by the product of the forward half or for the bias, says the order.
    lead = next((k for k in (1, 0) if alone[k] and frozenset(sides[k]) in joined),
                next((k for k in (1, 0) if alone[k]), None))
    if lead is None:
        return
    by_lead, factors = dict(zip(sides[lead], rows)), [None, None]
    factors[lead], order = join(draft, sides[lead], joined, root, made)
    rows = [by_lead[e] for e in order]
    factors[1 - lead] = join(draft, [draft.ins[row][1 - lead] for row in rows], joined, root, made, exactly=True)[0]
    p = draft.nodes[rows[0]].p
    p = p.replace(k=sum([draft.nodes[row].p.k for row in rows]))
    finish(draft, root, adds, rows, rest, draft.nodes[rows[0]].op, p, factors, made)


def sum_of(draft, root, adds, rows, rest, joined):
    made = []
    data, _ = join(draft, [draft.ins[row][0] for row in rows], joined, root, made)
    finish(draft, root, adds, rows, rest, draft.nodes[rows[0]].op, draft.nodes[rows[0]].p, [data], made)


def finish(draft, root, adds, rows, rest, record, p, ins, made):
    """The node `record` of `p` over the entries `ins`, and the entries `rest` added to it, make the sum `root`, and the
    rows `made` come in front of it."""
    total = draft.outs[root][0]
    node = draft.fused(record, p, rows)
    at = draft.add(node, ins, [draft.shapes[total]], [draft.dtypes[total]], root)
    draft.made_of[at] = [f"{record.name} of {len(rows)} steps"]
    made.append(at)
    if rest:
        add = RECORDS["add_n"]
        more = draft.add(draft.fused(add, add.parse({"num_args": len(rest) + 1}), [root]),
                         [draft.outs[at][0], *rest], [], [], root)
        draft.outs[more] = [total]
        made.append(more)
    else:
        draft.outs[at] = [total]
    draft.insert(made, before=root)
    draft.drop([*adds, *rows])
