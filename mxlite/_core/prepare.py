"""Weights are brought into the order in which their kernel reads them by rows of their own.

At inference once, until somebody writes into the parameter (``draft.once``). In any program where several products use
one weight, as in an unrolled recurrence, once a run.
"""
from ..ops.fused import PRODUCTS, FusedGemm, PrepareWeight, preparation
from .epilogue import epilogue, fits, in_front, is_parameter
from .graph import Node

MOST_ROWS = 256         # a product of more rows packs a weight in the shade of its work
FUSED = {record: name for name, record in PRODUCTS.items()}


CASTS = ("Cast", "amp_cast")
TAKERS = (*PRODUCTS, "Deconvolution")


def keep_casts(draft):
    """At inference, casts of weights run once, until a parameter changes: mixed precision casts every one. What is read
    as data, too, is no weight: it changes every run."""
    if draft.train != (False, None) or not draft.has(*CASTS):
        return
    producers, readers, kept = draft.producers(), draft.readers(), []
    for row in draft.rows:
        node = draft.nodes[row]
        if node.op is None or node.op.name not in CASTS or not is_parameter(draft, producers, draft.ins[row][0]):
            continue
        e = draft.outs[row][0]
        if e in draft.keep or e in draft.pinned or not all(
                draft.nodes[r].op.name in TAKERS and draft.ins[r][0] != e for r in readers.get(e, ())):
            continue
        kept.append(row)
    draft.once += kept
    draft.rows = in_front(draft, draft.once)


def prepare_weights(draft):
    inference = draft.train == (False, None)
    producers, uses, made, once = draft.producers(), {}, {}, set(draft.once)
    for row in draft.rows:
        node = draft.nodes[row]
        if node.op is None or not (node.op.name in PRODUCTS or node.op in FUSED or node.op.name == "_gemm"):
            continue
        if not fits(draft, row):
            continue
        weight = draft.ins[row][1]
        constant = inference and (is_parameter(draft, producers, weight) or producers[weight] in once)
        use = (weight, constant, node.op.name == "_gemm" and node.p.transpose_b, draft.backward[row])
        uses.setdefault(use, []).append(row)
    for use, rows in uses.items():
        for row in rows:
            prepare(draft, row, use[1], rows, made)
    if len(draft.once) > len(once):
        draft.rows = in_front(draft, draft.once)


def prepare(draft, row, constant, rows, made):
    """Let `row` read its weight prepared, if that is worth it."""
    node, ins, out = draft.nodes[row], draft.ins[row], draft.outs[row][0]
    weight, dtype = ins[1], draft.dtypes[ins[0]]
    shapes = [draft.shapes[e] for e in ins[:2]]
    found = preparation(node.op, node.p, shapes, [draft.shapes[out]], dtype)
    if found is None:
        return
    kind, (kernel, length, args) = found
    dense = kernel == "gemm.pack_weight"
    if not constant and not (dense and len(rows) > 1 and args["m"] <= MOST_ROWS):
        return
    layout = (args["tb"], args["n"], args["k"]) if dense else tuple(args[k] for k in ("channels", "filters", "groups"))
    key = (weight, kernel, layout, not constant and draft.backward[row])
    if key not in made:
        p = PrepareWeight.P()
        p.kernel, p.length, p.args = kernel, length, tuple(args.items())
        pack = Node(PrepareWeight, node.name + "_weight", {}, p, [], node.where)
        made[key] = draft.add(pack, [weight], [(length,)], [dtype], row)
        draft.made_of[made[key]] = [kernel.partition(".")[2]]
        if constant:            # behind the row that folds the weight, so that no two folded weights are there at once
            maker = next((r for r in draft.once if weight in draft.outs[r]), None)
            at = len(draft.once) if maker is None else draft.once.index(maker) + 1
            draft.once.insert(at, made[key])
        else:
            draft.insert([made[key]], before=row)
    names = draft.made_of.get(row, [node.op.name])
    if node.op.name == "_gemm":
        values = {k: getattr(node.p, k) for k in node.op.params}
        p = FusedGemm.parse({**values, "prepared": kind, "weight": shapes[1]})
    elif node.op in FUSED:
        p = node.p.replace(prepared=kind)
    else:
        p = epilogue(node, shapes[1], prepared=kind)
    record = FusedGemm if node.op.name == "_gemm" else PRODUCTS.get(node.op.name, node.op)
    draft.nodes[row] = Node(record, node.name, {}, p, [], node.where)
    draft.ins[row] = [ins[0], draft.outs[made[key]][0], *ins[2:]]
    draft.made_of[row] = names
