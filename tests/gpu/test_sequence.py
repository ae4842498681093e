"""Sequence operators of the GPU against the CPU's kernels, on the processor."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxlite.gpu.families import sequence
from mxlite.gpu.source import CTYPE
from mxlite.ops.record import RECORDS

from . import check, shim

pytestmark = shim.needs_cxx


def test_samples():
    assert check.check_samples(set(sequence.KERNELS)) == set(sequence.KERNELS)


@pytest.mark.parametrize("dtype", sorted(CTYPE))
@pytest.mark.parametrize("value", (-1.5, 300.0, np.nan))
def test_values_of_every_dtype(dtype, value):
    x = check.wrap(np.arange(24).reshape(4, 3, 2) % 2 if dtype == "bool" else np.arange(24).reshape(4, 3, 2), dtype)
    length = check.wrap(np.array([1, 0, 1] if dtype == "bool" else [2, 0, 9]), dtype)
    params = dict(use_sequence_length=True, value=value)
    for into in ({}, {0: 0}):
        check.check("SequenceMask", [x, length], params, 0, into=into)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_moves(data):
    def pick(*values):
        return data.draw(st.sampled_from(values))
    shape, axis = (pick(1, 2, 5), pick(0, 1, 4), *pick((), (1,), (3,), (0,))), pick(0, 1)
    dtype, kind = pick("float32", "float16", "int64", "uint8"), pick("float32", "int64", "float64")
    use = pick(True, False)
    shape = shape if not axis else (shape[1], shape[0], *shape[2:])
    x = np.random.default_rng(1).integers(0, 9, shape).astype(dtype)
    length = [np.random.default_rng(2).integers(1, 8, shape[1 - axis]).astype(kind)] * use
    params = dict(use_sequence_length=use, axis=axis)
    for name in ("SequenceMask", "SequenceLast") + ("SequenceReverse",) * (axis == 0):
        y = check.check(name, [x, *length], params, 0)[0]
        if name == "SequenceLast":
            check.check("_backward_SequenceLast", [y, *length], {**params, "shape": shape}, 0)


@pytest.mark.parametrize("inner", ((), (0,)))
def test_a_sequence_without_last_step_is_an_error(inner):
    x, length = np.ones((4, 3, *inner), "float32"), np.array([1, 0, 2], "float32")
    params = dict(use_sequence_length=True)
    for name, a, more in (("SequenceLast", x, {}), ("_backward_SequenceLast", x[0], {"shape": x.shape})):
        assert check.on_cpu(name, [a, length], {**params, **more})[1] == 2
        assert check.on_gpu(name, [a, length], {**params, **more}, expect_error=True) is not None
    assert RECORDS["SequenceLast"].cpu == "sequence.last"
