"""Plans that a library offers are timed, by events of a device that is made up: who is quickest runs, and is kept."""
import numpy as np
import pytest

import mxlite as mx
from mxlite.gpu import Backend, _libs, autotune, dnn, lt
from mxlite.gpu.launch import Tensor
from mxlite.ops.dot import gemm_args

from . import check, shim
from .fake import Cupy
from .fake_cudnn import Cudnn, plan
from .fake_lt import FakeLt
from .test_dnn import conv, cpu_fused
from .test_dnn import run as run_conv
from .test_lt import given
from .test_lt import run as run_gemm

NO_DISK = _libs.Cache(None)
pytestmark = shim.needs_cxx


def new_device():
    return Backend(Cupy).device(0)


def with_cudnn(fake, disk=NO_DISK):
    dev = new_device()
    fake.xp = dev.xp
    dev.libraries["dnn"] = dnn.Dnn(fake, dev, disk)
    return dev


def with_lt(fake, disk=NO_DISK):
    dev = new_device()
    fake.xp = dev.xp
    dev.libraries["lt"] = lt.Lt(fake, dev, disk)
    return dev


def convolve(dev, bias=1, residual=0, act=1):
    """Runs one convolution and compares it with the CPU's; what the library executed."""
    p, xs = conv(bias, residual, act)
    args, want = cpu_fused(p, xs)
    fake = dev.libraries["dnn"].cudnn
    del fake.executed[:]
    got = run_conv(dev, "forward", args, xs, want.shape)
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-5)
    return list(fake.executed)


def multiply(dev, dtype="float32"):
    rng = np.random.default_rng(5)
    xs, args = given(rng, dtype, 2, 5, 7, 3, 0, 1, 1), gemm_args(5, 7, 3, 0, 1, 2, bias=1)
    fake = dev.libraries["lt"].lib
    del fake.ran[:]
    got = run_gemm(dev, args, xs, (2, 5, 7), dtype)
    want = np.einsum("bmk,bnk->bmn", *xs[:2]) + xs[2]
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-5)
    return list(fake.ran)


# -- which one is quickest --------------------------------------------------------------------------------------------

def made_up(dev, *durations):
    """Functions that pretend to take so many milliseconds, or raise what they are; and the list of calls."""
    calls = []

    def run(i, d):
        def one(stream):
            assert stream == dev.stream.ptr
            calls.append(i)
            if isinstance(d, Exception):
                raise d
            dev.xp.clock += d(len(calls)) if callable(d) else d
        return one
    return [run(i, d) for i, d in enumerate(durations)], calls


def quickest(dev, runs):
    return autotune.quickest(dev, runs, lambda e: isinstance(e, RuntimeError))


def test_the_quickest_wins():
    dev = new_device()
    runs, calls = made_up(dev, 9.0, 5.0, 7.0)
    assert quickest(dev, runs) == 1 and len(calls) < 60


def test_the_librarys_guess_stays_unless_another_is_clearly_quicker():
    dev = new_device()
    assert quickest(dev, made_up(dev, 100.0, 99.0)[0]) == 0
    assert quickest(dev, made_up(dev, 100.0, 80.0)[0]) == 1


def test_what_is_far_behind_is_not_run_again():
    dev = new_device()
    runs, calls = made_up(dev, 10.0, 1000.0)
    assert quickest(dev, runs) == 0 and calls.count(1) == 2


def test_the_first_call_loads_code_and_does_not_count():
    dev = new_device()
    runs, _ = made_up(dev, lambda n: 500.0 if n == 1 else 1.0, 30.0)
    assert quickest(dev, runs) == 0


def test_candidates_that_fail_are_left_out():
    dev = new_device()
    assert quickest(dev, made_up(dev, RuntimeError("no"), 8.0)[0]) == 1
    assert quickest(dev, made_up(dev, RuntimeError("no"), RuntimeError("no"))[0]) is None


