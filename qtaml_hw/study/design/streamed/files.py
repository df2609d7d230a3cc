"""The files of a streamed model: what their tensors are taken for, how they are stored, and how they are written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from qtaml_hw.files import replacing
from qtaml_hw.study.design.streamed.chip import Chip, Each
from qtaml_hw.study.design.streamed.gguf import GgufSource, told_gguf
from qtaml_hw.study.design.streamed.image import Surveyed
from qtaml_hw.study.design.streamed.own import OwnTensor, survey_own
from qtaml_hw.study.design.streamed.slots import Told, told
from qtaml_hw.study.design.streamed.spelled import Spellings, gguf_spellings
from qtaml_hw.study.design.streamed.tensor import survey
from qtaml_hw.weights import NumberFormat
from qtaml_hw.weights.scales import ScaleLayout
from qtaml_hw.workloads.gguf_file import GgufFile, read_gguf
from qtaml_hw.workloads.shards import COPY_BYTES, Shard, files_of, open_shards

GGUF: Final = ".gguf"


class ModelFiles(Protocol):
    """Where a model lies."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are read."""

    @property
    def not_read(self) -> tuple[Path, ...]:
        """Files beside them that are not."""

    @property
    def told(self) -> Mapping[str, Told]:
        """What every tensor is taken for, in file order."""

    @property
    def spellings(self) -> Spellings:
        """What tensors are called elsewhere, by their names in the files."""

    def survey(self, name: str) -> Surveyed:
        """A tensor as it is stored."""

    def passed(self, chip: Chip, folder: Path | None, each: Each | None) -> list[Path]:
        """Every stored tensor read by a chip, handed on, and written to a folder; the files written."""


@dataclass(frozen=True, eq=False)
class Shards:
    """Safetensors files whose weights are quantised as a study says."""

    place: Path
    shards: tuple[Shard, ...]
    form: NumberFormat
    layout: ScaleLayout
    told: Mapping[str, Told]

    @classmethod
    def of(cls, place: Path, form: NumberFormat, layout: ScaleLayout) -> Shards:
        """Those of a file or a folder.  Raises ValueError for what is missing or damaged."""
        shards = open_shards(place)
        slots = [slot for shard in shards for slot in shard.slots]
        names = {slot.name for slot in slots}
        return cls(place, shards, form, layout, {slot.name: told(slot, names) for slot in slots})

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are read."""
        return tuple(shard.file for shard in self.shards)

    @property
    def not_read(self) -> tuple[Path, ...]:
        """Files beside them that no index names."""
        return files_of(self.place)[1]

    @property
    def spellings(self) -> Spellings:
        """None: the names are those of the network."""
        return {}

    def survey(self, name: str) -> Surveyed:
        """A tensor in the study's format, from two readings."""
        slot = next(slot for shard in self.shards for slot in shard.slots if slot.name == name)
        return survey(slot, self.form, self.layout)

    def passed(self, chip: Chip, folder: Path | None, each: Each | None) -> list[Path]:
        """Shard after shard, in the types and the layout that they have."""

        written = []
        for shard in self.shards:
            if folder is None:
                _handed_on([slot.name for slot in shard.slots], chip, each)
                continue
            written.append(folder / shard.file.name)
            with replacing(written[-1]) as file:
                file.write(shard.header)
                for slot in shard.slots:
                    read = chip.read(slot.name)
                    pieces = slot.copied() if read is None else map(slot.bytes_of, read.handed_on(each))
                    file.writelines(pieces)
        return written


@dataclass(frozen=True, eq=False)
class OneGguf:
    """A GGUF file, whose own codes are stored."""

    gguf: GgufFile
    told: Mapping[str, Told]
    scales: bool

    @classmethod
    def of(cls, place: Path, scales: bool) -> OneGguf:
        """With its scales in the memory or beside it.  Raises ValueError for a file that is missing or damaged."""
        gguf = read_gguf(place)
        return cls(gguf, {name: told_gguf(tensor, gguf.tensors) for name, tensor in gguf.tensors.items()}, scales)

    @property
    def files(self) -> tuple[Path, ...]:
        """The file."""
        return (self.gguf.path,)

    @property
    def not_read(self) -> tuple[Path, ...]:
        """None."""
        return ()

    @property
    def spellings(self) -> Spellings:
        """As transformers and others name them."""
        return gguf_spellings(self.gguf)

    def survey(self, name: str) -> Surveyed:
        """A tensor as the file stores it, from one reading."""
        return survey_own(GgufSource(self.gguf.path, self.gguf.tensors[name]), self.scales)

    def passed(self, chip: Chip, folder: Path | None, each: Each | None) -> list[Path]:
        """Tensor after tensor; written is the same file with the codes as read."""
        if folder is None:
            _handed_on(list(self.gguf.tensors), chip, each)
            return []
        target = folder / self.gguf.path.name
        with replacing(target) as file, self.gguf.path.open("rb") as source:
            for tensor in sorted(self.gguf.tensors.values(), key=lambda one: one.first):
                file.writelines(_copied(source, tensor.first - source.tell()))
                read = chip.read(tensor.name)
                if read is None:
                    continue
                for _ in read.handed_on(each):
                    pass
                assert isinstance(read.tensor, OwnTensor)
                changes = read.tensor.changes(read.codes, read.parts)
                file.writelines(GgufSource(self.gguf.path, tensor).written(changes))
                source.seek(tensor.first + tensor.size)
            file.writelines(_copied(source, None))
        return [target]


def _copied(source: BinaryIO, left: int | None) -> Iterator[bytes]:
    """The next bytes of a file, so many or all that are left, piece by piece."""
    while left is None or left:
        piece = source.read(COPY_BYTES if left is None else min(left, COPY_BYTES))
        if not piece:
            return
        left = None if left is None else left - len(piece)
        yield piece


def _handed_on(names: Iterable[str], chip: Chip, each: Each | None) -> None:
    for read in (chip.read(name) for name in names):
        for _ in () if read is None else read.handed_on(each):
            pass
