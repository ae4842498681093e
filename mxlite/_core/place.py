"""Placement: which context every node of a graph runs on, where ``group2ctx`` spreads it over several.

A node made under ``AttrScope(ctx_group=...)`` runs on its group's context; one without a group where its first placed
input is, or else where it is used, or else on the executor's own context. A variable is where its array lies. Where an
edge crosses contexts, a ``_CrossDeviceCopy`` node is put on it, one a value and target, so that every other node finds
all its inputs on its own context.
"""
from ..ops.record import RECORDS
from .errors import MXNetError
from .graph import Node, n_aux, topological
from .infer import where_text

GROUP = "__ctx_group__"
COPY = "_CrossDeviceCopy"


def group_context(node, groups):
    """The context of `node`'s group, None where it has none. MXNetError where `groups` lacks it."""
    group = node.attrs.get(GROUP)
    if group is None:
        return None
    if group not in groups:
        what = node.op.name if node.op is not None else "variable"
        raise MXNetError(f"{what} {node.name!r} belongs to ctx_group {group!r}, which group2ctx does not have; it has "
                         f"{', '.join(map(repr, groups))}" + where_text(node))
    return groups[group]


def assign(entries, groups, default, arrays):
    """node -> context of all nodes. `arrays`: variable node -> context of its array."""
    order, home = topological(entries), dict(arrays)
    for node in order:
        if node.op is None:
            group_context(node, groups)
            home.setdefault(node, default)
            continue
        found = group_context(node, groups)
        if found is None:
            found = next((home[child] for child, _ in node.inputs if home[child] is not None), None)
        home[node] = found
    for node in reversed(order):        # what has neither group nor placed inputs runs where it is used
        for child, _ in node.inputs if home[node] is not None else ():
            if home[child] is None:
                home[child] = home[node]
    for node in order:
        if home[node] is None:
            home[node] = default
    return home


def place(entries, groups, default, arrays):
    """(entries of a copy of the graph with copies on the edges that cross contexts, node -> context).

    Variables stay the nodes that they are. MXNetError for a group without a context, and for an auxiliary state that
    lies on another context than the node that writes it.
    """
    home = assign(entries, groups, default, arrays)
    made, copies, record = {}, {}, RECORDS[COPY]
    for node in topological(entries):
        if node.op is None:
            made[node] = node
            continue
        inputs, k = [], len(node.inputs) - n_aux(node)
        for position, (child, i) in enumerate(node.inputs):
            source = made[child], i
            if home[child] is not home[node]:
                if position >= k:
                    raise MXNetError(f"{node.op.name} {node.name!r} runs on {home[node]}, its auxiliary state "
                                     f"{child.name!r} lies on {home[child]}; make both in one AttrScope"
                                     + where_text(node))
                key = (made[child], i, home[node])
                if key not in copies:
                    copy = Node(record, f"{child.name}_{i}_copy", {}, record.parse({}), [source], node.where)
                    copies[key] = (copy, 0)
                    home[copy] = home[node]
                source = copies[key]
            inputs.append(source)
        new = Node(node.op, node.name, dict(node.attrs), node.p, inputs, node.where)
        made[node] = new
        home[new] = home[node]
    return [(made[n], i) for n, i in entries], home


def contexts_of_rows(g, home, default, made_for, n_forward):
    """The context of every row of `g`, whose rows from `n_forward` on are backward nodes.

    `made_for`: the forward node that each of those is there for, or None. `home`: node -> context; it has the
    variables among them. A backward node runs where its inputs are; one that copies a gradient back, where its
    forward copy came from.
    """
    out = [home.get(node) for node in g.nodes]
    waiting = []
    for row in range(n_forward, len(g.nodes)):
        node = g.nodes[row]
        if out[row] is not None or node.op is None:
            continue
        of = made_for[row - n_forward] if row - n_forward < len(made_for) else None
        if node.op.name == COPY:
            out[row] = home[of.inputs[0][0]]
        else:
            out[row] = next((c for c in (out[g.row_of[child]] for child, _ in node.inputs) if c is not None), None)
        if out[row] is None:
            waiting.append(row)
    if waiting:
        for row in range(len(g.nodes) - 1, n_forward - 1, -1):
            node = g.nodes[row]
            if node.op is None or node.op.name == COPY or out[row] is None:
                continue
            for child, _ in node.inputs:
                if out[g.row_of[child]] is None:
                    out[g.row_of[child]] = out[row]
    out = [default if c is None else c for c in out]
    for row in range(n_forward, len(g.nodes)):
        node = g.nodes[row]
        for child, _ in node.inputs if node.op is not None and node.op.name != COPY else ():
            if out[g.row_of[child]] is not out[row]:
                raise MXNetError(f"the gradient node {node.op.name} {node.name!r} on {out[row]} reads {child.name!r} "
                                 f"on {out[g.row_of[child]]}" + where_text(node))
    return out
