"""VGG-like (Simonyan and Zisserman 2015, arXiv:1409.1556), its wide linear layers over-parameterised on purpose."""

from __future__ import annotations

import torch
from torch import nn


class VGG(nn.Module):
    """Two stages of two 3x3 convolutions, then two hidden linear layers.

    Input [N, channels, side, side] with side a multiple of 4; output [N, classes] logits.
    """

    def __init__(self, channels: int, side: int, classes: int, width: int, hidden: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = channels
        for stage in range(2):
            after = width * 2**stage
            for _ in range(2):
                layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
                before = after
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(before * (side // 4) ** 2, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, classes),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.classifier(torch.flatten(self.features(x), 1))
        return logits


def build(channels: int, side: int, classes: int, width: int = 24, hidden: int = 2048) -> VGG:
    """width: channels of the first stage; hidden: width of both hidden linear layers."""
    return VGG(channels, side, classes, width, hidden)
