"""Depthwise 3x3, 1x1, 5x5 and 7x7 convolutions of other networks."""
from . import Case
from ._conv import Shape, mx, text, torch  # noqa: F401

ORDER = 3
SHAPES = [Shape(16, c, side, c, 3, stride, 1, c) for c, side, stride in
          ((32, 112, 1), (64, 112, 2), (128, 56, 1), (256, 28, 1), (512, 14, 1), (512, 14, 2))] \
    + [Shape(16, 64, 56, 128, 1, 1, 0, 1), Shape(16, 512, 14, 512, 1, 1, 0, 1), Shape(64, 1, 28, 20, 5, 1, 0, 1),
       Shape(64, 20, 12, 50, 5, 1, 0, 1), Shape(16, 48, 35, 64, 5, 1, 2, 1), Shape(16, 3, 224, 64, 7, 2, 3, 1)]
CASES = [Case(f"{what} {text(s)}, b{s.batch}", what, *s, best=1.0) for s in SHAPES for what in ("fwd", "dX", "dW")
         if not (what == "dX" and s.channels in (1, 3))]
