"""Convolution, Deconvolution, Pooling, UpSampling, Crop and the columns against MXNet: forward and every gradient, on
random geometries; symbols' texts; inference."""
import numpy as np
import pytest

import mxlite

# Run by both sides: a list of (operator, parameters, inputs) -> a list of [output, gradients...] or the error's class.
RUN = '''
result = []
for op, params, arrays in cases:
    names = ["x%d" % i for i in range(len(arrays))]
    try:
        net = getattr(mx.sym, op)(*[mx.sym.Variable(k) for k in names], name="op", **params)
        if len(net.list_outputs()) > 1:
            net = net[0]
        args = {k: mx.nd.array(a, dtype=a.dtype) for k, a in zip(names, arrays)}
        grads = {k: mx.nd.zeros(a.shape, dtype=a.dtype) for k, a in zip(names, arrays)}
        exe = net.bind(mx.cpu(), args, grads)
        y = exe.forward(is_train=True)[0]
        dy = np.cos(np.arange(y.size) + 0.3).reshape(y.shape).astype(arrays[0].dtype)
        exe.backward([mx.nd.array(dy, dtype=dy.dtype)])
        result.append([y.asnumpy()] + [grads[k].asnumpy() for k in names])
    except Exception as e:
        result.append([type(e).__name__, str(e)])
        try:
            mx.nd.waitall()                         # MXNet tells the same error again
        except Exception:
            pass
'''


def here(cases):
    """What RUN gives in mxlite."""
    names = {"mx": mxlite, "np": np, "cases": cases}
    exec(RUN, names)
    return names["result"]


