"""Compiles modules by NVRTC, through CuPy, where both are installed; no driver and no device take part.

What compiled without spills is remembered in a temporary folder by its whole text, so that a second run is quick.
"""
import functools
import hashlib
import importlib.util
import json
import os
import queue
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mxlite.gpu import cuda, source

ARCHES = ("sm_80", "sm_90", "sm_120")
WORKER = Path(__file__).with_name("compile_worker.py")
CACHE = Path(tempfile.gettempdir()) / f"mxlite-nvrtc-{os.getuid()}"
PROCESSES = min(4, len(os.sched_getaffinity(0)))


@functools.cache
def missing():
    """Why nothing can be compiled here, or None."""
    if importlib.util.find_spec("cupy") is None:
        return "CuPy is not installed: pip install mxlite[gpu-test]"
    try:
        from cupy_backends.cuda.libs import nvrtc
        nvrtc.getVersion()
        _includes()
    except Exception as e:
        return f"NVRTC cannot be used: {e}"
    return None


@functools.cache
def _includes():
    import nvidia
    found = [str(p) for root in nvidia.__path__ for p in Path(root).glob("*/include") if (p / "cuda_fp16.h").exists()]
    if not found:
        raise FileNotFoundError("cuda_fp16.h is in no nvidia/*/include: pip install nvidia-cuda-runtime")
    return tuple("-I" + p for p in found)


needs_nvrtc = pytest.mark.skipif(missing() is not None, reason=str(missing()))


@functools.cache
def _version():
    from cupy_backends.cuda.libs import nvrtc
    return str(nvrtc.getVersion())


class Workers:
    """Processes that compile, as many as there are processors, started when they are needed and ended by closing their
    input."""

    def __init__(self):
        self.idle, self.all = queue.SimpleQueue(), []
        self.pool = ThreadPoolExecutor(PROCESSES)

    def compile(self, text, options):
        """What :func:`compile_worker.compile_text` gives, from whichever process is idle."""
        try:
            worker = self.idle.get_nowait()
        except queue.Empty:
            worker = subprocess.Popen([sys.executable, str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      text=True)
            self.all.append(worker)
        worker.stdin.write(json.dumps({"text": text, "options": options}) + "\n")
        worker.stdin.flush()
        line = worker.stdout.readline()
        assert line, f"the process that compiles ended with {worker.wait()}"
        self.idle.put(worker)
        return json.loads(line)

    def map(self, function, items):
        return list(self.pool.map(function, items))

    def close(self):
        self.pool.shutdown()
        for worker in self.all:
            worker.stdin.close()
            worker.stdout.close()
            worker.wait(30)


def check(workers, module, arch):
    """What is wrong with a :class:`~mxlite.gpu.launch.Module` compiled for `arch`, as text; None: no spills, and it has
    kernels."""
    # The options are those that it is shipped with; -v prints registers and spills.
    options = (f"-arch={arch}", *cuda.OPTIONS, "--ptxas-options=-v", *_includes())
    text = source.compose(module)
    known = CACHE / hashlib.sha256("\n".join((_version(), *options, text)).encode()).hexdigest()
    if known.exists():
        return None
    made = workers.compile(text, options)
    wrong = fault(made["log"], made["error"])
    if wrong is None:
        CACHE.mkdir(mode=0o700, exist_ok=True)
        known.touch()
        return None
    return f"{module} for {arch}: {wrong}"


def fault(log, error):
    """What the compiler's words say against a module, or None."""
    if error is not None:
        return f"does not compile: {error}"[:6000]
    if not log.count("Compiling entry function"):
        return f"has no kernel: {log[-1000:]}"
    for stores, loads in re.findall(r"bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", log):
        if int(stores) or int(loads):
            return f"spills:\n{log[-3000:]}"
    return None
