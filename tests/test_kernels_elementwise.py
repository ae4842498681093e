"""Element-wise kernels and reductions against literal values, NumPy, and float64: what derived tests cannot see."""
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxlite._core import cpu, kernelcall, kernels
from mxlite._core.kernels import elementwise
from mxlite.ops.record import find

from . import kernel_calls
from .reference import run

level = kernel_calls.level            # the fixture
NAN, INF = math.nan, math.inf
INTEGERS = ("int8", "uint8", "int32", "int64")


def call(name, *xs, threads=1, dtypes=None, **params):
    """Outputs of operator `name`'s C kernel on arrays. `dtypes` names dtypes that NumPy lacks (bfloat16 in uint16)."""
    op = find(name)
    p = op.parse(params)
    shapes = [x.shape for x in xs]
    ins, outs = op.infer(p, shapes, [None] * len(op.output_names(p)))
    names = dtypes or [x.dtype.name for x in xs]
    _, kinds = op.infer_dtype(p, list(names), [None] * len(outs))
    capsule, packer = kernels.lookup(op.cpu(p) if callable(op.cpu) else op.cpu)
    args = packer(op.launch(p, ins, outs)) if packer else b""
    work = op.workspace(p, ins, outs, xs[0].itemsize, threads) if op.workspace else 0
    ys = [np.full(s, 77, "uint16" if k == "bfloat16" else k) for s, k in zip(outs, kinds)]
    given_ = [(x, n) if n == "bfloat16" else x for x, n in zip(xs, names)]
    taken = [(y, k) if k == "bfloat16" else y for y, k in zip(ys, kinds)]
    scalars = [getattr(p, k) for k in op.dynamic]
    assert kernelcall.call(capsule, given_, taken, args, scalars, work, threads=threads) == 0
    return ys[0] if len(ys) == 1 else ys


def f32(*values):
    return np.array(values, "float32")


def same(got, want, **tol):
    """Equal, NaN included, and zeros of the same sign where nothing is tolerated."""
    want = np.asarray(want)
    if tol:
        np.testing.assert_allclose(got, want, **tol)
    else:
        np.testing.assert_array_equal(got, want)
        if got.dtype.kind == "f":
            zero = want == 0
            np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(want[zero]))


