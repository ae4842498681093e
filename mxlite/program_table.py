"""``mx.explain``: what a bound graph runs, as a table. The first debugging tool."""
from ._core.dtypes import ITEMSIZE


def explain(symbol, ctx=None, grad_req="write", type_dict=None, mode=None, group2ctx=None, **shapes):
    """Bind `symbol` for the given input shapes and return its program as text.

    One row a node: operator, name, output shape and dtype, where the output lives (arena slot and offset, bound array,
    or the input's memory where it is in place), what runs it (C kernel, or the reference; on a GPU CUDA kernel, library
    or the reference on CuPy), bytes, the user's line; and the context, where `group2ctx` spreads the graph over
    several. Nodes that run as one kernel are one row, their operators joined by ``+``; ``(once)`` marks what runs again
    only when a parameter has changed. `mode` is 'train' (default where there are gradients) or 'infer'. Below stand,
    for a GPU, the CUDA graphs and what runs between them, and the bytes of memory. TypeError for what is no Symbol; an
    executor tells its own program by ``exe.explain()``.
    """
    from .symbol import Symbol
    if not isinstance(symbol, Symbol):
        hint = "; an executor's own program is exe.explain()" if hasattr(symbol, "memory_plan") else ""
        raise TypeError(f"explain needs a Symbol, got {type(symbol).__name__}{hint}")
    return table(symbol.simple_bind(ctx, grad_req, type_dict, group2ctx=group2ctx, **shapes)._bound, mode)


def table(bound, mode=None):
    """The table for a bound graph."""
    lowered = bound.program(bound.mode_named(mode))
    draft, plan = lowered.draft, lowered.plan
    ran = set(lowered.program.rows)
    outputs = {e: k for k, e in enumerate(draft.heads)}
    once = set(draft.once)
    rows = [("step", "operator", "node", "output", "context", "memory", "runs as", "bytes", "made at")]
    step = 0
    for row in draft.rows:
        node = draft.nodes[row]
        if node.op is None:
            continue
        launch = lowered.launches[row]
        if row not in ran:
            how = "nothing (view)"
        elif hasattr(launch, "how"):            # on a device
            how = launch.how
        elif launch.kernel is None:
            how = "reference (NumPy)"
        else:
            how = f"C {launch.kernel}"
        for i, e in enumerate(draft.outs[row]):
            size = ITEMSIZE[draft.dtypes[e]]
            for d in draft.shapes[e]:
                size *= d
            taken = plan.inplace.get(row, {})
            if plan.block_of[e] >= 0:
                where = f"slot {plan.block_of[e]} @{plan.offset[plan.block_of[e]]}"
                if i in taken:
                    where += f" in place of input {taken[i]}" if row in ran else f" as input {taken[i]}"
            elif e in outputs:
                where = f"output {outputs[e]}"
            elif e in draft.pinned:
                where = "kept" if row in once else "bound array"
            elif i in taken:
                where = f"as input {taken[i]}"
            else:
                where = "unused"
            when = " (backward)" if draft.backward[row] else " (once)" if row in once else ""
            operator = " + ".join(draft.made_of.get(row, (node.op.name,)))
            cells = (str(step), operator, node.name, f"{draft.shapes[e]} {draft.dtypes[e]}",
                     str(draft.contexts[row]) if draft.contexts else "", where, how + when, str(size),
                     node.where or "")
            # What belongs to the node, not to one of its outputs, is said once.
            rows.append(cells if i == 0 else ("", "", "", *cells[3:6], "", cells[7], ""))
        step += 1
    if draft.contexts is None:
        rows = [(*r[:4], *r[5:]) for r in rows]     # one context needs no column
    widths = [max(len(r[c]) for r in rows) for c in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(r, widths)).rstrip() for r in rows]
    if hasattr(lowered.program, "explain"):
        halves = (0, lowered.program.boundary), (lowered.program.boundary, lowered.program.n)
        lines += [line for begin, end in halves for line in lowered.program.explain(begin, end)]
    m = bound.memory_plan(mode)
    lines.append(f"arena {m['arena']} bytes: entries {m['entries']}, workspace {m['workspace']}; outputs "
                 f"{m['outputs']}; planned {m['planned']} (lower bound {m['lower_bound']}); arguments "
                 f"{m['arguments']}, gradients {m['gradients']}, auxiliary {m['auxiliary']}, prepared {m['prepared']}")
    return "\n".join(lines)
