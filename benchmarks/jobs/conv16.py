"""ResNet-50's convolutions, batch 16: forward and both gradients."""
from . import Case, Total
from ._conv import Shape, mx, text, torch  # noqa: F401

ORDER, BATCH = 1, 16
# channels, side, filters, kernel, stride, pad, how often (v1: the stride falls on a stage's first 1x1)
LAYERS = ((3, 224, 64, 7, 2, 3, 1), (64, 56, 64, 1, 1, 0, 1), (64, 56, 64, 3, 1, 1, 3), (64, 56, 256, 1, 1, 0, 4),
          (256, 56, 64, 1, 1, 0, 2), (256, 56, 128, 1, 2, 0, 1), (128, 28, 128, 3, 1, 1, 4),
          (128, 28, 512, 1, 1, 0, 4), (256, 56, 512, 1, 2, 0, 1), (512, 28, 128, 1, 1, 0, 3),
          (512, 28, 256, 1, 2, 0, 1), (256, 14, 256, 3, 1, 1, 6), (256, 14, 1024, 1, 1, 0, 6),
          (512, 28, 1024, 1, 2, 0, 1), (1024, 14, 256, 1, 1, 0, 5), (1024, 14, 512, 1, 2, 0, 1),
          (512, 7, 512, 3, 1, 1, 3), (512, 7, 2048, 1, 1, 0, 3), (1024, 14, 2048, 1, 2, 0, 1),
          (2048, 7, 512, 1, 1, 0, 2),
          # the 3x3 with stride 2 of the other common form (v1.5); not in the sums
          (128, 56, 128, 3, 2, 1, 0), (256, 28, 256, 3, 2, 1, 0), (512, 14, 512, 3, 2, 1, 0))


def cases(batch, goals):
    """Cases and sums over all layers."""
    made, totals = [], []
    for what in ("fwd", "dX", "dW"):
        rows = {}
        for c, side, k, kernel, stride, pad, times in LAYERS:
            if what == "dX" and c == 3:         # nobody wants the pictures' gradient
                continue
            shape = Shape(batch, c, side, k, kernel, stride, pad, 1)
            name = f"b{batch} {what} {text(shape)}"
            made.append(Case(name, what, *shape, **goals(kernel, stride, side)))
            if times:
                rows[name] = times
        totals.append(Total(f"b{batch} {what}, sum over ResNet-50", "sum", rows, {"best": 1.2 if batch > 1 else 1.15}))
    totals.append(Total(f"b{batch} all three, sum", "sum", {k: v for t in totals for k, v in t.rows.items()},
                        totals[0].goal))
    return made, totals


def goals(kernel, stride, side):
    return {"best": (1.4 if side == 7 else 2.0) if kernel == 3 and stride == 1 else 0.85}


CASES, TOTALS = cases(BATCH, goals)
