"""What benchmarks/gpu.py measures, as data: one row a network, batch, way of running and precision.

`tiny` rows are the same with so little work that a processor does it: they prove the programs, not the speed.
"""
import collections
import sys

# kind: "training", "inference", "bandwidth", "latency", "host". goal: {"best": times the speed of the better one of
# torch.compile and JAX, "eager": of PyTorch without it, "copy": share of a copy's bandwidth, "host": microseconds}.
Row = collections.namedtuple("Row", "name network kind batch mode goal")
FASTER = {"best": 1.0, "eager": 1.3}
MODES = ("float32", "TF32", "float16", "bfloat16")
DTYPE = {"TF32": "float32"}             # of the arrays; other modes are dtypes
CHAINS = ("copy", "relu", "add", "multiply, add, relu")
Sizes = collections.namedtuple("Sizes", "resnet lstm elements")      # (depths of stages, picture), (T, N, H), elements
FULL = Sizes(((3, 4, 6, 3), 224, 1000), (35, 32, 200), 1 << 26)
TINY = Sizes(((1, 1, 1), 16, 10), (3, 2, 8), 1 << 12)


def rows():
    """The rows, most wanted first: what time is left out for stands last."""
    out = []

    def add(network, kind, batch, mode, goal):
        where = f", b{batch}" if batch else ""
        out.append(Row(f"{network} {kind}{where}, {mode}", network, kind, batch, mode, goal))
    for chain in CHAINS:
        add(chain, "bandwidth", 0, "float32", {} if chain == "copy" else {"copy": 0.9, "best": 1.0})
    add("MLP", "host", 64, "float32", {"host": 15.0})
    add("MLP", "latency", 1, "float32", FASTER)
    for network in ("MLP", "LeNet"):
        for kind in ("training", "inference"):
            add(network, kind, 64, "float32", FASTER)
    for mode in ("TF32", "float16", "float32", "bfloat16"):
        for batch in (64, 256, 1):
            for kind in ("training", "inference"):
                add("ResNet-50", kind, batch, mode, FASTER)
        if mode != "bfloat16":
            add("LSTM", "training", 0, mode, FASTER)
    for network in ("MLP", "LeNet"):
        add(network, "training", 64, "float16", FASTER)
    return out


def find(name):
    return next(r for r in rows() if r.name == name)


def sizes(tiny):
    return TINY if tiny else FULL


def size_of(row, tiny):
    """(batch, shape of an example) of a network's row."""
    batch = min(row.batch, 2) if tiny else row.batch
    s = sizes(tiny)
    return batch, {"MLP": (784,), "LeNet": (1, 28, 28), "ResNet-50": (3, s.resnet[1], s.resnet[1])}[row.network]


def bytes_of(row, tiny):
    """Bytes that an element-wise row reads and writes."""
    arrays = {"copy": 2, "relu": 2, "add": 3, "multiply, add, relu": 4}[row.network]
    return 4 * arrays * sizes(tiny).elements


if __name__ == "__main__":
    sys.stdout.writelines(f"{r.name}\n" for r in rows())
