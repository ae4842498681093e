"""Convolutions by cuDNN: what dnn.py describes, computed by its definition, against the CPU's kernels; what is asked of
the library; and its fallbacks."""
import importlib.util

import numpy as np
import pytest

from mxlite.gpu import Backend, _libs, dnn
from mxlite.gpu.launch import Tensor
from mxlite.ops import settings
from mxlite.ops.fused import FusedConvolution, FusedConvolutionDgrad
from mxlite.ops.record import RECORDS

from .. import reference as R
from . import check, shim
from .fake import Cupy
from .fake_cudnn import Cudnn

TOLERANCE = {"float32": 2e-5, "float64": 1e-12, "float16": 4e-3, "bfloat16": 4e-2}
NO_DISK = _libs.Cache(None)
pytestmark = shim.needs_cxx


def device(fake=None, disk=NO_DISK):
    dev = Backend(Cupy).device(0)
    dev.libraries["dnn"] = dnn.Dnn(fake or Cudnn(), dev, disk)
    return dev


def run(dev, kind, args, xs, shape, shift=0, into=None):
    """Output of a plan on arrays in the form of check.py; None where there is no plan."""
    dtype = check.dtype_of(xs[0])
    ins = [check.Memory(check.bits_of(x), shift) for x in xs]
    y = check.Memory(check.bits_of(check.wrap(np.full(shape, 7.0), dtype)), shift) if into is None else ins[into]
    plan = getattr(dnn, kind)(dev, args, [Tensor(m.bits.shape, dtype, m.address) for m in ins],
                              [Tensor(shape, dtype, y.address)])
    if plan is None:
        return None
    return check.library_output(dev, plan, ins, y, dtype)


def cpu(op, p, xs):
    """(arguments, output) of a record's CPU kernel."""
    from mxlite._core import kernelcall, kernels
    n = len(op.output_names(p))
    shapes, outs = op.infer(p, [check.bits_of(x).shape for x in xs], [None] * n) if op.infer else None
    dtype = check.dtype_of(xs[0])
    y = check.wrap(np.zeros(outs[0]), dtype)
    name = op.cpu(p) if callable(op.cpu) else op.cpu
    capsule, packer = kernels.lookup(name)
    args, size = op.launch(p, shapes, outs), {"float64": 8, "float32": 4}.get(dtype, 2)
    assert kernelcall.call(capsule, list(xs), [y], packer(args), (), op.workspace(p, shapes, outs, size, 1)) == 0
    return name.partition(".")[2], args, y


CASES = [(name, i) for name in ("Convolution", "_conv_dgrad", "_conv_wgrad", "Deconvolution")
         for i in range(len(RECORDS[name].samples))]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name, i", CASES)
def test_every_sample_of_every_convolution(name, i, dtype):
    op = RECORDS[name]
    sample = op.samples[i]
    p = op.parse(sample.params)
    shapes, outs = R.complete(op, p, sample.shapes)
    xs = [check.wrap(x, dtype) for x in R.draw(op, sample, shapes, np.random.default_rng(4), "float32")]
    if op.cpu(p) is None:               # channels last
        kind, args = op.gpu.partition(".")[2], op.launch(p, shapes, outs)
        want = check.wrap(op.ref(np, p, *(check.wide(x).astype("float64") for x in xs)), dtype)
        assert p.layout == "NHWC" and args["last"]
    else:
        kind, args, want = cpu(op, p, xs)
    dev = device()
    got = run(dev, kind, args, xs, check.bits_of(want).shape)
    check.same([got], [want], TOLERANCE[dtype], f"{name} {sample}")


def conv(bias, residual, act, **kw):
    given = dict(kernel=(3, 3), num_filter=6, pad=(1, 1), no_bias=not bias, act=act, lo=-0.4, hi=0.5,
                 weight=(6, 4, 3, 3), residual=bool(residual), **kw)
    p = FusedConvolution.parse(given)
    rng = np.random.default_rng(2)
    shapes = [(2, 4, 5, 6), (6, 4, 3, 3), *[(6,)] * bias, *[(2, 6, 5, 6)] * residual]
    return p, [rng.normal(size=s).astype("float32") for s in shapes]


def cpu_fused(p, xs, op=FusedConvolution, shape=(2, 6, 5, 6)):
    from mxlite._core import kernelcall, kernels
    shapes, y = [x.shape for x in xs], np.zeros(shape, "float32")
    capsule, packer = kernels.lookup(op.cpu(p))
    args = op.launch(p, shapes, [shape])
    assert kernelcall.call(capsule, list(xs), [y], packer(args), (), op.workspace(p, shapes, [shape], 4, 1)) == 0
    return args, y


