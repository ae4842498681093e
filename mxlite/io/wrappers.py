"""Iterators around other iterators: a fixed number of batches, and batches fetched ahead."""
from concurrent.futures import ThreadPoolExecutor

from .base import DataBatch, DataDesc, DataIter

__all__ = ["ResizeIter", "PrefetchingIter"]


class ResizeIter(DataIter):
    """Exactly `size` batches an epoch from `data_iter`, which starts over whenever it runs out.

    With `reset_internal` every epoch begins at the first batch of `data_iter`, else where the last one stopped.
    """

    def __init__(self, data_iter, size, reset_internal=True):
        super().__init__(data_iter.batch_size)
        self.data_iter = data_iter
        self.size = size
        self.reset_internal = reset_internal
        self.cur = 0
        self.current_batch = None
        self.provide_data = data_iter.provide_data
        self.provide_label = data_iter.provide_label
        if hasattr(data_iter, "default_bucket_key"):
            self.default_bucket_key = data_iter.default_bucket_key

    def reset(self):
        self.cur = 0
        if self.reset_internal:
            self.data_iter.reset()

    def iter_next(self):
        if self.cur == self.size:
            return False
        try:
            self.current_batch = self.data_iter.next()
        except StopIteration:
            self.data_iter.reset()
            self.current_batch = self.data_iter.next()
        self.cur += 1
        return True

    def getdata(self):
        return self.current_batch.data

    def getlabel(self):
        return self.current_batch.label

    def getindex(self):
        return self.current_batch.index

    def getpad(self):
        return self.current_batch.pad


def _fetch(data_iter):
    """The next batch of `data_iter`, or None at its end (StopIteration does not travel well through a future)."""
    try:
        return data_iter.next()
    except StopIteration:
        return None


class PrefetchingIter(DataIter):
    """One or several iterators joined into one, their next batch being fetched by a thread each.

    Data and labels of several iterators are put side by side; `rename_data` and `rename_label` are lists of dicts
    (old name -> new name), one an iterator. The iterators must be equally long and agree on `pad`, else
    AssertionError. An error of an iterator is raised by the `next` that would have returned its batch. `close` ends the
    threads; so does dropping the last reference, or leaving the ``with`` block.
    """

    def __init__(self, iters, rename_data=None, rename_label=None):
        self.iters = iters if isinstance(iters, list) else [iters]
        if not self.iters:
            raise AssertionError("PrefetchingIter needs at least one iterator")
        self.rename_data = rename_data
        self.rename_label = rename_label
        super().__init__(self.provide_data[0][1][0])
        self.current_batch = None
        self._pool = ThreadPoolExecutor(len(self.iters), thread_name_prefix="mxlite-prefetch")
        self._pending = []
        self._start()

    def _start(self):
        self._pending = [self._pool.submit(_fetch, data_iter) for data_iter in self.iters]

    def _described(self, which, renames):
        described = []
        for i, data_iter in enumerate(self.iters):
            for desc in getattr(data_iter, which):
                desc = desc if isinstance(desc, DataDesc) else DataDesc(*desc)
                name = desc.name if renames is None else renames[i][desc.name]
                described.append(DataDesc(name, desc.shape, desc.dtype, desc.layout))
        return described

    @property
    def provide_data(self):
        """DataDescs of all iterators' data, renamed."""
        return self._described("provide_data", self.rename_data)

    @property
    def provide_label(self):
        """DataDescs of all iterators' labels, renamed."""
        return self._described("provide_label", self.rename_label)

    def reset(self):
        for pending in self._pending:
            pending.exception()         # waits; an error of a batch that nobody will read is dropped with it
        for data_iter in self.iters:
            data_iter.reset()
        self._start()

    def iter_next(self):
        batches = [pending.result() for pending in self._pending]
        if any(batch is None for batch in batches):
            if not all(batch is None for batch in batches):
                raise AssertionError("Number of entry mismatches between iterators")
            return False
        first = batches[0]
        if any(batch.pad != first.pad for batch in batches):
            raise AssertionError("Different pad number in the data batch")
        self.current_batch = DataBatch([array for batch in batches for array in batch.data],
                                       [array for batch in batches for array in batch.label or ()],
                                       first.pad, first.index, first.bucket_key,
                                       provide_data=self.provide_data, provide_label=self.provide_label)
        self._start()
        return True

    def next(self):
        """The next batch. Raises StopIteration at the end."""
        if not self.iter_next():
            raise StopIteration
        return self.current_batch

    def getdata(self):
        return self.current_batch.data

    def getlabel(self):
        return self.current_batch.label

    def getindex(self):
        return self.current_batch.index

    def getpad(self):
        return self.current_batch.pad

    def close(self):
        """End the threads, after the batches they are at. The iterator can not be used any more."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
