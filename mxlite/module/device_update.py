"""The update of a group of executors on GPUs: gradients summed over devices, then parameters moved on each of them.

Everything happens on the devices' own streams; nothing passes through the host.
"""
from ..base import MXNetError
from .flat_update import FlatUpdate


def gradient_sums(kvstore, contexts, logger):
    """What sums over GPUs `contexts`: NCCL, or with kvstore ``"device"`` copies between them and additions.

    Where NCCL is not installed ``"nccl"`` raises MXNetError; by default the copies take its place, which is logged.
    """
    from ..gpu import get_device
    from ..gpu.nccl import Communicator
    from ..gpu.peers import PeerCopies
    devices = [get_device(context.device_id) for context in contexts]
    kind, sums = getattr(kvstore, "type", kvstore), None
    if kind != "device":
        try:
            sums = Communicator(devices)
        except MXNetError as error:
            if kind == "nccl":
                raise MXNetError(f"{error}; or kvstore='device', which sums by copies between the devices") from None
            logger.warning("%s; until then gradients are summed by copies between the devices", error)
    sums = sums or PeerCopies(devices)
    logger.info("Gradients are summed over %s by %s", contexts, sums.name)
    return sums


class DeviceUpdate:
    """Updates the parameters `names` by `updater`, which knows them by the numbers `index`.

    `params` and `grads`: a dict of arrays by name a device; `param_regions` and `regions`: where they lie, a list a
    device, alike on all of them. `sums`: the :class:`~mxlite.gpu.nccl.Communicator` of several devices, None for one.
    """

    def __init__(self, updater, index, names, contexts, params, grads, param_regions, regions, sums):
        self.updater, self.index, self.names, self.sums = updater, index, names, sums
        self.param_regions = [held for held in zip(*param_regions) if any([n in held[0].views for n in names])]
        self.regions = [held for held in zip(*regions) if any([n in held[0].views for n in names])]
        self.weights = [[table[name] for name in names] for table in params]
        self.totals = []
        if sums is None:
            self.grads = [[table[name] for name in names] for table in grads]
        else:
            # Sums lie beside the gradients, which stay each device's own: one may be added to by the next batch.
            self.totals = [[region.like() for region in held] for held in self.regions]
            self.grads = [[next(held[k].views[name] for held in self.totals if name in held[k].views)
                           for name in names] for k in range(len(contexts))]
        self.flat = FlatUpdate(updater, index, contexts, self.weights, self.grads)

    def reduce(self):
        """Sum the gradients over devices: one call a region of one dtype."""
        for held, totals in zip(self.regions, self.totals):
            for dtype, array in held[0].arrays.items():
                self.sums.all_reduce([region.arrays[dtype].address for region in held], array.size, dtype,
                                     [region.arrays[dtype].address for region in totals])

    def run(self):
        """Sum, and update on every device; where no kernel can, by the optimizer's own calls on the first one."""
        if self.sums is not None:
            self.reduce()
        if self.flat.begin():
            self.flat.run()
            self.touched()
            return
        self.updater(self.index, self.grads[0], self.weights[0])
        for held in self.param_regions if self.sums is not None else ():
            for dtype, array in held[0].arrays.items():
                self.sums.broadcast([region.arrays[dtype].address for region in held], array.size, dtype)
        self.touched()

    def touched(self):
        """Say that the parameters were written."""
        for held in self.param_regions:
            for region in held:
                for array in region.arrays.values():
                    array.touched()
