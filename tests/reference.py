"""Records run eagerly on their references, with NumPy alone: no graph, no kernels.

This is the independent half of the derived tests: it checks a record's rules against each other (inference against
real shapes, declared gradient against float64 differences), and computes what a kernel must equal.
"""
import numpy as np

from mxlite.ops.record import RECORDS

DTYPE = {"bfloat16": "float32"}


class Node:
    """What a `grad` rule sees of the forward node."""

    def __init__(self, op, p, inputs, outputs):
        self.op, self.p, self.inputs, self.outputs = op, p, list(inputs), list(outputs)
        self.in_shapes = [np.shape(x) for x in inputs]
        self.out_shapes = [np.shape(x) for x in outputs]
        self.in_dtypes = [np.asarray(x).dtype.name for x in inputs]
        self.out_dtypes = [np.asarray(x).dtype.name for x in outputs]


class Eager:
    """The `F` of a `grad` rule: ``F.name(*arrays, **params)`` runs that record's reference at once.

    `again`: the mode of what runs as its forward node did (``_rng_of``); `is_train`: that of everything else.
    """

    def __init__(self, seed=7, step=1, is_train=True, again=True):
        self.seed, self.step, self.is_train, self.again = seed, step, is_train, again

    def __getattr__(self, name):
        record = RECORDS[name]

        def call(*arrays, _rng_of=None, **params):
            is_train = self.is_train if _rng_of is None else self.again
            out = run(record, record.parse(params), arrays, is_train=is_train, seed=self.seed, step=self.step)
            return out[0] if len(out) == 1 else out
        return call


def run(op, p, arrays, is_train=True, seed=7, step=1, rng_id=0):
    """Outputs of `op`'s reference, as a tuple."""
    kw = {}
    if op.train_aware:
        kw["is_train"] = is_train
    if op.random:
        from mxlite.ops.philox import Philox
        kw["rng"] = Philox(np, seed, step, rng_id)
    out = op.ref(np, p, *arrays, **kw)
    return tuple(np.asarray(y) for y in out) if isinstance(out, (tuple, list)) else (np.asarray(out),)


def complete(op, p, shapes):
    """All input and output shapes of `op`, given the shapes a sample states."""
    n_in = len(shapes) if op.variadic else len(op.input_names(p)) + len(op.aux_names(p))
    ins = list(shapes) + [None] * (n_in - len(shapes))
    outs = [None] * len(op.output_names(p))
    for _ in range(3):
        ins, outs = op.infer(p, list(ins), list(outs))
    assert all(s is not None and None not in s for s in (*ins, *outs)), f"{op.name}: {ins} -> {outs} is incomplete"
    return [tuple(s) for s in ins], [tuple(s) for s in outs]


def spread(op, sample, i, shape, rng):
    """Random numbers for input `i` of a sample, away from the record's kinks; integers where it indexes."""
    if i in sample.index:
        return rng.integers(0, sample.index[i], shape)
    x = rng.uniform(sample.low, sample.high, shape)
    for k in op.kinks:
        x = np.where(np.abs(x - k) < 0.05, k + 0.1, x)
    return x


def draw(op, sample, shapes, rng, dtype=None):
    """Random inputs for a sample, away from the record's kinks."""
    dtype = DTYPE.get(dtype or sample.dtype, dtype or sample.dtype)
    p = op.parse(sample.params)
    # Index inputs take the dtype that the record insists on, if it does.
    wanted, _ = op.infer_dtype(p, [None if i in sample.index else dtype for i in range(len(shapes))],
                               [None] * len(op.output_names(p)))
    arrays = []
    for i, shape in enumerate(shapes):
        x = spread(op, sample, i, shape, rng)
        if i not in sample.index and dtype.startswith(("int", "uint")):
            x = np.round(x * 3)
        arrays.append(np.asarray(x).astype(wanted[i] or dtype if i in sample.index else dtype))
    return arrays


def check_inference(op, sample, rng):
    """Inferred shapes and dtypes equal the reference's; inputs other than auxiliary states stay untouched."""
    p = op.parse(sample.params)
    in_shapes, out_shapes = complete(op, p, sample.shapes)
    xs = draw(op, sample, in_shapes, rng)
    keep = [x.copy() for x in xs]
    ys = run(op, p, xs)
    assert [y.shape for y in ys] == out_shapes, f"{op.name}({sample}): reference gives {[y.shape for y in ys]}, " \
                                                f"inference says {out_shapes}"
    _, out_dtypes = op.infer_dtype(p, [x.dtype.name for x in xs], [None] * len(ys))
    assert [y.dtype.name for y in ys] == list(out_dtypes), \
        f"{op.name}({sample}): reference gives {[y.dtype.name for y in ys]}, inference says {out_dtypes}"
    for i in range(len(xs) - len(op.aux_names(p))):
        assert np.array_equal(xs[i], keep[i], equal_nan=xs[i].dtype.kind == "f"), f"{op.name} changed its input {i}"


