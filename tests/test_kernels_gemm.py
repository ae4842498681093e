"""The matrix-product kernel: literal values, every shape class, every level, any number of threads."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxlite._core import cpu, kernelcall, kernels
from mxlite._core.convert import from_bfloat16, to_bfloat16
from mxlite.ops import dot as rules
from mxlite.ops.record import RECORDS

from . import guard_pages
from .kernel_calls import LEVELS, run_kernel

SIZES = st.one_of(st.integers(0, 9), st.sampled_from([15, 16, 17, 47, 48, 49, 95, 97, 130]))


def test_literal():
    a, b = np.array([[1, 2], [3, 4]], "f4"), np.array([[5, 6], [7, 8]], "f4")
    dot = RECORDS["dot"]
    assert run_kernel(dot, [a, b])[0].tolist() == [[19, 22], [43, 50]]
    assert run_kernel(dot, [a, b], transpose_a=True)[0].tolist() == [[26, 30], [38, 44]]
    assert run_kernel(dot, [a, b], transpose_b=True)[0].tolist() == [[17, 23], [39, 53]]
    assert run_kernel(dot, [a[0], b[0]])[0].tolist() == [17]
    bias = np.array([10, 20, 30], "f4")
    w = np.array([[1, 0], [0, 1], [1, 1]], "f4")
    assert run_kernel(RECORDS["FullyConnected"], [a, w, bias], num_hidden=3)[0].tolist() == [[11, 22, 33], [13, 24, 37]]


def test_axes_of_dot():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(4, 2, 3)), rng.normal(size=(5, 6, 4))
    got = run_kernel(RECORDS["dot"], [a, b], transpose_a=True, transpose_b=True)[0]
    np.testing.assert_allclose(got, np.einsum("kab,cdk->abcd", a, b), rtol=1e-12)


def test_nan_and_infinity_stay():
    a = np.zeros((9, 9), "f4")
    a[3, 4] = np.nan
    a[5, 6] = np.inf
    y = run_kernel(RECORDS["dot"], [a, np.ones((9, 50), "f4")])[0]
    assert np.isnan(y[3]).all() and np.isinf(y[5]).all() and not y[[0, 1, 2, 4, 6, 7, 8]].any()


@settings(max_examples=120, deadline=None)
@given(m=SIZES, n=SIZES, k=st.one_of(SIZES, st.sampled_from([255, 256, 257, 600])), ta=st.booleans(), tb=st.booleans(),
       level=st.sampled_from(LEVELS), dtype=st.sampled_from(["f4", "f8"]))
def test_any_shape(m, n, k, ta, tb, level, dtype):
    rng = np.random.default_rng(m * 7919 + n * 31 + k)
    a = rng.uniform(-1, 1, (k, m) if ta else (m, k)).astype(dtype)
    b = rng.uniform(-1, 1, (n, k) if tb else (k, n)).astype(dtype)
    want = (a.T if ta else a).astype("f8") @ (b.T if tb else b).astype("f8")
    got = [run_kernel(RECORDS["dot"], [a, b], level, threads, transpose_a=ta, transpose_b=tb)[0] for threads in (1, 2)]
    np.testing.assert_allclose(got[0], want, rtol=0, atol=(3e-6 if dtype == "f4" else 1e-13) * max(1, k) ** 0.5)
    assert np.array_equal(*got), "the result depends on the number of threads"


def product(a, b, ta=False, tb=False, level=None, threads=1, bias=None, residual=None, act=0, lo=0.0, hi=0.0,
            prepared=False, in_place=False, dtype=None):
    """act(op(a) op(b) + bias + residual) by ``gemm.gemm``, two matrices or two batches of them. The output lies between
    guards, on top of the residual with `in_place`."""
    m, k = a.shape[-2:][::-1] if ta else a.shape[-2:]
    n, batch = b.shape[-2 if tb else -1], a.shape[0] if a.ndim == 3 else 1
    gemm, pack = kernels.lookup("gemm.gemm")
    args = rules.gemm_args(m, n, k, ta, tb, batch, bias=int(bias is not None), residual=int(residual is not None),
                           act=act, lo=lo, hi=hi, prepared=int(prepared))
    before, most = cpu.get_isa(), cpu.get_threads()
    cpu.set_isa(before if level is None else level)
    cpu.set_threads(max(most, threads))
    tag = (lambda x: (x, dtype)) if dtype == "bfloat16" else lambda x: x
    try:
        if prepared:
            packed = np.full(rules.packed_size(n, k), 99, b.dtype)
            rc = kernelcall.call(kernels.lookup("gemm.pack_weight")[0], [b], [packed], pack(args), threads=threads)
            assert rc == 0
            b = packed
        room = np.full(batch * m * n + 128, 77, a.dtype)
        y = room[64:room.size - 64].reshape(*a.shape[:-2], m, n)
        if in_place:
            y[...] = residual
            residual = y
        xs = [tag(x) for x in (a, b, bias, residual) if x is not None]
        work = rules.gemm_bytes(m, n, k, a.itemsize, threads, batch)
        assert kernelcall.call(gemm, xs, [tag(y)], pack(args), [], work, threads=threads) == 0
    finally:
        cpu.set_isa(before)
        cpu.set_threads(most)
    assert (room[:64] == 77).all() and (room[room.size - 64:] == 77).all(), "wrote beyond the output"
    return y


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("at_end", [True, False])
@pytest.mark.parametrize("ta,tb", [(False, False), (False, True), (True, False), (True, True)])
def test_touches_its_tensors_alone(level, at_end, ta, tb):
    """Tensors, outputs and the scratch of the rule's size lie against closed pages."""
    rng = np.random.default_rng(3)
    for m, n, k, batch, dtype in [
            (1, 70, 33, 1, "f4"), (70, 3, 33, 1, "f4"), (7, 13, 5, 1, "f4"), (9, 49, 513, 1, "f4"),
            (66, 97, 600, 1, "f4"), (13, 11, 7, 3, "f4"), (5, 9, 4097, 1, "f4"), (130, 50, 260, 1, "f8"),
            (6, 5, 3, 2, "f8"), (11, 50, 70, 1, "f2")]:
        a = rng.normal(size=(batch, k, m) if ta else (batch, m, k)).astype(dtype)
        b = rng.normal(size=(batch, n, k) if tb else (batch, k, n)).astype(dtype)
        args = rules.gemm_args(m, n, k, ta, tb, batch, bias=1, residual=1, act=1)
        bias, residual = rng.normal(size=n).astype(dtype), rng.normal(size=(batch, m, n)).astype(dtype)
        y, = guard_pages.run("gemm.gemm", [a, b, bias, residual], args, [(batch, m, n)],
                             rules.gemm_bytes(m, n, k, a.itemsize, 2, batch), level, 2, at_end)
        want = np.matmul((a.swapaxes(1, 2) if ta else a).astype("f8"), (b.swapaxes(1, 2) if tb else b).astype("f8"))
        np.testing.assert_allclose(y, np.maximum(want + bias + residual, 0), atol=0.05 if dtype == "f2" else 1e-4,
                                   rtol=1e-3)
        if dtype != "f2":
            guard_pages.run("gemm.pack_weight", [b[0]], rules.gemm_args(m, n, k, ta, tb),
                            [(rules.packed_size(n, k),)], 0, level, 2, at_end)


