"""Real cuDNN plans without a device: what dnn.py describes is checked, planned and built by the library itself.

cuDNN plans for a device that is told to it. Needs nvidia-cudnn-cu13, nvidia-cudnn-frontend and nvidia-cuda-nvrtc
(``pip install mxlite[gpu]``: a gigabyte, so not part of `.ci/run`); ``pytest -m cudnn_plan`` runs these tests alone.
"""
import contextlib
import functools
import importlib.util
import json
import threading
import time

import pytest

from mxlite.gpu import _libs, dnn
from mxlite.ops.record import RECORDS

from .. import reference as R

# As an H200 says it of itself to cuDNN, under the library's own names.
H200 = {"deviceName": "NVIDIA H200", "deviceVer": 900, "driverVer": 13000, "multiProcessorCount": 132,
        "warpSize": 32, "maxThreadsPerBlock": 1024, "maxThreadsPerSM": 2048, "maxCtasPerSM": 32,
        "regsPerBlock": 65536, "maxRegistersPerSM": 65536,
        "maxSharedMemoryPerBlock": 49152, "maxSharedMemoryPerBlockOptin": 232448, "reservedSharedMemoryPerBlock": 1024,
        "l2CacheSize": 62914560, "totalGlobalMem": 150755016704, "memClockRateKHz": 3201000, "smClockRateKHz": 1980000,
        "supportCoopLaunch": 1, "isTccDriver": 0, "cudaDeviceId": 0, "pciDeviceId": 0,
        "maxBlockSize": [1024, 1024, 64], "maxGridSize": [2147483647, 65535, 65535]}
DTYPES = "float32", "float16", "bfloat16"
# (channels, filters, size, kernel, stride) of ResNet-50's convolutions, each once.
RESNET = [(3, 64, 224, 7, 2), (64, 64, 56, 1, 1), (64, 64, 56, 3, 1), (64, 256, 56, 1, 1), (256, 64, 56, 1, 1),
          (256, 128, 56, 1, 1), (128, 128, 56, 3, 2), (128, 512, 28, 1, 1), (256, 512, 56, 1, 2), (512, 128, 28, 1, 1),
          (128, 128, 28, 3, 1), (512, 256, 28, 1, 1), (256, 256, 28, 3, 2), (256, 1024, 14, 1, 1),
          (512, 1024, 28, 1, 2), (1024, 256, 14, 1, 1), (256, 256, 14, 3, 1), (1024, 512, 14, 1, 1),
          (512, 512, 14, 3, 2), (512, 2048, 7, 1, 1), (1024, 2048, 14, 1, 2), (2048, 512, 7, 1, 1), (512, 512, 7, 3, 1)]


@functools.cache
def missing():
    """Why nothing can be planned here, or None."""
    if importlib.util.find_spec("cudnn") is None:
        return "cuDNN's frontend is not installed: pip install mxlite[gpu]"
    try:
        _libs.path("cudnn")
    except _libs.Missing as e:
        return str(e)
    return None


pytestmark = [pytest.mark.cudnn_plan, pytest.mark.skipif(missing() is not None, reason=str(missing()))]


class Frontend:
    """cuDNN's frontend, whose graphs are for a device that is not there."""

    def __init__(self, cudnn):
        self.cudnn, self.properties = cudnn, cudnn.create_device_properties(json.dumps(H200))

    def __getattr__(self, name):
        return getattr(self.cudnn, name)

    def pygraph(self, handle, **words):
        return self.cudnn.pygraph(device_property=self.properties, sm_version=90, **words)


class Deviceless(dnn.Dnn):
    """dnn.py's own plans: without a handle, and therefore never executed."""

    def __init__(self):
        import cudnn
        self.cudnn, self.device, self.graphs, self.refused = Frontend(cudnn), self, {}, {}
        self.handle, self.disk, self.lock = None, _libs.Cache(None), threading.Lock()
        self.name, self.arch, self.use = "NVIDIA H200", "sm_90", contextlib.nullcontext
        self.stream, self.capturing, self.built = self, True, []        # plans cannot be timed

    def is_capturing(self):
        return self.capturing

    def _quickest(self, spec, graph, built):
        self.built.append(built)
        return len(built) - 1


@pytest.fixture(scope="module")
def library():
    return Deviceless()


def planned(library, *specs):
    """Bytes of workspace of each; the test fails where cuDNN has no plan."""
    built = [library.graph(s) for s in specs]
    assert None not in built, [library.refused[s.key()] for s, b in zip(specs, built) if b is None]
    return [nbytes for _, nbytes in built]


