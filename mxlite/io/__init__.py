"""Data iterators: batches of named arrays for training, scoring and prediction."""
from .base import DataBatch, DataDesc, DataIter
from .files import CSVIter, MNISTIter
from .ndarray_iter import NDArrayIter
from .wrappers import PrefetchingIter, ResizeIter

__all__ = ["DataDesc", "DataBatch", "DataIter", "NDArrayIter", "ResizeIter", "PrefetchingIter", "CSVIter", "MNISTIter"]