def test_other_errors_are_not_taken_for_that():
    dev = new_device()
    with pytest.raises(KeyError, match="slip"):
        quickest(dev, made_up(dev, 5.0, KeyError("slip"))[0])


# -- cuDNN ------------------------------------------------------------------------------------------------------------

def test_the_quickest_plan_of_a_convolution_is_executed():
    fake = Cudnn(plans=[plan(9), plan(3, 700), plan(6)])
    dev = with_cudnn(fake)
    first = convolve(dev)
    assert set(first) == {0, 1, 2} and first[-1] == 1
    assert convolve(dev) == [1], "made once a geometry"


def test_plans_that_were_left_out_are_not_timed():
    """Those that add in any order, those that need too much memory, those that cannot be built, those that fail."""
    plans = [plan(9), plan(1, notes=("NONDETERMINISTIC",)), plan(1, workspace=dnn.WORKSPACE_LIMIT + 1),
             plan(1, broken=True), plan(None), plan(4)]
    dev = with_cudnn(Cudnn(plans=plans))
    first = convolve(dev)
    assert set(first) == {0, 4, 5} and first.count(4) == 1 and first[-1] == 5


def test_at_most_so_many_plans_are_built():
    fake = Cudnn(plans=[plan(50 - i) for i in range(40)])
    assert set(convolve(with_cudnn(fake))) == set(range(autotune.CANDIDATES))


def test_building_ends_after_a_while(monkeypatch):
    monkeypatch.setattr(dnn, "LONGEST", -1)
    assert convolve(with_cudnn(Cudnn(plans=[plan(9), plan(3)]))) == [0]


def test_without_the_option_nothing_is_timed():
    fake = Cudnn(plans=[plan(9), plan(3)])
    dev = with_cudnn(fake)
    with mx.runtime.option("autotune", False):
        assert convolve(dev) == [0] and not dev.xp.count("record")
    assert convolve(dev)[-1] == 1, "turned on, another plan is made"


def test_the_users_memory_is_not_touched():
    """A gradient that is added to its own memory would be another one after a timing run."""
    dev = with_cudnn(Cudnn(plans=[plan(9), plan(3)]))
    p, xs = conv(1, 1, 1)
    args, want = cpu_fused(p, xs)
    got = run_conv(dev, "forward", args, xs, want.shape, into=3)
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-5)


def test_a_second_process_asks_the_disk(tmp_path):
    disk, plans = _libs.Cache(tmp_path), [plan(9), plan(3), plan(6)]

    def cannot(graph):
        raise RuntimeError("serialization is not supported")
    for refuse in (False, True):
        fake = Cudnn(plans=plans)
        if refuse:
            fake.save = cannot
        assert convolve(with_cudnn(fake, disk))[-1] == 1
        again = Cudnn(plans=plans)
        again.saved = fake.saved
        dev = with_cudnn(again, disk)
        assert convolve(dev) == [1] and not dev.xp.count("record")
        for file in tmp_path.iterdir():
            file.unlink()


def test_a_choice_that_is_none_any_more_is_made_anew(tmp_path):
    disk = _libs.Cache(tmp_path)
    fake = Cudnn(plans=[plan(9), plan(3)])
    fake.save = lambda graph: 1 / 0
    convolve(with_cudnn(fake, disk))
    fake.plans = [plan(9), plan(3, broken=True), plan(4)]
    assert convolve(with_cudnn(fake, disk))[-1] == 2


def test_without_memory_the_librarys_guess_runs(monkeypatch):
    dev = with_cudnn(Cudnn(plans=[plan(9), plan(3)]))

    def full(nbytes):
        raise MemoryError("out of memory")
    monkeypatch.setattr(dev, "alloc", full)
    assert convolve(dev) == [0]


