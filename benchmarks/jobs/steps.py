"""Small networks, a training step: forward, backward, SGD."""
from . import Case
from ._networks import torch_training as torch  # noqa: F401
from ._networks import training as mx  # noqa: F401

ORDER = 6
CASES = [Case("MLP 784-128-64-10 training, b64", "mlp", 64, best=2.0),
         Case("LeNet training, b64", "lenet", 64, best=1.5)]
