"""Channels last, and plans chosen by timing, on a device: the numbers of planes, of first guesses, and of the CPU."""
import numpy as np
import pytest

import mxlite as mx
from mxlite.contrib import amp
from mxlite.gpu import autotune

from ..gpu.test_layout_pass import IMAGE, bound, inception, mobilenet, resnet, results, segment, transposed

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
NETWORKS = {"resnet": resnet, "inception": inception, "mobilenet": mobilenet, "segment": segment}
SHAPES = {name: {**IMAGE, **({"label": (2, 5, 12, 12)} if name == "segment" else {"softmax_label": (2,)})}
          for name in NETWORKS}


def near(got, want, share):
    """As near as the precision allows: TF32 and float16 round factors to 10 bits."""
    assert len(got) == len(want)
    for a, b in zip(got, want):
        assert np.isfinite(a).all()
        np.testing.assert_allclose(a, b, rtol=share, atol=share * max(0.1, np.abs(b).max(initial=0)))


@pytest.mark.parametrize("mode", ["train", "infer"])
@pytest.mark.parametrize("precision", ["tf32", "float16"])
@pytest.mark.parametrize("name", NETWORKS)
def test_both_layouts_and_the_cpu_agree(gpu, name, precision, mode):
    net, train = NETWORKS[name](), mode == "train"
    if precision == "float16":
        net = amp.convert_symbol(net, target_dtype="float16")
    with mx.runtime.option("tf32", precision == "tf32"):
        exe = bound(net, gpu.ctx, SHAPES[name])
        got = results(exe, train, 3)            # plainly, captured, replayed
        assert transposed(exe, mode)
        with mx.runtime.option("layout", False):
            other = bound(net, gpu.ctx, SHAPES[name])
            planes = results(other, train, 3)
            assert not transposed(other, mode)
    near(got, planes, 5e-2)
    near(got, results(bound(net, mx.cpu(), SHAPES[name]), train, 3), 5e-2)


def test_choosing_plans_changes_no_number_by_more_than_rounding(gpu):
    found = []
    for on in (True, False):
        with mx.runtime.option("autotune", on), mx.runtime.option("tf32", False):
            found.append(results(bound(resnet(), gpu.ctx, SHAPES["resnet"])))
    near(*found, 2e-3)


def test_what_was_timed_is_not_timed_again(gpu, monkeypatch):
    want = results(bound(resnet(), gpu.ctx, SHAPES["resnet"]))

    def timed(*given):
        raise AssertionError("timed again")
    monkeypatch.setattr(autotune, "quickest", timed)
    for a, b in zip(results(bound(resnet(), gpu.ctx, SHAPES["resnet"])), want):
        np.testing.assert_array_equal(a, b)
