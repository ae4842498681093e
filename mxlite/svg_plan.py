"""Pictures of an executor, as SVG text that needs no other program: what it is bound to, what it runs, and where every
result lives.

Each function takes an ``Executor`` and returns a :class:`Picture`, which shows itself in a notebook. `mode` is 'train'
(default where there are gradients) or 'infer', as in ``Executor.memory_plan``.
"""
from collections import namedtuple
from xml.sax.saxutils import escape

from .svg import COLOURS

__all__ = ["Block", "Picture", "bindings", "blocks", "memory", "program"]

ARGUMENT, GRADIENT, STATE, OUTPUT, OTHER = "#8dd3c7", "#fdb462", "#bebada", "#fccde5", "#b3de69"
DERIVED = "#fde0b0"
FORWARD, BACKWARD, SCRATCH = "#80b1d3", "#fb8072", "#d9d9d9"
BOX_WIDTH, BOX_HEIGHT, GAP = 170, 44, 22
LABEL_WIDTH = 150
ARROW = ('<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
         'orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" fill="#555"/></marker></defs>')

# One piece of the arena: the nodes whose results live there in turn, its place, the first and last step that uses it.
Block = namedtuple("Block", "nodes offset bytes first last backward")


class Picture:
    """An SVG picture: ``text``, shown by a notebook."""

    def __init__(self, width, height, parts):
        self.text = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
                     f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="sans-serif" font-size="12">\n'
                     + "\n".join([ARROW, *parts]) + "\n</svg>\n")

    def _repr_svg_(self):
        return self.text


def bindings(executor):
    """The arrays an executor holds: arguments on the left, outputs, gradients and auxiliary states on the right."""
    symbol = executor._symbol
    names = symbol.list_arguments()
    left = [(n, a, ARGUMENT, "in") for n, a in zip(names, executor.arg_arrays)]
    right = [(n, a, OUTPUT, "out") for n, a in zip(symbol.list_outputs(), executor.outputs)]
    right += [(f"gradient of {n}", a, GRADIENT, "out") for n, a in zip(names, executor.grad_arrays) if a is not None]
    right += [(n, a, STATE, "both") for n, a in zip(symbol.list_auxiliary_states(), executor.aux_arrays)]
    rows = max(len(left), len(right), 1)
    height = GAP + rows * (BOX_HEIGHT + GAP / 2) + GAP
    middle, across = GAP + BOX_WIDTH + 70, 130
    parts = [_box(middle, GAP, across, height - 2 * GAP, "#ffffb3", ["Executor", symbol.name or "group"], symbol.name)]
    for column, x in ((left, GAP), (right, middle + across + 70)):
        for i, (name, array, colour, way) in enumerate(column):
            y = GAP + (i + 0.5) * (height - 2 * GAP) / len(column) - BOX_HEIGHT / 2
            parts.append(_box(x, y, BOX_WIDTH, BOX_HEIGHT, colour, [name, f"{array.shape} {_dtype(array)}"], name))
            at = y + BOX_HEIGHT / 2
            if x == GAP:
                parts.append(_line(x + BOX_WIDTH, at, middle, at))
            else:
                parts.append(_line(middle + across, at, x, at, both=way == "both"))
    return Picture(middle + across + 70 + BOX_WIDTH + GAP, height, parts)


def program(executor, mode=None):
    """What runs: forward steps from top to bottom on the left, backward steps from bottom to top on the right.

    Solid arrows are results that the next half-column reads, dashed ones results of the forward steps that are kept for
    the backward steps. Arguments stand beside the forward step that reads them, gradients beside the step that writes
    them. A step that is only another view of its input's memory is drawn with a dashed border.
    """
    low = _lowered(executor, mode)
    steps = _steps(low)
    forward = [r for r in steps if not low.draft.backward[r]]
    backward = [r for r in steps if low.draft.backward[r]]
    most = max(len(forward), len(backward), 1)
    x = {r: GAP + LABEL_WIDTH + 40 for r in forward}
    x |= {r: GAP + LABEL_WIDTH + 40 + BOX_WIDTH + 120 for r in backward}
    y = {r: GAP + (most - len(forward) + i) * (BOX_HEIGHT + GAP) for i, r in enumerate(forward)}
    y |= {r: GAP + (most - 1 - i) * (BOX_HEIGHT + GAP) for i, r in enumerate(backward)}
    number = {r: i for i, r in enumerate(steps)}
    producer = {e: r for r in steps for e in low.draft.outs[r]}
    gradient_of = {a.address: n for n, a in zip(executor._symbol.list_arguments(), executor.grad_arrays)
                   if a is not None}
    states = set(executor._symbol.list_auxiliary_states())
    heads, ran, lines, parts = set(low.draft.heads), set(low.program.rows), [], []
    for r in steps:
        node, beside = low.draft.nodes[r], []
        for e in dict.fromkeys(low.draft.ins[r]):
            if e in producer:
                lines.append(_edge(x, y, producer[e], r, low.draft.backward[r] and not low.draft.backward[producer[e]]))
            elif not low.draft.backward[r]:
                name = _variable(low, e)
                beside.append((name, STATE if name in states else ARGUMENT))
        written = [f"gradient of {gradient_of[low.draft.pinned[e].address]}" for e in low.draft.outs[r]
                   if e in low.draft.pinned and low.draft.backward[r] and low.draft.pinned[e].address in gradient_of]
        for i, (name, colour) in enumerate(beside):
            parts += _label(GAP, x[r], y[r], i, len(beside), name, colour, True)
        for i, name in enumerate(written):
            parts += _label(x[r] + BOX_WIDTH + 40, x[r] + BOX_WIDTH, y[r], i, len(written), name, GRADIENT, False)
        is_head = any(e in heads for e in low.draft.outs[r])
        colour = DERIVED if low.draft.backward[r] else COLOURS.get(node.op.name, OTHER)
        what = " + ".join(low.draft.made_of.get(r, (node.op.name,)))
        text = [f"{number[r]}  {node.name}", what + (" (output)" if is_head else "")]
        parts.append(_box(x[r], y[r], BOX_WIDTH, BOX_HEIGHT, colour, text, node.name, dashed=r not in ran))
    width = GAP + LABEL_WIDTH + 40 + BOX_WIDTH + GAP
    if backward:
        width += 120 + BOX_WIDTH + 40 + LABEL_WIDTH
    return Picture(width, GAP + most * (BOX_HEIGHT + GAP), lines + parts)


