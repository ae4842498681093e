"""A network as an SVG picture, drawn without any other program: layers from top to bottom, data flowing down.

Nodes are put into rows by their longest distance from an input, ordered within a row by the mean position of their
inputs, and joined by curves that have a place of their own in the rows they pass (Sugiyama, Tagawa and Toda 1981).
"""
from xml.sax.saxutils import escape

from ._core.graph import topological

BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y = 150, 40, 24, 34
BEND_WIDTH = 10         # what a line that passes a row takes of it
LONGEST = 50            # a line over more rows is drawn straight, so that pictures of deep graphs stay small
COLOURS = {"Convolution": "#fb8072", "Deconvolution": "#fb8072", "FullyConnected": "#fb8072", "Activation": "#ffffb3",
           "LeakyReLU": "#ffffb3", "BatchNorm": "#bebada", "Pooling": "#80b1d3", "Concat": "#fdb462",
           "Flatten": "#fdb462", "Reshape": "#fdb462", "SoftmaxOutput": "#fccde5", "softmax": "#fccde5"}
SHOWN = {"Convolution": ("kernel", "stride", "num_filter"), "FullyConnected": ("num_hidden",),
         "Activation": ("act_type",), "LeakyReLU": ("act_type",), "Pooling": ("pool_type", "kernel", "stride")}
SMALL = ' fill="#444" font-size="10"'
PARAMETERS = ("weight", "bias", "gamma", "beta", "parameters")


def _is_parameter(node, consumers):
    """Weights, biases and states: variables that only ever serve as such an input."""
    return node.op is None and node in consumers and all(_takes_parameter(op, i) for op, i in consumers[node])


def _takes_parameter(node, position):
    """Whether input `position` of `node` is a weight, a bias or an auxiliary state."""
    if node.op.variadic:
        return False
    names = node.op.input_names(node.p)
    return position >= len(names) or names[position] in PARAMETERS
def draw(entries, hide_weights=True):
    """The SVG text of the graph below `entries`."""
    nodes = topological(entries)
    consumers = {}
    for node in nodes:
        for position, (child, _) in enumerate(node.inputs):
            consumers.setdefault(child, []).append((node, position))
    shown = [n for n in nodes if not (hide_weights and _is_parameter(n, consumers))]
    kept = set(shown)
    inputs = {n: list(dict.fromkeys(c for c, _ in n.inputs if c in kept)) for n in shown}
    depth = {}
    for n in shown:
        depth[n] = 1 + max((depth[c] for c in inputs[n]), default=-1)
    for n in shown:             # an input stands right above its first reader, not at the top of the picture
        if n.op is None and consumers.get(n):
            depth[n] = max(0, min(depth[m] for m, _ in consumers[n] if m in kept) - 1)
    rows, above, routes = {}, {n: [] for n in shown}, []
    for n in shown:
        rows.setdefault(depth[n], []).append(n)
        for c in inputs[n]:
            route = [c]
            if depth[n] - depth[c] <= LONGEST:
                for d in range(depth[c] + 1, depth[n]):
                    bend = (n, c, d)
                    above[bend] = [route[-1]]
                    rows.setdefault(d, []).append(bend)
                    route.append(bend)
            above[n].append(route[-1])
            routes.append(route + [n])
    x = _columns(rows, above)
    low = min(x[n] - _half(n) for n in x)
    x = {n: v - low + GAP_X for n, v in x.items()}
    y = {d: GAP_Y + d * (BOX_HEIGHT + GAP_Y) for d in rows}
    width = max(x[n] + _half(n) for n in x) + GAP_X
    height = max(y.values()) + BOX_HEIGHT + GAP_Y
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
           f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="sans-serif" font-size="12">',
           '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
           'orient="auto"><path d="M0 0L8 4L0 8z" fill="#555"/></marker></defs>']
    for first, *bends, last in routes:
        at, down = x[first], y[depth[first]] + BOX_HEIGHT
        path = f"M{at:.0f} {down}"
        for step in [*bends, last]:
            to, top = x[step], y[step[2] if isinstance(step, tuple) else depth[step]]
            half = max(GAP_Y / 2, (top - down) / 2)
            path += f"C{at:.0f} {down + half:.0f} {to:.0f} {top - half:.0f} {to:.0f} {top}"
            if step is not last:
                path += f"V{top + BOX_HEIGHT}"
            at, down = to, top + BOX_HEIGHT
        out.append(f'<path d="{path}" fill="none" stroke="#555" marker-end="url(#arrow)"/>')
    for n in shown:
        out.append(_box(n, x[n] - BOX_WIDTH / 2, y[depth[n]]))
    return "\n".join(out) + "\n</svg>\n"


def _half(item):
    return (BEND_WIDTH if isinstance(item, tuple) else BOX_WIDTH) / 2


def _columns(rows, above):
    """Item -> the middle of its place in the row: near the mean of what it hangs from, clear of its neighbours."""
    x = {}
    for d in sorted(rows):
        row = rows[d]
        wish = {n: sum(x[c] for c in above[n] if c in x) / max(1, sum(c in x for c in above[n])) for n in row}
        row.sort(key=wish.__getitem__)
        left = None
        for n in row:
            x[n] = wish[n] if left is None else max(wish[n], left + _half(n) + GAP_X)
            left = x[n] + _half(n)
        shift = sum(wish[n] - x[n] for n in row) / len(row)
        for n in row:
            x[n] += shift
    return x


def _box(node, x, y):
    colour = "#8dd3c7" if node.op is None else COLOURS.get(node.op.name, "#b3de69")
    shape = (f'<ellipse cx="{x + BOX_WIDTH / 2:.1f}" cy="{y + BOX_HEIGHT / 2}" rx="{BOX_WIDTH / 2}" '
             f'ry="{BOX_HEIGHT / 2}"' if node.op is None else
             f'<rect x="{x:.1f}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="5"')
    middle = x + BOX_WIDTH / 2
    lines = [node.name]
    if node.op is not None:
        values = [node.attrs[k] for k in SHOWN.get(node.op.name, ()) if k in node.attrs]
        lines.append(" ".join([node.op.name if node.op.name.lower() not in node.name.lower() or not values else "",
                               *values]).strip() or node.op.name)
    text = ""
    for i, line in enumerate(lines):
        at = y + BOX_HEIGHT / 2 + 4 + (i - (len(lines) - 1) / 2) * 15
        short = line if len(line) <= 23 else line[:22] + "…"
        text += (f'<text x="{middle:.1f}" y="{at:.1f}" text-anchor="middle"'
                 f'{SMALL if i else ""}>{escape(short)}</text>')
    return f'<g><title>{escape(node.name)}</title>{shape} fill="{colour}" stroke="#333"/>{text}</g>'