# -- literal values, all from MXNet 1.9.1 unless said ------------------------------------------------------------
EDGES = f32(-3.7, -2.5, -0.5, -0.0, 0.0, 0.5, 2.5, INF, -INF, NAN)
LITERAL = {
    "relu": (0, 0, 0, 0, 0, 0.5, 2.5, INF, 0, NAN),
    "sign": (-1, -1, -1, 0, 0, 1, 1, 1, -1, 0),
    "abs": (3.7, 2.5, 0.5, 0, 0, 0.5, 2.5, INF, INF, NAN),
    "round": (-4, -3, -1, -0.0, 0, 1, 3, INF, -INF, NAN),
    "rint": (-4, -3, -1, -0.0, 0, 0, 2, INF, -INF, NAN),
    "ceil": (-3, -2, -0.0, -0.0, 0, 1, 3, INF, -INF, NAN),
    "floor": (-4, -3, -1, -0.0, 0, 0, 2, INF, -INF, NAN),
    "trunc": (-3, -2, -0.0, -0.0, 0, 0, 2, INF, -INF, NAN),
    "fix": (-3, -2, -0.0, -0.0, 0, 0, 2, INF, -INF, NAN),
    "negative": (3.7, 2.5, 0.5, 0, -0.0, -0.5, -2.5, -INF, INF, NAN),
    "logical_not": (0, 0, 0, 1, 1, 0, 0, 0, 0, 0),
    "square": (13.69, 6.25, 0.25, 0, 0, 0.25, 6.25, INF, INF, NAN),
    "reciprocal": (-1 / 3.7, -0.4, -2, -INF, INF, 2, 0.4, 0, -0.0, NAN),
    "sigmoid": (0.024127021, 0.07585818, 0.37754068, 0.5, 0.5, 0.62245935, 0.9241418, 1, 0, NAN),
    "tanh": (-0.9987782, -0.9866143, -0.46211717, -0.0, 0, 0.46211717, 0.9866143, 1, -1, NAN),
    "softsign": (-0.78723407, -0.71428573, -1 / 3, -0.0, 0, 1 / 3, 0.71428573, NAN, NAN, NAN),
    "exp": (0.02472353, 0.082085, 0.60653067, 1, 1, 1.6487212, 12.182494, INF, 0, NAN),
    "expm1": (-0.97527647, -0.917915, -0.39346933, -0.0, 0, 0.6487213, 11.182494, INF, -1, NAN),
    "log": (NAN, NAN, NAN, -INF, -INF, -0.6931472, 0.91629076, INF, NAN, NAN),
    "log1p": (NAN, NAN, -0.6931472, -0.0, 0, 0.4054651, 1.252763, INF, NAN, NAN),
    "sqrt": (NAN, NAN, NAN, -0.0, 0, 0.70710677, 1.5811388, INF, NAN, NAN),
    "rsqrt": (NAN, NAN, NAN, -INF, INF, 1.4142135, 0.6324555, 0, NAN, NAN),
    "cbrt": (-1.5466803, -1.3572088, -0.7937005, -0.0, 0, 0.7937005, 1.3572088, INF, -INF, NAN),
    "erf": (-0.9999998, -0.999593, -0.5204999, -0.0, 0, 0.5204999, 0.999593, 1, -1, NAN),
    "erfinv": (NAN, NAN, -0.47693628, -0.0, 0, 0.47693628, NAN, NAN, NAN, NAN),
    "gamma": (0.25164402, -0.9453086, -3.544908, -INF, INF, 1.7724538, 1.3293406, INF, NAN, NAN),
    "gammaln": (-1.3797399, -0.05624371, 1.2655121, INF, INF, 0.5723649, 0.2846829, INF, INF, NAN),
    "degrees": (-211.99437, -143.23944, -28.647888, -0.0, 0, 28.647888, 143.23944, INF, -INF, NAN),
}


@pytest.mark.parametrize("name", LITERAL)
def test_literal(name, level):
    got = call(name, EDGES)
    same(got, f32(*LITERAL[name]), rtol=3e-7)
    same(call(name, EDGES.astype("float64")), f32(*LITERAL[name]), rtol=3e-6)
    zero = got[~np.isnan(got)] == 0
    assert np.array_equal(np.signbit(got[~np.isnan(got)][zero]), np.signbit(f32(*LITERAL[name]))[~np.isnan(got)][zero])


def test_gradients_at_edges(level):
    one = np.ones_like(EDGES)
    same(call("_backward_relu", one, call("relu", EDGES)), f32(0, 0, 0, 0, 0, 1, 1, 1, 0, NAN))
    same(call("_backward_abs", one, EDGES), f32(-1, -1, -1, 0, 0, 1, 1, 1, -1, 0))
    same(call("_backward_log", one, EDGES)[3:7], f32(-INF, INF, 2, 0.4))
    same(call("_backward_clip", f32(1, 1, 1, 1, 1), f32(-3, -1, 0, 1, NAN), a_min=-1, a_max=1), f32(0, 1, 1, 1, 1))
    same(call("_backward_maximum_scalar", f32(1, 1), f32(2, NAN), scalar=2), f32(1, 0))


