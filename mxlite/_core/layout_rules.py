"""Which rows can have their channels last, and what changes in them: what :mod:`.layout` asks of an operator.

A row is turned with all entries that its rule names; it is the same operator with another layout, axis or shape among
its parameters. An operator that is not here keeps its inputs and outputs in the order that they have.
"""
from ..ops import settings
from ..ops.binary import kept_shape, spread_axes
from ..ops.rules import axis_of, size

LAYOUT = {4: "NHWC", 5: "NDHWC"}
PLANES = (None, "NCHW", "NCDHW")
LEAST_CHANNELS = 4          # of a group, on either side: below that cuDNN has kernels for planes


def last(ndim):
    """The order of axes that puts the channels last."""
    return (0, *range(2, ndim), 1)


def turn(shape):
    """A shape with its channels last."""
    return (shape[0], *shape[2:], shape[1])


def moved(axis, ndim):
    """Where axis `axis` is once channels are last."""
    axis %= ndim
    return axis if axis == 0 else ndim - 1 if axis == 1 else axis - 1


class Form:
    """How a row looks turned: positions of the inputs and outputs that turn with it (and their ``entries``), the
    parameters that change; ``worth``: cuDNN would turn those itself; ``weight``: the entry of a convolution's weight,
    or None."""

    __slots__ = ("ins", "outs", "entries", "changes", "worth", "weight")

    def __init__(self, draft, row, ins, outs, changes, worth=False, weight=None):
        self.ins, self.outs, self.changes, self.worth, self.weight = tuple(ins), tuple(outs), changes, worth, weight
        self.entries = {draft.ins[row][k] for k in self.ins} | {draft.outs[row][k] for k in self.outs}


def form(draft, row):
    """The :class:`Form` of a row, or None: it stays as it is."""
    node, shapes = draft.nodes[row], draft.shapes
    ins, outs = ([shapes[e] for e in part[row]] for part in (draft.ins, draft.outs))
    if not ins or not outs:
        return None
    rule = RULES.get(node.op.name, elementwise)
    found = rule(draft, row, node, ins, outs)
    if found is None:
        return None
    taken, made, changes, *worth = found
    if any(len(ins[k]) not in LAYOUT for k in taken) or any(len(outs[k]) not in LAYOUT for k in made):
        return None
    return Form(draft, row, taken, made, changes, *worth)


def in_layout(node, ins):
    """What changes of an operator with a parameter `layout`; None where it has its channels last already, or no name
    for that."""
    if node.p.layout not in PLANES or len(ins[0]) not in LAYOUT:
        return None
    changes = {"layout": LAYOUT[len(ins[0])]}
    if "shape" in node.op.params:
        changes["shape"] = turn(node.p.shape)
    return changes


def convolution(draft, row, node, ins, outs):
    """Convolution and its gradients, Deconvolution: two tensors and the third, all of one layout. It is cuDNN's engines
    on tensor cores that want channels last; float32 as it is, and float64, it computes in planes."""
    p, changes = node.p, in_layout(node, ins)
    if changes is None:
        return None
    weight = outs[0] if node.op.name == "_conv_wgrad" else ins[1]
    dtype = draft.dtypes[draft.ins[row][0]]
    worth = min(weight[0] // p.num_group, weight[1]) >= LEAST_CHANNELS and (
        dtype in ("float16", "bfloat16") or dtype == "float32" and settings.tf32)
    return (0, 1), (0,), changes, worth, None if node.op.name == "_conv_wgrad" else draft.ins[row][1]


def pooling(draft, row, node, ins, outs):
    """Pooling and its gradient; a maximum's codes lie like the maxima."""
    changes = in_layout(node, ins)
    if changes is None:
        return None
    return range(len(ins)), range(len(outs)), changes


