"""Random kernels of the GPU: the same bits as the CPU's."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxlite.gpu import launch
from mxlite.gpu.families import random

from . import check, shim

pytestmark = shim.needs_cxx
STATES = ((7, 1), (0xfedcba9876543210, 0x123456789abcdef))


def test_samples():
    assert check.check_samples(set(random.KERNELS), tol=2e-6) == set(random.KERNELS)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from((0, 1, 2, 3, 5, 8)), min_size=1, max_size=4), st.data())
def test_dropout_is_the_cpus_bit_for_bit(shape, data):
    axes = data.draw(st.sets(st.integers(0, len(shape) - 1)))
    params = dict(p=data.draw(st.sampled_from((0.0, 0.3, 0.5, 0.999, 1.0))), axes=tuple(axes),
                  mode=data.draw(st.sampled_from(("training", "always"))))
    x = np.random.default_rng(0).normal(size=shape).astype(data.draw(st.sampled_from(("float32", "float64"))))
    how = dict(rng=data.draw(st.sampled_from(STATES)), rng_id=data.draw(st.sampled_from((0, 5, 2 ** 32 - 1))),
               is_train=data.draw(st.booleans()), shift=data.draw(st.integers(0, 4)))
    check.check("Dropout", [x], params, 0, into=data.draw(st.sampled_from(({}, {0: 0}))), **how)


@pytest.mark.parametrize("dtype", ("float16", "bfloat16"))
@pytest.mark.parametrize("shift", (0, 1))
def test_dropout_of_half_precision(dtype, shift):
    x = check.wrap(np.random.default_rng(0).uniform(1, 2, 1037), dtype)
    y = check.on_gpu("Dropout", [x], {"p": 0.3}, shift=shift)[0][0]
    ones = np.ones(1037, "float32")
    mask = check.on_cpu("Dropout", [ones], {"p": 0.3})[0][0][0]
    check.same([y], [check.wrap(check.wide(x) * mask, dtype)])
    assert np.array_equal(check.wide(y) == 0, mask == 0)


@pytest.mark.parametrize("n", (0, 1, 2, 3, 5, 1029))
@pytest.mark.parametrize("dtype", ("float32", "float64"))
@pytest.mark.parametrize("state", STATES)
def test_draws(n, dtype, state):
    params = dict(shape=(n,), dtype=dtype)
    check.check("_random_uniform", [], dict(params, low=-0.1, high=3.3), 0, rng=state, rng_id=9)
    check.check("_random_normal", [], dict(params, loc=0.5, scale=2.0), 4e-6 if dtype == "float32" else 1e-14,
                rng=state, rng_id=9)


def test_values_that_are_not_allowed():
    y = launch.Tensor((3,), "float32", 256)
    for kernel, scalars in (("random.uniform", (1.0, 0.5)), ("random.normal", (0.0, 0.0))):
        with pytest.raises(ValueError, match="must"):
            launch.plan(kernel, None, [], [y], scalars, rng=0, rng_id=0, is_train=True)
