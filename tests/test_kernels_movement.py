"""Copies, cuts and joins against plain NumPy: sizes round the tiles, every item size, level and thread count."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxlite._core import cpu, kernelcall, kernels
from mxlite.ops.record import RECORDS, REGISTRY

from . import guard_pages
from .kernel_calls import call

DTYPES = ("uint8", "float16", "float32", "float64")
SLOW = settings(max_examples=60, deadline=None)
levels = st.sampled_from((0, 1, 2))
dtypes = st.sampled_from(DTYPES)
edges = st.sampled_from((0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33))


def numbers(shape, dtype):
    """Distinct where the dtype has room: a wrong place shows."""
    n = int(np.prod(shape))
    return (np.arange(n) % 251 if dtype == "uint8" else np.arange(n) % 2039 if dtype == "float16" else np.arange(n)) \
        .astype(dtype).reshape(shape)


def check(name, arrays, params, want, isa, threads=1, skip=()):
    got, rc = call(REGISTRY[name], arrays, params, isa, threads, unread=skip)
    assert rc == 0
    want = want if isinstance(want, (list, tuple)) else [want]
    for i, (g, w) in enumerate(zip(got, want)):
        if i not in skip:
            assert g.dtype == w.dtype
            np.testing.assert_array_equal(g, w, err_msg=f"{name} {params} {[x.shape for x in arrays]} level {isa}")


@SLOW
@given(st.lists(edges, min_size=1, max_size=4), dtypes, levels, st.data())
def test_transpose(shape, dtype, isa, data):
    axes = tuple(data.draw(st.permutations(range(len(shape)))))
    x = numbers(shape, dtype)
    check("transpose", [x], {"axes": axes}, x.transpose(axes), isa)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("isa", (0, 1, 2))
@pytest.mark.parametrize("shape, axes", [((700, 900), (1, 0)), ((3, 64, 57 * 57), (0, 2, 1)),
                                         ((2, 3, 300, 301), (0, 2, 3, 1)),
                                         ((300, 301, 6), (2, 1, 0)), ((20000, 2, 17), (1, 0, 2)),
                                         ((1000, 1024), (1, 0))])
def test_transpose_large(shape, axes, dtype, isa):
    x = numbers(shape, dtype)
    check("transpose", [x], {"axes": axes}, x.transpose(axes), isa, threads=2)


def test_eight_axes():
    x = numbers((2, 3, 2, 1, 2, 3, 2, 2), "float32")
    axes = (7, 5, 3, 1, 6, 4, 2, 0)
    check("transpose", [x], {"axes": axes}, x.transpose(axes), None)
    check("tile", [x], {"reps": (2,) * 8}, np.tile(x, (2,) * 8), None)


bound = st.one_of(st.none(), st.integers(-40, 40))


@SLOW
@given(st.lists(edges, min_size=1, max_size=3), dtypes, levels, st.data())
def test_slice_and_its_gradient(shape, dtype, isa, data):
    n = data.draw(st.integers(1, len(shape)))
    begin, end = (tuple(data.draw(bound) for _ in range(n)) for _ in range(2))
    step = tuple(data.draw(st.sampled_from((None, 1, 2, 3, -1, -2, 7, -9))) for _ in range(n))
    at = tuple(slice(*t) for t in zip(begin, end, step))
    x = numbers(shape, dtype)
    check("slice", [x], {"begin": begin, "end": end, "step": step}, x[at], isa)
    y = numbers(x[at].shape, dtype)
    want = np.zeros(shape, dtype)
    want[at] = y
    ranges = [range(d)[s] for d, s in zip(shape, at + (slice(None),) * (len(shape) - n))]
    check("_backward_slice", [y], {"shape": tuple(shape), "begin": tuple(r.start for r in ranges),
                                   "step": tuple(r.step for r in ranges)}, want, isa)


@SLOW
@given(st.lists(st.integers(0, 9), min_size=1, max_size=3), st.lists(st.integers(1, 5), max_size=4), dtypes, levels)
def test_tile_repeat_reverse(shape, reps, dtype, isa):
    x = numbers(shape, dtype)
    check("tile", [x], {"reps": tuple(reps)}, np.tile(x, reps), isa)
    axis, n = len(shape) - 1, (reps + [3])[0]
    check("repeat", [x], {"repeats": n, "axis": axis}, x.repeat(n, axis), isa)
    check("repeat", [x], {"repeats": n, "axis": 0}, x.repeat(n, 0), isa)
    check("repeat", [x], {"repeats": n}, x.repeat(n), isa)
    check("flip", [x], {"axis": (0, axis) if axis else 0}, np.flip(x, (0, axis) if axis else 0), isa)


@SLOW
@given(st.tuples(edges, st.integers(0, 5)), st.lists(edges, min_size=1, max_size=5), st.integers(0, 2), dtypes, levels)
def test_concat_and_split(others, sizes, axis, dtype, isa):
    shapes = [(*others[:axis], s, *others[axis:]) for s in sizes]
    xs = [numbers(s, dtype) for s in shapes]
    whole = np.concatenate(xs, axis)
    check("concat", xs, {"dim": axis}, whole, isa)
    check("_backward_Concat", [whole], {"dim": axis, "sizes": tuple(sizes)}, xs, isa)
    same = [xs[0] + 1, xs[0], xs[0]]
    check("stack", same, {"axis": axis}, np.stack(same, axis), isa)
    check("split", [np.stack(same, axis)], {"num_outputs": 3, "axis": axis, "squeeze_axis": True}, same, isa, skip=(1,))


@pytest.mark.parametrize("threads", (1, 2))
@pytest.mark.parametrize("shapes, axis", [(((2, 300000), (2, 5), (2, 100000)), 1), (((300000, 1), (300000, 2)), 1),
                                          (((5000, 7, 11), (5000, 3, 11)), 1), (((700000,), (3,), (200001,)), 0)])
def test_concat_large(shapes, axis, threads):
    xs = [numbers(s, "float32") for s in shapes]
    whole = np.concatenate(xs, axis)
    check("concat", xs, {"dim": axis}, whole, None, threads)
    check("_backward_Concat", [whole], {"dim": axis, "sizes": tuple(s[axis] for s in shapes)}, xs, None, threads)


@pytest.mark.parametrize("threads", (1, 2))
def test_large_copies(threads):
    x = numbers((1201, 1003), "float32")
    check("reshape", [x], {"shape": (1003, 1201)}, x.reshape(1003, 1201), None, threads)
    check("slice", [x], {"begin": (1, 2), "end": (None, -1)}, x[1:, 2:-1], None, threads)
    check("slice", [x], {"begin": (None, None), "end": (None, None), "step": (2, -3)}, x[::2, ::-3], None, threads)
    check("_backward_slice", [x], {"shape": (1300, 2100), "begin": (3, 2), "step": (1, 2)},
          np.pad(np.stack([x, 0 * x], 2).reshape(1201, 2006), ((3, 96), (2, 92))), None, threads)
    check("flip", [x], {"axis": (0, 1)}, x[::-1, ::-1], None, threads)
    check("tile", [x], {"reps": (2, 1)}, np.tile(x, (2, 1)), None, threads)
    check("repeat", [x], {"repeats": 2, "axis": 1}, x.repeat(2, 1), None, threads)


@SLOW
@given(edges, edges, dtypes, st.sampled_from(("float32", "float64", "float16", "int8", "int64", "bool")), levels,
       st.booleans())
def test_where(n, m, dtype, cond_dtype, isa, rows):
    rng = np.random.default_rng(n * 40 + m)
    x, y = numbers((n, m), dtype), numbers((n, m), dtype)[::-1].copy()
    cond = rng.integers(-1, 2, (n,) if rows else (n, m)).astype(cond_dtype)
    hold = cond.reshape(n, -1) != 0 if rows and n else cond.reshape(n, m if not rows else 1) != 0
    check("where", [cond, x, y], {}, np.where(hold, x, y), isa)
    zero = np.zeros_like(x)
    check("_backward_where", [cond, x], {}, [np.where(hold, x, zero), np.where(hold, zero, x)], isa)
    check("_backward_where", [cond, x], {}, [x, np.where(hold, zero, x)], isa, skip=(0,))


def test_where_counts_nan_as_true_and_minus_zero_as_false():
    for dtype in ("float16", "float32", "float64"):
        cond = np.array([np.nan, -0.0, 0.0, 1e-7, -np.inf], dtype)
        check("where", [cond, np.arange(5.0), -np.ones(5)], {}, np.array([0.0, -1, -1, 3, 4]), None)


@pytest.mark.parametrize("isa", range(cpu.detected_isa + 1))
def test_where_in_place_and_large(isa):
    x, y = numbers((900, 1001), "float32"), -numbers((900, 1001), "float32")
    capsule, _ = kernels.lookup("movement.where")
    level = cpu.get_isa()
    cpu.set_isa(isa)
    try:
        for cond in (x % 3 == 0, x[:, 0] % 2):
            want = np.where(cond.reshape(900, -1) != 0, x, y)
            check("where", [cond, x, y], {}, want, isa, threads=2)
            for i in (1, 2):
                data = [cond, x.copy(), y.copy()]
                assert kernelcall.call(capsule, data, [data[i]], threads=2) == 0
                np.testing.assert_array_equal(data[i], want)
    finally:
        cpu.set_isa(level)


@pytest.mark.parametrize("threads", (1, 2))
@pytest.mark.parametrize("mode", ("constant", "edge", "reflect"))
@pytest.mark.parametrize("shape", ((2, 3, 4, 6), (1, 2, 5, 4, 7), (8, 9, 50, 61)))
def test_pad(mode, shape, threads):
    before, after = (0, 0, 2, 3, 1)[:len(shape)], (0, 0, 1, 3, 4)[:len(shape)]
    width = tuple(zip(before, after))
    flat = tuple(w for pair in width for w in pair)
    for dtype in ("float32", "float16", "int32"):
        x = numbers(shape, dtype)
        more = {"constant_values": 7} if mode == "constant" else {}
        check("pad", [x], {"mode": mode, "pad_width": flat, "constant_value": 7}, np.pad(x, width, mode, **more),
              None, threads)
    if mode != "constant":
        x = np.random.default_rng(3).integers(-9, 9, [d + a + b for d, a,
                                                      b in zip(shape, before, after)]).astype("float64")
        at = np.pad(np.arange(np.prod(shape)).reshape(shape), width, mode)
        want = np.bincount(at.ravel(), x.ravel(), np.prod(shape)).reshape(shape)
        check("_backward_Pad", [x], {"mode": mode, "pad_width": flat}, want, None, threads)


def test_pad_literal():
    x = np.arange(4, dtype="float32").reshape(1, 1, 2, 2)
    got, _ = call(RECORDS["Pad"], [x], {"mode": "constant", "pad_width": (0, 0, 0, 0, 1, 0, 0, 1),
                                              "constant_value": 7})
    assert got[0].tolist() == [[[[7, 7, 7], [0, 1, 7], [2, 3, 7]]]]
    got, _ = call(RECORDS["Pad"], [x], {"mode": "edge", "pad_width": (0, 0, 0, 0, -1, 0, 0, 1)})
    assert got[0].tolist() == [[[[2, 3, 3]]]]


@pytest.mark.parametrize("name, shapes, params, text", [
    ("Reshape", ((2, 3, 4),), {"shape": (5, 5)}, "cannot reshape"),
    ("Reshape", ((2, 3, 4),), {"shape": (5, -1)}, "cannot reshape"),
    ("Reshape", ((2, 3, 4),), {"shape": (-1, -1)}, "more than one -1"),
    ("Reshape", ((2, 3, 4),), {"shape": (-4, -1, 3, -2)}, "cannot split"),
    ("Reshape", ((2, 3, 4),), {"shape": (0, 0, 0, 0)}, "no dimension left"),
    ("transpose", ((2, 3),), {"axes": (0, 0)}, "not a permutation"),
    ("expand_dims", ((2, 3),), {"axis": 3}, "out of range"),
    ("squeeze", ((1, 2),), {"axis": 1}, "only size 1"),
    ("Concat", ((2, 3), (3, 4)), {}, "do not agree"),
    ("SliceChannel", ((2, 4),), {"num_outputs": 3}, "equal pieces"),
    ("slice", ((5,),), {"begin": (0,), "end": (4,), "step": (0,)}, "step"),
    ("slice_axis", ((5,),), {"axis": 0, "begin": 3, "end": 3}, "no range"),
    ("slice_like", ((3, 4), (5, 2)), {}, "smaller"),
    ("reverse", ((2, 3),), {"axis": -1}, "out of range"),
    ("tile", ((2, 3),), {"reps": (0,)}, "positive"),
    ("where", ((3,), (2, 2), (2, 2)), {}, "do not agree"),
    ("Pad", ((3, 3),), {"mode": "edge", "pad_width": (0, 0, 1, 1)}, "4 or 5 axes")])
def test_errors(name, shapes, params, text):
    op = RECORDS[name]
    p = op.parse(params)
    with pytest.raises(ValueError, match=text):
        op.infer(p, list(shapes), [None] * len(op.output_names(p)))


@pytest.mark.parametrize("params, data, want", [
    ({"shape": (-1, 4)}, (2, 3, 4), (6, 4)), ({"shape": (0, -1)}, (2, 3, 4), (2, 12)),
    ({"shape": (-2, 1, 1)}, (2, 3), (2, 3, 1, 1)),
    ({"shape": (0, -3)}, (2, 3, 4), (2, 12)), ({"shape": (-4, 1, 2, -2)}, (2, 3, 4), (1, 2, 3, 4)),
    ({"shape": (-4, -1, 2, -2)}, (2, 3, 4), (1, 2, 3, 4)), ({"shape": (-3, -1), "reverse": True}, (2, 3, 4), (6, 4)),
    ({"shape": (0, -1), "reverse": True}, (2, 3, 4), (3, 8)), ({"shape": (-2, -3), "reverse": True}, (2, 3, 4),
                                                               (2, 12)),
    ({"target_shape": (2, 0)}, (2, 3, 4), (2, 12)), ({"target_shape": (7, 0), "keep_highest": True}, (2, 3, 4),
                                                     (2, 12)),
    ({"shape": (0, -1)}, (0, 4, 5), (0, 20)), ({"shape": (-1, 3)}, (0, 3), (0, 3)),
    ({"shape": (0, -1)}, (None, 3, 4), (None, None)),
    ({"shape": (0, -3)}, (None, 3, 4), (None, 12)), ({"shape": (-4, 1, 2, -2)}, (None, 3, 4), (1, 2, 3, 4))])
def test_reshape_codes(params, data, want):
    op = RECORDS["Reshape"]
    assert op.infer(op.parse(params), [data], [None])[1] == [want]


@pytest.mark.parametrize("name, params, ins, outs, want", [
    ("Reshape", {"shape": (-1, 4)}, [(2, None, 4)], [(6, 4)], [(2, 3, 4)]),
    ("Reshape", {"shape": (6, 4)}, [(None, 3, 4)], [None], [(2, 3, 4)]),
    ("transpose", {"axes": (1, 0, 2)}, [None], [(6, 1, 4)], [(1, 6, 4)]),
    ("expand_dims", {"axis": 1}, [None], [(6, 1, 4)], [(6, 4)]),
    ("Concat", {"dim": 1}, [(None, 4, None), (None, None, None)], [(6, 9, 4)], [(6, 4, 4), (6, None, 4)]),
    ("reverse", {"axis": 0}, [(2, None)], [(2, 3)], [(2, 3)]),
    ("where", {}, [(2, 3), None, None], [None], [(2, 3)] * 3)])
def test_inference_backwards(name, params, ins, outs, want):
    op = RECORDS[name]
    assert op.infer(op.parse(params), ins, outs)[0] == want


@pytest.mark.parametrize("width", (63, 64, 65, 127, 255, 256, 257, 300, 1031))
def test_rows_touch_nothing_outside(width):
    """Copies of whole rows, whose ends do not fill vectors; an access outside would end the process."""
    x = numbers((3, 5, width), "float32")
    transpose, concat = RECORDS["transpose"], RECORDS["Concat"]
    p, q = transpose.parse({"axes": (1, 0, 2)}), concat.parse({"dim": 1})
    for isa in (0, 1, 2):
        for at_end in (True, False):
            got = guard_pages.run("movement.strided", [x], transpose.launch(p, [x.shape], [(5, 3, width)]),
                                  [(5, 3, width)], 0, isa, 1, at_end)[0]
            np.testing.assert_array_equal(got, x.transpose(1, 0, 2))
            got = guard_pages.run("movement.join", [x, x[:, :2].copy()],
                                  concat.launch(q, [x.shape, (3, 2, width)], [(3, 7, width)]), [(3, 7, width)], 0,
                                  isa, 1, at_end)[0]
            np.testing.assert_array_equal(got, np.concatenate([x, x[:, :2]], 1))


@pytest.mark.parametrize("isa", (0, 1, 2))
def test_copies_that_go_past_the_caches(isa):
    """Results of more than 16 MiB, in rows that begin anywhere in a line."""
    x = numbers((61, 67, 1031), "float32")
    check("transpose", [x], {"axes": (1, 0, 2)}, x.transpose(1, 0, 2), isa, 2)
    check("Concat", [x, x[:, :1].copy()], {"dim": 1}, np.concatenate([x, x[:, :1]], 1), isa, 2)
    check("_backward_Concat", [x], {"dim": 1, "sizes": (60, 7)}, [x[:, :60], x[:, 60:]], isa)
