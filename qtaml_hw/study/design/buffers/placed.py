"""A buffer of a study with values in it: their times and places, what its cells do to them, what it costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Final

import numpy as np

from qtaml_hw import memory
from qtaml_hw.accelerator.layers import LayerCost
from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.config import Study
from qtaml_hw.config.sections.buffers import BufferOwnSection
from qtaml_hw.config.study import Buffer
from qtaml_hw.errors import unknown
from qtaml_hw.faults import MapKey
from qtaml_hw.memory.buffers import (
    Allocation,
    BufferCost,
    Coding,
    Masks,
    Part,
    PlaneCells,
    Produced,
    Rates,
    Value,
    allocate,
    allocate_parts,
    buffer_cost,
    masks_of,
    rates_of,
    schedule_of,
    token_classes,
)
from qtaml_hw.names import PLANES
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.study.design.cells import array as arrays
from qtaml_hw.study.design.cells.cell import CellView, view_cell
from qtaml_hw.study.design.protection.price import codecs_of

_PARTS_J: Final = ("read_j", "write_j", "codec_j", "refresh_j", "leakage_j", "backing_j")


def path_of(layer: LayerCost) -> str:
    """The module whose product a layer is; the name of one that reads no weights."""
    return layer.weight.rpartition(".")[0] or layer.weight if layer.weight else layer.name


def runs_of(layers: Sequence[LayerCost], told: Iterable[str]) -> list[str]:
    """Every product by its layer: ``path#2`` in the second call where some name of ``told`` tells calls of it apart."""
    apart, calls = {name.partition("#")[0] for name in told if "#" in name}, Counter[str]()
    names = []
    for layer in layers:
        path, own = path_of(layer), layer.weight or layer.name
        calls[own] += 1
        names.append(f"{path}#{calls[own]}" if path in apart and calls[own] > 1 else path)
    return names


