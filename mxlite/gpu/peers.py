"""Sums over several devices without NCCL: copies from device to device, and additions on the first one.

Slower than NCCL, which moves data over all links at once; nothing passes through the host either way. The face of
:class:`~mxlite.gpu.nccl.Communicator`.
"""
from .._core.errors import MXNetError
from .launch import FLOATS, ITEMSIZE, Tensor, plan

SUMMED = (*FLOATS, "int32", "int64")


class PeerCopies:
    """The devices `devices` (:class:`~mxlite.gpu.device.Device`) of this process."""

    name = "peer copies"

    def __init__(self, devices):
        self.devices = list(devices)
        if len({d.index for d in self.devices}) != len(self.devices):
            raise MXNetError(f"a device is there twice: {[d.index for d in self.devices]}")
        self.scratch, self.room, self.sums = None, 0, {}

    def _received(self, nbytes):
        """Memory on the first device for what another one has."""
        if self.room < nbytes:
            self.scratch, self.room, self.sums = self.devices[0].alloc(nbytes), nbytes, {}
        return self.scratch.ptr

    def _addition(self, total, other, count, dtype):
        """Launches of ``total += other``."""
        key = total, other, count, dtype
        if key not in self.sums:
            a, b = Tensor((count,), dtype, total), Tensor((count,), dtype, other)
            found = plan("elementwise.add", None, [a, b], [a])
            self.sums[key] = [self.devices[0].kernel(one) for one in found.launches(0)]
        return self.sums[key]

    def all_reduce(self, addresses, count, dtype, into=None):
        """The sum over all devices, added in their order, of `count` elements at each one's address of `addresses` is
        written to each one's address of `into` (default: the same), in stream order."""
        if len(addresses) != len(self.devices):
            raise MXNetError(f"{len(addresses)} arrays for {len(self.devices)} devices")
        if dtype not in SUMMED:
            raise MXNetError(f"there are no sums of {dtype} over devices")
        if count == 0:
            return
        home, into, nbytes = self.devices[0], into or addresses, count * ITEMSIZE[dtype]
        received = self._received(nbytes)
        addition = self._addition(into[0], received, count, dtype)
        if into[0] != addresses[0]:
            with home.use():
                home.copy(into[0], addresses[0], nbytes)
        for device, at in zip(self.devices[1:], addresses[1:]):
            home.copy_from(device, received, at, nbytes)
            with home.use():
                for kernel in addition:
                    kernel.run(home.stream.ptr)
        self.broadcast(into, count, dtype)

    def broadcast(self, addresses, count, dtype):
        """Each device gets the `count` elements of the first one."""
        for device, at in zip(self.devices[1:], addresses[1:]):
            device.copy_from(self.devices[0], at, addresses[0], count * ITEMSIZE[dtype])
