"""The backend says exactly what is missing, and costs nobody anything who does not ask for a GPU."""
import os
import subprocess
import sys
import types

import pytest

import mxlite as mx
from mxlite.gpu import Backend, _libs

from .fake import MEMORY, Cupy


def python(code, **env):
    """Output of `code` in a Python of its own."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **env})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_and_computing_on_the_cpu_imports_no_cupy():
    out = python("import sys, mxlite as mx\n"
                 "x = mx.nd.ones((2, 3), ctx=mx.cpu()) + 1\n"
                 "y = mx.sym.relu(mx.sym.Variable('x')).bind(mx.cpu(), {'x': x}).forward()[0].asnumpy()\n"
                 "mx.gpu(0), mx.test_utils.default_context()\n"
                 "print([m for m in sys.modules\n"
                 "       if m.split('.')[0] in ('cupy', 'cudnn') or m.startswith('mxlite.gpu')])")
    assert out.strip() == "[]"


def test_without_cupy_the_error_says_so_and_what_to_install(tmp_path):
    """A folder in front of all others whose `cupy` is not there."""
    out = python("import sys\n"
                 "class Hide:\n"
                 "    def find_spec(self, name, path=None, target=None):\n"
                 "        if name.split('.')[0] == 'cupy':\n"
                 "            raise ModuleNotFoundError(\"No module named 'cupy'\", name='cupy')\n"
                 "sys.meta_path.insert(0, Hide())\n"
                 "import mxlite as mx\n"
                 "print(mx.context.num_gpus(), mx.test_utils.list_gpus())\n"
                 "for what in ('mx.nd.ones((2,), ctx=mx.gpu(1))', 'mx.context.gpu_memory_info(1)',\n"
                 "             'mx.gpu(1).empty_cache()',\n"
                 "             'mx.sym.relu(mx.sym.Variable(\"x\")).simple_bind(mx.gpu(1), x=(2,))'):\n"
                 "    try:\n"
                 "        eval(what)\n"
                 "        print('no error')\n"
                 "    except mx.MXNetError as e:\n"
                 "        print(e)\n")
    first, *rest = out.splitlines()
    assert first == "0 []" and len(rest) == 4
    for line in rest:
        assert line == ("gpu(1) cannot be used, there is no GPU: CuPy is not installed. It needs `pip install "
                        "mxlite[gpu]` and an NVIDIA driver for CUDA 13 (580 or later). Use mx.cpu(), or mx.gpu() if "
                        "mx.context.num_gpus() else mx.cpu().")


def test_mx_gpu_stays_a_function():
    """The package of that name takes its place in ``mxlite`` when it is imported."""
    out = python("import mxlite as mx\nf = mx.gpu\nimport mxlite.gpu\n"
                 "print(mx.gpu(1) is f(1) is mx.context.gpu(device_id=1), mx.gpu(), mx.gpu is f)")
    assert out.strip() == "True gpu(0) False"


def broken():
    raise ImportError("libcudart.so.13: cannot open shared object file")


def absent():
    raise ModuleNotFoundError("No module named 'cupy'", name="cupy")


@pytest.mark.parametrize("load, said", [
    (absent, "CuPy is not installed"),
    (broken, r"CuPy is installed but cannot be imported \(libcudart.so.13: cannot open"),
    (lambda: Cupy(version="13.6.0"), "CuPy 13.6.0 is too old, it must be 14 or later"),
    (lambda: Cupy(driver=0), "CuPy 14.2.0 is installed, but this machine has no NVIDIA driver"),
    (lambda: Cupy(driver=12040), r"the NVIDIA driver is for CUDA 12.4 and too old"),
    (lambda: Cupy(error=35), r"the NVIDIA driver \(CUDA 13.0\) is too old"),
    (lambda: Cupy(error=100), r"CuPy 14.2.0 and a driver for CUDA 13.0 are installed, but CUDA sees no device"),
    (lambda: Cupy(error=999), r"a driver for CUDA 13.0 are installed, but CUDA says: cudaError 999"),
    (lambda: Cupy(devices=0), r"CUDA sees no device"),
])
def test_each_thing_that_can_be_missing_is_named(load, said):
    backend = Backend(load)
    assert backend.count == 0 and backend.xp is None
    for ask in (backend.check, backend.memory_info, backend.device):
        with pytest.raises(mx.MXNetError, match=r"^gpu\(0\) cannot be used, there is no GPU: .*" + said) as e:
            ask(0)
        assert "pip install mxlite[gpu]" in str(e.value) and "mx.cpu()" in str(e.value)


def test_hidden_devices_are_mentioned(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    with pytest.raises(mx.MXNetError, match=r"no device \(CUDA_VISIBLE_DEVICES='-1'\)"):
        Backend(lambda: Cupy(error=100)).check(0)


def test_a_number_out_of_range_names_the_devices_that_there_are():
    backend = Backend(lambda: Cupy(devices=2))
    assert backend.count == 2
    backend.check(0), backend.check(1)
    with pytest.raises(mx.MXNetError, match=r"gpu\(2\) cannot be used, there is no GPU of that number: this machine "
                                            r"has gpu\(0\), gpu\(1\)$"):
        backend.check(2)


def test_memory_counts_what_the_pool_keeps_as_free():
    assert Backend(lambda: Cupy(devices=2)).memory_info(1) == (MEMORY // 2 + 100, MEMORY)


def test_a_device_is_made_once():
    backend = Backend(lambda: Cupy(devices=2))
    assert backend.device(1) is backend.device(1) is not backend.device(0)
    assert backend.device(1).index == 1 and backend.device(1).arch == "sm_90"


def test_a_forked_process_is_told_so():
    backend = Backend(lambda: Cupy())
    backend.pid += 1
    with pytest.raises(mx.MXNetError, match=r"gpu\(0\).*forked.*no GPU"):
        backend.check(0)


def test_the_context_asks_the_backend(monkeypatch):
    backend = Backend(lambda: Cupy(devices=3))
    monkeypatch.setattr(sys.modules["mxlite.gpu"], "_backend", backend)
    assert mx.context.num_gpus() == 3 and mx.test_utils.list_gpus() == [0, 1, 2]
    assert mx.context.gpu_memory_info(2) == (MEMORY // 2 + 100, MEMORY)
    for wrong in ("0", 1.5, None):
        with pytest.raises(TypeError, match="integer"):
            mx.context.gpu_memory_info(wrong)
    with pytest.raises(mx.MXNetError, match=r"gpu\(3\).*no GPU"):
        mx.context.gpu_memory_info(3)
    mx.gpu(1).empty_cache()
    assert backend.xp.count("free_all_blocks") == 1
    from mxlite.gpu.device import Device  # a module of that name must not hide a function of the package
    assert isinstance(sys.modules["mxlite.gpu"].get_device(2), Device)
    with pytest.raises(mx.MXNetError, match=r"gpu\(5\).*no GPU"):
        mx.nd.ones((2,), ctx=mx.gpu(5))


def test_a_library_that_is_not_there_is_named(monkeypatch):
    def load(name):
        raise RuntimeError(f'Failure finding "lib{name}.so"\nmore')
    monkeypatch.setitem(sys.modules, "cuda", types.ModuleType("cuda"))
    monkeypatch.setitem(sys.modules, "cuda.pathfinder", types.SimpleNamespace(load_nvidia_dynamic_lib=load))
    monkeypatch.setattr(_libs, "path", _libs.path.__wrapped__)
    with pytest.raises(mx.MXNetError, match=r'the library cublasLt is not there \(Failure finding "libcublasLt.so"\); '
                                            r"`pip install mxlite\[gpu\]` brings it \(nvidia-cublas\)"):
        _libs.path("cublasLt")
    assert not _libs.there("cublasLt")


def test_nvrtc_is_loaded_before_cudnn(monkeypatch):
    asked = []

    def load(name):
        asked.append(name)
        return types.SimpleNamespace(abs_path=f"/lib{name}.so")
    monkeypatch.setitem(sys.modules, "cuda", types.ModuleType("cuda"))
    monkeypatch.setitem(sys.modules, "cuda.pathfinder", types.SimpleNamespace(load_nvidia_dynamic_lib=load))
    monkeypatch.setattr(_libs, "path", _libs.path.__wrapped__)
    assert _libs.path("cudnn") == "/libcudnn.so" and asked == ["nvrtc", "cudnn"]


def test_the_disk_cache_gives_back_what_was_put_and_nothing_damaged(tmp_path):
    cache = _libs.Cache(tmp_path / "deep" / "mxlite")
    assert cache.get("cubin", "a") is None
    cache.put("cubin", "a", b"one")
    cache.put("cudnn", "a", b"two")
    cache.put("cubin", "a", b"three")
    assert cache.get("cubin", "a") == b"three" and cache.get("cudnn", "a") == b"two"
    assert cache.get("cubin", "b") is None
    for file in (tmp_path / "deep" / "mxlite").iterdir():
        file.write_bytes(file.read_bytes()[:-1])
    assert cache.get("cubin", "a") is None
    nowhere = _libs.Cache(None)
    nowhere.put("cubin", "a", b"x")
    assert nowhere.get("cubin", "a") is None
    (tmp_path / "file").write_text("no folder")
    blocked = _libs.Cache(tmp_path / "file")
    blocked.put("cubin", "a", b"x")
    assert blocked.get("cubin", "a") is None