def check_gradient(op, sample, rng, eps=1e-6, tol=1e-5):
    """The declared gradient against central differences of the reference, in float64, along one random direction.

    Returns False where there is nothing to check (no gradient, or one that says so, a loss operator, integer inputs,
    empty arrays)."""
    p = op.parse(sample.params)
    in_shapes, _ = complete(op, p, sample.shapes)
    if op.grad is None or op.loss or any(0 in s for s in in_shapes):
        return False
    xs = draw(op, sample, in_shapes, rng, "float64" if sample.dtype.startswith("float") else None)
    n_aux = len(op.aux_names(p))
    ys = run(op, p, [x.copy() for x in xs])
    visible = op.n_visible(p)
    dys = [rng.uniform(-1, 1, y.shape) if i < visible else None for i, y in enumerate(ys)]
    F = Eager()
    try:
        grads = op.grad(F, Node(op, p, [x.copy() for x in xs], ys), *dys)
    except NotImplementedError:             # a gradient that says that it has none of its own
        if not op.name.startswith("_backward"):
            raise
        return False
    grads = list(grads) if isinstance(grads, (tuple, list)) else [grads]
    assert len(grads) == len(xs) - n_aux, f"{op.name}: {len(grads)} gradients for {len(xs) - n_aux} inputs"
    steps = [rng.choice([-1.0, 1.0], x.shape) * rng.uniform(0.5, 1, x.shape) if g is not None and i not in sample.index
             else None for i, (x, g) in enumerate(zip(xs, grads))]
    if all(s is None for s in steps):
        return False
    for x, g, s in zip(xs, grads, steps):
        assert s is None or np.shape(g) == x.shape, f"{op.name}({sample}): a gradient has shape {np.shape(g)}, " \
                                                    f"its input {x.shape}"

    def value(scale):
        moved = [x.copy() if s is None else x + scale * eps * s for x, s in zip(xs, steps + [None] * n_aux)]
        out = run(op, p, moved)
        return sum(float((y.astype("float64") * d).sum()) for y, d in zip(out, dys) if d is not None)
    numeric = (value(1) - value(-1)) / (2 * eps)
    declared = sum(float((np.asarray(g, "float64") * s).sum()) for g, s in zip(grads, steps) if s is not None)
    scale = max(1.0, abs(numeric), abs(declared))
    assert abs(numeric - declared) <= tol * scale, \
        f"{op.name}({sample}): declared gradient {declared}, differences say {numeric}"
    return True


# Winograd's convolutions mix the outputs of a tile: a small one is as accurate as the largest.
BY_LARGEST = ("Convolution", "Deconvolution", "_conv_dgrad", "_conv_wgrad")


def check_kernel(op, sample, rng, dtype="float32", isa=None, threads=1, rtol=2e-5, atol=1e-5):
    """The C kernel against the reference on the same inputs (computed in float64 where the dtype is a float).

    Returns False where the record has no kernel for these parameters and dtype."""
    from mxlite._core import cpu, kernelcall, kernels
    p = op.parse(sample.params)
    name = op.cpu(p) if callable(op.cpu) else op.cpu
    if name is None:
        return False
    in_shapes, out_shapes = complete(op, p, sample.shapes)
    xs = draw(op, sample, in_shapes, rng, dtype)
    if xs and xs[0].dtype.name not in op.cpu_dtypes:
        return False
    capsule, packer = kernels.lookup(name)
    args = packer(op.launch(p, in_shapes, out_shapes)) if packer else b""
    wide = [x.astype("float64") if x.dtype.kind == "f" else x.copy() for x in xs]
    want = run(op, p, wide)
    _, out_dtypes = op.infer_dtype(p, [x.dtype.name for x in xs], [None] * len(out_shapes))
    got = [np.full(s, 99, d) for s, d in zip(out_shapes, out_dtypes)]
    itemsize = xs[0].itemsize if xs else got[0].itemsize
    work = op.workspace(p, in_shapes, out_shapes, itemsize, threads) if op.workspace else 0
    scalars = [getattr(p, k) for k in op.dynamic]
    level = cpu.get_isa()
    if isa is not None:
        cpu.set_isa(isa)
    try:
        rc = kernelcall.call(capsule, xs, got, args, scalars, work, seed=7, step=1, is_train=True, threads=threads)
    finally:
        cpu.set_isa(level)
    assert rc == 0, f"{op.name}({sample}): kernel returned {rc}"
    if op.name in BY_LARGEST and want[0].size:
        atol = atol * max(1, np.abs(want[0]).max())
    for g, w in zip(got, want):
        tol = dict(rtol=rtol, atol=atol) if g.dtype == np.float32 else dict(rtol=1e-9, atol=1e-10) \
            if g.dtype == np.float64 else dict(rtol=0, atol=0)
        np.testing.assert_allclose(g.astype("float64"), w.astype("float64"), **tol,
                                   err_msg=f"{op.name}({sample}) {dtype}")
    return True


