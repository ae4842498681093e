"""add, mul, relu, softmax, pooling, reductions, transpose, concat, embedding; a chain of four operators."""
import functools

import numpy as np

from . import Case, array, bound, forward, settled

ORDER = 9
FLAT = {"16M": (1 << 24,), "64K": (1 << 16,)}
MAPS = {"b16": (16, 64, 112, 112), "b1": (1, 64, 56, 56)}
# operator: {size: shape}; what it computes stands in `mx` and `torch`
SHAPES = {
    "add": FLAT, "mul": FLAT, "relu": FLAT,
    "softmax": {"4096x1000": (4096, 1000), "64x10": (64, 10), "64x32000": (64, 32000)},
    "max-pool 3x3/2": MAPS, "avg-pool 2x2/2": MAPS, "global avg-pool": MAPS,
    "max-pool backward": MAPS,
    "sum": {"16M": (4096, 4096), "64K": (256, 256)}, "sum axis 0": {"16M": (4096, 4096), "64K": (256, 256)},
    "sum axis 1": {"16M": (4096, 4096), "64K": (256, 256)}, "max axis 1": {"16M": (4096, 4096), "64K": (256, 256)},
    "mean axis (0, 2, 3)": {"b16": (16, 64, 112, 112)},
    "transpose": {"16M": (4096, 4096), "64K": (256, 256)}, "transpose (0, 2, 3, 1)": MAPS,
    "concat axis 1": {"16M": (4096, 2048), "64K": (256, 128)},
    "embedding": {"10000x256, 8192 rows": (10000, 256, 8192), "10000x64, 512 rows": (10000, 64, 512)},
    "chain of 4": FLAT, "imperative x + y": FLAT,
}
CASES = [Case(f"{op} {size}", op, size, **({"torch": 1.5} if op.startswith("chain") else
                                           {"torch": 1.0, "mxnet": 1.5})) for op in SHAPES for size in SHAPES[op]]


def tensors(op, size):
    """Operands as NumPy arrays, by name."""
    rng, shape = np.random.default_rng(0), SHAPES[op][size]
    if op == "embedding":
        rows, width, n = shape
        return {"x": rng.integers(0, rows, n).astype("float32"), "w": rng.random((rows, width), "float32")}
    names = {"add": "xy", "mul": "xy", "concat axis 1": "xy", "chain of 4": "xyz",
             "imperative x + y": "xy"}.get(op, "x")
    return {k: rng.standard_normal(shape, "float32") for k in names}


def mx(lib, op, size):
    host, sym = tensors(op, size), lib.sym
    arrays = {k: array(lib, v) for k, v in host.items()}
    if op.startswith("imperative"):         # a new array each time: the memory pool's work
        a, b = arrays["x"], arrays["y"]
        return {"": settled(lib, lambda: a + b)}
    x, y, z, w = (sym.Variable(k) for k in "xyzw")
    pool = dict(kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max")
    nets = {
        "add": lambda: x + y, "mul": lambda: x * y, "relu": lambda: sym.relu(x),
        "softmax": lambda: sym.softmax(x, axis=-1), "max-pool 3x3/2": lambda: sym.Pooling(x, **pool),
        "avg-pool 2x2/2": lambda: sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="avg"),
        "global avg-pool": lambda: sym.Pooling(x, kernel=(1, 1), global_pool=True, pool_type="avg"),
        "sum": lambda: sym.sum(x), "sum axis 0": lambda: sym.sum(x, axis=0),
        "sum axis 1": lambda: sym.sum(x, axis=1), "max axis 1": lambda: sym.max(x, axis=1),
        "mean axis (0, 2, 3)": lambda: sym.mean(x, axis=(0, 2, 3)),
        "transpose": lambda: sym.transpose(x), "transpose (0, 2, 3, 1)": lambda: sym.transpose(x, axes=(0, 2, 3, 1)),
        "concat axis 1": lambda: sym.Concat(x, y, dim=1),
        "embedding": lambda: sym.Embedding(x, w, input_dim=host["w"].shape[0], output_dim=host["w"].shape[1]),
        "chain of 4": lambda: sym.relu(x * y + z) * 0.5,
    }
    if op != "max-pool backward":
        return forward(lib, nets[op](), arrays)
    made = bound(lib, sym.Pooling(x, **pool), arrays, grads=("x",))
    made.forward(is_train=True)
    dy = made.outputs[0].copy()
    return {"": (settled(lib, lambda: made.backward([dy])), settled(lib, lambda: made.forward(is_train=True)))}


def torch(lib, op, size):
    host, aten, f = tensors(op, size), lib.ops.aten, lib.nn.functional
    x, y, z = (array(lib, host[k]) if k in host else None for k in "xyz")
    same = lib.empty_like(x)
    if op.startswith("imperative"):
        return {"": lambda: x + y}
    if "pool" in op:
        return torch_pool(lib, op, x)
    if op == "chain of 4":
        def chain():
            lib.mul(x, y, out=same)
            same.add_(z).relu_().mul_(0.5)
        return {"in place": chain}
    if op == "embedding":
        index, w = x.long(), array(lib, host["w"])
        out = lib.empty(len(index), w.shape[1])
        return {"": lambda: f.embedding(index, w), "out=": lambda: lib.index_select(w, 0, index, out=out)}
    simple = {
        "add": lambda: lib.add(x, y, out=same), "mul": lambda: lib.mul(x, y, out=same),
        "relu": lambda: aten.relu.out(x, out=same), "softmax": lambda: aten._softmax.out(x, -1, False, out=same),
    }
    if op in simple:
        return {"out=": simple[op]}
    if op == "transpose":
        out, view = lib.empty_like(x.t().contiguous()), x.t()
        return {"out=": lambda: out.copy_(view), "": lambda: view.contiguous()}
    if op.startswith("transpose"):
        view = x.permute(0, 2, 3, 1)
        out = lib.empty(view.shape)
        return {"out=": lambda: out.copy_(view)}
    if op == "concat axis 1":
        out = lib.empty(x.shape[0], 2 * x.shape[1])
        return {"out=": lambda: lib.cat((x, y), 1, out=out)}
    if op == "sum":
        return {"": lambda: x.sum()}
    if op == "max axis 1":
        out = lib.empty(x.shape[0])
        return {"out=": lambda: lib.amax(x, 1, out=out)}
    axis = {"sum axis 0": 0, "sum axis 1": 1, "mean axis (0, 2, 3)": (0, 2, 3)}[op]
    out, reduce = lib.empty(x.shape[1] if axis != 1 else x.shape[0]), lib.mean if op.startswith("mean") else lib.sum
    return {"out=": lambda: reduce(x, axis, out=out)}


def torch_pool(lib, op, x):
    f, steps = lib.nn.functional, {}
    for variant, layout in (("", lib.contiguous_format), ("channels_last", lib.channels_last)):
        data = x.contiguous(memory_format=layout)
        if op == "max-pool backward":
            leaf = data.clone().requires_grad_()
            with lib.enable_grad():
                y = f.max_pool2d(leaf, 3, 2, 1)
            steps[variant] = functools.partial(lib.autograd.grad, y, leaf, y.detach().clone(), retain_graph=True)
            continue
        run = {"max-pool 3x3/2": lambda a: f.max_pool2d(a, 3, 2, 1), "avg-pool 2x2/2": lambda a: f.avg_pool2d(a, 2, 2),
               "global avg-pool": lambda a: f.adaptive_avg_pool2d(a, 1)}[op]
        steps[variant] = lambda run=run, data=data: run(data)
    return steps
