# cython: language_level=3
"""Recurrent cells, written out of slices, activations, products and sums, become one operator before differentiation:
so backward is one operator a step too."""
from ..ops.record import RECORDS
from .graph import Indexed, Node

GATES = ("sigmoid", "sigmoid", "tanh", "sigmoid")       # input, forget, candidate, output: the order of LSTMCell
FLOATS = ("float32", "float64")


def recognise(g, shapes, dtypes):
    """`g` with every LSTM cell's ``c' = f * c + i * tanh(..)``, ``h = o * tanh(c')`` as one node, and the shapes and
    dtypes of the new graph's entries; the graph itself where it has none."""
    readers = {}
    for row, ins in enumerate(g.inputs):
        for e in ins:
            readers.setdefault(e, []).append(row)
    for e in g.heads:
        readers.setdefault(e, []).append(-1)
    cells, inner = {}, set()
    for row, node in enumerate(g.nodes):
        if node.op is not None and node.op.name == "SliceChannel" and node.p.num_outputs == 4:
            cell = lstm_cell(g, shapes, dtypes, readers, row)
            if cell is not None:
                cells[cell["next_c"]] = cell
                inner.update(cell["inner"])
    if not cells:
        return g, shapes, dtypes
    record, made, kept = RECORDS["_lstm_gates"], {}, {}
    # entry of the old graph -> entry of the new one
    for row, node in enumerate(g.nodes):
        if row in inner:
            continue
        if node.op is None:
            made[g.row_ptr[row]] = (node, 0)
            continue
        if row in cells:
            cell = cells[row]
            new = Node(record, node.name, {}, record.parse({}), [made[cell["gates"]], made[cell["c"]]], node.where)
            h, c = (record.output_names(new.p).index(name) for name in ("hidden", "new_cell"))
            made[cell["h"]], made[g.row_ptr[row]] = (new, h), (new, c)
            kept[new, h], kept[new, c] = cell["h"], g.row_ptr[row]
            continue
        new = Node(node.op, node.name, node.attrs, node.p, [made[e] for e in g.inputs[row]], node.where)
        if node.op.random:
            new.rng_of = node               # the same numbers as in the graph that the user made
        for i in range(node.n_out):
            made[g.row_ptr[row] + i] = (new, i)
            kept[new, i] = g.row_ptr[row] + i
    out = Indexed([made[e] for e in g.heads])
    old = {}                                # entry of the new graph -> entry of the old one
    for entry, e in [*kept.items(), *((made[g.row_ptr[row]], g.row_ptr[row]) for row, node in enumerate(g.nodes)
                                      if node.op is None)]:
        if entry[0] in out.row_of:
            old[out.entry(entry)] = e
    extra = {}
    for row, node in enumerate(out.nodes):
        if node.op is record:               # what the record hides beside h and c
            ins = out.inputs[row]
            _, hidden = record.infer(node.p, [shapes[old[e]] for e in ins], [None] * node.n_out)
            for i, s in enumerate(hidden):
                extra[out.row_ptr[row] + i] = s, dtypes[old[ins[0]]]
    n = out.row_ptr[-1]
    return (out, [shapes[old[e]] if e in old else extra[e][0] for e in range(n)],
            [dtypes[old[e]] if e in old else extra[e][1] for e in range(n)])


def lstm_cell(g, shapes, dtypes, readers, row):
    """The cell whose gates row `row` cuts apart: entries of gates, c and h, the row of next c, the rows that go."""
    cut, gates = g.nodes[row], g.inputs[row][0]
    shape = shapes[gates]
    if cut.p.squeeze_axis or len(shape) != 2 or cut.p.axis not in (1, -1) or dtypes[gates] not in FLOATS or 0 in shape:
        return None
    acts, muls = [], []
    for i, kind in enumerate(GATES):
        act = only(readers, g.row_ptr[row] + i)
        if act is None or activation(g.nodes[act]) != kind:
            return None
        mul = only(readers, g.row_ptr[act])
        if mul is None or g.nodes[mul].op.name != "elemwise_mul" or len(set(g.inputs[mul])) != 2:
            return None
        acts.append(act)
        muls.append(mul)
    in_mul, forget_mul, candidate_mul, out_mul = muls
    if in_mul != candidate_mul or len({in_mul, forget_mul, out_mul}) != 3:
        return None
    add = only(readers, g.row_ptr[in_mul])
    summed = {g.row_ptr[in_mul], g.row_ptr[forget_mul]}
    if add is None or g.nodes[add].op.name != "elemwise_add" or set(g.inputs[add]) != summed \
            or only(readers, g.row_ptr[forget_mul]) != add:
        return None
    c = other(g, forget_mul, g.row_ptr[acts[1]])
    squashed = other(g, out_mul, g.row_ptr[acts[3]])
    for squash in readers.get(g.row_ptr[add], ()):
        if squash >= 0 and g.row_ptr[squash] == squashed and activation(g.nodes[squash]) == "tanh" \
                and only(readers, squashed) == out_mul:
            break
    else:
        return None
    if shapes[c] != (shape[0], shape[1] // 4) or dtypes[c] != dtypes[gates]:
        return None
    return {"gates": gates, "c": c, "h": g.row_ptr[out_mul], "next_c": add,
            "inner": {row, *acts, *muls, squash}}


def only(readers, e):
    rows = readers.get(e, ())
    return rows[0] if len(rows) == 1 and rows[0] >= 0 else None


def other(g, row, e):
    """The input of a binary row that is not `e`."""
    a, b = g.inputs[row]
    return b if a == e else a


def activation(node):
    if node.op is None:
        return None
    return node.p.act_type if node.op.name == "Activation" else node.op.name
