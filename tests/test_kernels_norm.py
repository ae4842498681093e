"""Batch normalization: literal values, all modes and axes, the moving statistics, and numerical stability."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxlite.ops.fused_norm import FusedBatchNorm, FusedBatchNormBackward
from mxlite.ops.record import RECORDS

from .kernel_calls import LEVELS, call, check, check_samples, kernel


def inputs(shape, axis, dtype="float32", seed=0, scale=1.0, offset=0.0):
    rng = np.random.default_rng(seed)
    c = shape[axis]
    parts = [rng.normal(offset, scale, shape), rng.uniform(0.5, 2, c), rng.normal(size=c), rng.normal(size=c),
             rng.uniform(0.5, 2, c)]
    return [x.astype(dtype) for x in parts]


def test_samples():
    check_samples({"norm"})


@pytest.mark.parametrize("isa", LEVELS)
@pytest.mark.parametrize("shape", [(3, 2), (3, 2, 1), (1, 2, 3)])
def test_forward_and_backward_by_hand(isa, shape):
    # Channel 0 holds 0, 0, 3 (mean 1, variance 2), channel 1 holds 2, 4, 6 (mean 4, variance 8/3).
    columns = np.array([[0, 0, 3], [2, 4, 6]], "float32")
    place = (lambda a: a.T.reshape(shape)) if shape[0] == 3 else (lambda a: a.reshape(shape))
    x, one, root = place(columns).copy(), np.ones(2, "float32"), np.sqrt(np.array([2, 8 / 3]))
    gamma, beta = np.array([2, 1], "float32"), np.array([0, 10], "float32")
    moving = [np.array([5, 6], "float32"), np.array([7, 8], "float32")]
    kept = [m.copy() for m in moving]
    kw = dict(eps=0.0, momentum=0.75, fix_gamma=False)
    y, mean, inv_std = kernel("BatchNorm", [x, gamma, beta, *moving], kw, isa)
    np.testing.assert_allclose(mean, [1, 4], rtol=1e-6)
    np.testing.assert_allclose(inv_std, 1 / root, rtol=1e-6)
    r = 1 / root[1]
    np.testing.assert_allclose(y, place(np.array([[-2 ** 0.5, -2 ** 0.5, 8 ** 0.5], [10 - 2 * r, 10, 10 + 2 * r]])),
                               rtol=1e-6, atol=1e-6)
    assert all(np.array_equal(m, k) for m, k in zip(moving, kept)), "forward must not move the statistics"

    dy = place(np.array([[1, 0, 0], [0, 0, 0]], "float32")).copy()
    dx, dgamma, dbeta = kernel("_backward_BatchNorm", [dy, x, gamma, mean, inv_std, *moving], kw, isa)
    np.testing.assert_allclose(dx, place(np.array([[0.5 ** 0.5, -0.5 ** 0.5, 0], [0, 0, 0]])), atol=1e-6)
    np.testing.assert_allclose(dgamma, [-0.5 ** 0.5, 0], atol=1e-6)
    np.testing.assert_allclose(dbeta, [1, 0], atol=1e-6)
    np.testing.assert_allclose(moving[0], [0.75 * 5 + 0.25 * 1, 0.75 * 6 + 0.25 * 4], rtol=1e-6)
    np.testing.assert_allclose(moving[1], [0.75 * 7 + 0.25 * 2, 0.75 * 8 + 0.25 * 8 / 3], rtol=1e-6)

    # In predict mode, and with use_global_stats, the statistics are constants and stay.
    for params, is_train in ((kw, False), (dict(kw, use_global_stats=True), True)):
        y, mean, inv_std = kernel("BatchNorm", [x, one, one, *kept], params, isa, is_train=is_train)
        np.testing.assert_allclose(mean, kept[0])
        np.testing.assert_allclose(y, place((columns - [[5], [6]]) / np.sqrt([[7], [8]]) + 1), rtol=1e-5)
        own = [k.copy() for k in kept]
        other = np.full(2, 50, "float32")   # what forward saved plays no part here
        dx, dgamma, dbeta = kernel("_backward_BatchNorm", [dy, x, gamma, other, other, *own], params, isa,
                                   is_train=is_train)
        np.testing.assert_allclose(dx, dy * 2 / np.sqrt(7), rtol=1e-6)
        np.testing.assert_allclose(dgamma, [-5 / np.sqrt(7), 0], rtol=1e-6)
        assert all(np.array_equal(m, k) for m, k in zip(own, kept))


def test_fixed_gamma_counts_as_one_and_gets_no_gradient():
    xs = inputs((4, 3, 5), 1)
    free = [xs[0], np.ones(3, "float32"), *xs[2:]]
    y, mean, inv_std = kernel("BatchNorm", xs, {"fix_gamma": True})
    np.testing.assert_array_equal(y, kernel("BatchNorm", free, {"fix_gamma": False})[0])
    back = [np.ones_like(y), xs[0], xs[1], mean, inv_std, xs[3], xs[4]]
    assert not kernel("_backward_BatchNorm", back, {"fix_gamma": True})[1].any()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=4), st.data())
def test_any_shape_and_axis(shape, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    kw = dict(axis=axis, fix_gamma=data.draw(st.booleans()), use_global_stats=data.draw(st.booleans()), eps=0.1)
    is_train = data.draw(st.booleans())
    xs = inputs(tuple(shape), axis, dtype)
    y, mean, inv_std = check("BatchNorm", xs, kw, is_train=is_train)
    dy = np.random.default_rng(1).normal(size=shape).astype(dtype)
    check("_backward_BatchNorm", [dy, xs[0], xs[1], mean, inv_std, *xs[3:]], kw, is_train=is_train,
          tol=1e-4 if dtype == "float32" else None)


@pytest.mark.parametrize("shape, axis", [((5, 3, 47, 131), 1), ((3000, 70), 1), ((2, 3, 5000), 1), ((900, 300), 1),
                                         ((64, 5, 7, 7), 1), ((3, 40, 50, 33), 3), ((7, 2, 2), 0)])
def test_sizes_across_chunks_and_blocks(shape, axis):
    xs = inputs(shape, axis)
    kw = dict(axis=axis, fix_gamma=False)
    y, mean, inv_std = check("BatchNorm", xs, kw, tol=1e-4)
    dy = np.random.default_rng(1).normal(size=shape).astype("float32")
    check("_backward_BatchNorm", [dy, xs[0], xs[1], mean, inv_std, *xs[3:]], kw, tol=2e-3)


@pytest.mark.parametrize("shape", [(16, 2, 300), (5000, 2), (400, 2, 3)])
def test_variance_far_from_zero(shape):
    """A mean 10^4 deviations away from zero costs no more than the rounding of the data itself."""
    xs = inputs(shape, 1, scale=1e-2, offset=100.0)
    for isa in LEVELS:
        _, mean, inv_std = kernel("BatchNorm", xs, {"eps": 0.0}, isa)
        x = xs[0].astype("float64").swapaxes(0, 1).reshape(2, -1)
        np.testing.assert_allclose(inv_std, 1 / x.std(axis=1), rtol=1e-5)
        np.testing.assert_allclose(mean, x.mean(axis=1), rtol=1e-6)


@pytest.mark.parametrize("shape", [(4, 2, 1000), (2, 3, 5000), (100, 3, 40)])
def test_channels_that_begin_far_from_their_mean(shape):
    """Sums run around the mean of the first elements, then of those before; where that is far off, around their own."""
    xs = inputs(shape, 1, scale=1e-2, offset=1000.0)
    xs[0][0, :, :32] = 0
    for isa in LEVELS:
        _, mean, inv_std = kernel("BatchNorm", xs, {"eps": 0.0}, isa)
        x = xs[0].astype("float64").swapaxes(0, 1).reshape(shape[1], -1)
        np.testing.assert_allclose(inv_std, 1 / x.std(axis=1), rtol=3e-7)
        np.testing.assert_allclose(mean, x.mean(axis=1), rtol=3e-7)


def test_aliased_and_unread_outputs():
    for shape in ((4, 3, 5), (6, 40)):
        xs = inputs(shape, 1)
        y, mean, inv_std = kernel("BatchNorm", xs, {})
        own = [x.copy() for x in xs]
        np.testing.assert_array_equal(kernel("BatchNorm", own, {}, into={0: own[0]}, unread=(1, 2))[0], y)
        back = [np.random.default_rng(2).normal(size=shape).astype("float32"), xs[0], xs[1], mean, inv_std, *xs[3:]]
        dx = kernel("_backward_BatchNorm", [b.copy() for b in back], {})[0]
        for target in (0, 1):
            own = [b.copy() for b in back]
            np.testing.assert_array_equal(
                kernel("_backward_BatchNorm", own, {}, into={0: own[target]}, unread=(1, 2))[0], dx)


def test_half_precision_keeps_float32_statistics():
    op = RECORDS["BatchNorm"]
    p = op.parse({})
    assert op.infer_dtype(p, ["float16"] + [None] * 4, [None] * 3) == (
        ["float16"] + ["float32"] * 4, ["float16", "float32", "float32"])
    with pytest.raises(ValueError, match="float32, not float16"):
        op.infer_dtype(p, ["float16", "float16", None, None, None], [None] * 3)
    with pytest.raises(ValueError, match="out of range"):
        op.infer(op.parse({"axis": 3}), [(2, 3, 4)] + [None] * 4, [None] * 3)


def test_old_name_shows_the_variance():
    op = RECORDS["BatchNorm_v1"]
    p = op.parse({"output_mean_var": True, "eps": 0.0})
    xs = [np.array([[0], [0], [3]], "float32"), *(np.full(1, v, "float32") for v in (1, 0, 5, 7))]
    y, mean, var, inv_std = op.ref(np, p, *xs, is_train=True)
    np.testing.assert_allclose([mean[0], var[0], inv_std[0]], [1, 2, 0.5 ** 0.5], rtol=1e-6)
    y, mean, var, inv_std = op.ref(np, p, *xs, is_train=False)
    np.testing.assert_allclose([mean[0], var[0], inv_std[0]], [5, 7, 7 ** -0.5], rtol=1e-6)
    assert op.n_visible(p) == 3 and op.n_mxnet_outputs(p) == 3 and len(op.output_names(op.parse({}))) == 3
    with pytest.raises(ValueError, match="two or four axes"):
        op.infer(p, [(2, 3, 4)] + [None] * 4, [None] * 4)


# -- with what comes behind it --------------------------------------------------------------------------------------
class FORWARD(FusedBatchNorm, registered=False):
    """With the rules that a record needs to be called by itself."""

    def infer(p, ins, outs):
        return ins, [ins[0], ins[1], ins[1]]

    def infer_dtype(p, ins, outs):
        return ins, [ins[0]] * 3


class BACKWARD(FusedBatchNormBackward, registered=False):
    """The same."""

    def infer(p, ins, outs):
        return ins, [ins[0], ins[2], ins[2], ins[0]]

    def infer_dtype(p, ins, outs):
        return ins, [ins[0]] * 4


def agree(op, xs, params, tol, **kw):
    """Kernel against the float64 reference at every level, with one thread and two; the last one's outputs."""
    p = op.parse(params)
    wide = [x.astype("float64") for x in xs]
    want = [np.asarray(y) for y in op.ref(np, p, *wide, is_train=kw.get("is_train", True))] + wide
    first = {}
    for isa in LEVELS:
        for threads in (1, 2):
            own = [x.copy() for x in xs]
            ys, rc = call(op, own, params, isa, threads, **kw)
            assert rc == 0
            for i, (got, w) in enumerate(zip(ys + own, want)):
                np.testing.assert_allclose(got, w, rtol=tol, atol=tol, err_msg=f"{params} part {i} level {isa}")
                np.testing.assert_array_equal(got, first.setdefault((isa, i), got), err_msg="depends on threads")
    return ys


