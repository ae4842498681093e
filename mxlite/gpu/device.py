"""One GPU: its stream, its memory, its copies, its kernels.

Everything that mxlite does on a device runs on one stream of it, so it happens in the order in which it was asked for.
The stream does not wait for CUDA's default stream; :meth:`Device.after` and :meth:`Device.before` put it in order with
another one, such as CuPy's current stream.
"""
import ctypes
import threading
from contextlib import contextmanager

from .._core.errors import MXNetError
from .arena import view_at
from .cuda import Kernel, Kernels
from .graph import Capture

SMALL, SMALLS = 4 << 10, 64     # bytes of a slot for a few numbers, and how many slots take turns
CHUNK, CHUNKS = 4 << 20, 2      # bytes of a piece of pinned memory, and how many take turns


class Staging:
    """Pinned host memory that copies go through, a piece at a time: the device reads one while the host fills another,
    and the host's array may be written again as soon as the call is back."""

    def __init__(self, device):
        self.device, self.pieces, self.turn, self.lock = device, [], 0, threading.Lock()
        self.smalls, self.given = None, 0       # (memory, event a slot), and how many were ever copied

    def _piece(self):
        """(address, event) of the next piece, free to be used."""
        cuda = self.device.xp.cuda
        if len(self.pieces) < CHUNKS:
            self.pieces.append((cuda.alloc_pinned_memory(CHUNK), cuda.Event(disable_timing=True)))
            self.turn = len(self.pieces) - 1
        else:
            self.turn = (self.turn + 1) % CHUNKS
            self.pieces[self.turn][1].synchronize()
        memory, event = self.pieces[self.turn]
        return memory.ptr, event

    def small(self, target, data):
        """Copy at most SMALL bytes to device address `target`; nobody waits, unless SMALLS of them are on their way."""
        device, n = self.device, len(data)
        with self.lock, device.use():
            if self.smalls is None:
                memory, event = device.xp.cuda.alloc_pinned_memory(SMALL * SMALLS), device.xp.cuda.Event
                self.smalls = memory, [event(disable_timing=True) for _ in range(SMALLS)]
            memory, events = self.smalls
            slot, self.given = self.given % SMALLS, self.given + 1
            if self.given > SMALLS and not events[slot].done:
                events[slot].synchronize()
            ctypes.memmove(memory.ptr + slot * SMALL, data, n)
            runtime = device.xp.cuda.runtime
            runtime.memcpyAsync(target, memory.ptr + slot * SMALL, n, runtime.memcpyHostToDevice, device.stream.ptr)
            events[slot].record(device.stream)

    def straight(self, target, source, nbytes, kind):
        """Copy between the device and pinned memory of the caller's, complete on return."""
        device = self.device
        with self.lock, device.use():
            device.xp.cuda.runtime.memcpyAsync(target, source, nbytes, kind, device.stream.ptr)
            event = device.xp.cuda.Event(disable_timing=True)
            event.record(device.stream)
            event.synchronize()

    def upload(self, target, source, nbytes):
        """Copy `nbytes` from host address `source` to device address `target`."""
        device, runtime = self.device, self.device.xp.cuda.runtime
        with self.lock, device.use():
            for at in range(0, nbytes, CHUNK):
                n = min(CHUNK, nbytes - at)
                piece, event = self._piece()
                ctypes.memmove(piece, source + at, n)
                runtime.memcpyAsync(target + at, piece, n, runtime.memcpyHostToDevice, device.stream.ptr)
                event.record(device.stream)

    def download(self, target, source, nbytes):
        """Copy `nbytes` from device address `source` to host address `target`, which has them on return."""
        device, runtime, waiting = self.device, self.device.xp.cuda.runtime, []

        def finish():
            piece, event, to, n = waiting.pop(0)
            event.synchronize()
            ctypes.memmove(to, piece, n)
        with self.lock, device.use():
            for at in range(0, nbytes, CHUNK):
                n = min(CHUNK, nbytes - at)
                if len(waiting) == CHUNKS:
                    finish()
                piece, event = self._piece()
                runtime.memcpyAsync(piece, source + at, n, runtime.memcpyDeviceToHost, device.stream.ptr)
                event.record(device.stream)
                waiting.append((piece, event, target + at, n))
            while waiting:
                finish()


