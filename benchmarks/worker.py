"""One library's side of a benchmark: reads a job's number from stdin, answers with seconds a repetition, one line each.

    python worker.py mxlite|mxnet|torch
"""
import json
import sys
import time


def load(library):
    """The library, as ``mx`` (or torch itself)."""
    if library == "mxlite":
        import mxlite
        return mxlite
    if library == "mxnet":
        import numpy
        numpy.bool = bool           # MXNet 1.9.1 wants the alias that NumPy 1.24 dropped
        import mxnet
        return mxnet
    import torch
    return torch


RECORDED = ("recorded chain of 21, 8 elements", "recorded perceptron 3 x 64, batch 32")


def small_jobs(library, lib):
    """name -> (function, calls inside one repetition): tiny work, so that what is timed is the library's own cost."""
    if library == "torch":
        lib.set_grad_enabled(False)
        x, y, m = lib.ones(8), lib.ones(8), lib.ones(8, 8)
        relu, exp, total, mm = lib.relu, lib.exp, lib.sum, lib.mm
        return {"relu(x), 8 elements": (lambda: relu(x), 1), "x + y, 8 elements": (lambda: x + y, 1),
                "x * 2.5, 8 elements": (lambda: x * 2.5, 1), "exp(x), 8 elements": (lambda: exp(x), 1),
                "sum(x, axis=0), 8 elements": (lambda: total(x, dim=0), 1), "dot, 8x8": (lambda: mm(m, m), 1),
                **recorded_torch(lib)}
    nd, sym = lib.nd, lib.sym
    x, y, m = nd.ones((8,)), nd.ones((8,)), nd.ones((8, 8))
    relu, exp, total, mm = nd.relu, nd.exp, nd.sum, nd.dot

    def chain(step):
        """A forward through 1000 nodes made by `step`."""
        net = variable = sym.Variable("x")
        for _ in range(1000):
            net = step(net, variable)
        executor = net.bind(lib.cpu(), {"x": x})
        return lambda: executor.forward(is_train=False)[0].wait_to_read()

    def settle(call):
        """MXNet queues its work: a repetition ends when the result is there."""
        def run():
            call().wait_to_read()
        return run if library == "mxnet" else call

    # Cheap and dear functions, one and two inputs: what a node costs depends on what it computes.
    nodes = {"relu": lambda net, v: sym.relu(net), "tanh": lambda net, v: sym.tanh(net),
             "exp": lambda net, v: sym.exp(net), "x * 0.5": lambda net, v: net * 0.5, "x + y": lambda net, v: net + v}
    calls = {"relu(x), 8 elements": (settle(lambda: relu(x)), 1), "x + y, 8 elements": (settle(lambda: x + y), 1),
            "x * 2.5, 8 elements": (settle(lambda: x * 2.5), 1), "exp(x), 8 elements": (settle(lambda: exp(x)), 1),
            "sum(x, axis=0), 8 elements": (settle(lambda: total(x, axis=0)), 1), "dot, 8x8": (settle(
                lambda: mm(m, m)), 1)}
    return {**calls, **{f"executor node ({k}), 8 elements": (chain(step), 1000) for k, step in nodes.items()},
            **recorded(lib)}


def recorded_torch(torch):
    """Forward and backward, recorded: a chain of small functions, and three layers of a perceptron."""
    x = torch.rand(8, requires_grad=True)
    weights = [torch.rand(64, 64, requires_grad=True) for _ in range(3)]
    biases = [torch.rand(64, requires_grad=True) for _ in range(3)]
    data = torch.rand(32, 64)

    def chain():
        with torch.enable_grad():
            x.grad = None
            y = x
            for _ in range(10):
                y = torch.relu(y * 2)
            y.sum().backward()

    def layers():
        with torch.enable_grad():
            y = data
            for w, b in zip(weights, biases):
                w.grad = b.grad = None
                y = torch.relu(torch.nn.functional.linear(y, w, b))
            y.sum().backward()
    return {RECORDED[0]: (chain, 1), RECORDED[1]: (layers, 1)}


def recorded(lib):
    """What `recorded_torch` does, under mx.autograd."""
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

    def layers():
        with ag.record():
            y = data
            for w, b in zip(weights, biases):
                y = nd.relu(nd.FullyConnected(y, w, b, num_hidden=64))
            y = y.sum()
        y.backward()
        weights[0].grad.wait_to_read()
    return {RECORDED[0]: (chain, 1), RECORDED[1]: (layers, 1)}


def measure(function, calls, budget=0.05):
    """Seconds a call: as many repetitions as fill `budget`, timed as one."""
    function()
    n = 1
    while True:
        began = time.perf_counter()
        for _ in range(n):
            function()
        spent = time.perf_counter() - began
        if spent > budget / 4:
            return spent / n / calls
        n *= 2


def main():
    library = sys.argv[1]
    out = sys.stdout
    sys.stdout = sys.stderr             # libraries print; answers have this pipe to themselves
    jobs = small_jobs(library, load(library))
    print(json.dumps(list(jobs)), file=out, flush=True)
    for line in sys.stdin:
        function, calls = jobs[json.loads(line)]
        print(json.dumps(measure(function, calls)), file=out, flush=True)


if __name__ == "__main__":
    main()
