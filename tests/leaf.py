"""An array that gradients are wanted for."""
import mxlite as mx


def leaf(values, req="write", dtype="float32"):
    """An NDArray of `values` with a gradient attached."""
    x = mx.nd.array(values, dtype=dtype)
    x.attach_grad(req)
    return x
