"""Runs a kernel with every tensor and its scratch between pages that nobody may touch, at either end of its pages."""
import ctypes
import mmap

import numpy as np

from mxlite._core import cpu, kernels

PAGE = mmap.PAGESIZE
FLAGS = {"float32": 0, "float64": 1, "float16": 2, "uint8": 3, "int64": 6}
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype, libc.mmap.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3,
                                                          ctypes.c_long]
libc.mprotect.argtypes, libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int], [ctypes.c_void_p,
                                                                                                ctypes.c_size_t]
pointer = ctypes.pythonapi.PyCapsule_GetPointer
pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


class Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_int64), ("shape", ctypes.c_int64 * 8),
                ("ndim", ctypes.c_int32), ("dtype", ctypes.c_int32)]


class Call(ctypes.Structure):
    _fields_ = [("inp", ctypes.c_void_p), ("out", ctypes.c_void_p), ("args", ctypes.c_char_p),
                ("scalars", ctypes.c_void_p), ("work", ctypes.c_void_p), ("rng", ctypes.c_void_p),
                ("py", ctypes.c_void_p), ("rng_id", ctypes.c_uint32), ("n_in", ctypes.c_int32),
                ("n_out", ctypes.c_int32), ("is_train", ctypes.c_int32), ("threads", ctypes.c_int32)]


class Room:
    """`size` bytes, the last of which is the last of a page (or the first the first), pages beside it are closed."""

    def __init__(self, size, at_end, align=1):
        self.pages = -(-max(size, 1) // PAGE) * PAGE
        self.base = libc.mmap(None, self.pages + 2 * PAGE, 3, 0x22, -1, 0)
        assert self.base not in (None, ctypes.c_void_p(-1).value)
        for edge in (self.base, self.base + PAGE + self.pages):
            assert libc.mprotect(edge, PAGE, 0) == 0
        self.data = self.base + PAGE + ((self.pages - size) // align * align if at_end else 0)

    def array(self, shape, dtype):
        count = int(np.prod(shape))
        raw = (ctypes.c_char * (count * np.dtype(dtype).itemsize)).from_address(self.data)
        return np.frombuffer(raw, dtype, count).reshape(shape)

    def close(self):
        libc.munmap(self.base, self.pages + 2 * PAGE)


def run(name, arrays, args, out_shapes, work, level, threads=1, at_end=True):
    """Outputs of kernel `name` on `arrays` with arguments `args` (a dict) and `work` bytes of scratch. `out_shapes`:
    their shapes, or arrays like them where a dtype is not the first input's. An access outside of the tensors ends
    the process."""
    capsule, packer = kernels.lookup(name)
    dtype = arrays[0].dtype
    rooms, tensors = [], []
    outputs = [np.full_like(s, 99) if isinstance(s, np.ndarray) else np.full(s, 99, dtype) for s in out_shapes]
    for a in (*arrays, *outputs):
        rooms.append(Room(a.nbytes, at_end, a.itemsize))
        rooms[-1].array(a.shape, a.dtype)[...] = a
        tensors.append(Tensor(rooms[-1].data, a.size, (ctypes.c_int64 * 8)(*a.shape), a.ndim, FLAGS[a.dtype.name]))
    rooms.append(Room(work, at_end, 64))
    n = len(arrays)
    ins, outs = (Tensor * n)(*tensors[:n]), (Tensor * len(out_shapes))(*tensors[n:])
    call = Call(ctypes.addressof(ins), ctypes.addressof(outs), packer(args), None, rooms[-1].data, None, None, 0, n,
                len(out_shapes), 0, threads)
    before, most = cpu.get_isa(), cpu.get_threads()
    cpu.set_isa(level)
    cpu.set_threads(max(most, threads))
    try:
        rc = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(pointer(capsule, b"int (mxl_call *)"))(
            ctypes.addressof(call))
    finally:
        cpu.set_isa(before)
        cpu.set_threads(most)
    assert rc == 0, rc
    results = [r.array(a.shape, a.dtype).copy() for r, a in zip(rooms[n:], outputs)]
    for r in rooms:
        r.close()
    return results