@pytest.mark.parametrize("refused", [(), ("relu",), ("add", "relu")], ids=["fused", "no relu", "plain alone"])
@pytest.mark.parametrize("bias, residual, act", [(1, 0, 0), (1, 0, 1), (0, 1, 0), (1, 1, 1), (0, 0, 1), (1, 1, 2)])
def test_what_stands_behind_a_convolution(bias, residual, act, refused):
    fake = Cudnn(lambda graph: "no engine" if set(refused) & set(graph.ops) else None)
    p, xs = conv(bias, residual, act)
    args, want = cpu_fused(p, xs)
    got = run(device(fake), "forward", args, xs, want.shape)
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-5)
    wanted = ["fprop", *["add"] * (bias + residual), *["relu"] * (act == 1)]
    fused = act != 2 and not set(refused) & set(wanted)
    assert fake.run == [wanted if fused else ["fprop"]]


@pytest.mark.parametrize("refused", [False, True])
def test_the_residual_may_be_the_results_memory(refused):
    fake = Cudnn(lambda graph: "no engine" if refused and "add" in graph.ops else None)
    p, xs = conv(1, 1, 1)
    args, want = cpu_fused(p, xs)
    got = run(device(fake), "forward", args, xs, want.shape, into=3)
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-5)


def test_a_data_gradient_is_added_to_another_in_its_memory():
    op, rng = FusedConvolutionDgrad, np.random.default_rng(3)
    p = op.parse(dict(kernel=(3, 3), num_filter=6, pad=(1, 1), shape=(2, 4, 5, 6)))
    xs = [rng.normal(size=s).astype("float32") for s in ((2, 6, 5, 6), (6, 4, 3, 3), (2, 4, 5, 6))]
    args, want = cpu_fused(p, xs, op, (2, 4, 5, 6))
    got = run(device(), "dgrad", args, xs, want.shape, into=2)
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-5)


def test_channels_last_is_strides():
    """The same numbers where data, weight and output have their channels last; the shapes stay."""
    fake = Cudnn()
    p, xs = conv(1, 1, 1)
    args, want = cpu_fused(p, xs)

    def last(x):
        return np.ascontiguousarray(np.moveaxis(x, 1, -1)).reshape(x.shape) if x.ndim > 1 else x
    got = run(device(fake), "forward", {**args, "last": 1}, [last(x) for x in xs], want.shape)
    np.testing.assert_allclose(got, last(want), rtol=2e-5, atol=2e-5)
    g = dnn.Geometry({**args, "last": 1})
    assert g.strides(0) == (120, 1, 24, 4) and g.strides(1) == (36, 1, 12, 4) and g.strides(2) == (180, 1, 36, 6)
    assert dnn.Geometry(args).strides(1) == (36, 9, 3, 1)


@pytest.mark.parametrize("last", [False, True])
def test_channels_last_behind_a_plain_convolution(last):
    fake = Cudnn(lambda graph: "no engine" if len(graph.ops) > 1 else None)
    p, xs = conv(1, 0, 1)
    args, want = cpu_fused(p, xs)

    def form(x):
        return np.ascontiguousarray(np.moveaxis(x, 1, -1)).reshape(x.shape) if last and x.ndim > 1 else x
    got = run(device(fake), "forward", {**args, "last": int(last)}, [form(x) for x in xs], want.shape)
    np.testing.assert_allclose(got, form(want), rtol=2e-5, atol=2e-5)


def test_two_axes_where_the_third_is_not_used():
    op = RECORDS["Convolution"]
    for params, data, axes in ((dict(kernel=(3,), num_filter=2), (1, 2, 8), 2),
                               (dict(kernel=(3, 3), num_filter=2), (1, 2, 8, 8), 2),
                               (dict(kernel=(1, 3, 3), num_filter=2), (1, 2, 4, 8, 8), 3)):
        p = op.parse(params)
        ins, outs = op.infer(p, [data, None, None], [None])
        assert len(dnn.Geometry(op.launch(p, ins, outs)).x) == 2 + axes


def notes(dtype, monkeypatch, **options):
    fake = Cudnn()
    for k, v in options.items():
        monkeypatch.setattr(settings, k, v, raising=False)
    p, xs = conv(0, 0, 0)
    args, _ = cpu_fused(p, xs)
    run(device(fake), "forward", args, [x.astype(dtype) for x in xs], (2, 6, 5, 6))
    return set(fake.graphs[0].notes), fake.graphs[0]


def test_engines_that_are_left_out(monkeypatch):
    chance = "NONDETERMINISTIC"
    assert notes("float32", monkeypatch)[0] == {chance, "TENSOR_CORE", "DOWN_CONVERT_INPUTS",
                                                "REDUCED_PRECISION_REDUCTION"}
    assert notes("float16", monkeypatch)[0] == {chance, "REDUCED_PRECISION_REDUCTION"}
    assert notes("float64", monkeypatch)[0] == {chance}
    assert notes("float32", monkeypatch, tf32=True)[0] == {chance, "REDUCED_PRECISION_REDUCTION"}
    assert "WINOGRAD" in notes("float32", monkeypatch, winograd=False)[0]
    graph = notes("float16", monkeypatch)[1]
    assert graph.io == "HALF" and graph.wide == "FLOAT" and graph.limit == dnn.WORKSPACE_LIMIT