class Draw:
    """Random choices of one case."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def one(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def each(self, n, low, high):
        return tuple(int(v) for v in self.rng.integers(low, high + 1, n))

    def array(self, shape, dtype="float32"):
        return self.rng.uniform(-1, 1, shape).astype(dtype)

    def given(self, **params):
        """Some of the parameters, the others are left to their defaults."""
        return {k: v for k, v in params.items() if self.rng.random() < 0.7}


def convolution(d, op="Convolution"):
    nd = 2 if op.endswith("v1") else d.one(1, 2, 2, 3)          # MXNet has no code for the first version's third axis
    kernel, group = d.each(nd, 1, 4), d.one(1, 1, 2, 3)
    p = d.given(stride=d.each(nd, 1, 3), dilate=d.each(nd, 1, 2), pad=d.each(nd, 0, 2), cudnn_off=True, workspace=64,
                layout={1: "NCW", 2: "NCHW", 3: "NCDHW"}[nd], cudnn_tune="off")
    if op.endswith("v1") and "stride" in p:
        p.pop("dilate", None)                   # MXNet's data gradient is wrong with both
    cin, per = group * d.one(1, 2, 3), d.one(1, 2, 5)
    size = tuple(k * max(p.get("dilate", (1,) * nd)) + int(n) for k, n in zip(kernel, d.each(nd, 0, 5)))
    p.update(kernel=kernel, num_filter=group * per, num_group=group, no_bias=d.one(True, False))
    xs = [d.array((d.one(1, 2), cin, *size)), d.array((group * per, cin // group, *kernel)), d.array(group * per)]
    return op, p, xs[:2] if p["no_bias"] else xs


def deconvolution(d):
    nd = d.one(1, 2, 2, 3)
    kernel, stride, group = d.each(nd, 1, 4), d.each(nd, 1, 3), d.one(1, 1, 2, 3)
    pad = tuple(min(q, k - 1) for q, k in zip(d.each(nd, 0, 1), kernel))
    p = d.given(stride=stride, pad=pad, cudnn_off=True, layout={1: "NCW", 2: "NCHW", 3: "NCDHW"}[nd])
    if "stride" in p:
        p.update(d.given(adj=tuple(min(s - 1, a) for s, a in zip(stride, d.each(nd, 0, 2)))))
    # float64 avoids oneDNN, which does not know target shapes; without it MXNet has no three axes, and adds up wrongly
    # with both stride and dilate
    dtype = "float32" if nd == 3 else d.one("float32", "float64")
    if nd < 3 and (dtype == "float32" or "stride" not in p):
        p.update(d.given(dilate=d.each(nd, 1, 2)))
    size = d.each(nd, 2, 5)
    if dtype == "float64" and "stride" in p and d.one(True, False):
        full = [s * (x - 1) + e * (k - 1) + 1 for s, x, e, k in zip(stride, size, p.get("dilate", (1,) * nd), kernel)]
        p["target_shape"] = tuple(max(1, f - (int(c) if s > 1 else 2 * int(c // 2)))
                                  for f, c, s in zip(full, d.each(nd, 0, 2), stride))
    cin, per = group * d.one(1, 2, 3), d.one(1, 2, 5)
    p.update(kernel=kernel, num_filter=group * per, num_group=group, no_bias=d.one(True, False))
    xs = [d.array((d.one(1, 2), cin, *size), dtype), d.array((cin, per, *kernel), dtype), d.array(group * per, dtype)]
    return "Deconvolution", p, xs[:2] if p["no_bias"] else xs


def pooling(d, op="Pooling"):
    nd = 2 if op.endswith("v1") else d.one(1, 2, 2, 3)
    kernel = d.each(nd, 1, 4)
    p = d.given(stride=d.each(nd, 1, 3), pad=tuple(int(d.rng.integers(k)) for k in kernel),
                pooling_convention=d.one("valid", "full"))
    p.update(kernel=kernel, pool_type=d.one("max", "avg", "sum"))
    size = tuple(k + int(n) for k, n in zip(kernel, d.each(nd, 0, 6)))
    shape = (d.one(1, 2), d.one(1, 3), *size)
    if not op.endswith("v1"):
        p.update(d.given(count_include_pad=d.one(True, False), cudnn_off=True))
        p["pool_type"] = d.one("max", "avg", "sum", "lp")
        if p["pool_type"] == "lp":
            p["p_value"] = d.one(1, 2, 3)
        if d.one(True, False):
            p["layout"] = {1: "NWC", 2: "NHWC", 3: "NDHWC"}[nd]
            shape = (shape[0], *size, shape[1])
    if d.one(True, False, False, False):
        p["global_pool"] = True
    dtype = d.one("float32", "float64")
    if p.get("pooling_convention") == "full" and p["pool_type"] == "avg":
        dtype = "float64"                       # oneDNN's gradient is wrong where a window sticks out
    x = d.array(shape, dtype)
    if p["pool_type"] == "lp":
        x = abs(x) + np.asarray(0.1, x.dtype)           # roots of sums near 0 amplify rounding
    return op, p, [x]


def upsampling(d):
    scale, c = d.one(1, 2, 3, 4), d.one(1, 2, 3)
    n, h, w = d.each(3, 1, 4)
    dtype = d.one("float32", "float64")
    if d.one(True, False):
        k = 2 * scale - scale % 2
        return "UpSampling", dict(scale=scale, sample_type="bilinear", num_filter=c), [
            d.array((n, c, h, w), dtype), d.array((c, 1, k, k), dtype)]
    mode = d.one("concat", "sum")
    shapes = [(n, c, h, w), (n, c if mode == "sum" else d.one(1, 2), h * scale, w * scale),
              (n, c if mode == "sum" else d.one(1, 2), h, w)][:d.one(1, 2, 3)]
    return "UpSampling", dict(scale=scale, sample_type="nearest", multi_input_mode=mode), [
        d.array(s, dtype) for s in shapes]


def crop(d):
    n, c, h, w = d.each(4, 1, 6)
    out = tuple(int(d.rng.integers(1, s + 1)) for s in (h, w))
    p = d.given(offset=tuple(int(d.rng.integers(s - o + 1)) for s, o in zip((h, w), out)))
    p.update(d.given(center_crop=True))
    x = d.array((n, c, h, w))
    return ("Crop", p, [x, d.array((1, 2, *out))]) if d.one(True, False) else ("Crop", dict(p, h_w=out), [x])


def columns(d):
    nd = 2                                      # MXNet infers for one and three axes, and cannot run them
    kernel = d.each(nd, 1, 3)
    p = d.given(stride=d.each(nd, 1, 3), dilate=d.each(nd, 1, 2), pad=d.each(nd, 0, 2))
    size = tuple(k * max(p.get("dilate", (1,))) + int(n) for k, n in zip(kernel, d.each(nd, 0, 5)))
    p["kernel"] = kernel
    n, c, dtype = d.one(1, 2), d.one(1, 3), d.one("float32", "float64")
    if d.one(True, False):
        return "im2col", p, [d.array((n, c, *size), dtype)]
    out = mxlite.nd.im2col(mxlite.nd.zeros((n, c, *size)), **p).shape
    return "col2im", dict(p, output_size=size), [d.array(out, dtype)]


FAMILIES = {"convolution": (convolution, 30), "convolution_v1": (lambda d: convolution(d, "Convolution_v1"), 8),
            "deconvolution": (deconvolution, 30), "pooling": (pooling, 50),
            "pooling_v1": (lambda d: pooling(d, "Pooling_v1"), 12), "upsampling": (upsampling, 14), "crop": (crop, 8),
            "columns": (columns, 12)}


@pytest.mark.parametrize("family", FAMILIES)
def test_random_calls(oracle, family):
    draw, n = FAMILIES[family]
    cases = [draw(Draw([i, sum(map(ord, family))])) for i in range(n)]
    for case, want, got in zip(cases, oracle.run(RUN, cases=cases), here(cases)):
        what = f"{case[0]} {case[1]} on {[(a.shape, a.dtype.name) for a in case[2]]}"
        assert not isinstance(want[0], str), f"{what}: MXNet says {want}"
        assert not isinstance(got[0], str), f"{what}: mxlite says {got}"
        for i, (a, b) in enumerate(zip(got, want, strict=True)):
            assert a.shape == b.shape and a.dtype == b.dtype, f"{what}: part {i}"
            # the first version of Pooling divides by a float32 number
            tol = 2e-5 if a.dtype == np.float32 else 1e-7 if family == "pooling_v1" else 1e-10
            np.testing.assert_allclose(a, b, rtol=tol, atol=tol * max(1, np.abs(b).max(initial=0)),
                                       err_msg=f"{what}: {'gradient ' + str(i - 1) if i else 'output'}")


TEXTS = '''
a, b, c = (mx.sym.Variable(k) for k in "abc")
nets = [
    mx.sym.Deconvolution(a, kernel=(3, 3), stride=(2, 2), adj=(1, 1), target_shape=(5, 5), num_filter=4, no_bias=False,
                         name="n"),
    mx.sym.Deconvolution(a, kernel=(3,), num_filter=4, name="n"),
    mx.sym.UpSampling(a, scale=2, sample_type="nearest", name="n"),
    mx.sym.UpSampling(a, b, c, scale=2, sample_type="nearest", multi_input_mode="sum", name="n"),
    mx.sym.UpSampling(a, scale=2, sample_type="bilinear", num_filter=3, name="n"),
    mx.sym.UpSampling(data=a, weight=b, scale=2, sample_type="bilinear", num_filter=3, num_args=2, name="n"),
    mx.sym.UpSampling(scale=2, sample_type="nearest", num_args=2, name="n"),
    mx.sym.UpSampling(arg1=b, arg0=a, scale=2, sample_type="nearest", name="n"),
    mx.sym.UpSampling(weight=b, scale=2, sample_type="bilinear", num_args=2, name="n"),
    mx.sym.Concat(a, num_args=2, name="n"), mx.sym.add_n(a, num_args=3, name="n"),
    mx.sym.Crop(a, h_w=(2, 2), name="n"), mx.sym.Crop(a, b, offset=(1, 0), name="n"),
    mx.sym.im2col(a, kernel=(2, 2), name="n"), mx.sym.col2im(a, kernel=(2, 2), output_size=(5, 5), name="n"),
    mx.sym.Pooling(a, kernel=(2, 2), name="n"), mx.sym.Pooling(a, global_pool=True, pool_type="avg", name="n"),
    mx.sym.Convolution(a, kernel=(2, 2), num_filter=3, layout="NHWC", name="n")]
result = [(n.list_arguments(), n.list_outputs(), n.tojson()) for n in nets]
'''

SHAPES = '''
a, b = (mx.sym.Variable(k) for k in "ab")
result = []
for op, n, params, shapes in cases:
    net = getattr(mx.sym, op)(*(a, b)[:n], name="n", **params)
    try:
        result.append(net.infer_shape_partial(**shapes))
    except mx.base.MXNetError:
        result.append("MXNetError")
'''
K = dict(kernel=(3, 3), num_filter=4)
NEAREST, BILINEAR = dict(scale=2, sample_type="nearest"), dict(scale=3, sample_type="bilinear", num_filter=2)
INFERRED = [
    ("Deconvolution", 1, K, dict(a=(1, 2, 5, 6))), ("Deconvolution", 1, K, dict(a=(0, 2, 0, 6))),
    ("Deconvolution", 1, dict(K, stride=(2, 2), target_shape=(10, 11)), dict(a=(1, 2, 5, 6))),
    ("Deconvolution", 1, dict(K, stride=(2, 2), target_shape=(10, 11), pad=(7, 7), adj=(1, 1)), dict(a=(1, 2, 5, 6))),
    ("Deconvolution", 1, dict(K, stride=(2, 2), target_shape=(0, 0)), dict(a=(1, 2, 5, 6))),
    ("Deconvolution", 1, dict(K, stride=(2, 2), target_shape=(50, 12)), dict(a=(1, 2, 5, 6))),
    ("Deconvolution", 1, dict(K, stride=(2, 2), adj=(2, 1)), dict(a=(1, 2, 5, 6))),
    ("Deconvolution", 1, dict(K, stride=(3, 3), adj=(2, 0)), dict(a=(1, 2, 5, 6))),
    ("Deconvolution", 1, dict(K, pad=(6, 6)), dict(a=(1, 2, 5, 6))),
    ("Deconvolution", 1, dict(K, num_group=3), dict(a=(1, 3, 5, 6))),
    ("Deconvolution", 1, dict(K, num_group=2, no_bias=False), dict(a=(1, 6, 5, 6))),
    ("Deconvolution", 1, dict(K, layout="NHWC"), dict(a=(1, 5, 6, 2))),
    ("Deconvolution", 1, dict(kernel=(3, 3, 3), num_filter=2, stride=(2, 2, 2), adj=(1, 1, 1)),
     dict(a=(1, 2, 5, 4, 3))),
    ("UpSampling", 1, NEAREST, dict(a=(1, 2, 3, 4))), ("UpSampling", 1, NEAREST, dict(a=(2, 3, 4))),
    ("UpSampling", 2, NEAREST, dict(a=(1, 2, 6, 8), b=(1, 5, 3, 4))),
    ("UpSampling", 2, NEAREST, dict(a=(1, 2, 6, 8), b=(1, 5, 5, 3))),
    ("UpSampling", 2, dict(NEAREST, multi_input_mode="sum"), dict(a=(1, 2, 3, 4), b=(1, 5, 3, 4))),
    ("UpSampling", 2, BILINEAR, dict(a=(1, 2, 3, 4))), ("UpSampling", 1, BILINEAR, dict(a=(1, 2, 3, 4))),
    ("Crop", 1, dict(h_w=(2, 3)), dict(a=(1, 2, 5, 6))), ("Crop", 1, {}, dict(a=(1, 2, 5, 6))),
    ("Crop", 1, dict(h_w=(9, 3)), dict(a=(1, 2, 5, 6))), ("Crop", 1, dict(h_w=(2, 3)), dict(a=(2, 5, 6))),
    ("Crop", 2, dict(h_w=(1, 1)), dict(a=(1, 2, 5, 6), b=(3, 4, 2, 2))),
    ("im2col", 1, dict(kernel=(3, 2), stride=(2, 1), dilate=(2, 3), pad=(1, 2)), dict(a=(2, 3, 7, 8))),
    ("im2col", 1, dict(kernel=(3, 2)), dict(a=(2, 3, 2, 8))),
    ("col2im", 1, dict(kernel=(3, 2), output_size=(6, 7)), dict(a=(2, 18, 24))),
    ("col2im", 1, dict(kernel=(3, 2), output_size=(6, 7)), dict(a=(2, 18, 30)))]


def test_texts(oracle):
    names = {"mx": mxlite}
    exec(TEXTS, names)
    assert names["result"] == oracle.run(TEXTS)


def test_inference(oracle):
    names = {"mx": mxlite, "cases": INFERRED}
    exec(SHAPES, names)
    for case, got, want in zip(INFERRED, names["result"], oracle.run(SHAPES, cases=INFERRED), strict=True):
        assert got == want, case
