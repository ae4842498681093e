"""Programs for a device run here on one that is made up: it compiles nothing, so CUDA's headers need not be there."""
import importlib.util

import pytest

from mxlite.gpu import _libs


@pytest.fixture(autouse=True)
def headers(monkeypatch):
    if importlib.util.find_spec("cuda") is None:
        monkeypatch.setattr(_libs, "include_folders", lambda: ())
