"""Products by cublasLt against the CPU's kernel: what lt.py tells the library, read as the library reads it."""
import ctypes
import gc

import numpy as np
import pytest

import mxlite as mx
from mxlite._core import kernelcall, kernels
from mxlite.gpu import Backend, _libs, lt
from mxlite.gpu.launch import Tensor
from mxlite.ops import settings
from mxlite.ops.dot import gemm_args, gemm_bytes

from . import check, shim
from .fake import Cupy
from .fake_lt import FakeLt

needs_cublaslt = pytest.mark.skipif(not _libs.there("cublasLt"),
                                    reason="cublasLt is not installed: pip install mxlite[gpu]")


def device(fake=None, capability="90"):
    dev = Backend(lambda: Cupy(capability=capability)).device(0)
    dev.libraries["lt"] = lt.Lt(fake or FakeLt(), dev)
    return dev


def run(dev, args, xs, shape, dtype, shift=0, into=None):
    """Output of the plan, in the form of check.py."""
    ins = [check.Memory(check.bits_of(x), shift) for x in xs]
    like = xs[0] if shape is None else np.full(shape, 7.0)
    y = check.Memory(check.bits_of(check.wrap(like, dtype)), shift) if into is None else ins[into]
    out = Tensor(y.bits.shape, dtype, y.address)
    plan = lt.gemm(dev, args, [Tensor(m.bits.shape, dtype, m.address) for m in ins], [out])
    assert plan is not None
    return check.library_output(dev, plan, ins, y, dtype)


def on_cpu(args, xs, shape, dtype):
    capsule, packer = kernels.lookup("gemm.gemm")
    y = check.wrap(np.zeros(shape), dtype)
    size = {"float64": 8, "float32": 4}.get(dtype, 2)
    work = gemm_bytes(args["m"], args["n"], args["k"], size, 1, args["batch"])
    assert kernelcall.call(capsule, list(xs), [y], packer(args), (), work) == 0
    return y


def given(rng, dtype, batch, m, n, k, ta, tb, bias=0, residual=0):
    shapes = [(batch, k, m) if ta else (batch, m, k), (batch, n, k) if tb else (batch, k, n)]
    shapes += [(n,)] * bias + [(batch, m, n)] * residual
    return [check.wrap(rng.normal(size=s), dtype) for s in shapes]


TOLERANCE = {"float32": 2e-5, "float64": 1e-12, "float16": 4e-3, "bfloat16": 3e-2}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("batch, m, n, k", [(1, 5, 7, 3), (3, 4, 2, 6), (1, 1, 9, 8), (1, 8, 1, 5), (2, 16, 33, 17)])
@pytest.mark.parametrize("ta", [0, 1])
@pytest.mark.parametrize("tb", [0, 1])
def test_transposes_and_batches(dtype, batch, m, n, k, ta, tb):
    rng = np.random.default_rng(5)
    xs, args = given(rng, dtype, batch, m, n, k, ta, tb), gemm_args(m, n, k, ta, tb, batch)
    got = run(device(), args, xs, (batch, m, n), dtype, shift=1)
    check.same([got], [on_cpu(args, xs, (batch, m, n), dtype)], TOLERANCE[dtype])


@shim.needs_cxx
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("epilogues", [(1, 2, 4, 6), (1,), (1, 4)], ids=["all", "none", "bias"])
@pytest.mark.parametrize("bias, residual, act", [(1, 0, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 0), (1, 1, 2)])
def test_epilogues_by_the_library_and_behind_it(dtype, epilogues, bias, residual, act):
    rng, fake = np.random.default_rng(6), FakeLt(epilogues)
    m, n, k = 6, 10, 4
    xs = given(rng, dtype, 1, m, n, k, 0, 1, bias, residual)
    args = gemm_args(m, n, k, 0, 1, bias=bias, residual=residual, act=act, lo=-0.5, hi=0.75)
    got = run(device(fake), args, xs, (m, n), dtype)
    check.same([got], [on_cpu(args, xs, (m, n), dtype)], TOLERANCE[dtype])
    want = {(0, 0): 1, (0, 1): 2, (1, 0): 4, (1, 1): 6}[bias, int(act == 1)]
    assert fake.calls[0][2] == (want if want in epilogues else 1)


def test_the_residual_may_be_the_results_memory():
    rng = np.random.default_rng(7)
    xs = given(rng, "float32", 1, 4, 5, 3, 0, 0, 0, 1)
    args = gemm_args(4, 5, 3, 0, 0, residual=1)
    want = on_cpu(args, xs, (4, 5), "float32")
    got = run(device(), args, xs, None, "float32", into=2)
    np.testing.assert_allclose(got.reshape(4, 5), want, rtol=1e-5)


