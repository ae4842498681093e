"""Convolutions by Winograd's F(4x4, 3x3): against float64 and against each other, at every level."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from mxlite._core import cpu, kernelcall, kernels
from mxlite.ops import conv, settings, winograd
from mxlite.ops.record import RECORDS

from .kernel_calls import LEVELS, run_kernel
from .reference import run

CONV, DGRAD, WGRAD = (RECORDS[k] for k in ("Convolution", "_conv_dgrad", "_conv_wgrad"))
KINDS = {"forward": (0, 1, 2), "dgrad": (2, 1, 0), "wgrad": (1, 2, 0)}     # where data, weight and output are
GUARD = 64
# Bounds of the largest error over the largest value, and of the root mean square over that of the values; measured on
# normal numbers: 2.5e-6 and 1.1e-6.
MOST, RMS = 1e-5, 2e-6


def geometry(x, w, pad):
    return (x[0], w[0], x[2] + 2 * pad[0] - 2, x[3] + 2 * pad[1] - 2)


def guarded(shape):
    """An array of NaN inside of a longer one, and that one."""
    whole = np.full(int(np.prod(shape)) + 2 * GUARD, np.nan, "f4")
    return whole[GUARD:whole.size - GUARD].reshape(shape), whole


def call(kind, way, arrays, shapes, pad, level, threads=1, out=None, **epilogue):
    """The kernel's output for data, weight and output of those shapes, with scratch of exactly the promised size; what
    lies around the output must stay."""
    x, w, y = shapes
    p = CONV.parse(dict(kernel=(3, 3), num_filter=w[0], pad=pad, no_bias=True))
    ordered = [None] * 3
    for at, shape in zip(KINDS[kind], shapes):
        ordered[at] = shape
    capsule, packer = kernels.lookup("conv." + kind)
    args = packer(conv.launch(KINDS[kind])(p, ordered[:2], ordered[2:], **epilogue, winograd=way))
    work = winograd.scratch(kind, way, x, w, y, threads, epilogue.get("prepared", 0) == 2)
    assert work % 64 == 0
    whole = None
    if out is None:
        out, whole = guarded(ordered[2])
    before = cpu.get_isa(), cpu.get_threads()
    cpu.set_isa(level)
    cpu.set_threads(threads)
    try:
        assert kernelcall.call(capsule, list(arrays), [out], args, (), work, threads=threads) == 0
    finally:
        cpu.set_isa(before[0])
        cpu.set_threads(before[1])
    if whole is not None:
        assert np.isnan(whole[:GUARD]).all() and np.isnan(whole[-GUARD:]).all(), "written outside of the output"
    return out


def prepare(w, level, threads=1):
    """The transformed weight, in an array as long as the rule says."""
    p = CONV.parse(dict(kernel=(3, 3), num_filter=w.shape[0], no_bias=True))
    capsule, packer = kernels.lookup("conv.winograd_weight")
    args = packer(conv.launch((0, 1, 2))(p, [(1, w.shape[1], 4, 4), w.shape], [(1, w.shape[0], 2, 2)]))
    u, whole = guarded((winograd.weight_floats(*w.shape[:2]),))
    before = cpu.get_isa(), cpu.get_threads()
    cpu.set_isa(level)
    cpu.set_threads(threads)
    try:
        assert kernelcall.call(capsule, [w], [u], args, threads=threads) == 0
    finally:
        cpu.set_isa(before[0])
        cpu.set_threads(before[1])
    assert np.isnan(whole[:GUARD]).all() and np.isnan(whole[-GUARD:]).all() and not np.isnan(u).any()
    return u


def normal(x, k, pad, seed=0):
    """Data, weight, dy of normal numbers and the reference results in float64: y, dx, dw."""
    rng = np.random.default_rng(seed)
    w = (k, x[1], 3, 3)
    y = geometry(x, w, pad)
    data, weight, dy = (rng.standard_normal(s).astype("f4") for s in (x, w, y))
    params = dict(kernel=(3, 3), num_filter=k, pad=pad, no_bias=True)
    wide = [a.astype("f8") for a in (data, weight, dy)]
    want = (run(CONV, CONV.parse(params), wide[:2])[0],
            run(DGRAD, DGRAD.parse(dict(params, shape=x)), [wide[2], wide[1]])[0],
            run(WGRAD, WGRAD.parse(dict(params, shape=w)), [wide[2], wide[0]])[0])
    return (data, weight, dy), (x, w, y), want


def close(got, want, most=MOST):
    error = np.abs(got - want)
    assert error.max() <= most * np.abs(want).max(), f"{error.max() / np.abs(want).max():.1e}"


SHAPES = st.tuples(st.integers(1, 3), st.sampled_from([8, 9, 15, 16, 17, 31, 40, 129, 140]), st.integers(1, 21),
                   st.one_of(st.integers(1, 21), st.sampled_from([63, 66, 70])))


@examples(max_examples=80, deadline=None)
@given(x=SHAPES, k=st.sampled_from([8, 9, 16, 17, 33, 47, 49, 66, 100]), pad=st.tuples(*[st.integers(0, 2)] * 2),
       level=st.sampled_from(LEVELS), way=st.sampled_from([winograd.TILES, winograd.FILTERS]))
def test_any_shape(x, k, pad, level, way):
    x = (*x[:2], max(x[2], 3 - 2 * pad[0]), max(x[3], 3 - 2 * pad[1]))
    (data, weight, dy), shapes, want = normal(x, k, pad, sum(x) + k)
    for kind, arrays, truth in zip(KINDS, ((data, weight), (dy, weight), (dy, data)), want):
        got = [call(kind, way, arrays, shapes, pad, level, threads) for threads in (1, 2)]
        close(got[0], truth)
        assert np.array_equal(*got), f"{kind} depends on the number of threads"


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("x,k", [((16, 64, 14, 14), 96), ((4, 300, 7, 7), 200), ((2, 32, 56, 56), 48)])
def test_accuracy(x, k, level):
    (data, weight, dy), shapes, want = normal(x, k, (1, 1))
    for kind, arrays, truth in zip(KINDS, ((data, weight), (dy, weight), (dy, data)), want):
        results = [call(kind, way, arrays, shapes, (1, 1), level) for way in (winograd.TILES, winograd.FILTERS)]
        close(results[0], truth, 5e-6)
        assert np.sqrt(np.mean((results[0] - truth) ** 2)) <= RMS * np.sqrt(np.mean(truth ** 2))
        assert np.array_equal(*results), f"{kind} depends on how the work is cut"


@examples(max_examples=40, deadline=None)
@given(x=SHAPES, k=st.sampled_from([8, 17, 48, 50]), act=st.integers(0, 2), bias=st.booleans(),
       residual=st.sampled_from(["none", "apart", "in place"]), level=st.sampled_from(LEVELS),
       way=st.sampled_from([winograd.TILES, winograd.FILTERS]), prepared=st.booleans())
def test_epilogue(x, k, act, bias, residual, level, way, prepared):
    (data, weight, _), shapes, (want, _, _) = normal(x, k, (1, 1), sum(x) + k)
    rng = np.random.default_rng(k)
    b, r = rng.standard_normal(k).astype("f4"), rng.standard_normal(want.shape).astype("f4")
    arrays = [data, prepare(weight, level, 2) if prepared else weight]
    scale = np.abs(want).max() + 4
    if bias:
        arrays.append(b)
        want = want + b.astype("f8").reshape(-1, 1, 1)
    given_ = dict(act=act, lo=-1.5, hi=2.5, bias=int(bias), residual=int(residual != "none"),
                  prepared=2 if prepared else 0)
    if residual != "none":
        want = want + r
    want = [want, np.maximum(want, 0), np.clip(want, -1.5, 2.5)][act]
    for threads in (1, 2):
        own = r.copy()
        tensors = arrays if residual == "none" else [*arrays, own]
        got = call("forward", way, tensors, shapes, (1, 1), level, threads, own if residual == "in place" else None,
                   **given_)
        assert np.abs(got - want).max() <= MOST * scale


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("way", [winograd.TILES, winograd.FILTERS])
def test_gradient_added_in_place(level, way):
    """The gradient of the data takes the same epilogue: another branch's gradient is added where it lies."""
    (_, weight, dy), shapes, (_, want, _) = normal((2, 33, 10, 9), 20, (1, 0))
    rng = np.random.default_rng(1)
    other, bias = rng.standard_normal(shapes[0]).astype("f4"), rng.standard_normal(33).astype("f4")
    want = want + bias.reshape(-1, 1, 1) + other
    call("dgrad", way, [dy, weight, bias, other], shapes, (1, 0), level, 2, other, bias=1, residual=1)
    close(other, want)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("way", [winograd.TILES, winograd.FILTERS])
