"""Operators on blocks, sequences, running sums, bins, indices and parts of arrays, and densities, against MXNet over
random cases: forward and gradient through a bound graph, dtypes, and what is refused."""
import numpy as np
import pytest

import mxlite as mx

BIND = """
def bound(mx, text, inputs):
    \"\"\"Outputs of the symbol, then gradients by its floating-point inputs, under head gradients 1, 2, 3, ...\"\"\"
    net = eval(text, {"sym": mx.sym, **{k: mx.sym.Variable(k) for k in inputs}})
    args = {k: mx.nd.array(v, dtype=v.dtype) for k, v in inputs.items()}
    grads = {k: mx.nd.zeros(v.shape, dtype=v.dtype) for k, v in args.items() if inputs[k].dtype.kind == "f"}
    req = {k: "write" if k in grads else "null" for k in args}
    executor = net.bind(mx.cpu(), args, args_grad=grads, grad_req=req if grads else "null")
    outputs = executor.forward(is_train=bool(grads))
    if grads:
        executor.backward([mx.nd.array(np.arange(1, o.size + 1).reshape(o.shape), dtype=o.dtype) for o in outputs])
    return [o.asnumpy() for o in outputs] + [grads[k].asnumpy() for k in sorted(grads)]
"""
CALL = """
def called(mx, text, inputs):
    out = eval(text, {"nd": mx.nd, "sym": mx.sym, "mx": mx, **{k: mx.nd.array(v, dtype=v.dtype)
                                                                for k, v in inputs.items()}})
    return [o.asnumpy() for o in (out if isinstance(out, list) else [out])]
"""
SOURCE = """
def every(run, mx, cases):
    out = []
    for text, inputs in cases:
        try:
            out.append(run(mx, text, inputs))
        except Exception as e:
            out.append(type(e).__name__)
    return out
"""
names = {"np": np}
exec(BIND + CALL + SOURCE, names)


def compare(oracle, run, cases, refused=False):
    """Every case on both sides: values and dtypes, or what is raised (alone where `refused`)."""
    ours = names["every"](names[run], mx, cases)
    theirs = oracle.run(BIND + CALL + SOURCE + f"result = every({run}, mx, cases)", cases=cases)
    wrong = []
    for (text, inputs), a, b in zip(cases, ours, theirs):
        told = f"{text} on { {k: (v.shape, v.dtype.name) for k, v in inputs.items()} }"
        if isinstance(a, str) or isinstance(b, str):
            if not (isinstance(a, str) and isinstance(b, str) and refused):
                wrong.append(f"{told}: {a} where MXNet has {b}")
            continue
        if refused:
            wrong.append(f"{told}: is not refused")
        for i, (x, y) in enumerate(zip(a, b)):
            if (x.shape, x.dtype) != (y.shape, y.dtype) or not np.allclose(x, y, rtol=2e-5, atol=1e-5, equal_nan=True):
                wrong.append(f"{told}: output {i} is\n{x} where MXNet has\n{y}")
        if len(a) != len(b):
            wrong.append(f"{told}: {len(a)} results where MXNet has {len(b)}")
    assert not wrong, "\n".join(wrong[:10])


def floats(rng, *shape, low=-2.0, high=2.0):
    return rng.uniform(low, high, shape).astype("float32")


def whole(rng, high, *shape, dtype="float32"):
    return rng.integers(0, high, shape).astype(dtype)


def block_cases(rng):
    for _ in range(12):
        b, n, c, h, w = (int(rng.integers(1, 4)) for _ in range(5))
        yield f"sym.depth_to_space(a, block_size={b})", {"a": floats(rng, n, c * b * b, h, w)}
        yield f"sym.space_to_depth(a, block_size={b})", {"a": floats(rng, n, c, h * b, w * b)}
    for _ in range(24):
        shape = rng.integers(1, 5, rng.integers(1, 5)).tolist()
        k, one, two = int(rng.integers(-2, 3)), 0, 1
        if len(shape) > 1:
            one, two = (int(a) - len(shape) * int(rng.integers(2)) for a in rng.permutation(len(shape))[:2])
            k = int(rng.integers(-shape[one] + 1, shape[two]))
        yield f"sym.diag(a, k={k}, axis1={one}, axis2={two})", {"a": floats(rng, *shape)}