def blocks(executor, mode=None):
    """The pieces of the arena that the planner gave out for entries, a list of :class:`Block` by place and time.

    Results that take over each other's memory are one block; what is bound to arrays of the user (arguments, gradients,
    states) or is an output has none. ``first`` and ``last`` count the steps of :func:`program` and ``mx.explain``. A
    graph over several contexts has an arena in each; they are counted as if they stood on top of each other.
    """
    low = _lowered(executor, mode)
    plan, draft = low.plan, low.draft
    step, done = {}, -1
    for at, r in enumerate(draft.rows):           # the planner counts variables too
        done += draft.nodes[r].op is not None
        step[at] = done
    nodes = [[] for _ in plan.size]
    backward = [False] * len(plan.size)
    for r in _steps(low):
        for e in draft.outs[r]:
            b = plan.block_of[e]
            if b >= 0:
                backward[b] = backward[b] or (not nodes[b] and low.draft.backward[r])
                nodes[b].append(draft.nodes[r].name)
    base = _bases(plan)
    out = [Block(tuple(nodes[b]), base[plan.home[b]] + plan.offset[b], plan.size[b], step[plan.birth[b]],
                 step[plan.death[b]], backward[b]) for b in range(len(plan.size))]
    return sorted(out, key=lambda b: (b.first, b.offset))


def memory(executor, mode=None, width=760, height=320):
    """The arena over time: a rectangle a block, from the step that writes it to the last that reads it, over the bytes
    that it takes. Blue ones are born in the forward steps, red ones in the backward steps, grey is a kernel's scratch.
    Where there are several contexts, their arenas stand on top of each other, with a line between.
    """
    low = _lowered(executor, mode)
    steps, plan = _steps(low), low.plan
    left, top, bottom = 70, 60, 110
    total = max(plan.arena_bytes, 1)
    dx, dy = (width - left - GAP) / max(len(steps), 1), (height - top) / total
    parts = []

    def rectangle(first, last, offset, nbytes, colour, title, text):
        w, h = (last - first + 1) * dx, nbytes * dy
        at_x, at_y = left + first * dx, height - (offset + nbytes) * dy
        room = int(w / 6)
        short = text if len(text) <= room else text[:max(room - 1, 0)] + "…"
        label = (f'<text x="{at_x + w / 2:.1f}" y="{at_y + h / 2 + 4:.1f}" text-anchor="middle" font-size="11">'
                 f'{escape(short)}</text>') if h >= 12 and room >= 3 else ""
        parts.append(f'<g><title>{escape(title)}</title><rect x="{at_x:.1f}" y="{at_y:.1f}" width="{w:.1f}" '
                     f'height="{h:.1f}" fill="{colour}" stroke="#333"/>{label}</g>')
    for b in blocks(executor, mode):
        if b.bytes:
            who = " → ".join(b.nodes)
            rectangle(b.first, b.last, b.offset, b.bytes, BACKWARD if b.backward else FORWARD,
                      f"{who}: {b.bytes} bytes at {b.offset}, steps {b.first} to {b.last}", who)
    base = _bases(plan)
    for at in base[1:]:
        parts.append(f'<path d="M{left} {height - at * dy:.1f}H{width - GAP}" stroke="#333" stroke-width="2"/>')
    for i, r in enumerate(steps):
        n = low.launches[r].work if r in plan.workspace else 0
        if n:
            rectangle(i, i, base[_arena(low, r)] + plan.workspace[r], n, SCRATCH,
                      f"scratch of {low.draft.nodes[r].name}: {n} bytes", "scratch")
    split = sum(not low.draft.backward[r] for r in steps)
    if split < len(steps):
        parts.append(f'<path d="M{left + split * dx:.1f} {top - 14}V{height}" stroke="#333" stroke-dasharray="4 3"/>')
        parts.append(_text(left + split * dx - 6, top - 18, "forward", "end")
                     + _text(left + split * dx + 6, top - 18, "backward", "start"))
    parts.append(f'<path d="M{left} {top - 6}V{height}H{width - GAP}" fill="none" stroke="#333"/>')
    for share in (0, 0.5, 1):
        parts.append(_text(left - 6, height - share * total * dy + 4, f"{share * total:,.0f}", "end"))
    parts.append(_text(left, 14, f"arena {plan.arena_bytes:,} bytes; results alone {plan.entry_bytes:,}, at least "
                                 f"{plan.lower_bound:,}", "start"))
    for i, r in enumerate(steps):
        at = left + (i + 0.5) * dx
        parts.append(f'<text transform="translate({at + 4:.1f} {height + 10}) rotate(60)" font-size="10">'
                     f'{i} {escape(_short(low.draft.nodes[r].name, 18))}</text>')
    return Picture(width + 50, height + bottom, parts)


