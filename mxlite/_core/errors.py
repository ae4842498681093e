"""The errors that mxlite raises, from the bottom up."""


class MXNetError(RuntimeError):
    """Something the user can act on: the text names the operator, the node, the shapes and the user's line."""
