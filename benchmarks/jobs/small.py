"""Tiny work, one thread: what is timed is the library's own cost of a call, a node, a recorded step."""
from . import Case, settled

ORDER, THREADS, WALL = 10, 1, True
CALLS = ("relu(x)", "x + y", "x * 2.5", "exp(x)", "sum(x, axis=0)", "dot, 8x8")
NODES = ("relu", "tanh", "exp", "x * 0.5", "x + y")
LENGTH = 1000
# In a chain of nodes each waits for the one before, so that a row of exp shows how long exp of one number takes. The
# terms of a sum do not wait for each other: that row shows how many there are in a second.
TERMS = 334
SCALES = [1 - k / 1000 for k in range(TERMS)]       # all different: MXNet computes equal nodes once
CASES = [Case(f"call {c}, 8 elements", "call", c, torch=5.0, mxnet=40.0) for c in CALLS] \
    + [Case(f"{LENGTH} executor nodes ({n}), 8 elements", "node", n, torch=5.0, mxnet=40.0) for n in NODES] \
    + [Case(f"{3 * TERMS - 1} executor nodes (sum of {TERMS} {n}(x * c)), 8 elements", "terms", n, torch=5.0,
            mxnet=40.0) for n in ("exp", "tanh")] \
    + [Case("recorded chain of 21, 8 elements", "chain", ""),
       Case("recorded perceptron 3 x 64, b32", "perceptron", "")]


def mx(lib, kind, what):
    nd, sym = lib.nd, lib.sym
    if kind in ("chain", "perceptron"):
        return recorded(lib, kind)
    x, y, m = nd.ones((8,)), nd.ones((8,)), nd.ones((8, 8))
    if kind == "call":
        relu, exp, total, mm = nd.relu, nd.exp, nd.sum, nd.dot
        call = {"relu(x)": lambda: relu(x), "x + y": lambda: x + y, "x * 2.5": lambda: x * 2.5,
                "exp(x)": lambda: exp(x), "sum(x, axis=0)": lambda: total(x, axis=0),
                "dot, 8x8": lambda: mm(m, m)}[what]
        return {"": (lambda: call().wait_to_read()) if lib.__name__ == "mxnet" else call}
    step = {"relu": lambda net, v: sym.relu(net), "tanh": lambda net, v: sym.tanh(net),
            "exp": lambda net, v: sym.exp(net), "x * 0.5": lambda net, v: net * 0.5,
            "x + y": lambda net, v: net + v}[what]
    net = variable = sym.Variable("x")
    if kind == "terms":
        net = step(variable * SCALES[0], None)
        for scale in SCALES[1:]:
            net = net + step(variable * scale, None)
    for _ in range(LENGTH if kind == "node" else 0):
        net = step(net, variable)
    executor = net.bind(lib.cpu(), {"x": x})
    return {"": settled(lib, lambda: executor.forward(is_train=False))}


def recorded(lib, kind):
    """Forward and backward under mx.autograd: a chain of small functions, or three layers of a perceptron."""
    nd, ag = lib.nd, lib.autograd
    x, data = nd.random.uniform(shape=(8,)), nd.random.uniform(shape=(32, 64))
    weights = [nd.random.uniform(shape=(64, 64)) for _ in range(3)]
    biases = [nd.random.uniform(shape=(64,)) for _ in range(3)]
    for a in [x, *weights, *biases]:
        a.attach_grad()

    def chain():
        with ag.record():
            y = x
            for _ in range(10):
                y = nd.relu(y * 2)
            y = y.sum()
        y.backward()
        x.grad.wait_to_read()

    def perceptron():
        with ag.record():
            y = data
            for w, b in zip(weights, biases):
                y = nd.relu(nd.FullyConnected(y, w, b, num_hidden=64))
            y = y.sum()
        y.backward()
        weights[0].grad.wait_to_read()
    return {"": chain if kind == "chain" else perceptron}


def torch(lib, kind, what):
    x, y, m = lib.ones(8), lib.ones(8), lib.ones(8, 8)
    if kind in ("chain", "perceptron"):
        return torch_recorded(lib, kind)
    if kind == "call":
        relu, exp, total, mm = lib.relu, lib.exp, lib.sum, lib.mm
        return {"": {"relu(x)": lambda: relu(x), "x + y": lambda: x + y, "x * 2.5": lambda: x * 2.5,
                     "exp(x)": lambda: exp(x), "sum(x, axis=0)": lambda: total(x, dim=0),
                     "dot, 8x8": lambda: mm(m, m)}[what]}
    out = lib.empty(8)
    new = {"relu": lib.relu, "tanh": lib.tanh, "exp": lib.exp, "x * 0.5": lambda a: a * 0.5, "x + y": lambda a: a + y}
    kept = {"relu": lambda a: lib.ops.aten.relu.out(a, out=out), "tanh": lambda a: lib.tanh(a, out=out),
            "exp": lambda a: lib.exp(a, out=out), "x * 0.5": lambda a: lib.mul(a, 0.5, out=out),
            "x + y": lambda a: lib.add(a, y, out=out)}

    if kind == "terms":
        f, kept_f, total = new[what], kept[what], lib.empty(8)

        def allocating():
            with lib.inference_mode():
                s = f(x * SCALES[0])
                for scale in SCALES[1:]:
                    s = s + f(x * scale)

        def writing():
            with lib.inference_mode():
                total.zero_()
                for scale in SCALES:
                    lib.mul(x, scale, out=out)
                    lib.add(total, kept_f(out), out=total)
        return {"": allocating, "out=": writing}

    def chain(f):
        def run():
            with lib.inference_mode():
                a = x
                for _ in range(LENGTH):
                    a = f(a)
        return run
    return {"": chain(new[what]), "out=": chain(kept[what])}


def torch_recorded(lib, kind):
    x = lib.rand(8, requires_grad=True)
    weights = [lib.rand(64, 64, requires_grad=True) for _ in range(3)]
    biases = [lib.rand(64, requires_grad=True) for _ in range(3)]
    data = lib.rand(32, 64)

    def chain():
        with lib.enable_grad():
            x.grad = None
            y = x
            for _ in range(10):
                y = lib.relu(y * 2)
            y.sum().backward()

    def perceptron():
        with lib.enable_grad():
            y = data
            for w, b in zip(weights, biases):
                w.grad = b.grad = None
                y = lib.relu(lib.nn.functional.linear(y, w, b))
            y.sum().backward()
    return {"": chain if kind == "chain" else perceptron}
