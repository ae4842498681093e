"""Planned memory for training, in MB: entries and outputs, without arguments and gradients."""
import re

from . import Case, _lstm, _networks

ORDER, UNIT = 13, "MB"
NAMES = (("ResNet-50 b16", "resnet50", (16, 3, 224, 224)), ("Inception-BN b16", "inception-bn", (16, 3, 224, 224)),
         ("LSTM 2x200, 35 steps unrolled, b32", "lstm", (35, 32, 200)))
CASES = [Case(f"planned memory, {text}", name, shape, mxnet=1.0, lower=1 / 1.05) for text, name, shape in NAMES]


def mx(lib, name, shape):
    net = lib.sym.MakeLoss(_lstm.unrolled(lib)) if name == "lstm" else _networks.symbol(lib, name)
    made = net.simple_bind(lib.cpu(), data=shape)
    if lib.__name__ == "mxnet":         # whole megabytes, cut off
        return {"": int(re.search(r"Total (\d+) MB allocated", made.debug_str())[1])}
    plan = made.memory_plan()
    return {"": plan["planned"] / 2**20, "lower": plan["lower_bound"] / 2**20}