def test_mod_power_extremes(level):
    v = f32(1, -1, 0, INF, -INF, NAN, 2.5, -2.5)
    a, b = np.repeat(v, 8), np.tile(v, 8)
    with np.errstate(all="ignore"):
        want = [0, 0, 0, 1, -INF, NAN, 1, -1.5, 0, -0.0, 0, INF, -1, NAN, 1.5, -1, 0, 0, 0, 0, 0, NAN, 0, 0]
        same(call("_mod", a, b)[:24], f32(*want), rtol=0)
        same(call("_power", a, b), np.power(a, b), rtol=1e-6)
        want = np.where(np.isnan(a), a, np.where(a > b, a, b))
        same(call("_maximum", a, b), want, rtol=0)
        same(call("_hypot", a, b), np.hypot(a, b), rtol=1e-6)
    same(call("_hypot", f32(3e30), f32(4e30)), f32(5e30), rtol=1e-6)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_never_trap(dtype, level):
    info = np.iinfo(dtype)
    a = np.array([7, 0, info.min, info.max, info.min], dtype)
    zero, b = np.zeros_like(a), np.array([0, 0, info.max if info.min == 0 else -1, 0, 0], dtype)
    assert call("elemwise_div", a, zero).tolist() == [0] * 5
    assert call("_mod", a, b).tolist() == [0] * 5
    assert call("broadcast_div", a, np.zeros(1, dtype)).tolist() == [0] * 5
    assert call("_div_scalar", a, scalar=0).tolist() == [0] * 5
    assert call("_rmod_scalar", zero, scalar=5).tolist() == [0] * 5
    assert call("elemwise_div", a, b)[2] == (info.min if info.min else 0)
    call("reciprocal", zero)
    call("_rpower_scalar", np.array([-1, 1], "int8").astype(dtype), scalar=0)
    if dtype != "uint8":
        x, y = np.array([7, -7, 7, -7], dtype), np.array([3, 3, -3, -3], dtype)
        assert call("elemwise_div", x, y).tolist() == [2, -2, -2, 2]
        assert call("_mod", x, y).tolist() == [1, 2, -2, -1]


def test_int64_is_exact(level):
    big = np.array([2**62 + 1, -2**62 - 3, 2**53 + 1, 9], "int64")
    assert call("elemwise_add", big, big[::-1].copy()).tolist() == (big + big[::-1]).tolist()
    assert call("elemwise_mul", big, np.full(4, 3)).tolist() == (big * 3).tolist()
    assert call("_plus_scalar", big, scalar=1).tolist() == (big + 1).tolist()
    assert call("_power", np.full(3, 3), np.array([39, 0, -1])).tolist() == [3**39, 1, 0]
    assert call("relu", big).tolist() == np.maximum(big, 0).tolist()
    assert call("sum", big).tolist() == [int(big.sum())]
    assert call("max", big).tolist() == [2**62 + 1]
    assert call("add_n", big, big, big).tolist() == (3 * big).tolist()
    assert call("Cast", np.array([2.0**62]), dtype="int64").tolist() == [2**62]


def test_scalar_that_is_no_integer():
    x = np.array([1, 2, 3], "int32")
    assert call("_plus_scalar", x, scalar=1.5).tolist() == [2, 3, 4]
    y = call("_plus_scalar", x, scalar=1.5, is_int=False)
    assert y.dtype == np.float64 and y.tolist() == [2.5, 3.5, 4.5]
    assert call("_greater_scalar", np.array([200], "uint8"), scalar=300).tolist() == [0]


# -- dtypes -------------------------------------------------------------------------------------------------------
def to_bfloat16(x):
    i = np.asarray(x, "float32").view("uint32").astype("uint64")
    return ((i + 0x7fff + ((i >> 16) & 1)) >> 16).astype("uint16")


def from_bfloat16(h):
    return (h.astype("uint32") << 16).view("float32")


def test_every_float16_survives():
    every = np.arange(65536, dtype="uint16").view("float16")
    wide = call("Cast", every, dtype="float32")
    np.testing.assert_array_equal(wide, every.astype("float32"))
    np.testing.assert_array_equal(call("Cast", wide, dtype="float16"), every)