def sum_cases(rng):
    for _ in range(20):
        shape = rng.integers(1, 5, rng.integers(1, 4)).tolist()
        axis = None if rng.random() < 0.3 else int(rng.integers(len(shape)))
        dtype = [None, "float64", "float32"][rng.integers(3)]
        yield f"sym.cumsum(a, axis={axis}" + (f", dtype={dtype!r})" if dtype else ")"), {"a": floats(rng, *shape)}


def sequence_cases(rng):
    for _ in range(30):
        steps, batch = int(rng.integers(1, 6)), int(rng.integers(1, 5))
        rest = rng.integers(1, 4, rng.integers(0, 3)).tolist()
        axis = int(rng.integers(2))
        shape = [batch, steps, *rest] if axis else [steps, batch, *rest]
        length = rng.integers(1, steps + 1, batch).astype(["float32", "int32"][rng.integers(2)])
        x = floats(rng, *shape)
        yield f"sym.SequenceMask(a, n, use_sequence_length=True, value={rng.normal():.3f}, axis={axis})", {
            "a": x, "n": length}
        yield f"sym.SequenceLast(a, n, use_sequence_length=True, axis={axis})", {"a": x, "n": length}
        yield f"sym.SequenceLast(a, axis={axis})", {"a": x}
        if not axis:
            yield "sym.SequenceReverse(a, n, use_sequence_length=True)", {"a": x, "n": length}
            yield "sym.SequenceReverse(a)", {"a": x}


def density_cases(rng):
    for _ in range(3):
        for log in (False, True):
            for kind, low, high in (("uniform", (-1, 0), (1, 2)), ("normal", (-1, 1), (0.5, 2)),
                                    ("gamma", (0.5, 3), (0.5, 2)), ("exponential", (0.5, 2), None),
                                    ("poisson", (0.5, 4), None), ("negative_binomial", (0.5, 4), (0.2, 0.8)),
                                    ("generalized_negative_binomial", (0.5, 4), (0.2, 2))):
                head = rng.integers(1, 4, rng.integers(1, 3)).tolist()
                shape = head + rng.integers(1, 4, rng.integers(0, 2)).tolist()
                discrete = "poisson" in kind or "binomial" in kind
                inputs = {"x": whole(rng, 6, *shape) if discrete else floats(rng, *shape, low=0.1),
                          "p": floats(rng, *head, low=low[0], high=low[1])}
                if high:
                    inputs["q"] = floats(rng, *head, low=high[0], high=high[1])
                yield f"sym.random_pdf_{kind}({', '.join(inputs)}, is_log={log})", inputs
            x = rng.dirichlet([1, 2, 3], (2, 4)).astype("float32")
            yield f"sym.random_pdf_dirichlet(x, p, is_log={log})", {"x": x, "p": floats(rng, 2, 3, low=0.5, high=3)}


