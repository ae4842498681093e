"""The operators: one record each, a file a family. Importing this package fills the registry; a new file is found."""
import pkgutil
from importlib import import_module

from .record import RECORDS, REGISTRY, Op, Param, S, find

NOT_FAMILIES = {"record", "types", "rules"}

for _m in sorted(m.name for m in pkgutil.iter_modules(__path__)):
    if _m not in NOT_FAMILIES:
        import_module(f"{__name__}.{_m}")

__all__ = ["RECORDS", "REGISTRY", "Op", "Param", "S", "find"]
