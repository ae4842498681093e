"""simple_bind for training; the same with the first step, on so little data that it is the making that counts."""
from . import Case, _lstm, _networks, settled

ORDER = 12
CASES = [Case("simple_bind of ResNet-50, training", "resnet50", (8, 3, 224, 224), False, mxnet=1.0),
         Case("simple_bind of LSTM 2x200, 200 steps unrolled", "lstm", (200, 32, 200), False, mxnet=1.0),
         Case("simple_bind and first step, ResNet-50, b1, 64x64", "resnet50-small", (1, 3, 64, 64), True, mxnet=1.0),
         Case("simple_bind and first step, LSTM 2x200, 200 steps, b1", "lstm", (200, 1, 200), True, mxnet=1.0)]


def mx(lib, name, shape, step):
    make = (lambda lib: lib.sym.MakeLoss(_lstm.unrolled(lib, steps=200))) if name == "lstm" else None
    net = make(lib) if make else _networks.symbol(lib, name)

    def run():
        made = net.simple_bind(lib.cpu(), data=shape)
        if step:
            made.forward(is_train=True)
            made.backward()
    return {"": settled(lib, run)}
