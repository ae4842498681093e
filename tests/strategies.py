"""Random graphs that are well-typed and well-conditioned, for hypothesis.

``graphs()`` draws a :class:`Graph`: a symbol with values for its arguments, auxiliary states, head gradients and a
grad_req each. Hypothesis chooses (and shrinks) the list of operators; everything else follows from one seed.

While a graph is built, every node is evaluated in float64 on its record's reference, and kept only if its outputs and
gradients move little when its inputs do: what is compared later has no ties, no kinks and no blow-up within rounding
distance, so tolerances can be tight. Edge values have tests of their own.
"""
import json

import numpy as np
from hypothesis import strategies as st
from mxlite._core.graph import topological, variables

import mxlite as mx

from . import reference as R

MOST_NODES = 40
STEP = 1e-4             # how far the inputs of a node are moved to see whether it is stable there
AMPLIFICATION = 30      # and how many times further its outputs and gradients may move

# Two libraries add and round in another order, so results differ by roundings that the rest of the graph amplifies.
# By how much is measured, not guessed: `noise` is the largest difference, in any element of an array, between the graph
# evaluated by NumPy in float32 and in float64. Errors are allowed up to
#     atol + rtol * (largest element) + noises * noise
# The largest element, because one that is small by cancellation keeps the error of its large terms. rtol stands for
# functions that one side knows to a few roundings only (float32: tanh, gamma, softmax ...). In float64, MXNet keeps
# parameters (clip's bounds, grad_scale, eps) and constants (pi / 180, 2 / sqrt(pi), digamma) in float32: again noise.
TOLERANCE = {"float32": dict(rtol=2e-5, atol=1e-5, noises=16), "float64": dict(rtol=2e-7, atol=2e-8, noises=16)}
MOST_NOISE = 3e-3       # of an array's largest element: more would hide an error


def assert_close(got, want, dtype, what, noise=0.0):
    """Same shape, dtype and finite places, and no element off by more than the tolerance of `dtype`."""
    assert got.shape == want.shape and got.dtype == want.dtype, \
        f"{what}: {got.dtype}{got.shape} where {want.dtype}{want.shape} is expected"
    if got.dtype.kind != "f":
        assert np.array_equal(got, want), f"{what}: {got} where {want} is expected"
        return
    assert np.array_equal(np.isfinite(got), np.isfinite(want)), f"{what}: {got} where {want} is expected"
    tolerance = TOLERANCE["float32" if got.dtype == np.float32 else dtype]
    a, b = got[np.isfinite(want)].astype("f8"), want[np.isfinite(want)].astype("f8")
    size = np.abs(b).max(initial=0)
    allowed = tolerance["atol"] + tolerance["rtol"] * size + tolerance["noises"] * min(noise, MOST_NOISE * max(size, 1))
    off = np.abs(a - b).max(initial=0)
    assert off <= allowed, f"{what}: off by {off:.3g}, allowed {allowed:.3g}\n got {got}\nwant {want}"


def noise(graph):
    """(for every output, by name for every gradient): how far NumPy's float32 is from its float64 on that graph."""
    (outs, grads), (wide_outs, wide_grads) = (eager(graph, dtype) for dtype in ("float32", "float64"))
    return ([float(np.abs(a.astype("f8") - b).max(initial=0)) for a, b in zip(outs, wide_outs)],
            {k: graph.rounds * float(np.abs(grads[k].astype("f8") - wide_grads[k]).max(initial=0)) for k in grads})


