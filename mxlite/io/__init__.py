"""Data iterators: batches of named arrays for training, scoring and prediction."""
from ..namespace import hinted as _hinted
from .base import DataBatch, DataDesc, DataIter
from .files import CSVIter, MNISTIter
from .ndarray_iter import NDArrayIter
from .wrappers import PrefetchingIter, ResizeIter

__all__ = ["DataDesc", "DataBatch", "DataIter", "NDArrayIter", "ResizeIter", "PrefetchingIter", "CSVIter", "MNISTIter"]

__getattr__ = _hinted(__name__)
