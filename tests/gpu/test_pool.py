"""Pooling of the GPU against the CPU's kernels, on the processor; codes of maxima are equal."""
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mxlite.gpu.families import pool
from mxlite.gpu.launch import Tensor
from mxlite.ops.record import RECORDS

from . import check, shim

pytestmark = shim.needs_cxx
POOLING = {"pool.forward", "pool.backward"}
TOL = {"float32": 4e-6, "float64": 1e-13, "float16": 2e-3, "bfloat16": 1.6e-2}


def test_samples():
    assert check.check_samples(set(pool.KERNELS), tol=4e-6) == set(pool.KERNELS)
    assert check.check_samples(POOLING, ("float16",), 2e-3) == POOLING
    assert check.check_samples(POOLING, ("bfloat16",), 2e-2) == POOLING


def forward_and_backward(x, params, dtype="float32", shift=0):
    out = check.check("Pooling", [check.wrap(x, dtype)], params, TOL[dtype], shift=shift)
    dy = check.wrap(np.random.default_rng(1).normal(size=check.bits_of(out[0]).shape), dtype)
    kind = params.get("pool_type", "max")
    extra = {"max": out[1:], "lp": [check.wrap(x, dtype), out[0]]}.get(kind, [])
    tol = TOL[dtype] * (50 if kind == "lp" else 8)
    check.check("_backward_Pooling", [dy, *extra], {**params, "shape": x.shape}, tol, shift=shift)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_option(data):
    def pick(*values):
        return data.draw(st.sampled_from(values))
    nd = data.draw(st.integers(1, 3))
    space = tuple(data.draw(st.integers(1, 9)) for _ in range(nd))
    kernel = tuple(data.draw(st.integers(1, 4)) for _ in range(nd))
    params = dict(kernel=kernel, stride=tuple(data.draw(st.integers(1, 4)) for _ in range(nd)),
                  pad=tuple(data.draw(st.integers(0, k - 1)) for k in kernel), pool_type=pick(*pool.KINDS),
                  pooling_convention=pick("valid", "full"), count_include_pad=pick(None, False, True),
                  global_pool=pick(False, False, True))
    assume(all(k <= d + 2 * q for k, d, q in zip(kernel, space, params["pad"])))
    if params["pool_type"] == "lp":
        params["p_value"] = pick(1, 2, 3)
    x = np.random.default_rng(nd).uniform(0.2, 1, (pick(0, 1, 2), pick(1, 3), *space))
    if params["pool_type"] == "max":
        x = np.round(4 * x)                 # ties
    forward_and_backward(x, params, pick("float32", "float32", "float64", "float16", "bfloat16"), pick(0, 1))


def test_maxima_that_are_no_numbers():
    x = np.zeros((1, 1, 6, 7), "float32")
    x[0, 0, :3], x[0, 0, 1, 3], x[0, 0, 3:, 2], x[0, 0, 4, 4:] = np.nan, 1, -np.inf, np.inf
    x[0, 0, 5, :2] = -0.0
    for params in (dict(kernel=(2, 2)), dict(kernel=(3, 3), pad=(1, 1), stride=(2, 2)), dict(global_pool=True),
                   dict(kernel=(6, 7))):
        for dtype in ("float32", "float64"):
            check.check("Pooling", [x.astype(dtype)], params)
    check.check("Pooling", [np.full((1, 2, 3, 30), np.nan, "float32")], dict(global_pool=True))


def test_windows_without_elements():
    x = np.ones((1, 2, 6), "float32")
    for kind in ("max", "avg", "sum"):
        check.check("Pooling", [x], dict(kernel=(1,), stride=(4,), pooling_convention="full", pool_type=kind))


