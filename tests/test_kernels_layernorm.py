"""LayerNorm, InstanceNorm, GroupNorm, L2Normalization and LRN: literal values, all layouts, shapes across the kernels'
chunks and blocks, numerical stability, outputs that nobody reads."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mxlite as mx
from mxlite._core import kernels
from mxlite.ops.record import RECORDS

from .kernel_calls import LEVELS, call, check, check_samples, kernel, reference


def draw(seed, *shapes, dtype="float32", scale=1.0, offset=0.0):
    rng = np.random.default_rng(seed)
    return [rng.normal(offset, scale, s).astype(dtype) for s in shapes]


def both(name, shape, params, groups, dtype="float32", tol=None, seed=0, **kw):
    """Forward and backward of a normalization with gamma and beta, against the references."""
    x, gamma, beta, dy = draw(seed, shape, groups, groups, shape, dtype=dtype, **kw)
    check(name, [x, gamma, beta], params, tol)
    back = {k: v for k, v in params.items() if k != "output_mean_var"}
    # dgamma adds up as many terms as a group has elements
    tol = tol or (2e-5 * max(1, (x.size / max(gamma.size, 1)) ** 0.5 / 16) if dtype == "float32" else None)
    check("_backward_" + name, [dy, x, gamma], back, tol)


def test_samples():
    check_samples({"layer_norm", "l2_normalization", "lrn", "moments"})


@pytest.mark.parametrize("isa", LEVELS)
def test_layer_norm_by_hand(isa):
    # Rows 0, 0, 3 (mean 1, variance 2) and 2, 4, 6 (mean 4, variance 8/3); eps makes the roots 2 and 2.
    for axis in (0, 1):
        turn = np.transpose if axis == 0 else np.asarray
        x = np.ascontiguousarray(turn(np.array([[0, 0, 3], [2, 4, 6]], "float32")))
        gamma, beta = np.array([1, 2, 4], "float32"), np.array([0, 10, -1], "float32")
        kw = {"axis": axis, "eps": 2.0, "output_mean_var": True}
        y, mean, std = kernel("LayerNorm", [x, gamma, beta], kw, isa)
        np.testing.assert_allclose(mean.ravel(), [1, 4], rtol=1e-6)
        np.testing.assert_allclose(std.ravel(), [2, (14 / 3) ** 0.5], rtol=1e-6)
        r = (3 / 14) ** 0.5
        np.testing.assert_allclose(y, turn([[-0.5, 9, 3], [-2 * r, 10, 8 * r - 1]]), rtol=1e-5)
        dy = np.ascontiguousarray(turn(np.array([[1, 0, 0], [0, 0, 0]], "float32")))
        dx, dgamma, dbeta = kernel("_backward_LayerNorm", [dy, x, gamma], {"axis": axis, "eps": 2.0}, isa)
        # normal = -1/2, -1/2, 1; g = 1, 0, 0: dx = (g - 1/3 + normal / 6) / 2
        np.testing.assert_allclose(dx, turn([[7 / 24, -5 / 24, -1 / 12], [0, 0, 0]]), rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(dgamma, [-0.5, 0, 0], rtol=1e-6)
        np.testing.assert_allclose(dbeta, [1, 0, 0])


@pytest.mark.parametrize("isa", LEVELS)
def test_groups_by_hand(isa):
    # One sample, two channels: 0, 2 and 4, 10.
    x = np.array([[[0, 2], [4, 10]]], "float32")
    y, = kernel("InstanceNorm", [x, np.array([1, 2], "float32"), np.array([0, 5], "float32")], {"eps": 0.0}, isa)
    np.testing.assert_allclose(y, [[[-1, 1], [3, 7]]], rtol=1e-6)
    y, mean, std = kernel("GroupNorm", [x, np.array([2], "float32"), np.array([1], "float32")],
                          {"num_groups": 1, "eps": 2.0, "output_mean_var": True}, isa)
    np.testing.assert_allclose((mean, std), [[[4]], [[4]]], rtol=1e-6)      # variance 14
    np.testing.assert_allclose(y, [[[-1, 0], [1, 4]]], atol=1e-6)


@pytest.mark.parametrize("isa", LEVELS)
def test_l2_by_hand(isa):
    x = np.array([[[3, 0], [4, 1]], [[0, 2], [0, 0]]], "float32")
    for mode, norms in (("channel", [[[5, 1]], [[1, 2]]]), ("spatial", [[[3], [17 ** 0.5]], [[2], [1]]]),
                        ("instance", [[[26 ** 0.5]], [[2]]])):
        y, = kernel("L2Normalization", [x], {"mode": mode, "eps": 1e-12}, isa)
        np.testing.assert_allclose(y, x / np.array(norms), rtol=1e-6)
    dx, = kernel("_backward_L2Normalization", [np.array([[1, 0]], "float32"), np.array([[3, 4]], "float32")], {}, isa)
    np.testing.assert_allclose(dx, [[16 / 125, -12 / 125]], rtol=1e-5)


@pytest.mark.parametrize("isa", LEVELS)
def test_lrn_by_hand(isa):
    x = np.array([[[1], [2], [3], [4]]], "float32")
    for size, sums in ((1, [1, 4, 9, 16]), (2, [1, 4, 9, 16]), (3, [5, 14, 29, 25]), (4, [5, 14, 29, 25]),
                       (9, [30, 30, 30, 30])):
        y, = kernel("LRN", [x], {"nsize": size, "alpha": 2.0 * size, "knorm": 1.0, "beta": 0.5}, isa)
        np.testing.assert_allclose(y.ravel(), x.ravel() / (1 + 2 * np.array(sums)) ** 0.5, rtol=1e-5)
    dx, = kernel("_backward_LRN", [np.array([[[0], [1], [0]]], "float32"), x[:, :3]],
                 {"nsize": 3, "alpha": 3.0, "knorm": 4.0, "beta": 1.0}, isa)
    # y_1 = x_1 / n with n = 4 + 1 + 4 + 9 = 18
    np.testing.assert_allclose(dx.ravel(), [-2 * 2 / 324, 1 / 18 - 2 * 4 / 324, -2 * 6 / 324], rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 7), min_size=1, max_size=4), st.data())
def test_layer_norm_any_shape_and_axis(shape, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    both("LayerNorm", tuple(shape), {"axis": axis, "eps": 0.1, "output_mean_var": data.draw(st.booleans())},
         (shape[axis],), dtype, 1e-4 if dtype == "float32" else None)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=4), st.data())
def test_other_norms_any_shape(shape, data):
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    tol = 1e-4 if dtype == "float32" else None
    deep = tuple(shape[:1] + [max(shape[1], 1)] + shape[2:] + [3])
    both("InstanceNorm", deep, {"eps": 0.1}, (deep[1],), dtype, tol)
    groups = data.draw(st.sampled_from([g for g in range(1, deep[1] + 1) if deep[1] % g == 0]))
    both("GroupNorm", deep, {"eps": 0.1, "num_groups": groups}, (groups,), dtype, tol)
    x, dy = draw(1, deep, deep, dtype=dtype)
    mode = data.draw(st.sampled_from(["instance", "channel", "spatial"]))
    check("L2Normalization", [x], {"mode": mode, "eps": 0.1}, tol)
    check("_backward_L2Normalization", [dy, x], {"mode": mode, "eps": 0.1}, tol)
    x, dy = draw(2, tuple(shape), tuple(shape), dtype=dtype)
    kw = {"nsize": data.draw(st.integers(1, 9)), "alpha": 2.0, "beta": data.draw(st.sampled_from([0.75, 0.5, 2.0])),
          "knorm": data.draw(st.sampled_from([0.3, 1.0]))}
    check("LRN", [x], kw, tol)
    check("_backward_LRN", [dy, x], kw, tol)


@pytest.mark.parametrize("shape, axis", [((70, 33), 1), ((1500, 40), -1), ((9, 5000), 1), ((3, 2048), 1),
                                         ((3, 40, 300), 1), ((70, 9, 5), 1), ((2, 100, 513), 1), ((600, 7), 0)])
def test_layer_norm_across_chunks_and_blocks(shape, axis):
    both("LayerNorm", shape, {"axis": axis, "output_mean_var": True}, (shape[axis],))
    both("LayerNorm", shape, {"axis": axis}, (shape[axis],), "float64")


@pytest.mark.parametrize("shape", [(3, 4, 5000), (70, 6, 9), (2, 2, 33, 65)])
def test_groups_across_chunks(shape):
    both("InstanceNorm", shape, {}, (shape[1],))
    both("GroupNorm", shape, {"num_groups": 2}, (2,))


@pytest.mark.parametrize("shape", [(3, 6000), (2, 40, 520), (70, 3, 70), (3, 33, 1)])
def test_l2_across_chunks(shape):
    x, dy = draw(4, shape, shape)
    for mode in ("instance", "channel", "spatial") if len(shape) > 2 else ("instance",):
        check("L2Normalization", [x], {"mode": mode})
        check("_backward_L2Normalization", [dy, x], {"mode": mode})


@pytest.mark.parametrize("shape, size", [((2, 5, 700), 3), ((2, 40, 300), 17), ((1, 80, 150), 33), ((1, 9, 70), 64),
                                         ((40, 8, 2), 5), ((2, 70, 65), 64)])
def test_lrn_across_tiles(shape, size):
    x, dy = draw(5, shape, shape)
    for beta in (0.75, 0.6):
        kw = {"nsize": size, "alpha": 3.0, "beta": beta}
        check("LRN", [x], kw)
        check("_backward_LRN", [dy, x], kw)


def test_what_the_lrn_kernels_leave_to_the_reference():
    op = RECORDS["LRN"]
    for kw in ({"nsize": 65}, {"nsize": 3, "knorm": 0.0}, {"nsize": 3, "knorm": -1.0}, {"nsize": 3, "alpha": -1.0}):
        assert op.cpu(op.parse(kw)) is None and RECORDS["_backward_LRN"].cpu(op.parse(kw)) is None
    assert op.cpu(op.parse({"nsize": 64})) == op.cpu(op.parse({"nsize": 63})) == "lrn.lrn"
    x = mx.nd.array(np.array([[1.0, 2.0]]))
    np.testing.assert_allclose(mx.nd.LRN(x, nsize=1, knorm=-2, alpha=1, beta=1).asnumpy(), [[-1, 1]])


@pytest.mark.parametrize("isa", LEVELS)
def test_large_means_do_not_cancel(isa):
    x, gamma, beta = draw(6, (4, 1000), 1000, 1000)
    x64 = x.astype("float64") + 3e4
    x = x64.astype("float32")
    want = reference("LayerNorm", [x.astype("float64"), gamma.astype("float64"), beta.astype("float64")], {})[0]
    got, = kernel("LayerNorm", [x, gamma, beta], {}, isa)
    np.testing.assert_allclose(got, want, atol=5e-3)
    turned, = kernel("LayerNorm", [np.ascontiguousarray(x.T), gamma, beta], {"axis": 0}, isa)
    np.testing.assert_allclose(turned.T, want, atol=5e-3)


@pytest.mark.parametrize("isa", LEVELS)
@pytest.mark.parametrize("n", [1000, 2048, 5000])
def test_rows_that_begin_far_from_their_mean(n, isa):
    """Sums run around the mean of a row's first elements; where that is far off, around the mean proper."""
    x, gamma, beta, dy = draw(6, (4, n), n, n, (4, n))
    x = x / 100 + 1000
    x[:, :32] = 0
    wide = [a.astype("float64") for a in (x, gamma, beta)]
    kw = {"output_mean_var": True, "eps": 1e-9}
    for got, want in zip(kernel("LayerNorm", [x, gamma, beta], kw, isa)[1:], reference("LayerNorm", wide, kw)[1:]):
        np.testing.assert_allclose(got, want, rtol=3e-7)
    dx = kernel("_backward_LayerNorm", [dy, x, gamma], {"eps": 1e-9}, isa)[0]
    want = reference("_backward_LayerNorm", [dy.astype("float64"), *wide[:2]], {"eps": 1e-9})[0]
    np.testing.assert_allclose(dx, want, atol=1e-6 * np.abs(want).max())


