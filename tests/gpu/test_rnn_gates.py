"""The gates of an lstm's step on the GPU against the CPU's kernels, on the processor."""
import numpy as np
import pytest

from mxlite.gpu.families import rnn

from . import check, shim

pytestmark = shim.needs_cxx


def test_samples():
    assert check.check_samples(set(rnn.KERNELS)) == set(rnn.KERNELS)


def operands(backward, dtype, rows=3, units=37):
    rng = np.random.default_rng(units)
    shapes = [(rows, 4 * units), (rows, units)] if not backward else \
        [(rows, units), (rows, units), (rows, 4 * units), (rows, units), (rows, units)]
    return [rng.uniform(-3, 3, s).astype(dtype) for s in shapes]


@pytest.mark.parametrize("backward", (False, True))
@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_outputs_on_inputs_and_outputs_that_nobody_reads(backward, dtype):
    name = "_backward_lstm_gates" if backward else "_lstm_gates"
    xs = operands(backward, dtype)
    for into in ({0: 2}, {1: 0}, {1: 1}, {1: 3}, {1: 4}) if backward else ({1: 1}, {2: 0}, {1: 1, 2: 0}):
        check.check(name, xs, {}, into=into)
    for unread in ((0,), (1,)) if backward else ((0,), (1,), (2,), (0, 2)):
        check.check(name, xs, {}, unread=unread, shift=1)


@pytest.mark.parametrize("backward", (False, True))
@pytest.mark.parametrize("dtype", ("float16", "bfloat16"))
def test_half_precision(backward, dtype):
    name = "_backward_lstm_gates" if backward else "_lstm_gates"
    xs = [check.wrap(x, dtype) for x in operands(backward, "float32")]
    wide = [check.wide(x).astype("float32") for x in xs]
    got, want = check.on_gpu(name, xs, {})[0], check.on_cpu(name, wide, {})[0]
    for a, b in zip(got, want[0] if isinstance(want[0], (list, tuple)) else want):
        np.testing.assert_allclose(check.wide(a), check.wide(check.wrap(b, dtype)),
                                   rtol={"float16": 2e-3, "bfloat16": 1.6e-2}[dtype], atol=1e-3)
