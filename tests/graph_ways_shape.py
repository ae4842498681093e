"""Ways to grow a random graph (see graph_ways.py): joining, cutting, shapes, reductions, indices, dtypes, sources."""
import numpy as np

import mxlite as mx

from .graph_ways import way


@way("join")
def Concat(b):
    first = b.pick((1, 2, 3, 4))
    s = b.of(first).shape
    dim = b.axis(len(s))
    entries = [first]
    for _ in range(b.rng.integers(0, 3)):
        if b.chance(0.5):
            entries.append(b.pick(len(s), lambda t: all(x == y for i, (x, y) in enumerate(zip(s, t))
                                                        if i != dim % len(s))) or first)
        else:
            t = list(s)
            t[dim] = int(b.rng.integers(1, 4))
            entries.append(b.like(tuple(t)))
    if sum(b.of(e).size for e in entries) > 400:
        return None
    return b.node("Concat", entries, dim=dim)


@way("join")
def stack(b):
    first = b.pick((1, 2, 3))
    s = b.of(first).shape
    return b.node("stack", [first] + [b.like(s) for _ in range(b.rng.integers(0, 3))], axis=b.axis(len(s) + 1))


@way("split")
def SliceChannel(b):
    data = b.pick()
    s = b.of(data).shape
    axis = b.axis(len(s))
    squeeze = len(s) > 1 and b.chance(0.3)
    parts = s[axis] if squeeze else b.one(*[n for n in (1, 2, 3, 4, 5) if s[axis] % n == 0])
    return b.node("SliceChannel", [data], num_outputs=parts, axis=axis, **({"squeeze_axis": True} if squeeze else {}))