class Gate:
    """Counts the threads that give a device work. While one of them records a graph the others wait before the gate:
    what they start on the stream would be recorded with the rest and not be done."""

    def __init__(self):
        self.changed, self.inside, self.recording = threading.Condition(), 0, False

    def enter(self):
        with self.changed:
            while self.recording:
                self.changed.wait()
            self.inside += 1

    def leave(self):
        with self.changed:
            self.inside -= 1

    @contextmanager
    def record(self):
        """For a thread that is inside: whether it is alone there, and so may record. It does not wait for others: one
        of them may be waiting for it."""
        with self.changed:
            alone = self.inside == 1 and not self.recording
            self.recording = self.recording or alone
        try:
            yield alone
        finally:
            if alone:
                with self.changed:
                    self.recording = False
                    self.changed.notify_all()


class Inside(threading.local):
    """What `Device.use` gives. CuPy's Device remembers which one was the current one before: each thread has its
    own."""

    def __init__(self, device):
        self.device, self.own, self.stream = device, device.xp.cuda.Device(device.index), device.stream
        self.gate, self.depth = device.gate, 0

    def __enter__(self):
        if not self.depth:
            self.gate.enter()
        self.depth += 1
        self.own.__enter__()
        self.stream.__enter__()
        return self.device

    def __exit__(self, *exc):
        self.stream.__exit__(*exc)
        self.own.__exit__(*exc)
        self.depth -= 1
        if not self.depth:
            self.gate.leave()


class Forked:
    """What `Device.use` gives in a forked child."""

    def __init__(self, index):
        self.index = index

    def __enter__(self):
        from . import FORKED
        raise MXNetError(f"gpu({self.index}) {FORKED}")

    def __exit__(self, *exc):
        pass


