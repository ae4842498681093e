"""Networks, inference."""
from . import Case
from ._networks import inference as mx  # noqa: F401
from ._networks import torch_inference as torch  # noqa: F401

ORDER = 4
CASES = [Case("ResNet-50 inference, b16", "resnet50", 16, best=1.25),
         Case("ResNet-50 inference, b1", "resnet50", 1, best=1.2),
         Case("VGG-16 inference, b4", "vgg16", 4, best=1.8)]
