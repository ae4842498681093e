"""The gates of one step of an lstm, which the cells of ``mx.rnn`` become; whole recurrent layers are cuDNN's."""
from ..launch import FLOATS, Launch, Module, Plan, blocks, i64, ptr
from ..source import CTYPE


def module(dtype):
    return Module("rnn_gates.cu", {"TYPE": CTYPE[dtype]})


def gates(name, args, ins, outs, scalars):
    rows, units = args["rows"], args["hidden"]
    if ins[0].dtype not in FLOATS:
        return None
    if not rows * units or not any(t.address for t in outs):
        return Plan([])
    entry = "backward" if name.endswith("backward") else "forward"
    return Plan([Launch(module(ins[0].dtype), entry, blocks(rows * units, 128), 128,
                        [*map(ptr, ins), *map(ptr, outs), i64(rows), i64(units)])])


KERNELS = {"rnn.lstm_gates": gates, "rnn.lstm_gates_backward": gates}


def MODULES():
    return map(module, FLOATS)