@dataclass(frozen=True, eq=False)
class Placed:
    """Values in a buffer.

    ``number`` : of the buffer in the study; ``classes`` [tokens] of every value, 0 for those of the usual refresh;
    ``seconds`` between two inferences; ``plan`` of the values, of one inference.
    """

    buffer: Buffer
    number: int
    allocation: Allocation
    classes: tuple[Int64, ...]
    cell: CellView
    geometry: memory.ArrayGeometry
    seconds: float
    plan: ProtectionPlan

    @classmethod
    def of(
        cls,
        buffer: Buffer,
        number: int,
        produced: Sequence[Produced],
        layers: Sequence[LayerCost],
        study: Study,
        scores: Mapping[str, Float64] | None = None,
    ) -> Placed:
        """The values that a network produces, in the buffer; ``scores`` [tokens] of keys and values by name.

        Raises ValueError for a lifetime of zero or below, values that do not fit, cells that cannot be modelled, and
        tokens to be ranked by scores that are not there.
        """
        section, planes = buffer.section, PLANES[buffer.section.format]
        rate, clock_hz = section.tokens_per_second, study.accelerator.clock_hz
        runs = runs_of(layers, [name for one in produced for name in (one.after, one.read_last)])
        values = schedule_of(
            produced,
            [(name, layer.cycles / clock_hz) for name, layer in zip(runs, layers, strict=True)],
            bits=planes,
            batch=section.batch,
            token_s=None if rate is None else 1.0 / rate,
            lifetime_s=section.lifetime_s,
        )
        allocation = _allocated(buffer, values)
        longest_s = max(float(value.lifetimes_s.max()) for value in values)
        own = buffer.study.with_({"evaluate.at_s": [longest_s]})
        classes = _classes_of(buffer, values, scores or {})
        geometry = arrays.geometry_of(buffer.study)
        seconds = 1.0 / study.accelerator.inferences_per_second
        starts = np.cumsum([0, *(one.words for one in produced)], dtype=np.int64)
        plan = ProtectionPlan.unprotected(starts, planes)
        return cls(buffer, number, allocation, classes, view_cell(own, planes), geometry, seconds, plan)

    def protected(self, plan: ProtectionPlan) -> Placed:
        """The same values with the check bits of a plan behind each, which take room.

        Raises ValueError where they do not fit any more.
        """
        checks = self._array(plan).words.parity_bits * self.buffer.section.batch
        places = zip(self.allocation.places, checks.tolist(), strict=True)
        values = [replace(place.value, check_bits=bits) for place, bits in places]
        return replace(self, plan=plan, allocation=_allocated(self.buffer, values))

    @property
    def planes(self) -> int:
        """Bits of a number."""
        return PLANES[self.buffer.section.format]

    @property
    def intervals_s(self) -> tuple[float | None, ...]:
        """The refresh interval of every row class."""
        study, classes = self.buffer.study, int(self.geometry.classes_of(self.planes).max()) + 1
        if study.by_plane:
            return tuple(one.study.refresh.intervals_s[0] for one in study.classes)
        given = study.refresh.intervals_s
        return given if len(given) == classes else given * classes

    def cells_of(self, cells: memory.Cells) -> tuple[PlaneCells, ...]:
        """The planes of every row class, of a chip with these cells."""
        of_plane, section = self.geometry.classes_of(self.planes), self.buffer.section
        found = []
        for row_class, interval_s in enumerate(self.intervals_s):
            own = tuple(of_class_s[row_class % len(of_class_s)] for of_class_s in section.other_intervals_s)
            members = tuple(np.flatnonzero(of_plane == row_class).tolist())
            restores = self.geometry.reads_destroy(row_class)
            found.append(PlaneCells(members, cells.of_class(row_class).model, interval_s, own, restores))
        return tuple(found)

    def rates(self, cells: memory.Cells | None = None) -> tuple[Rates, ...]:
        """How often bits of every value flip, of a chip with these cells (None: at the process centre)."""
        of_class = self.cells_of(self.cell.cells if cells is None else cells)
        values = [place.value for place in self.allocation.places]
        return tuple(rates_of(v, of_class, c) for v, c in zip(values, self.classes, strict=True))

    def masks(self, draw: MapKey, rates: Sequence[Rates]) -> list[Masks | None]:
        """Bits that flip in one fault map, by value; None where it lies behind the array."""
        return masks_of(self.allocation, rates, draw, self.number)

    def _array(self, plan: ProtectionPlan) -> memory.PlannedArray:
        """The array laid out for a plan, at the refresh of the buffer."""
        intervals_s = self.intervals_s
        schedule = memory.Schedule(
            horizon_s=self.seconds, refresh_interval_s=intervals_s if len(intervals_s) > 1 else intervals_s[0]
        )
        return memory.PlannedArray(plan, self.geometry, schedule)

    def cost(self) -> BufferCost:
        """Area, energy and time per inference.  Raises ValueError when a refresh takes longer than its interval."""
        starts = np.array([0, max(self.allocation.words, 1)], dtype=np.int64)
        array = self._array(ProtectionPlan.unprotected(starts, self.planes))
        rule, of_class = self.buffer.section.refreshed, self.cells_of(self.cell.cells)
        return buffer_cost(self.allocation, array, of_class, self.classes, rule, self.seconds, self._coding())

    @property
    def codec_leakage_j(self) -> float:
        """What encoders and decoders leak per inference."""
        return self._coding().leakage_w * self.seconds

    def _coding(self) -> Coding:
        """Encoders and decoders of the plan, by the prices of the weights' memory."""
        array, values = self._array(self.plan), len(self.allocation.places)
        if not array.words.entries:
            return Coding.none(values)
        names = tuple(map(str, range(values)))
        codecs, encode_j = codecs_of(array, names), np.zeros(values)
        for words in array.words.entries:
            encode_j += words.per_tensor * array.costs.encode_j[words.name]
        decode_j = np.array([codecs.decode_j_per_weight[name] for name in names])
        return Coding(codecs.area_m2, codecs.leakage_w, decode_j, encode_j / np.diff(self.plan.tensor_starts))

    @property
    def facts(self) -> dict[str, Any]:
        """What a record says of places, refresh and cost, check cells and codecs with them."""
        cost = self.cost()
        lives = [place.value.lifetimes_s for place in self.allocation.places]
        return {
            "lifetimes_s": [float(f"{s.max():.5g}") for s in lives],
            "lifetimes_least_s": [float(f"{s.min():.5g}") for s in lives],
            "tokens": [len(s) for s in lives],
            "retention_quantiles_s": self.cell.retention_quantiles_s,
            "words": self.allocation.words,
            "words_used": self.allocation.used,
            "spilled": [value.name for value in self.allocation.spilled],
            "refreshed": self.buffer.section.refreshed,
            "refresh_saved": cost.refresh_saved,
            "refresh_always_j": cost.refresh_always_j,
            "refresh_bandwidth_share": cost.refresh_bandwidth_share,
            "area_m2": cost.area_m2,
            "codec_area_m2": cost.codec_area_m2,
            "energy_j": cost.energy_j,
            **{name: getattr(cost, name) for name in _PARTS_J},
            "backing_s": cost.backing_s,
        }