def check_inplace(op, sample, rng):
    """Every in-place claim, proved by running the kernel with the output on top of the claimed input."""
    from mxlite._core import kernelcall, kernels
    p = op.parse(sample.params)
    name = op.cpu(p) if callable(op.cpu) else op.cpu
    claims = op.inplace(p) if callable(op.inplace) else op.inplace
    if name is None or not claims:
        return False
    in_shapes, out_shapes = complete(op, p, sample.shapes)
    xs = draw(op, sample, in_shapes, rng, "float32")
    if xs[0].dtype.name not in op.cpu_dtypes:
        return False
    capsule, packer = kernels.lookup(name)
    args = packer(op.launch(p, in_shapes, out_shapes)) if packer else b""
    _, out_dtypes = op.infer_dtype(p, [x.dtype.name for x in xs], [None] * len(out_shapes))
    work = op.workspace(p, in_shapes, out_shapes, xs[0].itemsize, 1) if op.workspace else 0
    scalars = [getattr(p, k) or 0 for k in op.dynamic]

    def run(inputs, outputs):
        rc = kernelcall.call(capsule, inputs, outputs, args, scalars, work, seed=7, step=1, is_train=True)
        assert rc == 0
    want = [np.zeros(s, d) for s, d in zip(out_shapes, out_dtypes)]
    run([x.copy() for x in xs], want)
    tried = False
    for out, sources in claims.items():
        for source in (sources,) if isinstance(sources, int) else sources:
            if source >= len(xs) or in_shapes[source] != out_shapes[out] or xs[source].dtype != want[out].dtype:
                continue
            inputs = [x.copy() for x in xs]
            outputs = [np.zeros_like(w) for w in want]
            outputs[out] = inputs[source]
            run(inputs, outputs)
            for w, o in zip(want, outputs):
                np.testing.assert_array_equal(w, o, err_msg=f"{op.name}({sample}): not the same in place of input "
                                                            f"{source}")
            tried = True
    return tried


def check_faces(mx, op, sample, rng):
    """``nd.op`` on arrays equals the bound ``sym.op``, before and after a round trip through JSON."""
    p = op.parse(sample.params)
    in_shapes, _ = complete(op, p, sample.shapes)
    xs = [mx.nd.array(x, dtype=x.dtype) for x in draw(op, sample, in_shapes, rng)]
    call = getattr(mx.nd, op.name) if not op.name.startswith("_") else getattr(mx.nd._internal, op.name)
    mx.random.seed(3)
    eager = call(*[x.copy() for x in xs], **sample.params)
    eager = eager if isinstance(eager, list) else [eager]
    n_aux = len(op.aux_names(p))
    names = [f"x{i}" for i in range(len(xs))]
    compose = getattr(mx.sym, op.name) if not op.name.startswith("_") else getattr(mx.sym._internal, op.name)
    net = compose(*[mx.sym.Variable(n) for n in names], name="node", **sample.params)
    again = mx.sym.load_json(net.tojson())
    assert again.tojson() == net.tojson()
    for s in (net, again):
        args = {n: x.copy() for n, x in zip(names[:len(xs) - n_aux], xs)}
        aux = {n: x.copy() for n, x in zip(names[len(xs) - n_aux:], xs[len(xs) - n_aux:])}
        mx.random.seed(3)
        outputs = s.bind(mx.cpu(), args, aux_states=aux).forward()
        assert len(outputs) == len(eager)
        for a, b in zip(eager, outputs):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a.asnumpy(), b.asnumpy())
