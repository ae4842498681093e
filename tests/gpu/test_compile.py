"""Every kernel compiles for every architecture, without spills; what NVRTC cannot see, test_<family>.py runs.

Modules differ by dtype, vector width and the like; compiling all of them for all architectures takes minutes. So every
module is compiled for ``sm_90``, every file for every architecture, and each further module for one of the other two.
``MXLITE_COMPILE=all`` compiles everything for everything.
"""
import hashlib
import importlib
import os
import pkgutil

import pytest

from mxlite.gpu import families, launch

from . import nvrtc

NAMES = [info.name for info in pkgutil.iter_modules(families.__path__)]
OTHERS = tuple(a for a in nvrtc.ARCHES if a != "sm_90")
# 90 numbers alive at once where 1024 threads leave 64 registers to each.
SPILLING = """extern "C" __global__ void __launch_bounds__(1024) spilling(float *x, int n)
{
    float v[90];
    #pragma unroll
    for (int i = 0; i < 90; i++) v[i] = x[i * n + threadIdx.x];
    #pragma unroll 1
    for (int k = 0; k < n; k++) {
        #pragma unroll
        for (int i = 0; i < 90; i++) v[i] = v[i] * v[(i + 37) % 90] + 1;
    }
    #pragma unroll
    for (int i = 0; i < 90; i++) x[i * n + threadIdx.x] = v[i];
}
"""


def modules_of(family):
    """What a family says that it compiles: ``MODULES()`` yields its modules, one of each kind."""
    found = importlib.import_module(f"{families.__name__}.{family}")
    return sorted(set(found.MODULES()), key=repr)


def sweep(modules, everything):
    """[(module, architecture)]: the bounded sweep, or everything."""
    out, files = [(m, "sm_90") for m in modules], set()
    for m in modules:
        digest = hashlib.sha256(repr((m.file, m.defines, m.text)).encode()).digest()[0]
        whole = everything or m.file not in files
        files.add(m.file)
        out += [(m, arch) for k, arch in enumerate(OTHERS) if whole or digest % len(OTHERS) == k]
    return out


@pytest.fixture(scope="module")
def workers():
    pool = nvrtc.Workers()
    yield pool
    pool.close()


@nvrtc.needs_nvrtc
@pytest.mark.slow
@pytest.mark.parametrize("family", NAMES)
def test_compiles_without_spills(family, workers):
    modules = modules_of(family)
    assert modules
    work = sweep(modules, os.environ.get("MXLITE_COMPILE") == "all")
    found = workers.map(lambda pair: nvrtc.check(workers, *pair), work)
    assert not any(found), "\n".join(filter(None, found))


def test_the_sweep_leaves_nothing_out():
    modules = [m for family in NAMES for m in modules_of(family)]
    bounded, full = sweep(modules, False), sweep(modules, True)
    assert set(full) == {(m, a) for m in modules for a in nvrtc.ARCHES} and len(full) == len(set(full))
    assert set(bounded) < set(full) and {m for m, a in bounded if a != "sm_90"} == set(modules)
    assert {(m.file, a) for m, a in bounded} == {(m.file, a) for m in modules for a in nvrtc.ARCHES}


@nvrtc.needs_nvrtc
def test_what_is_wrong_is_noticed(workers):
    """A spill, a kernel that does not compile, and a module without kernels."""
    assert "spills" in nvrtc.check(workers, launch.Module("spilling", text=SPILLING), "sm_90")
    wrong = nvrtc.check(workers, launch.Module("wrong", text='KERNEL wrong(int *x) { *y = 0; }'), "sm_90")
    assert "does not compile" in wrong and "KERNEL" in wrong
    assert "has no kernel" in nvrtc.check(workers, launch.Module("none", text="__device__ int x;"), "sm_90")
