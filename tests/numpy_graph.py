"""A graph with all that it takes to run it, what NumPy computes of it, and how near to that a result must be."""
import json

import numpy as np
from mxlite._core.graph import topological, variables

import mxlite as mx

from . import reference as R

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
        dxs = node.op.grad(R.Eager(again=graph.is_train), R.Node(node.op, node.p, [values[e] for e in node.inputs],
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
