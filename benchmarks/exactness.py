"""How exact results are: the largest error of each family of operators, beside what docs/numbers.md promises.

    python benchmarks/exactness.py [--level avx2] [--seed 1]

Errors are against the same computation in the next wider type (float64 for float32 and float16, long double for
float64). *ulp*: distance to the right result in units of its last place. *eps*: error divided by the machine epsilon of
the dtype and by the size of what is summed (the sum of absolute values of the terms), which is what rounding errors of
a sum go by.
"""
import argparse

import numpy as np

import mxlite as mx

WIDER = {"float16": "float64", "float32": "float64", "float64": "longdouble"}
# family -> what docs/numbers.md promises, by dtype, in the unit of the family
PROMISED = {
    ("arithmetic", "ulp"): {"float16": 0.501, "float32": 0.501, "float64": 0.501},
    ("functions", "ulp"): {"float16": 0.51, "float32": 2.5, "float64": 4},
    ("gamma functions", "ulp"): {"float32": 1, "float64": 16},
    ("sums", "eps"): {"float16": 0.6, "float32": 0.6, "float64": 1},
    ("products of matrices", "eps"): {"float32": 8, "float64": 8},
    ("Convolution", "eps"): {"float32": 8, "float64": 8},
    ("average pooling", "eps"): {"float32": 4, "float64": 4},
    ("softmax", "ulp"): {"float16": 0.51, "float32": 40, "float64": 40},
    ("BatchNorm", "eps"): {"float32": 16, "float64": 16},
}


def ulp(got, want):
    near = want.astype(got.dtype)
    fine = np.isfinite(near) & np.isfinite(got) & (np.abs(near) >= np.finfo(got.dtype).tiny)
    assert (fine | (got == near) | (np.abs(near) < np.finfo(got.dtype).tiny)).all()
    return float((np.abs(got.astype(want.dtype) - want) / np.spacing(np.abs(near)).astype(want.dtype))[fine].max())


def eps(got, want, size):
    return float((np.abs(got.astype(want.dtype) - want) / size).max() / np.finfo(got.dtype).eps)


def arithmetic(rng, dtype, wide):
    a, b = rng.uniform(0.5, 100, (2, 10000)).astype(dtype)
    x, y, ends = mx.nd.array(a, dtype=dtype), mx.nd.array(b, dtype=dtype), (a.astype(wide), b.astype(wide))
    for op in (lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / b):
        yield ulp(op(x, y).asnumpy(), op(*ends))
    yield ulp(x.sqrt().asnumpy(), np.sqrt(ends[0]))


def functions(rng, dtype, wide):
    a = np.concatenate([rng.uniform(-8, 8, 10000), rng.uniform(-1, 1, 10000)]).astype(dtype)
    w = a.astype(wide)
    positive = np.abs(w) + np.asarray(0.001, wide)
    logs = np.asarray(positive, dtype)
    for name in ("exp", "expm1", "tanh", "sin", "cos", "arctan", "sinh", "arcsinh", "cbrt"):
        yield ulp(getattr(mx.nd, name)(mx.nd.array(a, dtype=dtype)).asnumpy(), getattr(np, name)(w))
    yield ulp(mx.nd.sigmoid(mx.nd.array(a, dtype=dtype)).asnumpy(), 1 / (1 + np.exp(-w)))
    for name in ("log", "log2", "log10", "log1p"):
        yield ulp(getattr(mx.nd, name)(mx.nd.array(logs, dtype=dtype)).asnumpy(), getattr(np, name)(logs.astype(wide)))


def gamma(rng, dtype, wide):
    import math
    a = rng.uniform(0.2, 20, 3000).astype(dtype)
    want = np.array([math.gamma(v) for v in a.astype("float64")])
    yield ulp(mx.nd.gamma(mx.nd.array(a, dtype=dtype)).asnumpy(), want)


def sums(rng, dtype, wide):
    for shape, axis in (((1000000,), 0), ((300, 3000), 1), ((3000, 300), 0)):
        a = rng.uniform(-1, 1, shape).astype(dtype)
        size = np.abs(a.astype(wide)).sum(axis=axis)
        if dtype == "float16":      # the result itself is rounded to float16
            size = np.maximum(size, 1)
        got = mx.nd.array(a, dtype=dtype).sum(axis=axis).asnumpy()
        yield eps(got, a.astype(wide).sum(axis=axis).reshape(got.shape), size)


