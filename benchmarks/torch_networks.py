"""PyTorch modules that compute what the networks of mxlite.examples.symbols compute, without the softmax."""
from torch import nn


def norm(channels):
    return nn.BatchNorm2d(channels, eps=2e-5, momentum=0.1)


class Unit(nn.Module):
    """A residual unit, version 1: the stride falls on the first convolution."""

    def __init__(self, channels, filters, stride, first, bottleneck):
        super().__init__()
        layers = [(filters // 4, 1), (filters // 4, 3), (filters, 1)] if bottleneck else [(filters, 3), (filters, 3)]
        body, width = [], channels
        for i, (out, size) in enumerate(layers):
            body += [nn.Conv2d(width, out, size, stride if i == 0 else 1, size // 2, bias=False), norm(out)]
            if i + 1 < len(layers):
                body.append(nn.ReLU(inplace=True))
            width = out
        self.body = nn.Sequential(*body)
        self.shortcut = nn.Sequential(nn.Conv2d(channels, filters, 1, stride, bias=False),
                                      norm(filters)) if first else None
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.body(x)
        y += x if self.shortcut is None else self.shortcut(x)
        return self.relu(y)


def resnet(depths, widths, bottleneck, small, classes):
    stem, *filters = widths
    if small:
        layers = [nn.Conv2d(3, stem, 3, 1, 1, bias=False), norm(stem)]
    else:
        layers = [nn.Conv2d(3, stem, 7, 2, 3, bias=False), norm(stem), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    channels = stem
    for stage, (depth, width) in enumerate(zip(depths, filters)):
        for i in range(depth):
            layers.append(Unit(channels, width, 2 if stage and i == 0 else 1, i == 0, bottleneck))
            channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def resnet50():
    return resnet((3, 4, 6, 3), (64, 256, 512, 1024, 2048), True, False, 1000)


def resnet18_small():
    return resnet((2, 2, 2, 2), (64, 64, 128, 256, 512), False, True, 10)


def vgg16():
    layers, channels = [], 3
    for depth, width in zip((2, 2, 3, 3, 3), (64, 128, 256, 512, 512)):
        for _ in range(depth):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        layers.append(nn.MaxPool2d(2, 2))
    layers.append(nn.Flatten())
    for size in (512 * 7 * 7, 4096):
        layers += [nn.Linear(size, 4096), nn.ReLU(inplace=True), nn.Dropout(0.5)]
    return nn.Sequential(*layers, nn.Linear(4096, 1000))


def mlp():
    return nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))


def lenet():
    return nn.Sequential(nn.Conv2d(1, 20, 5), nn.Tanh(), nn.MaxPool2d(2, 2), nn.Conv2d(20, 50, 5), nn.Tanh(),
                         nn.MaxPool2d(2, 2), nn.Flatten(), nn.Linear(800, 500), nn.Tanh(), nn.Linear(500, 10))
