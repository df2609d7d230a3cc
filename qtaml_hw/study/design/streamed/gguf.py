"""A GGUF file streamed as its own codes: tensor after tensor, a block of rows at a time, and written back as read."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.arrays import Codes
from qtaml_hw.study.design.streamed.own import OwnRows
from qtaml_hw.study.design.streamed.slots import Told, looked_up
from qtaml_hw.study.design.streamed.spelled import HEAD, TIED
from qtaml_hw.study.design.streamed.tensor import BLOCK_VALUES
from qtaml_hw.workloads.gguf_blocks import flipped_bytes, stored_tensor
from qtaml_hw.workloads.gguf_file import GgufTensor


def told_gguf(tensor: GgufTensor, names: Collection[str]) -> Told:
    """What a tensor of a file is taken for; ``names``: of all of its tensors."""
    if len(tensor.shape) < 2:
        return Told("bias", "vector")
    if tensor.type_name == "F32":
        return Told("other", "float32: the file has no code for it")
    if tensor.name == TIED and HEAD not in names:
        return Told("weight", "table that is the output layer too")
    if looked_up(tensor.name, tensor.shape, names):
        return Told("embedding", "table that is looked up, by its name")
    return Told("weight", "matrix of every expert" if len(tensor.shape) > 2 else "matrix")


@dataclass(frozen=True)
class GgufSource:
    """A tensor of a GGUF file."""

    file: Path
    entry: GgufTensor

    @property
    def name(self) -> str:
        """Its name in the file."""
        return self.entry.name

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape, rows first."""
        return self.entry.shape

    def rows(self) -> Iterator[OwnRows]:
        """All of it, in order, a block at a time."""
        for (_, shape), raw in zip(self._runs(), self._raw(), strict=True):
            yield OwnRows(stored_tensor(self.name, shape, self.entry.kind, raw))

    def written(self, changes: Iterator[list[Codes]]) -> Iterator[bytes]:
        """Its bytes with bits of its codes flipped, block by block."""
        for raw, change in zip(self._raw(), changes, strict=True):
            yield flipped_bytes(self.entry.kind, raw, *change).tobytes()

    def _runs(self) -> Iterator[tuple[int, tuple[int, int]]]:
        """Whole rows, a block at a time: (first row, (rows, columns))."""
        columns = self.shape[-1]
        rows, step = int(np.prod(self.shape[:-1])), max(1, BLOCK_VALUES // columns)
        for first in range(0, rows, step):
            yield first, (min(step, rows - first), columns)

    def _raw(self) -> Iterator[NDArray[np.uint8]]:
        """The bytes of every block."""
        size = self.entry.size // int(np.prod(self.shape[:-1]))
        for first, (count, _) in self._runs():
            raw = np.fromfile(self.file, np.uint8, count * size, offset=self.entry.first + first * size)
            if raw.size != count * size:
                raise ValueError(f"{self.file}: {self.name} ends early")
            yield raw
