"""Iterators over files: comma-separated values, and MNIST's idx format."""
import gzip
import math

import numpy as np

from .. import ndarray as nd
from .base import DataBatch, DataDesc, DataIter

__all__ = ["CSVIter", "MNISTIter"]


class _RowsIter(DataIter):
    """Batches of consecutive rows of `data` and `label` (arrays); the subclass says which rows a batch has."""

    def __init__(self, data, label, batch_size, data_name, label_name, dtype):
        super().__init__(batch_size)
        self._data, self._label, self._dtype = data, label, dtype
        self._names = data_name, label_name
        self._start = 0         # the current batch's first row
        self._rows = None

    def _describe(self, name, rows):
        return [DataDesc(name, (self.batch_size,) + rows.shape[1:], self._dtype)]

    @property
    def provide_data(self):
        """The data's DataDesc, in a list."""
        return self._describe(self._names[0], self._data)

    @property
    def provide_label(self):
        """The label's DataDesc, in a list."""
        return self._describe(self._names[1], self._label)

    def next(self):
        """The next batch. Raises StopIteration at the end."""
        if not self.iter_next():
            raise StopIteration
        return DataBatch(self.getdata(), self.getlabel(), self.getpad(), self.getindex())

    def getdata(self):
        return [nd.array(self._data[self._rows], dtype=self._dtype)]

    def getlabel(self):
        return [nd.array(self._label[self._rows], dtype=self._dtype)]

    def getindex(self):
        return self._rows.astype("uint64")

    def getpad(self):
        return 0


class CSVIter(_RowsIter):
    """Batches from `data_csv`, one instance a line of prod(`data_shape`) numbers, and `label_csv` likewise.

    Without `label_csv` labels are zeros (batch_size,). Data and labels come as `dtype` (float32). An incomplete last
    batch is filled and `pad` says how many rows of it are filler: with `round_batch` rows from the start of the file,
    and the next epoch goes on behind them; without, rows of the batch before. Raises ValueError where a line does not
    hold as many numbers as the shape asks for, or the files are not equally long.
    """

    def __init__(self, data_csv, data_shape, label_csv="NULL", label_shape=(1,), batch_size=1, round_batch=True,
                 prefetch_buffer=4, ctx=None, dtype=None, data_name="data", label_name="softmax_label", **_):
        dtype = np.dtype(dtype or "float32").type
        data = self._read(data_csv, data_shape, dtype)
        if label_csv and label_csv != "NULL":
            label = self._read(label_csv, label_shape, dtype)
            if len(label) != len(data):
                raise ValueError(f"{label_csv} has {len(label)} lines, but {data_csv} has {len(data)}")
            if label.shape[1:] == (1,):
                label = label.ravel()
        else:
            label = np.zeros(len(data), dtype)
        super().__init__(data, label, batch_size, data_name, label_name, dtype)
        self._round = round_batch
        self._next, self._over = 0, 0

    @staticmethod
    def _read(path, shape, dtype):
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        rows = np.loadtxt(path, delimiter=",", dtype=np.float64 if dtype is np.float64 else np.float32, ndmin=2)
        if rows.shape[1] != math.prod(shape):
            raise ValueError(f"{path} has {rows.shape[1]} numbers a line, but the shape {shape} needs "
                             f"{math.prod(shape)}")
        return rows.reshape((len(rows),) + shape).astype(dtype)

    def reset(self):
        self._next = self._over if self._round else 0
        self._over = 0

    def iter_next(self):
        count = len(self._data)
        if self._next >= count:
            return False
        rows = np.arange(self._next, self._next + self.batch_size)
        self._next += self.batch_size
        self._over = max(0, self._next - count)
        self._rows = rows % count if self._round else np.where(rows < count, rows, rows - self.batch_size).clip(0)
        return True

    def getpad(self):
        return self._over


def _read_idx(path, magic):
    """The array of bytes in an idx file, gzipped or not. Raises ValueError for another kind of file."""
    with open(path, "rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    with (gzip.open if zipped else open)(path, "rb") as file:
        text = file.read()
    if len(text) < 8 or int.from_bytes(text[:4], "big") != magic:
        raise ValueError(f"{path} is not an idx file with magic number {magic}: it starts with {text[:16]!r}")
    ndim = text[3]
    shape = tuple(int.from_bytes(text[4 * i:4 * i + 4], "big") for i in range(1, ndim + 1))
    if len(text) != 4 + 4 * ndim + math.prod(shape):
        raise ValueError(f"{path} ends at byte {len(text)} of {4 + 4 * ndim + math.prod(shape)}")
    return np.frombuffer(text, np.uint8, offset=4 + 4 * ndim).reshape(shape)


def _shuffled(count, seed):
    """The permutation that C++'s ``std::shuffle(0..count-1, std::mt19937(seed))`` makes in GNU's library up to GCC 6:
    MXNet's order of MNIST, for the same seed."""
    order = list(range(count))
    engine = np.random.RandomState(seed)
    words = iter(())
    top = (1 << 32) - 1
    for i in range(1, count):
        scale = top // (i + 1)
        while True:
            word = next(words, None)
            if word is None:
                words = iter(engine.randint(0, 1 << 32, size=4096, dtype=np.uint32).tolist())
            elif word < scale * (i + 1):        # beyond lies the rest that would make small numbers likelier
                break
        j = word // scale
        order[i], order[j] = order[j], order[i]
    return order


class MNISTIter(_RowsIter):
    """Batches of MNIST images, float32 in [0, 1) as (batch_size, 1, 28, 28) or, if `flat`, (batch_size, 784).

    `image` and `label` are idx files, gzipped or not. `shuffle` orders them once, by `seed`, as MXNet does. Of
    `num_parts` equal parts the one at `part_index` is read. An incomplete last batch is dropped, as in MXNet.
    """

    def __init__(self, image="./train-images-idx3-ubyte", label="./train-labels-idx1-ubyte", batch_size=128,
                 shuffle=True, flat=False, seed=0, silent=False, num_parts=1, part_index=0, prefetch_buffer=4,
                 ctx=None, dtype=None, data_name="data", label_name="softmax_label", input_shape=None, **_):
        images, labels = _read_idx(image, 2051), _read_idx(label, 2049)
        if len(images) != len(labels):
            raise ValueError(f"{image} has {len(images)} images, but {label} has {len(labels)} labels")
        share = len(images) // num_parts
        begin = share * part_index
        end = begin + share if part_index + 1 < num_parts else len(images)
        images, labels = images[begin:end], labels[begin:end]
        if shuffle:
            order = _shuffled(len(images), seed)
            images, labels = images[order], labels[order]
        shape = (len(images), -1) if flat else (len(images), 1) + images.shape[1:]
        super().__init__(images.reshape(shape), labels, batch_size, data_name, label_name,
                         np.dtype(dtype or "float32").type)
        self._next = 0

    def reset(self):
        self._next = 0

    def iter_next(self):
        stop = self._next + self.batch_size
        if stop > len(self._data):
            return False
        self._rows = np.arange(self._next, stop)
        self._next = stop
        return True

    def getdata(self):
        # Scaled batch by batch: the set stays in memory as bytes.
        return [nd.array(self._data[self._rows].astype("float32") * np.float32(1 / 256), dtype=self._dtype)]
