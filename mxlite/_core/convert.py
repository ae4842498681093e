"""Copies between dtypes, bfloat16 included (round to nearest even), on NumPy arrays."""
import numpy as np


def to_bfloat16(x):
    """float32 array -> uint16 array of bfloat16 bits, rounded to nearest even; NaN stays NaN."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    rounded = ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype(np.uint16)
    return np.where(np.isnan(x), np.uint16(0x7FC0), rounded)


def from_bfloat16(bits):
    """uint16 array of bfloat16 bits -> float32 array."""
    return (np.asarray(bits).astype(np.uint32) << 16).view(np.float32)


def convert(source, source_dtype, target, target_dtype):
    """Write `source` into `target`, NumPy arrays of the named dtypes (bfloat16 as uint16 bits)."""
    if source_dtype == "bfloat16":
        source = from_bfloat16(source)
    if target_dtype == "bfloat16":
        target[...] = to_bfloat16(np.asarray(source, np.float32))
    else:
        with np.errstate(all="ignore"):
            np.copyto(target, source, casting="unsafe")
