"""Batches from arrays in memory, or from anything that is sliced like one."""
import numpy as np

from .. import ndarray as nd
from .base import DataBatch, DataDesc, DataIter

__all__ = ["NDArrayIter"]


class _Source:
    """One named input: rows in the order of `order` (None: as they lie), as NDArrays.

    NDArrays are read in place, so that an unshuffled batch is a view of the user's array. Other arrays are read where
    they are too (an h5py dataset stays on disk) and come out as float32, as MXNet has it.
    """

    def __init__(self, name, array):
        self.name = name
        self.array = array if isinstance(array, nd.NDArray) else self._readable(name, array)
        self.shape = tuple(self.array.shape)
        self.dtype = array.dtype if isinstance(array, nd.NDArray) else np.float32
        self._host = None

    @staticmethod
    def _readable(name, array):
        if hasattr(array, "shape") and hasattr(array, "dtype") and hasattr(array, "__getitem__"):
            return array
        reason = ""
        if isinstance(array, (list, tuple, range)) or hasattr(array, "__array__"):
            try:
                return np.array(array, dtype=np.float32)
            except (TypeError, ValueError) as error:        # ragged, or of things that are no numbers
                reason = f": {error}"
        raise TypeError(f"Invalid type '{type(array)}' for {name}, should be NDArray, numpy.ndarray or h5py.Dataset, "
                        f"or nested lists of numbers{reason}")

    def slice(self, start, stop):
        """Rows [start, stop) as they lie, as an NDArray."""
        rows = self.array[start:stop]
        return rows if isinstance(rows, nd.NDArray) else nd.array(rows, dtype=self.dtype)

    def take(self, rows):
        """The rows numbered in the array `rows`, as an NDArray."""
        if isinstance(self.array, nd.NDArray):
            if self._host is None:
                self._host = self.array.asnumpy()
            return nd.array(self._host[rows], ctx=self.array.context, dtype=self.dtype)
        if isinstance(self.array, np.ndarray):
            return nd.array(self.array[rows], dtype=self.dtype)
        # h5py reads only increasing and distinct row numbers.
        distinct, back = np.unique(rows, return_inverse=True)
        return nd.array(np.asarray(self.array[distinct])[back], dtype=self.dtype)


def _sources(data, default_name, required):
    """The inputs of a `data=` or `label=` argument as a list of _Source, dicts in the order of their keys."""
    if data is None:
        if required:
            raise AssertionError("NDArrayIter needs data")
        return []
    if isinstance(data, (list, tuple)):
        if required and not data:
            raise AssertionError("NDArrayIter needs data, but the list is empty")
        if any(isinstance(array, (int, float, np.generic)) for array in data):
            raise TypeError(f"a list is taken for a list of arrays, but {default_name} has numbers in it: give "
                            "numpy.array([...]), or a list in a list")
        several = len(data) > 1
        return [_Source(f"_{i}_{default_name}" if several else default_name, array) for i, array in enumerate(data)]
    if isinstance(data, dict):
        return [_Source(name, data[name]) for name in sorted(data)]
    if hasattr(data, "shape") and hasattr(data, "dtype"):
        return [_Source(default_name, data)]
    raise TypeError("Input must be NDArray, numpy.ndarray, h5py.Dataset a list of them or dict with them as values")