def test_rounding_to_halves():
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.integers(0, 2**32, 200000, dtype="uint32").view("float32"),
                        f32(65519.996, 65520, 6e-8, 3e-8, 2.98e-8, 1e-40, -0.0)])
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(call("Cast", x, dtype="float16"), x.astype("float16"))
        y = np.concatenate([rng.uniform(-3, 3, 1000), 1 + 2.0**-11 + rng.choice([-1, 0, 1], 1000) * 2.0**-40])
        np.testing.assert_array_equal(call("Cast", y, dtype="float16"), y.astype("float16"))
    number = x[~np.isnan(x)]
    np.testing.assert_array_equal(call("Cast", number, dtype="bfloat16"), to_bfloat16(number))


@pytest.mark.parametrize("source", ["float32", "float64", "float16", "bool", *INTEGERS])
def test_cast_like_mxnet(source):
    x = np.array([-1.5, 2.7, 300, -200, 0.2, 0])
    x = x.astype("int64").astype(source) if source in INTEGERS else x.astype(source)
    for to in ("float32", "float64", "float16", "bool", *INTEGERS):
        op = find("Cast")
        want = run(op, op.parse({"dtype": to}), [x])[0]
        np.testing.assert_array_equal(call("Cast", x, dtype=to), want, err_msg=to)
    if source.startswith("float"):
        edge = np.array([NAN, INF, -INF]).astype(source)
        assert call("Cast", edge, dtype="int32").tolist() == [-2**31] * 3
        assert call("Cast", edge, dtype="uint8").tolist() == [0] * 3
        assert call("Cast", edge, dtype="int64").tolist() == [-2**63] * 3
        assert call("Cast", edge, dtype="bool").tolist() == [True] * 3


@pytest.mark.parametrize("name", ["relu", "exp", "tanh", "square", "sign", "elemwise_add", "_maximum", "broadcast_mul",
                                  "_mul_scalar", "sum", "max", "add_n", "argmax"])
def test_half_precision(name, level):
    """float16 and bfloat16 compute in float32 and round once."""
    rng = np.random.default_rng(5)
    xs = [rng.uniform(-2, 2, 601).astype("float16") for _ in find(name).input_names(None, 2)]
    got = call(name, *xs)
    want = call(name, *(x.astype("float32") for x in xs))
    np.testing.assert_array_equal(got, want.astype("float16"))
    hs = [to_bfloat16(x) for x in xs]
    got = call(name, *hs, dtypes=["bfloat16"] * len(hs))
    want = call(name, *map(from_bfloat16, hs))
    np.testing.assert_array_equal(got, to_bfloat16(want))


# -- where loops end -----------------------------------------------------------------------------------------------
ENDS = ("relu", "exp", "tanh", "sin", "_mul_scalar", "elemwise_add", "_power", "_backward_tanh", "_backward_sin",
        "elemwise_sub", "_rdiv_scalar", "_backward_power_scalar")


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32"])
@pytest.mark.parametrize("name", ENDS)
def test_an_element_does_not_know_where_it_lies(name, dtype, level):
    """Every length up to a few vectors, at every alignment, in place and not: the same bits, nothing else touched."""
    n = len(find(name).input_names(None, 2))
    params = {"scalar": 3} if find(name).dynamic else {}
    rng = np.random.default_rng(4)
    xs = [rng.uniform(0.5, 9, 200).astype(dtype) for _ in range(n)]
    want = call(name, *xs, **params)
    op = find(name)
    capsule, packer = kernels.lookup(op.cpu)
    assert packer is None
    scalars = list(params.values())
    for size in [*range(0, 70), 100]:
        for at in (0, 1, 3):
            for inplace in range(-1, n):
                held = [np.full(200, 7, dtype) for _ in range(n)]
                for h, x in zip(held, xs):
                    h[at:at + size] = x[at:at + size]
                room = held[inplace] if inplace >= 0 else np.full(200, 7, dtype)
                ins = [h[at:at + size] for h in held]
                assert kernelcall.call(capsule, ins, [room[at:at + size]], b"", scalars) == 0
                np.testing.assert_array_equal(room[at:at + size], want[at:at + size])
                assert (room[:at] == 7).all() and (room[at + size:] == 7).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_past_the_cache(dtype, level):
    """Outputs that are larger than the cache are written past it; here every output is."""
    rng = np.random.default_rng(5)
    x, z = (rng.uniform(-1, 1, 70001).astype(dtype) for _ in range(2))
    want = call("elemwise_sub", x, z), call("_mul_scalar", x, scalar=3)
    before = elementwise.set_stream_bytes(0)
    try:
        for threads in (1, 2):
            np.testing.assert_array_equal(call("elemwise_sub", x, z, threads=threads), want[0])
            np.testing.assert_array_equal(call("_mul_scalar", x, scalar=3, threads=threads), want[1])
        for at in (1, 5):
            y = np.full(70001, 7, dtype)
            capsule = kernels.lookup("elementwise.sub")[0]
            assert kernelcall.call(capsule, [x[at:-9], z[at:-9]], [y[at:-9]]) == 0
            np.testing.assert_array_equal(y[at:-9], want[0][at:-9])
            assert (y[:at] == 7).all() and (y[-9:] == 7).all()
        y = x.copy()
        assert kernelcall.call(kernels.lookup("elementwise.sub")[0], [y, z], [y]) == 0
        np.testing.assert_array_equal(y, want[0])
    finally:
        elementwise.set_stream_bytes(before)