def linalg_cases(rng):
    for batch in ((), (2,), (2, 3)):
        a, b = floats(rng, *batch, 3, 4), floats(rng, *batch, 4, 3)
        q = floats(rng, *batch, 3, 3)
        positive = (q @ q.swapaxes(-1, -2) + 2 * np.eye(3)).astype("float32")
        low = np.linalg.cholesky(positive).astype("float32")
        for t in (False, True):
            x, y = (a.swapaxes(-1, -2).copy() if t else a), (b if t else b.swapaxes(-1, -2).copy())
            yield f"sym.linalg.gemm2(a, b, transpose_a={t}, transpose_b={not t}, alpha=0.5)", {"a": x, "b": y}
            yield f"sym.linalg.gemm(a, b, c, transpose_a={t}, transpose_b={not t}, alpha=2, beta=3)", {
                "a": x, "b": y, "c": q}
            yield f"sym.linalg.syrk(a, transpose={t}, alpha=0.3)", {"a": a}
            for right in (False, True):
                for lower in (False, True):
                    rest = f"transpose={t}, rightside={right}, lower={lower}, alpha=1.5"
                    side = {"a": low if lower else low.swapaxes(-1, -2).copy(), "b": b if right else a}
                    yield f"sym.linalg.trmm(a, b, {rest})", side
                    yield f"sym.linalg.trsm(a, b, {rest})", side
        for name in ("potrf", "inverse", "det", "sumlogdiag", "syevd"):
            yield f"sym.linalg.{name}(a)", {"a": positive}
        yield "sym.linalg.potri(a)", {"a": low}
        yield "sym.linalg.gelqf(a)", {"a": a}
        yield "sym.linalg.slogdet(a)", {"a": q}
        for offset in (-1, 0, 2):
            yield f"sym.linalg.extractdiag(a, offset={offset})", {"a": q}
            yield f"sym.linalg.makediag(a, offset={offset})", {"a": a}
            for lower in (False, True):
                yield f"sym.linalg.extracttrian(a, offset={offset}, lower={lower})", {"a": floats(rng, *batch, 4, 4)}
                yield f"sym.linalg.maketrian(a, offset={offset}, lower={lower})", {"a": floats(rng, *batch, 6)}
    yield "sym.linalg.gemm2(a, b, axis=0)", {"a": floats(rng, 2, 3, 4), "b": floats(rng, 4, 3, 5)}
    yield "sym.linalg.det(a)", {"a": np.ones((2, 2), "float32")}


def other_cases(rng):
    a, b = floats(rng, 3, 4), floats(rng, 3, 4)
    yield "sym.amp_cast(a, dtype='float16')", {"a": a}
    yield "sym.amp_cast(a, dtype='float32')", {"a": whole(rng, 9, 3, dtype="int32")}
    yield "sym.amp_multicast(a, b, num_outputs=2)", {"a": a, "b": b}
    yield "sym._internal._identity_with_attr_like_rhs(a, b)", {"a": a, "b": b}
    yield "sym.shape_array(a)", {"a": a}
    yield "sym.size_array(a)", {"a": a}
    yield "sym.unravel_index(a, shape=(3, 4, 5))", {"a": whole(rng, 60, 7)}
    yield "sym.ravel_multi_index(a, shape=(3, 4, 5))", {"a": whole(rng, 3, 3, 7)}
    for k in (0, 1, -1, 2, 3):
        for kind in ("value", "both"):
            yield f"sym.topk(a, k={k}, ret_typ={kind!r}, axis={int(rng.integers(-2, 2))})", {"a": a}
    for mode in ("clip", "wrap"):
        at = rng.integers(-6, 9, (2, 3)).astype("float32")
        yield f"sym.take(a, i, axis=1, mode={mode!r})", {"a": a, "i": at}
        yield f"sym.pick(a, i, axis=0, mode={mode!r})", {"a": a, "i": at.ravel()[:4]}


@pytest.mark.parametrize("made", [block_cases, sum_cases, sequence_cases, density_cases, linalg_cases,
                                  other_cases])
def test_forward_and_gradient(oracle, made):
    compare(oracle, "bound", list(made(np.random.default_rng(len(made.__name__)))))


