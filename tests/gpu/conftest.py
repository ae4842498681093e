"""Programs for a device run here on one that is made up: it compiles nothing, so CUDA's headers need not be there."""
import importlib.util
import sys

import pytest

import mxlite.gpu
import mxlite.ndarray  # noqa: F401  arrays made from here on are of its class
from mxlite.gpu import Backend, _libs, lt

from .fake import Cupy
from .fake_lt import FakeLt


@pytest.fixture(autouse=True)
def headers(monkeypatch):
    if importlib.util.find_spec("cuda") is None:
        monkeypatch.setattr(_libs, "include_folders", lambda: ())


@pytest.fixture
def gpus(monkeypatch):
    """Two fake devices as this process's GPUs, with products by a fake cublasLt and without cuDNN; the fake CuPy."""
    monkeypatch.setattr(_libs, "disk", lambda: _libs.Cache(None))
    xp = Cupy(devices=2)
    backend = Backend(lambda: xp)
    monkeypatch.setattr(sys.modules["mxlite.gpu"], "_backend", backend)
    for k in range(2):
        device = backend.device(k)
        device.libraries["missing"] = {"dnn": "not here", "rnn": "not here"}
        device.libraries["lt"] = lt.Lt(FakeLt(), device)
        device.libraries["lt"].lib.xp = xp
    yield xp
    mxlite.waitall()