@way("shape")
def Reshape(b):
    data = b.pick()
    s = b.of(data).shape
    n = int(np.prod(s))
    d = b.one(*[k for k in range(1, n + 1) if n % k == 0])
    choices = [(-1,), (d, -1), (d, n // d), (0, -1), (-1, 1), (-2, 1)]
    if len(s) >= 2:
        choices += [(-3, -2), (0, -4, 1, -1, -2)]
    params = dict(shape=b.one(*choices))
    if params["shape"] == (0, -1) and b.chance(0.3):
        params = dict(shape=(-1, 0), reverse=True)
    return b.node("Reshape", [data], **params)


@way("shape")
def Flatten(b):
    return b.node("Flatten", [b.pick()])


@way("shape")
def transpose(b):
    data = b.pick()
    if b.chance(0.3):
        return b.node("transpose", [data])
    return b.node("transpose", [data], axes=tuple(int(i) for i in b.rng.permutation(b.of(data).ndim)))


@way("shape")
def SwapAxis(b):
    data = b.pick((2, 3, 4))
    n = b.of(data).ndim
    return b.node("SwapAxis", [data], dim1=int(b.rng.integers(n)), dim2=int(b.rng.integers(n)))


@way("shape")
def expand_dims(b):
    data = b.pick((1, 2, 3))
    return b.node("expand_dims", [data], axis=b.axis(b.of(data).ndim + 1))


@way("slice")
def slice(b):
    data = b.pick()
    begin, end, step = [], [], []
    for d in b.of(data).shape[:b.rng.integers(1, b.of(data).ndim + 1)]:
        low, high = sorted(b.rng.choice(d + 1, 2, replace=False).tolist())
        stride = b.one(1, 1, 2, -1, None)
        if stride == -1:
            low, high = high - 1, (low - 1 if low else None)
        begin.append(b.one(low, low - d, None) if low == 0 and stride != -1 else low)
        end.append(high if high != d else b.one(d, None, d + 3))
        step.append(stride)
    params = dict(begin=tuple(begin), end=tuple(end))
    if any(s not in (1, None) for s in step) or b.chance(0.2):
        params["step"] = tuple(step)
    return b.node("slice", [data], **params)


@way("slice")
def slice_axis(b):
    data = b.pick()
    axis = b.axis(b.of(data).ndim)
    d = b.of(data).shape[axis]
    low, high = sorted(b.rng.choice(d + 1, 2, replace=False).tolist())
    return b.node("slice_axis", [data], axis=axis, begin=b.one(low, low - d) if low < d else low,
                  end=None if high == d else b.one(high, high - d))


@way("reduce", "sum", "mean", "max", "min", "prod", "nansum")
def reduction(b, name):
    data = b.pick()
    n = b.of(data).ndim
    params = {}
    if b.chance(0.7):
        axes = sorted(b.rng.choice(n, b.rng.integers(1, n + 1), replace=False).tolist())
        params["axis"] = b.one(axes[0], axes[0] - n) if len(axes) == 1 else tuple(axes)
        if b.chance(0.2) and len(axes) < n:
            params["exclude"] = True
    if b.chance(0.4):
        params["keepdims"] = True
    return b.node(name, [b.fit(data, -2, 2) if name != "prod" else b.fit(data, .5, 1.5)], **params)


@way("reduce")
def norm(b):
    data = b.fit(b.pick(), .2, 3)
    params = dict(ord=b.one(1, 2)) if b.chance(0.5) else {}
    if data is not None and b.chance(0.6):
        params["axis"] = b.axis(b.of(data).ndim)
    return b.node("norm", [data], **params)


@way("reduce", "argmax", "argmin")
def arg(b, name):
    data = b.pick()
    params = dict(axis=b.axis(b.of(data).ndim)) if b.chance(0.8) else {}
    if b.chance(0.4):
        params["keepdims"] = True
    return b.node(name, [data], **params)


@way("index")
def Embedding(b):
    rows, width = int(b.rng.integers(2, 6)), int(b.rng.integers(1, 5))
    shape = b.shape(b.one(1, 2))
    data = b.variable(shape, constant=True, values=b.rng.integers(0, rows, shape))
    weight = [b.like((rows, width))] if b.chance(0.4) else []
    params = {} if b.dtype == "float32" else {"dtype": b.dtype}
    return b.node("Embedding", [data, *weight], frozen=(0,), input_dim=rows, output_dim=width, **params)


@way("index")
def take(b):
    data = b.pick((1, 2, 3))
    axis = int(b.rng.integers(b.of(data).ndim))
    shape = b.shape(b.one(1, 2))
    if b.of(data).size * np.prod(shape) > 300:
        return None
    indices = b.variable(shape, constant=True, values=b.rng.integers(0, b.of(data).shape[axis], shape))
    return b.node("take", [data, indices], frozen=(1,), axis=axis)


@way("index")
def pick(b):
    data = b.pick((2, 3))
    s = b.of(data).shape
    index = b.variable(s[:-1], constant=True, values=b.rng.integers(0, s[-1], s[:-1]))
    return b.node("pick", [data, index], frozen=(1,), axis=-1, keepdims=b.chance(0.3))


@way("index")
def where(b):
    x = b.pick()
    s = b.of(x).shape
    condition = b.variable(s, constant=True, values=b.rng.integers(0, 2, s))
    return b.node("where", [condition, x, b.like(s)], frozen=(0,))


@way("shape")
def tile(b):
    data = b.pick((1, 2))
    return b.node("tile", [data], reps=b.one((2,), (1, 2), (2, 1, 2)))


@way("shape")
def repeat(b):
    data = b.pick((1, 2, 3))
    return b.node("repeat", [data], repeats=2, axis=int(b.rng.integers(b.of(data).ndim)))


@way("shape")
def reverse(b):
    data = b.pick()
    return b.node("reverse", [data], axis=int(b.rng.integers(b.of(data).ndim)))


@way("broadcast")
def broadcast_to(b):
    data = b.pick((2, 3), lambda s: 1 in s)
    if data is None:
        return None
    return b.node("broadcast_to", [data], shape=tuple(b.one(0, 3) if d == 1 else b.one(0, d)
                                                      for d in b.of(data).shape))


@way("type")
def Cast(b):
    """To another dtype, an operation there, and back."""
    data = b.pick()
    kind = b.one("float64", "float32", "int32", "int64", "int8", "uint8")
    low = 0.1 if kind == "uint8" else -3
    made = b.node("Cast", [b.fit(data, low, 9)], dtype=kind, keep=False)
    if made and b.chance(0.5) and kind not in ("float32", "float64"):
        made = b.node("_plus_scalar", made, scalar=2, keep=False)
    return made and b.node("Cast", made, dtype=b.dtype)


@way("init", "zeros", "ones")
def constant(b, name):
    return b.node(f"_{name}", call=lambda name, n=name: getattr(mx.sym, n)(shape=b.shape(), dtype=b.dtype, name=name))


@way("init")
def arange(b):
    start, count, step = b.one(-1, 0, 0.5), int(b.rng.integers(1, 6)), b.one(0.5, 1, 1.5)
    return b.node("_arange", call=lambda name: mx.sym.arange(start, start + step * count - 0.1, step,
                                                             repeat=b.one(1, 1, 2), dtype=b.dtype, name=name))


@way("random", "uniform", "normal")
def random(b, name):
    """Random numbers, seen by the graph times nought, and sometimes by the user too."""
    data = b.pick()
    numbers = dict(low=-1, high=2) if name == "uniform" else dict(loc=1, scale=0.5)
    drawn = b.node(f"_random_{name}", shape=b.of(data).shape, dtype=b.dtype, **numbers)
    if b.chance(0.3):
        b.random_heads += drawn
    nothing = b.node("_mul_scalar", drawn, scalar=0, keep=False)
    return nothing and b.node("elemwise_add", [data, nothing[0]])
