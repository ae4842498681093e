"""Tests that every record gets for free from its samples: inference, reference, gradient, kernels, in-place claims."""
import numpy as np
import pytest

import mxlite as mx
from mxlite._core import cpu
from mxlite.ops import RECORDS

from . import reference as R

CASES = [pytest.param(op, s, id=f"{name}-{i}") for name, op in sorted(RECORDS.items())
         for i, s in enumerate(op.samples)]
LEVELS = range(cpu.ISA_NAMES.index(cpu.get_isa()) + 1)


def seeded(op):
    """A generator that depends on the operator's name alone, so that a failure repeats."""
    return np.random.default_rng(sum(map(ord, op.name)))


@pytest.mark.parametrize("op", [pytest.param(op, id=n) for n, op in sorted(RECORDS.items())])
def test_record_is_documented_and_sampled(op):
    assert op.__doc__.strip()
    assert op.samples, f"{op.name} has no samples: nothing would test it"
    for k, param in op.params.items():
        assert param.help or k in ("ctx", "dtype"), f"{op.name}: parameter {k} has no help"


@pytest.mark.parametrize("op, sample", CASES)
def test_inference(op, sample):
    R.check_inference(op, sample, seeded(op))


@pytest.mark.parametrize("op, sample", CASES)
def test_gradient(op, sample):
    R.check_gradient(op, sample, seeded(op))


@pytest.mark.parametrize("op, sample", CASES)
def test_kernel(op, sample):
    for dtype in ("float32", "float64"):
        for isa in LEVELS:
            for threads in (1, 2):
                R.check_kernel(op, sample, seeded(op), dtype, isa, threads)


@pytest.mark.parametrize("op, sample", CASES)
def test_inplace(op, sample):
    R.check_inplace(op, sample, seeded(op))


@pytest.mark.parametrize("op, sample", [c for c in CASES if not c.values[0].name.startswith("_backward")
                                        and not (c.values[0].variadic and c.values[0].aux)])
def test_symbol_equals_ndarray(op, sample):
    """The bound graph and the imperative call give the same numbers, and parameters survive JSON."""
    R.check_faces(mx, op, sample, seeded(op))