class NDArrayIter(DataIter):
    """Batches of `batch_size` rows of `data` and `label`: an array, a list of arrays, or a dict name -> array.

    In a list or a dict nested lists of numbers are arrays too.

    Arrays have the instances along axis 0, all equally many (else ValueError); NDArrays keep dtype and context, others
    become float32. A list of one array is named `data_name` or `label_name`, several ``_0_data``, ``_1_data``, ...

    `last_batch_handle` says what becomes of an incomplete last batch: ``"pad"`` fills it from the start and sets
    `pad` to the number of filler rows, ``"discard"`` drops it, ``"roll_over"`` keeps it for the next epoch, whose
    first batch it begins. `shuffle` draws a new order at every `reset` with NumPy's global generator
    (``numpy.random.seed`` repeats it).
    """

    def __init__(self, data, label=None, batch_size=1, shuffle=False, last_batch_handle="pad", data_name="data",
                 label_name="softmax_label", layout="NCHW"):
        super().__init__(batch_size)
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size} must be at least 1")
        if last_batch_handle not in ("pad", "discard", "roll_over"):
            raise ValueError(f"last_batch_handle={last_batch_handle!r} is not one of 'pad', 'discard', 'roll_over'")
        self.data = _sources(data, data_name, required=True)
        self.label = _sources(label, label_name, required=False)
        self.num_data = self.data[0].shape[0]
        for source in self.data + self.label:
            if source.shape[0] != self.num_data:
                raise ValueError(f"{source.name} has {source.shape[0]} instances, but {self.data[0].name} "
                                 f"has {self.num_data}")
        self.shuffle = shuffle
        self.last_batch_handle = last_batch_handle
        self.layout = layout
        self.num_source = len(self.data) + len(self.label)
        self.idx = np.arange(self.num_data)     # the last shuffle, a permutation of the order before it
        self._order = self.idx.copy()           # which instance comes at which place
        self._kept = np.arange(0)               # instances that roll over into this epoch
        self.hard_reset()

    def _describe(self, sources):
        return [DataDesc(s.name, (self.batch_size,) + s.shape[1:], s.dtype, self.layout) for s in sources]

    @property
    def provide_data(self):
        """DataDescs of the data arrays."""
        return self._describe(self.data)

    @property
    def provide_label(self):
        """DataDescs of the label arrays."""
        return self._describe(self.label)

    def hard_reset(self):
        """Start over; instances kept by ``"roll_over"`` are forgotten."""
        self._start_order()
        self._kept = self._kept[:0]
        self.cursor = -self.batch_size

    def reset(self):
        """Start the next epoch."""
        kept = self._kept[:0]
        if self.last_batch_handle == "roll_over" and self.cursor + len(self._kept) >= 0:
            left = np.concatenate([self._kept, self._order])[self.cursor + len(self._kept):]
            kept = left if len(left) < self.batch_size else kept
        self._kept = kept
        self._start_order()
        # The cursor counts from the first instance of the epoch, so kept ones stand before it.
        self.cursor = -len(self._kept) - self.batch_size

    def _start_order(self):
        if self.shuffle:
            np.random.shuffle(self.idx)
            self._order = self._order[self.idx]

    def iter_next(self):
        self.cursor += self.batch_size
        return self.cursor < self.num_data

    def next(self):
        """The next batch. Raises StopIteration at the end, and where an incomplete batch is not given out."""
        if not self.iter_next():
            raise StopIteration
        if self.last_batch_handle != "pad" and self.cursor + self.batch_size > self.num_data:
            raise StopIteration
        return DataBatch(data=self.getdata(), label=self.getlabel(), pad=self.getpad(), index=None)

    def _batch(self, sources):
        start, stop = self.cursor, self.cursor + self.batch_size
        if start >= self.num_data:
            raise AssertionError("DataIter needs reset.")
        if start < 0:
            rows = np.concatenate([self._kept, self._order[:stop]])
        elif stop > self.num_data and self.last_batch_handle == "pad":
            rows = self._order.take(np.arange(start, stop), mode="wrap")
        elif self.shuffle:
            rows = self._order[start:stop]
        else:
            return [source.slice(start, min(stop, self.num_data)) for source in sources]
        return [source.take(rows) for source in sources]

    def getdata(self):
        """The current batch's data arrays, (batch_size, ...)."""
        return self._batch(self.data)

    def getlabel(self):
        """The current batch's label arrays, (batch_size, ...)."""
        return self._batch(self.label)

    def getpad(self):
        """The number of filler rows of the current batch (in ``"roll_over"``: of rows kept from the epoch before)."""
        if self.last_batch_handle == "pad":
            return max(0, self.cursor + self.batch_size - self.num_data)
        if self.last_batch_handle == "roll_over":
            return max(0, -self.cursor)
        return 0