def call_cases(rng):
    a = floats(rng, 4, 5)
    for dtype in ("float32", "float64", "int32", "int64", "int8", "uint8", "float16"):
        inputs = {"a": whole(rng, 9, 4, 5, dtype=dtype), "n": np.array([1, 4, 2, 3, 0], "float32"),
                  "z": np.zeros((2, 2), dtype), "i": np.array([[1, 3], [4, 0]], "float32")}
        for text in ("nd.cumsum(a)", "nd.cumsum(a, axis=1)", "nd.cumsum(a, axis=0, dtype='int32')", "nd.diag(a, k=-1)",
                     "nd.SequenceReverse(a)", "nd.SequenceMask(a, n, use_sequence_length=True, value=7.9)",
                     "nd.depth_to_space(a.reshape((1, 20, 1, 1)), 2)", "nd.shape_array(a)",
                     "nd._internal._slice_assign(a, z, begin=(1, None), end=(3, 0), step=(1, -2))",
                     "nd._internal._slice_assign_scalar(a, scalar=3.7, begin=(1, None), end=(None, 4), step=(2, 3))",
                     "nd.batch_take(a, nd.array([0, 4, 2, 1], dtype='int32'))", "nd.gather_nd(a, i)",
                     "nd.tile(a, reps=(2, 1, 2))", "nd.repeat(a, repeats=2, axis=1)", "nd.reverse(a, axis=(0, 1))"):
            yield text, inputs
        if dtype != "float16":
            mixed = rng.permutation(20).reshape(4, 5).astype(dtype)
            yield "nd.topk(a, k=2, ret_typ='both', dtype='int32')", {"a": mixed}
            yield "nd.one_hot(a, 5, on_value=3, off_value=-1, dtype='int32')", inputs
    for bins, low, high in ((1, -1, 1), (4, -2, 2), (7, -0.5, 1.5), (3, 0, 0)):
        yield f"nd.histogram(a, {bins}, range=({low}, {high}))", {"a": a}
    yield "nd.histogram(a, b)", {"a": a, "b": np.array([-1.5, -0.2, 0.3, 1], "float32")}
    yield "nd.histogram(a, b)", {"a": whole(rng, 9, 50, dtype="int32"), "b": np.array([1, 3, 3, 8], "int32")}
    yield "nd.histogram(a, 4, range=(1, 8))", {"a": whole(rng, 9, 50, dtype="int32")}
    yield "nd.khatri_rao(a, b)", {"a": a, "b": floats(rng, 2, 5)}
    yield "nd.khatri_rao(a, b, a)", {"a": a, "b": floats(rng, 2, 5)}
    yield "nd.fill_element_0index(a, b, i)", {"a": a, "b": floats(rng, 4), "i": np.array([0, 4, 2, 9], "float32")}
    yield "nd.onehot_encode(i, nd.zeros((3, 4)))", {"i": np.array([1, 0, 7], "float32")}
    yield "nd._internal._scatter_set_nd(a, b, i, shape=(4, 5), out=a)", {
        "a": a, "b": floats(rng, 3), "i": np.array([[0, 1, 3], [4, 2, 0]], "float32")}
    yield "nd.all_finite(a)", {"a": a}
    yield "nd.all_finite(a)", {"a": np.array([1, np.inf], "float32")}
    yield "nd.multi_all_finite(a, b, num_arrays=2)", {"a": a, "b": np.array([np.nan], "float32")}
    yield "nd.multi_sum_sq(a, b, num_arrays=2)", {"a": a, "b": a[0]}
    yield "nd.unravel_index(a, shape=(-1, 4))", {"a": np.array([1, 6, 80, -5], "float32")}
    yield "nd.ravel_multi_index(a, shape=(-1, 4))", {"a": np.array([[1, 6], [2, 9]], "int64")}
    for text in ("nd.split_v2(a, 2)", "nd.split_v2(a, (1, 1), axis=1)", "nd.split_v2(a, 5, axis=1, squeeze_axis=True)",
                 "nd.moveaxis(a, 0, -1)", "nd.moveaxis(a, (0, 1), (1, 0))", "nd.concatenate([a, a], axis=1)",
                 "nd.eye(3, 4, -1)", "nd.linspace(0, 1, 7, endpoint=False)", "nd.linspace(3, 9, 4, dtype='int32')",
                 "nd.full((2, 3), 2.5, dtype='int32')", "nd.arange(1, 9, 2, repeat=2)"):
        yield text, {"a": a}


