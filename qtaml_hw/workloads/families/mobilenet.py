"""MobileNet-like (Howard et al. 2017, arXiv:1704.04861): depthwise 3x3 then pointwise 1x1 convolutions."""

from __future__ import annotations

import torch
from torch import nn


class SeparableConv(nn.Module):
    """Depthwise 3x3 and pointwise 1x1, each with batch norm and ReLU."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(before, before, 3, stride=stride, padding=1, groups=before, bias=False)
        self.bn1 = nn.BatchNorm2d(before)
        self.pointwise = nn.Conv2d(before, after, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.bn1(self.depthwise(x)))
        out: torch.Tensor = self.relu(self.bn2(self.pointwise(x)))
        return out


class MobileNet(nn.Module):
    """Input [N, channels, side, side]; output [N, classes] logits."""

    def __init__(self, channels: int, classes: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.blocks = nn.Sequential(
            SeparableConv(width, 2 * width, 1),
            SeparableConv(2 * width, 4 * width, 2),
            SeparableConv(4 * width, 4 * width, 1),
            SeparableConv(4 * width, 8 * width, 2),
            SeparableConv(8 * width, 8 * width, 1),
        )
        self.fc = nn.Linear(8 * width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.blocks(self.relu(self.bn1(self.conv1(x))))
        logits: torch.Tensor = self.fc(x.mean((2, 3)))
        return logits


def build(channels: int, side: int, classes: int, width: int = 24) -> MobileNet:
    """width: channels of the first convolution; ``side`` may be anything >= 4."""
    if side < 4:
        raise ValueError(f"a MobileNet with two strides needs images of at least 4 x 4 pixels, got side {side}")
    return MobileNet(channels, classes, width)
