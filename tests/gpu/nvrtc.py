"""Compiles modules by NVRTC, through CuPy, where both are installed; no driver and no device take part."""
import functools
import importlib.util
import re

import pytest

from mxlite.gpu import source

ARCHES = ("sm_80", "sm_90", "sm_120")


@functools.cache
def missing():
    """Why nothing can be compiled here, or None."""
    if importlib.util.find_spec("cupy") is None:
        return "CuPy is not installed: pip install mxlite[gpu]"
    try:
        from cupy_backends.cuda.libs import nvrtc
        nvrtc.getVersion()
        _includes()
    except Exception as e:
        return f"NVRTC cannot be used: {e}"
    return None


@functools.cache
def _includes():
    from pathlib import Path

    import nvidia
    found = [str(p) for root in nvidia.__path__ for p in Path(root).glob("*/include") if (p / "cuda_fp16.h").exists()]
    if not found:
        raise FileNotFoundError("cuda_fp16.h is in no nvidia/*/include: pip install nvidia-cuda-runtime")
    return tuple("-I" + p for p in found)


needs_nvrtc = pytest.mark.skipif(missing() is not None, reason=str(missing()))


def compile(module, arch):
    """(cubin, log of ptxas) of a :class:`~mxlite.gpu.launch.Module`."""
    from cupy.cuda.compiler import _NVRTCProgram
    from cupy_backends.cuda.libs import nvrtc
    program = _NVRTCProgram(source.compose(module), "mxlite.cu", (), (), None, "cubin")
    options = (f"-arch={arch}", "-std=c++17", "-default-device", "--ptxas-options=-v", *_includes())
    try:
        cubin = program.compile(options)[0]
    except Exception as e:
        message = e.get_message() if hasattr(e, "get_message") else e
        raise AssertionError(f"{module} for {arch}: {message}"[:6000]) from None
    return cubin, nvrtc.getProgramLog(program.ptr)


def check(module, arch):
    """`module` compiles without spills; returns the log of ptxas."""
    _, log = compile(module, arch)
    assert log.count("Compiling entry function"), f"{module} has no kernel: {log}"
    for stores, loads in re.findall(r"bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", log):
        assert int(stores) == int(loads) == 0, f"{module} spills for {arch}:\n{log[-3000:]}"
    return log
