"""Compiles kernels' text and launches them: the one place between plain-data launches and CUDA.

NVRTC is asked directly: CuPy's own module class always flushes denormals to zero, which the CPU's kernels do not.
"""
import ctypes
import threading

from . import _libs, source

OPTIONS = ("-std=c++17", "-default-device", "--fmad=true")
SHARED_PLAIN = 48 << 10         # bytes of dynamic shared memory that need no permission


def compile_text(xp, text, arch, options=OPTIONS):
    """The cubin of `text` for `arch` (``"sm_90"``), kept on disk. RuntimeError with NVRTC's log where it is wrong."""
    nvrtc = xp.cuda.compiler.nvrtc
    # A text that differs in one letter is another one, so is another compiler.
    key = "\n".join((arch, " ".join(options), str(nvrtc.getVersion()), text))
    cubin = _libs.disk().get("cubin", key)
    if cubin is None:
        folders = tuple(f"-I{f}" for f in _libs.include_folders()) if "#include <cuda_" in text else ()
        program = nvrtc.createProgram(text, "mxlite.cu", (), ())
        try:
            try:
                nvrtc.compileProgram(program, (f"-arch={arch}", *options, *folders))
            except nvrtc.NVRTCError as e:
                raise RuntimeError(f"a kernel for {arch} does not compile: {e}\n{nvrtc.getProgramLog(program)}") from e
            cubin = nvrtc.getCUBIN(program)
        finally:
            nvrtc.destroyProgram(program)
        _libs.disk().put("cubin", key, cubin)
    return cubin


class Kernels:
    """The modules that a device has loaded, by what they are made of."""

    def __init__(self, xp, arch):
        self.xp, self.arch, self.modules, self.functions, self.lock = xp, arch, {}, {}, threading.Lock()

    def module(self, made_of):
        """The loaded module of a :class:`~mxlite.gpu.launch.Module`."""
        with self.lock:
            found = self.modules.get(made_of)
            if found is None:
                found = self.xp.cuda.function.Module()
                found.load(compile_text(self.xp, source.compose(made_of), self.arch))
                self.modules[made_of] = found
            return found

    def function(self, launch):
        """The function that `launch` starts, allowed as much dynamic shared memory as it asks for."""
        key = launch.source, launch.entry
        found = self.functions.get(key)
        if found is None:
            found = self.functions[key] = [self.module(launch.source).get_function(launch.entry), SHARED_PLAIN]
        if launch.shared > found[1]:
            driver = self.xp.cuda.driver
            driver.funcSetAttribute(found[0].ptr, driver.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, launch.shared)
            found[1] = launch.shared
        return found[0]


class Kernel:
    """A launch with its function: ``run(stream)`` starts it."""

    __slots__ = ("launch", "function", "_start", "_before", "_params")

    def __init__(self, kernels, launch):
        self.launch, self.function = launch, kernels.function(launch)
        self._start = kernels.xp.cuda.driver.launchKernel
        self._before = self.function.ptr, *launch.grid, *launch.block, launch.shared
        self._params = ctypes.addressof(launch.params)

    def run(self, stream):
        self._start(*self._before, stream, self._params, 0)

    @property
    def text(self):
        return self.launch.entry
