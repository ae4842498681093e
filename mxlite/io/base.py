"""What an iterator yields and how it describes that: DataDesc, DataBatch and the DataIter base."""
from collections import namedtuple

import numpy as np

__all__ = ["DataDesc", "DataBatch", "DataIter"]


class DataDesc(namedtuple("DataDesc", ["name", "shape"])):
    """Name, shape, dtype and layout of one array of a batch; as a tuple it is ``(name, shape)``.

    `layout` has one letter an axis, N being the batch axis.
    """

    def __new__(cls, name, shape, dtype=np.float32, layout="NCHW"):
        self = super().__new__(cls, name, shape)
        self.dtype = dtype
        self.layout = layout
        return self

    def __repr__(self):
        return f"DataDesc[{self.name},{self.shape},{self.dtype},{self.layout}]"

    def __getnewargs__(self):
        return self.name, self.shape, self.dtype, self.layout

    @staticmethod
    def get_batch_axis(layout):
        """The position of N in `layout`: 0 without a layout, -1 where it has no N (the array is not split)."""
        return 0 if layout is None else layout.find("N")

    @staticmethod
    def get_list(shapes, types):
        """DataDescs from (name, shape) pairs and, unless None, (name, dtype) pairs."""
        if types is None:
            return [DataDesc(name, shape) for name, shape in shapes]
        dtype = dict(types)
        return [DataDesc(name, shape, dtype[name]) for name, shape in shapes]


class DataBatch:
    """One batch: lists of arrays `data` and `label` (None: no labels).

    The last `pad` rows are filler that predictions should drop; `index` may number the instances; `bucket_key`,
    `provide_data` and `provide_label` tell a BucketingModule what graph and which shapes the batch needs.
    """

    def __init__(self, data, label=None, pad=None, index=None, bucket_key=None, provide_data=None, provide_label=None):
        for what, arrays in (("Data", data), ("Label", label)):
            if arrays is not None and not isinstance(arrays, (list, tuple)):
                raise AssertionError(f"{what} must be list of NDArrays, not {type(arrays).__name__}")
        self.data = data
        self.label = label
        self.pad = pad
        self.index = index
        self.bucket_key = bucket_key
        self.provide_data = provide_data
        self.provide_label = provide_label

    def __str__(self):
        labels = [array.shape for array in self.label] if self.label else None
        return (f"{type(self).__name__}: data shapes: {[array.shape for array in self.data]} label shapes: {labels}")


class DataIter:
    """Base of all iterators. `reset` starts over; ``next(it)`` gives a :class:`DataBatch`.

    A subclass has the properties `provide_data` and `provide_label` (lists of DataDesc) and defines either `next`, or
    `iter_next` (step; False at the end) with `getdata`, `getlabel`, `getpad` and `getindex`.
    """

    def __init__(self, batch_size=0):
        self.batch_size = batch_size

    def __iter__(self):
        return self

    def __next__(self):
        return self.next()

    def reset(self):
        """Go back to the first batch."""

    def next(self):
        """The next batch. Raises StopIteration at the end."""
        if not self.iter_next():
            raise StopIteration
        return DataBatch(data=self.getdata(), label=self.getlabel(), pad=self.getpad(), index=self.getindex())

    def iter_next(self):
        """Step to the next batch; False if there is none."""

    def getdata(self):
        """The current batch's data arrays."""

    def getlabel(self):
        """The current batch's label arrays."""

    def getindex(self):
        """The current batch's instance numbers, or None."""
        return None

    def getpad(self):
        """How many rows at the end of the current batch are filler."""
