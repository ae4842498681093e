"""``mx.explain``: what a bound graph runs, as a table. The first debugging tool."""
from ._core.dtypes import ITEMSIZE


def explain(symbol, ctx=None, grad_req="write", type_dict=None, mode=None, group2ctx=None, **shapes):
    """Bind `symbol` for the given input shapes and return its program as text.

    One row a node: operator, name, output shape and dtype, where the output lives (arena slot and offset, bound array,
    or the input's memory where it is in place), what runs it (C kernel, or the reference), bytes, the user's line; and
    the context, where `group2ctx` spreads the graph over several. `mode` is 'train' (default where there are gradients)
    or 'infer'.
    """
    from .symbol import Symbol
    if not isinstance(symbol, Symbol):
        raise TypeError(f"explain needs a Symbol, got {type(symbol).__name__}")
    return table(symbol.simple_bind(ctx, grad_req, type_dict, group2ctx=group2ctx, **shapes)._bound, mode)


def table(bound, mode=None):
    """The table for a bound graph."""
    lowered = bound.program(bound.mode_named(mode))
    g, plan = lowered.graph, lowered.plan
    ran = set(lowered.program.rows)
    outputs = {e: k for k, e in enumerate(g.heads)}
    rows = [("step", "operator", "node", "output", "context", "memory", "runs as", "bytes", "made at")]
    step = 0
    for row in lowered.rows:
        node = g.nodes[row]
        if node.op is None:
            continue
        first = g.row_ptr[row]
        launch = lowered.launches[row]
        if row not in ran:
            how = "nothing (view)"
        elif launch.kernel is None:
            how = "reference (NumPy)"
        else:
            how = f"C {launch.kernel}"
        for i in range(node.n_out):
            e = first + i
            size = ITEMSIZE[lowered.dtypes[e]]
            for d in lowered.shapes[e]:
                size *= d
            taken = plan.inplace.get(row, {})
            if plan.block_of[e] >= 0:
                where = f"slot {plan.block_of[e]} @{plan.offset[plan.block_of[e]]}"
                if i in taken:
                    where += f" in place of input {taken[i]}" if row in ran else f" as input {taken[i]}"
            elif e in outputs:
                where = f"output {outputs[e]}"
            elif e in lowered.pinned:
                where = "bound array"
            elif i in taken:
                where = f"as input {taken[i]}"
            else:
                where = "unused"
            backward = " (backward)" if row >= lowered.n_forward else ""
            cells = (str(step), node.op.name, node.name, f"{lowered.shapes[e]} {lowered.dtypes[e]}",
                     str(lowered.contexts[row]) if lowered.contexts else "", where, how + backward, str(size),
                     node.where or "")
            # What belongs to the node, not to one of its outputs, is said once.
            rows.append(cells if i == 0 else ("", "", "", *cells[3:6], "", cells[7], ""))
        step += 1
    if lowered.contexts is None:
        rows = [(*r[:4], *r[5:]) for r in rows]     # one context needs no column
    widths = [max(len(r[c]) for r in rows) for c in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(r, widths)).rstrip() for r in rows]
    m = bound.memory_plan(mode)
    lines.append(f"arena {m['arena']} bytes: entries {m['entries']}, workspace {m['workspace']}; outputs "
                 f"{m['outputs']}; planned {m['planned']} (lower bound {m['lower_bound']}); arguments "
                 f"{m['arguments']}, gradients {m['gradients']}, auxiliary {m['auxiliary']}")
    return "\n".join(lines)
