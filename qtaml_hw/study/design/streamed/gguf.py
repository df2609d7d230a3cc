"""A GGUF file streamed as its own codes: tensor after tensor, a block of rows at a time, and written back as read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.arrays import Codes, Float32, Float64
from qtaml_hw.study.design.streamed.parts import FoundPart, found_parts
from qtaml_hw.study.design.streamed.slots import Told, looked_up
from qtaml_hw.study.design.streamed.spelled import HEAD, TIED
from qtaml_hw.study.design.streamed.tensor import BLOCK_VALUES
from qtaml_hw.weights import NumberFormat, StoredTensor
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


@dataclass(frozen=True, eq=False)
class FileRows:
    """Some rows of a tensor as the file has them: their bytes [n, bytes], codes and scales."""

    tensor: StoredTensor
    raw: NDArray[np.uint8]

    @property
    def values(self) -> int:
        """Weights of it."""
        return self.tensor.weights

    def weights(self, codes: Codes) -> Float32:
        """What codes, flat, stand for: flat."""
        return self.tensor.decode(codes).reshape(-1)

    def reading(self, parts: Sequence[Codes]) -> FileRows:
        """The same with the codes of its scales as they are read."""
        return FileRows(self.tensor.reading(parts), self.raw)


@dataclass(frozen=True, eq=False)
class FileTensor:
    """One stored tensor of a file as ``Surveyed``."""

    file: Path
    entry: GgufTensor
    form: NumberFormat
    scale_bits: int
    weighted: Float64
    squares: float
    parts: tuple[FoundPart, ...] = ()

    @property
    def name(self) -> str:
        """Its name in the file."""
        return self.entry.name

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape, rows first."""
        return self.entry.shape

    @property
    def values(self) -> int:
        """Number of weights."""
        return int(np.prod(self.entry.shape))

    def codes(self) -> Codes:
        """Its codes, flat, read a block at a time."""
        found, done = np.empty(self.values, dtype=self.form.code_dtype), 0
        for block in self.blocks():
            found[done : done + block.values] = block.tensor.codes
            done += block.values
        return found

    def part_codes(self, place: int) -> Codes:
        """The codes of a part of its scales, flat."""
        return np.concatenate([block.tensor.parts[place].codes for block in self.blocks()])

    def blocks(self, parts: Sequence[Codes] = ()) -> Iterator[FileRows]:
        """All of it, in order, a block at a time; ``parts``: codes of its scales as they are read, flat."""
        for block, own in self._with(parts):
            yield block.reading(own) if own else block

    def _with(self, parts: Sequence[Codes]) -> Iterator[tuple[FileRows, list[Codes]]]:
        """Every block with its own of these codes."""
        done = [0] * len(parts)
        for block in _blocks(self.file, self.entry):
            sizes = [part.codes.size for part in block.tensor.parts[: len(parts)]]
            yield block, [part[at : at + size] for part, at, size in zip(parts, done, sizes, strict=True)]
            done = [at + size for at, size in zip(done, sizes, strict=True)]

    def as_read(self, codes: Codes, parts: Sequence[Codes] = ()) -> Iterator[bytes]:
        """Its bytes in a file that holds these codes, flat, and those of its scales."""
        done = 0
        for block, own in self._with(parts):
            change = [_change(self.form, codes[done : done + block.values], block.tensor.codes)]
            change += [_change(p.format, c, p.codes) for c, p in zip(own, block.tensor.parts, strict=False)]
            done += block.values
            yield flipped_bytes(self.entry.kind, block.raw, *change).tobytes()


def _change(form: NumberFormat, codes: Codes, stored: Codes) -> Codes:
    """Bits that differ from what is stored, where patterns that are no numbers are written as they read."""
    odd = form.special_codes[codes]
    if not odd.any():
        return codes ^ stored
    own = codes.copy()
    own[odd] = form.encode(form.decode_table[own[odd]])
    return own ^ stored


def _blocks(file: Path, entry: GgufTensor) -> Iterator[FileRows]:
    columns = entry.shape[-1]
    rows = int(np.prod(entry.shape[:-1]))
    size, step = entry.size // rows, max(1, BLOCK_VALUES // columns)
    for first in range(0, rows, step):
        count = min(step, rows - first)
        raw = np.fromfile(file, np.uint8, count * size, offset=entry.first + first * size)
        if raw.size != count * size:
            raise ValueError(f"{file}: {entry.name} ends early")
        yield FileRows(stored_tensor(entry.name, (count, columns), entry.kind, raw), raw)


def survey_gguf(file: Path, entry: GgufTensor, scales: bool = False) -> FileTensor:
    """A tensor as the file stores it, from one reading; with its scales, where these are stored too."""
    weighted: Any = 0.0
    squares, scale_bits, form, parts = 0.0, 0, None, list[FoundPart]()
    for block in _blocks(file, entry):
        t = block.tensor
        form, scale_bits = t.format, scale_bits + t.scale_bits
        worth = np.broadcast_to(t.weight_scale().astype(np.float64) ** 2, t.weights)
        weighted = weighted + np.bincount(t.codes, weights=worth, minlength=1 << t.format.bits)
        squares += float((t.decode(t.codes).astype(np.float64) ** 2).sum())
        mine = _found(t) if scales else ()
        parts = [a.plus(b) for a, b in zip(parts, mine, strict=True)] if parts else [*mine]
    assert form is not None  # a file's tensors have values
    return FileTensor(file, entry, form, 0 if parts else scale_bits, weighted, squares, tuple(parts))


def _found(tensor: StoredTensor) -> tuple[FoundPart, ...]:
    """The parts of the scales of some rows."""
    if not tensor.parts:
        return ()
    levels = tensor.format.decode_table[tensor.codes].reshape(tensor.shape)
    if tensor.zero is not None:
        levels = levels - tensor.layout.spread(tensor.zero, tensor.shape)
    squares = tensor.layout.reduce(np.add, levels**2)
    return found_parts(tensor.parts, tensor.scale, squares, tensor.layout.reduce(np.add, np.ones(tensor.shape)))
