"""Second derivatives, derived from the registry: every record with a gradient has that gradient differentiated again by
the gradient pass, and compared with float64 differences of the first gradient.

A backward operator that cannot be differentiated counts as a constant in the second pass, so what is missing shows.
"""
import numpy as np
import pytest
from mxlite._core.gradient import gradient, prune
from mxlite._core.graph import Indexed, Node
from mxlite._core.infer import infer_dtypes, infer_shapes

import mxlite as mx
from mxlite.ops import RECORDS
from mxlite.ops.record import S

from . import reference as R

# Records whose gradient has a derivative that is not built, and why.
NONE = {"_digamma": "there for the second derivative of gamma; its own second derivative would be that one's fourth",
        "RNN": "its gradient says, when it is differentiated, that it cannot be; tests/test_rnn.py asks"}
# Calls beyond the samples: modes that those leave out. (record, sample, is_train)
MORE = [("BatchNorm", S((4, 3, 5), fix_gamma=False, low=0.2), False),
        ("BatchNorm", S((4, 3, 5), fix_gamma=True, use_global_stats=True, low=0.2), True),
        ("BatchNorm", S((4, 3, 5), fix_gamma=False, axis=-1), True), ("BatchNorm", S((6,), axis=0), True),
        ("BatchNorm", S((4, 3, 5), fix_gamma=False, output_mean_var=True), True),
        ("BatchNorm_v1", S((4, 3), fix_gamma=False, output_mean_var=True), True),
        ("LayerNorm", S((3, 4, 5), axis=1, output_mean_var=True), True),
        ("GroupNorm", S((3, 4, 5), num_groups=2, output_mean_var=True), True),
        ("smooth_l1", S((5,), scalar=0.0), True), ("_power_scalar", S((5,), scalar=1.0), True),
        ("_power_scalar", S((5,), scalar=2.0), True), ("_power_scalar", S((5,), scalar=0.0), True),
        ("rcbrt", S((5,), low=-2.0, high=-0.5), True), ("gammaln", S((9,), low=-2.9, high=-2.1), True),
        ("gamma", S((9,), low=-2.9, high=-2.1), True), ("_hypot_scalar", S((5,), scalar=0.0, low=0.3), True),
        ("softmax_cross_entropy", S((5, 4), index={1: 6}), True), ("norm", S((3, 4), ord=1, low=0.1), True),
        ("nanprod", S((3, 4), axis=1, low=0.3), True), ("prod", S((3, 4), axis=1, low=-2.0, high=-0.3), True)]
MOST = 400              # elements of a sample's inputs: larger ones say nothing new
EACH = 6                # samples of a record


def small(op):
    """The samples worth a run: with elements, but not many. The smallest at least."""
    sized = []
    for s in op.samples:
        shapes = R.complete(op, op.parse(s.params), s.shapes)[0]
        sizes = [int(np.prod(t)) for t in shapes]
        if all(sizes) and s.dtype.startswith("float"):
            sized.append((sum(sizes), s))
    picked = [s for total, s in sized if total <= MOST][:EACH]
    return picked or [min(sized, key=lambda pair: pair[0])[1]] if sized else []


def differentiable(op):
    return op.grad is not None and not op.loss and not op.name.startswith("_backward") and op.name not in NONE


class Twice:
    """The graph of one call, its gradient, and the gradient of that."""

    def __init__(self, op, sample, rng, is_train=True):
        self.op, self.sample, self.rng, self.is_train = op, sample, rng, is_train
        p = op.parse(sample.params)
        shapes = R.complete(op, p, sample.shapes)[0]
        xs = R.draw(op, sample, shapes, rng, "float64")
        nodes = [Node(None, f"x{i}", {}) for i in range(len(xs))]
        call = Node(op, "call", {}, p, [(v, 0) for v in nodes])
        g = self.g = Indexed([(call, i) for i in range(call.n_visible)])
        self.values = {g.row_of[v]: x for v, x in zip(nodes, xs)}
        known = {g.entry((v, 0)): x for v, x in zip(nodes, xs)}
        shapes = infer_shapes(g, {e: x.shape for e, x in known.items()})
        dtypes = infer_dtypes(g, {e: x.dtype.name for e, x in known.items()})
        aux = len(op.aux_names(p))
        self.rows = [g.row_of[v] for i, v in enumerate(nodes[:len(xs) - aux])
                     if i not in sample.index and xs[i].dtype == np.float64]
        heads, first = gradient(g, shapes, dtypes, self.rows)
        for v, _ in heads:
            e = g.entry((v, 0))
            self.values[g.row_of[v]] = rng.uniform(-1, 1, shapes[e]).astype(dtypes[e])
        self.rows += [g.row_of[v] for v, _ in heads if self.values[g.row_of[v]].dtype == np.float64]
        self.first = [e for e in first.values() if e is not None and dtypes[e] == "float64"]
        self.weights = [rng.uniform(-1, 1, shapes[e]) for e in self.first]
        g.heads = list(self.first)
        again, second = gradient(g, shapes, dtypes, self.rows) if self.first else ([], {})
        self.second = {row: e for row, e in second.items() if e is not None}
        for (v, _), w in zip(again, self.weights):
            self.values[g.row_of[v]] = w

    def run(self, entries, moved=None):
        """Values of `entries`, by the records' references, with some variables replaced."""
        g, at = self.g, {}
        for row in prune(g, list(entries)):
            node = g.nodes[row]
            if node.op is None:
                at[g.row_ptr[row]] = (moved or {}).get(row, self.values[row]).copy()
                continue
            with np.errstate(all="ignore"):
                out = R.run(node.op, node.p, [at[e] for e in g.inputs[row]], self.is_train)
            for i, y in enumerate(out):
                at[g.row_ptr[row] + i] = y
        return [at[e] for e in entries]

    def check(self, eps=1e-6, tol=1e-5):
        """Directional derivatives of a random mixture of the gradients, declared and by differences. False where the
        operator has no gradient to differentiate."""
        if not self.first:
            return False
        rng = self.rng
        steps = {row: rng.choice([-1.0, 1.0], self.values[row].shape) * rng.uniform(0.5, 1, self.values[row].shape)
                 for row in self.rows}
        got = self.run(self.second.values())
        declared = sum(float((y * steps[row]).sum()) for row, y in zip(self.second, got))

        def value(scale):
            moved = {row: self.values[row] + scale * eps * s for row, s in steps.items()}
            return sum(float((y * w).sum()) for y, w in zip(self.run(self.first, moved), self.weights))
        numeric = (value(1) - value(-1)) / (2 * eps)
        scale = max(1.0, abs(numeric), abs(declared))
        assert abs(numeric - declared) <= tol * scale, \
            f"{self.op.name}({self.sample}): the second derivative is {declared}, differences say {numeric}"
        return True


