"""The structures of ``kernels/places.cuh``: divisors that are multiplications, and loop nests."""
import ctypes


class Divisor(ctypes.Structure):
    _fields_ = [("d", ctypes.c_uint32), ("mul", ctypes.c_uint32), ("shift", ctypes.c_uint32)]


class Period(ctypes.Structure):
    _fields_ = [("inner", Divisor), ("channels", Divisor)]


class WidePeriod(ctypes.Structure):
    _fields_ = [("inner", ctypes.c_int64), ("channels", ctypes.c_int64)]


class Nest(ctypes.Structure):
    _fields_ = [("n", ctypes.c_int64), ("dims", Divisor * 8), ("stride", ctypes.c_int64 * 8)]


class WideNest(ctypes.Structure):
    _fields_ = [("n", ctypes.c_int64), ("dims", ctypes.c_int64 * 8), ("stride", ctypes.c_int64 * 8)]


def divisor(d):
    """n / d = (high 32 bits of n * mul + n) >> shift for every n below 2^31 (Granlund and Montgomery)."""
    shift = (d - 1).bit_length()
    return Divisor(d, (((1 << shift) - d) << 32) // d + 1, shift)


def nest(dims, strides, wide):
    """A :class:`Nest` (or :class:`WideNest`) of axes that are given slowest first."""
    made = (WideNest if wide else Nest)()
    made.n = len(dims)
    for k in range(8):
        d = dims[-1 - k] if k < len(dims) else 1
        made.dims[k] = d if wide else divisor(d)
        made.stride[k] = strides[-1 - k] if k < len(dims) else 0
    return made