def along(param, inputs=None):
    """Rule of an operator whose parameter `param` is an axis; of its inputs, the first `inputs` have it."""
    def rule(draft, row, node, ins, outs):
        p, ndim = node.p, len(ins[0])
        if getattr(p, "squeeze_axis", False) or getattr(p, "use_length", False):
            return None
        axis = moved(axis_of(getattr(p, param), ndim), ndim)
        return range(len(ins) if inputs is None else inputs), \
            range(len(outs) if inputs is None else 1), {param: axis}
    return rule


def reduction(draft, row, node, ins, outs):
    """A sum or the like: axes are renamed. What is left must keep its order, or its axes."""
    p, ndim = node.p, len(ins[0])
    axes = () if p.axis is None else (p.axis,) if isinstance(p.axis, int) else tuple(p.axis)
    axes = [a % ndim for a in axes]
    left = [moved(a, ndim) for a in range(ndim) if (a in axes) == bool(p.exclude)] if axes else []
    if not p.keepdims and left != sorted(left):
        return None
    return (0,), (0,) if p.keepdims else (), {"axis": tuple(moved(a, ndim) for a in axes)} if axes else {}


def spread(draft, row, node, ins, outs):
    """Repeating along axes, and the sum that is its gradient. The small side moves where it has all axes; else what is
    left of them must keep its order."""
    up = node.op.name == "_spread"
    small, full = (ins[0], outs[0]) if up else (outs[0], ins[0])
    ndim, axes = len(full), {a % len(full) for a in spread_axes(small, full, node.p.axes)}
    whole, left = small == kept_shape(full, axes), [moved(a, ndim) for a in range(ndim) if a not in axes]
    if ndim not in LAYOUT or not whole and left != sorted(left):
        return None
    changes = {"axes": tuple(sorted(moved(a, ndim) for a in axes))}
    if up or whole:
        changes["shape"] = turn(full if up else small)
    return (0,) if whole or not up else (), (0,) if whole or up else (), changes


def dropout(draft, row, node, ins, outs):
    """Passes on at inference. While training the mask is drawn by the number of the element, and that counts planes."""
    draws = draft.train[1 if draft.backward[row] and node.rng_of is None else 0] or node.p.mode == "always"
    return None if draws else ((0,), (0,), {})


def alike(draft, row, node, ins, outs):
    """Several tensors of one shape in, several out."""
    if len({*ins, *outs}) != 1:
        return None
    return range(len(ins)), range(len(outs)), {}


SHAPED = ("shape", "axes", "axis", "size", "lhs_axes", "rhs_axes")     # parameters that know the order of axes


def elementwise(draft, row, node, ins, outs):
    """Element by element: inputs lie like the output, each axis repeated or not; numbers lie like anything."""
    op = node.op
    field = op.cpu
    kernel = field(node.p) if callable(field) else field
    if kernel is None or not kernel.startswith("elementwise.") or op.random or op.aux or len(outs) != 1 \
            or any(name in op.params for name in SHAPED):
        return None
    taken = [k for k, shape in enumerate(ins) if size(shape) != 1 or len(shape) in LAYOUT]
    if any(len(ins[k]) != len(outs[0]) for k in taken):
        return None
    return taken, (0,), {}


# The operators whose presence makes the pass look.
WORTH = ("Convolution", "Convolution_v1", "Deconvolution", "_conv_dgrad", "_conv_wgrad")
RULES = {
    **dict.fromkeys(WORTH, convolution),
    **dict.fromkeys(("Pooling", "_backward_Pooling"), pooling),
    "BatchNorm": along("axis", 1), "_backward_BatchNorm": along("axis", 2),
    "Concat": along("dim"), "_backward_Concat": along("dim"), "SliceChannel": along("axis"),
    **dict.fromkeys(("softmax", "log_softmax", "softmin", "_backward_softmax", "_backward_log_softmax",
                     "_backward_softmin"), along("axis")),
    **dict.fromkeys(("sum", "mean", "max", "min"), reduction),
    "_spread": spread, "_unbroadcast": spread,
    **dict.fromkeys(("where", "_backward_where", "amp_multicast"), alike),
    **dict.fromkeys(("Dropout", "_backward_Dropout"), dropout),
}