@pytest.mark.parametrize("op", [pytest.param(op, id=n) for n, op in sorted(RECORDS.items()) if differentiable(op)])
def test_gradient_of_gradient(op):
    rng = np.random.default_rng(sum(map(ord, op.name)))
    for s in small(op):
        Twice(op, s, rng).check()


@pytest.mark.parametrize("name, sample, is_train", [pytest.param(*m, id=f"{m[0]}-{i}") for i, m in enumerate(MORE)])
def test_more_modes(name, sample, is_train):
    assert Twice(RECORDS[name], sample, np.random.default_rng(5), is_train).check()


def test_most_records_are_checked():
    """The check passes over records without a gradient; not over many."""
    rng = np.random.default_rng(3)
    checked = {op.name for op in RECORDS.values() if differentiable(op) for s in small(op)[:1]
               if Twice(op, s, rng).first}
    assert len(checked) > 150
    assert checked >= {"LayerNorm", "LeakyReLU", "Convolution", "softmax", "norm", "FullyConnected", "take", "gamma"}


def test_exceptions_are_needed():
    for name in NONE:
        op = RECORDS[name]
        # none at all, or one that says how to get it
        with pytest.raises((AssertionError, mx.MXNetError), match="second derivative|differentiated again"):
            for s in small(op):
                Twice(op, s, np.random.default_rng(5)).check()


@pytest.mark.parametrize("name, shapes, params", [
    ("LayerNorm", ((3, 4, 5), (4,), (4,)), {"axis": 1}), ("InstanceNorm", ((2, 3, 5), (3,), (3,)), {}),
    ("LRN", ((2, 5, 4),), {"nsize": 3, "alpha": 1.0}), ("L2Normalization", ((2, 3, 4),), {"mode": "channel"}),
    ("BatchNorm", ((3, 4, 5), (4,), (4,)), {"fix_gamma": False}), ("LeakyReLU", ((3, 4),), {"act_type": "gelu"})])
def test_compiled_and_run(name, shapes, params):
    """The same by way of autograd, so that kernels run: a gradient penalty's gradient against its differences."""
    rng = np.random.default_rng(8)
    xs, weights, steps = ([rng.uniform(low, 1, s) for s in shapes] for low in (0.2, -1, -1))
    moving = [np.zeros(shapes[-1]), np.ones(shapes[-1])] if name == "BatchNorm" else []

    def penalty(values):
        """The weighted gradient of the sum of exponentials, and its own gradient."""
        own = [mx.nd.array(v, dtype="float64") for v in values]
        rest = [mx.nd.array(v, dtype="float64") for v in moving]
        for v in own:
            v.attach_grad()
        with mx.autograd.record():
            y = mx.nd.exp(getattr(mx.nd, name)(*own, *rest, **params)).sum()
            first = mx.autograd.grad(y, own, create_graph=True, retain_graph=True)
            total = sum((g * mx.nd.array(w, dtype="float64")).sum() for g, w in zip(first, weights))
        total.backward()
        return total.asscalar(), [v.grad.asnumpy() for v in own]
    grads = penalty(xs)[1]
    eps = 1e-6
    up, down = (penalty([x + sign * eps * s for x, s in zip(xs, steps)])[0] for sign in (1, -1))
    np.testing.assert_allclose(sum((g * s).sum() for g, s in zip(grads, steps)), (up - down) / (2 * eps), rtol=1e-5)
