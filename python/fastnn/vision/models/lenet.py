"""LeNet-5."""

import fastnn
from fastnn import nn

from ._weights import load

__all__ = ["LeNet", "lenet"]


class LeNet(nn.Module):
    """Two convolutions and three linear layers, for images [N, 1, 28, 28] (or [N, in_channels, 28, 28])."""

    def __init__(self, num_classes=10, in_channels=1):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 6, kernel_size=5, padding=2),
            nn.Sigmoid(),
            nn.AvgPool2d(kernel_size=2, stride=2),
            nn.Conv2d(6, 16, kernel_size=5),
            nn.Sigmoid(),
            nn.AvgPool2d(kernel_size=2, stride=2),
        )
        self.classifier = nn.Sequential(
            nn.Linear(16 * 5 * 5, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, num_classes)
        )

    def forward(self, x):
        return self.classifier(fastnn.flatten(self.features(x), 1))


def lenet(*, weights=None, progress=True, **kwargs):
    """LeNet-5."""
    return load(LeNet(**kwargs), "lenet", weights)
