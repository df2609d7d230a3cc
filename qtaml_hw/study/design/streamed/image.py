"""The stored tensors of a streamed model as far as planning needs them; the codes stay on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from qtaml_hw import tac
from qtaml_hw.arrays import Bool, Codes, Float32, Float64, Int64
from qtaml_hw.study.design.streamed.parts import FoundPart
from qtaml_hw.weights import NumberFormat
from qtaml_hw.weights.sizes import planes_by_damage


class Block(Protocol):
    """Some rows of a tensor."""

    @property
    def values(self) -> int:
        """Weights of it."""

    def weights(self, codes: Codes) -> Float32:
        """What codes, flat [values], stand for: float32, flat."""


class Stored(Protocol):
    """One tensor of the memory: what planning needs of its codes, and the way to them.

    ``weighted``: counts of codes [2^B], each by the squared change of the weights per unit of a level; ``squares``: the
    sum of the squared weights that it is of; ``scale_bits``: of what is kept beside the memory.
    """

    @property
    def name(self) -> str:
        """Its name in the file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape in the file."""

    @property
    def values(self) -> int:
        """Number of weights."""

    @property
    def form(self) -> NumberFormat:
        """How a weight is written."""

    @property
    def weighted(self) -> Float64:
        """See above."""

    @property
    def squares(self) -> float:
        """See above."""

    @property
    def scale_bits(self) -> int:
        """See above."""

    def codes(self) -> Codes:
        """Its codes, flat, read a block at a time."""


class Surveyed(Stored, Protocol):
    """The weights of a tensor of the files; ``parts``: those of its scales that lie in the memory, none beside it."""

    @property
    def parts(self) -> tuple[FoundPart, ...]:
        """See above."""

    def part_codes(self, place: int) -> Codes:
        """The codes of a part, flat."""

    def blocks(self, parts: Sequence[Codes] = ()) -> Iterator[Block]:
        """All of it, in order, a block at a time; ``parts``: codes of its parts where others are read than stored."""


@dataclass(frozen=True, eq=False)
class StoredPart:
    """A part of a tensor's scales as a tensor of the memory."""

    of: Surveyed
    place: int
    scale_bits: int = 0

    @property
    def _found(self) -> FoundPart:
        return self.of.parts[self.place]

    @property
    def name(self) -> str:
        """That of the weights, what it is, and its place."""
        return f"{self.of.name}:{self._found.role}{self.place}"

    @property
    def shape(self) -> tuple[int, ...]:
        """Flat."""
        return (self.values,)

    @property
    def values(self) -> int:
        """How many numbers."""
        return self._found.values

    @property
    def form(self) -> NumberFormat:
        """How one is written."""
        return self._found.form

    @property
    def weighted(self) -> Float64:
        """As ``Stored`` has it."""
        return self._found.weighted

    @property
    def squares(self) -> float:
        """Those of the weights."""
        return self.of.squares

    def codes(self) -> Codes:
        """Its codes, flat."""
        return self.of.part_codes(self.place)


@dataclass(frozen=True, eq=False)
class StreamedImage:
    """The stored tensors in file order; they may differ in their formats, a narrow code in the low planes.

    Parts of scales that lie in the memory stand behind their weights.
    """

    weights: tuple[Surveyed, ...]

    @cached_property
    def tensors(self) -> tuple[Stored, ...]:
        """Weights and parts of their scales."""
        found: list[Stored] = []
        for t in self.weights:
            found += [t, *(StoredPart(t, place) for place in range(len(t.parts)))]
        return tuple(found)

    @cached_property
    def places(self) -> dict[str, int]:
        """Where the tensor of a name stands."""
        return {t.name: i for i, t in enumerate(self.tensors)}

    @cached_property
    def tensor_planes(self) -> Int64:
        """Bit planes of the weights of every tensor, int64 [tensors]."""
        return np.array([t.form.bits for t in self.tensors], dtype=np.int64)

    @property
    def planes(self) -> int:
        """Bit planes of the widest weights."""
        return int(self.tensor_planes.max())

    @property
    def absent(self) -> Bool:
        """Planes that a tensor does not have, bool [tensors, planes]."""
        return np.asarray(np.arange(self.planes) >= self.tensor_planes[:, None])

    @property
    def formats(self) -> tuple[str, ...]:
        """The names of the formats, each once, in file order."""
        return tuple(dict.fromkeys(t.form.name for t in self.tensors))

    @property
    def decode_ge(self) -> float:
        """Gates that decode a code of any tensor: those of the format that takes most."""
        return max(t.form.decode_ge for t in self.tensors)

    @cached_property
    def tensor_starts(self) -> Int64:
        """Global index of every tensor's first weight, and the total: int64 [tensors + 1]."""
        return np.concatenate([[0], np.cumsum([t.values for t in self.tensors])]).astype(np.int64)

    @property
    def stored_bits(self) -> int:
        """Data bits in the memory, parity not counted."""
        return int(np.diff(self.tensor_starts) @ self.tensor_planes)

    @property
    def metadata_bits(self) -> int:
        """Bits of all scales, zero points and minima, which are kept beside the memory."""
        return sum(t.scale_bits for t in self.tensors)

    @property
    def network_weights(self) -> int:
        """Number of weights, parts of scales not counted."""
        return sum(t.values for t in self.weights)

    @property
    def squares(self) -> float:
        """Sum of the squared weights."""
        return sum(t.squares for t in self.weights)

    @property
    def read_with(self) -> Int64:
        """The tensor that each one is read with, itself or the weights whose scales it holds: int64 [tensors]."""
        return np.array([self.places[t.of.name if isinstance(t, StoredPart) else t.name] for t in self.tensors])

    @cached_property
    def _hurt(self) -> Float64:
        """Summed squared change of the weights when a plane of all flips, by tensor: [tensors, planes]."""
        hurt = np.full((len(self.tensors), self.planes), -1.0)
        for row, t in zip(hurt, self.tensors, strict=True):
            row[: t.form.bits] = t.weighted @ t.form.flip_damage
        return hurt

    @cached_property
    def plane_order(self) -> Int64:
        """Planes from the most to the least significant: by the mean squared change of a weight when one flips."""
        return planes_by_damage(np.maximum(self._hurt, 0.0).sum(axis=0))

    @property
    def plane_orders(self) -> Int64:
        """Planes of every tensor from the most to the least significant, absent ones last, int64 [tensors, planes]."""
        if len(self.formats) == 1:
            return np.tile(self.plane_order, (len(self.tensors), 1))
        return np.stack([planes_by_damage(row) for row in self._hurt])

    def changes(self) -> tuple[Float64, Float64]:
        """Summed squared change of the weights per unit flip probability, of cells that hold 0 and that hold 1:
        [tensors, planes] each."""
        zeros, ones = (np.zeros((len(self.tensors), self.planes)) for _ in range(2))
        for i, t in enumerate(self.tensors):
            hurt, bits = t.weighted[:, None] * t.form.flip_damage, t.form.bit_table.astype(np.float64)
            ones[i, : t.form.bits], zeros[i, : t.form.bits] = (hurt * bits).sum(0), (hurt * (1.0 - bits)).sum(0)
        return zeros, ones

    def damage(self) -> tac.DamageModel:
        """What flips cost by layer, a weight being worth its layer's mean square (the magnitude score)."""
        zeros, ones = self.changes()
        sizes = np.diff(self.tensor_starts)[self.read_with]
        worth = np.array([[t.squares / n] for t, n in zip(self.tensors, sizes, strict=True)])
        return tac.DamageModel(self.tensor_starts, worth * zeros, worth * ones, self.plane_order)