@settings(max_examples=60, deadline=None)
@given(shape=st.sampled_from([(3, 2), (5, 70), (2, 3, 7), (1, 2, 65), (4, 5, 3, 11), (9, 33, 49), (2, 3, 2100), (70, 1),
                              (0, 3, 2), (2, 18, 60), (5, 3, 16)]),
       act=st.sampled_from([(0, 0, 0), (1, 0, 0), (2, -0.5, 0.75)]), residual=st.booleans(),
       is_train=st.booleans(), fix_gamma=st.booleans(), dtype=st.sampled_from(["float32", "float64"]))
def test_epilogue_and_its_gradient(shape, act, residual, is_train, fix_gamma, dtype):
    tol = 1e-4 if dtype == "float32" else 1e-9
    xs = inputs(shape, 1, dtype, seed=sum(shape))
    rng = np.random.default_rng(3)
    if residual:
        xs.insert(3, rng.normal(size=shape).astype(dtype))
    kw = dict(fix_gamma=fix_gamma, eps=0.1)
    y, mean, inv_std = agree(FORWARD, xs, dict(kw, act=act[0], lo=act[1], hi=act[2], residual=residual), tol,
                             is_train=is_train)
    dy = rng.normal(size=shape).astype(dtype)
    agree(BACKWARD, [dy, xs[0], xs[1], mean, inv_std, y, *xs[-2:]], kw, 10 * tol, is_train=is_train)


