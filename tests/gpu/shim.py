"""Runs launches on the processor: the kernels' own text, compiled by g++ against ``shim/cuda_cpu.h``."""
import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

from mxlite.gpu import source

HERE = Path(__file__).parent / "shim"
CXX = shutil.which(os.environ.get("CXX", "g++"))
CACHE = Path(tempfile.gettempdir()) / f"mxlite-shim-{os.getuid()}"
FLAGS = [CXX, "-std=c++17", "-w", "-O1", "-ffp-contract=off", "-fno-strict-aliasing", "-fPIC"]
_KERNEL = re.compile(r'extern\s+"C"\s+void\s+(\w+)\s*\(')

needs_cxx = pytest.mark.skipif(CXX is None, reason="the kernels' text runs on the processor only with g++")


@cache
def _precompiled():
    """The folder of everything built against the shim as it is, with its header compiled in advance."""
    text = b"".join((HERE / name).read_bytes() for name in sorted(os.listdir(HERE))) + " ".join(FLAGS).encode()
    folder = CACHE / hashlib.sha256(text).hexdigest()[:16]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    header = folder / "cuda_cpu.h.gch"
    if not header.exists():
        with tempfile.TemporaryDirectory(dir=folder) as place:
            made = Path(place, "made.gch")
            subprocess.run([*FLAGS, "-x", "c++-header", HERE / "cuda_cpu.h", "-o", made], check=True)
            os.replace(made, header)
    return folder


@cache
def load(module):
    """(library, names of its kernels) of a module; compiled once and kept in a temporary folder."""
    text = re.sub(r"#include <cuda_\w+\.h>", "", source.compose(module))
    folder = _precompiled()
    key = hashlib.sha256(text.encode()).hexdigest()[:32]
    built, listed = folder / f"{key}.so", folder / f"{key}.names"
    if not built.exists():
        with tempfile.TemporaryDirectory(dir=folder) as place:
            raw, lib = Path(place, "k.cpp"), Path(place, "k.so")
            raw.write_text(text)
            plain = [CXX, "-E", "-P", "-D__global__=", "-D__launch_bounds__(...)=", raw]
            names = _KERNEL.findall(subprocess.run(plain, check=True, capture_output=True, text=True).stdout)
            wrappers = "".join(f'\nextern "C" int cpu_{n}(const unsigned *g, int n, void **a) '
                               f"{{ return cc::launch({n}, g, n, a); }}"
                               f'\nextern "C" void sizes_{n}(int *to) {{ cc::sizes({n}, to); }}' for n in names)
            raw.write_text('#include "cuda_cpu.h"\n' + text + wrappers)
            done = subprocess.run([*FLAGS, f"-I{folder}", f"-I{HERE}", "-shared", "-o", lib, raw],
                                  capture_output=True, text=True)
            assert done.returncode == 0, f"{module}: {done.stderr[:4000]}"
            Path(place, "names").write_text(" ".join(names))
            os.replace(Path(place, "names"), listed)
            os.replace(lib, built)
    return ctypes.CDLL(str(built)), tuple(listed.read_text().split())


@cache
def _entry(module, name):
    lib, names = load(module)
    assert name in names, f"{module} has no kernel {name}: {names}"
    sizes = (ctypes.c_int * 128)()
    getattr(lib, f"sizes_{name}")(sizes)
    return getattr(lib, f"cpu_{name}"), list(sizes)[:list(sizes).index(-1)]


def run(launches, backwards=False):
    """Run a list of launches in order. `backwards`: the last thread of every block goes first."""
    for one in launches:
        fn, sizes = _entry(one.source, one.entry)
        given = [ctypes.sizeof(a) for a in one.args]
        assert given == sizes, f"{one}: arguments of {given} bytes, the kernel takes {sizes}"
        threads = one.block[0] * one.block[1] * one.block[2]
        assert 0 < threads <= 1024 and one.block[2] <= 64 and all(one.grid) and max(one.grid[1:]) <= 65535, one
        assert one.grid[0] < 2 ** 31 and one.shared <= 227 * 1024, one
        shape = (ctypes.c_uint * 8)(*one.grid, *one.block, one.shared, backwards)
        assert fn(shape, len(one.args), one.params) == 0
