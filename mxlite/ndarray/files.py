"""MXNet's ``.params`` files: a list or dict of arrays, little endian.

    u64 0x112, u64 0, u64 count, arrays, u64 names, each name u64 length + UTF-8
    array: u32 0xF993FAC9 (V2; V1 0xF993FAC8 has no storage type; V3 0xF993FACA means literal shapes: () and 0),
           i32 storage type, u32 ndim, i64 dims, i32 device type, i32 device id, i32 dtype flag, data
    before V1: u32 ndim itself stands where the magic is, dims are u32
    an array that never got a shape ends after ndim, which is 0 in V2 and -1 in V3
"""
import math
import struct

import numpy as np

from .._core import ndarray as _nd
from .._core.dtypes import FLAG, ITEMSIZE, NAME
from .._core.errors import MXNetError
from .ndarray import NDArray

LIST_MAGIC = 0x112
V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA


def save(fname, data):
    """Write an NDArray, a list of them, or a dict of name -> NDArray to `fname` in MXNet's format.

    TypeError for a `fname` that is no text, and for anything else in `data`; MXNetError where the file cannot be
    written.
    """
    if not isinstance(fname, str):
        raise TypeError(f"fname required to be a string, got {type(fname).__name__}")
    if isinstance(data, NDArray):
        data = [data]
    if isinstance(data, dict):
        names, arrays = list(data), list(data.values())
    elif isinstance(data, list):
        names, arrays = [], data
    else:
        raise ValueError("data needs to either be a NDArray, dict of str, NDArray pairs or a list of NDarrays.")
    if any(not isinstance(n, str) for n in names) or any(not isinstance(a, NDArray) for a in arrays):
        raise TypeError("save only accept dict str->NDArray or list of NDArray")
    parts = [struct.pack("<QQQ", LIST_MAGIC, 0, len(arrays))]
    for a in arrays:
        device = a.context.device_typeid if a.context.device_typeid != 3 else 1
        # MXNet takes a V2 array without axes for one that was never given a shape, and reads no data.
        parts.append(struct.pack(f"<IiI{a.ndim}qiii", V2 if a.ndim else V3, 0, a.ndim, *a.shape, device,
                                 a.context.device_id, FLAG[a.dtype_name]))
        parts.append(a.host_view().reshape(-1).view(np.uint8).data)
    parts.append(struct.pack("<Q", len(names)))
    for n in names:
        text = n.encode()
        parts.append(struct.pack("<Q", len(text)) + text)
    try:
        with open(fname, "wb") as f:
            f.writelines(parts)
    except OSError as e:
        raise MXNetError(f"cannot write {fname!r}: {e.strerror}") from None


def load(fname):
    """The list or dict of arrays in file `fname`. MXNetError says what is wrong with a file and where."""
    if not isinstance(fname, str):
        raise TypeError("fname required to be a string")
    try:
        with open(fname, "rb") as f:
            data = f.read()
    except OSError as e:
        raise MXNetError(f"cannot read {fname!r}: {e.strerror}") from None
    return _parse(memoryview(data), repr(fname))


def load_frombuffer(buf):
    """The list or dict of arrays in the bytes of a ``.params`` file."""
    if not isinstance(buf, (bytes, bytearray, memoryview)):
        raise TypeError("buf required to be a bytes-like object")
    return _parse(memoryview(buf).cast("B"), "the buffer")


class _Reader:
    def __init__(self, data, where):
        self.data, self.at, self.where, self.what = data, 0, where, "the header"

    def take(self, n):
        if n < 0 or self.at + n > len(self.data):
            raise MXNetError(f"{self.where} is cut short: it ends at byte {len(self.data)}, {self.what} needs byte "
                             f"{self.at + n}")
        part = self.data[self.at:self.at + n]
        self.at += n
        return part

    def unpack(self, layout):
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))


def _parse(data, where):
    r = _Reader(data, where)
    head = bytes(data[:64]).lstrip().lower()
    if len(data) < 24 or struct.unpack("<Q", data[:8])[0] != LIST_MAGIC:
        hint = ""
        if head.startswith((b"<!doctype", b"<html")):
            hint = ": it is an HTML page, a download that went wrong"
        elif head.startswith(b"version https://git-lfs"):
            hint = ": it is a Git LFS pointer, fetch the real file with `git lfs pull`"
        elif len(data) < 24:
            hint = f": it has {len(data)} bytes, a header has 24"
        raise MXNetError(f"Invalid NDArray file format in {where}{hint}")
    _, _, count = r.unpack("QQQ")
    if count > len(data):
        raise MXNetError(f"{where} says that it holds {count} arrays in {len(data)} bytes: it is damaged")
    arrays = []
    for i in range(count):
        r.what = f"array {i} of {count}"
        arrays.append(_array(r))
    r.what = "the list of names"
    n_names, = r.unpack("Q")
    if n_names and n_names != count:
        raise MXNetError(f"{where} names {n_names} arrays and holds {count}: it is damaged")
    names = []
    for i in range(n_names):
        r.what = f"name {i} of {n_names}"
        length, = r.unpack("Q")
        try:
            names.append(bytes(r.take(length)).decode())
        except UnicodeDecodeError:
            raise MXNetError(f"{where}: name {i} is not UTF-8 text: the file is damaged") from None
    return dict(zip(names, arrays)) if names else arrays


def _array(r):
    magic, = r.unpack("I")
    if magic in (V2, V3):
        stype, = r.unpack("i")
        if stype != 0:
            raise MXNetError(f"{r.where}: {r.what} is sparse (storage type {stype}), which is not supported")
    if magic in (V1, V2, V3):
        ndim, = r.unpack("I")
        if (magic, ndim) in ((V2, 0), (V3, 0xFFFFFFFF)):
            return _nd.empty((0,), "float32", None)
        _check_ndim(r, ndim)
        shape = r.unpack(f"{ndim}q")
    else:                                   # written before MXNet 0.12: no magic, 32-bit dimensions
        _check_ndim(r, magic)
        shape = r.unpack(f"{magic}I")
    if any(not 0 <= d <= 1 << 58 for d in shape) or len(shape) > 8 or math.prod(d or 1 for d in shape) > 1 << 58:
        raise MXNetError(f"{r.where}: {r.what} has the shape {shape}: the file is damaged")
    device, _ = r.unpack("ii")
    flag, = r.unpack("i")
    if flag not in NAME or not 1 <= device <= 5:
        raise MXNetError(f"{r.where}: {r.what} has device type {device} and dtype flag {flag}: the file is damaged, "
                         f"or of a dtype that is not supported")
    size = ITEMSIZE[NAME[flag]]
    for d in shape:
        size *= d
    raw = r.take(size)
    new = _nd.empty(shape, NAME[flag], None)
    view = new.numpy_view()
    np.copyto(view, np.frombuffer(raw, view.dtype).reshape(shape))
    return new


def _check_ndim(r, ndim):
    if ndim > 32:
        raise MXNetError(f"{r.where}: {r.what} claims {ndim} axes: the file is damaged")
