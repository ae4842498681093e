"""Deconvolution, UpSampling, Crop and the columns of a convolution: literal values, any geometry at every level,
channels-last and half precision, second derivatives, and what is refused."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mxlite as mx
from mxlite.ops.record import RECORDS

from .kernel_calls import LEVELS, run_kernel
from .reference import run

DECONV, UP, IM2COL, COL2IM = (RECORDS[k] for k in ("Deconvolution", "UpSampling", "im2col", "col2im"))


def check(op, arrays, level, **params):
    """The kernel at that level, on one thread and on two, against the reference in float64."""
    want = run(op, op.parse(params), [a.astype("f8") for a in arrays])[0]
    got = [run_kernel(op, arrays, level, t, **params)[0] for t in (1, 2)]
    tol = 1e-5 if arrays[0].dtype == np.float32 else 1e-12
    np.testing.assert_allclose(got[0], want, rtol=0, atol=tol * max(1, np.abs(want).max(initial=0)))
    assert np.array_equal(*got), "depends on the number of threads"


def numbers(shape, dtype="f4", seed=5):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(dtype)


@st.composite
def deconvolution(draw):
    nd = draw(st.sampled_from([1, 2, 2, 3]))

    def each(a, b):
        return tuple(draw(st.integers(a, b)) for _ in range(nd))
    kernel, stride, dilate, size = each(1, 4), each(1, 3), each(1, 3), each(1, 6)
    whole = [s * (x - 1) + d * (k - 1) + 1 for s, x, d, k in zip(stride, size, dilate, kernel)]
    params = dict(kernel=kernel, stride=stride, dilate=dilate, no_bias=False,
                  adj=tuple(draw(st.integers(0, s - 1)) for s in stride),
                  pad=tuple(draw(st.integers(0, (w - 1) // 2)) for w in whole))
    if draw(st.booleans()):
        params["target_shape"] = tuple(w - draw(st.integers(0, w - 1)) // 2 * 2 for w in whole)
    groups, per = draw(st.integers(1, 3)), draw(st.sampled_from([1, 2, 3, 9, 20]))
    many = draw(st.sampled_from([1, 2, 4, 8, 17]))
    return (draw(st.integers(1, 3)), groups * per, *size), dict(params, num_filter=groups * many, num_group=groups)


def three(x_shape, params, dtype="f4"):
    """Data, weight and bias of a deconvolution."""
    many = params["num_filter"] // params.get("num_group", 1)
    return [numbers(x_shape, dtype), numbers((x_shape[1], many, *params["kernel"]), dtype, 6),
            numbers(params["num_filter"], dtype, 7)]


@settings(max_examples=100, deadline=None)
@given(case=deconvolution(), level=st.sampled_from(LEVELS), dtype=st.sampled_from(["f4", "f8"]))
def test_any_deconvolution(case, level, dtype):
    shape, params = case
    check(DECONV, three(shape, params, dtype), level, **params)


@settings(max_examples=60, deadline=None)
@given(case=deconvolution())
def test_is_the_transpose_of_convolution(case):
    """<deconvolution(x), y> = <x, convolution(y)>, with the pad that a target shape stands for."""
    shape, params = case
    x, w, _ = three(shape, params, "f8")
    params = dict(params, no_bias=True)
    y = run(DECONV, DECONV.parse(params), [x, w])[0]
    other = numbers(y.shape, "f8", 9)
    pad = params["pad"]
    if "target_shape" in params:
        pad = tuple((s * (n - 1) + d * (k - 1) + 1 - t + 1) // 2 for s, n, d, k, t in zip(
            params["stride"], shape[2:], params["dilate"], params["kernel"], params["target_shape"]))
    conv = RECORDS["Convolution"]
    p = conv.parse(dict(kernel=params["kernel"], stride=params["stride"], dilate=params["dilate"], pad=pad,
                        num_filter=shape[1], num_group=params["num_group"], no_bias=True))
    back = run(conv, p, [other, w])[0]
    np.testing.assert_allclose((y * other).sum(), (x * back).sum(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("shape,params", [
    ((5, 40, 9, 9), dict(kernel=(4, 4), stride=(2, 2), pad=(1, 1), num_filter=33)),
    ((2, 70, 14, 15), dict(kernel=(3, 3), pad=(1, 1), num_filter=20)),
    ((2, 21, 12, 13), dict(kernel=(4, 4), stride=(2, 2), pad=(1, 1), num_filter=21, num_group=21)),
    ((3, 50, 8, 8), dict(kernel=(2, 2), stride=(3, 3), num_filter=3)),
    ((7, 40, 30, 31), dict(kernel=(4, 4), stride=(2, 2), pad=(1, 1), num_filter=8, num_group=2)),
    ((2, 20, 120, 130), dict(kernel=(3, 3), num_filter=3)),
    ((4, 64, 6, 7), dict(kernel=(1, 1), num_filter=40)), ((2, 8, 300), dict(kernel=(9,), stride=(4,), num_filter=6))])
def test_layers(shape, params, level):
    check(DECONV, three(shape, params), level, no_bias=False, **params)


def test_literal():
    x, w = np.array([[[1, 2]]], "f4"), np.array([[[1, 10, 100]]], "f4")
    y = run_kernel(DECONV, [x, w], kernel=(3,), num_filter=1)[0]
    assert y.ravel().tolist() == [1, 12, 120, 200]
    y = run_kernel(DECONV, [x, w, np.array([5], "f4")], kernel=(3,), stride=(4,), adj=(2,), num_filter=1,
                   no_bias=False)[0]
    assert y.ravel().tolist() == [6, 15, 105, 5, 7, 25, 205, 5, 5]     # between and behind windows: the bias
    y = run_kernel(DECONV, [x, w], kernel=(3,), stride=(2,), target_shape=(4,), num_filter=1)[0]
    assert y.ravel().tolist() == [10, 102, 20, 200]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("cin,many", [(1, 1), (20, 20)])
def test_huge_steps_cost_nothing(cin, many, level):
    """Work goes by elements, not by the stride: this is over at once or never."""
    far = 1 << 30
    x, w = np.ones((1, cin, 1), "f4"), np.ones((cin, many, 2), "f4")
    y = run_kernel(DECONV, [x, w], level, kernel=(2,), stride=(far,), dilate=(3,), num_filter=many)[0]
    assert y.shape == (1, many, 4) and y[0, 0].tolist() == [cin, 0, 0, cin]
    for name in ("stride", "dilate", "pad", "kernel"):
        with pytest.raises(ValueError, match="at most"):
            p = DECONV.parse({"kernel": (2,), "num_filter": 1, name: (2 * far,)})
            DECONV.infer(p, [(1, 1, 1), None], [None])


@pytest.mark.parametrize("params", [
    dict(kernel=(3, 2), stride=(2, 3), adj=(1, 2), pad=(1, 0), num_group=2, num_filter=4),
    dict(kernel=(2, 2, 2), stride=(1, 2, 2), num_filter=3), dict(kernel=(4, 4), stride=(2, 2), target_shape=(9, 7),
                                                                 num_filter=2)])
def test_channels_last(params):
    nd = len(params["kernel"])
    last = {2: "NHWC", 3: "NDHWC"}[nd]
    params = dict(params, no_bias=False)
    x, w, b = (mx.nd.array(a) for a in three((2, 4, *(4, 3, 2)[:nd]), params))
    want = mx.nd.Deconvolution(x, w, b, **params).asnumpy()
    x, w = (mx.nd.array(np.moveaxis(a.asnumpy(), 1, -1)) for a in (x, w))
    got = mx.nd.Deconvolution(x, w, b, layout=last, **params).asnumpy()
    np.testing.assert_allclose(np.moveaxis(got, -1, 1), want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("op,params", [
    ("Convolution", dict(kernel=(3, 2), stride=(2, 1), dilate=(1, 2), pad=(1, 0), num_group=2, num_filter=6)),
    ("Convolution", dict(kernel=(2, 1, 2), stride=(1, 2, 1), num_filter=3)),
    ("Deconvolution", dict(kernel=(3, 2), stride=(2, 3), adj=(1, 2), num_group=2, num_filter=4, no_bias=False))])
def test_gradients_channels_last(op, params):
    """Output and gradients are those of channels first, with the axes moved."""
    nd, groups = len(params["kernel"]), params.get("num_group", 1)
    lead, per = (4, params["num_filter"]) if op == "Deconvolution" else (params["num_filter"], 4)
    xs = [numbers((2, 4, *(6, 5, 4)[:nd])), numbers((lead, per // groups, *params["kernel"]), seed=6),
          numbers(params["num_filter"], seed=7)]
    results = []
    for layout in (None, {2: "NHWC", 3: "NDHWC"}[nd]):
        def place(a, layout=layout):
            return np.moveaxis(a, 1, -1) if layout and a.ndim > 1 else a

        def back(a, layout=layout):
            return np.moveaxis(a, -1, 1) if layout and a.ndim > 1 else a
        net = getattr(mx.sym, op)(*map(mx.sym.Variable, "xwb"), layout=layout, **params)
        args = [mx.nd.array(place(a)) for a in xs]
        exe = net.bind(mx.cpu(), args, [mx.nd.zeros(a.shape) for a in args])
        y = exe.forward(is_train=True)[0]
        exe.backward([y])
        results.append([back(a.asnumpy()) for a in (y, *exe.grad_arrays)])
    for got, want in zip(*results, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("op,shapes,params", [
    ("Convolution", [(2, 3, 7, 8), (4, 3, 3, 3), (4,)], dict(kernel=(3, 3), num_filter=4, stride=(2, 1))),
    ("Deconvolution", [(2, 3, 4, 5), (3, 4, 3, 3)], dict(kernel=(3, 3), num_filter=4, stride=(2, 1))),
    ("Pooling", [(2, 3, 7, 8)], dict(kernel=(3, 3), pool_type="max")),
    ("Pooling", [(2, 3, 7, 8)], dict(kernel=(3, 3), pool_type="avg", pad=(1, 1))),
    ("Pooling", [(2, 3, 7, 8)], dict(kernel=(3, 3), pool_type="lp", p_value=2)),
    ("UpSampling", [(2, 3, 4, 5), (2, 1, 2, 1)[:2] + (4, 5)], dict(scale=2, sample_type="nearest")),
    ("UpSampling", [(2, 3, 4, 5), (3, 1, 4, 4)], dict(scale=2, sample_type="bilinear", num_filter=3)),
    ("Crop", [(2, 3, 7, 8)], dict(h_w=(3, 3), offset=(1, 2)))])
def test_half_precision(op, shapes, params):
    """float16 runs, forward and backward, within its rounding of float32."""
    results = []
    for dtype in ("float32", "float16"):
        xs = [abs(numbers(s, seed=i)).astype("f2").astype(dtype) for i, s in enumerate(shapes)]
        names = [f"x{i}" for i in range(len(xs))]
        net = getattr(mx.sym, op)(*map(mx.sym.Variable, names), **params)
        grads = [mx.nd.zeros(x.shape, dtype=dtype) for x in xs]
        exe = net.bind(mx.cpu(), [mx.nd.array(x, dtype=dtype) for x in xs], grads)
        y = exe.forward(is_train=True)[0]
        assert y.dtype == np.dtype(dtype)
        exe.backward([mx.nd.ones(y.shape, dtype=dtype)])
        results.append([a.asnumpy().astype("f4") for a in (y, *grads)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=3e-3, atol=3e-3 * np.abs(a).max())


SECOND = [
    ("Convolution", [(2, 4, 6, 5), (6, 2, 3, 2), (6,)], dict(kernel=(3, 2), num_filter=6, num_group=2, stride=(2, 1))),
    ("Deconvolution", [(2, 4, 3, 4), (4, 3, 3, 2), (6,)], dict(kernel=(3, 2), num_filter=6, num_group=2, stride=(2, 1),
                                                             adj=(1, 0), no_bias=False)),
    ("Deconvolution", [(1, 2, 4), (2, 3, 3)], dict(kernel=(3,), num_filter=3, stride=(2,), target_shape=(7,))),
    *(("Pooling", [(2, 2, 5, 6)], dict(kernel=(3, 2), stride=(2, 1), pad=(1, 0), pool_type=k,
                                       pooling_convention="full")) for k in ("max", "avg", "sum")),
    *(("Pooling", [(2, 2, 5, 6)], dict(kernel=(3, 2), stride=(2, 1), pad=(1, 0), pool_type="lp", p_value=k))
      for k in (1, 2, 3)),
    ("Pooling", [(2, 2, 5)], dict(global_pool=True, pool_type="lp", p_value=3)),
    ("Pooling", [(2, 5, 4, 2)], dict(kernel=(2, 2), pool_type="lp", p_value=2, layout="NHWC")),
    ("Pooling_v1", [(2, 2, 5, 6)], dict(kernel=(3, 2), stride=(2, 1), pad=(1, 0))),
    ("Pooling_v1", [(2, 2, 5, 6)], dict(kernel=(3, 2), stride=(2, 1), pad=(1, 0), pool_type="avg")),
    ("UpSampling", [(1, 2, 2, 3), (1, 1, 4, 6)], dict(scale=2, sample_type="nearest")),
    ("UpSampling", [(1, 2, 3, 3), (2, 1, 5, 5)], dict(scale=3, sample_type="bilinear", num_filter=2)),
    ("Crop", [(2, 2, 5, 6)], dict(h_w=(2, 3), offset=(1, 2))),
    ("im2col", [(2, 2, 5, 4)], dict(kernel=(2, 3), pad=(1, 0)))]


@pytest.mark.parametrize("op,shapes,params", SECOND)
def test_second_derivative(op, shapes, params):
    """The gradient of a random combination of gradients against differences of that combination."""
    values = [abs(numbers(s, "f8", i)) + 0.2 for i, s in enumerate(shapes)]
    weights = [mx.nd.array(numbers(s, "f8", 20 + i), dtype="float64") for i, s in enumerate(shapes)]

    def combination(values):
        xs = [mx.nd.array(v, dtype="float64") for v in values]
        for x in xs:
            x.attach_grad()
        with mx.autograd.record():
            y = getattr(mx.nd, op)(*xs, **params)
            # cubed, so that the head gradient depends on the inputs, too
            first = mx.autograd.grad((y * y * y).sum(), xs, create_graph=True)
            return sum((g * w).sum() for g, w in zip(first, weights)), xs
    total, xs = combination(values)
    total.backward()
    steps = [numbers(s, "f8", 30 + i) for i, s in enumerate(shapes)]
    declared = sum(float((x.grad.asnumpy() * s).sum()) for x, s in zip(xs, steps))
    eps = 1e-5
    ends = [combination([v + sign * eps * s for v, s in zip(values, steps)])[0].asscalar() for sign in (1, -1)]
    numeric = (ends[0] - ends[1]) / (2 * eps)
    assert abs(numeric) > 1e-3, "nothing to compare"
    assert abs(declared - numeric) <= 1e-6 * max(1, abs(numeric)), f"declared {declared}, differences say {numeric}"


def test_nothing_comes_from_windows_that_add_up_to_nothing():
    """lp pooling of a window of zeros has no derivative; its gradient and the gradient of that are 0, not NaN."""
    x, w = mx.nd.array([[[0, 0, 3, 4]]]), mx.nd.array([[[1, 1, 1, 0]]])
    x.attach_grad()
    with mx.autograd.record():
        y = mx.nd.Pooling(x, kernel=(2,), stride=(2,), pool_type="lp", p_value=2)
        (first,) = mx.autograd.grad(y, [x], create_graph=True)
        total = (first * w).sum()
    assert abs(total.asscalar() - 0.6) < 1e-6
    total.backward()
    np.testing.assert_allclose(x.grad.asnumpy().ravel(), [0, 0, 16 / 125, -12 / 125], atol=1e-6)


@st.composite
def upsampling(draw):
    scale, mode = draw(st.integers(1, 5)), draw(st.sampled_from(["concat", "sum"]))
    n, c, h, w = (draw(st.integers(1, 5)) for _ in range(4))
    shapes = [(n, c, h, w)]
    for _ in range(draw(st.integers(0, 3))):
        f = draw(st.sampled_from([k for k in range(1, scale * h * w + 1) if scale * h % k == 0 and scale * w % k == 0]))
        shapes.append((n, c if mode == "sum" else draw(st.integers(1, 3)), scale * h // f, scale * w // f))
    return shapes, dict(scale=scale, sample_type="nearest", multi_input_mode=mode)


@settings(max_examples=60, deadline=None)
@given(case=upsampling(), level=st.sampled_from(LEVELS), dtype=st.sampled_from(["f4", "f8"]))
def test_any_upsampling(case, level, dtype):
    shapes, params = case
    check(UP, [numbers(s, dtype, i) for i, s in enumerate(shapes)], level, **params)


@pytest.mark.parametrize("level", LEVELS)
def test_large_upsampling(level):
    check(UP, [numbers((2, 3, 40, 70)), numbers((2, 5, 20, 35))], level, scale=2, sample_type="nearest")
    check(UP, [numbers((2, 4, 30, 40)), numbers((2, 4, 60, 80))], level, scale=4, sample_type="nearest",
          multi_input_mode="sum")


def test_upsampling_literal():
    x, y = np.array([[[[1, 2]]]], "f4"), np.array([[[[10, 20, 30, 40], [50, 60, 70, 80]]]], "f4")
    both = dict(scale=2, sample_type="nearest")
    assert run_kernel(UP, [x, y], **both)[0].tolist() == [[[[1, 1, 2, 2]] * 2, y[0, 0].tolist()]]
    assert run_kernel(UP, [x, y], multi_input_mode="sum", **both)[0].tolist() == [[[[11, 21, 32, 42],
                                                                                  [51, 61, 72, 82]]]]
    ones = np.ones((1, 1, 4, 4), "f4")
    assert run_kernel(UP, [x, ones], scale=2, sample_type="bilinear")[0].tolist() == [[[[1, 3, 3, 2]] * 2]]


@st.composite
def columns(draw):
    nd = draw(st.integers(1, 3))

    def each(a, b):
        return tuple(draw(st.integers(a, b)) for _ in range(nd))
    kernel, dilate, pad = each(1, 3), each(1, 3), each(0, 3)
    size = tuple(max(1, d * (k - 1) + 1 - 2 * p) + draw(st.integers(0, 6)) for k, d, p in zip(kernel, dilate, pad))
    return (draw(st.integers(1, 2)), draw(st.integers(1, 3)), *size), dict(
        kernel=kernel, dilate=dilate, pad=pad, stride=each(1, 3))


@settings(max_examples=60, deadline=None)
@given(case=columns(), level=st.sampled_from(LEVELS), dtype=st.sampled_from(["f4", "f8"]))
def test_any_columns(case, level, dtype):
    shape, params = case
    x = numbers(shape, dtype)
    check(IM2COL, [x], level, **params)
    cols = run(IM2COL, IM2COL.parse(params), [x])[0]
    check(COL2IM, [numbers(cols.shape, dtype)], level, output_size=shape[2:], **params)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "float16"])
def test_columns_of_any_dtype(dtype):
    x = mx.nd.array(np.arange(12).reshape(1, 1, 3, 4), dtype=dtype)
    cols = mx.nd.im2col(x, kernel=(2, 2), stride=(1, 2))
    assert cols.dtype == np.dtype(dtype) and cols.asnumpy()[0].tolist() == [[0, 2, 4, 6], [1, 3, 5, 7], [4, 6, 8, 10],
                                                                           [5, 7, 9, 11]]
    image = mx.nd.col2im(cols, kernel=(2, 2), stride=(1, 2), output_size=(3, 4))
    assert image.asnumpy()[0, 0].tolist() == [[0, 1, 2, 3], [8, 10, 12, 14], [8, 9, 10, 11]]


def test_inference_both_ways():
    p = DECONV.parse({"kernel": (3, 3), "num_filter": 4, "stride": (2, 2), "adj": (1, 0), "pad": (1, 1)})
    assert DECONV.infer(p, [None, (5, 4, 3, 3)], [(2, 4, 8, 7)]) == ([(2, 5, 4, 4), (5, 4, 3, 3)], [(2, 4, 8, 7)])
    assert DECONV.infer(p, [(2, None, None, 4), None], [(None, None, 8, None)]) == (
        [(2, None, 4, 4), (None, 4, 3, 3)], [(2, 4, 8, 7)])
    p = DECONV.parse({"kernel": (3,), "num_filter": 4, "target_shape": (9,), "stride": (2,)})
    assert DECONV.infer(p, [(2, 3, None), None], [None]) == ([(2, 3, None), (3, 4, 3)], [(2, 4, 9)])
    p = UP.parse({"scale": 2, "sample_type": "nearest"})
    assert UP.infer(p, [None], [(2, 3, 8, 6)]) == ([(2, 3, 4, 3)], [(2, 3, 8, 6)])
    assert UP.infer(p, [(2, 3, None, 4), (None, 5, 2, None)], [None]) == (
        [(2, 3, None, 4), (2, 5, 2, None)], [(2, 8, None, 8)])
    p = UP.parse({"scale": 2, "sample_type": "bilinear"})
    assert UP.infer(p, [None, (3, 1, 4, 4)], [(1, None, 4, 6)]) == ([(1, 3, 2, 3), (3, 1, 4, 4)], [(1, 3, 4, 6)])


@pytest.mark.parametrize("op,shapes,params,words", [
    ("Deconvolution", [(1, 3, 5, 5)], dict(kernel=(3, 3), num_filter=4, num_group=2), "not divisible"),
    ("Deconvolution", [(1, 4, 5, 5)], dict(kernel=(3, 3), num_filter=3, num_group=2), "not divisible"),
    ("Deconvolution", [(1, 4, 5)], dict(kernel=(3, 3), num_filter=4), "must have 4 axes"),
    ("Deconvolution", [(1, 4, 5, 5)], dict(kernel=(3, 3), num_filter=4, adj=(1, 0)), "smaller than stride"),
    ("Deconvolution", [(1, 4, 5, 5)], dict(kernel=(3, 3), num_filter=4, adj=(0,)), "as many axes"),
    ("Deconvolution", [(1, 4, 5, 5)], dict(kernel=(3, 3), num_filter=4, target_shape=(8, 5)), "too big"),
    ("Deconvolution", [(1, 4, 5, 5)], dict(kernel=(3, 3), num_filter=4, target_shape=(6, 7)), "even number"),
    ("Deconvolution", [(1, 4, 5, 5)], dict(kernel=(3, 3), num_filter=4, target_shape=(0, 7)), "at least 1"),
    ("Deconvolution", [(1, 4, 5, 5)], dict(kernel=(3, 3), num_filter=4, pad=(4, 0)), "leaves nothing"),
    ("Deconvolution", [(1, 0, 5, 5)], dict(kernel=(3, 3), num_filter=4), "no channels"),
    ("Deconvolution", [(1, 2, 0, 5)], dict(kernel=(3, 3), num_filter=4), "has 0 elements"),
    ("Deconvolution", [(1, 2, 5), (2, 3, 3)], dict(kernel=(3,), num_filter=4), "do not agree"),
    ("UpSampling", [(1, 2, 3)], dict(scale=2, sample_type="nearest"), "4 axes"),
    ("UpSampling", [(1, 2, 3, 3), (1, 2, 4, 4)], dict(scale=2, sample_type="nearest"), "does not divide"),
    ("UpSampling", [(1, 2, 4, 4), (1, 2, 2, 4)], dict(scale=2, sample_type="nearest"), "different factors"),
    ("UpSampling", [(1, 2, 4, 4), (3, 2, 4, 4)], dict(scale=2, sample_type="nearest"), "do not agree"),
    ("UpSampling", [(1, 2, 4, 4), (1, 3, 4, 4)], dict(scale=2, sample_type="nearest", multi_input_mode="sum"),
     "do not agree"),
    ("UpSampling", [(1, 2, 4, 4), (2, 1, 4, 4)], dict(scale=2, sample_type="bilinear", num_filter=3), "must be"),
    ("UpSampling", [(1, 2, 4, 4)], dict(scale=2, sample_type="bilinear", num_filter=2), "data and weight"),
    ("UpSampling", [(1, 2, 4, 4), (2, 1, 3, 3)], dict(scale=2, sample_type="bilinear"), "do not agree"),
    ("Crop", [(1, 2, 4, 4)], {}, "at least 1"), ("Crop", [(1, 2, 4)], dict(h_w=(1, 1)), "4 axes"),
    ("Crop", [(1, 2, 4, 4)], dict(h_w=(2, 2), offset=(3, 0)), "does not lie inside"),
    ("Crop", [(1, 2, 4, 4)], dict(h_w=(2, 2), offset=(-1, 0)), "does not lie inside"),
    ("Crop", [(1, 2, 4, 4)], dict(h_w=(5, 2), center_crop=True), "does not lie inside"),
    ("Crop", [(1, 2, 4, 4)], dict(h_w=(2,)), "2 elements"), ("Crop", [(1, 2, 4, 4)] * 3, {}, "one input or two"),
    ("im2col", [(1, 2, 4)], dict(kernel=(2, 2)), "4 axes"), ("im2col", [(1, 2, 4)], dict(kernel=(5,)), "has only 4"),
    ("col2im", [(1, 6, 4)], dict(kernel=(4,), output_size=(7,)), "no multiple"),
    ("col2im", [(1, 8, 5)], dict(kernel=(4,), output_size=(7,)), "do not agree"),
    ("col2im", [(1, 8, 5)], dict(kernel=(4,), output_size=(7, 7)), "as many axes")])
def test_shape_errors(op, shapes, params, words):
    op = RECORDS[op]
    with pytest.raises(ValueError, match=words):
        op.infer(op.parse(params), shapes + [None] * (op is DECONV and len(shapes) == 1), [None])


@pytest.mark.parametrize("op,params", [("Convolution", dict(kernel=(2,), num_filter=1, no_bias=True)),
                                       ("Deconvolution", dict(kernel=(2,), num_filter=1)),
                                       ("Pooling", dict(kernel=(2,)))])
def test_integers_are_refused(op, params):
    xs = [mx.nd.ones((1, 1, 4), dtype="int32"), mx.nd.ones((1, 1, 2), dtype="int32")]
    with pytest.raises(mx.MXNetError, match="floating-point data is needed, not int32"):
        getattr(mx.nd, op)(*xs[:1 if op == "Pooling" else 2], **params)