def geometry(channels, filters, size, kernel, stride, last, batch=64):
    out = (size + 2 * (kernel // 2) - kernel) // stride + 1
    return dnn.Geometry({"batch": batch, "channels": channels, "filters": filters, "groups": 1, "src": (1, size, size),
                         "dst": (1, out, out), "kernel": (1, kernel, kernel), "pad": (0, kernel // 2, kernel // 2),
                         "stride": (1, stride, stride), "dilate": (1, 1, 1), "last": last})


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["Convolution", "_conv_dgrad", "_conv_wgrad", "Deconvolution"])
def test_every_sample_has_a_plan(library, name, dtype):
    op, seen = RECORDS[name], 0
    for sample in op.samples:
        p = op.parse(sample.params)
        shapes, _ = R.complete(op, p, sample.shapes)
        ins, outs = op.infer(p, shapes, [None] * len(op.output_names(p)))
        if any(0 in s for s in (*ins, *outs)):
            continue
        args = {**dnn.PLAIN, **op.launch(p, ins, outs)}
        kind = op.gpu.partition(".")[2]
        for last in (False, True):
            planned(library, dnn.Spec(kind, dtype, dnn.Geometry({**args, "last": last})))
        seen += 1
    assert seen >= 7


@pytest.mark.parametrize("kind", ["forward", "dgrad", "wgrad"])
@pytest.mark.parametrize("dtype", [*DTYPES, "TF32"])
def test_resnet_is_planned_without_transposing(library, dtype, kind):
    """With channels last on tensor cores, with channels first in float32: there the workspace is not large enough for a
    copy of the data (256 x 56 x 56 x 64 elements). With the other layout it is, but for the weights' gradient."""
    def specs(last):
        found = [dnn.Spec(kind, dtype.replace("TF32", "float32"), geometry(*g, last=last))
                 for g in RESNET if g[0] > 3]
        for s in found:
            s.fast = dtype == "TF32"
        return found
    tensor_cores = dtype != "float32"
    assert max(planned(library, *specs(last=tensor_cores))) < (80 << 20 if kind == "wgrad" else 3 << 20)
    if tensor_cores or kind != "wgrad":
        assert max(planned(library, *specs(last=not tensor_cores))) > 70 << 20


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("more", [dict(bias=1), dict(bias=1, relu=1), dict(residual=1, bias=1, relu=1)], ids=str)
def test_what_stands_behind_a_convolution_is_one_call(library, more, dtype):
    """In half precision at once, by engines that are compiled already: a tenth of a second for each would be seen."""
    begin = time.perf_counter()
    specs = [dnn.Spec("forward", dtype, geometry(*g, last=True), **more) for g in RESNET[1:8]]
    found = [library.graph(s) for s in specs]
    if dtype != "float32":
        assert None not in found, library.refused
        assert time.perf_counter() - begin < 0.3 * len(specs)
    else:
        # float32 without TF32: cuDNN may have none; then dnn.py runs the product and a kernel behind it.
        planned(library, *(s.plain() for s, f in zip(specs, found) if f is None))


def test_tf32_is_another_plan(library):
    """What float32 leaves out, TF32 takes: the library's choices differ, and are kept apart."""
    plain, fast = (dnn.Spec("forward", "float32", geometry(*RESNET[2], last=True)) for _ in range(2))
    plain.fast, fast.fast = False, True
    slow, quick = planned(library, plain, fast)
    assert slow > 70 << 20 > quick


def test_nonsense_is_refused(library):
    wrong = geometry(*RESNET[2], last=True)
    wrong.y = (64, 64, 50, 50)
    spec = dnn.Spec("forward", "float16", wrong)
    assert library.graph(spec) is None and library.refused[spec.key()]


@pytest.mark.parametrize("dtype, fast", [("float16", False), ("float32", True), ("float32", False)])
@pytest.mark.parametrize("kind", ["forward", "dgrad", "wgrad"])
def test_plans_to_choose_from(kind, dtype, fast):
    """Several are built, one by one, none of them of an engine that was left out; the chosen one is executed."""
    library = Deviceless()
    library.capturing = False
    spec = dnn.Spec(kind, dtype, geometry(*RESNET[2], last=dtype != "float32" or fast))
    spec.fast = fast
    graph, nbytes = library.graph(spec)
    built, = library.built
    assert 2 <= len(built) <= 8 and nbytes == list(built.values())[-1] <= dnn.WORKSPACE_LIMIT
    for i in range(max(built)):
        if i not in built:
            with pytest.raises(Exception) as e:
                graph.build_plan_at_index(i)
            assert library.means_no_plan(e.value)
