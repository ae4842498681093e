"""``.params`` files byte by byte, in every version that MXNet wrote."""
import struct

import numpy as np

from mxlite._core.dtypes import FLAG

V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
CPU, GPU, PINNED = 1, 2, 3


def blob(values, version=2, device=(CPU, 0), dtype=None, stype=0):
    """One array: `values` is a NumPy array; `version` 0 has no magic."""
    shape, flag = values.shape, FLAG[dtype or values.dtype.name]
    head = {0: struct.pack(f"<I{len(shape)}I", len(shape), *shape),
            1: struct.pack(f"<II{len(shape)}q", V1, len(shape), *shape),
            2: struct.pack(f"<IiI{len(shape)}q", V2, stype, len(shape), *shape),
            3: struct.pack(f"<IiI{len(shape)}q", V3, stype, len(shape), *shape)}[version]
    return head + struct.pack("<iii", *device, flag) + values.tobytes()


def none(version=2):
    """An array that was never given a shape."""
    return struct.pack("<IiI", V2, 0, 0) if version == 2 else struct.pack("<Iii", V3, 0, -1)


def row_sparse():
    """A row_sparse array (4, 2) with rows 1 and 3 stored."""
    return (struct.pack("<Ii", V2, 1) + struct.pack("<I2q", 2, 2, 2) + struct.pack("<I2q", 2, 4, 2)
            + struct.pack("<iii", CPU, 0, 0) + struct.pack("<i", 6) + struct.pack("<Iq", 1, 2)
            + np.ones((2, 2), "f4").tobytes() + np.array([1, 3], "i8").tobytes())


def file(blobs, names=()):
    """A whole file."""
    text = [n.encode() for n in names]
    return (struct.pack("<QQQ", 0x112, 0, len(blobs)) + b"".join(blobs) + struct.pack("<Q", len(text))
            + b"".join(struct.pack("<Q", len(n)) + n for n in text))
