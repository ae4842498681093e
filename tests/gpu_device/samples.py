"""A record's samples as arrays of a dtype, and what they give on a context: imperatively, and as a bound graph."""
import numpy as np

import mxlite as mx
from mxlite.gpu import coverage

from ..reference import spread

# Largest distance between GPU and CPU: relative, and in units of the largest number of the array. Both round, in other
# orders; docs/numbers.md bounds either of them.
TOLERANCE = {"float32": 2e-5, "float64": 1e-10, "float16": 4e-3, "bfloat16": 3e-2}
SEED = 3


class Refused(Exception):
    """The CPU does not run this either."""


def values(op, sample, shapes, dtypes, rng):
    """NumPy arrays for a sample whose inputs have `dtypes`; bfloat16's as float32."""
    out = []
    for i, (shape, dtype) in enumerate(zip(shapes, dtypes)):
        x = spread(op, sample, i, shape, rng)
        if i not in sample.index and dtype.startswith(("int", "uint")):
            x = np.round(np.abs(x * 3) if dtype.startswith("u") else x * 3)
        elif i not in sample.index and dtype == "bool":
            x = x > (sample.low + sample.high) / 2
        out.append(np.asarray(x).astype("float32" if dtype == "bfloat16" else dtype))
    return out


class Case:
    """One sample of an operator in one dtype."""

    def __init__(self, op, sample, dtype):
        """Raises Refused where the operator does not take the dtype."""
        params = dict(sample.params)
        if not sample.shapes and "dtype" in op.params:
            params["dtype"] = dtype
        try:
            self.p = op.parse(params)
            shapes, outs = coverage.shapes_of(op, self.p, sample.shapes)
        except ValueError as e:
            raise Refused(str(e)) from None
        found = coverage.dtypes_of(op, self.p, sample, len(shapes), len(outs), dtype)
        if found is None or dtype not in (*found[0], *found[1]):
            raise Refused(f"{op.name} in {dtype}")
        self.op, self.params, (self.dtypes, self.out_dtypes) = op, params, found
        rng = np.random.default_rng(sum(map(ord, op.name)))
        self.xs = values(op, sample, shapes, self.dtypes, rng)
        self.heads = [np.where(rng.random(s) < 0.5, -1, 1) * rng.uniform(0.5, 1, s) for s in outs]
        self.n_aux = len(op.aux_names(self.p))

    def arrays(self, ctx, shifted=False):
        """The inputs on `ctx`. `shifted`: each one element behind the start of its memory."""
        out = []
        for x, dtype in zip(self.xs, self.dtypes):
            if shifted:
                room = mx.nd.zeros((x.size + 1,), ctx=ctx, dtype=dtype)
                room[1:] = x.reshape(-1)
                out.append(room[1:].reshape(x.shape) if x.size else mx.nd.zeros(x.shape, ctx=ctx, dtype=dtype))
            else:
                out.append(mx.nd.array(x, ctx=ctx, dtype=dtype))
        return out

    def imperative(self, ctx, shifted=False):
        """Outputs of ``mx.nd.op(*inputs)``, then the inputs afterwards, as host arrays."""
        call = getattr(mx.nd if not self.op.name.startswith("_") else mx.nd._internal, self.op.name)
        xs, words = self.arrays(ctx, shifted), dict(self.params)
        if not xs:
            words["ctx"] = str(ctx)
        mx.random.seed(SEED)
        ys = call(*xs, **words)
        return [host(y) for y in (*(ys if isinstance(ys, (list, tuple)) else [ys]), *xs)]

    def bind(self, ctx, gradients):
        """A bound graph of the operator alone; `gradients`: of all its floating-point inputs."""
        names = [f"x{i}" for i in range(len(self.xs))]
        compose = getattr(mx.sym if not self.op.name.startswith("_") else mx.sym._internal, self.op.name)
        net = compose(*[mx.sym.Variable(n) for n in names], name="node", **self.params)
        arrays, n = self.arrays(ctx), len(names) - self.n_aux
        grads = {k: mx.nd.zeros(x.shape, ctx=ctx, dtype=d)
                 for k, x, d in zip(names[:n], arrays, self.dtypes) if d in TOLERANCE} if gradients else {}
        reqs = {k: "write" if k in grads else "null" for k in names[:n]}
        return net.bind(ctx, dict(zip(names[:n], arrays)), args_grad=grads or None, grad_req=reqs,
                        aux_states=dict(zip(names[n:], arrays[n:])))

    def graph(self, ctx, gradients, runs=1):
        """``[outputs, auxiliary states, gradients as host arrays]`` of `runs` runs of a bound graph, each from the same
        inputs and the same random numbers."""
        exe, out = self.bind(ctx, gradients), []
        keep = [(a, a.copy()) for a in (*exe.arg_arrays, *exe.aux_arrays)]
        heads = [mx.nd.array(h, ctx=ctx, dtype=y.dtype_name) for h, y in zip(self.heads, exe.outputs)]
        for _ in range(runs):
            for a, before in keep:
                a[:] = before
            mx.random.seed(SEED)
            exe.forward(is_train=True)
            if gradients:
                exe.backward(heads)
            grads = [g for g in exe.grad_arrays if g is not None]
            out.append([host(a) for a in (*exe.outputs, *exe.aux_arrays, *grads)])
        return out


def host(x):
    """(dtype, values) of an NDArray; bfloat16 as float32, which holds all of its numbers."""
    name = x.dtype_name
    return name, (x.astype("float32") if name == "bfloat16" else x).asnumpy().copy()


def distance(got, want, more=1):
    """The largest distance of two lists of host arrays in units of their tolerance; integers must be equal."""
    assert len(got) == len(want)
    worst = 0.0
    # Where float32 masters stand beside float64 weights, the narrower dtype is what was computed in.
    most = max([TOLERANCE[d] for d, _ in want if d in TOLERANCE], default=0) * more
    for k, ((dtype, g), (other, w)) in enumerate(zip(got, want)):
        assert (dtype, g.shape) == (other, w.shape), f"part {k}: {dtype} {g.shape} instead of {other} {w.shape}"
        if dtype not in TOLERANCE:
            np.testing.assert_array_equal(g, w, err_msg=f"part {k}")
            continue
        g, w = g.astype("float64"), w.astype("float64")
        # Where one is not finite the other is the same.
        odd = ~np.isfinite(w)
        np.testing.assert_array_equal(g[odd], w[odd], err_msg=f"part {k}")
        g, w = g[~odd], w[~odd]
        if not w.size:
            continue
        scale = max(1.0, np.abs(w).max())
        np.testing.assert_allclose(g, w, rtol=most, atol=most * scale, err_msg=f"part {k}")
        worst = max(worst, float((np.abs(g - w) / (most * (np.abs(w) + scale))).max()))
    return worst


def identical(got, want):
    for k, ((dtype, g), (_, w)) in enumerate(zip(got, want)):
        np.testing.assert_array_equal(np.asarray(g).view(np.uint8) if g.ndim else g, np.asarray(w).view(np.uint8)
                                      if w.ndim else w, err_msg=f"part {k} ({dtype})")
