"""Movement plans on the processor against the CPU's kernels: bits, exactly."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxlite.gpu.families import movement as family

from . import check, shim

pytestmark = shim.needs_cxx
SOME = settings(max_examples=15, deadline=None, derandomize=True)
DTYPES = ("float32", "float64", "bfloat16", "float16", "uint8", "int8", "int32", "int64", "bool")
dtypes = st.sampled_from(DTYPES)
shapes = st.lists(st.sampled_from((0, 1, 2, 3, 4, 8, 12, 33)), min_size=1, max_size=4).map(tuple)
shifts = st.integers(0, 3)


def numbers(shape, dtype, seed=0):
    x = np.random.default_rng(seed).integers(0, 2 if dtype == "bool" else 100, shape)
    return check.wrap(x, dtype)


@pytest.mark.parametrize("dtype", ("float32", "float64", "float16", "uint8"))
def test_samples_of_every_record(dtype):
    ran = check.check_samples(set(family.KERNELS), (dtype,), tol=0)
    assert ran >= set(family.KERNELS) - {"movement.pad_backward"}


@SOME
@given(shapes, st.randoms(use_true_random=False), dtypes, shifts)
def test_transpose(shape, random, dtype, shift):
    axes = list(range(len(shape)))
    random.shuffle(axes)
    check.check("transpose", [numbers(shape, dtype)], {"axes": tuple(axes)}, tol=0, shift=shift)


@SOME
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 2), st.sampled_from(("float32", "uint8", "float64")))
def test_tiles_turn(rows, cols, batch, dtype):
    x = numbers((batch, rows, cols), dtype)
    y = check.check("transpose", [x], {"axes": (0, 2, 1)}, tol=0)[0]
    np.testing.assert_array_equal(y, x.swapaxes(1, 2))


@SOME
@given(shapes, st.lists(st.integers(0, 6), min_size=1, max_size=20), st.integers(0, 3), dtypes, shifts)
def test_concat_and_split(shape, widths, axis, dtype, shift):
    axis %= len(shape)
    xs = [numbers((*shape[:axis], w * 4, *shape[axis + 1:]), dtype, k) for k, w in enumerate(widths)]
    check.check("Concat", xs, {"dim": axis, "num_args": len(xs)}, tol=0, shift=shift)
    cut = (*shape[:axis], 6, *shape[axis + 1:])
    params = {"axis": axis, "num_outputs": 3}
    whole = check.check("SliceChannel", [numbers(cut, dtype)], params, tol=0, shift=shift)
    some = check.on_gpu("SliceChannel", [numbers(cut, dtype)], params, unread=(1,))[0]
    check.same(some, [whole[0], None, whole[2]], tol=0)


@SOME
@given(shapes, dtypes, shifts, st.booleans())
def test_slices_tiles_and_flips(shape, dtype, shift, backwards):
    x = numbers(shape, dtype)
    if 0 not in shape:
        step = tuple(-1 if backwards else 2 for _ in shape)
        begin = tuple(d - 1 for d in shape) if backwards else tuple(0 for _ in shape)
        end = tuple(None for _ in shape)
        check.check("slice", [x], {"begin": begin, "end": end, "step": step}, tol=0, shift=shift)
        check.check("_slice_assign_scalar", [x], {"begin": begin, "end": end, "step": step, "scalar": 3.6}, tol=0,
                    shift=shift)
    check.check("tile", [x], {"reps": (2, 1, 3)}, tol=0, shift=shift)
    check.check("reverse", [x], {"axis": (0,)}, tol=0, shift=shift)


@SOME
@given(st.integers(0, 40), st.sampled_from((1, 3)), dtypes, dtypes, shifts)
def test_where(n, inner, cdtype, dtype, shift):
    cond = numbers((n,), cdtype, 1)
    if cdtype == "float32" and n:
        cond = np.where(cond < 50, np.float32(-0.0), np.where(cond < 60, np.float32(np.nan), cond))
    else:
        bits = check.bits_of(cond)
        bits[bits > np.median(bits) if n else slice(0)] = 0
    shape = (n,) if inner == 1 else (n, inner)
    x, y = numbers(shape, dtype, 2), numbers(shape, dtype, 3)
    check.check("where", [cond, x, y], {}, tol=0, shift=shift)
    check.check("_backward_where", [cond, x], {}, tol=0, shift=shift)


@SOME
@given(st.sampled_from(("constant", "edge", "reflect")), st.lists(st.integers(0, 3), min_size=4, max_size=6),
       st.sampled_from(("float32", "float64")))
def test_pad_and_its_gradient(mode, widths, dtype):
    widths = widths[:len(widths) // 2 * 2]
    shape = (2, 3, 5, 4, 6)[:2 + len(widths) // 2]
    width = (0, 0, 0, 0, *widths)
    x = numbers(shape, dtype)
    params = {"mode": mode, "pad_width": width}
    y = check.check("Pad", [x], {**params, "constant_value": 1.7}, tol=0)[0]
    if mode != "constant":
        dy = np.random.default_rng(1).normal(size=y.shape).astype(dtype)
        check.check("_backward_Pad", [dy], params, tol=0)


def test_bits_of_numbers():
    for dtype in DTYPES:
        x = numbers((5,), dtype)
        for value in (0.0, 1.5, -2.7, 300.0, 1e30, float("nan"), 1 + 2.0 ** -8 + 2.0 ** -30, 65519.9999):
            check.check("_slice_assign_scalar", [x], {"begin": (1,), "end": (3,), "scalar": value}, tol=0)