def _allocated(buffer: Buffer, values: Sequence[Value]) -> Allocation:
    """Values in the array of a buffer.  Raises ValueError for what does not fit without a store behind."""
    array, planes, section = buffer.study.array, PLANES[buffer.section.format], buffer.section
    capacity = None if array.capacity_bits is None else int(array.capacity_bits) // planes
    backing, partitions = array.backing is not None, section.partitions or ()
    if not any(one.banks for one in partitions):
        return allocate(values, capacity, backing=backing)
    owner, first = _partition_of(section, values), 1 + len(section.tokens.relaxed if section.tokens else ())
    own = {k: tuple(i for i, at in enumerate(owner) if at == k) for k, one in enumerate(partitions) if one.banks}
    parts = [Part(partitions[k].banks or 0, members, first + k) for k, members in own.items()]
    left = array.banks - sum(part.banks for part in parts)
    rest = tuple(i for i, at in enumerate(owner) if at not in own)
    return allocate_parts(values, [*parts, Part(left, rest)], capacity, backing=backing)


def _partition_of(section: BufferOwnSection, values: Sequence[Value]) -> list[int | None]:
    """The number of the partition that holds each value; None: the rest of the buffer.

    Raises ValueError for names that no value has, and values that several partitions hold.
    """
    names = [value.name for value in values]
    owner: list[int | None] = [None] * len(names)
    for number, one in enumerate(section.partitions or ()):
        for pattern in one.holds:
            found = [i for i, name in enumerate(names) if fnmatchcase(name, pattern) or name.startswith(f"{pattern}.")]
            if not found:
                raise ValueError(f"buffer {section.name}: partitions: {unknown('value', pattern, names)}")
            for i in found:
                if owner[i] not in (None, number):
                    raise ValueError(f"buffer {section.name}: {names[i]} is in two partitions; a value lies in one")
                owner[i] = number
    return owner


def _classes_of(buffer: Buffer, values: Sequence[Value], scores: Mapping[str, Float64]) -> tuple[Int64, ...]:
    """The class of every token of every value: that of its partition, else by its score.

    Raises ValueError where scores of attention are wanted and absent.
    """
    section = buffer.section
    relaxed = section.tokens.relaxed if section.tokens else ()
    by_attention = section.tokens is not None and section.tokens.score == "attention"
    shares, known, found = [one.share for one in relaxed], scores if by_attention else {}, []
    for value, owner in zip(values, _partition_of(section, values), strict=True):
        if owner is not None:
            found.append(np.full(value.tokens, 1 + len(relaxed) + owner))
        elif by_attention and value.tokens > 1 and value.name not in scores:
            raise ValueError(f"buffer {section.name}: tokens.score: attention has no attention weights of {value.name}")
        else:
            found.append(token_classes(value, shares, known.get(value.name)))
    return tuple(found)