class Graph:
    """A symbol and all that it takes to run it forward and backward. Arrays are NumPy's, by name."""

    def __init__(self, **fields):
        self.__dict__.update(fields)

    def __repr__(self):
        lines = [f"seed={self.seed} ops={self.ops} dtype={self.dtype} is_train={self.is_train} "
                 f"reqs={self.reqs}"]
        return "\n".join([*lines, self.symbol.tojson()])

    def operators(self):
        """Names of the operators of all nodes, as in JSON."""
        return [n["op"] for n in json.loads(self.symbol.tojson())["nodes"] if n["op"] != "null"]

    def shares_inputs(self):
        """Does some entry feed two nodes?"""
        inputs = [tuple(e[:2]) for n in json.loads(self.symbol.tojson())["nodes"] for e in n["inputs"]]
        return len(inputs) > len(set(inputs))

    def bind(self):
        """(executor, head gradients) of mxlite."""
        def arrays(values):
            return {k: mx.nd.array(v, dtype=v.dtype) for k, v in values.items()}
        executor = self.symbol.bind(mx.cpu(), arrays(self.args), args_grad=arrays(self.grads), grad_req=self.reqs,
                                    aux_states=arrays(self.aux))
        return executor, [mx.nd.array(h, dtype=h.dtype) for h in self.heads]

    def run(self):
        """What mxlite computes: (outputs, gradients, arguments and auxiliary states afterwards)."""
        executor, heads = self.bind()
        for _ in range(self.rounds):
            executor.forward(is_train=self.is_train)
            if self.grads:
                executor.backward(heads)
        grads = {k: executor.grad_dict[k].asnumpy() for k in self.grads}
        return ([o.asnumpy() for o in executor.outputs], grads,
                {k: v.asnumpy() for k, v in executor.arg_dict.items()},
                {k: v.asnumpy() for k, v in executor.aux_dict.items()})


def eager(graph, dtype=None):
    """(outputs, gradients) of a graph by its records' references alone, node by node, in NumPy.

    `dtype`: that of all arguments, where it is not the graph's own."""
    args, aux = variables(graph.symbol._entries)
    values, pending = {}, {}
    for node, arrays in [(n, graph.args) for n in args] + [(n, graph.aux) for n in aux]:
        values[node, 0] = arrays[node.name].astype(dtype or graph.dtype)
    order = topological(graph.symbol._entries)
    for node in order:
        if node.op is not None:
            out = R.run(node.op, node.p, [values[e] for e in node.inputs], is_train=graph.is_train)
            values.update({(node, i): y for i, y in enumerate(out)})

    def arrive(entry, dy):
        pending[entry] = dy if entry not in pending else pending[entry] + dy
    for entry, dy in zip(graph.symbol._entries, graph.heads):
        dy = dy.astype(values[entry].dtype)
        if values[entry].dtype.kind == "f":
            arrive(entry, dy)
    for node in reversed(order):
        outs = [(node, i) for i in range(node.n_out)]
        if node.op is None or node.op.grad is None \
                or not (node.op.loss or node.op.aux or any(e in pending for e in outs)):
            continue
        dys = [pending.get(e) for e in outs]
        for i in range(node.n_visible):
            if dys[i] is None:
                dys[i] = np.zeros_like(values[outs[i]])
        draws_again = R.Eager(is_train=graph.is_train if node.op.random else True)
        dxs = node.op.grad(draws_again, R.Node(node.op, node.p, [values[e] for e in node.inputs],
                                               [values[e] for e in outs]), *dys)
        for e, dx in zip(node.inputs, dxs if isinstance(dxs, (tuple, list)) else [dxs]):
            if dx is not None:
                arrive(e, np.asarray(dx).astype(values[e].dtype))
    grads = {}
    for node in args:
        if node.name in graph.grads:
            start, dx = graph.grads[node.name], pending.get((node, 0), np.zeros_like(values[node, 0]))
            grads[node.name] = start + dx if graph.reqs[node.name] == "add" else dx
    return [values[e] for e in graph.symbol._entries], grads


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
OPERATORS = {}          # name of a way to grow a graph -> (family, function of a Builder)


def way(family, *names):
    """Registers a function that grows a graph by about one node, once under each of `names`, which it is then given."""
    def register(function):
        for name in names or (function.__name__,):
            OPERATORS[name] = family, (lambda b, name=name: function(b, name)) if names else function
        return function
    return register


