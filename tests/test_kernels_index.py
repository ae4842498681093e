"""Lookups, scatters and arrays from parameters, against plain NumPy and literal values."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxlite.ops.record import RECORDS, REGISTRY

from . import guard_pages
from .kernel_calls import call

EINDEX = 2
SLOW = settings(max_examples=60, deadline=None)
levels = st.sampled_from((0, 1, 2))
index_dtypes = st.sampled_from(("float32", "float64", "float16", "int8", "int32", "int64", "uint8"))


def check(name, arrays, params, want, isa=None, threads=1):
    got, rc = call(REGISTRY[name], arrays, params, isa, threads)
    assert rc == 0
    assert got[0].dtype == want.dtype
    np.testing.assert_array_equal(got[0], want, err_msg=f"{name} {params} {[x.shape for x in arrays]} level {isa}")


def literal(name, arrays, params, want):
    got, rc = call(REGISTRY[name], [np.asarray(x, d) for x, d in arrays], params)
    assert rc == 0
    assert got[0].tolist() == want


def inside(index, n, mode):
    index = index.astype("float64").astype("int64")
    return index % n if mode == "wrap" else np.clip(index, 0, n - 1)


@SLOW
@given(st.lists(st.integers(1, 9), min_size=1, max_size=3), st.lists(st.integers(0, 9), max_size=2),
       st.sampled_from(("clip", "wrap")),
       st.sampled_from(("uint8", "float16", "float32", "float64")), index_dtypes, levels, st.data())
def test_take_and_its_gradient(shape, places, mode, dtype, index_dtype, isa, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    rng = np.random.default_rng(sum(shape) + 10 * sum(places))
    x = rng.integers(0, 100, shape).astype(dtype)
    index = rng.integers(0 if index_dtype == "uint8" else -12, 12, places).astype(index_dtype)
    at = inside(index, shape[axis], mode)
    check("take", [x, index], {"axis": axis, "mode": mode}, np.take(x, at, axis), isa)
    if dtype.startswith("float") and dtype != "float16":
        dy = rng.integers(-9, 9, np.take(x, at, axis).shape).astype(dtype)
        want = np.zeros_like(x)
        axis %= len(shape)
        np.add.at(np.moveaxis(want, axis, 0), at, np.moveaxis(dy, range(axis, axis + len(places)), range(len(places))))
        check("_backward_take", [dy, index], {"shape": tuple(shape), "axis": axis, "mode": mode}, want, isa)


@pytest.mark.parametrize("threads", (1, 2))
@pytest.mark.parametrize("isa", (0, 1, 2))
@pytest.mark.parametrize("outer, n, inner, count", [(1, 5000, 130, 20000), (1, 50000, 3, 200000), (64, 100, 40, 700),
                                                    (1, 3, 1, 400000)])
def test_gradient_of_take_adds_in_order(outer, n, inner, count, isa, threads):
    """Sums in float32 to the last bit, the order of the indices, for any number of threads and any level."""
    rng = np.random.default_rng(5)
    dy = rng.standard_normal((outer, count, inner), dtype="float32")
    index = rng.integers(0, n, count).astype("int32")
    want = np.zeros((outer, n, inner), "float32")
    np.add.at(np.moveaxis(want, 1, 0), index, np.moveaxis(dy, 1, 0))
    check("_backward_take", [dy, index], {"shape": want.shape, "axis": 1}, want, isa, threads)


@pytest.mark.parametrize("threads", (1, 2))
def test_large_lookups(threads):
    rng = np.random.default_rng(6)
    weight = rng.standard_normal((3000, 257), dtype="float32")
    index = rng.integers(-5, 3005, (40, 100))
    check("Embedding", [index.astype("float32"), weight], {"input_dim": 3000, "output_dim": 257},
          weight[index.clip(0, 2999)], None, threads)
    x = rng.standard_normal((900, 1000), dtype="float32")
    for axis in (0, 1):
        at = rng.integers(-9, 2000, x.shape[1 - axis])
        want = np.take_along_axis(x, np.expand_dims(at % x.shape[axis], axis), axis).squeeze(axis)
        check("pick", [x, at], {"axis": axis, "mode": "wrap"}, want, None, threads)
        back = np.zeros_like(x)
        np.put_along_axis(back, np.expand_dims(at % x.shape[axis], axis), np.expand_dims(want, axis), axis)
        check("_backward_pick", [want, at], {"shape": x.shape, "axis": axis, "mode": "wrap"}, back, None, threads)
    index = rng.integers(0, 50, 30000)
    check("one_hot", [index], {"depth": 50}, np.eye(50, dtype="float32")[index], None, threads)


@SLOW
@given(st.lists(st.integers(1, 5), min_size=1, max_size=3), st.lists(st.integers(0, 6), min_size=1, max_size=2),
       index_dtypes, levels, st.data())
def test_gather_and_scatter_nd(shape, places, index_dtype, isa, data):
    m = data.draw(st.integers(1, len(shape)))
    rng = np.random.default_rng(sum(shape) + 10 * sum(places))
    low = 0 if index_dtype == "uint8" else -1
    index = np.stack([rng.integers(low * shape[i], shape[i], places) for i in range(m)]).astype(index_dtype)
    at = tuple(index.astype("int64"))
    x = rng.integers(0, 100, shape).astype("float32")
    check("gather_nd", [x, index], {}, x[at], isa)
    dy = rng.integers(-9, 9, x[at].shape).astype("float32")
    want = np.zeros_like(x)
    np.add.at(want, at, dy)
    check("_backward_gather_nd", [dy, index], {"shape": tuple(shape)}, want, isa)
    want = np.zeros_like(x)
    for k in np.ndindex(*places):
        want[tuple(a[k] for a in at)] = dy[k]
    check("scatter_nd", [dy, index], {"shape": tuple(shape)}, want, isa)


W = ([[0, 1], [2, 3], [4, 5], [6, 7]], "float32")


def test_indices_out_of_range_as_in_mxnet():
    odd = ([-1, 0, 3, 4, 9, -5, 1.7, -0.5], "float32")
    literal("take", [W, odd], {}, [[0, 1], [0, 1], [6, 7], [6, 7], [6, 7], [0, 1], [2, 3], [0, 1]])
    literal("take", [W, odd], {"mode": "wrap"}, [[6, 7], [0, 1], [6, 7], [0, 1], [2, 3], [6, 7], [2, 3], [0, 1]])
    none = ([np.nan, np.inf, -np.inf, 1e20], "float32")
    literal("Embedding", [none, W], {"input_dim": 4, "output_dim": 2}, [[0, 1]] * 4)
    literal("take", [W, none], {"mode": "wrap"}, [[0, 1]] * 4)
    literal("pick", [([[0, 1, 2, 3]] * 3, "float32"), ([0, 4, 1.7], "float32")], {}, [0, 3, 1])
    literal("pick", [([[0, 1, 2, 3]] * 3, "float32"), ([0, 4, -2], "float32")], {"mode": "wrap"}, [0, 0, 2])
    literal("one_hot", [([0, 2, -1, 5, 1.7, -.5], "float32")], {"depth": 3},
            [[1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0], [0, 1, 0], [1, 0, 0]])
    literal("one_hot", [([0, np.nan], "float32")], {"depth": 2, "on_value": 300, "off_value": -1, "dtype": "uint8"},
            [[44, 255], [255, 255]])
    literal("batch_take", [([[0, 1, 2, 3]] * 3, "float32"), ([0, 5, -1], "int32")], {}, [0, 3, 0])
    literal("_backward_take", [([[1, 2], [3, 4], [5, 6], [7, 8]], "float32"), ([-1, 0, 7, 9], "float32")],
            {"shape": (4, 2)},
            [[4, 6], [0, 0], [0, 0], [12, 14]])


@pytest.mark.parametrize("name, arrays, params", [
    ("take", [W, ([0, 4], "float32")], {"mode": "raise"}), ("take", [W, ([-1], "int64")], {"mode": "raise"}),
    ("take", [(np.zeros((0, 2)), "float32"), ([0], "int32")], {}), ("gather_nd", [W, ([[0, 4]], "int32")], {}),
    ("gather_nd", [W, ([[-5]], "int32")], {}), ("scatter_nd", [([1.0], "float32"), ([[4], [0]], "int32")],
                                                {"shape": (4, 2)}),
    ("pick", [(np.zeros((2, 0)), "float32"), ([0, 0], "int32")], {}),
    ("_backward_take", [([[1, 2]], "float32"), ([4], "int32")], {"shape": (4, 2), "mode": "raise"})])
def test_an_index_that_names_nothing_is_reported(name, arrays, params):
    _, rc = call(RECORDS[name], [np.asarray(x, d) for x, d in arrays], params)
    assert rc == EINDEX
    op = RECORDS[name]
    with pytest.raises(IndexError):
        op.ref(np, op.parse(params), *[np.asarray(x, d) for x, d in arrays])


@pytest.mark.parametrize("name, params, want", [
    ("arange", {"start": 0, "stop": 1, "step": 0.3}, np.arange(4, dtype="float32") * np.float32(0.3)),
    ("arange", {"start": 5}, np.arange(5, dtype="float32")),
    ("arange", {"start": 5, "stop": 2, "step": -1, "dtype": "float16"}, np.array([5, 4, 3], "float16")),
    ("arange", {"start": 0, "stop": 2, "step": 0.5, "dtype": "int32"}, np.zeros(4, "int32")),
    ("arange", {"start": 0.5, "stop": 3.7, "dtype": "int32"}, np.arange(4, dtype="int32")),
    ("arange", {"start": 300, "stop": 302, "dtype": "uint8"}, np.array([44, 45], "uint8")),
    ("arange", {"start": 0, "stop": 2, "repeat": 2}, np.array([0, 0, 1, 1], "float32")),
    ("linspace", {"start": 0, "stop": 10, "num": 4, "dtype": "int32"}, np.array([0, 3, 6, 10], "int32")),
    ("linspace", {"start": 0, "stop": 1, "num": 5, "endpoint": False}, np.array([0, .2, .4, .6, .8], "float32")),
    ("eye", {"N": 2, "M": 3, "k": 1}, np.eye(2, 3, 1, "float32")),
    ("eye", {"N": 3, "M": 2, "k": -1}, np.eye(3, 2, -1, "float32")),
    ("eye", {"N": 2, "M": -1}, np.eye(2, dtype="float32")),
    ("full", {"shape": (2,), "value": 300, "dtype": "uint8"}, np.array([44, 44], "uint8")),
    ("full", {"shape": (2,), "value": -2.7, "dtype": "int32"}, np.array([-2, -2], "int32")),
    ("full", {"shape": (2,), "value": 0.5, "dtype": "bool"}, np.array([True, True])),
    ("full", {"shape": (2, 0), "value": 1}, None)])
def test_arrays_from_parameters(name, params, want):
    if want is None:            # a zero in the shape is a dimension told by the graph
        op = REGISTRY[name]
        assert op.infer(op.parse(params), [], [None])[1] == [(2, None)]
        assert op.infer(op.parse(params), [], [(2, 3)])[1] == [(2, 3)]
    else:
        check(name, [], params, want)


@pytest.mark.parametrize("threads", (1, 2))
def test_large_arrays_from_parameters(threads):
    n = 700001
    check("arange", [], {"start": 1, "stop": n + 1, "dtype": "float64"}, np.arange(1, n + 1, dtype="float64"), None,
          threads)
    check("full", [], {"shape": (n,), "value": 2.5}, np.full(n, 2.5, "float32"), None, threads)
    check("eye", [], {"N": 900, "M": 901, "k": 3}, np.eye(900, 901, 3, "float32"), None, threads)
    check("linspace", [], {"start": 0, "stop": 3, "num": n, "dtype": "float64"}, np.linspace(0, 3, n), None, threads)


def test_sixteen_bits_round_once():
    """A double becomes float16 by one rounding, not by way of a rounded float."""
    rng = np.random.default_rng(8)
    values = np.concatenate([rng.standard_normal(300), rng.standard_normal(300) * 1e-7,
                             [65504, 65519.99, 65520, 7e4, -1e300, 0.0,
                             -0.0, 2.0 ** -25, 2.0 ** -24, 1 + 2.0 ** -11, 1 + 2.0 ** -11 + 2.0 ** -40,
                             3 * 2.0 ** -25]])
    with np.errstate(over="ignore"):
        want = values.astype("float16")
    for v, w in zip(values, want):
        got, _ = call(REGISTRY["full"], [], {"shape": (1,), "value": float(v), "dtype": "float16"})
        assert got[0].view("uint16")[0] == np.array([w]).view("uint16")[0], v


@SLOW
@given(st.lists(st.integers(0, 9), min_size=1, max_size=3), st.sampled_from(("float32", "float64", "int32", "int64",
                                                                             "int8")),
       st.booleans(), st.data())
def test_sorting_is_stable(shape, dtype, ascend, data):
    axis = data.draw(st.integers(0, len(shape) - 1))
    x = np.random.default_rng(sum(shape)).integers(-4, 4, shape).astype(dtype)
    order = np.argsort(x if ascend else -x, axis, kind="stable")
    want = np.take_along_axis(x, order, axis)
    params = {"axis": axis, "is_ascend": ascend}
    check("argsort", [x], params | {"dtype": "int32"}, order.astype("int32"))
    check("sort", [x], params, want)
    k = data.draw(st.integers(1, max(1, shape[axis])))
    if k <= shape[axis]:
        first = (slice(None),) * axis + (slice(k),)
        got, rc = call(RECORDS["topk"], [x], params | {"k": k, "ret_typ": "both"})
        assert rc == 0
        np.testing.assert_array_equal(got[0], want[first])
        np.testing.assert_array_equal(got[1], order[first])
        mask = np.zeros_like(x)
        np.put_along_axis(mask, order[first], 1, axis)
        check("topk", [x], params | {"k": k, "ret_typ": "mask"}, mask)


def test_nan_sorts_as_the_largest():
    x = ([1, np.nan, 3, 0, np.nan], "float32")
    literal("argsort", [x], {}, [3, 0, 2, 1, 4])
    literal("argsort", [x], {"is_ascend": False}, [1, 4, 2, 0, 3])
    literal("topk", [x], {"k": 3}, [1, 4, 2])
    assert RECORDS["argsort"].ref(np, RECORDS["argsort"].parse({"is_ascend": False}),
                                  np.float32(x[0])).tolist() == [1, 4, 2, 0, 3]


# -- order ----------------------------------------------------------------------------------------------------------
def ordered(x, ascend):
    """Places in order: NaN the largest, equal elements as they come."""
    n = x.shape[-1]
    if ascend:
        return np.argsort(x, -1, kind="stable")
    return n - 1 - np.argsort(x[..., ::-1], -1, kind="stable")[..., ::-1]


@settings(max_examples=150, deadline=None)
@given(n=st.sampled_from((1, 2, 15, 16, 17, 33, 100, 511, 513, 3000)), rows=st.integers(1, 5),
       inner=st.sampled_from((1, 3)),
       dtype=st.sampled_from(("float32", "float64", "int32", "int64", "uint8", "int8")), ascend=st.booleans(),
       coarse=st.booleans(), part=st.sampled_from((0, 1, 2, 7, 60)), threads=st.sampled_from((1, 2)))
def test_sort_and_topk(n, rows, inner, dtype, ascend, coarse, part, threads):
    rng = np.random.default_rng(n + rows)
    shape = rows, inner, n
    x = rng.integers(-4 if dtype != "uint8" else 0, 4, shape) if coarse else rng.normal(size=shape) * 50
    x = x.astype(dtype)
    if x.dtype.kind == "f":
        for v in (np.nan, np.inf, -np.inf, -0.0, 0.0, np.finfo(dtype).tiny / 4):
            x[rng.random(x.shape) < 0.04] = v
        x[rng.random(x.shape) < 0.02] = np.copysign(np.nan, -1)
    elif dtype.startswith("int"):
        x[rng.random(x.shape) < 0.05] = np.iinfo(dtype).min
        x[rng.random(x.shape) < 0.05] = np.iinfo(dtype).max
    want = ordered(x, ascend)
    data = np.ascontiguousarray(np.moveaxis(x, -1, 1))          # the axis in the middle
    k = min(part, n) or n
    (values, places), rc = call(REGISTRY["topk"], [data], dict(axis=1, k=k, ret_typ="both", is_ascend=ascend,
                                                               dtype="int32"), None, threads)
    assert rc == 0
    np.testing.assert_array_equal(np.moveaxis(places, 1, -1), want[..., :k])
    np.testing.assert_array_equal(np.moveaxis(values, 1, -1), np.take_along_axis(x, want[..., :k], -1))
    mask = call(REGISTRY["topk"], [data], dict(axis=1, k=k, ret_typ="mask", is_ascend=ascend), None, threads)[0][0]
    assert (mask.sum(1) == k).all()
    np.testing.assert_array_equal(np.take_along_axis(np.moveaxis(mask, 1, -1), want[..., :k], -1), 1)
    (values, places), rc = call(REGISTRY["sort"], [data], dict(axis=1, is_ascend=ascend), None, threads)
    np.testing.assert_array_equal(np.moveaxis(places, 1, -1), want)
    np.testing.assert_array_equal(np.moveaxis(values, 1, -1), np.take_along_axis(x, want, -1))


@pytest.mark.parametrize("width", (1, 3, 7, 8, 15, 16, 17, 31, 33, 50, 64, 70, 200))
@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_gather_touches_nothing_outside(width, dtype):
    op, rng = RECORDS["Embedding"], np.random.default_rng(2)
    p = op.parse({"input_dim": 9, "output_dim": width})
    index, weight = rng.integers(-3, 12, 300).astype(dtype), rng.normal(size=(9, width)).astype(dtype)
    args = op.launch(p, [index.shape, weight.shape], [(300, width)])
    for isa in (0, 1, 2):
        for at_end in (True, False):
            got = guard_pages.run("index.embedding", [index, weight], args, [(300, width)], 0, isa, 1, at_end)[0]
            np.testing.assert_array_equal(got, weight[np.clip(index.astype(int), 0, 8)])