@pytest.mark.parametrize("kind", pool.KINDS)
def test_large_windows(kind):
    x = np.round(np.random.default_rng(0).uniform(0.2, 9, (2, 3, 17, 23)))
    extra = dict(p_value=2) if kind == "lp" else {}
    for params in (dict(global_pool=True), dict(kernel=(9, 8), stride=(3, 5), pad=(4, 3))):
        forward_and_backward(x, dict(params, pool_type=kind, **extra))
    if kind == "max":                       # codes of 64 bits
        forward_and_backward(x, dict(kernel=(17, 16), pad=(8, 3), stride=(2, 2)))


@pytest.mark.parametrize("kind", pool.KINDS)
@pytest.mark.parametrize("options", (dict(global_pool=True), dict(), dict(kernel=(17, 16), pad=(8, 8))),
                         ids=("whole", "windows", "wide"))
@pytest.mark.parametrize("channels, dtype, shift", (
    (3, "float32", 0), (8, "float32", 0), (8, "float32", 1), (12, "float64", 0), (16, "float16", 0), (4, "float16", 0),
    (8, "bfloat16", 0)))
def test_channels_last(kind, options, channels, dtype, shift):
    """Of every number of channels, those that a thread takes 16 bytes of among them; ``layout`` says it."""
    x = np.round(np.random.default_rng(0).uniform(0.2, 9, (2, channels, 9, 10)))
    params = dict(pool_type=kind, kernel=(3, 3), stride=(2, 2), pad=(1, 1), **(dict(p_value=3) if kind == "lp" else {}))
    params.update(options)
    op, back, tol = RECORDS["Pooling"], RECORDS["_backward_Pooling"], TOL[dtype]
    want = check.on_cpu("Pooling", [check.wrap(x, dtype)], params)[0][0]

    def last(a):
        bits = np.ascontiguousarray(np.moveaxis(check.bits_of(a), 1, -1))
        return (bits, "bfloat16") if isinstance(a, tuple) else bits

    def specs(arrays):
        return [(check.bits_of(a).shape, check.dtype_of(a)) for a in arrays]
    moved, data = [last(a) for a in want], last(check.wrap(x, dtype))
    p = op.parse({**params, "layout": "NHWC"})
    assert op.cpu(p) is None and op.gpu(p) == "pool.forward"
    args = op.launch(p, [check.bits_of(data).shape], None)
    check.same(check.run("pool.forward", args, [data], specs(moved), shift=shift)[0], moved, tol)
    if kind == "max":
        alone = check.run("pool.forward", args, [data], specs(moved), shift=shift, unread=(1,))[0]
        check.same(alone[:1], moved[:1], tol)
    dy = check.wrap(np.random.default_rng(1).normal(size=check.bits_of(want[0]).shape), dtype)
    extra = {"max": want[1:], "lp": [check.wrap(x, dtype), want[0]]}.get(kind, [])
    wanted = check.on_cpu("_backward_Pooling", [dy, *extra], {**params, "shape": x.shape})[0][0][0]
    args = back.launch(back.parse({**params, "layout": "NHWC", "shape": check.bits_of(data).shape}), None, None)
    got = check.run("pool.backward", args, [last(dy), *map(last, extra)], specs([data]), shift=shift)[0]
    check.same(got, [last(wanted)], tol * (50 if kind == "lp" else 8))


def test_channels_last_take_16_bytes_a_thread():
    x, y = Tensor((2, 9, 10, 8), "float16", 4096), Tensor((2, 4, 5, 8), "float16", 8192)
    p = RECORDS["Pooling"].parse(dict(kernel=(2, 2), stride=(2, 2), layout="NHWC", pool_type="avg"))
    args = RECORDS["Pooling"].launch(p, [x.shape], [y.shape])
    one = pool.forward("pool.forward", args, [x], [y], ()).launches(0)[0]
    assert one.entry == "forward_last" and one.args[-1].value == 40 and dict(one.source.defines)["VEC"] == 8


def test_outputs_that_nobody_reads():
    x = np.random.default_rng(0).normal(size=(2, 3, 7, 8)).astype("float32")
    for unread in ((1,), (0, 1)):
        check.check("Pooling", [x], dict(kernel=(2, 2)), unread=unread)