LENGTHS = st.one_of(SIZES, st.sampled_from([255, 257, 511, 513, 1030]))


@settings(max_examples=150, deadline=None)
@given(m=SIZES, n=SIZES, k=LENGTHS, ta=st.booleans(), tb=st.booleans(), bias=st.booleans(), residual=st.booleans(),
       in_place=st.booleans(), prepared=st.booleans(), act=st.integers(0, 2), level=st.sampled_from(LEVELS),
       dtype=st.sampled_from(["f4", "f8"]))
def test_epilogue(m, n, k, ta, tb, bias, residual, in_place, prepared, act, level, dtype):
    rng = np.random.default_rng(m * 7919 + n * 31 + k)
    a = rng.uniform(-1, 1, (k, m) if ta else (m, k)).astype(dtype)
    b = rng.uniform(-1, 1, (n, k) if tb else (k, n)).astype(dtype)
    more = {"bias": rng.uniform(-1, 1, n).astype(dtype) if bias else None,
            "residual": rng.uniform(-1, 1, (m, n)).astype(dtype) if residual else None}
    want = (a.T if ta else a).astype("f8") @ (b.T if tb else b).astype("f8")
    for x in more.values():
        want = want if x is None else want + x
    want = want if act == 0 else np.maximum(want, 0) if act == 1 else np.clip(want, -0.5, 1)
    got = [product(a, b, ta, tb, level, threads, act=act, lo=-0.5, hi=1, prepared=prepared,
                   in_place=in_place and residual, **more) for threads in (1, 2)]
    np.testing.assert_allclose(got[0], want, rtol=0, atol=(3e-6 if dtype == "f4" else 1e-13) * max(1, k) ** 0.5)
    assert np.array_equal(*got), "the result depends on the number of threads"


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("act", [1, 2])
@pytest.mark.parametrize("m,n,k", [(1, 5, 3), (5, 1, 3), (9, 50, 30), (3, 4, 5000), (20, 30, 5000)])
def test_activations_keep_nan(level, act, m, n, k):
    a = np.ones((m, k), "f4")
    a[-1, 1] = np.nan
    y = product(a, np.ones((k, n), "f4"), level=level, act=act, lo=-1, hi=2)
    assert np.isnan(y[-1]).all() and not np.isnan(y[:-1]).any()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("m,n,k,ta,tb", [
    (6, 10, 9000, True, False), (33, 64, 4099, False, True), (90, 91, 17000, True, True), (5, 5, 4096, False, False)])
