"""NVIDIA's libraries by name, found where ``pip`` put them or where the system has them, and the folder that compiled
kernels and plans are kept in.

cuDNN opens NVRTC by itself and then cannot find NVRTC's own second half; so NVRTC is loaded before it.
"""
import ctypes
import hashlib
import os
import tempfile
from functools import cache
from pathlib import Path

from .._core.errors import MXNetError

PACKAGES = {"cublasLt": "nvidia-cublas", "cudnn": "nvidia-cudnn-cu13", "nccl": "nvidia-nccl-cu13",
            "nvrtc": "nvidia-cuda-nvrtc"}


class Missing(MXNetError):
    """A library is not there; the text says which and what to install."""


@cache
def path(name):
    """The file of library `name` (``"cublasLt"``, ``"cudnn"``, ``"nvrtc"``, ``"nccl"``), loaded. Raises Missing."""
    if name == "cudnn":
        path("nvrtc")
    try:
        from cuda.pathfinder import load_nvidia_dynamic_lib
    except ImportError as e:
        raise Missing(f"{name} cannot be looked for: {e}; `pip install mxlite[gpu]`") from None
    try:
        return load_nvidia_dynamic_lib(name).abs_path
    except Exception as e:          # DynamicLibNotFoundError is pathfinder's own and has moved between versions
        text = str(e).strip().splitlines() or [type(e).__name__]
        raise Missing(f"the library {name} is not there ({text[0]}); `pip install mxlite[gpu]` brings it "
                      f"({PACKAGES.get(name, name)})") from None


@cache
def load(name):
    """Library `name` for ctypes."""
    return ctypes.CDLL(path(name))


def there(name):
    """Whether library `name` can be loaded."""
    try:
        path(name)
    except Missing:
        return False
    return True


@cache
def include_folders():
    """Folders of CUDA's own headers (``cuda_fp16.h``), for NVRTC."""
    try:
        from cuda.pathfinder import find_nvidia_header_directory
    except ImportError as e:
        raise Missing(f"CUDA's headers cannot be looked for: {e}; `pip install mxlite[gpu]`") from None
    folder = find_nvidia_header_directory("cudart")
    if folder is None:
        raise Missing("CUDA's headers (cuda_fp16.h) are not there; `pip install mxlite[gpu]` brings them "
                      "(nvidia-cuda-runtime)")
    return (folder,)


class Cache:
    """Bytes by key in a folder, which many processes share; a file is there whole or not at all."""

    def __init__(self, folder):
        """`folder`: a path, or None: nothing is kept."""
        self.folder = None if folder is None else Path(folder)

    def _file(self, kind, key):
        return self.folder / f"{kind}-{hashlib.sha256(key.encode()).hexdigest()[:40]}.bin"

    def get(self, kind, key):
        """What was put under `key`, else None."""
        if self.folder is None:
            return None
        try:
            data = self._file(kind, key).read_bytes()
        except OSError:
            return None
        body, digest = data[:-32], data[-32:]
        return body if hashlib.sha256(body).digest() == digest else None

    def put(self, kind, key, data):
        """Keep `data`; a folder that cannot be written is no error, only slower."""
        if self.folder is None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.folder)
            with os.fdopen(handle, "wb") as file:
                file.write(data + hashlib.sha256(data).digest())
            os.replace(name, self._file(kind, key))
        except OSError:
            pass


@cache
def disk():
    """The :class:`Cache` of this user: ``MXLITE_CACHE_DIR``, where an empty text turns it off; by default the folder
    ``mxlite`` of the system's cache folder."""
    named = os.environ.get("MXLITE_CACHE_DIR")
    if named is not None:
        return Cache(named or None)
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return Cache((Path(base) if base else Path.home() / ".cache") / "mxlite")
    except RuntimeError:            # no home folder
        return Cache(None)