def test_nothing_is_timed_while_a_stream_is_captured():
    dev = with_cudnn(Cudnn(plans=[plan(9), plan(3)]))
    dev.stream.begin_capture(1)
    given = "forward", "float32", dnn.Geometry(cpu_fused(*conv(0, 0, 0))[0])
    assert dev.libraries["dnn"].graph(dnn.Spec(*given))[0].chosen == 0
    dev.stream.end_capture()
    assert dev.libraries["dnn"].graph(dnn.Spec(*given))[0].chosen == 1


def test_all_tensors_of_a_graph_have_memory_of_their_size():
    args = cpu_fused(*conv(1, 1, 1))[0]
    spec = dnn.Spec("forward", "float16", dnn.Geometry(args), 1, 1, 1)
    assert spec.nbytes() == {dnn.X: 2 * 240, dnn.W: 2 * 216, dnn.Y: 2 * 360, dnn.BIAS: 2 * 6, dnn.RESIDUAL: 2 * 360}


# -- cublasLt ---------------------------------------------------------------------------------------------------------

def test_the_quickest_algorithm_of_a_product_runs():
    dev = with_lt(FakeLt(durations=(9.0, 6.0, 3.0, None)))
    first = multiply(dev)
    assert set(first) == {0, 1, 2, 3} and first[-1] == 2
    assert multiply(dev) == [2]


def test_one_algorithm_is_not_timed():
    dev = with_lt(FakeLt())
    assert multiply(dev) == [0] and not dev.xp.count("record")


def test_products_without_the_option():
    dev = with_lt(FakeLt(durations=(9.0, 3.0)))
    with mx.runtime.option("autotune", False):
        assert multiply(dev) == [0] and not dev.xp.count("record")
    assert multiply(dev)[-1] == 1


def test_algorithms_on_disk(tmp_path):
    disk = _libs.Cache(tmp_path)
    assert multiply(with_lt(FakeLt(durations=(9.0, 3.0)), disk))[-1] == 1
    fake = FakeLt(durations=(9.0, 3.0))
    dev = with_lt(fake, disk)
    assert multiply(dev) == [1] and not fake.asked and not dev.xp.count("record")
    newer = FakeLt(durations=(9.0, 3.0), version=140000)
    assert len(multiply(with_lt(newer, disk))) > 1, "of another version: timed anew"
    for file in tmp_path.iterdir():
        file.write_bytes(b"")
    assert len(multiply(with_lt(FakeLt(durations=(9.0, 3.0)), disk))) > 1


def test_products_without_memory(monkeypatch):
    dev = with_lt(FakeLt(durations=(9.0, 3.0)))
    monkeypatch.setattr(dev, "alloc", lambda n: (_ for _ in ()).throw(MemoryError()))
    assert multiply(dev) == [0]


def test_a_program_is_timed_when_it_is_made_and_not_when_it_runs():
    """Timing waits for the device: a guard forbids that of a run."""
    dev = with_lt(FakeLt(durations=(9.0, 3.0)))
    xs = [check.Memory(np.ones(s, "float32")) for s in ((4, 3), (3, 5))]
    y = check.Memory(np.zeros((4, 5), "float32"))
    made = lt.gemm(dev, gemm_args(4, 5, 3, 0, 0), [Tensor(x.bits.shape, "float32", x.address) for x in xs],
                   [Tensor((4, 5), "float32", y.address)])
    assert made.workspace == 1000 and not y.bits.any()
    work = check.Memory(np.zeros(1000, np.uint8))
    with dev.xp.guard():
        for one in made.launches(work.address):
            one.run(dev.stream.ptr)
    np.testing.assert_array_equal(y.bits, 3)


# -- 1x1 convolutions -------------------------------------------------------------------------------------------------

def both(cudnn_takes, lt_takes, disk=NO_DISK):
    dev = new_device()
    dev.libraries["dnn"] = dnn.Dnn(Cudnn(xp=dev.xp, plans=[plan(cudnn_takes)]), dev, disk)
    dev.libraries["lt"] = lt.Lt(FakeLt(durations=(lt_takes,)), dev, disk)
    dev.libraries["lt"].lib.xp = dev.xp
    return dev


