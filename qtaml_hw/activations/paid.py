"""What later tokens pay to each token of a sequence: the attention weights of a network, summed.

Eager attention answers its weights beside its output; fused attention shows them where its values are the identity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from qtaml_hw.activations.taps import PROJECTIONS, Attending, Tap
from qtaml_hw.arrays import Float64
from qtaml_hw.weights.effective import evaluating

Seen = Callable[[torch.Tensor], None]


class _Fused(Attending):
    """Calls of fused attention, whose weights ``seen`` is told."""

    def __init__(self, seen: Seen) -> None:
        super().__init__(lambda _, x: x)
        self.seen = seen

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is functional.scaled_dot_product_attention:
            given = dict(zip(("query", "key", "value"), args, strict=False)) | (kwargs or {})
            query, key, _ = (given.pop(name) for name in ("query", "key", "value"))
            tokens = key.shape[-2]
            identity = torch.eye(tokens, dtype=key.dtype, device=key.device).expand(*key.shape[:-1], tokens)
            self.seen(func(query, key, identity, *args[3:], **given))
        return super().__torch_function__(func, types, args, kwargs)


def attention_paid(module: nn.Module, taps: Sequence[Tap], inputs: torch.Tensor, batch: int = 64) -> dict[str, Float64]:
    """[tokens] of keys and values by name: the weights that later tokens give to each, summed over them and over heads,
    the mean over inputs [N, tokens, ...] of one length (what H2O and Kelle rank tokens by, here by position).

    Raises ValueError for attention that shows no weights, with its path.
    """
    owners = {tap.name: _owner(tap) for tap in taps if tap.side in ("key", "value")}
    paid = {path: np.zeros(0) for path in owners.values()}
    modules = dict(module.named_modules())
    with ExitStack() as stack:
        stack.enter_context(evaluating(module))
        stack.enter_context(torch.inference_mode())
        for path in paid:
            seen = _adding(paid, path)
            stack.enter_context(_Fused(seen).inside(modules[path]))
            stack.callback(modules[path].register_forward_hook(_answered(seen)).remove)
        for chunk in torch.split(inputs, batch):
            module(chunk)
    for path, found in paid.items():
        if not found.size:
            raise ValueError(
                f"tokens.score: attention takes the attention weights of {path}, which neither answers them nor calls "
                "scaled_dot_product_attention: take score: age"
            )
    return {name: paid[path] / len(inputs) for name, path in owners.items()}


def _owner(tap: Tap) -> str:
    """The attention module of keys or values."""
    path, _, last = tap.module.rpartition(".")
    return path if last in PROJECTIONS else tap.module


def _adding(paid: dict[str, Float64], path: str) -> Seen:
    def seen(weights: torch.Tensor) -> None:
        later = weights.tril(-1).sum(dim=(0, 1, 2), dtype=torch.float64).cpu().numpy()
        paid[path] = later + (paid[path] if paid[path].size else 0.0)

    return seen


def _answered(seen: Seen) -> Callable[..., None]:
    def hook(_: nn.Module, args: tuple[Any, ...], out: Any) -> None:
        for one in out if isinstance(out, tuple) else ():
            if isinstance(one, torch.Tensor) and one.ndim == 4 and one.shape[-1] == one.shape[-2]:
                seen(one)

    return hook