def test_subnormal_results(level):
    x = np.linspace(-103.9, -87, 500).astype("float32")
    want = np.exp(x.astype("float64")).astype("float32")
    assert (call("exp", x) > 0).all()
    np.testing.assert_allclose(call("exp", x), want, rtol=2e-7, atol=1.5e-45)
    tiny = f32(1e-45, 1e-40, 1.17e-38)
    np.testing.assert_allclose(call("log", tiny), np.log(tiny.astype("float64")), rtol=1e-7)
    for name in ("expm1", "log1p", "tanh", "sin", "arctan"):
        np.testing.assert_array_equal(call(name, tiny), tiny)


# -- broadcasting -------------------------------------------------------------------------------------------------
@st.composite
def shape_pairs(draw):
    full = draw(st.lists(st.sampled_from([1, 2, 3, 5, 17, 40]), min_size=1, max_size=4))
    a = [draw(st.sampled_from([d, 1])) for d in full]
    b = [draw(st.sampled_from([d, 1])) for d in full]
    return tuple(a), tuple(b[draw(st.integers(0, len(b) - 1)):])


@settings(max_examples=150, deadline=None)
@given(shape_pairs(), st.sampled_from(["float32", "float64", "int32", "uint8", "float16"]),
       st.sampled_from(["broadcast_sub", "broadcast_maximum", "broadcast_lesser"]))
def test_broadcast_is_numpys(shapes, dtype, name):
    rng = np.random.default_rng(1)
    a, b = (rng.integers(0, 9, s).astype(dtype) for s in shapes)
    want = {"broadcast_sub": np.subtract, "broadcast_maximum": np.maximum, "broadcast_lesser": np.less}[name](a, b)
    for i in kernel_calls.LEVELS:
        cpu.set_isa(i)
        np.testing.assert_array_equal(call(name, a, b), want.astype(dtype))


@settings(max_examples=60, deadline=None)
@given(shape_pairs(), st.sampled_from(["float32", "int64", "uint8", "float16"]))
def test_repeat_and_sum_back(shapes, dtype):
    full = np.broadcast_shapes(*shapes)
    small = np.arange(math.prod(shapes[1])).reshape(shapes[1]).astype(dtype)
    wide = call("_spread", small, shape=full)
    np.testing.assert_array_equal(wide, np.broadcast_to(small, full))
    back = call("_unbroadcast", np.ones(full, "float64"), shape=shapes[1])
    np.testing.assert_array_equal(back, np.full(shapes[1], math.prod(full) / small.size))


