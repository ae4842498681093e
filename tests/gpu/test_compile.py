"""Every kernel compiles for every architecture, without spills; what NVRTC cannot see, test_<family>.py runs."""
import importlib
import pkgutil

import pytest

from mxlite.gpu import families

from . import nvrtc

NAMES = [info.name for info in pkgutil.iter_modules(families.__path__)]


@nvrtc.needs_nvrtc
@pytest.mark.parametrize("arch", nvrtc.ARCHES)
@pytest.mark.parametrize("family", NAMES)
def test_compiles_without_spills(family, arch):
    """What a family says that it compiles: ``MODULES()`` yields its modules, one of each kind."""
    found = importlib.import_module(f"{families.__name__}.{family}")
    modules = sorted(set(found.MODULES()), key=repr)
    assert modules
    for module in modules:
        nvrtc.check(module, arch)
