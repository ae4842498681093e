"""Convolutions and dense layers take what comes behind them: an addition, an activation; at inference a BatchNorm."""
from ..ops.conv import dgrad_adds
from ..ops.fused import PRODUCTS, FoldBatchNorm, FusedConvolutionDgrad
from ..ops.rules import size

ADDITIONS = ("elemwise_add", "broadcast_add")


def fold_batch_norm(draft):
    """At inference a BatchNorm behind a product becomes part of the product's weight and bias. The rows that fold them
    run once, until a parameter changes."""
    if draft.train != (False, None) or not draft.has("BatchNorm"):
        return
    readers, producers = draft.readers(), draft.producers()
    for row in list(draft.rows):
        node = draft.nodes[row]
        if node.op is None or node.op.name not in PRODUCTS or not fits(draft, row):
            continue
        behind = only_reader(draft, readers, draft.outs[row][0])
        if behind is None or not foldable(draft, readers, producers, row, behind):
            continue
        norm, ins = draft.nodes[behind], draft.ins[row]
        p = FoldBatchNorm.parse({"eps": norm.p.eps, "fix_gamma": norm.p.fix_gamma, "no_bias": node.p.no_bias})
        fold = draft.fused(FoldBatchNorm, p, [row, behind])
        gamma = draft.ins[behind][1]
        once = draft.add(fold, [*ins[1:], *draft.ins[behind][1:]],
                         [draft.shapes[ins[1]], draft.shapes[gamma]], [draft.dtypes[ins[1]]] * 2, row)
        weight, bias = draft.outs[once]
        draft.once.append(once)
        draft.made_of[once] = ["BatchNorm into weights"]
        values = {k: getattr(node.p, k) for k in node.p.__slots__}
        product = draft.fused(node.op, node.op.parse({**values, "no_bias": False}), [row, behind])
        draft.replace([row, behind], product, [ins[0], weight, bias], draft.outs[behind][:1])
    draft.rows = in_front(draft, draft.once)


def foldable(draft, readers, producers, row, behind):
    """Is `behind` a BatchNorm over the product's channels whose statistics nobody else wants, all of parameters?"""
    norm, node = draft.nodes[behind], draft.nodes[row]
    if norm.op.name != "BatchNorm" or draft.ins[behind][0] != draft.outs[row][0]:
        return False
    shape = draft.shapes[draft.outs[row][0]]
    if norm.p.axis % len(shape) != 1 or (len(shape) != 2 and node.op.name == "FullyConnected"):
        return False
    if any(e in readers or e in draft.keep for e in draft.outs[behind][1:]):
        return False
    parameters = [*draft.ins[row][1:], *draft.ins[behind][1:]]
    lasting = all(is_parameter(draft, producers, e) or producers.get(e) in draft.once for e in parameters)
    return lasting and same_context(draft, [row, behind])


def is_parameter(draft, producers, e):
    """Is entry `e` a variable whose memory only mxlite writes, and this program does not?"""
    row = producers.get(e)          # None: a row of draft.once makes it
    return row is not None and draft.nodes[row].op is None and e in draft.pinned and e not in draft.moving \
        and not draft.pinned[e].storage.exported


def in_front(draft, once):
    """``rows`` with the rows `once` behind the variables and in front of everything else."""
    first = [r for r in draft.rows if draft.nodes[r].op is None]
    front = set(once)
    return first + once + [r for r in draft.rows if draft.nodes[r].op is not None and r not in front]


def fuse_epilogues(draft):
    """``act(product + bias + other)`` becomes one row, in the place of its last member."""
    readers = draft.readers()
    for row in list(draft.rows):
        node = draft.nodes[row]
        if row in draft.gone or node.op is None or not fits_epilogue(node) or not fits(draft, row):
            continue
        dgrad = node.op.name == "_conv_dgrad"
        rows, other, act, e = follow(draft, readers, row, activations=not dgrad)
        if len(rows) == 1:
            continue
        if dgrad:
            fused = draft.fused(FusedConvolutionDgrad, node.p, rows)
        else:
            p = epilogue(node, draft.shapes[draft.ins[row][1]], *(act or (0, 0.0, 0.0)), other is not None)
            fused = draft.fused(PRODUCTS[node.op.name], p, rows)
        ins = draft.ins[row] + ([other] if other is not None else [])
        at = draft.replace(rows, fused, ins, [e])
        for source in set(ins):
            readers[source] = [at if r in rows else r for r in readers[source]]


def fits_epilogue(node):
    """A product, or a convolution's gradient to which others are added?"""
    return node.op.name in PRODUCTS or (node.op.name == "_conv_dgrad" and dgrad_adds(node.p))


def follow(draft, readers, row, activations=True):
    """What the first output of `row` passes through before anybody else sees it, as far as an epilogue goes: (rows, the
    entry that is added or None, the activation's (number, lo, hi) or None, the last entry)."""
    rows, other, act, e = [row], None, None, draft.outs[row][0]
    while act is None:
        behind = only_reader(draft, readers, e)
        if behind is None or behind in draft.gone or not same_context(draft, [row, behind]):
            break
        taker, ins = draft.nodes[behind], draft.ins[behind]
        if taker.op.name in ADDITIONS and other is None:
            second = ins[1] if ins[0] == e else ins[0]
            if draft.shapes[second] != draft.shapes[e] or draft.dtypes[second] != draft.dtypes[e]:
                break
            other = second
        else:
            act = activation(taker) if activations else None
            if act is None:
                break
        rows.append(behind)
        e = draft.outs[behind][0]
    return rows, other, act, e


def epilogue(node, weight, act=0, lo=0.0, hi=0.0, residual=False, prepared=0):
    """Parameters of the fused form of a product node whose plain weight has shape `weight`."""
    values = {k: getattr(node.p, k) for k in node.op.params}
    return PRODUCTS[node.op.name].parse({**values, "act": act, "lo": lo, "hi": hi, "residual": residual,
                                         "prepared": prepared, "weight": weight})


def activation(node):
    """(number, lo, hi) of an activation that an epilogue can be, or None."""
    name = node.op.name
    if name == "relu" or (name == "Activation" and node.p.act_type == "relu"):
        return 1, 0.0, 0.0
    if name == "clip" and node.p.a_min <= node.p.a_max:     # with bounds the wrong way round it depends on the order
        return 2, node.p.a_min, node.p.a_max
    return None


def fits(draft, row):
    """Does the product run a kernel, on something, and at whatever place of the program?"""
    node, dtype = draft.nodes[row], draft.dtypes[draft.ins[row][0]]
    field = node.op.cpu if draft.on_cpu or node.op.gpu is None else node.op.gpu
    kernel = field(node.p) if callable(field) else field
    return kernel is not None and dtype in fused_dtypes(draft) and size(draft.shapes[draft.outs[row][0]]) > 0 \
        and draft.moving.isdisjoint(draft.ins[row])


def fused_dtypes(draft):
    """Dtypes of what runs as one row: a device's kernels compute in float32 for the narrow ones."""
    return ("float32", "float64") if draft.on_cpu else ("float32", "float64", "float16", "bfloat16")


def only_reader(draft, readers, e):
    """The one row that reads entry `e`, where nothing else wants it; else None."""
    rows = readers.get(e, ())
    return rows[0] if len(rows) == 1 and e not in draft.keep and e not in draft.pinned else None


def same_context(draft, rows):
    """Do all rows run on one context, in one half of the program?"""
    return len({(draft.context_of(r), draft.backward[r]) for r in rows}) == 1