@pytest.mark.parametrize("n", [1024, 1030, 4200000])
def test_results_that_go_past_the_caches(n):
    """Large ones are stored another way, whole lines and what is left at both ends of a row; half of the rows are not
    large yet. So for a result that is written over the data."""
    rows = max(2, (1 << 22) // n + 2) // 2 * 2
    x, gamma, beta, dy = draw(9, (rows, n), n, n, (rows, n))
    half = rows // 2
    for name, xs, more in (("LayerNorm", [x], [gamma, beta]), ("_backward_LayerNorm", [dy, x], [gamma])):
        whole = kernel(name, xs + more, {})[0]
        assert whole.nbytes >= 1 << 24 and whole.nbytes // 2 < 1 << 24 or n > 1 << 22
        for part in (slice(None, half), slice(half, None)):
            want = kernel(name, [a[part].copy() for a in xs] + more, {})[0]
            np.testing.assert_allclose(whole[part], want, rtol=2e-6, atol=2e-6)
        own = [a.copy() for a in xs]
        call(RECORDS[name], own + more, {}, into={0: own[0]})
        np.testing.assert_allclose(own[0], whole, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("isa", LEVELS)
def test_nan_stays_in_its_row(isa):
    x, gamma, beta = draw(7, (3, 40), 40, 40)
    x[1, 5] = np.nan
    y, = kernel("LayerNorm", [x, gamma, beta], {}, isa)
    assert np.isnan(y[1]).all() and np.isfinite(y[[0, 2]]).all()
    y, = kernel("L2Normalization", [x], {}, isa)
    assert np.isnan(y[1]).all() and np.isfinite(y[[0, 2]]).all()
    y, = kernel("LRN", [x], {"nsize": 3}, isa)
    assert np.isnan(y[1, 4:7]).all() and np.isnan(y).sum() == 3


@pytest.mark.parametrize("shape, axis", [((100, 30), 1), ((4, 30, 20), 1)])
def test_outputs_that_nobody_reads(shape, axis):
    x, dy, gamma, beta = draw(8, shape, shape, shape[axis], shape[axis])
    full = kernel("LayerNorm", [x, gamma, beta], {"axis": axis, "output_mean_var": True})
    back = kernel("_backward_LayerNorm", [dy, x, gamma], {"axis": axis})
    for name, xs, kw, want in (("LayerNorm", [x, gamma, beta], {"output_mean_var": True}, full),
                               ("_backward_LayerNorm", [dy, x, gamma], {}, back)):
        for left in (0, 1, 2):
            ys = kernel(name, xs, {"axis": axis, **kw}, unread=(left,))
            for i in {0, 1, 2} - {left}:
                np.testing.assert_array_equal(ys[i], want[i])
        ys = kernel(name, xs, {"axis": axis, **kw}, unread=(1, 2))
        np.testing.assert_array_equal(ys[0], want[0])


def test_half_precision_runs_on_the_reference():
    x, gamma, beta = draw(9, (3, 4, 5), 5, 5)
    y = mx.nd.LayerNorm(mx.nd.array(x).astype("float16"), mx.nd.array(gamma).astype("float16"),
                        mx.nd.array(beta).astype("float16"))
    assert y.dtype == np.float16
    np.testing.assert_allclose(y.asnumpy(), reference("LayerNorm", [x, gamma, beta], {})[0], atol=1e-2)


def test_packers_refuse_what_kernels_cannot_take():
    pack = kernels.lookup("lrn.lrn")[1]
    good = dict(outer=1, channels=2, inner=3, reach=1, alpha=1.0, beta=1.0, knorm=1.0)
    assert pack(good)
    for bad in ({**good, "reach": 32}, {**good, "reach": -1}, {"outer": 1}):
        with pytest.raises(ValueError):
            pack(bad)
    pack = kernels.lookup("layernorm.layer_norm")[1]
    with pytest.raises(ValueError):
        pack(dict(outer=1, groups=1, inner=1, axis=0, blocks=1, eps=1.0))
    with pytest.raises(ValueError):
        pack(dict(outer=1, groups=1, inner=1, axis=1, blocks=0, eps=1.0))
    with pytest.raises(ValueError):
        kernels.lookup("l2norm.l2_norm")[1]({"outer": 1})


@pytest.mark.parametrize("call, message", [
    (lambda x: mx.nd.LayerNorm(x, x, x, axis=3), "axis 3 is out of range"),
    (lambda x: mx.nd.LayerNorm(x, x, x), "gamma|differ"),
    (lambda x: mx.nd.InstanceNorm(x[0], x[0, 0], x[0, 0]), "at least three axes"),
    (lambda x: mx.nd.GroupNorm(x, x[0, 0], x[0, 0], num_groups=2), "do not fall into 2 equal groups"),
    (lambda x: mx.nd.GroupNorm(x, x[0, 0], x[0, 0], num_groups=0), "num_groups"),
    (lambda x: mx.nd.L2Normalization(x[0], mode="spatial"), "needs at least 3 axes"),
    (lambda x: mx.nd.L2Normalization(x, mode="batch"), "mode"),
    (lambda x: mx.nd.LRN(x), "nsize"), (lambda x: mx.nd.LRN(x, nsize=0), "nsize"),
    (lambda x: mx.nd.LRN(x[0, 0], nsize=3), "at least two axes"), (lambda x: mx.nd.moments(x), "axes must be given"),
    (lambda x: mx.nd.moments(x, axes=(0, 0)), "twice"), (lambda x: mx.nd.moments(x, axes=5), "out of range"),
    (lambda x: mx.nd.LayerNorm(x.astype("int32"), x[0, 0].astype("int32"), x[0, 0].astype("int32")), "floating"),
    (lambda x: mx.nd.LayerNorm(x, x[0, 0].astype("float64"), x[0, 0]), "one dtype")])
def test_bad_calls_are_errors(call, message):
    with pytest.raises(mx.MXNetError, match=message):
        call(mx.nd.ones((2, 3, 4)))


def test_integer_moments_are_truncated():
    x = mx.nd.array([[1, 2], [4, -9], [5, 0]], dtype="int32")
    mean, var = mx.nd.moments(x, axes=(0,))
    assert mean.dtype == var.dtype == np.int32
    np.testing.assert_array_equal(mean.asnumpy(), [3, -2])      # 10 / 3, -7 / 3
    np.testing.assert_array_equal(var.asnumpy(), [3, 23])       # (4 + 1 + 4) / 3, (16 + 49 + 4) / 3
