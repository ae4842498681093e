"""Module.fit of a small perceptron, 100 batches of 64, beside a PyTorch eager loop that does as much."""
import logging

import numpy as np

from . import Case, _networks, settled

ORDER = 11
BATCHES, BATCH = 100, 64
CASES = [Case("Module.fit, MLP 784-128-64-10, 100 batches of 64", mxnet=3.0, torch=1.5)]


def data():
    rng = np.random.default_rng(0)
    return rng.random((BATCHES * BATCH, 784), "float32"), rng.integers(0, 10, BATCHES * BATCH).astype("float32")


def mx(lib):
    logging.disable(logging.CRITICAL)
    module = lib.mod.Module(_networks.symbol(lib, "mlp"), context=lib.cpu())
    batches = lib.io.NDArrayIter(*data(), batch_size=BATCH)

    def run():
        batches.reset()
        module.fit(batches, num_epoch=1, optimizer="sgd", optimizer_params={"learning_rate": 0.01},
                   eval_metric="acc", initializer=lib.init.Xavier())
    return {"": settled(lib, run)}


def torch(lib):
    """Forward, loss, backward, SGD and the accuracy, batch by batch."""
    import torch_networks
    images, labels = (lib.from_numpy(a) for a in data())
    labels, steps = labels.long(), {}
    for kind in ("foreach", "fused"):
        model = torch_networks.mlp()
        sgd = lib.optim.SGD(model.parameters(), lr=0.01, **{kind: True})

        def run(model=model, sgd=sgd):
            right = 0
            with lib.enable_grad():
                for i in range(0, len(images), BATCH):
                    x, y = images[i:i + BATCH], labels[i:i + BATCH]
                    sgd.zero_grad()
                    scores = model(x)
                    lib.nn.functional.cross_entropy(scores, y).backward()
                    sgd.step()
                    right += int((scores.detach().argmax(1) == y).sum())
            return right / len(images)
        steps[kind] = run
    return steps
