"""What MXNet keeps under ``mx.contrib``: automatic mixed precision."""
from ..namespace import hinted as _hinted
from . import amp

__all__ = ["amp"]

__getattr__ = _hinted(__name__)