def test_prepared_is_the_same(level, way):
    (data, weight, _), shapes, _ = normal((2, 137, 9, 11), 75, (1, 1))
    plain = call("forward", way, [data, weight], shapes, (1, 1), level)
    units = [prepare(weight, level, threads) for threads in (1, 2)]
    assert np.array_equal(*units)
    ready = call("forward", way, [data, units[0]], shapes, (1, 1), level, prepared=2)
    assert np.array_equal(plain, ready)


@pytest.mark.parametrize("level", LEVELS)
def test_nan_stays_in_its_tile(level):
    (data, weight, _), shapes, (want, _, _) = normal((1, 8, 20, 20), 8, (1, 1))
    data[0, 3, 9, 9] = np.nan           # seen by the tile of rows and columns 8..11 alone
    for act in (0, 1, 2):
        y = call("forward", winograd.TILES, [data, weight], shapes, (1, 1), level, act=act, lo=-9e9, hi=9e9)
        bad = np.isnan(y).any(axis=(0, 1))
        assert bad[8:11, 8:11].all(), "a NaN was lost"
        bad[8:12, 8:12] = False
        assert not bad.any(), "a NaN left its tile"


def test_the_rule():
    layer = dict(kernel=(3, 3), num_filter=64, pad=(1, 1), no_bias=True)

    def chosen(x, **changes):
        p = CONV.parse(dict(layer, **changes))
        ins, outs = CONV.infer(p, [x, None], [None])
        return CONV.launch(p, ins, outs)["winograd"]
    assert chosen((16, 64, 56, 56)) == winograd.TILES and chosen((16, 512, 7, 7), num_filter=512) == winograd.FILTERS
    for changes in (dict(stride=(2, 2)), dict(dilate=(2, 2)), dict(num_group=2), dict(kernel=(1, 3)), dict(pad=(3, 3))):
        assert chosen((16, 64, 56, 56), **changes) == 0
    assert chosen((16, 3, 56, 56)) == 0 and chosen((0, 64, 56, 56)) == 0
    for x, k, wanted in (((1, 512, 7, 7), 512, True), ((1, 256, 14, 14), 256, True), ((16, 64, 56, 56), 64, False),
                         ((1, 3, 56, 56), 64, False)):
        p = CONV.parse(dict(layer, num_filter=k))
        ins, outs = CONV.infer(p, [x, None], [None])
        assert winograd.prepares(conv.Geometry(p), 1, *ins, *outs) == wanted, x
    before = settings.winograd
    settings.winograd = False
    try:
        assert chosen((16, 64, 56, 56)) == 0
    finally:
        settings.winograd = before