# -- reductions ---------------------------------------------------------------------------------------------------
@st.composite
def reductions(draw):
    shape = draw(st.lists(st.sampled_from([1, 2, 3, 7, 33, 70]), min_size=1, max_size=5))
    while math.prod(shape) > 40000:
        shape.pop()
    axes = draw(st.sets(st.integers(0, len(shape) - 1)))
    return tuple(shape), tuple(axes), draw(st.booleans())


@settings(max_examples=200, deadline=None)
@given(reductions(), st.sampled_from(["sum", "mean", "max", "min", "prod", "norm", "nansum"]),
       st.sampled_from(["float32", "float64", "int64", "uint8"]))
def test_reductions_are_the_references(case, name, dtype):
    shape, axes, keepdims = case
    x = np.random.default_rng(2).uniform(0.9, 1.1, shape) if dtype.startswith("f") \
        else np.random.default_rng(2).integers(0, 100, shape)
    x = x.astype(dtype)
    op = find(name)
    want = run(op, op.parse({"axis": axes, "keepdims": keepdims}), [x])[0]
    for i in kernel_calls.LEVELS:
        cpu.set_isa(i)
        np.testing.assert_allclose(call(name, x, axis=axes, keepdims=keepdims), want, rtol=2e-6 if x.itemsize == 4
                                   else 1e-12)


LARGE = [((3, 200000), 1), ((200000, 3), 0), ((1, 700001), None), ((4, 1000, 130), (0, 2)), ((2000, 700), 0),
         ((2000, 700), 1), ((40, 3, 5000), (0, 2)), ((5, 60000, 2), 1)]


@pytest.mark.parametrize("shape, axis", LARGE)
@pytest.mark.parametrize("name", ["sum", "mean", "max", "norm", "prod", "nansum"])
def test_threads_change_nothing(shape, axis, name, level):
    rng = np.random.default_rng(4)
    x = rng.uniform(0.9999, 1.0001, shape).astype("float32")
    one, two, three = (call(name, x, axis=axis, threads=t) for t in (1, 2, 3))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one, three)
    op = find(name)
    want = run(op, op.parse({"axis": axis}), [x])[0]
    np.testing.assert_allclose(one, want, rtol=3e-7 if name != "prod" else 1e-6)
    whole = rng.integers(-9, 9, shape)
    same(call("sum", whole, axis=axis, threads=2).reshape(-1), whole.sum(axis=axis).reshape(-1))


