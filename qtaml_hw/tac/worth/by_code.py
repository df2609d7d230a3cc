"""What weights are worth, summed by the code they hold in every group: energies of a large network in small tables.

A plane's damage, and the noise that a correction leaves, are sums over weights of worth x scale^2 x a table over codes
(``damage``, ``decoder``).  So its sums by group and code say as much as the worth of every weight, which takes eight
bytes each.  Energies are squares that add up over inputs and probes, so that they are summed as they come, tensor by
tensor, and never lie there at once (ours).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.tac.worth.damage import DamageModel, tensor_damage
from qtaml_hw.tac.worth.scales import Direction, directions
from qtaml_hw.tac.worth.sensitivity import Into, Sensitivity
from qtaml_hw.weights import StoredImage

Energies = Callable[[Sequence[Direction], Into], Sensitivity]
"""Jacobian energies along directions too, those of weights handed on tensor by tensor as they come."""


@dataclass(frozen=True, eq=False)
class WorthByCode:
    """``tables`` [groups of a tensor, 2^B] by its place in the image: worth x scale^2 of weights that hold a code.

    ``starts`` int64 [G + 1] are the group boundaries in global weight order.  ``numbers``: the worth of every stored
    scale, zero point and minimum, which are few, by the place of theirs.
    """

    image: StoredImage
    starts: Int64
    tables: dict[int, Float64]
    numbers: dict[int, Float64]

    @classmethod
    def of(cls, image: StoredImage, starts: Int64, energies: Energies) -> WorthByCode:
        """Sums of what ``energies`` finds, along the directions of stored scales too."""
        places = [i for i, t in enumerate(image.tensors) if t.part_of is None]
        sizes = {i: int(np.diff(_groups(image, starts, i))[0]) for i in places}
        tables = {i: np.zeros((sizes[i], 1 << image.tensors[i].format.bits)) for i in places}
        own = cls(image, starts, tables, {})
        found = energies(directions(image), lambda place, worth: own._add(places[place], worth))
        for table in tables.values():
            table /= found.probes * found.inputs
        parts = [i for i, t in enumerate(image.tensors) if t.part_of is not None]
        return replace(own, numbers=dict(zip(parts, found.along, strict=True)))

    def _add(self, place: int, worth: Float64) -> None:
        """The worth of every weight of the tensor at a place, [weights]."""
        t, table = self.image.tensors[place], self.tables[place]
        first, last = _groups(self.image, self.starts, place)
        cells = t.codes.astype(np.int64)
        if last - first > 1:
            cells += np.repeat(np.arange(last - first), np.diff(self.starts[first : last + 1])) * table.shape[1]
        energy = t.weight_scale().astype(np.float64) ** 2
        energy = np.multiply(energy, worth, out=energy if energy.size == worth.size else None)
        table += np.bincount(cells, energy, table.size).reshape(table.shape)

    def covers(self, starts: Int64) -> bool:
        """Whether these groups are made of whole groups of its own."""
        return bool(np.isin(starts, self.starts).all())

    def damage(self, starts: Int64) -> DamageModel:
        """The damage model of groups that it covers."""
        shape = starts.size - 1, self.image.planes
        zeros, ones = np.zeros(shape), np.zeros(shape)
        for i, t in enumerate(self.image.tensors):
            mine, first = slice(*_groups(self.image, starts, i)), self.image.tensor_starts[i]
            own = slice(0, t.format.bits)
            if i in self.numbers:
                zeros[mine, own], ones[mine, own] = tensor_damage(t, self.numbers[i], starts[mine] - first)
                continue
            before = _groups(self.image, self.starts, i)[0]
            table = np.add.reduceat(self.tables[i], np.searchsorted(self.starts, starts[mine]) - before, axis=0)
            codes, planes = np.arange(1 << t.format.bits), np.arange(t.format.bits)
            stored = (codes[:, None] >> planes) & 1
            hurt = t.format.flip_damage[codes ^ t.inverted]
            zeros[mine, own], ones[mine, own] = table @ (hurt * (1 - stored)), table @ (hurt * stored)
        return DamageModel(starts, zeros, ones, self.image.plane_order)

    def expected(self, place: int, per_code: Float64, of_group: Int64) -> float:
        """Sum over a tensor's weights of worth x scale^2 x ``per_code`` [patterns, 2^B] of the format's own codes.

        ``of_group``: the pattern of every one of its groups.
        """
        t, table = self.image.tensors[place], self.tables[place]
        meant = np.arange(table.shape[1]) ^ t.inverted
        return float(np.sum(table * per_code[of_group][:, meant]))


def _groups(image: StoredImage, starts: Int64, place: int) -> tuple[int, int]:
    """First and last group of the tensor at a place."""
    first, last = np.searchsorted(starts, image.tensor_starts[place : place + 2])
    return int(first), int(last)