KINDS = ("forward", "dgrad", "wgrad")


def one_by_one(dev, kind, bias=0, residual=0, act=0, **geometry):
    """Runs a 1x1 convolution with channels last, after it was planned elsewhere; compares it with sums by NumPy. The
    names of the libraries that a plan names, once it is decided."""
    args = {"batch": 2, "channels": 4, "filters": 6, "groups": 1, "kernel": (1, 1, 1), "stride": (1, 1, 1),
            "dilate": (1, 1, 1), "pad": (0, 0, 0), "src": (1, 3, 5), "dst": (1, 3, 5), "last": 1, "bias": bias,
            "residual": residual, "act": act, "lo": -0.5, "hi": 0.5, **geometry}
    rng = np.random.default_rng(3)
    x, y, w = (rng.normal(size=s).astype("float32") for s in ((2, 3, 5, 4), (2, 3, 5, 6), (6, 1, 1, 4)))
    flat = w.reshape(6, 4)
    xs, want = {"forward": ([x, w], x @ flat.T), "dgrad": ([y, w], y @ flat),
                "wgrad": ([y, x], np.einsum("nhwk,nhwc->kc", y, x).reshape(6, 1, 1, 4))}[kind]
    if bias:
        xs.append(rng.normal(size=want.shape[-1:]).astype("float32"))
        want = want + xs[-1]
    if residual:
        xs.append(rng.normal(size=want.shape).astype("float32"))
        want = want + xs[-1]
    want = np.maximum(want, 0) if act == 1 else np.clip(want, -0.5, 0.5) if act == 2 else want
    got = run_conv(dev, kind, args, xs, want.shape)
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-5)
    ins = [Tensor(a.shape, "float32", 1 << 40) for a in xs]
    return getattr(dnn, kind)(dev, args, ins, [Tensor(want.shape, "float32", 1 << 41)]).library


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("behind", [{}, dict(bias=1, act=1), dict(bias=1, residual=1, act=1), dict(bias=1, act=2)],
                         ids=str)
def test_the_quicker_library_runs_a_1x1(kind, behind):
    if kind == "wgrad" and behind or kind == "dgrad" and behind.get("act"):
        behind = {} if kind == "wgrad" else dict(residual=1)
    assert one_by_one(both(9, 3), kind, **behind) == "cublasLt"
    assert one_by_one(both(3, 9), kind, **behind) == "cuDNN"


def test_other_convolutions_are_no_products():
    from mxlite.gpu.pointwise import product
    args = {"batch": 2, "channels": 4, "filters": 6, "groups": 1, "kernel": (1, 1, 1), "stride": (1, 1, 1),
            "dilate": (1, 1, 1), "pad": (0, 0, 0), "src": (1, 3, 5), "dst": (1, 3, 5), "last": 1}
    assert product("forward", args) is not None
    for k, v in (("last", 0), ("groups", 2), ("kernel", (1, 1, 3)), ("stride", (1, 2, 2)), ("pad", (0, 1, 0))):
        assert product("forward", {**args, k: v}) is None


def test_a_1x1_without_the_option_and_without_the_other_library():
    dev = both(9, 3)
    with mx.runtime.option("autotune", False):
        assert one_by_one(dev, "forward") == "cuDNN" and not dev.xp.count("record")
    assert one_by_one(dev, "forward") == "cublasLt"
    alone = with_cudnn(Cudnn(plans=[plan(9)]))
    alone.libraries["missing"] = {"lt": "not here"}
    assert one_by_one(alone, "forward") == "cuDNN"


def test_who_runs_a_1x1_is_kept_on_disk(tmp_path):
    disk = _libs.Cache(tmp_path)
    assert one_by_one(both(9, 3, disk), "dgrad") == "cublasLt"
    dev = both(9, 3, disk)
    assert one_by_one(dev, "dgrad") == "cublasLt" and not dev.xp.count("record")
