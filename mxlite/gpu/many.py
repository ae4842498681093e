"""An optimizer's step on all weights of a device: a launch for each kind of step and dtype, whose numbers lie in the
device's memory, so that a captured graph follows the learning rate."""
import ctypes
import struct

from .device import SMALL
from .families.update import COUNTS, many, rows
from .launch import ITEMSIZE


class Kind:
    """Weights that one launch moves: all of one step, dtype and precision. ``weights``: tuples of size, address,
    gradient's address, states' addresses, address of the float32 copy or 0."""

    __slots__ = ("step", "dtype", "mixed", "index", "weights")

    def __init__(self, step, dtype, mixed):
        self.step, self.dtype, self.mixed, self.index, self.weights = step, dtype, mixed, [], []


class ManyWeights:
    """The launches for :class:`Kind` objects on `device`: ``work`` has them as things with ``run(stream)``; ``writes``
    are (address, bytes) of what they write."""

    def __init__(self, device, kinds):
        self.device, self.kinds, self.work, self.keep, self.writes = device, kinds, [], [], []
        self.width = 3 + max([COUNTS[k.step] for k in kinds], default=0)
        self.blank, self.pack = [0.0] * self.width, struct.Struct(f"<{self.width * len(kinds)}d").pack
        self.now = device.alloc(8 * self.width * max(len(kinds), 1))
        self.rates = device.alloc(16 * max(sum([len(k.index) for k in kinds]), 1))
        at = 0
        for n, kind in enumerate(kinds):
            table, owners = rows(kind.weights)
            memory = device.alloc(len(table) + len(owners))
            self._write(memory.ptr, table + owners)
            self.keep.append(memory)
            for size, weight, _, states, wide in kind.weights:
                self.writes.append((weight, size * ITEMSIZE[kind.dtype]))
                beside = size * ITEMSIZE["float32" if kind.mixed else kind.dtype]
                self.writes += [(address, beside) for address in (*states, wide) if address]
            if owners:
                self.work.append(device.kernel(many(
                    kind.step, kind.dtype, kind.mixed, memory.ptr, memory.ptr + len(table),
                    self.rates.ptr + 16 * at, self.now.ptr + 8 * self.width * n, len(owners) // 4)))
            at += len(kind.weights)

    def _write(self, address, data):
        if len(data) <= SMALL:
            self.device.set_small(address, data)
        else:
            held = ctypes.create_string_buffer(data, len(data))
            self.device.upload(address, ctypes.addressof(held), len(data))

    def set_rates(self, rates):
        """`rates`: a list a kind of (multiplier of the learning rate, of the weight decay) a weight."""
        flat = [x for kind in rates for pair in kind for x in pair]
        self._write(self.rates.ptr, struct.pack(f"<{len(flat)}d", *flat))

    def set_now(self, lr, correction, wd, scalars):
        """The numbers of the step to come. `scalars`: a list a kind of the step's scalars in its record's order, in
        which the places of learning rate and weight decay are not looked at."""
        flat = []
        for numbers in scalars:
            flat += (lr, correction, wd, *numbers)
            flat += self.blank[len(numbers) + 3:]
        self._write(self.now.ptr, self.pack(*flat))

    def run(self):
        """Start all launches."""
        with self.device.use():
            for one in self.work:
                one.run(self.device.stream.ptr)

