"""Calls of operators on arrays of a device: ``mx.nd.relu(x)`` with `x` on ``mx.gpu(0)``.

The decision how a call runs is a program's (resolve.py); what is started is kept under the addresses that it was made
for, so a loop that finds its arrays where they were the last time starts kernels and nothing else.
"""
import ctypes
import struct
import threading
from collections import deque

from .._core.errors import MXNetError
from .arena import ALIGN, align
from .launch import ITEMSIZE, Launch, Tensor
from .resolve import reference, resolve

KEPT = 32                       # addresses, and sets of values of dynamic parameters, that a call remembers
SLOTS = 256                     # calls whose index error the host need not have looked at


class LateErrors:
    """What calls met after they were back: each brings its error word to pinned memory, which the host reads when it
    waits for the device anyway."""

    def __init__(self, device):
        self.device, self.waiting, self.lock = device, deque(), threading.RLock()
        self.memory = device.xp.cuda.alloc_pinned_memory(4 * SLOTS)
        self.free = [(self.memory.ptr + 4 * k, device.xp.cuda.Event(disable_timing=True)) for k in range(SLOTS)]

    def bring(self, word, text):
        """Remember to say `text` if the device's int32 at `word`, by now, is not zero. Raises what an earlier call met
        where too many wait."""
        runtime, stream = self.device.xp.cuda.runtime, self.device.stream
        with self.lock:
            if not self.free:
                self.take_one()
            slot, event = self.free.pop()
            runtime.memcpyAsync(slot, word, 4, runtime.memcpyDeviceToHost, stream.ptr)
            event.record(stream)
            self.waiting.append((slot, event, text))

    def take_one(self):
        slot, event, text = self.waiting.popleft()
        event.synchronize()
        met = ctypes.c_int32.from_address(slot).value
        self.free.append((slot, event))
        if met:
            raise MXNetError(text)

    def check(self):
        """Raise the first of them that nobody was told of."""
        with self.lock:             # any thread that waits for the device comes here
            while self.waiting:
                self.take_one()


class Call:
    """Calls of one operator on arrays of one set of shapes and dtypes."""

    __slots__ = ("device", "called", "record", "resolved", "ready")

    def __init__(self, device, called, record):
        self.device, self.called, self.record = device, called, record
        self.resolved, self.ready = {}, {}

    def run(self, p, inputs, outputs, is_train, seed, step):
        """Start the call with parameters `p` on NDArrays. MXNetError, naming the operator and the inputs, where it
        cannot be run; an index out of range is told when the host next waits for the device."""
        try:
            with self.device.use():
                self._run(p, inputs, outputs, bool(is_train), seed, step)
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, AssertionError,
                NotImplementedError) as e:
            raise MXNetError(f"{self._text(inputs)}: {e}") from e

    def _text(self, inputs):
        return f"{self.called}({', '.join(f'{x.shape} {x.dtype_name}' for x in inputs)})"

    def _run(self, p, inputs, outputs, is_train, seed, step):
        device, record = self.device, self.record
        context = {"rng": device.numbers.ptr, "rng_id": 0, "is_train": is_train}
        ins = [tensor(x) for x in inputs]
        how = self._how(p, ins, [tensor(x) for x in outputs], context)
        for i, elements in (how.grow or {}).items():
            outputs[i]._enlarge(elements * ITEMSIZE[outputs[i].dtype_name])
        outs = [tensor(x) for x in outputs]
        work = device.alloc(how.work) if how.work else None
        key = (p, is_train, *[t.address for t in ins], *[t.address for t in outs], work.ptr if work else 0)
        started = self.ready.get(key)
        if started is None:
            started = self._start(how, ins, outs, context, work)
            _keep(self.ready, key, started)
        if started == ():
            reference(device, record, p, ins, outs, is_train, 0, (inputs, outputs))(seed, step)
            return
        work, launches, word = started[0] or work, started[1], started[2]
        stream = device.stream.ptr
        if record.random:
            with device.drawing:        # the numbers belong to this call until its kernels are on the stream
                device.set_small(device.numbers.ptr, struct.pack("<QQ", seed, step))
                for one in launches:
                    one.run(stream)
        else:
            for one in launches:
                one.run(stream)
        if word is not None:
            device.late.bring(word, f"{self._text(inputs)}: an index is out of range")

    def _how(self, p, ins, outs, context):
        """How calls with `p` run."""
        key = p, context["is_train"]
        how = self.resolved.get(key)
        if how is None:
            how = resolve(self.device, self.record, p, ins, outs, context)
            _keep(self.resolved, key, how)
        return how

    def _start(self, how, ins, outs, context, work):
        """(memory of its own, what to start, address of the error word), or () for the reference."""
        found = how.plan(self.device, ins, outs, context)
        if found is None:
            return ()
        own, at = None, align(work.ptr) if work else 0
        if found.workspace and align(found.workspace) + ALIGN > how.work:       # of these addresses it wants more
            own = self.device.alloc(align(found.workspace))
            at = own.ptr
        launches = [self.device.kernel(one) if isinstance(one, Launch) else one for one in found.launches(at)]
        return own, launches, at + found.error if found.error is not None and launches else None


def tensor(x):
    """An NDArray as rules see it; what a library was given more memory for has all of it."""
    if x._room != x.size * ITEMSIZE[x.dtype_name]:
        return Tensor((x._room // ITEMSIZE[x.dtype_name],), x.dtype_name, x.address)
    return Tensor(x.shape, x.dtype_name, x.address)


def _keep(table, key, value):
    if len(table) >= KEPT:
        table.pop(next(iter(table)), None)
    table[key] = value