JSON_NAMES = {  # ways whose name is not the operator's in JSON
    "identity": "_copy", "zeros": "_zeros", "ones": "_ones", "arange": "_arange", "uniform": "_random_uniform",
    "normal": "_random_normal"}
UNARY = {   # operator: the interval of inputs on which it neither blows up nor leaves its domain
    "abs": (-3, 3), "arccos": (-.8, .8), "arccosh": (1.3, 4), "arcsin": (-.8, .8), "arcsinh": (-3, 3),
    "arctan": (-3, 3), "arctanh": (-.8, .8), "cbrt": (.2, 4), "ceil": (-3, 3), "cos": (-3, 3), "cosh": (-2, 2),
    "degrees": (-2, 2), "erf": (-2, 2), "erfinv": (-.8, .8), "exp": (-3, 2), "expm1": (-3, 2), "fix": (-3, 3),
    "floor": (-3, 3), "gamma": (.5, 3), "gammaln": (.3, 5), "hard_sigmoid": (-4, 4), "log": (.3, 6),
    "log10": (.3, 6), "log1p": (-.6, 5), "log2": (.3, 6), "logical_not": (-3, 3), "negative": (-9, 9),
    "radians": (-90, 90), "rcbrt": (.4, 5), "reciprocal": (.4, 5), "relu": (-3, 3), "rint": (-3, 3),
    "round": (-3, 3), "rsqrt": (.4, 5), "sigmoid": (-5, 5), "sign": (-3, 3), "sin": (-3, 3), "sinh": (-2, 2),
    "smooth_l1": (-3, 3), "softsign": (-3, 3), "sqrt": (.2, 6), "square": (-3, 3), "tan": (-1.1, 1.1),
    "tanh": (-3, 3), "trunc": (-3, 3), "identity": (-9, 9), "BlockGrad": (-9, 9), "zeros_like": (-9, 9),
    "ones_like": (-9, 9), "make_loss": (-9, 9)}


@way("unary", *(n for n in UNARY if n != "hard_sigmoid"))
def unary(b, name):
    return b.node(name, [b.fit(b.pick(), *UNARY[name])])


@way("unary")
def hard_sigmoid(b):
    # MXNet writes its gradient over the one that arrives, which other nodes may still read: it gets one of its own.
    made = b.node("hard_sigmoid", [b.fit(b.pick(), *UNARY["hard_sigmoid"])], keep=False)
    return made and b.node("_mul_scalar", made, scalar=2)


@way("unary")
def clip(b):
    low = round(float(b.rng.uniform(-2, 0)), 2)
    return b.node("clip", [b.fit(b.pick(), -3, 3)], a_min=low, a_max=low + 1.5)


BINARY = {  # the intervals of both inputs
    "add": ((-9, 9), (-9, 9)), "sub": ((-9, 9), (-9, 9)), "mul": ((-3, 3), (-3, 3)), "div": ((-3, 3), (.4, 4)),
    "mod": ((-3, 3), (.6, 3)), "power": ((.4, 3), (-2, 2)), "hypot": ((.2, 3), (.2, 3)),
    "maximum": ((-3, 3), (-3, 3)), "minimum": ((-3, 3), (-3, 3)),
    **dict.fromkeys(["equal", "not_equal", "greater", "greater_equal", "lesser", "lesser_equal", "logical_and",
                     "logical_or", "logical_xor"], ((-3, 3), (-3, 3)))}


@way("binary", *[f"elemwise_{k}" if k in ("add", "sub", "mul", "div") else f"_{k}" for k in BINARY])
def elementwise(b, name):
    lows, highs = BINARY[name.replace("elemwise_", "").lstrip("_")]
    lhs = b.pick()
    rhs = b.like(b.of(lhs).shape)
    return b.node(name, [b.fit(lhs, *lows), b.fit(rhs, *highs)])