def _lowered(executor, mode):
    bound = executor._bound
    return bound.program(bound.mode_named(mode))


def _bases(plan):
    """Where each arena begins, if they stood on top of each other."""
    return [sum(a["arena_bytes"] for a in plan.arenas[:k]) for k in range(len(plan.arenas))]


def _arena(low, row):
    """The number of the arena that a row uses: contexts are numbered in the order of the graph."""
    return 0 if low.draft.contexts is None else list(dict.fromkeys(low.draft.contexts)).index(low.draft.contexts[row])


def _steps(low):
    """The rows that are operators, in the order in which they run."""
    return [r for r in low.draft.rows if low.draft.nodes[r].op is not None]


def _variable(low, entry):
    return next(low.draft.nodes[r].name for r in low.draft.rows if low.draft.outs[r] == [entry])


def _dtype(array):
    return array.dtype_name


def _short(text, most):
    return text if len(text) <= most else text[:most - 1] + "…"


def _text(x, y, text, anchor="middle", size=11):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(text)}</text>'


def _box(x, y, width, height, colour, lines, title, dashed=False):
    text = "".join(_text(x + width / 2, y + height / 2 + 4 + (i - (len(lines) - 1) / 2) * 15,
                         _short(line, int(width / 6.5)), size=12 if i == 0 else 10) for i, line in enumerate(lines))
    return (f'<g><title>{escape(title or "")}</title><rect x="{x:.1f}" y="{y:.1f}" width="{width}" '
            f'height="{height:.1f}" rx="5" fill="{colour}" stroke="#333"'
            + (' stroke-dasharray="4 3"' if dashed else "") + f'/>{text}</g>')


def _line(x0, y0, x1, y1, both=False):
    return (f'<path d="M{x0:.0f} {y0:.0f}L{x1:.0f} {y1:.0f}" stroke="#555" marker-end="url(#tip)"'
            + (' marker-start="url(#tip)"' if both else "") + "/>")


def _label(x, box, y, i, n, name, colour, reads):
    """A bound array beside a step, and the arrow between them."""
    tall = min(18, (BOX_HEIGHT + GAP / 2) / n - 2)
    at = y + BOX_HEIGHT / 2 + (i - (n - 1) / 2) * (tall + 2)
    where = (x + LABEL_WIDTH, at, box, at) if reads else (box, at, x, at)
    return [f'<g><title>{escape(name)}</title><rect x="{x}" y="{at - tall / 2:.1f}" width="{LABEL_WIDTH}" '
            f'height="{tall:.1f}" rx="{tall / 2:.1f}" fill="{colour}" stroke="#333"/>'
            + _text(x + LABEL_WIDTH / 2, at + 4, _short(name, 24), size=10) + "</g>", _line(*where)]


def _edge(x, y, source, target, kept):
    """The arrow from one step's box to another's: down, up, or, `kept`, across to the backward column."""
    half = BOX_WIDTH / 2
    if kept:
        x0, y0, x1, y1 = x[source] + BOX_WIDTH, y[source] + BOX_HEIGHT / 2, x[target], y[target] + BOX_HEIGHT / 2
        path = f"M{x0:.0f} {y0:.0f}C{x0 + 50:.0f} {y0:.0f} {x1 - 50:.0f} {y1:.0f} {x1:.0f} {y1:.0f}"
    else:
        down = y[target] > y[source]
        y0, y1 = y[source] + (BOX_HEIGHT if down else 0), y[target] + (0 if down else BOX_HEIGHT)
        # an arrow that passes other boxes bends out of their way
        bend = 0 if abs(y1 - y0) <= GAP + 1 else half + 14
        side = -bend if down else bend
        x0 = x[source] + half
        path = (f"M{x0:.0f} {y0:.0f}C{x0 + 1.3 * side:.0f} {y0:.0f} {x0 + 1.3 * side:.0f} {y1:.0f} "
                f"{x0:.0f} {y1:.0f}")
    return (f'<path d="{path}" fill="none" stroke="#555" marker-end="url(#tip)"'
            + (' stroke-dasharray="5 4"' if kept else "") + "/>")
