"""Device memory as arrays: views of an address, of any strides."""
from math import prod

from .._core.dtypes import ITEMSIZE

ALIGN = 256
# bfloat16 travels as its bits, as on the CPU: references widen it themselves.
ARRAY_DTYPE = {"bfloat16": "uint16"}


def align(n, unit=ALIGN):
    """`n` rounded up to a multiple of `unit`."""
    return -(-n // unit) * unit


def row_major(shape):
    """Strides, in elements, of a contiguous array."""
    out, step = [], 1
    for d in reversed(shape):
        out.append(step)
        step *= max(d, 1)
    return tuple(reversed(out))


def channels_last(shape):
    """Strides, in elements, of an array (N, C, *X) whose channels lie next to each other."""
    n, c, *space = shape
    inner = [s * max(c, 1) for s in row_major(space)]
    return (max(c, 1) * max(prod(space), 1), 1, *inner)


def view_at(xp, address, shape, dtype, owner, strides=None, index=0):
    """An array over device memory at `address`, which `owner` keeps alive. `strides` in elements; default contiguous.
    bfloat16 is shown as uint16."""
    shape, size = tuple(shape), ITEMSIZE[dtype]
    steps = row_major(shape) if strides is None else tuple(strides)
    span = 0 if 0 in shape else 1 + sum((d - 1) * s for d, s in zip(shape, steps))
    memory = xp.cuda.UnownedMemory(address, span * size, owner, index)
    pointer = xp.cuda.MemoryPointer(memory, 0)
    return xp.ndarray(shape, ARRAY_DTYPE.get(dtype, dtype), pointer, tuple(s * size for s in steps))
