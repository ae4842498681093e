"""Batch normalization of the GPU against the CPU's kernels, on the processor."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxlite.gpu.families import norm
from mxlite.gpu.launch import Tensor
from mxlite.ops.fused_norm import FusedBatchNorm, FusedBatchNormBackward
from mxlite.ops.record import RECORDS

from . import check, shim

pytestmark = shim.needs_cxx
TOL = {"float32": 1e-5, "float64": 1e-12}


def inputs(shape, axis, dtype="float32", offset=0.0):
    rng = np.random.default_rng(len(shape))
    c = shape[axis]
    parts = [rng.normal(offset, 1, shape), rng.uniform(0.5, 2, c), rng.normal(size=c), rng.normal(size=c),
             rng.uniform(0.5, 2, c)]
    return [x.astype(dtype) for x in parts]


def test_samples():
    assert check.check_samples(set(norm.KERNELS), tol=1e-5) == set(norm.KERNELS)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from((0, 1, 2, 3, 8)), min_size=1, max_size=4), st.data())
def test_any_shape_axis_and_mode(shape, data):
    axis, dtype = data.draw(st.integers(0, len(shape) - 1)), data.draw(st.sampled_from(list(TOL)))
    kw = dict(axis=axis, fix_gamma=data.draw(st.booleans()), use_global_stats=data.draw(st.booleans()), eps=0.1)
    how = dict(is_train=data.draw(st.booleans()), shift=data.draw(st.integers(0, 4)))
    xs = inputs(shape, axis, dtype)
    y, mean, inv_std = check.check("BatchNorm", xs, kw, TOL[dtype], **how)
    check.check("_backward_BatchNorm", [y, xs[0], xs[1], mean, inv_std, *xs[3:]], kw, TOL[dtype], into={0: 1}, **how)


@pytest.mark.parametrize("shape, axis", [((40, 5, 17, 33), 1), ((9000, 70), 1), ((3, 2, 20000), 1), ((2000, 3), 1)])
@pytest.mark.parametrize("offset", (0.0, 1000.0))
def test_many_parts_and_no_cancellation(shape, axis, offset):
    xs = inputs(shape, axis, offset=offset)
    args = {"outer": shape[0], "channels": shape[1], "inner": int(np.prod(shape[2:]))}
    assert norm.Shape(args, Tensor(shape, "float32", 0)).parts > 1
    tol = 2e-5 if not offset else 1e-3
    y, mean, inv_std = check.check("BatchNorm", xs, {"fix_gamma": False}, tol)
    wide = xs[0].astype("float64").mean(tuple(i for i in range(len(shape)) if i != axis))
    np.testing.assert_allclose(mean, wide, rtol=3e-7, atol=3e-7)
    check.check("_backward_BatchNorm", [y, xs[0], xs[1], mean, inv_std, *xs[3:]], {"fix_gamma": False}, tol)


@pytest.mark.parametrize("unread", ((0,), (1,), (2,), (1, 2), (0, 1, 2)))
@pytest.mark.parametrize("is_train", (True, False))
def test_outputs_that_nobody_reads(unread, is_train):
    xs = inputs((4, 3, 5), 1)
    check.check("BatchNorm", xs, {}, 1e-5, unread=unread, is_train=is_train)
    y, mean, inv_std = check.on_cpu("BatchNorm", xs, {})[0][0]
    check.check("_backward_BatchNorm", [y, xs[0], xs[1], mean, inv_std, *xs[3:]], {}, 1e-5, unread=unread,
                is_train=is_train)


def fused(op, xs, params, monkeypatch, **kw):
    """The record of what the graph's rewriting makes: shapes and dtypes follow from the data's."""
    shape, like = xs[0].shape, {"output": 0, "ddata": 0, "dmasked": 0}
    names = op.output_names(op.parse(params))
    shapes = [shape if k in like else xs[2].shape for k in names]
    monkeypatch.setitem(RECORDS, op.__name__, op)
    monkeypatch.setattr(op, "infer", lambda p, ins, outs: (ins, shapes))
    monkeypatch.setattr(op, "infer_dtype", lambda p, ins, outs: (ins, [xs[0].dtype.name] * len(names)))
    return check.check(op.__name__, xs, params, 1e-5, **kw)


@pytest.mark.parametrize("act, lo, hi", ((0, 0, 0), (1, 0, 0), (2, -0.5, 0.7)))
@pytest.mark.parametrize("residual", (True, False))
@pytest.mark.parametrize("is_train", (True, False))
@pytest.mark.parametrize("shape, axis", (((4, 3, 7), 1), ((30, 8), 1)))
def test_with_addition_and_activation(act, lo, hi, residual, is_train, shape, axis, monkeypatch):
    xs = inputs(shape, axis)
    xs[0][0, 0] = np.nan if not is_train else 1
    more = [np.random.default_rng(4).normal(size=shape).astype("float32")] if residual else []
    kw = dict(act=act, lo=lo, hi=hi, residual=residual, fix_gamma=False, axis=axis)
    y, mean, inv_std = fused(FusedBatchNorm, [*xs[:3], *more, *xs[3:]], kw, monkeypatch, is_train=is_train,
                             into={0: 3 if residual else 0})
    dy = np.random.default_rng(5).normal(size=shape).astype("float32")
    back = [dy, xs[0], xs[1], mean, inv_std, y, *xs[3:]]
    kw = dict(fix_gamma=False, axis=axis)
    for into in ({}, {0: 0, 3: 5}, {0: 5, 3: 0}):
        fused(FusedBatchNormBackward, back, kw, monkeypatch, is_train=is_train, into=into)


@pytest.mark.parametrize("channels", (1, 3, 8, 12, 40, 64, 300))
@pytest.mark.parametrize("dtype", TOL)
@pytest.mark.parametrize("shift", (0, 1))
def test_channels_last(channels, dtype, shift):
    """Channels that fill tiles and that do not, in packs and one by one."""
    xs = inputs((2, 5, 7, channels), 3, dtype)
    for is_train in (True, False):
        how = dict(is_train=is_train, shift=shift)
        kw = dict(axis=3, fix_gamma=False, eps=0.1)
        y, mean, inv_std = check.check("BatchNorm", xs, kw, TOL[dtype], **how)
        check.check("_backward_BatchNorm", [y, xs[0], xs[1], mean, inv_std, *xs[3:]], kw, TOL[dtype], **how)


def test_a_thread_keeps_its_channels():
    """16 bytes of them, in blocks as wide as there are packs of channels, and as many blocks as a GPU needs."""
    shape = norm.Shape({"outer": 1 << 20, "channels": 64, "inner": 1}, Tensor((1 << 20, 64), "float16", 0))
    one = shape.apply("norm.cu", "float16", 1 << 26, [Tensor((1,), "float16", 4096)], [])
    assert (one.entry, one.grid, one.block) == ("apply_columns", (1, 2048, 1), (8, 32, 1))
    assert norm.vector(one.source) == 8


@pytest.mark.parametrize("dtype", ("float16", "bfloat16"))
@pytest.mark.parametrize("shape", ((3, 4, 11), (20, 16), (2, 3, 8)))
def test_half_precision_keeps_statistics_in_float32(dtype, shape):
    xs = inputs(shape, 1)
    x, dy = check.wrap(xs[0], dtype), check.wrap(np.random.default_rng(1).normal(size=shape), dtype)
    wide = [check.wide(a).astype("float32") for a in (x, dy)]
    for is_train in (True, False):
        got = check.on_gpu("BatchNorm", [x, *xs[1:]], {"fix_gamma": False}, is_train=is_train)[0]
        want = check.on_cpu("BatchNorm", [wide[0], *xs[1:]], {"fix_gamma": False}, is_train=is_train)[0][0]
        check.same(got, [check.wrap(want[0], dtype), *want[1:]], None if dtype == "bfloat16" else 2e-3)
        _, mean, inv_std = want
        got = check.on_gpu("_backward_BatchNorm", [dy, x, xs[1], mean, inv_std, *xs[3:]], {}, is_train=is_train)
        want = check.on_cpu("_backward_BatchNorm", [wide[1], wide[0], xs[1], mean, inv_std, *xs[3:]], {},
                            is_train=is_train)[0]
        check.same(got[0][:1], [check.wrap(want[0][0], dtype)], None if dtype == "bfloat16" else 2e-3)
        check.same(got[0][1:] + got[1][-2:], want[0][1:] + want[1][-2:], 1e-5)
