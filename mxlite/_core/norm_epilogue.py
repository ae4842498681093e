"""BatchNorm takes the addition and the activation behind it, and its gradient the activation's gradient in front."""
from ..ops.fused_norm import FusedBatchNorm, FusedBatchNormBackward
from ..ops.rules import size
from .epilogue import follow, fused_dtypes, same_context


def fuse_norms(draft):
    """``act(BatchNorm(x) + other)`` becomes one row, in the place of its last member; so do relu's gradient and the
    gradient of the BatchNorm in front of it, in the place of the first."""
    if not draft.has("BatchNorm"):
        return
    readers = draft.readers()
    for row in list(draft.rows):
        node = draft.nodes[row]
        if node.op is None or row in draft.gone or not draft.ins[row]:
            continue
        data = draft.ins[row][0]
        if draft.dtypes[data] not in fused_dtypes(draft) or not size(draft.shapes[data]):
            continue
        if node.op.name == "BatchNorm" and not node.p.output_mean_var:
            fuse_forward(draft, readers, row)
        elif node.op.name == "_backward_relu":
            fuse_backward(draft, readers, row)


def fuse_forward(draft, readers, row):
    rows, other, act, e = follow(draft, readers, row)
    if len(rows) == 1:
        return
    node, ins = draft.nodes[row], draft.ins[row]
    number, lo, hi = act or (0, 0.0, 0.0)
    p = FusedBatchNorm.parse({**{k: getattr(node.p, k) for k in node.op.params}, "act": number, "lo": lo, "hi": hi,
                              "residual": other is not None})
    more = [] if other is None else [other]
    statistics = draft.outs[row][1:]
    at = draft.replace(rows, draft.fused(FusedBatchNorm, p, rows), [*ins[:3], *more, *ins[3:]], [e, *statistics])
    for source in {*ins, *more}:
        readers[source] = [at if r in rows else r for r in readers[source]]


def fuse_backward(draft, readers, row):
    """`row` is relu's gradient: the first BatchNorm's gradient that reads it takes it over."""
    masked, (dy, y) = draft.outs[row][0], draft.ins[row]
    if masked in draft.keep or masked in draft.pinned:
        return
    for behind in readers.get(masked, ()):
        if draft.nodes[behind].op.name == "_backward_BatchNorm" and draft.ins[behind][0] == masked \
                and draft.ins[behind].count(masked) == 1 and same_context(draft, [row, behind]):
            break
    else:
        return
    node, ins, rows = draft.nodes[behind], draft.ins[behind], [row, behind]
    if draft.dtypes[ins[1]] != draft.dtypes[dy] or shared_states(draft, readers, ins[5:]):
        return
    fused = draft.fused(FusedBatchNormBackward, node.p, rows)
    # In relu's place, where all that either reads is there already, and everybody who reads the result comes later.
    at = draft.replace(rows, fused, [dy, *ins[1:5], y, *ins[5:]], [*draft.outs[behind], masked], at=row)
    readers[masked] = [r for r in readers[masked] if r != behind]
    for source in {dy, y, *ins[1:]}:
        readers[source] = [at if r in rows else r for r in readers[source]]


def shared_states(draft, readers, states):
    """Do several gradients move these states? Then they keep their order: each starts from what the last one left."""
    movers = {r for e in states for r in readers[e] if draft.backward[r] and r not in draft.gone}
    return len(movers) > 1