def test_epilogue_keeps_nan_and_its_gradient_is_that_of_relu():
    x = np.array([[1, -1, np.nan, 0], [3, -3, 1, 0]], "float32").T.reshape(4, 2)
    xs = [x, *(np.full(2, v, "float32") for v in (1, 0, 0, 1))]
    for isa in LEVELS:
        y, *stats = call(FORWARD, [a.copy() for a in xs], {"act": 1, "eps": 1e-9}, isa, is_train=False)[0]
        np.testing.assert_allclose(y, [[1, 3], [0, 0], [np.nan, 1], [0, 0]])
        y = call(FORWARD, [a.copy() for a in xs], {"act": 2, "lo": -0.5, "hi": 2, "eps": 1e-9}, isa,
                 is_train=False)[0][0]
        np.testing.assert_allclose(y, [[1, 2], [-0.5, -0.5], [np.nan, 1], [0, 0]])
        dy = np.full((4, 2), 7, "float32")
        back = [dy, np.zeros((4, 2), "float32"), xs[1], *stats, np.maximum(x, 0), *xs[3:]]
        masked = call(BACKWARD, back, {}, isa, is_train=False)[0][3]
        np.testing.assert_array_equal(masked, [[7, 7], [0, 0], [np.nan, 7], [0, 0]])


