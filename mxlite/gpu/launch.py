"""What runs on a device, as plain data: tensors by address, launches of kernels, plans made of launches.

Nothing here knows CuPy. A family's rule turns one kernel call of the program into a :class:`Plan`; whoever holds a
device (or the tests' processor) runs the plan's launches in order.
"""
import ctypes
import inspect
from functools import cache
from importlib import import_module
from math import prod

from .._core.dtypes import ITEMSIZE

FLOATS = ("float32", "float64", "float16", "bfloat16")
GRID_MOST = 2 ** 31 - 1


class Tensor:
    """A contiguous, row-major tensor: `address` 0 stands for an output that nobody reads."""

    __slots__ = ("shape", "dtype", "address", "size")

    def __init__(self, shape, dtype, address):
        self.shape, self.dtype, self.address, self.size = tuple(shape), dtype, address, prod(shape)

    @property
    def itemsize(self):
        return ITEMSIZE[self.dtype]

    @property
    def nbytes(self):
        return self.size * ITEMSIZE[self.dtype]

    def __repr__(self):
        return f"Tensor({self.shape}, {self.dtype!r}, {self.address:#x})"


class Module:
    """A translation unit by what it is made of: a file of ``mxlite/gpu/kernels`` behind ``#define`` lines, or `text`
    that was generated. Equal modules compile to the same code; `source.compose` gives their whole text."""

    __slots__ = ("file", "defines", "text", "_hash")

    def __init__(self, file, defines=(), text=""):
        self.file, self.text = file, text
        self.defines = tuple(sorted(defines.items())) if isinstance(defines, dict) else tuple(defines)
        self._hash = hash((file, self.defines, text))

    def __eq__(self, other):
        return type(other) is Module and (self.file, self.defines, self.text) == (other.file, other.defines, other.text)

    def __hash__(self):
        return self._hash

    def __repr__(self):
        return f"Module({self.file!r}, {dict(self.defines)})"


class Launch:
    """One kernel launch. `args` are ctypes values in the order of the kernel's parameters: ``ptr``, ``i32``, ``i64``,
    ``f32``, ``f64``, or a small ``ctypes.Structure`` that travels by value."""

    __slots__ = ("source", "entry", "grid", "block", "shared", "args", "_params")

    def __init__(self, source, entry, grid, block, args, shared=0):
        self.source, self.entry, self.shared, self.args = source, entry, shared, tuple(args)
        self.grid, self.block = _three(grid), _three(block)
        self._params = None

    @property
    def params(self):
        """The ``void *[]`` of addresses of the arguments, as the driver wants it; alive as long as the launch."""
        if self._params is None:
            self._params = (ctypes.c_void_p * max(len(self.args), 1))(*map(ctypes.addressof, self.args))
        return self._params

    def __repr__(self):
        return f"Launch({self.source.file}:{self.entry}, grid={self.grid}, block={self.block}, shared={self.shared})"


class Plan:
    """How a call runs: ``launches(work)`` gives the list of launches, `work` being the address of `workspace` bytes
    (aligned to 256, contents arbitrary). `error`: offset in the workspace of an int32 that is not zero after a run
    that met an index out of range (nothing is read or written there in that case), or None."""

    __slots__ = ("launches", "workspace", "error")

    def __init__(self, launches, workspace=0, error=None):
        fixed = list(launches) if isinstance(launches, (list, tuple)) else None
        self.launches = launches if fixed is None else lambda work=0: fixed
        self.workspace, self.error = workspace, error


def _three(n):
    n = (n,) if isinstance(n, int) else tuple(n)
    return n + (1,) * (3 - len(n))


def ptr(address):
    """A pointer argument: an address or a :class:`Tensor`."""
    return ctypes.c_void_p(address.address if isinstance(address, Tensor) else address or 0)


i32, i64, u64, f32, f64 = ctypes.c_int32, ctypes.c_int64, ctypes.c_uint64, ctypes.c_float, ctypes.c_double


def blocks(n, per_block, most=GRID_MOST):
    """Blocks for `n` items, `per_block` to a block: at least one, at most `most` (then the kernel strides)."""
    return max(1, min(most, -(-n // per_block)))


@cache
def find(kernel):
    """(rule, names of further keywords that it takes) of kernel ``"family.name"``; None where the GPU has none."""
    family, _, name = kernel.partition(".")
    where = f"{__package__}.families.{family}"
    try:
        module = import_module(where)
    except ModuleNotFoundError as e:
        if e.name != where:
            raise
        return None
    rule = module.KERNELS.get(kernel)
    if rule is None:
        return None
    return rule, frozenset(list(inspect.signature(rule).parameters)[5:])


def plan(kernel, args, ins, outs, scalars=(), **context):
    """The :class:`Plan` of one call, or None where the GPU has no kernel for these dtypes.

    `context`: ``rng`` (address of {seed, step}, two uint64 on the device), ``rng_id``, ``is_train``: a rule is given
    those of them that it names after its five positional parameters.
    """
    found = find(kernel)
    if found is None:
        return None
    rule, wanted = found
    return rule(kernel, args, ins, outs, scalars, **{k: context[k] for k in wanted})
