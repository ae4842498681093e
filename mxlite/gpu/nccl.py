"""Sums over several devices by NCCL, through CuPy. One process drives all of them; what has to be summed lies in one
region a device, so that it is one call a device."""
from .._core.errors import MXNetError

INSTALL = "`pip install mxlite[gpu,dist]`"


def _module(xp):
    """CuPy's NCCL. MXNetError where it is not there."""
    try:
        from importlib import import_module
        nccl = getattr(xp.cuda, "nccl", None) or import_module(f"{xp.__name__}.cuda.nccl")
    except ImportError as e:
        raise MXNetError(f"sums over several GPUs need NCCL ({e}): {INSTALL}") from None
    if not nccl.available:
        raise MXNetError(f"sums over several GPUs need NCCL, which is not installed: {INSTALL}")
    return nccl


class Communicator:
    """The devices `devices` (:class:`~mxlite.gpu.device.Device`) of this process. MXNetError without NCCL."""

    name = "NCCL"

    def __init__(self, devices):
        self.devices = list(devices)
        if len({d.index for d in self.devices}) != len(self.devices):
            raise MXNetError(f"a device is there twice: {[d.index for d in self.devices]}")
        self.nccl = _module(self.devices[0].xp)
        self.members = self.nccl.NcclCommunicator.initAll([d.index for d in self.devices])
        self.types = {"float32": self.nccl.NCCL_FLOAT32, "float64": self.nccl.NCCL_FLOAT64,
                      "float16": self.nccl.NCCL_FLOAT16, "bfloat16": getattr(self.nccl, "NCCL_BFLOAT16", 9),
                      "int32": self.nccl.NCCL_INT32, "int64": self.nccl.NCCL_INT64}

    def all_reduce(self, addresses, count, dtype, into=None):
        """The sum over all devices of `count` elements at each one's address of `addresses` is written to each one's
        address of `into` (default: the same), in stream order."""
        if len(addresses) != len(self.devices):
            raise MXNetError(f"{len(addresses)} arrays for {len(self.devices)} devices")
        if dtype not in self.types:
            raise MXNetError(f"NCCL has no sums of {dtype}")
        if count == 0:
            return
        self.nccl.groupStart()
        try:
            for device, member, at, to in zip(self.devices, self.members, addresses, into or addresses):
                with device.use():
                    member.allReduce(at, to, count, self.types[dtype], self.nccl.NCCL_SUM, device.stream.ptr)
        finally:
            self.nccl.groupEnd()

    def broadcast(self, addresses, count, dtype):
        """Each device gets the `count` elements of the first one."""
        if count == 0:
            return
        self.nccl.groupStart()
        try:
            for device, member, at in zip(self.devices, self.members, addresses):
                with device.use():
                    member.bcast(at, count, self.types[dtype], 0, device.stream.ptr)
        finally:
            self.nccl.groupEnd()