@way("broadcast", *[f"broadcast_{k}" for k in BINARY])
def broadcast(b, name):
    lows, highs = BINARY[name.replace("broadcast_", "")]
    lhs = b.pick()
    shape = tuple(1 if b.chance(0.4) else d for d in b.of(lhs).shape)
    rhs = b.like(shape)
    if b.chance(0.5):
        lhs, rhs = rhs, lhs
    return b.node(name, [b.fit(lhs, *lows), b.fit(rhs, *highs)])


SCALAR = {  # interval of the input, and of the scalar
    "_plus": ((-9, 9), (-2, 2)), "_minus": ((-9, 9), (-2, 2)), "_rminus": ((-9, 9), (-2, 2)),
    "_mul": ((-9, 9), (-2, 2)), "_div": ((-9, 9), (.5, 3)), "_rdiv": ((.5, 4), (-2, 2)), "_mod": ((-3, 3), (.6, 3)),
    "_rmod": ((.6, 3), (-3, 3)), "_power": ((.4, 3), (-2, 2)), "_rpower": ((-2, 2), (.4, 3)),
    "_hypot": ((.2, 3), (.5, 2)), **dict.fromkeys(
        ["_maximum", "_minimum", "_equal", "_not_equal", "_greater", "_greater_equal", "_lesser", "_lesser_equal",
         "_logical_and", "_logical_or", "_logical_xor"], ((-3, 3), (-1, 1)))}


@way("scalar", *[f"{k}_scalar" for k in SCALAR])
def scalar(b, name):
    domain, scalars = SCALAR[name.removesuffix("_scalar")]
    value = b.rng.uniform(*scalars)
    value = b.one(int(np.ceil(value)), round(float(value), 2)) if domain[0] <= 0 else round(float(value), 2)
    if value == 0 and name in ("_div_scalar", "_mod_scalar"):
        value = 1
    return b.node(name, [b.fit(b.pick(), *domain)], scalar=value)


@way("sum")
def add_n(b):
    first = b.pick()
    return b.node("add_n", [first] + [b.like(b.of(first).shape) for _ in range(b.rng.integers(0, 4))])


@way("matrix")
def dot(b):
    ta, tb = b.chance(0.3), b.chance(0.3)
    lhs = b.pick((2, 2, 3))
    s = b.of(lhs).shape
    k = s[0] if ta else s[-1]
    rhs = b.pick((1, 2), lambda t: (t[-1] if tb else t[0]) == k) if b.chance(0.7) else None
    if rhs is None:
        m = int(b.rng.integers(1, 5))
        rhs = b.variable((m, k) if tb else (k, m))
    if (ta or tb) and (len(s) > 2 or b.of(rhs).ndim < 2):
        return None
    return b.node("dot", [b.fit(lhs, -1, 1), b.fit(rhs, -1, 1)], **({"transpose_a": True} if ta else {}),
                  **({"transpose_b": True} if tb else {}))


@way("matrix")
def batch_dot(b):
    ta, tb = b.chance(0.3), b.chance(0.3)
    lhs = b.pick(3)
    n, i, k = b.of(lhs).shape
    if ta:
        i, k = k, i
    j = int(b.rng.integers(1, 5))
    rhs = b.like((n, j, k) if tb else (n, k, j))
    return b.node("batch_dot", [b.fit(lhs, -1, 1), b.fit(rhs, -1, 1)], transpose_a=ta, transpose_b=tb)


@way("layer")
def FullyConnected(b):
    params = dict(num_hidden=int(b.rng.integers(1, 6)))
    if b.chance(0.3):
        params["no_bias"] = True
    if b.chance(0.3):
        params["flatten"] = False
    return b.node("FullyConnected", [b.fit(b.pick((2, 3, 4)), -2, 2)], **params)


