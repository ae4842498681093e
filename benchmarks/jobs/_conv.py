"""A convolution's forward, gradient of data (dX) and gradient of weight (dW), for the families of shapes."""
import collections

import numpy as np

from . import array, bound, forward, settled

Shape = collections.namedtuple("Shape", "batch channels side filters kernel stride pad groups")


def text(s):
    kind = f"{s.channels},{s.side},{s.filters} {s.kernel}x{s.kernel}" + (f"/{s.stride}" if s.stride > 1 else "")
    return f"depthwise {s.channels},{s.side} {s.kernel}x{s.kernel}" + (f"/{s.stride}" if s.stride > 1 else "") \
        if s.groups > 1 else kind


def tensors(s):
    rng = np.random.default_rng(0)
    out = (s.side + 2 * s.pad - s.kernel) // s.stride + 1
    shapes = {"x": (s.batch, s.channels, s.side, s.side), "y": (s.batch, s.filters, out, out),
              "w": (s.filters, s.channels // s.groups, s.kernel, s.kernel)}
    return {k: rng.standard_normal(v, "float32") for k, v in shapes.items()}


def mx(lib, what, *shape):
    s = Shape(*shape)
    host = tensors(s)
    x, w, dy = (array(lib, host[k]) for k in "xwy")
    given = dict(kernel=(s.kernel,) * 2, stride=(s.stride,) * 2, pad=(s.pad,) * 2, num_filter=s.filters,
                 num_group=s.groups, no_bias=True)
    var = lib.sym.Variable
    if what == "fwd":
        return forward(lib, lib.sym.Convolution(var("x"), var("w"), **given), {"x": x, "w": w})
    if lib.__name__ == "mxlite":        # the nodes that a backward pass is made of
        if what == "dX":
            return forward(lib, lib.sym._conv_dgrad(var("y"), var("w"), shape=x.shape, **given), {"y": dy, "w": w})
        return forward(lib, lib.sym._conv_wgrad(var("y"), var("x"), shape=w.shape, **given), {"y": dy, "x": x})
    executor = bound(lib, lib.sym.Convolution(var("x"), var("w"), **given), {"x": x, "w": w},
                     grads=["x" if what == "dX" else "w"])
    return {"": (settled(lib, lambda: executor.backward([dy])),
                 settled(lib, lambda: executor.forward(is_train=True)))}


def torch(lib, what, *shape):
    s, steps = Shape(*shape), {}
    for variant, layout in (("", lib.contiguous_format), ("channels_last", lib.channels_last)):
        x, w, dy = (array(lib, a).contiguous(memory_format=layout) for a in map(tensors(s).get, "xwy"))

        def fwd(x=x, w=w):
            with lib.inference_mode():
                lib.conv2d(x, w, None, s.stride, s.pad, 1, s.groups)

        def backward(x=x, w=w, dy=dy, mask=(what == "dX", what == "dW", False)):
            lib.ops.aten.convolution_backward(dy, x, w, None, [s.stride] * 2, [s.pad] * 2, [1, 1], False, [0, 0],
                                              s.groups, mask)
        steps[variant] = fwd if what == "fwd" else backward
    return steps
