"""What the tests run on: a real GPU, or one that is made up (tests/gpu/fake.py), behind one face."""
import gc
import sys
from contextlib import contextmanager

import mxlite as mx
import mxlite.gpu
from mxlite.gpu import Backend, _libs, dnn, lt, rnn

from ..gpu.fake import Cupy
from ..gpu.fake_cudnn import Cudnn
from ..gpu.fake_lt import FakeLt
from ..gpu.fake_rnn import FakeRnn


class Real:
    """The first GPU of this machine."""

    fake, bounded = False, False

    def __init__(self):
        self.ctx, self.device = mx.gpu(0), mxlite.gpu.get_device(0)
        self.xp = self.device.xp

    def times(self, real, fake):
        """How often something is done here, of two numbers."""
        return real

    def live(self):
        """Bytes of device memory in use."""
        gc.collect()
        self.device.synchronize()
        return int(self.xp.get_default_memory_pool().used_bytes())

    @contextmanager
    def no_allocation(self):
        """Any allocation on the device inside is an error."""
        class Hook(self.xp.cuda.memory_hook.MemoryHook):
            name = "no allocation"

            def malloc_preprocess(self, **given):
                raise AssertionError(f"an allocation of {given.get('size')} bytes while a captured program runs")
        with Hook():
            yield

    def about(self):
        """Device and versions, for the file of results."""
        xp, runtime = self.xp, self.xp.cuda.runtime
        out = {"device": self.device.name, "arch": self.device.arch, "cupy": xp.__version__,
               "driver": int(runtime.driverGetVersion()), "runtime": int(runtime.runtimeGetVersion()),
               "nvrtc": list(xp.cuda.compiler.nvrtc.getVersion())}
        for name, get in (("cudnn", lambda: dnn.library(self.device).cudnn.backend_version()),
                          ("cudnn_frontend", lambda: dnn.library(self.device).cudnn.__version__),
                          ("cublasLt", lambda: int(lt.library(self.device).lib.cublasLtGetVersion()))):
            try:
                out[name] = get()
            except Exception as e:          # the file says what was missing
                out[name] = f"not there: {e}"
        return out


class Fake:
    """A device that is made up: memory and kernels are the processor's, libraries compute by their definition."""

    fake = True

    def __init__(self, everything=False):
        """`everything`: all cases, where usually a part of them is enough."""
        self.bounded = not everything
        self.xp = Cupy()
        backend = Backend(lambda: self.xp)
        module = sys.modules["mxlite.gpu"]
        self.before, self.disk, self.headers = module._backend, _libs.disk, _libs.include_folders
        module._backend = backend
        _libs.disk, _libs.include_folders = lambda: _libs.Cache(None), lambda: ()
        self.ctx, self.device = mx.gpu(0), backend.device(0)
        self.device.libraries["lt"] = lt.Lt(FakeLt(), self.device)
        self.device.libraries["lt"].lib.xp = self.xp
        self.device.libraries["dnn"] = dnn.Dnn(Cudnn(xp=self.xp), self.device, _libs.Cache(None))
        layers = FakeRnn()
        layers.xp = self.xp
        self.device.libraries["rnn"] = rnn.Rnn(layers, self.device)

    def close(self):
        mx.nd.waitall()
        sys.modules["mxlite.gpu"]._backend = self.before
        _libs.disk, _libs.include_folders = self.disk, self.headers

    def times(self, real, fake):
        return fake

    def live(self):
        gc.collect()
        return self.xp.live

    def no_allocation(self):
        return self.xp.guard()
