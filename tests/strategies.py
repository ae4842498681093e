"""Random graphs that are well-typed and well-conditioned, for hypothesis.

``graphs()`` draws a :class:`Graph`: a symbol with values for its arguments, auxiliary states, head gradients and a
grad_req each. Hypothesis chooses (and shrinks) the list of operators; everything else follows from one seed.

While a graph is built, every node is evaluated in float64 on its record's reference, and kept only if its outputs and
gradients move little when its inputs do: what is compared later has no ties, no kinks and no blow-up within rounding
distance, so tolerances can be tight. Edge values have tests of their own.
"""
import numpy as np
from hypothesis import strategies as st
from mxlite._core.graph import topological

import mxlite as mx

from . import graph_ways_shape  # noqa: F401    registers its ways
from . import reference as R
from .graph_ways import OPERATORS
from .numpy_graph import Graph

MOST_NODES = 40
STEP = 1e-4             # how far the inputs of a node are moved to see whether it is stable there
AMPLIFICATION = 30      # and how many times further its outputs and gradients may move


# -- building ---------------------------------------------------------------------------------------------------------

class Builder:
    """Grows a graph node by node. Entries carry their float64 values, so operators can be fed what they accept."""

    def __init__(self, seed, dtype, is_train):
        self.rng = np.random.default_rng(seed)
        self.dtype, self.is_train = dtype, is_train
        self.values = {}            # (node, output) -> array
        self.pool = []              # entries that may become inputs: not random, and float
        self.used = set()
        self.made = []              # operator nodes in order
        self.args, self.aux = {}, {}
        self.constant = set()       # arguments without a gradient: labels, indices
        self.random_heads = []

    # choosing

    def chance(self, p):
        return self.rng.random() < p

    def one(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def axis(self, ndim):
        """An axis, counted from either end."""
        return int(self.rng.integers(-ndim, ndim))

    def shape(self, ndim=None):
        ndim = self.one(1, 2, 2, 3, 4) if ndim is None else ndim
        return tuple(int(d) for d in self.rng.integers(1, 5 if ndim > 2 else 6, ndim))

    def variable(self, shape, low=-2.0, high=2.0, constant=False, values=None):
        name = f"v{len(self.args)}"
        array = (self.rng.uniform(low, high, shape) if values is None else values).astype(self.dtype)
        attrs = self.one({}, {}, {}, {"shape": shape}, {"lr_mult": 2}, {"attr": {"__note__": 'a "quoted" \\ text\n'}})
        entry = mx.sym.Variable(name, **attrs)._entries[0]
        self.args[name] = array
        self.values[entry] = array.astype("float64")
        if constant:
            self.constant.add(name)
        else:
            self.pool.append(entry)
        return entry

    def pick(self, ndim=None, where=None):
        """An entry of the pool (recent ones more often), or a new variable."""
        def fits(e):
            shape = self.values[e].shape
            return (ndim is None or len(shape) in (ndim if isinstance(ndim, tuple) else (ndim,))) \
                and (where is None or where(shape))
        found = [e for e in self.pool if fits(e)]
        if found and not (len(self.args) < 6 and self.chance(0.15)):
            at = int(len(found) * self.rng.random() ** 0.7)
            return found[min(at, len(found) - 1)]
        for _ in range(50):
            n = self.one(*ndim) if isinstance(ndim, tuple) else ndim
            shape = self.shape(n)
            if where is None or where(shape):
                return self.variable(shape)
        return None

    def like(self, shape):
        """An entry of exactly that shape."""
        return self.pick(len(shape), lambda s: s == shape) or self.variable(shape)

    def of(self, entry):
        return self.values[entry]

    # making nodes

    def fit(self, entry, low, high):
        """`entry` moved by scalars into [low, high] where it is not there already."""
        x = self.of(entry)
        if x.min() >= low and x.max() <= high:
            return entry
        width = float(x.max() - x.min())
        scale = round(min(1.0, 0.9 * (high - low) / max(width, 1e-3)), 4)
        if scale == 0:
            return None
        if scale < 1:
            scaled = self.node("_mul_scalar", [entry], scalar=scale)
        else:
            scaled = [entry]
        if scaled is None:
            return None
        x = self.of(scaled[0])
        if x.min() >= low and x.max() <= high:
            return scaled[0]
        shift = round((low + high) / 2 - float(x.max() + x.min()) / 2, 4)
        made = self.node("_plus_scalar", scaled, scalar=shift)
        return made and made[0]

    def node(self, op, inputs=(), frozen=(), keep=True, call=None, **params):
        """A new node, or None where it would not be stable. Entries of its visible outputs; they join the pool.

        `frozen`: inputs that are not moved (labels, indices). Missing inputs become variables with random values.
        """
        if any(e is None for e in inputs):
            return None
        space = mx.sym._internal if op.startswith("_") else mx.sym
        # A quarter of the nodes get a name of the user's, the others the automatic one.
        name = f"node_{len(self.made)}" if self.chance(0.25) else None
        symbol = (call or getattr(space, op))(*[mx.sym.Symbol([e]) for e in inputs], name=name, **params)
        node = symbol._entries[0][0]
        n_aux = len(node.op.aux_names(node.p))
        shapes = [self.of(e).shape if e in self.values else None for e in node.inputs]
        shapes, _ = node.op.infer(node.p, shapes, [None] * node.n_out)
        labels = node.op.input_names(node.p, len(node.inputs)) + list(node.op.aux_names(node.p))
        fresh = {}
        for e, shape, label in zip(node.inputs, shapes, labels):
            if e not in self.values:
                fan_in = int(np.prod(shape[1:])) or 1
                low, high = {"gamma": (0.5, 1.5), "moving_var": (0.5, 1.5)}.get(label, (-1 / fan_in**0.5,
                                                                                         1 / fan_in**0.5))
                fresh[e] = self.rng.uniform(low, high, shape).astype(self.dtype).astype("float64")
        xs = [fresh[e] if e in fresh else self.of(e) for e in node.inputs]
        if not node.op.random:
            ys = self.stable(node, xs, n_aux, frozen)
            if ys is None:
                return None
        else:
            ys = R.run(node.op, node.p, xs)
        for i, (e, x) in enumerate(zip(node.inputs, xs)):
            if e in fresh:
                (self.aux if i >= len(xs) - n_aux else self.args)[e[0].name] = x.astype(self.dtype)
                self.values[e] = x
            self.used.add(e)
        out = [(node, i) for i in range(node.n_visible)]
        for e in out:
            self.values[e] = np.asarray(ys[e[1]])
            if keep and not node.op.random and self.values[e].dtype.kind == "f":
                self.pool.append(e)
        self.made.append(node)
        return out

    def stable(self, node, xs, n_aux, frozen):
        """The node's outputs, or None where they or the gradients jump, blow up or are not finite nearby."""
        op, p = node.op, node.p
        n = len(xs) - n_aux
        dys = None

        def both(inputs):
            nonlocal dys
            inputs = [x.copy() for x in inputs]
            with np.errstate(all="ignore"):
                ys = R.run(op, p, inputs, is_train=self.is_train)
                if dys is None:
                    dys = [self.rng.choice([-1.0, 1.0], y.shape) * self.rng.uniform(0.5, 1, y.shape)
                           if i < node.n_visible else None for i, y in enumerate(ys)]
                if op.grad is None or any(y.dtype.kind != "f" for y in ys):
                    return ys, ()
                dxs = op.grad(R.Eager(is_train=True), R.Node(op, p, inputs, ys), *dys)
            return ys, [np.asarray(d) for d in (dxs if isinstance(dxs, (tuple, list)) else [dxs]) if d is not None]
        ys, dxs = both(xs)
        for sign in (1, -1, 1):
            moved = [x + sign * STEP * self.rng.uniform(0.5, 1, x.shape) * self.rng.choice([-1.0, 1.0], x.shape)
                     if i < n and i not in frozen and x.dtype.kind == "f" else x for i, x in enumerate(xs)]
            for a, b in zip([*ys, *dxs], [y for part in both(moved) for y in part]):
                if not (np.all(np.isfinite(a)) and np.all(np.isfinite(b))):
                    return None
                size = np.abs(a).max(initial=0)
                if np.abs(a - b).max(initial=0) > AMPLIFICATION * STEP * max(1, size) or size > 1e3:
                    return None
        return ys


# Operator and input whose gradient MXNet 1.9.1 does not add to what is there: it overwrites, or scales the sum. None:
# every input.
BROKEN_ADD = {("FullyConnected", "bias"), ("Convolution", "bias"), ("Convolution", "data"), ("BatchNorm", "gamma"), *(
    (name, None) for name in ["mean", "SoftmaxOutput", "LinearRegressionOutput", "LogisticRegressionOutput", "Pooling",
                              "MAERegressionOutput", "MakeLoss", "clip", "reverse", "elemwise_add"])}
def build(seed, ops, dtype, is_train):
    """The graph that `seed` makes of the list `ops` of OPERATORS' names."""
    with mx.name.NameManager():
        b = Builder(seed, dtype, is_train)
        b.variable(b.shape())
        families = set()
        filler = iter(sorted(OPERATORS) * 2)
        queue = list(ops)
        while queue or len(b.made) < 5 or len(families) < 3:
            if len(b.made) > MOST_NODES - 6:        # no way of growing makes more than six nodes
                break
            family, grow = OPERATORS[queue.pop(0) if queue else next(filler)]
            if grow(b):
                families.add(family)
        graph = finish(b, seed, ops)
        graph.families = families
        return graph


def finish(b, seed, ops):
    """Heads: whatever nobody reads, and now and then an inner entry, a variable or the same entry again."""
    rng = b.rng
    heads = []
    for node in b.made:
        outs = [(node, i) for i in range(node.n_visible)]
        if not any(e in b.used for e in outs):
            heads += [e for e in outs if e[1] == 0 or b.chance(0.7)]
        elif node.op.name == "BatchNorm":
            heads += [e for e in outs[1:] if b.chance(0.5)]
    inner = [e for e in b.pool if e[0].op is not None and e in b.used]
    if inner and b.chance(0.5):
        heads.append(b.one(*inner))
    if b.chance(0.1):
        heads.append(heads[0])
    if b.chance(0.1):
        heads.append(b.pool[0])
    heads += b.random_heads
    heads = [heads[i] for i in rng.permutation(len(heads))]
    symbol = mx.sym.Symbol(heads)
    names = symbol.list_arguments()
    args = {k: b.args[k] for k in names}
    reqs = {k: "null" if k in b.constant else b.one("write", "write", "add", "add", "null") for k in names}
    for node in topological(heads):
        if node.op is not None:
            for e, label in zip(node.inputs, node.op.input_names(node.p, len(node.inputs))):
                if {(node.op.name, None), (node.op.name, label)} & BROKEN_ADD and reqs.get(e[0].name) == "add":
                    reqs[e[0].name] = "write"
    # MXNet writes no gradient of the bias where none of the weight is wanted.
    for node in topological(heads):
        if node.op is not None and node.op.name in ("FullyConnected", "Convolution") and not node.p.no_bias \
                and reqs[node.inputs[1][0].name] == "null":
            reqs[node.inputs[2][0].name] = "null"
    # Of the gradients given for an entry that is a head twice, MXNet takes the last alone.
    given = [0 if e in heads[i + 1:] else 1 for i, e in enumerate(heads)]
    grads = {k: rng.uniform(-1, 1, args[k].shape).astype(b.dtype) for k in names if reqs[k] != "null"}
    head_grads = [scale * rng.uniform(-1, 1, b.of(e).shape).astype(b.of(e).dtype if b.of(e).dtype.kind != "f" else
                                                                   b.dtype) for e, scale in zip(heads, given)]
    # Without the indices that only its training forward keeps, MXNet's max pooling returns garbage from backward.
    if not b.is_train and b.dtype == "float32" and any(
            n.op.name == "Pooling" and n.p.pool_type == "max" for n in topological(heads) if n.op):
        reqs, grads = dict.fromkeys(reqs, "null"), {}
    # MXNet overwrites the gamma that fix_gamma ignores with 1.
    overwritten = {n.inputs[1][0].name for n in b.made if n.op.name == "BatchNorm" and n.p.fix_gamma}
    return Graph(symbol=symbol, args=args, aux={k: b.aux[k] for k in symbol.list_auxiliary_states()}, reqs=reqs,
                 grads=grads, heads=head_grads, seed=seed, ops=list(ops), dtype=b.dtype, is_train=b.is_train,
                 rounds=b.one(1, 1, 2), random_heads={i for i, e in enumerate(heads) if e in b.random_heads},
                 overwritten=overwritten)


@st.composite
def graphs(draw, dtypes=("float32", "float32", "float32", "float64"), least=8, most=32, is_train=None):
    """Random graphs. Hypothesis shrinks the list of operators; the seed decides everything else."""
    seed = draw(st.integers(0, 2**64 - 1))
    # Hypothesis likes to repeat choices; which operator a slot stands for is left to the seed, so all come up evenly.
    slots = draw(st.lists(st.integers(0, 2**16), min_size=least, max_size=most))
    names = sorted(OPERATORS)
    ops = [names[np.random.default_rng([seed, i, slot]).integers(len(names))] for i, slot in enumerate(slots)]
    dtype = draw(st.sampled_from(dtypes))
    return build(seed, ops, dtype, draw(st.booleans()) if is_train is None else is_train)
