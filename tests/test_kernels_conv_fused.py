"""What convolution kernels do besides convolving: bias, residual and activation in one pass, packed weights, half
precision, memory between closed pages."""
import numpy as np
import pytest

import mxlite as mx
from mxlite._core import cpu, kernelcall, kernels
from mxlite.ops import conv
from mxlite.ops.record import RECORDS

from . import guard_pages
from .kernel_calls import LEVELS, call
from .reference import run

CONV, DGRAD, WGRAD = (RECORDS[k] for k in ("Convolution", "_conv_dgrad", "_conv_wgrad"))
SHAPES = [
    ((2, 20, 9, 11), dict(kernel=(3, 3), pad=(1, 1), stride=(2, 1), num_filter=37)),
    ((3, 40, 7, 7), dict(kernel=(1, 1), num_filter=70)),
    ((2, 6, 13, 21), dict(kernel=(3, 3), pad=(1, 1), num_filter=6, num_group=6)),
    ((2, 6, 13, 21), dict(kernel=(5, 5), pad=(2, 2), num_filter=6, num_group=6)),
    ((1, 6, 23, 9), dict(kernel=(7, 7), pad=(3, 3), num_filter=6, num_group=6)),
    ((2, 5, 19, 40), dict(kernel=(3, 3), pad=(1, 1), stride=(2, 2), num_filter=10, num_group=5)),
    ((2, 5, 18, 75), dict(kernel=(3, 3), pad=(1, 1), stride=(2, 2), num_filter=5, num_group=5)),
    ((1, 4, 7, 6), dict(kernel=(3, 3), stride=(2, 2), num_filter=4, num_group=4)),
    ((1, 4, 200, 210), dict(kernel=(3, 5), pad=(1, 2), stride=(1, 3), num_filter=4, num_group=4)),
    ((2, 4, 5, 9, 8), dict(kernel=(3, 2, 3), pad=(1, 1, 1), num_filter=4, num_group=4)),
    ((2, 12, 8, 9), dict(kernel=(3, 3), dilate=(2, 2), pad=(2, 2), num_filter=18, num_group=3)),
    ((1, 3, 70), dict(kernel=(9,), stride=(9,), num_filter=6, num_group=3))]
# Vectors of filters: few channels, many blocks of filters, steps, dilation, groups, one axis, a flat third axis.
BANDS = [
    ((5, 20, 12, 12), dict(kernel=(5, 5), num_filter=50)),
    ((2, 1, 28, 28), dict(kernel=(5, 5), num_filter=20)),
    ((2, 3, 40, 37), dict(kernel=(7, 7), stride=(2, 2), pad=(3, 3), num_filter=64)),
    ((2, 48, 15, 13), dict(kernel=(5, 5), pad=(2, 2), num_filter=80)),
    ((2, 32, 9, 9), dict(kernel=(3, 3), pad=(1, 1), num_filter=64, num_group=2)),
    ((1, 16, 21, 18), dict(kernel=(3, 3), dilate=(2, 1), stride=(1, 3), pad=(0, 2), num_filter=16)),
    ((3, 16, 70), dict(kernel=(9,), num_filter=33)),
    ((2, 6, 1, 11, 12), dict(kernel=(1, 3, 3), stride=(2, 1, 1), pad=(0, 4, 0), num_filter=7)),
    ((2, 6, 1, 8, 9), dict(kernel=(1, 3, 3), stride=(2, 1, 1), pad=(1, 1, 1), num_filter=7))]