@pytest.mark.parametrize("shape", [(4, 3, 50), (6, 40)])
@pytest.mark.parametrize("isa", LEVELS)
def test_epilogue_in_place_and_unread(shape, isa):
    rng = np.random.default_rng(4)
    xs = inputs(shape, 1)
    xs.insert(3, rng.normal(size=shape).astype("float32"))
    kw = dict(act=1, residual=True, fix_gamma=False)
    y, mean, inv_std = call(FORWARD, [x.copy() for x in xs], kw, isa)[0]
    for target in (0, 3):
        own = [x.copy() for x in xs]
        np.testing.assert_array_equal(call(FORWARD, own, kw, isa, into={0: own[target]}, unread=(1, 2))[0][0], y)
    back = [rng.normal(size=shape).astype("float32"), xs[0], xs[1], mean, inv_std, y, *xs[4:]]
    want = call(BACKWARD, [b.copy() for b in back], {}, isa)[0]
    places = (0, 1, 5)
    for dx in places:
        for masked in (p for p in places if p != dx):
            own = [b.copy() for b in back]
            got = call(BACKWARD, own, {}, isa, into={0: own[dx], 3: own[masked]}, unread=(1, 2))[0]
            np.testing.assert_array_equal(got[0], want[0])
            np.testing.assert_array_equal(got[3], want[3])
    own = [b.copy() for b in back]
    got = call(BACKWARD, own, {}, isa, unread=(0, 3))[0]
    np.testing.assert_array_equal(got[1], want[1])
    got = call(BACKWARD, [b.copy() for b in back], {}, isa, unread=(0,))[0]
    np.testing.assert_array_equal(got[3], want[3])


def test_results_that_go_past_the_caches():
    """Large ones are stored another way; whole lines and what is left of them at both ends of a run."""
    shape = (9, 7, 70001)
    xs = inputs(shape, 1)
    wide = [x.astype("float64") for x in xs]
    p = FORWARD.parse({"act": 1})
    for is_train in (True, False):
        want = FORWARD.ref(np, p, *wide, is_train=is_train)[0]
        for threads in (1, 2):
            y = call(FORWARD, [x.copy() for x in xs], {"act": 1}, None, threads, is_train=is_train)[0]
            np.testing.assert_allclose(y[0], want, rtol=1e-4, atol=1e-4)
    dx = call(RECORDS["_backward_BatchNorm"], [xs[0], xs[0], xs[1], y[1], y[2], *xs[3:]], {}, None, 2)[0][0]
    want = RECORDS["_backward_BatchNorm"].ref(np, RECORDS["_backward_BatchNorm"].parse({}), wide[0], wide[0], wide[1],
                                              y[1].astype("float64"), y[2].astype("float64"), *wide[3:], is_train=True)
    np.testing.assert_allclose(dx, want[0], rtol=1e-3, atol=1e-3)
