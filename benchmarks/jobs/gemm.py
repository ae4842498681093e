"""Square matrix products, all transposes: beside OpenBLAS (NumPy's and MXNet's), MKL (PyTorch) and oneDNN."""
import numpy as np

from . import Case, Total, array, forward

ORDER = 0
SIZES, WAYS = (128, 256, 512, 1024, 2048), ("NN", "NT", "TN", "TT")
SKINNY = ((64, 128, 784), (64, 10, 128), (32, 1000, 2048), (1, 1000, 2048), (1, 4096, 4096))
CASES = [Case(f"dot {n}^3 {way}", n, n, n, way, best=0.95) for n in SIZES for way in WAYS] \
    + [Case(f"dot {m}x{n}x{k} {way}", m, n, k, way) for m, n, k in SKINNY for way in ("NN", "NT")]
TOTALS = [Total("dot, geometric mean", "mean", {c.name: 1 for c in CASES if c.goal}, {"best": 1.0})]


def operands(m, n, k, way):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((m, k), "float32"), rng.standard_normal((k, n), "float32")
    return (a.T.copy() if way[0] == "T" else a), (b.T.copy() if way[1] == "T" else b)


def mx(lib, m, n, k, way):
    a, b = (array(lib, x) for x in operands(m, n, k, way))
    net = lib.sym.dot(lib.sym.Variable("a"), lib.sym.Variable("b"), transpose_a=way[0] == "T",
                      transpose_b=way[1] == "T")
    steps = forward(lib, net, {"a": a, "b": b})
    if lib.__name__ == "mxnet" and way == "NT":         # MXNet's dot is OpenBLAS; this is its road to oneDNN
        net = lib.sym.FullyConnected(lib.sym.Variable("a"), lib.sym.Variable("b"), no_bias=True, num_hidden=n)
        steps["FullyConnected"] = forward(lib, net, {"a": a, "b": b})[""]
    return steps


def torch(lib, m, n, k, way):
    a, b = (array(lib, x) for x in operands(m, n, k, way))
    a, b = a.t() if way[0] == "T" else a, b.t() if way[1] == "T" else b
    out = lib.empty(m, n)
    steps = {"out=": lambda: lib.mm(a, b, out=out)}
    if way == "NT":
        weight = b.t()
        steps["linear"] = lambda: lib.nn.functional.linear(a, weight)
    return steps


def numpy(lib, m, n, k, way):
    a, b = operands(m, n, k, way)
    a, b, out = a.T if way[0] == "T" else a, b.T if way[1] == "T" else b, np.empty((m, n), "float32")
    return {"out=": lambda: np.dot(a, b, out=out)}
