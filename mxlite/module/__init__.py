"""Modules: a symbol with its parameters, bound to devices, that is trained, scored and run batch by batch."""
from ..namespace import hinted as _hinted
from .base_module import BaseModule
from .bucketing_module import BucketingModule
from .module import Module

__all__ = ["BaseModule", "Module", "BucketingModule"]

__getattr__ = _hinted(__name__)