@way("layer")
def Convolution(b):
    nd = b.one(1, 2, 2, 2)
    data = b.pick(nd + 2, lambda s: min(s[2:]) >= 2)
    if data is None:
        return None
    s = b.of(data).shape
    kernel = tuple(int(b.rng.integers(1, min(3, d) + 1)) for d in s[2:])
    params = dict(kernel=kernel, num_filter=int(b.rng.integers(1, 4)))
    if b.chance(0.4):
        params["pad"] = tuple(int(b.rng.integers(0, 2)) for _ in kernel)
    if b.chance(0.4):
        params["stride"] = tuple(int(b.rng.integers(1, 3)) for _ in kernel)
    if b.chance(0.2) and all((k - 1) * 2 < d for k, d in zip(kernel, s[2:])):
        params["dilate"] = (2,) * nd
    if b.chance(0.3):
        params["no_bias"] = True
    if b.chance(0.3):
        params.update(num_group=s[1], num_filter=s[1] * b.one(1, 2))
    return b.node("Convolution", [b.fit(data, -2, 2)], **params)


@way("layer")
def Pooling(b):
    nd = b.one(1, 2, 2, 2)
    data = b.pick(nd + 2, lambda s: min(s[2:]) >= 2)
    if data is None:
        return None
    s = b.of(data).shape
    kind = b.one("max", "avg", "sum", "lp")
    params = dict(pool_type=kind)
    if kind == "lp":
        params["p_value"] = b.one(1, 2, 3)
        data = b.fit(data, .3, 2)
    if b.chance(0.2):
        params["global_pool"] = True
        if b.chance(0.5):
            params["kernel"] = (1,) * nd
    else:
        kernel = params["kernel"] = tuple(int(b.rng.integers(1, min(3, d) + 1)) for d in s[2:])
        if b.chance(0.5):
            params["stride"] = tuple(int(b.rng.integers(1, 3)) for _ in kernel)
        if b.chance(0.4):
            params["pad"] = tuple(int(b.rng.integers(0, min(2, k))) for k in kernel)
        if b.chance(0.4):
            params["pooling_convention"] = b.one("valid", "full")
        if kind == "avg" and b.chance(0.4):
            params["count_include_pad"] = b.chance(0.5)
    return b.node("Pooling", [b.fit(data, -3, 3) if kind != "lp" else data], **params)


@way("activation")
def Activation(b):
    return b.node("Activation", [b.fit(b.pick(), -3, 3)],
                  act_type=b.one("relu", "sigmoid", "tanh", "softrelu", "softsign"))


@way("activation")
def LeakyReLU(b):
    # Not selu: MXNet's gradient of it is wrong below 0 (it adds the unscaled alpha to the scaled output).
    kind = b.one("leaky", "elu", "gelu", "prelu")
    params = dict(act_type=kind)
    if kind in ("leaky", "elu") and b.chance(0.5):
        params["slope"] = round(float(b.rng.uniform(0.05, 0.5)), 2)
    made = b.node("LeakyReLU", [b.fit(b.pick((2, 3, 4) if kind == "prelu" else None), -3, 3)], **params)
    if made and kind == "prelu":    # MXNet may write the data's gradient over what gamma's is then computed from
        b.constant.add(made[0][0].inputs[1][0].name)
    return made


