"""Times the ways in which a library can run one call, and says which is the quickest.

A library's own guess comes first and stays where no other is clearly quicker. Timing happens when a program is made,
on memory of its own, and never while a stream is captured; who asks keeps the answer on disk.
"""
from ..ops import settings

ROUNDS, SPAN, MOST = 3, 2.0, 20         # rounds of all that are left; milliseconds and calls that a round takes of one
OUT = 1.5                               # who took that much longer than the quickest at first is not looked at again
CLEARLY = 0.97                          # of the first one's time
CANDIDATES = 8
FILL = 0x2C                             # bytes that are small numbers in every dtype: 0.07 in float16, 2e-12 in float32


def wanted(device):
    """Whether a plan that is made now may be timed."""
    return bool(settings.autotune) and not device.stream.is_capturing()


class Scratch:
    """Memory in place of a call's tensors and workspace: ``addresses``, in the order of `sizes`, bytes each."""

    def __init__(self, device, sizes):
        """MemoryError where there is not enough."""
        self.memory = [device.alloc(n) for n in sizes]
        self.addresses = [m.ptr for m in self.memory]
        for address, n in zip(self.addresses, sizes):
            device.fill(address, FILL, n)


def quickest(device, runs, refuses):
    """Number of the quickest of `runs`, functions (stream) that start a call; None where none works. An exception of
    which ``refuses(e)`` holds means that this one does not; any other is raised."""
    cuda, stream, times = device.xp.cuda, device.stream, {}
    first, last = cuda.Event(), cuda.Event()

    def milliseconds(run, count):
        first.record(stream)
        for _ in range(count):
            run(stream.ptr)
        last.record(stream)
        last.synchronize()
        return cuda.get_elapsed_time(first, last) / count
    with device.use():
        for i, run in enumerate(runs):
            try:
                milliseconds(run, 1)            # loads its code
                times[i] = milliseconds(run, 1)
            except Exception as e:
                if not refuses(e):
                    raise
        if not times:
            return None
        best = min(times.values())
        times = {i: t for i, t in times.items() if t <= OUT * best}
        count = max(1, min(MOST, int(SPAN / max(best, 1e-6))))
        for _ in range(ROUNDS if len(times) > 1 else 0):
            for i in times:
                times[i] = min(times[i], milliseconds(runs[i], count))
    best, guess = min(times, key=times.get), min(times)
    return best if times[best] < CLEARLY * times[guess] else guess