def products(rng, dtype, wide):
    for m, k, n in ((60, 1000, 70), (1, 2000, 300), (65, 33, 129)):
        a, b = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
        got = mx.nd.dot(mx.nd.array(a, dtype=dtype), mx.nd.array(b, dtype=dtype)).asnumpy()
        yield eps(got, a.astype(wide) @ b.astype(wide), np.abs(a).astype(wide) @ np.abs(b).astype(wide))


def convolution(rng, dtype, wide):
    for kernel in (1, 3, 5):
        x, w = rng.normal(size=(2, 32, 12, 12)).astype(dtype), rng.normal(size=(16, 32, kernel, kernel)).astype(dtype)
        got = mx.nd.Convolution(mx.nd.array(x, dtype=dtype), mx.nd.array(w, dtype=dtype), kernel=(kernel, kernel),
                                num_filter=16, no_bias=True).asnumpy()
        windows = np.lib.stride_tricks.sliding_window_view(x.astype(wide), (kernel, kernel), axis=(2, 3))
        want, size = (np.einsum("nchwkl,fckl->nfhw", f(windows), f(w.astype(wide))) for f in (lambda v: v, np.abs))
        yield eps(got, want, size)


def pooling(rng, dtype, wide):
    x = rng.normal(size=(2, 8, 16, 16)).astype(dtype)
    got = mx.nd.Pooling(mx.nd.array(x, dtype=dtype), kernel=(4, 4), stride=(4, 4), pool_type="avg").asnumpy()
    parts = x.astype(wide).reshape(2, 8, 4, 4, 4, 4)
    yield eps(got, parts.mean(axis=(3, 5)), np.abs(parts).mean(axis=(3, 5)))


def softmax(rng, dtype, wide):
    for shape in ((100, 10), (20, 5000)):
        x = rng.normal(0, 2, shape).astype(dtype)
        e = np.exp(x.astype(wide) - x.astype(wide).max(axis=1, keepdims=True))
        yield ulp(mx.nd.softmax(mx.nd.array(x, dtype=dtype)).asnumpy(), e / e.sum(axis=1, keepdims=True))


def batch_norm(rng, dtype, wide):
    x = rng.normal(3, 2, (16, 8, 10, 10)).astype(dtype)
    ones, zeros = mx.nd.ones((8,), dtype=dtype), mx.nd.zeros((8,), dtype=dtype)
    net = mx.sym.BatchNorm(mx.sym.Variable("x"), eps=1e-3, fix_gamma=False, name="bn")
    bound = net.bind(mx.cpu(), {"x": mx.nd.array(x, dtype=dtype), "bn_gamma": ones, "bn_beta": zeros},
                     aux_states={"bn_moving_mean": zeros.copy(), "bn_moving_var": ones.copy()})
    w = x.astype(wide)
    mean, var = w.mean(axis=(0, 2, 3), keepdims=True), w.var(axis=(0, 2, 3), keepdims=True)
    want = (w - mean) / np.sqrt(var + np.asarray(1e-3, wide))
    yield eps(bound.forward(is_train=True)[0].asnumpy(), want, np.maximum(np.abs(w) / np.sqrt(var), 1))


MEASURE = dict(zip(PROMISED, (arithmetic, functions, gamma, sums, products, convolution, pooling, softmax, batch_norm)))


def measured(seed=1):
    """[(family, unit, dtype, largest error, promised)] at the level that is set."""
    out = []
    for (family, unit), promised in PROMISED.items():
        for dtype, bound in promised.items():
            rng = np.random.default_rng(seed)
            with np.errstate(all="ignore"):
                worst = max(MEASURE[family, unit](rng, dtype, WIDER[dtype]))
            out.append((family, unit, dtype, worst, bound))
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--level", help="baseline, avx2 or avx512 (default: the one that is set)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.level:
        mx.runtime.set_isa(options.level)
    print(f"level {mx.runtime.info()['isa']}, seed {options.seed}\n")
    print(f"{'family':22}{'dtype':9}{'largest error':>14}{'promised':>10}  unit")
    for family, unit, dtype, worst, bound in measured(options.seed):
        print(f"{family:22}{dtype:9}{worst:14.3f}{bound:10g}  {unit}{'' if worst <= bound else '   EXCEEDED'}")


if __name__ == "__main__":
    main()