@pytest.mark.parametrize("name", ["relu", "exp", "elemwise_add", "_mul_scalar", "add_n", "Cast", "gammaln"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int32"])
def test_threads_cover_everything(name, dtype):
    n = 300007
    params = {"dtype": "float64"} if name == "Cast" else {"scalar": 3.0} if name == "_mul_scalar" else {}
    xs = [(np.arange(n) % 11 + 1).astype(dtype) for _ in find(name).input_names(None, 3)[:3]]
    want = call(name, *xs, **params)
    assert not (want == 77).any()
    for threads in (2, 3):
        np.testing.assert_array_equal(call(name, *xs, threads=threads, **params), want)


@pytest.mark.parametrize("pair", [((3000, 100), (100,)), ((3000, 100), (3000, 1)), ((100000, 3), (3,)),
                                  ((1, 300000), (1,)), ((2, 200000), (200000,)), ((70, 5, 900), (70, 1, 900))])
def test_threads_broadcast(pair):
    rng = np.random.default_rng(6)
    a, b = (rng.random(s).astype("float32") for s in pair)
    for threads in (1, 2, 3):
        np.testing.assert_array_equal(call("broadcast_add", a, b, threads=threads), a + b)
        np.testing.assert_array_equal(call("broadcast_sub", b, a, threads=threads), b - a)
        np.testing.assert_array_equal(call("_spread", b, shape=a.shape, threads=threads), np.broadcast_to(b, a.shape))


def test_sum_keeps_digits(level):
    x = np.full(2**24 + 5, 0.1, "float32")
    assert abs(float(call("sum", x)[0]) / (0.1 * x.size) - 1) < 1e-7
    x = np.tile(f32(1e8, 1, -1e8, 1), 20000)
    assert call("sum", x).tolist() == [40000]
    assert call("norm", f32(3e30, 4e30)).tolist() == f32(5e30).tolist()


def test_nan_in_reductions(level):
    for v in ([1, NAN, 3], [NAN, 1, 3], [1, 2, NAN], [NAN, NAN, NAN]):
        for n in (1, 7, 50):
            x = np.tile(f32(*v), n)
            for name in ("sum", "mean", "prod", "max", "min", "norm"):
                assert np.isnan(call(name, x)).all(), (name, v)
                assert np.isnan(call(name, x.reshape(-1, 1).repeat(40, 1), axis=0)).all(), (name, v)
            assert call("nansum", x).tolist() == [np.nansum(x)]
            assert call("nanprod", x) == pytest.approx(np.nanprod(x.astype("float64")), rel=1e-5)
            assert call("argmax", x).tolist() == [int(np.isnan(x).argmax())] == call("argmin", x).tolist()
    assert call("max", np.full(99, -INF, "float32")).tolist() == [-INF]
    assert np.isnan(call("mean", np.zeros((0, 2), "float32"), axis=0)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "float16"])
@pytest.mark.parametrize("shape, axis", [((5, 900), 1), ((900, 5), 0), ((3, 70, 4), 1), ((40,), None),
                                         ((2, 1, 600), 1)])
def test_positions(shape, axis, dtype, level):
    x = np.random.default_rng(8).integers(-20, 20, shape).astype(dtype)
    for name, f in (("argmax", np.argmax), ("argmin", np.argmin)):
        want = np.asarray(f(x, axis=axis)).reshape(-1)
        np.testing.assert_array_equal(call(name, x, axis=axis).reshape(-1), want)


def test_prelu_channels(level):
    rng = np.random.default_rng(9)
    for shape in ((2, 3, 1000), (70, 5), (9,), (1, 4, 2, 3), (300000 // 8, 8)):
        x = rng.uniform(-1, 1, shape).astype("float32")
        gamma = rng.random(shape[1] if len(shape) > 1 else 1).astype("float32")
        g = gamma.reshape((1, -1) + (1,) * (len(shape) - 2)) if len(shape) > 1 else gamma
        for threads in (1, 2):
            same(call("LeakyReLU", x, gamma, act_type="prelu", threads=threads), np.where(x > 0, x, x * g), rtol=0)


@pytest.mark.parametrize("name, shapes, params, words", [
    ("max", [(0, 3)], {}, "no largest"), ("argmax", [(0, 3)], {"axis": 0}, "no largest"),
    ("sum", [(2, 3)], {"axis": 2}, "out of range"), ("sum", [(2, 3)], {"axis": (1, -1)}, "twice"),
    ("norm", [(2,)], {"ord": 3}, "ord must be"), ("broadcast_add", [(2, 3), (2,)], {}, "do not broadcast"),
    ("elemwise_add", [(2, 3), (3,)], {}, "differ"), ("broadcast_to", [(2, 1)], {"shape": (3, 3)}, "cannot be"),
    ("broadcast_to", [(2,)], {"shape": (2, 2)}, "numbers of axes"),
    ("broadcast_axis", [(2, 3)], {"axis": 1, "size": 4}, "must have size 1"),
    ("LeakyReLU", [(2, 3), (4,)], {"act_type": "prelu"}, "does not fit"), ("argmax_channel", [(3,)], {}, "axis 1")])
def test_wrong_shapes(name, shapes, params, words):
    op = find(name)
    p = op.parse(params)
    with pytest.raises(ValueError, match=words):
        op.infer(p, list(shapes), [None] * len(op.output_names(p)))
