"""What the whole face shares: the error class and the place of the user's line."""
import sys

from ._core.errors import MXNetError

__all__ = ["MXNetError", "NotImplementedForSymbol", "caller"]

_INSIDE = __name__.rpartition(".")[0]


class NotImplementedForSymbol(MXNetError):
    """The function exists for NDArray only."""

    def __init__(self, function, alias=None, *args):
        kinds = ", ".join(str(type(a)) for a in args)
        super().__init__(f"Function {function.__name__}" + (f' (namely operator "{alias}")' if alias else "")
                         + (f" with arguments ({kinds})" if args else "")
                         + " is not implemented for Symbol and only available in NDArray.")


def caller():
    """``"file:line"`` of the innermost frame outside mxlite; None where there is none."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name != _INSIDE and not name.startswith(_INSIDE + "."):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return None
