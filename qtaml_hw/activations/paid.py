"""What later tokens pay to each token of a sequence: the attention weights of a network, summed.

Attention written out multiplies them with the values; fused attention shows them where its values are the identity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from torch import nn

from qtaml_hw.activations.attention import PROJECTIONS, SIDES, Attending, whole
from qtaml_hw.activations.taps import Tap
from qtaml_hw.arrays import Float64
from qtaml_hw.weights.effective import evaluating

Seen = Callable[[torch.Tensor], None]


class _Weighing(Attending):
    """Attention whose weights ``seen`` is told."""

    def __init__(self, seen: Seen) -> None:
        super().__init__(whole)
        self.seen = seen

    def fused(self, func: Any, given: dict[str, Any]) -> torch.Tensor:
        """See :class:`Attending`; weights show where the values are the identity."""
        key = given["key"]
        identity = torch.eye(key.shape[-2], dtype=key.dtype, device=key.device)
        self.seen(func(**given | {"value": identity.expand(*key.shape[:-1], key.shape[-2])}))
        return super().fused(func, given)

    def product(self, func: Any, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """See :class:`Attending`."""
        if self.weighs:
            self.seen(left)
        return super().product(func, left, right)


def attention_paid(module: nn.Module, taps: Sequence[Tap], inputs: torch.Tensor, batch: int = 64) -> dict[str, Float64]:
    """[tokens] of keys and values by name: the weights that later tokens give to each, summed over them and over heads,
    the mean over inputs [N, tokens, ...] of one length (what H2O and Kelle rank tokens by, here by position).

    Raises ValueError for attention that shows no weights, with its path.
    """
    owners = {tap.name: _owner(tap) for tap in taps if tap.side in SIDES}
    paid = {path: np.zeros(0) for path in owners.values()}
    modules = dict(module.named_modules())
    with ExitStack() as stack:
        stack.enter_context(evaluating(module))
        stack.enter_context(torch.inference_mode())
        for path in paid:
            stack.enter_context(_Weighing(_adding(paid, path)).inside(modules[path]))
        for chunk in torch.split(inputs, batch):
            module(chunk)
    for path, found in paid.items():
        if not found.size:
            raise ValueError(
                f"tokens.score: attention takes the attention weights of {path}, which neither calls "
                "scaled_dot_product_attention nor multiplies queries, keys and values of [N, heads, tokens, width]: "
                "take score: age"
            )
    return {name: paid[path] / len(inputs) for name, path in owners.items()}


def _owner(tap: Tap) -> str:
    """The attention module of keys or values."""
    path, _, last = tap.module.rpartition(".")
    return path if any(last in pair for pair in PROJECTIONS) else tap.module


def _adding(paid: dict[str, Float64], path: str) -> Seen:
    def seen(weights: torch.Tensor) -> None:
        later = weights.tril(-1).sum(dim=(0, 1, 2), dtype=torch.float64).cpu().numpy()
        paid[path] = later + (paid[path] if paid[path].size else 0.0)

    return seen
