"""Networks, a training step: forward, backward, SGD."""
from . import Case
from ._networks import torch_training as torch  # noqa: F401
from ._networks import training as mx  # noqa: F401

ORDER = 5
CASES = [Case("ResNet-50 training, b8", "resnet50", 8, best=1.15),
         Case("ResNet-18 32x32 training, b32", "resnet18-small", 32, best=1.5)]
