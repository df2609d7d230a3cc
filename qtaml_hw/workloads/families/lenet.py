"""LeNet-like (LeCun et al. 1998, doi:10.1109/5.726791): two convolutions and three linear layers, ReLU, max pooling."""

from __future__ import annotations

import torch
from torch import nn


class LeNet(nn.Module):
    """Input [N, channels, side, side] with side a multiple of 4; output [N, classes] logits."""

    def __init__(self, channels: int, side: int, classes: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(2 * width * (side // 4) ** 2, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.relu(self.conv1(x)))
        x = self.pool(self.relu(self.conv2(x)))
        x = self.relu(self.fc1(torch.flatten(x, 1)))
        logits: torch.Tensor = self.fc3(self.relu(self.fc2(x)))
        return logits


def build(channels: int, side: int, classes: int, width: int = 16) -> LeNet:
    """width: channels of the first convolution."""
    return LeNet(channels, side, classes, width)
