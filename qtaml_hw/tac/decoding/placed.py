"""Stored tensors on a device: codes are sent and decoded there, so that a byte travels where a float would.

The decoding is that of ``StoredTensor.decode``, the same operations in float32 in the same order: the same bits.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from qtaml_hw.arrays import Float32, Float64, Uint16
from qtaml_hw.weights import Codes, StoredTensor


def sent(codes: Codes | torch.Tensor, device: torch.device) -> torch.Tensor:
    """Codes on a device; through pinned memory to a GPU, so that the processor goes on meanwhile."""
    if isinstance(codes, torch.Tensor):
        return codes.to(device)
    here = as_it_lies(codes)
    return here.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else here.to(device)


def as_it_lies(array: NDArray[Any]) -> torch.Tensor:
    """An array that nobody writes as a tensor: the same memory, where numpy hands that on (from 2.1), else a copy."""
    try:
        return torch.utils.dlpack.from_dlpack(array)
    except BufferError:
        return torch.from_numpy(array.copy())


def fetched(codes: Codes | torch.Tensor) -> Codes:
    """Codes in the processor's memory."""
    if isinstance(codes, torch.Tensor):
        found: Codes = codes.cpu().numpy()
        return found
    return codes


@dataclass(frozen=True, eq=False)
class PlacedTensor:
    """Decode tables of one tensor, flat [P * 2^B] in levels, the first entry of every weight's, and its scales.

    ``step``, ``zero`` and ``minimum`` are as ``StoredTensor`` has them, in shapes that broadcast against ``runs``: the
    tensor's own shape, or [scales, group] where every scale belongs to a run of as many neighbours.
    """

    shape: tuple[int, ...]
    runs: tuple[int, ...]
    table: torch.Tensor
    first: torch.Tensor | None
    inverted: int
    step: torch.Tensor
    zero: torch.Tensor | None
    minimum: torch.Tensor | None

    @classmethod
    def of(cls, tensor: StoredTensor, tables: Float64, pattern: Uint16 | None, device: torch.device) -> PlacedTensor:
        """Of a stored tensor, its tables [P, 2^B] and the one of every weight (None when P = 1)."""
        first = None if pattern is None else pattern.astype(np.int32) * np.int32(tables.shape[-1])
        return cls(
            shape=tensor.shape,
            runs=_runs(tensor),
            table=torch.from_numpy(tables.astype(np.float32).reshape(-1)).to(device),
            first=None if first is None else torch.from_numpy(first).to(device),
            inverted=tensor.inverted,
            **_shared(tensor, device),
        )

    def scaled(self, tensor: StoredTensor) -> PlacedTensor:
        """The same with the scales, zero points and minima of a tensor, which are few and come from the processor."""
        return replace(self, **_shared(tensor, self.table.device))

    def key(self, codes: Codes | torch.Tensor) -> bytes:
        """The same for the same weights decoded: SHA-256 of all that decodes, and of the codes, a byte for a float."""
        total = self._own.copy()
        total.update(np.ascontiguousarray(fetched(codes)).data)
        return total.digest()

    @cached_property
    def _own(self) -> hashlib._Hash:
        total = hashlib.sha256(repr((self.shape, self.runs, self.inverted)).encode())
        for held in (self.table, self.first, self.step, self.zero, self.minimum):
            total.update(repr(None if held is None else (held.dtype, held.shape)).encode())
            total.update(b"" if held is None else held.cpu().contiguous().numpy().data)
        return total

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """Weights in float32, of the tensor's shape, from codes [weights]."""
        at = codes.to(torch.int32)
        if self.inverted:
            at = at ^ self.inverted
        if self.first is not None:
            at = at + self.first
        levels = self.table.index_select(0, at).reshape(self.runs)
        if self.zero is not None:
            levels = levels - self.zero
        weights = levels * self.step
        return (weights if self.minimum is None else weights + self.minimum).reshape(self.shape)


def _runs(tensor: StoredTensor) -> tuple[int, ...]:
    """The shape in which its scales broadcast; its own where groups are of unlike sizes."""
    group, count = tensor.layout.group, tensor.scale.size
    return (count, group) if group and count * group == tensor.weights else tensor.shape


def _shared(tensor: StoredTensor, device: torch.device) -> dict[str, Any]:
    """What runs of weights share, by field, in shapes that broadcast against ``_runs``; None where it has none."""
    given = {"step": tensor.scale, "zero": tensor.zero, "minimum": tensor.minimum}
    in_runs = _runs(tensor) != tensor.shape

    def spread(values: Float32) -> torch.Tensor:
        broad = values[:, None] if in_runs else tensor.layout.spread(values, tensor.shape)
        return as_it_lies(broad).to(device)

    return {name: None if values is None else spread(values) for name, values in given.items()}
