"""Tensors streamed as their files' own codes: surveyed, read and decoded some rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from qtaml_hw.arrays import Codes, Float32, Float64, Int64
from qtaml_hw.study.design.streamed.parts import FoundPart, found_parts
from qtaml_hw.weights import NumberFormat, StoredTensor


@dataclass(frozen=True, eq=False)
class OwnRows:
    """Some rows of a tensor; ``order``: which input each of its columns is of, where they are not in their own."""

    tensor: StoredTensor
    order: Int64 | None = None

    @property
    def values(self) -> int:
        """Weights of it."""
        return self.tensor.weights

    def weights(self, codes: Codes) -> Float32:
        """What codes, flat, stand for: flat, inputs in their own order."""
        read = self.tensor.decode(codes)
        if self.order is not None:
            found = np.empty_like(read)
            found[:, self.order] = read
            read = found
        return read.reshape(-1)

    def reading(self, parts: Sequence[Codes]) -> OwnRows:
        """The same with the codes of its scales as they are read."""
        return OwnRows(self.tensor.reading(parts), self.order) if parts else self


class Source(Protocol):
    """Where a tensor lies in its files."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape, rows first."""

    def rows(self) -> Iterator[OwnRows]:
        """All of it, in order, a block at a time."""


@dataclass(frozen=True, eq=False)
class OwnTensor:
    """One stored tensor of a file as ``Surveyed``."""

    source: Source
    form: NumberFormat
    scale_bits: int
    weighted: Float64
    squares: float
    parts: tuple[FoundPart, ...] = ()

    @property
    def name(self) -> str:
        """Its name in the file."""
        return self.source.name

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape, rows first."""
        return self.source.shape

    @property
    def values(self) -> int:
        """Number of weights."""
        return int(np.prod(self.source.shape))

    def codes(self) -> Codes:
        """Its codes, flat, read a block at a time."""
        found, done = np.empty(self.values, dtype=self.form.code_dtype), 0
        for block in self.source.rows():
            found[done : done + block.values] = block.tensor.codes
            done += block.values
        return found

    def part_codes(self, place: int) -> Codes:
        """The codes of a part of its scales, flat."""
        return np.concatenate([block.tensor.parts[place].codes for block in self.source.rows()])

    def blocks(self, parts: Sequence[Codes] = ()) -> Iterator[OwnRows]:
        """All of it, in order, a block at a time; ``parts``: codes of its scales as they are read, flat."""
        for block, own in self._with(parts):
            yield block.reading(own)

    def changes(self, codes: Codes, parts: Sequence[Codes]) -> Iterator[list[Codes]]:
        """Of every block the bits of its codes, and of those of its scales, that are read otherwise than stored.

        Patterns that are no numbers are what they read as.
        """
        done = 0
        for block, own in self._with(parts):
            change = [_change(self.form, codes[done : done + block.values], block.tensor.codes)]
            change += [_change(p.format, c, p.codes) for c, p in zip(own, block.tensor.parts, strict=False)]
            done += block.values
            yield change

    def _with(self, parts: Sequence[Codes]) -> Iterator[tuple[OwnRows, list[Codes]]]:
        """Every block with its own of these codes."""
        done = [0] * len(parts)
        for block in self.source.rows():
            sizes = [part.codes.size for part in block.tensor.parts[: len(parts)]]
            yield block, [part[at : at + size] for part, at, size in zip(parts, done, sizes, strict=True)]
            done = [at + size for at, size in zip(done, sizes, strict=True)]


def _change(form: NumberFormat, codes: Codes, stored: Codes) -> Codes:
    odd = form.special_codes[codes]
    if not odd.any():
        return codes ^ stored
    own = codes.copy()
    own[odd] = form.encode(form.decode_table[own[odd]])
    return own ^ stored


def survey_own(source: Source, scales: bool = False) -> OwnTensor:
    """A tensor as its file stores it, from one reading; with its scales, where these are stored too."""
    weighted: Any = 0.0
    squares, scale_bits, form, parts = 0.0, 0, None, list[FoundPart]()
    for block in source.rows():
        t = block.tensor
        form, scale_bits = t.format, scale_bits + t.scale_bits
        worth = np.broadcast_to(t.weight_scale().astype(np.float64) ** 2, t.weights)
        weighted = weighted + np.bincount(t.codes, weights=worth, minlength=1 << t.format.bits)
        squares += float((t.decode(t.codes).astype(np.float64) ** 2).sum())
        mine = _found(t) if scales else ()
        parts = [a.plus(b) for a, b in zip(parts, mine, strict=True)] if parts else [*mine]
    assert form is not None  # a file's tensors have values
    return OwnTensor(source, form, 0 if parts else scale_bits, weighted, squares, tuple(parts))


def _found(tensor: StoredTensor) -> tuple[FoundPart, ...]:
    """The parts of the scales of some rows."""
    if not tensor.parts:
        return ()
    levels = tensor.format.decode_table[tensor.codes].reshape(tensor.shape)
    if tensor.zero is not None:
        levels = levels - tensor.layout.spread(tensor.zero, tensor.shape)
    squares = tensor.layout.reduce(np.add, levels**2)
    return found_parts(tensor.parts, tensor.scale, squares, tensor.layout.reduce(np.add, np.ones(tensor.shape)))
