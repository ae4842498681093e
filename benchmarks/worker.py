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


def small_jobs(library, lib):
    """name -> (function, calls inside one repetition): tiny work, so that what is timed is the library's own cost."""
    if library == "torch":
        lib.set_grad_enabled(False)
        x, y, m = lib.ones(8), lib.ones(8), lib.ones(8, 8)
        relu, exp, total, mm = lib.relu, lib.exp, lib.sum, lib.mm
        return {"relu(x), 8 elements": (lambda: relu(x), 1), "x + y, 8 elements": (lambda: x + y, 1),
                "x * 2.5, 8 elements": (lambda: x * 2.5, 1), "exp(x), 8 elements": (lambda: exp(x), 1),
                "sum(x, axis=0), 8 elements": (lambda: total(x, dim=0), 1), "dot, 8x8": (lambda: mm(m, m), 1)}
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
    return {**calls, **{f"executor node ({k}), 8 elements": (chain(step), 1000) for k, step in nodes.items()}}


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