def test_equal_products_share_an_algorithm_and_descriptors_are_destroyed():
    fake = FakeLt()
    dev, rng = device(fake), np.random.default_rng(8)
    xs = given(rng, "float32", 1, 4, 8, 4, 0, 0)
    for _ in range(3):
        run(dev, gemm_args(4, 8, 4, 0, 0), xs, (4, 8), "float32")
    assert len(fake.asked) == 1 and len(fake.calls) == 3
    gc.collect()
    assert fake.live == 0


def test_what_the_library_is_told_of_memory_and_precision(monkeypatch):
    fake = FakeLt()
    dev, rng = device(fake), np.random.default_rng(9)
    for dtype, shift in (("float32", 0), ("float32", 1), ("float16", 0), ("float64", 0)):
        run(dev, gemm_args(4, 8, 4, 0, 0), given(rng, dtype, 1, 4, 8, 4, 0, 0), (4, 8), dtype, shift)
    (plain, _, aligned), (_, _, shifted), (half, _, narrow), (double, _, _) = fake.asked
    assert (plain, half, double) == (68, 68, 70)
    assert aligned[1] == 32 << 20 and [aligned[i] for i in (5, 6, 7, 8)] == [256] * 4
    assert [shifted[i] for i in (5, 6, 7, 8)] == [4] * 4
    assert 3 not in aligned and narrow[3] == 2, "parts of a narrow sum are added in float32"
    monkeypatch.setattr(settings, "tf32", True, raising=False)
    run(dev, gemm_args(4, 8, 4, 0, 0), given(rng, "float32", 1, 4, 8, 4, 0, 0), (4, 8), "float32")
    assert fake.asked[-1][0] == 77, "another precision is another problem"
    assert lt.workspace_limit(80) == 8 << 20


@pytest.mark.parametrize("args, shapes", [
    (gemm_args(3, 4, 0, 0, 0), [(3, 0), (0, 4)]), (gemm_args(3, 4, 2, 0, 0, prepared=1), [(3, 2), (2, 4)])])
def test_what_it_does_not_do(args, shapes):
    ins = [Tensor(s, "float32", 4096) for s in shapes]
    assert lt.gemm(device(), args, ins, [Tensor((3, 4), "float32", 4096)]) is None


def test_mixed_dtypes_and_empty_results():
    dev, args = device(), gemm_args(3, 4, 2, 0, 0)
    ins = [Tensor((3, 2), "float32", 4096), Tensor((2, 4), "float16", 4096)]
    assert lt.gemm(dev, args, ins, [Tensor((3, 4), "float32", 4096)]) is None
    ins = [Tensor((0, 2), "float32", 4096), Tensor((2, 4), "float32", 4096)]
    assert lt.gemm(dev, gemm_args(0, 4, 2, 0, 0), ins, [Tensor((0, 4), "float32", 4096)]).launches(0) == []
    assert lt.gemm(device(FakeLt(epilogues=())), args, [Tensor((3, 2), "float32", 4096)] * 2,
                   [Tensor((3, 4), "float32", 4096)]) is None


def test_an_error_of_the_library_is_one_here():
    fake = FakeLt()
    dev = device(fake)
    fake.cublasLtMatmulAlgoGetHeuristic = lambda *given: 13
    with pytest.raises(RuntimeError, match="cublasLtMatmulAlgoGetHeuristic returned 13"):
        lt.gemm(dev, gemm_args(3, 4, 2, 0, 0), [Tensor((3, 2), "float32", 4096)] * 2, [Tensor((3, 4), "float32", 64)])


def test_the_structures_have_the_librarys_sizes():
    assert ctypes.sizeof(lt.Algo) == 64 and ctypes.sizeof(lt.Heuristic) == 96
    assert lt.Heuristic.workspace.offset == 64 and lt.Heuristic.state.offset == 72


@needs_cublaslt
def test_the_real_library_reads_back_what_it_was_told():
    """Descriptors need no GPU."""
    lib = lt._prototypes(_libs.load("cublasLt"))
    problem = lt.Problem("float16", gemm_args(64, 512, 128, 0, 1, batch=2), lt.EPILOGUE_RELU_BIAS, 0, 256, False)
    made = lt.Descriptors(lib, problem, bias=0x1000)
    made.preference(32 << 20, problem)
    for attribute, want in ((lt.DESC_TRANSA, 1), (lt.DESC_TRANSB, 0), (lt.DESC_EPILOGUE, lt.EPILOGUE_RELU_BIAS)):
        got, size = ctypes.c_int32(), ctypes.c_size_t()
        assert lib.cublasLtMatmulDescGetAttribute(made.desc, attribute, ctypes.byref(got), ctypes.c_size_t(4),
                                                  ctypes.byref(size)) == 0
        assert got.value == want and size.value == 4


def test_mxlite_has_the_kernel_that_this_stands_for():
    assert mx.ops.RECORDS["FullyConnected"].cpu == "gemm.gemm"
