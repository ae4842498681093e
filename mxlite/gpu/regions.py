"""Many arrays of one device in one piece of memory a dtype: parameters, gradients, an optimizer's states. So one
kernel, one memset or one sum over devices does them all."""
from math import prod

from .._core.dtypes import ITEMSIZE, name_of
from .._core.ndarray import empty
from .arena import ALIGN, align


class Regions:
    """Zeros on `context` for `parts` (name, shape, dtype), each aligned to 256 bytes, in the order given.

    ``arrays``: dtype's name -> the whole region, an NDArray of one axis. ``views``: name -> an NDArray of its shape in
    it. What is between two of them is zero and stays it: sums over whole regions are sums of zeros there.
    """

    def __init__(self, context, parts):
        self.context, self.arrays, self.views, self.places = context, {}, {}, {}
        ends = {}
        for name, shape, dtype in parts:
            if name in self.places:
                raise ValueError(f"a region has {name!r} twice")
            dtype = name_of(dtype)
            start = ends.get(dtype, 0)
            self.places[name] = dtype, start, tuple(shape)
            ends[dtype] = start + align(prod(shape) * ITEMSIZE[dtype], ALIGN) // ITEMSIZE[dtype]
        for dtype, end in ends.items():
            self.arrays[dtype] = empty((end,), dtype, context)
            self.arrays[dtype].fill_zero()
        for name, (dtype, start, shape) in self.places.items():
            self.views[name] = self.arrays[dtype].part(start, shape)

    def like(self):
        """Regions of the same places on the same device, zeros."""
        return Regions(self.context, [(name, shape, dtype) for name, (dtype, _, shape) in self.places.items()])
