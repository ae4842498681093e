"""What the whole face shares: the error class, the place of the user's line, and names for groups of types."""
import sys

import numpy

from ._core.errors import MXNetError

__all__ = ["MXNetError", "NotImplementedForSymbol", "caller", "mx_real_t", "string_types", "numeric_types",
           "integer_types", "py_str"]

mx_real_t = numpy.float32           # the dtype of arrays where none is given
string_types = (str,)
numeric_types = (float, int, numpy.generic)
integer_types = (int, numpy.int32, numpy.int64)

_INSIDE = __name__.rpartition(".")[0]


class NotImplementedForSymbol(MXNetError):
    """The function exists for NDArray only."""

    def __init__(self, function, alias=None, *args):
        kinds = ", ".join(str(type(a)) for a in args)
        super().__init__(f"Function {function.__name__}" + (f' (namely operator "{alias}")' if alias else "")
                         + (f" with arguments ({kinds})" if args else "")
                         + " is not implemented for Symbol and only available in NDArray.")


def py_str(text):
    """`text` as a str: bytes are decoded, which is what MXNet's own library hands out."""
    return text.decode("utf-8") if isinstance(text, bytes) else text


def caller():
    """``"file:line"`` of the innermost frame outside mxlite, ``"In[3]:2"`` in a notebook; None where there is none."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name != _INSIDE and not name.startswith(_INSIDE + "."):
            file = frame.f_code.co_filename
            return f"{_cell(file) if name == '__main__' else file}:{frame.f_lineno}"
        frame = frame.f_back
    return None


def _cell(file):
    """IPython's label of the cell that it compiled as `file`, ``In[3]``; `file` itself where it is no cell."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if hasattr(ipython, "get_ipython") else None
    label = getattr(getattr(shell, "compile", None), "format_code_name", lambda _: None)(file)
    return label[1] if label else file
