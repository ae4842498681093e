"""Checks, sums and casts of many arrays on the processor against the records' references."""
import numpy as np
import pytest

from mxlite.gpu.families import amp as family
from mxlite.gpu.launch import FLOATS

from . import check, shim

pytestmark = shim.needs_cxx
SHAPES = [(3,), (0,), (70, 130), (1,), (9000,), (2, 0), (33000,)]


def arrays(shapes, dtype, seed=1):
    rng = np.random.default_rng(seed)
    return [check.wrap(rng.normal(size=s), dtype) for s in shapes]


def finite(xs, **kw):
    (y,), _ = check.run("amp.all_finite", None, xs, [((1,), "float32")], **kw)
    return y.tolist()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shift", [0, 1])
def test_one_number_that_is_not_finite_is_found_anywhere(dtype, shift):
    assert finite(arrays(SHAPES, dtype), shift=shift) == [1.0]
    for which, at in ((0, 0), (2, 9099), (4, 4095), (4, 8999), (6, 16384), (6, 32999)):
        for value in (np.inf, -np.inf, np.nan):
            xs = arrays(SHAPES, dtype)
            flat = check.bits_of(xs[which]).reshape(-1)
            flat[at:at + 1] = check.bits_of(check.wrap(np.array([value]), dtype))
            assert finite(xs, shift=shift) == [0.0], (which, at, value)


def test_many_arrays_of_many_dtypes():
    xs = [x for k in range(130) for x in arrays([(k % 7,)], FLOATS[k // 40], k)]
    assert finite(xs) == [1.0]
    xs[129][0][2] = 0x7f80
    assert finite(xs) == [0.0]
    assert finite([np.full(5, 3e38, "float32"), np.full(2, 1e308)]) == [1.0]        # large is finite
    assert finite([np.zeros((0,), "float32")]) == [1.0]


@pytest.mark.parametrize("dtype", FLOATS)
def test_sums_of_squares(dtype):
    for shift in (0, 1):
        xs = arrays(SHAPES, dtype)
        (y,), _ = check.run("amp.sum_sq", None, xs, [((len(xs),), "float32")], shift=shift)
        np.testing.assert_allclose(y, [np.square(check.wide(x)).sum() for x in xs], rtol=2e-6)
    xs = arrays([(k % 5,) for k in range(250)], dtype)
    (y,), _ = check.run("amp.sum_sq", None, xs, [((250,), "float32")])
    np.testing.assert_allclose(y, [np.square(check.wide(x)).sum() for x in xs], rtol=2e-6)


def test_casts():
    xs = [np.arange(5, dtype="float16"), np.linspace(-1, 1, 7, dtype="float32"), np.arange(3, dtype="int32")]
    outs = [((5,), "float32"), ((7,), "float32"), ((3,), "int32")]
    ys, _ = check.run("amp.multicast", None, xs, outs)
    for x, y in zip(xs, ys):
        np.testing.assert_array_equal(x, y)


def test_other_dtypes_are_the_references():
    assert check.run("amp.all_finite", None, [np.zeros(3, "int32")], [((1,), "float32")]) is None
    assert check.run("amp.sum_sq", None, [np.zeros(3, "int32")], [((1,), "float32")]) is None


def test_operators_run_them_and_nobody_waits(gpus):
    import mxlite as mx
    xs = [mx.nd.array(x, ctx=mx.gpu(0)) for x in ([1, 2], [3.0], np.zeros((40, 50)), [1, np.inf])]
    waits = gpus.count("synchronize"), gpus.count("event.synchronize")
    good, squares = mx.nd.multi_all_finite(*xs[:3], num_arrays=3), mx.nd.multi_sum_sq(*xs[:3], num_arrays=3)
    bad, alone = mx.nd.multi_all_finite(*xs, num_arrays=4), mx.nd.all_finite(xs[0])
    assert waits == (gpus.count("synchronize"), gpus.count("event.synchronize"))
    assert [float(v.asnumpy()[0]) for v in (good, bad, alone)] == [1, 0, 1]
    np.testing.assert_array_equal(squares.asnumpy(), [5, 9, 0])
    assert len(list(family.MODULES())) == 4