# Short rows, two in a vector, and steps of two whose data's gradient is spread.
SHORT = [((3, 7, 14, 14), dict(kernel=(3, 3), pad=(1, 1), stride=(2, 2), num_filter=7, num_group=7)),
         ((3, 5, 7, 7), dict(kernel=(3, 3), pad=(1, 1), num_filter=5, num_group=5)),
         ((2, 3, 6, 16), dict(kernel=(3, 3), pad=(2, 0), stride=(2, 2), num_filter=3, num_group=3)),
         ((2, 3, 9, 10), dict(kernel=(3, 3), num_filter=3, num_group=3)),
         ((2, 3, 1, 2), dict(kernel=(3, 3), pad=(1, 2), stride=(2, 2), num_filter=3, num_group=3)),
         ((1, 3, 27, 56), dict(kernel=(3, 3), pad=(0, 2), stride=(2, 2), num_filter=3, num_group=3)),
         ((1, 2, 130, 99), dict(kernel=(3, 3), pad=(1, 1), num_filter=2, num_group=2))]


def numbers(shape, dtype="f4", seed=5):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(dtype)


def four(x_shape, params, dtype="f4"):
    """Parameters, data, weight, bias and residual."""
    p = CONV.parse(params)
    w = numbers((p.num_filter, x_shape[1] // p.num_group, *p.kernel), dtype, 6)
    y = CONV.infer(p, [x_shape, w.shape, (p.num_filter,)], [None])[1][0]
    return p, numbers(x_shape, dtype), w, numbers(p.num_filter, dtype, 7), numbers(y, dtype, 8)


def fused(p, arrays, y, level, threads=1, into=None, weight_shape=None, **epilogue):
    """conv.forward with an epilogue."""
    ins = [a.shape for a in arrays]
    ins[1] = weight_shape or ins[1]
    capsule, packer = kernels.lookup("conv.forward")
    args = conv.launch((0, 1, len(ins)))(p, ins, [y], **dict(epilogue, winograd=0))
    out = np.full(y, 99, arrays[0].dtype) if into is None else into
    before, most = cpu.get_isa(), cpu.get_threads()
    cpu.set_isa(level)
    cpu.set_threads(max(most, threads))
    try:
        work = conv.plain_forward_workspace(p, *ins[:2], y, arrays[0].itemsize, threads)
        assert kernelcall.call(capsule, list(arrays), [out], packer(args), (), work, threads=threads) == 0
    finally:
        cpu.set_isa(before)
        cpu.set_threads(most)
    return out


def acted(y, act, lo, hi):
    return np.maximum(y, 0) if act == 1 else np.clip(y, lo, hi) if act == 2 else y


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("shape,params", [*SHAPES, *BANDS, *SHORT])
def test_epilogue(shape, params, level):
    for dtype, tol in (("f4", 2e-5), ("f8", 1e-12)):
        p, x, w, bias, residual = four(shape, params, dtype)
        plain = run(CONV, p, [x.astype("f8"), w.astype("f8"), np.zeros(len(bias))])[0]
        for with_bias, with_residual, act in ((1, 1, 1), (0, 1, 2), (1, 0, 2), (0, 1, 0), (1, 0, 1)):
            want = plain + residual * with_residual
            if with_bias:
                want += bias.reshape(-1, *(1,) * len(p.kernel))
            want = acted(want, act, -0.25, 0.5)
            arrays = [x, w, *[bias] * with_bias, *[residual] * with_residual]
            epilogue = dict(act=act, lo=-0.25, hi=0.5, bias=with_bias, residual=with_residual)
            got = [fused(p, arrays, want.shape, level, t, **epilogue) for t in (1, 2)]
            np.testing.assert_allclose(got[0], want, rtol=0, atol=tol * max(1, np.abs(plain).max()))
            assert np.array_equal(*got), "depends on the number of threads"
        arrays[-1:] = [bias, residual.copy()]
        over = fused(p, arrays, want.shape, level, 2, into=arrays[-1], act=1, bias=1, residual=1)
        apart = fused(p, [x, w, bias, residual], want.shape, level, 2, act=1, bias=1, residual=1)
        assert np.array_equal(over, apart), "a residual in place is another result"


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("shape,params", [SHAPES[0], SHAPES[2], SHAPES[5]])
def test_activation_keeps_nan(shape, params, level):
    p, x, w, bias, residual = four(shape, params)
    x[0, 0] = np.nan
    for act in (1, 2):
        got = fused(p, [x, w], residual.shape, level, act=act, lo=-1, hi=1)
        plain = fused(p, [x, w], residual.shape, level)
        assert np.isnan(plain).any() and np.array_equal(np.isnan(got), np.isnan(plain))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("shape,params", [*BANDS, SHAPES[0], SHAPES[1], SHAPES[10], (
    (2, 70, 6, 6), dict(kernel=(3, 3), pad=(1, 1), num_filter=130))])
def test_packed_weight(shape, params, level):
    for dtype in ("f4", "f8"):
        p, x, w, bias, residual = four(shape, params, dtype)
        capsule, packer = kernels.lookup("conv.pack_weight")
        packed = np.full(conv.packed_weight_floats(p, w.shape), 99, dtype)
        args = packer(conv.launch((0, 1, 2))(p, [x.shape, w.shape], [residual.shape], winograd=0))
        before = cpu.get_isa()
        cpu.set_isa(level)
        try:
            assert kernelcall.call(capsule, [w], [packed], args, (), 0, threads=1) == 0
        finally:
            cpu.set_isa(before)
        epilogue = dict(act=1, bias=1, residual=1)
        want = fused(p, [x, w, bias, residual], residual.shape, level, **epilogue)
        for threads in (1, 2):
            got = fused(p, [x, packed, bias, residual], residual.shape, level, threads, weight_shape=w.shape,
                        prepared=1, **epilogue)
            assert np.array_equal(got, want)
    assert conv.packed_weight_floats(CONV.parse(SHAPES[2][1]), (6, 1, 3, 3)) == 0


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("shape,params", [SHAPES[0], SHAPES[1], SHAPES[2], SHAPES[5], SHAPES[8], BANDS[0],
                                          BANDS[4], *SHORT[:2], (
    (2, 5, 9, 9), dict(kernel=(3, 3), pad=(1, 1), num_filter=2))])
def test_data_gradient_adds(shape, params, level):
    """A residual of the data's gradient, in place and not."""
    p, x, w, _, dy = four(shape, params)
    p = DGRAD.parse(dict(params, shape=shape))
    assert conv.dgrad_adds(p)
    want = run(DGRAD, p, [dy.astype("f8"), w.astype("f8")])[0] + x
    capsule, packer = kernels.lookup("conv.dgrad")
    args = packer(DGRAD.launch(p, [dy.shape, w.shape], [shape], residual=1, winograd=0))
    work = conv.plain_dgrad_workspace(p, dy.shape, w.shape, shape, 4, 2)
    before = cpu.get_isa()
    cpu.set_isa(level)
    try:
        for add, out in ((x, np.full(shape, 99, "f4")), (x.copy(), None)):
            out = add if out is None else out
            assert kernelcall.call(capsule, [dy, w, add], [out], args, (), work, threads=2) == 0
            np.testing.assert_allclose(out, want, rtol=0, atol=2e-5 * max(1, np.abs(want).max()))
    finally:
        cpu.set_isa(before)
    assert not conv.dgrad_adds(CONV.parse(dict(kernel=(1, 1), stride=(2, 2), num_filter=3)))
    assert DGRAD.cpu(DGRAD.parse(dict(kernel=(3, 3), num_filter=3, layout="NHWC", shape=shape))) is None


@pytest.mark.parametrize("shape,params", [SHAPES[0], SHAPES[2], ((2, 33, 8, 8), dict(kernel=(3, 3), pad=(1, 1),
                                                                                  num_filter=40))])
def test_half_precision(shape, params):
    """float16 through the kernels: sums in float32, one rounding at the end."""
    p, x, w, bias, dy = four(shape, params, "f2")
    for op, arrays, extra in ((CONV, (x, w, bias), {}), (DGRAD, (dy, w), {"shape": x.shape}),
                              (WGRAD, (dy, x), {"shape": w.shape})):
        given = dict(params, **extra)
        want = run(op, op.parse(given), [a.astype("f8") for a in arrays])[0]
        for threads in (1, 2):
            ys, rc = call(op, list(arrays), given, None, threads)
            assert rc == 0
            np.testing.assert_allclose(ys[0], want, rtol=2 ** -10, atol=2e-5 * np.abs(want).max())


def test_bfloat16():
    x, w = mx.nd.array(numbers((2, 8, 6, 6))).astype("bfloat16"), mx.nd.array(numbers((5, 8, 3, 3))).astype("bfloat16")
    y = mx.nd.Convolution(x, w, kernel=(3, 3), num_filter=5, no_bias=True)
    want = mx.nd.Convolution(x.astype("float32"), w.astype("float32"), kernel=(3, 3), num_filter=5, no_bias=True)
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y.astype("float32").asnumpy(), want.astype("bfloat16").astype("float32").asnumpy())


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("shape,params", [*SHAPES, *BANDS, *SHORT,
                                          ((1, 3, 30, 31), dict(kernel=(7, 7), stride=(2, 2), pad=(3, 3),
                                                                num_filter=9)),
                                          ((2, 8, 1, 1), dict(kernel=(1, 1), num_filter=1)),
                                          ((400, 3, 8, 9), dict(kernel=(1, 2), num_filter=16)),
                                          ((3, 41, 13, 11), dict(kernel=(1, 1), num_filter=9)),
                                          ((17, 27, 12, 12), dict(kernel=(1, 1), num_filter=5)),
                                          ((2, 9, 25, 31), dict(kernel=(1, 1), stride=(2, 2), num_filter=7)),
                                          ((9, 6, 5, 5), dict(kernel=(3, 3), stride=(5, 4), pad=(2, 2), num_filter=6,
                                                              num_group=6))])
def test_stays_inside_its_memory(shape, params, level):
    p, x, w, bias, dy = four(shape, params)
    for op, arrays, extra in ((CONV, (x, w, bias), {}), (DGRAD, (dy, w), {"shape": shape}),
                              (WGRAD, (dy, x), {"shape": w.shape})):
        q = op.parse(dict(params, **extra))
        ins = [a.shape for a in arrays]
        outs = op.infer(q, ins, [None])[1]
        want = run(op, q, [a.astype("f8") for a in arrays])[0]
        for at_end in (True, False):
            for threads in (1, 2):
                got = guard_pages.run(op.cpu(q), arrays, op.launch(q, ins, outs), outs, op.workspace(q, ins, outs, 4,
                                      threads), level, threads, at_end)[0]
                np.testing.assert_allclose(got, want, rtol=0, atol=2e-5 * max(1, np.abs(want).max()))


@pytest.mark.parametrize("wide", [21, 16, 7])
@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("kernel,kind", [(3, 0), (5, 0), (4, 0), (3, 1), (4, 1), (3, 2), (4, 2)])
def test_infinity_reaches_only_who_sees_it(kernel, kind, step, wide):
    """Tiles multiply past the ends of rows; an infinity of the next row must not get into a sum."""
    params = dict(kernel=(kernel, kernel), stride=(step, step), num_filter=2, num_group=2, no_bias=True)
    p, x = CONV.parse(params), np.ones((1, 2, 9, wide), "f4")
    w, y = np.ones((2, 1, kernel, kernel), "f4"), np.ones(CONV.infer(p, [x.shape, None], [None])[1][0], "f4")
    for rows, column in ((4, 0), (-1, 0), (8, -1), (6, 6)):
        seen = (y if kind == 1 else x).copy()
        seen[0, 0, min(rows, seen.shape[2] - 1), min(column, seen.shape[3] - 1)] = np.inf
        op, arrays, given = ((CONV, [seen, w], params), (DGRAD, [seen, w], dict(params, shape=x.shape)),
                             (WGRAD, [y, seen], dict(params, shape=w.shape)))[kind]
        want = run(op, op.parse(given), arrays)[0]
        for level in LEVELS:
            got = call(op, arrays, given, level)[0][0]
            assert np.array_equal(np.isinf(got), np.isinf(want)), level
            assert not np.isnan(got).any()
