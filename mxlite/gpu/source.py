"""Puts the text of a kernel module together: one self-contained string, the same for NVRTC and for the tests' C++.

``#include "..."`` is replaced by the file, once a module, found beside the kernels or among the CPU's headers: formulas
that both processors compute stand in one place. Of the system's headers only CUDA's own remain.
"""
import re
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
PLACES = (HERE / "kernels", HERE.parent / "_core" / "kernels", HERE.parent / "_core")
CUDA = ("cuda_fp16.h", "cuda_bf16.h")
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"].*$', re.M)
CTYPE = {"float32": "float", "float64": "double", "float16": "__half", "bfloat16": "__nv_bfloat16", "int8": "int8_t",
         "uint8": "uint8_t", "bool": "bool", "int32": "int32_t", "int64": "int64_t"}


@cache
def read(name):
    """The text of kernel file or CPU header `name`."""
    for place in PLACES:
        if (place / name).is_file():
            return (place / name).read_text()
    raise FileNotFoundError(f"kernel source {name!r} is in none of {', '.join(map(str, PLACES))}")


def expand(text, seen):
    """`text` with its includes replaced; `seen` are the files that stand already."""
    def include(match):
        kind, name = match[1], match[2]
        if name in seen:
            return ""
        if kind == "<":
            if name not in CUDA:
                return ""
            seen.add(name)
            return f"#include <{name}>"
        seen.add(name)
        return expand(read(name), seen)
    return _INCLUDE.sub(include, text)


def compose(module):
    """The whole text of a :class:`~mxlite.gpu.launch.Module`."""
    lines = "".join(f"#define {name} {value}\n" for name, value in module.defines)
    return expand(lines + (module.text or f'#include "{module.file}"\n'), set())


def entries(text):
    """Names of the kernels that `text` (composed) defines."""
    return re.findall(r'extern\s+"C"\s+__global__\s+(?:__launch_bounds__\([^)]*\)\s+)?void\s+(\w+)', text)
