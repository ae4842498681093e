# cython: language_level=3
"""The random state of the process: a seed and a step. Every program run or imperative call takes one step."""
import os
from libc.stdint cimport uint64_t
from mxlite._core.abi cimport mxl_rng

cdef mxl_rng state


cdef mxl_rng next_step() noexcept:
    """The state for one run; the next run gets another."""
    state.step += 1
    return state


def seed(value):
    """Start the sequence that belongs to `value` (any int)."""
    state.seed = <uint64_t>(int(value) & 0xFFFFFFFFFFFFFFFF)
    state.step = 0


def take():
    """(seed, step) of a fresh step, for code that draws in Python."""
    cdef mxl_rng s = next_step()
    return s.seed, s.step


def get_state():
    return state.seed, state.step


def set_state(value):
    state.seed, state.step = value


seed(int.from_bytes(os.urandom(8), "little"))
