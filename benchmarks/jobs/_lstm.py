"""Two layers of LSTM as symbols: the fused operator, and cells unrolled."""


def fused(lib, hidden=200, layers=2):
    var = lib.sym.Variable
    return lib.sym.RNN(var("data"), var("parameters"), var("state"), var("state_cell"), state_size=hidden,
                       num_layers=layers, mode="lstm", name="rnn")


def unrolled(lib, hidden=200, layers=2, steps=35):
    """Outputs of all steps, (steps, batch, hidden)."""
    cells = lib.rnn.SequentialRNNCell()
    for i in range(layers):
        cells.add(lib.rnn.LSTMCell(hidden, prefix=f"l{i}_"))
    outputs, _ = cells.unroll(steps, lib.sym.Variable("data"), layout="TNC", merge_outputs=True)
    return outputs
