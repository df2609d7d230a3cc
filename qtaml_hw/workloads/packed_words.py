"""Packed weights written back: which bits of a folder's own tensors are those of codes that are read otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from qtaml_hw.arrays import Codes, Int64
from qtaml_hw.weights.floats import LowerHalf
from qtaml_hw.weights.image import StoredTensor
from qtaml_hw.workloads.packed import AWQ_ORDER, Pack, Tensors, packed

Array = NDArray[Any]


def flipped_tensors(
    pack: Pack, tensors: Tensors, weight: StoredTensor, order: Int64 | None, changes: Sequence[Codes]
) -> dict[str, bytes]:
    """The bytes of a packed weight's tensors, by name, in which bits of its codes are flipped.

    ``weight`` as ``pack`` reads it, its inputs in ``order``; ``changes``: bits of its codes, flat, then of the codes of
    its parts, none where these stay.
    """
    own, groups = pack.own(tensors), weight.scale.size // weight.shape[0]
    levels = changes[0].reshape(weight.shape)
    if order is not None:
        there = np.empty_like(levels)
        there[:, order] = levels
        levels = there
    scale: Array = np.zeros((weight.shape[0], groups), np.uint32)
    zero: Array = np.zeros((weight.shape[0], groups), np.uint8)
    for part, change in zip(weight.parts, changes[1:], strict=False):
        bits = change.reshape(-1, groups)
        if part.role == "zero":
            zero |= bits
        else:
            scale = scale << LowerHalf.bits | bits if part.lower else bits.astype(np.uint32)
    masks = _MASKS[pack.kind](own, weight.format.bits, levels, scale, zero)
    return {pack.held[part]: _flipped(own[part], masks.get(part)) for part in pack.held}


def _gptq_or_awq(own: Tensors, bits: int, levels: Array, scale: Array, zero: Array) -> dict[str, Array]:
    if own["qweight"].shape[1] == own["scales"].shape[1]:
        words, zeros = packed(levels.T, bits, 0), packed(zero.T, bits, 1)
    else:
        words, zeros = (packed(_interleaved(part.T), bits, 1) for part in (levels, zero))
    return {"qweight": words, "qzeros": zeros, "scales": scale.T}


def _interleaved(level: Array) -> Array:
    return level.reshape(len(level), -1, len(AWQ_ORDER))[..., AWQ_ORDER].reshape(len(level), -1)


def _compressed(own: Tensors, bits: int, levels: Array, scale: Array, zero: Array) -> dict[str, Array]:
    return {
        "weight_packed": packed(levels, bits, 1),
        "weight_scale": scale,
        "weight_zero_point": packed(zero, bits, 0),
    }


_MASKS = {"gptq": _gptq_or_awq, "compressed": _compressed}


def _flipped(tensor: torch.Tensor, mask: Array | None) -> bytes:
    """A tensor's bytes with the bits of a mask of its shape flipped."""
    raw: Array = tensor.contiguous().reshape(-1).view(torch.uint8).numpy()
    if mask is not None:
        flips = np.ascontiguousarray(mask).astype(f"<u{tensor.element_size()}", copy=False)
        raw = raw ^ flips.reshape(-1).view(np.uint8)
    return bytes(raw.tobytes())
