"""Safetensors streamed as their own codes: packed weights (GPTQ, AWQ, compressed-tensors) and halves, written back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import torch
from safetensors import safe_open

from qtaml_hw.arrays import Codes, Int64
from qtaml_hw.files import replacing
from qtaml_hw.study.design.streamed.chip import Chip, Each
from qtaml_hw.study.design.streamed.image import Surveyed
from qtaml_hw.study.design.streamed.own import OwnRows, OwnTensor, survey_own
from qtaml_hw.study.design.streamed.slots import Told, told
from qtaml_hw.study.design.streamed.spelled import Spellings
from qtaml_hw.study.design.streamed.tensor import BLOCK_VALUES
from qtaml_hw.weights import StoredTensor
from qtaml_hw.weights.given import given_floats
from qtaml_hw.workloads.packed import Pack, packs_of, quantisation_of, shifted
from qtaml_hw.workloads.packed_words import flipped_tensors
from qtaml_hw.workloads.reading import readable
from qtaml_hw.workloads.shards import Shard, Slot, files_of, open_shards

HALVES: Final = {"F16": "float16", "BF16": "bfloat16"}


def _read(slot: Slot) -> torch.Tensor:
    """A tensor as it lies in its file."""
    with readable(slot.file, "safetensors file"), safe_open(slot.file, "pt") as opened:
        found: torch.Tensor = opened.get_tensor(slot.name)
    return found


@dataclass(frozen=True, eq=False)
class PackedSource:
    """A packed weight: all of it is unpacked at a time, a byte a level."""

    pack: Pack
    slots: Mapping[str, Slot]
    shift: bool

    @property
    def name(self) -> str:
        """As the network calls it."""
        return self.pack.name

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Outputs and inputs."""
        return self.read()[0].shape

    def tensors(self) -> dict[str, torch.Tensor]:
        """Its tensors by name."""
        return {name: _read(self.slots[name]) for name in self.pack.held.values()}

    def read(self) -> tuple[StoredTensor, Int64 | None]:
        """The weight, and the order of its inputs."""
        with readable(self.slots[next(iter(self.pack.held.values()))].file, "file of packed weights"):
            return self.pack.read(self.tensors(), self.shift)

    def rows(self) -> Iterator[OwnRows]:
        """All of it, in order, a block at a time."""
        weight, order = self.read()
        outputs, inputs = weight.shape
        groups, step = weight.scale.size // outputs, max(1, BLOCK_VALUES // inputs)
        for first in range(0, outputs, step):
            count = min(step, outputs - first)
            codes = weight.codes[first * inputs : (first + count) * inputs]
            some = slice(first * groups, (first + count) * groups)
            parts = tuple(replace(part, codes=part.codes[some]) for part in weight.parts)
            yield OwnRows(
                StoredTensor.made_of(self.name, (count, inputs), codes, weight.format, weight.layout, parts), order
            )

    def written(self, changes: Sequence[list[Codes]]) -> dict[str, bytes]:
        """The bytes of its tensors with bits of its codes flipped."""
        whole = [np.concatenate(blocks) for blocks in zip(*changes, strict=True)]
        return flipped_tensors(self.pack, self.tensors(), *self.read(), whole)