def update_cases(rng):
    def some(*shape, dtype="float32", low=0.1):
        return rng.uniform(low, 1, shape).astype(dtype)
    for half in (False, True):
        kind, mp = ("float16", "mp_") if half else ("float32", "")
        for mom in (False, True):
            for before in (False, True):
                inputs = {}
                for i, shape in enumerate(((2, 3), (4,))):
                    inputs.update({f"w{i}": some(*shape, dtype=kind), f"g{i}": some(*shape, dtype=kind, low=-1)})
                    inputs.update({f"m{i}": some(*shape)} if mom else {})
                    inputs.update({f"c{i}": inputs[f"w{i}"].astype("float32")} if half else {})
                names = ", ".join(inputs)
                inputs.update(lr=np.array([0.1, 0.2], "float32"), wd=np.array([0.0, 0.1], "float32"))
                rates = ", lr, wd" if before else ", lrs=(0.1, 0.2), wds=(0.0, 0.1)"
                name = "preloaded_" * before + "multi_" + mp + "sgd_" + "mom_" * mom + "update"
                yield (f"[nd.{name}({names}{rates}, {'momentum=0.9, ' * mom}rescale_grad=0.5, clip_gradient=0.3, "
                       f"num_weights=2, out=[w0, w1]), {names}][1:]"), inputs
        state = {"w": some(3, 2, dtype=kind), "g": some(3, 2, dtype=kind, low=-1), "m": some(3, 2), "v": some(3, 2)}
        state.update({"c": state["w"].astype("float32")} if half else {})
        names, step = ", ".join(state), dict(state, s=np.array([0.5], "float32"), n=np.array([np.nan], "float32"))
        for t, more in ((1, ""), (3, ", clip_gradient=0.25"), (2, ", bias_correction=False, beta1=0.5")):
            yield (f"[nd.{mp}lamb_update_phase1({names}, t={t}, wd=0.1, rescale_grad=0.5{more}), {names}]"), step
        for scale in "sn":
            # Without the gradient, which MXNet scales in place.
            yield (f"[nd._internal._{mp}adamw_update({names}, {scale}, lr=0.1, eta=0.5, wd=0.1, clip_gradient=0.25, "
                   f"out=w), {names.replace('g, ', '')}][1:]"), step
        many = {k + str(i): v for i in range(2) for k, v in state.items()}
        names, many = ", ".join(many), dict(many, s=step["s"], n=step["n"])
        for scale in "sn":
            yield (f"[nd._internal._multi_{mp}adamw_update({names}, {scale}, lrs=(0.1, 0.2), wds=(0.0, 0.1), "
                   f"etas=(0.5, 2), clip_gradient=0.25, num_weights=2, out=[w0, w1]), {names}][1:]"), many
        for more in ("", ", bias_correction=False, lower_bound=0.5, upper_bound=1", ", clip_gradient=0.25"):
            yield (f"[nd._internal._multi_{mp}lamb_update({names}, learning_rates=(0.1, 0.2), wds=(0.0, 0.1), "
                   f"step_count=(1, 3), num_tensors=2{more}, out=[w0, w1]), {names}][1:]"), many
    for r1, r2, more in ((2, 3, ""), (0, 3, ""), (2, 0, ""), (2, 3, ", lower_bound=2.5"), (2, 3, ", upper_bound=1.5")):
        yield f"nd.lamb_update_phase2(w, g, a, b, lr=0.1{more})", {
            "w": some(3, 2), "g": some(3, 2), "a": np.array([r1], "float32"), "b": np.array([r2], "float32")}
    yield "nd.multi_lars(a, b, c, d, eta=0.01, eps=0.001, rescale_grad=0.5)", {
        "a": some(3), "b": np.array([4, 0, 1], "float32"), "c": np.array([1, 2, 0], "float32"), "d": some(3)}