def test_scratch_stays_small():
    for x, k, bound in (((16, 64, 56, 56), 64, 4), ((4, 64, 224, 224), 64, 4), ((16, 512, 7, 7), 512, 12),
                        ((4, 512, 28, 28), 512, 13), ((1, 4096, 64, 64), 4096, 20)):
        p = CONV.parse(dict(kernel=(3, 3), num_filter=k, pad=(1, 1), no_bias=True))
        ins, outs = CONV.infer(p, [x, None], [None])
        for kind in KINDS:
            size = conv.winograd_workspace(kind, p, ins[0], ins[1], outs[0], 4, 2)
            assert size < bound << 20, (x, kind, size / 2 ** 20)


@pytest.mark.parametrize("level", LEVELS)
def test_records_take_it(level):
    """Through the records, whose rules give scratch and arguments: float32 by Winograd, float64 the plain way."""
    x, k = (2, 24, 14, 15), 40
    (data, weight, dy), shapes, want = normal(x, k, (1, 1))
    layer = dict(kernel=(3, 3), num_filter=k, pad=(1, 1), no_bias=True)
    for op, arrays, extra, truth in ((CONV, (data, weight), {}, want[0]), (DGRAD, (dy, weight), {"shape": x}, want[1]),
                                     (WGRAD, (dy, data), {"shape": weight.shape}, want[2])):
        for dtype, most in (("f4", MOST), ("f8", 1e-13)):
            got = run_kernel(op, [a.astype(dtype) for a in arrays], level, 2, **layer, **extra)[0]
            close(got, truth, most)
