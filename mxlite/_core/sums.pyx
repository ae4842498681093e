# cython: language_level=3
"""Finding sums: additions whose intermediate results nobody else reads."""

ADDITIONS = ("elemwise_add", "add_n", "_grad_add")


def leaves_of_sums(draft):
    """For every maximal tree of additions: (row of its root, rows of all its additions, [(entry, its row)] of what is
    added up), where at least three things are."""
    producers, readers = draft.producers(), draft.readers()

    def is_sum(row):
        return draft.nodes[row].op is not None and draft.nodes[row].op.name in ADDITIONS

    def inner(e, side):
        """The addition that makes `e` for one reader alone."""
        row = producers[e]
        return is_sum(row) and len(readers[e]) == 1 and e not in draft.keep and e not in draft.pinned \
            and draft.backward[row] == side
    out = []
    for root in draft.rows:
        if not is_sum(root):
            continue
        e, side = draft.outs[root][0], draft.backward[root]
        if len(readers.get(e, ())) == 1 and is_sum(readers[e][0]) and inner(e, draft.backward[readers[e][0]]):
            continue
        adds, leaves, todo = [], [], [root]
        while todo:
            row = todo.pop()
            adds.append(row)
            for e in reversed(draft.ins[row]):
                if inner(e, side):
                    todo.append(producers[e])
                else:
                    leaves.append((e, producers[e]))
        if len(leaves) >= 3:
            # a product that somebody else reads too, or that is added twice, is no part of it
            leaves = [(e, row if len(readers[e]) == 1 and e not in draft.keep and e not in draft.pinned
                       and draft.backward[row] == side else -1) for e, row in leaves]
            out.append((root, adds, leaves))
    return out