class Device:
    """GPU number `index` under `xp`, which is CuPy."""

    def __init__(self, index, xp):
        self.index, self.xp = index, xp
        with xp.cuda.Device(index) as own:
            self.stream = xp.cuda.Stream(non_blocking=True)
            self.gate = Gate()
            self._inside = Inside(self)
            capability = str(own.compute_capability)
            self.name = _name(xp, index)
        self.arch, self.capability = f"sm_{capability}", int(capability)
        self.kernels, self.staging, self.libraries = Kernels(xp, self.arch), Staging(self), {}
        with self.use():
            self.numbers = self.alloc(16)               # {seed, step} of an operator's call that draws
        self.drawing, self._late = threading.Lock(), None
        self.checks = []            # functions that raise what an earlier program met, called where the host waits

    def __repr__(self):
        return f"Device({self.index}, {self.name!r}, {self.arch})"

    def use(self):
        """This device and its stream are CuPy's current ones inside. MXNetError in a forked child."""
        return self._inside

    def forked(self):
        """This process is a child of the one that the device was made in."""
        self._inside = Forked(self.index)

    # -- memory -----------------------------------------------------------------------------------------------------

    def alloc(self, nbytes):
        """Memory of at least `nbytes` bytes, aligned to 256, from CuPy's pool; ``.ptr`` is its address, and it goes
        back when the object does."""
        with self.use():
            try:
                return self.xp.cuda.alloc(max(int(nbytes), 1))
            except Exception as e:
                if type(e).__name__ != "OutOfMemoryError":
                    raise
        free, total = memory_info(self.xp, self.index)
        raise MemoryError(f"gpu({self.index}) has no {nbytes} bytes: {free} of its {total} are free")

    def fill(self, address, byte, nbytes):
        if nbytes:
            with self.use():
                self.xp.cuda.runtime.memsetAsync(address, byte, nbytes, self.stream.ptr)

    def view(self, address, shape, dtype, owner=None, strides=None):
        """An array of CuPy over memory of this device; see :func:`~mxlite.gpu.arena.view_at`."""
        return view_at(self.xp, address, shape, dtype, owner, strides, self.index)

    def upload(self, target, source, nbytes, pinned=False):
        """Host to device; through pinned memory, unless the host's is `pinned`. It may be written again at once."""
        if nbytes and pinned:
            self.staging.straight(target, source, nbytes, self.xp.cuda.runtime.memcpyHostToDevice)
        elif nbytes:
            self.staging.upload(target, source, nbytes)

    def download(self, target, source, nbytes, pinned=False):
        """Device to host, complete on return. Raises what calls and programs met that were started before."""
        if nbytes and pinned:
            self.staging.straight(target, source, nbytes, self.xp.cuda.runtime.memcpyDeviceToHost)
        elif nbytes:
            self.staging.download(target, source, nbytes)
        self.raise_failures()

    def set_small(self, target, data):
        """Write at most SMALL bytes, in stream order."""
        self.staging.small(target, data)

    def copy(self, target, source, nbytes):
        """Within this device, in stream order."""
        if nbytes:
            runtime = self.xp.cuda.runtime
            with self.use():
                runtime.memcpyAsync(target, source, nbytes, runtime.memcpyDeviceToDevice, self.stream.ptr)

    def copy_from(self, other, target, source, nbytes):
        """From memory of the device `other`, behind what that one was asked for until now. `other` then waits for the
        copy before it writes there again."""
        if not nbytes:
            return
        if other is self:
            return self.copy(target, source, nbytes)
        self.after(other.stream, other)
        with self.use():
            self.xp.cuda.runtime.memcpyPeerAsync(target, self.index, source, other.index, nbytes, self.stream.ptr)
        self.before(other.stream)

    # -- order ------------------------------------------------------------------------------------------------------

    def after(self, stream, owner=None):
        """What comes next on this device waits for what `stream` (of the device `owner`) was given so far."""
        with (owner or self).use():
            event = self.xp.cuda.Event(disable_timing=True)
            event.record(stream)
        with self.use():
            self.stream.wait_event(event)

    def before(self, stream):
        """What comes next on `stream` waits for what this device was given so far."""
        with self.use():
            event = self.xp.cuda.Event(disable_timing=True)
            event.record(self.stream)
        stream.wait_event(event)

    def before_number(self, stream):
        """`before`, for a stream of somebody else's by its number."""
        with self.use():
            self.before(self.xp.cuda.ExternalStream(stream))

    def after_number(self, stream):
        """`after`, likewise."""
        with self.use():
            self.after(self.xp.cuda.ExternalStream(stream))

    def synchronize(self):
        """Wait until the device has done what it was asked for. Raises what a program met on the way."""
        with self.use():
            self.stream.synchronize()
        self.raise_failures()

    def raise_failures(self):
        for check in list(self.checks):
            check()

    # -- work -------------------------------------------------------------------------------------------------------

    @property
    def late(self):
        """:class:`~mxlite.gpu.imperative.LateErrors` of calls on this device."""
        if self._late is None:
            from .imperative import LateErrors
            with self.use():
                self._late = LateErrors(self)
            self.checks.append(self._late.check)
        return self._late

    def call_of(self, called, record):
        """Calls of an operator under the name `called`; see :class:`~mxlite.gpu.imperative.Call`."""
        from .imperative import Call
        return Call(self, called, record)

    def kernel(self, launch):
        """A :class:`~mxlite.gpu.launch.Launch` ready to run."""
        with self.use():
            return Kernel(self.kernels, launch)

    def launches_for(self, draft):
        """How each row of a draft runs here; see :func:`mxlite.gpu.resolve.launches_for`."""
        from .program import launches_for
        with self.use():
            return launches_for(draft, self)

    def lower(self, draft, plan, launches, arenas):
        """(program, address by entry) of a planned draft; see :func:`mxlite.gpu.program.lower`."""
        from .program import lower
        with self.use():
            return lower(draft, plan, launches, arenas, self)

    def capture(self, run):
        """A CUDA graph of what ``run(stream)`` starts."""
        return Capture(self, run)


def memory_info(xp, index):
    """(free, total) bytes of a device; what CuPy's pool holds and nobody uses counts as free."""
    with xp.cuda.Device(index):
        free, total = xp.cuda.runtime.memGetInfo()
        return int(free) + int(xp.get_default_memory_pool().free_bytes()), int(total)


def _name(xp, index):
    name = xp.cuda.runtime.getDeviceProperties(index)["name"]
    return name.decode() if isinstance(name, bytes) else str(name)