@dataclass(frozen=True, eq=False)
class HalfSource:
    """A tensor of float16 or bfloat16 numbers, which are codes without a scale."""

    slot: Slot

    @property
    def name(self) -> str:
        """Its name in the file."""
        return self.slot.name

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape in the file."""
        return self.slot.shape

    def rows(self) -> Iterator[OwnRows]:
        """All of it, in order, a block at a time."""
        for shape, patterns in self._patterns():
            yield OwnRows(given_floats(self.name, patterns.reshape(shape), HALVES[self.slot.dtype]))

    def written(self, changes: Sequence[list[Codes]]) -> dict[str, bytes]:
        """Its bytes with bits of its codes flipped."""
        pieces = zip(self._patterns(), changes, strict=True)
        return {self.name: b"".join((patterns ^ change[0]).tobytes() for (_, patterns), change in pieces)}

    def _patterns(self) -> Iterator[tuple[tuple[int, int], Codes]]:
        columns = self.shape[-1]
        rows, step = self.slot.values // columns, max(1, BLOCK_VALUES // columns)
        for first in range(0, rows, step):
            count = min(step, rows - first)
            found = np.fromfile(self.slot.file, "<u2", count * columns, offset=self.slot.start + 2 * first * columns)
            if found.size != count * columns:
                raise ValueError(f"{self.slot.file}: {self.name} ends early")
            yield (count, columns), found


@dataclass(frozen=True, eq=False)
class OwnFolder:
    """Safetensors files whose own codes are stored; ``sources``: of every tensor that has some, by name."""

    place: Path
    shards: tuple[Shard, ...]
    told: Mapping[str, Told]
    sources: Mapping[str, PackedSource | HalfSource]
    scales: bool

    @classmethod
    def of(cls, place: Path, scales: bool) -> OwnFolder:
        """Those of a file or a folder.  Raises ValueError for what is missing, damaged, or packed in another way."""
        shards = open_shards(place)
        slots = {slot.name: slot for shard in shards for slot in shard.slots}
        shift = shifted(quantisation_of(place)) if quantisation_of(place) else True
        packs = [PackedSource(pack, slots, shift) for pack in packs_of(slots)]
        of_pack = {name: source for source in packs for name in source.pack.held.values()}
        names = {of_pack[name].name if name in of_pack else name for name in slots}
        taken: dict[str, Told] = {}
        sources: dict[str, PackedSource | HalfSource] = {}
        for name, slot in slots.items():
            if name in of_pack:
                sources[of_pack[name].name] = of_pack[name]
                taken[of_pack[name].name] = Told("weight", "packed matrix")
            else:
                taken[name] = _told(slot, names)
                sources |= {name: HalfSource(slot)} if slot.dtype in HALVES and len(slot.shape) > 1 else {}
        return cls(place, shards, taken, sources, scales)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are read."""
        return tuple(shard.file for shard in self.shards)

    @property
    def not_read(self) -> tuple[Path, ...]:
        """Files beside them that no index names."""
        return files_of(self.place)[1]

    @cached_property
    def weight_of(self) -> dict[str, str]:
        """The packed weight that a tensor of the files is part of."""
        packs = [source for source in self.sources.values() if isinstance(source, PackedSource)]
        return {name: source.name for source in packs for name in source.pack.held.values()}

    @property
    def spellings(self) -> Spellings:
        """None: the names are those of the network."""
        return {}

    def survey(self, name: str) -> Surveyed:
        """A tensor as the folder stores it, from one reading."""
        return survey_own(self.sources[name], self.scales)

    def passed(self, chip: Chip, folder: Path | None, each: Each | None) -> list[Path]:
        """Tensor after tensor, in file order; written are the same files with the codes as read."""
        written = []
        passing = _Passing(self, chip, each, folder is not None)
        for shard in self.shards:
            if folder is None:
                for slot in shard.slots:
                    passing.pass_on(slot.name)
                continue
            written.append(folder / shard.file.name)
            with replacing(written[-1]) as file:
                file.write(shard.header)
                for slot in shard.slots:
                    file.writelines(passing.bytes_of(slot))
        return written


@dataclass(eq=False)
class _Passing:
    """A folder's tensors on their way through a chip; ``waiting``: bytes of those that are not yet written."""

    model: OwnFolder
    chip: Chip
    each: Each | None
    writing: bool
    waiting: dict[str, bytes] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)

    def pass_on(self, name: str) -> None:
        """The weight that a tensor of the files is of, where it is stored and not yet passed on."""
        weight = self.model.weight_of.get(name, name)
        read = None if weight in self.done else self.chip.read(weight)
        self.done.add(weight)
        if read is None:
            return
        for _ in read.handed_on(self.each):
            pass
        assert isinstance(read.tensor, OwnTensor)
        if self.writing:
            changes = list(read.tensor.changes(read.codes, read.parts))
            self.waiting |= self.model.sources[weight].written(changes)

    def bytes_of(self, slot: Slot) -> Iterator[bytes]:
        """A tensor's bytes as read."""
        self.pass_on(slot.name)
        return iter([self.waiting.pop(slot.name)]) if slot.name in self.waiting else slot.copied()


def _told(slot: Slot, names: Collection[str]) -> Told:
    """What a tensor that is not packed is taken for."""
    found = told(slot, names)
    if found.kind in ("weight", "embedding") and slot.dtype not in HALVES:
        return Told("other", f"{slot.dtype}: the file has no code for it")
    return found