@way("normalisation")
def BatchNorm(b):
    data = b.pick((2, 3, 4), lambda s: int(np.prod(s)) // s[1] > 1)
    params = {}
    for k, choices in dict(fix_gamma=(True, False), use_global_stats=(True,), output_mean_var=(True,),
                           momentum=(0.7, 0.99), eps=(1e-2, 1e-1)).items():
        if b.chance(0.5 if k == "fix_gamma" else 0.25):
            params[k] = b.one(*choices)
    made = b.node("BatchNorm", [b.fit(data, -3, 3)], keep=False, **params)
    if made:
        b.pool.append(made[0])      # the mean and variance have no gradient, so only the user sees them
    return made


@way("normalisation")
def Dropout(b):
    # Two libraries draw different masks, so only what drops nothing can be compared.
    return b.node("Dropout", [b.pick()], p=0 if b.is_train else b.one(0, 0.3, 0.7))


@way("softmax", "softmax", "log_softmax", "softmin")
def softmax(b, name):
    data = b.pick()
    params = {}
    if b.chance(0.6):
        params["axis"] = b.axis(b.of(data).ndim)
    if b.chance(0.3):
        params["temperature"] = b.one(0.7, 2.0)
    return b.node(name, [b.fit(data, -3, 3)], **params)


@way("loss")
def SoftmaxOutput(b):
    multi = b.chance(0.3)
    data = b.pick((3, 4) if multi else 2)
    s = b.of(data).shape
    params = dict(multi_output=True) if multi else {}
    for k, choices in dict(grad_scale=(0.5, 2.0), normalization=("null", "batch", "valid"), use_ignore=(True,),
                           smooth_alpha=(0.1,), ignore_label=(0, 1)).items():
        if b.chance(0.3) and not (k == "smooth_alpha" and (multi or s[-1] == 1)):
            params[k] = b.one(*choices)
    shape = (s[0], *s[2:]) if multi else s[:1]
    label = b.variable(shape, constant=True, values=b.rng.integers(0, s[1], shape))
    return b.node("SoftmaxOutput", [b.fit(data, -3, 3), label], frozen=(1,), **params)


@way("loss", "LinearRegressionOutput", "LogisticRegressionOutput", "MAERegressionOutput")
def regression(b, name):
    data = b.pick((1, 2, 3))
    label = b.variable(b.of(data).shape, constant=True)
    params = dict(grad_scale=b.one(0.5, 2.0)) if b.chance(0.4) else {}
    return b.node(name, [b.fit(data, -3, 3), label], frozen=(1,), **params)


@way("loss")
def MakeLoss(b):
    params = dict(grad_scale=b.one(0.5, 2.0)) if b.chance(0.4) else {}
    if b.chance(0.5):
        params["normalization"] = b.one("null", "batch", "valid")
        params["valid_thresh"] = 0.1
    return b.node("MakeLoss", [b.fit(b.pick(), -3, 3)], **params)


@way("join")
def Concat(b):
    first = b.pick((1, 2, 3, 4))
    s = b.of(first).shape
    dim = b.axis(len(s))
    entries = [first]
    for _ in range(b.rng.integers(0, 3)):
        if b.chance(0.5):
            entries.append(b.pick(len(s), lambda t: all(x == y for i, (x, y) in enumerate(zip(s, t))
                                                        if i != dim % len(s))) or first)
        else:
            t = list(s)
            t[dim] = int(b.rng.integers(1, 4))
            entries.append(b.like(tuple(t)))
    if sum(b.of(e).size for e in entries) > 400:
        return None
    return b.node("Concat", entries, dim=dim)


@way("join")
def stack(b):
    first = b.pick((1, 2, 3))
    s = b.of(first).shape
    return b.node("stack", [first] + [b.like(s) for _ in range(b.rng.integers(0, 3))], axis=b.axis(len(s) + 1))


@way("split")
def SliceChannel(b):
    data = b.pick()
    s = b.of(data).shape
    axis = b.axis(len(s))
    squeeze = len(s) > 1 and b.chance(0.3)
    parts = s[axis] if squeeze else b.one(*[n for n in (1, 2, 3, 4, 5) if s[axis] % n == 0])
    return b.node("SliceChannel", [data], num_outputs=parts, axis=axis, **({"squeeze_axis": True} if squeeze else {}))


@way("shape")
def Reshape(b):
    data = b.pick()
    s = b.of(data).shape
    n = int(np.prod(s))
    d = b.one(*[k for k in range(1, n + 1) if n % k == 0])
    choices = [(-1,), (d, -1), (d, n // d), (0, -1), (-1, 1), (-2, 1)]
    if len(s) >= 2:
        choices += [(-3, -2), (0, -4, 1, -1, -2)]
    params = dict(shape=b.one(*choices))
    if params["shape"] == (0, -1) and b.chance(0.3):
        params = dict(shape=(-1, 0), reverse=True)
    return b.node("Reshape", [data], **params)


@way("shape")
def Flatten(b):
    return b.node("Flatten", [b.pick()])


@way("shape")
def transpose(b):
    data = b.pick()
    if b.chance(0.3):
        return b.node("transpose", [data])
    return b.node("transpose", [data], axes=tuple(int(i) for i in b.rng.permutation(b.of(data).ndim)))


@way("shape")
def SwapAxis(b):
    data = b.pick((2, 3, 4))
    n = b.of(data).ndim
    return b.node("SwapAxis", [data], dim1=int(b.rng.integers(n)), dim2=int(b.rng.integers(n)))


@way("shape")
def expand_dims(b):
    data = b.pick((1, 2, 3))
    return b.node("expand_dims", [data], axis=b.axis(b.of(data).ndim + 1))


@way("slice")
def slice(b):
    data = b.pick()
    begin, end, step = [], [], []
    for d in b.of(data).shape[:b.rng.integers(1, b.of(data).ndim + 1)]:
        low, high = sorted(b.rng.choice(d + 1, 2, replace=False).tolist())
        stride = b.one(1, 1, 2, -1, None)
        if stride == -1:
            low, high = high - 1, (low - 1 if low else None)
        begin.append(b.one(low, low - d, None) if low == 0 and stride != -1 else low)
        end.append(high if high != d else b.one(d, None, d + 3))
        step.append(stride)
    params = dict(begin=tuple(begin), end=tuple(end))
    if any(s not in (1, None) for s in step) or b.chance(0.2):
        params["step"] = tuple(step)
    return b.node("slice", [data], **params)


@way("slice")
def slice_axis(b):
    data = b.pick()
    axis = b.axis(b.of(data).ndim)
    d = b.of(data).shape[axis]
    low, high = sorted(b.rng.choice(d + 1, 2, replace=False).tolist())
    return b.node("slice_axis", [data], axis=axis, begin=b.one(low, low - d) if low < d else low,
                  end=None if high == d else b.one(high, high - d))


@way("reduce", "sum", "mean", "max", "min", "prod", "nansum")
def reduction(b, name):
    data = b.pick()
    n = b.of(data).ndim
    params = {}
    if b.chance(0.7):
        axes = sorted(b.rng.choice(n, b.rng.integers(1, n + 1), replace=False).tolist())
        params["axis"] = b.one(axes[0], axes[0] - n) if len(axes) == 1 else tuple(axes)
        if b.chance(0.2) and len(axes) < n:
            params["exclude"] = True
    if b.chance(0.4):
        params["keepdims"] = True
    return b.node(name, [b.fit(data, -2, 2) if name != "prod" else b.fit(data, .5, 1.5)], **params)


@way("reduce")
def norm(b):
    data = b.fit(b.pick(), .2, 3)
    params = dict(ord=b.one(1, 2)) if b.chance(0.5) else {}
    if data is not None and b.chance(0.6):
        params["axis"] = b.axis(b.of(data).ndim)
    return b.node("norm", [data], **params)


@way("reduce", "argmax", "argmin")
def arg(b, name):
    data = b.pick()
    params = dict(axis=b.axis(b.of(data).ndim)) if b.chance(0.8) else {}
    if b.chance(0.4):
        params["keepdims"] = True
    return b.node(name, [data], **params)


@way("index")
def Embedding(b):
    rows, width = int(b.rng.integers(2, 6)), int(b.rng.integers(1, 5))
    shape = b.shape(b.one(1, 2))
    data = b.variable(shape, constant=True, values=b.rng.integers(0, rows, shape))
    weight = [b.like((rows, width))] if b.chance(0.4) else []
    params = {} if b.dtype == "float32" else {"dtype": b.dtype}
    return b.node("Embedding", [data, *weight], frozen=(0,), input_dim=rows, output_dim=width, **params)


@way("index")
def take(b):
    data = b.pick((1, 2, 3))
    axis = int(b.rng.integers(b.of(data).ndim))
    shape = b.shape(b.one(1, 2))
    if b.of(data).size * np.prod(shape) > 300:
        return None
    indices = b.variable(shape, constant=True, values=b.rng.integers(0, b.of(data).shape[axis], shape))
    return b.node("take", [data, indices], frozen=(1,), axis=axis)


@way("index")
def pick(b):
    data = b.pick((2, 3))
    s = b.of(data).shape
    index = b.variable(s[:-1], constant=True, values=b.rng.integers(0, s[-1], s[:-1]))
    return b.node("pick", [data, index], frozen=(1,), axis=-1, keepdims=b.chance(0.3))


@way("index")
def where(b):
    x = b.pick()
    s = b.of(x).shape
    condition = b.variable(s, constant=True, values=b.rng.integers(0, 2, s))
    return b.node("where", [condition, x, b.like(s)], frozen=(0,))


@way("shape")
def tile(b):
    data = b.pick((1, 2))
    return b.node("tile", [data], reps=b.one((2,), (1, 2), (2, 1, 2)))


@way("shape")
def repeat(b):
    data = b.pick((1, 2, 3))
    return b.node("repeat", [data], repeats=2, axis=int(b.rng.integers(b.of(data).ndim)))


@way("shape")
def reverse(b):
    data = b.pick()
    return b.node("reverse", [data], axis=int(b.rng.integers(b.of(data).ndim)))


@way("broadcast")
def broadcast_to(b):
    data = b.pick((2, 3), lambda s: 1 in s)
    if data is None:
        return None
    return b.node("broadcast_to", [data], shape=tuple(b.one(0, 3) if d == 1 else b.one(0, d)
                                                      for d in b.of(data).shape))


@way("type")
def Cast(b):
    """To another dtype, an operation there, and back."""
    data = b.pick()
    kind = b.one("float64", "float32", "int32", "int64", "int8", "uint8")
    low = 0.1 if kind == "uint8" else -3
    made = b.node("Cast", [b.fit(data, low, 9)], dtype=kind, keep=False)
    if made and b.chance(0.5) and kind not in ("float32", "float64"):
        made = b.node("_plus_scalar", made, scalar=2, keep=False)
    return made and b.node("Cast", made, dtype=b.dtype)


@way("init", "zeros", "ones")
def constant(b, name):
    return b.node(f"_{name}", call=lambda name, n=name: getattr(mx.sym, n)(shape=b.shape(), dtype=b.dtype, name=name))


@way("init")
def arange(b):
    start, count, step = b.one(-1, 0, 0.5), int(b.rng.integers(1, 6)), b.one(0.5, 1, 1.5)
    return b.node("_arange", call=lambda name: mx.sym.arange(start, start + step * count - 0.1, step,
                                                             repeat=b.one(1, 1, 2), dtype=b.dtype, name=name))


@way("random", "uniform", "normal")
def random(b, name):
    """Random numbers, seen by the graph times nought, and sometimes by the user too."""
    data = b.pick()
    numbers = dict(low=-1, high=2) if name == "uniform" else dict(loc=1, scale=0.5)
    drawn = b.node(f"_random_{name}", shape=b.of(data).shape, dtype=b.dtype, **numbers)
    if b.chance(0.3):
        b.random_heads += drawn
    nothing = b.node("_mul_scalar", drawn, scalar=0, keep=False)
    return nothing and b.node("elemwise_add", [data, nothing[0]])


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
