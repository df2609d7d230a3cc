"""Transformer encoder (Vaswani et al. 2017, arXiv:1706.03762) over image patches (ViT, arXiv:2010.11929)."""

from __future__ import annotations

import torch
from torch import nn


class EncoderLayer(nn.Module):
    """Pre-norm self-attention and a two-layer perceptron; queries, keys and values are linear layers of their own."""

    def __init__(self, width: int, heads: int, hidden: int, tokens: int) -> None:
        super().__init__()
        self.heads, self.head_width, self.tokens = heads, width // heads, tokens
        self.norm1 = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, hidden)
        self.gelu = nn.GELU()
        self.fc2 = nn.Linear(hidden, width)

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        """[N, tokens, width] -> [N, heads, tokens, head_width]."""
        return x.reshape(-1, self.tokens, self.heads, self.head_width).transpose(1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm1(x)
        query, key, value = self._split(self.query(y)), self._split(self.key(y)), self._split(self.value(y))
        scores = torch.matmul(query, key.transpose(2, 3)) * self.head_width**-0.5
        mixed = torch.matmul(torch.softmax(scores, dim=-1), value).transpose(1, 2)
        x = x + self.out(mixed.reshape(-1, self.tokens, self.heads * self.head_width))
        out: torch.Tensor = x + self.fc2(self.gelu(self.fc1(self.norm2(x))))
        return out


class Encoder(nn.Module):
    """Input [N, channels, side, side], cut into patches of 2 x 2; output [N, classes] logits of the mean token."""

    def __init__(self, channels: int, side: int, classes: int, width: int, depth: int, hidden: int) -> None:
        super().__init__()
        tokens = (side // 2) ** 2
        self.patch = nn.Conv2d(channels, width, 2, stride=2)
        self.position = nn.Parameter(0.02 * torch.randn(1, tokens, width))
        self.layers = nn.Sequential(*(EncoderLayer(width, 4, hidden, tokens) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.fc = nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.flatten(self.patch(x), 2).transpose(1, 2) + self.position
        logits: torch.Tensor = self.fc(self.norm(self.layers(x)).mean(1))
        return logits


def build(channels: int, side: int, classes: int, width: int = 96, depth: int = 4, hidden: int = 128) -> Encoder:
    """width: token width (a multiple of 4, the number of heads); depth: layers; hidden: width of the perceptrons."""
    if side % 2 or width % 4:
        raise ValueError(f"side must be even and width a multiple of 4, got side {side} and width {width}")
    return Encoder(channels, side, classes, width, depth, hidden)