def test_updates(oracle):
    """New weights and every state that a step writes."""
    compare(oracle, "called", list(update_cases(np.random.default_rng(6))))


def test_calls(oracle):
    compare(oracle, "called", list(call_cases(np.random.default_rng(5))))


def test_refused(oracle):
    """What MXNet refuses is refused here, before anything runs."""
    a, v = np.ones((3, 4), "float32"), np.ones(3, "float32")
    compare(oracle, "called", [(text, {"a": a, "v": v}) for text in (
        "nd.depth_to_space(a, 2)", "nd.depth_to_space(a.reshape((1, 3, 2, 2)), 2)", "nd.space_to_depth(a, 2)",
        "nd.depth_to_space(a.reshape((1, 12, 1, 1)), 0)", "nd.diag(a, k=5)", "nd.diag(a, axis1=1, axis2=1)",
        "nd.diag(a, axis1=0, axis2=2)", "nd.cumsum(a, axis=2)", "nd.SequenceMask(v)", "nd.SequenceLast(v)",
        "nd.SequenceMask(a, v, use_sequence_length=True)", "nd.SequenceMask(a, v, axis=2)",
        "nd.SequenceReverse(a, axis=1)", "nd.SequenceMask(a, v)", "nd.SequenceLast(a, use_sequence_length=True)",
        "nd.ravel_multi_index(v, shape=(3, 4))", "nd.ravel_multi_index(a, shape=(3, 4))", "nd.unravel_index(v)",
        "nd.histogram(a, 2.5)", "nd.histogram(a, v[:1])", "nd._internal._histogram(a, bin_cnt=3)",
        "nd._internal._histogram(a, bin_cnt=3, range=(2, 1))", "nd._internal._histogram(a, bin_cnt=3, range=(2,))",
        "sym.histogram(sym.Variable('a'), 3)", "nd.khatri_rao(a, v)", "nd.khatri_rao(a, a[:, :2])",
        "nd.fill_element_0index(a, v, v[:2])", "nd.onehot_encode(v, a[:2])", "nd.all_finite(a.astype('int32'))",
        "nd.multi_sum_sq(a.astype('int32'), num_arrays=1)", "nd.multi_all_finite(a, a)",
        "nd._internal._identity_with_attr_like_rhs(a, v)", "nd.random_pdf_normal(a, v[:2], v[:2])",
        "nd.random_pdf_normal(v, v, v.astype('float64'))", "nd.split_v2(a, 2)", "nd.split_v2(a, 'x')",
        "nd.moveaxis(a, 2, 0)", "nd.moveaxis(a, (0, 1), 0)", "nd.concatenate([])", "nd.random.uniform(2, 1)",
        "nd.random.gamma(-1, 1)", "nd.random.uniform(v, 1)", "nd.random.normal(v, a)", "nd.random.poisson(-1)",
        "nd.linalg.potrf(a)", "nd.linalg.potrf(-nd.eye(2))", "nd.linalg.inverse(nd.zeros((2, 2)))",
        "nd.linalg.gemm2(a, a)", "nd.linalg.gemm2(v, a)", "nd.linalg.gemm2(a, a, transpose_b=True, axis=-1)",
        "nd.linalg.gemm2(a.astype('int32'), a.astype('int32'), transpose_b=True)", "nd.linalg.gelqf(nd.ones((3, 2)))",
        "nd.linalg.det(a)", "nd.linalg.extractdiag(a)", "nd.linalg.extractdiag(nd.eye(3), offset=3)",
        "nd.linalg.maketrian(nd.ones((4,)))", "nd.linalg.sumlogdiag(a)", "nd.linalg.trsm(a, a)",
        "nd.multi_sgd_update(a, a, lrs=(0.1,), wds=(0.1,), num_weights=2)",
        "nd.random.multinomial(v.astype('int32'))", "nd.random.randint(3, 1)", "mx.random.seed('x')")], refused=True)
