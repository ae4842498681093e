"""CUDA graphs: work is started once while the stream records, and from then on one call starts all of it."""
import gc

from .._core.errors import MXNetError


class Capture:
    """What ``run(stream)`` starts on the device's stream, as a graph. ``run`` may start kernels and copies within the
    device, and nothing else: no allocation, no wait, no copy from or to the host."""

    def __init__(self, device, run):
        stream, runtime = device.stream, device.xp.cuda.runtime
        self.device, self.graph = device, None
        with device.use():
            # A finaliser that frees memory or destroys a descriptor in between would break the capture.
            stream.synchronize()
            gc.collect()
            collects = gc.isenabled()
            gc.disable()
            try:
                stream.begin_capture(runtime.streamCaptureModeThreadLocal)
                try:
                    run(stream.ptr)
                except BaseException:
                    _abandon(stream)
                    raise
                self.graph = stream.end_capture()
            finally:
                if collects:
                    gc.enable()
            self.graph.upload(stream)

    def launch(self):
        self.graph.launch(self.device.stream)


def _abandon(stream):
    """End a capture that failed; that it is no graph is known."""
    try:
        stream.end_capture()
    except Exception:               # CUDA's own word on what broke it would hide the first one
        if getattr(stream, "is_capturing", lambda: False)():
            raise MXNetError("a CUDA stream still records after a failed capture; start the process anew") from None
