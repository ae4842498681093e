"""What the networks share: the input, the classifier at the end, and reading a picture's shape."""
import mxlite as mx


def channels_height_width(image_shape):
    """(channels, height, width) of a text such as "3,224,224" or of three numbers; ValueError for anything else."""
    parts = image_shape.split(",") if isinstance(image_shape, str) else image_shape
    try:
        sizes = tuple(int(n) for n in parts)
    except (TypeError, ValueError):
        sizes = ()
    if len(sizes) != 3 or min(sizes) < 1:
        raise ValueError(f"image_shape={image_shape!r} is not channels, height and width, such as '3,224,224'")
    return sizes


def images(dtype, identity=False):
    """The variable `data` in the layers' dtype. `identity`: under the name `id`, where a network has such a node."""
    if dtype not in ("float32", "float16"):
        raise ValueError(f"dtype={dtype!r}: the networks compute in 'float32' or 'float16'")
    data = mx.sym.Variable("data")
    if dtype == "float16":
        return mx.sym.Cast(data, dtype="float16", name="cast0")
    return mx.sym.identity(data, name="id") if identity else data


def probabilities(scores, dtype):
    """`scores` (batch, classes) through the softmax with its cross-entropy loss, in float32."""
    if dtype == "float16":
        scores = mx.sym.Cast(scores, dtype="float32", name="cast1")
    return mx.sym.SoftmaxOutput(scores, name="softmax")
