"""Bias, addition and activation behind a product, for what a library leaves undone. No record names it: the plans of
libraries do. It is a segment of element-wise steps, as chains are."""
from ..codegen import PERIODIC, Input, segment
from ..formulas import table
from ..launch import FLOATS, Tensor
from .elementwise import computing_of

KERNELS = {}


def epilogue(dtype, x, y, size, channels, inner, bias=0, residual=0, act=0, lo=0.0, hi=0.0):
    """The launch of ``y = act(x + bias + residual)`` on addresses, 0 for what is left out: `size` > 0 elements of
    `channels` channels with `inner` elements each; y may be x or residual. `act`: 0 none, 1 relu, 2 clip to `lo` ..
    `hi`; NaN stays NaN."""
    formulas, steps = table()[1], []
    inputs = [Input(Tensor((size,), dtype, x))]
    if bias:
        inputs.append(Input(Tensor((channels,), dtype, bias), PERIODIC, (channels, inner)))
    if residual:
        inputs.append(Input(Tensor((size,), dtype, residual)))
    for operand in range(1, len(inputs)):
        steps.append((formulas["add"], (len(inputs) + len(steps) - 1 if steps else 0, operand), ()))
    if act:
        last = len(inputs) + len(steps) - 1 if steps else 0
        steps.append((formulas["relu"], (last,), ()) if act == 1 else (formulas["clip"], (last,), (lo, hi)))
    given = [Tensor((size,), dtype, y)], steps, [len(inputs) + len(steps) - 1]
    launch, = segment(inputs, *given, computing_of(dtype)).launches(0)
    return launch


def MODULES():
    for dtype in FLOATS:
        for act, (bias, inner) in enumerate(((64, 7), (64, 1), (0, 1))):
            yield epilogue(dtype, 4096, 4096, 1 << 20, 8, inner, bias, 64, act).source
