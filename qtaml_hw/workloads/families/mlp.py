"""Multi-layer perceptron: linear layers and ReLU, nothing else."""

from __future__ import annotations

import torch
from torch import nn


class MLP(nn.Module):
    """Input [N, ...] flattened to ``inputs`` values; two hidden layers; output [N, classes] logits."""

    def __init__(self, inputs: int, classes: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(inputs, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.fc3 = nn.Linear(hidden, classes)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.fc1(torch.flatten(x, 1)))
        logits: torch.Tensor = self.fc3(self.relu(self.fc2(x)))
        return logits


def build(channels: int, side: int, classes: int, hidden: int = 1024) -> MLP:
    """hidden: width of both hidden layers."""
    return MLP(channels * side * side, classes, hidden)