def test_long_sums(level, m, n, k, ta, tb):
    """Few elements, long sums: made in parts, which makes them more exact, and the same on any number of threads."""
    rng = np.random.default_rng(k)
    a = rng.uniform(-1, 1, (k, m) if ta else (m, k)).astype("f4")
    b = rng.uniform(-1, 1, (n, k) if tb else (k, n)).astype("f4")
    bias, residual = rng.uniform(-1, 1, n).astype("f4"), rng.uniform(-1, 1, (m, n)).astype("f4")
    want = (a.T if ta else a).astype("f8") @ (b.T if tb else b).astype("f8") + bias + residual
    got = [product(a, b, ta, tb, level, threads, bias=bias, residual=residual, in_place=threads == 2)
           for threads in (1, 2)]
    np.testing.assert_allclose(got[0], want, rtol=0, atol=1e-6 * k ** 0.5)
    assert np.array_equal(*got)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("tb", [False, True])
@pytest.mark.parametrize("m", [1, 2, 7, 32, 64, 300])
def test_prepared_weight_changes_no_bit(level, tb, m):
    """Of a product that the engine would pack itself; a few rows run another path without."""
    rng = np.random.default_rng(m)
    a, b = rng.normal(size=(m, 700)).astype("f4"), rng.normal(size=(533, 700) if tb else (700, 533)).astype("f4")
    got = product(a, b, False, tb, level, 2, prepared=True)
    want = product(a, b, False, tb, level, 1)
    if m > rules.THIN:
        assert np.array_equal(got, want)
    np.testing.assert_allclose(got, want, atol=2e-4)


def test_prepared_weight_ends_in_zeros():
    packed = np.full(rules.packed_size(5, 3), 99, "f4")
    capsule, pack = kernels.lookup("gemm.pack_weight")
    weight = np.arange(1, 16, dtype="f4").reshape(5, 3)
    assert kernelcall.call(capsule, [weight], [packed], pack(rules.gemm_args(1, 5, 3, False, True))) == 0
    assert sorted(packed[packed != 0]) == weight.ravel().tolist() and packed.size == 48


ROUND = {"float16": (lambda x: x.astype("f2"), lambda x: x.astype("f4"), 2.0 ** -11),
         "bfloat16": (lambda x: to_bfloat16(x.astype("f4")), from_bfloat16, 2.0 ** -8)}


@settings(max_examples=60, deadline=None)
@given(m=SIZES, n=st.one_of(SIZES, st.just(300)), k=LENGTHS, ta=st.booleans(), tb=st.booleans(), bias=st.booleans(),
       residual=st.booleans(), act=st.integers(0, 2), level=st.sampled_from(LEVELS),
       dtype=st.sampled_from(sorted(ROUND)))
def test_narrow_types_are_rounded_once(m, n, k, ta, tb, bias, residual, act, level, dtype):
    """Sums in float32: the error is that of one rounding at the end, and little more."""
    narrow, widen, half_ulp = ROUND[dtype]
    rng = np.random.default_rng(m * 7919 + n * 31 + k)
    a = narrow(rng.uniform(-1, 1, (k, m) if ta else (m, k)))
    b = narrow(rng.uniform(-1, 1, (n, k) if tb else (k, n)))
    c = narrow(rng.uniform(-1, 1, n)) if bias else None
    r = narrow(rng.uniform(-1, 1, (m, n))) if residual else None
    want = widen(a.T if ta else a).astype("f8") @ widen(b.T if tb else b).astype("f8")
    want = want + (widen(c) if bias else 0) + (widen(r) if residual else 0)
    want = want if act == 0 else np.maximum(want, 0) if act == 1 else np.clip(want, -0.5, 1)
    got = [widen(product(a, b, ta, tb, level, threads, bias=c, residual=r, in_place=residual and threads == 2, act=act,
                         lo=-0.5, hi=1, dtype=dtype)) for threads in (1, 2)]
    np.testing.assert_allclose(got[0], want, rtol=1.01 * half_ulp, atol=3e-6 * max(1, k) ** 0.5)
    assert np.array_equal(*got)


@settings(max_examples=30, deadline=None)
@given(batch=st.integers(1, 5), m=SIZES, n=SIZES, k=SIZES, ta=st.booleans(), tb=st.booleans(),
       level=st.sampled_from(LEVELS))
