"""ResNet-like (He et al. 2016, arXiv:1512.03385): three stages of two basic blocks, projection shortcuts."""

from __future__ import annotations

import torch
from torch import nn


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (1x1 convolution where the shape changes)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.relu = nn.ReLU()
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out: torch.Tensor = self.relu(y + self.shortcut(x))
        return out


class ResNet(nn.Module):
    """Input [N, channels, side, side]; output [N, classes] logits."""

    def __init__(self, channels: int, classes: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        blocks: list[nn.Module] = []
        before = width
        for stage in range(3):
            after = width * 2**stage
            blocks += [BasicBlock(before, after, 2 if stage else 1), BasicBlock(after, after, 1)]
            before = after
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(before, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.blocks(self.relu(self.bn1(self.conv1(x))))
        logits: torch.Tensor = self.fc(x.mean((2, 3)))
        return logits


def build(channels: int, side: int, classes: int, width: int = 24) -> ResNet:
    """width: channels of the first stage; ``side`` may be anything >= 4."""
    if side < 4:
        raise ValueError(f"a ResNet of three stages needs images of at least 4 x 4 pixels, got side {side}")
    return ResNet(channels, classes, width)
