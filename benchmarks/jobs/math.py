"""exp, log, tanh, sigmoid, BatchNorm and LayerNorm, on 16M and 64K floats."""
import functools

import numpy as np

from . import Case, array, bound, forward, settled

ORDER = 8
SIZES = {"16M": 1 << 24, "64K": 1 << 16}
NORMS = {("BatchNorm", "16M"): (64, 64, 64, 64), ("BatchNorm", "64K"): (4, 16, 32, 32),
         ("LayerNorm", "16M"): (16384, 1024), ("LayerNorm", "64K"): (64, 1024)}
CASES = [Case(f"{op} {size}", op, size, torch=1.0, mxnet=3.0)
         for op in ("exp", "log", "tanh", "sigmoid", "erf") for size in SIZES] \
    + [Case(f"{op} {what} {size}", op, size, what, torch=1.0, mxnet=3.0)
       for op, size in NORMS for what in ("training forward", "backward")] \
    + [Case(f"BatchNorm inference {size}", "BatchNorm", size, "inference", torch=1.0, mxnet=3.0) for size in SIZES]


def values(op, size):
    shape = NORMS.get((op, size), (SIZES[size],))
    x = np.random.default_rng(0).random(shape, "float32")
    return x * 8 + 0.01 if op == "log" else x * 8 - 4


def mx(lib, op, size, what=None):
    x, var = values(op, size), lib.sym.Variable
    if what is None:
        return forward(lib, getattr(lib.sym, op)(var("x")), {"x": array(lib, x)})
    channels = x.shape[1]
    arrays = {k: array(lib, np.full(channels, v)) for k, v in (("gamma", 1.0), ("beta", 0.1), ("mean", 0.0),
                                                               ("var", 1.0))}
    arrays["x"] = array(lib, x)
    inputs = [var(k) for k in ("x", "gamma", "beta", *(("mean", "var") if op == "BatchNorm" else ()))]
    net = getattr(lib.sym, op)(*inputs, **({"fix_gamma": False} if op == "BatchNorm" else {"axis": -1}))
    if what == "inference":
        return forward(lib, net, arrays)
    made = bound(lib, net, arrays, grads=("x", "gamma", "beta"))
    if what == "training forward":
        return {"": settled(lib, lambda: made.forward(is_train=True))}
    dy = array(lib, x)
    return {"": (settled(lib, lambda: made.backward([dy])), settled(lib, lambda: made.forward(is_train=True)))}


def torch(lib, op, size, what=None):
    x = array(lib, values(op, size))
    if what is None:
        out, f = lib.empty_like(x), getattr(lib, op)
        return {"out=": lambda: f(x, out=out)}
    steps, channels = {}, x.shape[1]
    weight, bias, mean, var = (lib.full((channels,), v) for v in (1.0, 0.1, 0.0, 1.0))
    if op == "LayerNorm":
        def norm(x):
            return lib.nn.functional.layer_norm(x, (channels,), weight, bias)
    else:
        def norm(x):
            return lib.nn.functional.batch_norm(x, mean, var, weight, bias, what != "inference", 0.1, 1e-3)
    for variant, layout in (("", lib.contiguous_format), ("channels_last", lib.channels_last)):
        if variant and x.dim() != 4:
            continue
        data = x.contiguous(memory_format=layout)
        if what != "backward":
            steps[variant] = lambda data=data: norm(data)
            continue
        leaves = [data.clone().requires_grad_(), weight.requires_grad_(), bias.requires_grad_()]
        with lib.enable_grad():
            y = norm(leaves[0])
        steps[variant] = functools.partial(lib.autograd.grad, y, leaves, data.clone(), retain_graph=True)
    return steps
