# cython: language_level=3
"""The kernel ABI that this build speaks: its number and the size of a call."""
from mxlite._core.abi cimport MXL_ABI, mxl_call

ABI = (MXL_ABI, sizeof(mxl_call))