def test_without_a_plan_below_the_limit_any_workspace_will_do():
    fake = Cudnn(lambda graph: "too large" if graph.limit is not None else None)
    p, xs = conv(1, 0, 1)
    args, want = cpu_fused(p, xs)
    np.testing.assert_allclose(run(device(fake), "forward", args, xs, want.shape), want, rtol=2e-5, atol=2e-5)
    assert fake.graphs[0].limit is None


def test_without_any_plan_the_reference_is_left_and_the_reason_kept():
    fake = Cudnn(lambda graph: "No valid engine configs\nmore")
    dev = device(fake)
    p, xs = conv(1, 0, 1)
    args, _ = cpu_fused(p, xs)
    assert run(dev, "forward", args, xs, (2, 6, 5, 6)) is None
    assert set(dev.libraries["dnn"].refused.values()) == {"No valid engine configs"}


def test_other_errors_are_not_taken_for_that():
    def broken(graph):
        raise KeyError("slip")
    p, xs = conv(1, 0, 1)
    args, _ = cpu_fused(p, xs)
    with pytest.raises(KeyError, match="slip"):
        run(device(Cudnn(broken)), "forward", args, xs, (2, 6, 5, 6))


def test_memory_aligned_to_less_than_16_is_left_to_the_reference():
    p, xs = conv(0, 0, 0)
    args, want = cpu_fused(p, xs)
    assert run(device(), "forward", args, xs, want.shape, shift=1) is None
    assert run(device(), "forward", args, xs, want.shape, shift=4) is not None


def test_equal_geometries_share_a_graph():
    fake = Cudnn()
    dev = device(fake)
    p, xs = conv(1, 0, 1)
    args, want = cpu_fused(p, xs)
    for _ in range(3):
        np.testing.assert_allclose(run(dev, "forward", args, xs, want.shape), want, rtol=2e-5, atol=2e-5)
    assert len(fake.graphs) == 1
    p, xs = conv(1, 0, 0)
    run(dev, "forward", cpu_fused(p, xs)[0], xs, want.shape)
    assert len(fake.graphs) == 2


def test_plans_that_take_long_are_kept_on_disk(tmp_path, monkeypatch):
    disk, fake = _libs.Cache(tmp_path), Cudnn()
    p, xs = conv(1, 0, 1)
    args, want = cpu_fused(p, xs)
    run(device(fake, disk), "forward", args, xs, want.shape)
    assert not fake.saved, "this one was fast"
    monkeypatch.setattr(dnn, "KEEP_FROM", -1)
    run(device(fake, disk), "forward", args, xs, want.shape)
    assert len(fake.saved) == 1 and len(fake.graphs) == 2
    again = run(device(fake, disk), "forward", args, xs, want.shape)
    assert fake.restored == 1 and len(fake.graphs) == 2
    np.testing.assert_allclose(again, want, rtol=2e-5, atol=2e-5)
    fake.__version__ = "1.28.0"         # of another version: made anew
    run(device(fake, disk), "forward", args, xs, want.shape)
    assert fake.restored == 1 and len(fake.graphs) == 3
    dev = device(fake, disk)
    for file in tmp_path.iterdir():     # damaged
        file.write_bytes(b"")
    run(dev, "forward", args, xs, want.shape)
    assert fake.restored == 1


def test_a_weights_gradient_over_no_images_is_zero():
    op = RECORDS["_conv_wgrad"]
    p = op.parse(dict(kernel=(3, 3), num_filter=4, shape=(4, 3, 3, 3)))
    args = op.launch(p, [(0, 4, 3, 3), (0, 3, 5, 5)], [(4, 3, 3, 3)])
    xs = [np.zeros(s, "float32") for s in ((0, 4, 3, 3), (0, 3, 5, 5))]
    assert not run(device(), "wgrad", args, xs, (4, 3, 3, 3)).any()


# -- the real packages ------------------------------------------------------------------------------------------------

needs_frontend = pytest.mark.skipif(importlib.util.find_spec("cudnn") is None,
                                    reason="nvidia-cudnn-frontend is not installed: pip install mxlite[gpu]")


@needs_frontend
@pytest.mark.parametrize("kind", ["forward", "dgrad", "wgrad"])
def test_the_real_frontend_takes_the_description(kind):
    """No library and no GPU take part; the result has the dimensions, strides and number that it was given."""
    import cudnn
    p, xs = conv(1, 1, 1)
    args, _ = cpu_fused(p, xs)
    own = dnn.Dnn.__new__(dnn.Dnn)
    own.cudnn, own.handle = cudnn, None
    behind = kind == "forward"
    graph = own._describe(dnn.Spec(kind, "float16", dnn.Geometry({**args, "last": 1}), behind, behind, behind))
    assert graph is not None
    there = [n for n in ("NONDETERMINISTIC", "TENSOR_CORE", "REDUCED_PRECISION_REDUCTION", "DOWN_CONVERT_INPUTS")
             if hasattr(cudnn.numerical_note, n)]
    assert len(there) == 4 and hasattr(cudnn, "cudnnGraphNotSupportedError")
