"""dtype names, MXNet's type flags, and NumPy's types: one table."""
import numpy as np

FLAG = {"float32": 0, "float64": 1, "float16": 2, "uint8": 3, "int32": 4, "int8": 5, "int64": 6, "bool": 7,
        "bfloat16": 12}
NAME = {flag: name for name, flag in FLAG.items()}
ITEMSIZE = {"float32": 4, "float64": 8, "float16": 2, "uint8": 1, "int32": 4, "int8": 1, "int64": 8, "bool": 1,
            "bfloat16": 2}
# NumPy has no bfloat16: its bits travel as uint16, marked as MXNet marks them.
BFLOAT16 = np.dtype([("bfloat16", np.uint16)])
NUMPY = {name: (np.uint16 if name == "bfloat16" else np.dtype(name).type) for name in FLAG}


def public(name):
    """What ``NDArray.dtype`` shows for a dtype name: NumPy's scalar type, or the marked dtype for bfloat16."""
    return BFLOAT16 if name == "bfloat16" else NUMPY[name]


def name_of(dtype):
    """The dtype's name from a name, NumPy dtype or scalar type, or Python type. TypeError for anything else."""
    if isinstance(dtype, str) and dtype in FLAG:
        return dtype
    if isinstance(dtype, np.dtype) and dtype == BFLOAT16:
        return "bfloat16"
    name = np.dtype(dtype).name
    if name not in FLAG:
        raise TypeError(f"dtype {name} is not supported; choose one of {', '.join(FLAG)}")
    return name