def test_batches(batch, m, n, k, ta, tb, level):
    rng = np.random.default_rng(m * 7919 + n * 31 + k)
    a = rng.uniform(-1, 1, (batch, k, m) if ta else (batch, m, k)).astype("f4")
    b = rng.uniform(-1, 1, (batch, n, k) if tb else (batch, k, n)).astype("f4")
    got = run_kernel(RECORDS["batch_dot"], [a, b], level, 2, transpose_a=ta, transpose_b=tb)[0]
    want = (a.swapaxes(1, 2) if ta else a).astype("f8") @ (b.swapaxes(1, 2) if tb else b)
    np.testing.assert_allclose(got, want, atol=5e-5)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("ta,tb", [(False, False), (False, True), (True, False), (True, True)])
def test_small_products(level, dtype, ta, tb):
    """Made without scratch; each of a batch has the bits that it has alone, and that a prepared weight gives."""
    rng = np.random.default_rng(5)
    for batch, m, n, k in [(9000, 3, 5, 7), (300, 17, 49, 20), (6, 13, 25, 0), (4, 9, 1, 128), (5, 1, 97, 33)]:
        assert rules.gemm_bytes(m, n, k, np.dtype(dtype).itemsize, 2, batch) == 0
        a = rng.uniform(-1, 1, (batch, k, m) if ta else (batch, m, k)).astype(dtype)
        b = rng.uniform(-1, 1, (batch, n, k) if tb else (batch, k, n)).astype(dtype)
        more = {"bias": rng.uniform(-1, 1, n).astype(dtype), "act": 2, "lo": -0.5, "hi": 1}
        r = rng.uniform(-1, 1, (batch, m, n)).astype(dtype)
        got = [product(a, b, ta, tb, level, threads, residual=r.copy(), in_place=threads == 2, **more)
               for threads in (1, 2)]
        assert np.array_equal(*got)
        want = np.matmul((a.swapaxes(1, 2) if ta else a).astype("f8"), (b.swapaxes(1, 2) if tb else b).astype("f8"))
        np.testing.assert_allclose(got[0], np.clip(want + r + more["bias"], -0.5, 1),
                                   atol=1e-5 if dtype == "f4" else 1e-13)
        for i in (0, batch - 1):
            one = product(a[i], b[i], ta, tb, level, residual=r[i], prepared=True, **more)
            assert np.array_equal(one, got[0][i])


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("m,n,k", [(600, 500, 300), (513, 385, 257), (1, 2000, 700), (2000, 3, 700)])
def test_threads_do_not_change_bits(level, m, n, k):
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(m, k)).astype("f4"), rng.normal(size=(n, k)).astype("f4")
    bias = rng.normal(size=n).astype("f4")
    got = [run_kernel(RECORDS["FullyConnected"], [a, b, bias], level, t, num_hidden=n)[0] for t in (1, 2)]
    assert np.array_equal(*got)
    np.testing.assert_allclose(got[0], a.astype("f8") @ b.T + bias, atol=1e-4 * k ** 0.5)


@pytest.mark.parametrize("name,shapes,params,words", [
    ("dot", [(2, 3), (4, 5)], {}, "contracted axes differ"),
    ("dot", [(3,), (3,)], {"transpose_a": True}, "vectors cannot be transposed"),
    ("dot", [(), (3,)], {}, "at least one axis"),
    ("batch_dot", [(2, 3), (3, 4)], {}, "at least 3"),
    ("batch_dot", [(2, 3, 4), (3, 4, 5)], {}, "do not agree"),
    ("FullyConnected", [(2, 3), (5, 4), None], {"num_hidden": 5}, "do not agree"),
    ("FullyConnected", [(2, 3), None, (4,)], {"num_hidden": 5}, "do not agree")])
def test_shape_errors(name, shapes, params, words):
    op = RECORDS[name]
    with pytest.raises(ValueError, match=words):
        op.infer(op.parse(params), shapes, [None])


def test_fully_connected_infers_both_ways():
    op = RECORDS["FullyConnected"]
    p, flat = op.parse({"num_hidden": 5, "flatten": False}), op.parse({"num_hidden": 5})
    assert op.infer(p, [(None, 4, 3), None, None], [(7, 4, 5)]) == ([(7, 4, 3), (5, 3), (5,)], [(7, 4, 5)])
    assert op.infer(flat, [(2, None), (5, 3), None], [None]) == ([(2, 3), (5, 3), (5,)], [(2, 5)])
    assert op.infer(flat, [(None, 3, 4), None, None], [None]) == ([(None, 3, 4), (5, 12), (5,)], [(None, 5)])
    assert op.infer(flat, [None, (5, 3), None], [None]) == ([None, (5, 3), (5,)], [None])
