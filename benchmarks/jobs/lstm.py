"""Two layers of LSTM, 200 wide, 35 steps, batch 32: forward and backward."""
import numpy as np

from . import Case, _lstm, array, settled
from ._networks import fill

ORDER = 7
STEPS, BATCH, HIDDEN = 35, 32, 200
CASES = [Case("LSTM 2x200, 35 steps, b32 training, fused", "fused", best=1.3),
         Case("LSTM 2x200, 35 steps, b32 training, unrolled", "unrolled", best=1.5)]


def mx(lib, kind):
    net = getattr(_lstm, kind)(lib)
    made = net.simple_bind(lib.cpu(), data=(STEPS, BATCH, HIDDEN), grad_req={
        k: "null" if k == "data" or "state" in k else "write" for k in net.list_arguments()})
    fill(made)
    made.arg_dict["data"][:] = np.random.default_rng(0).random((STEPS, BATCH, HIDDEN)) - 0.5
    head = array(lib, np.ones((STEPS, BATCH, HIDDEN)))

    def step():
        made.forward(is_train=True)
        made.backward([head])
    return {"": settled(lib, step)}


def torch(lib, kind):
    data, head = lib.rand(STEPS, BATCH, HIDDEN) - 0.5, lib.ones(STEPS, BATCH, HIDDEN)
    nn = lib.nn
    if kind == "fused":
        model = nn.LSTM(HIDDEN, HIDDEN, 2)

        def run():
            return model(data)[0]
    else:
        model = nn.ModuleList([nn.LSTMCell(HIDDEN, HIDDEN) for _ in range(2)])

        def run():
            states, outputs = [None, None], []
            for x in data:
                for i, cell in enumerate(model):
                    states[i] = cell(x, states[i])
                    x = states[i][0]
                outputs.append(x)
            return lib.stack(outputs)

    def step():
        with lib.enable_grad():
            model.zero_grad()
            run().backward(head)
    return {"": step}
