"""Weights on disk read piece by piece: safetensors files and folders of shards, never more in memory than asked for.

Format: 8 bytes of header length (little endian), a JSON header with type, shape and offsets of every tensor, then the
bytes (huggingface/safetensors, README).  Every number of a header is checked against the file.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.workloads.reading import readable

FLOATS: Final[dict[str, np.dtype[Any]]] = {
    name: np.dtype(kind) for name, kind in (("F32", "<f4"), ("F16", "<f2"), ("F64", "<f8"), ("BF16", "<u2"))
}
"""Types of weights; bfloat16 is read as the upper half of a float32."""

LONGEST_HEADER: Final = 100_000_000  # bytes; the reference implementation's own limit
COPY_BYTES: Final = 1 << 22
MOST_AXES: Final = 64  # torch's own limit


@dataclass(frozen=True)
class Slot:
    """One tensor of a shard: where its bytes lie."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: Path
    start: int
    stop: int

    @property
    def values(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    def read(self, first: int = 0, count: int | None = None) -> NDArray[np.float32]:
        """``count`` values from ``first`` on, flat, as float32.

        Raises ValueError for types that are no weights, and files that have become shorter.
        """
        if self.dtype not in FLOATS:
            raise ValueError(f"{self.file}: {self.name} is of type {self.dtype}; weights are {', '.join(FLOATS)}")
        kind, wanted = FLOATS[self.dtype], self.values - first if count is None else count
        found = np.fromfile(self.file, kind, wanted, offset=self.start + first * kind.itemsize)
        if found.size != wanted:
            raise ValueError(f"{self.file}: {self.name} ends after {found.size} of {wanted} values")
        if self.dtype == "BF16":
            found = (found.astype(np.uint32) << 16).view(np.float32)
        weights: NDArray[np.float32] = found.astype(np.float32, copy=False)
        return weights

    def bytes_of(self, weights: NDArray[np.float32]) -> bytes:
        """Weights in the tensor's own type, rounded to nearest even."""
        if self.dtype != "BF16":
            return weights.astype(FLOATS[self.dtype]).tobytes()
        bits = np.ascontiguousarray(weights).view(np.uint32).astype(np.uint64)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes()

    def copied(self) -> Iterator[bytes]:
        """The bytes as they are, piece by piece."""
        with self.file.open("rb") as file:
            file.seek(self.start)
            left = self.stop - self.start
            while left:
                piece = file.read(min(left, COPY_BYTES))
                if not piece:
                    raise ValueError(f"{self.file}: {self.name} ends {left} bytes early")
                left -= len(piece)
                yield piece


@dataclass(frozen=True)
class Shard:
    """A safetensors file: its header as it stands, and its tensors in the order of their bytes."""

    file: Path
    header: bytes
    slots: tuple[Slot, ...]


INDEX: Final = ".safetensors.index.json"
WHOLE: Final = "model.safetensors"


def files_of(place: str | Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """The files that hold a model's tensors, in the order of their names, and those beside them that are not read.

    Of a folder those that its index names, else ``model.safetensors``, else all.  Raises ValueError for an index that
    cannot be read, names files elsewhere, or is one of several.
    """
    path = Path(place)
    if not path.is_dir():
        return (path,), ()
    there = sorted(path.glob("*.safetensors"))
    if not there:
        raise ValueError(f"{path}: there is no .safetensors file in this folder")
    index = _index(path)
    chosen = set(index.values()) if index is not None else {WHOLE} if path / WHOLE in there else {f.name for f in there}
    return tuple(path / name for name in sorted(chosen)), tuple(file for file in there if file.name not in chosen)


def _index(folder: Path) -> dict[str, str] | None:
    """Tensor -> file as the folder's index has it; None without one."""
    found = sorted(folder.glob(f"*{INDEX}"))
    if len(found) > 1 and folder / f"model{INDEX}" in found:
        found = [folder / f"model{INDEX}"]
    if not found:
        return None
    if len(found) > 1:
        raise ValueError(f"{folder} has several indexes: {', '.join(file.name for file in found)}; name one file")
    with readable(found[0], "index of safetensors files"):
        told = json.loads(found[0].read_text(encoding="utf-8"))
        files = told.get("weight_map") if isinstance(told, dict) else None
        if not isinstance(files, dict) or not files:
            raise ValueError("it has no weight_map")
        bad = [str(file) for file in files.values() if not isinstance(file, str) or Path(file).name != file]
        if bad:
            raise ValueError(f"it names files that are not beside it: {', '.join(bad[:3])}")
        return files


def open_shards(place: str | Path) -> tuple[Shard, ...]:
    """The shards of a .safetensors file, or of a folder as ``files_of`` picks them.

    Raises ValueError for what is missing, damaged, there twice, or not where the folder's index has it.
    """
    path = Path(place)
    shards = tuple(_shard(file) for file in files_of(path)[0])
    index = _index(path) if path.is_dir() else None
    if index is not None:
        held = {slot.name: shard.file.name for shard in shards for slot in shard.slots}
        wrong = [name for name in sorted(index.keys() | held.keys()) if index.get(name) != held.get(name)]
        if wrong:
            raise ValueError(f"{path}: its index and its files disagree on {', '.join(wrong[:5])}")
    seen: dict[str, Path] = {}
    for slot in (slot for shard in shards for slot in shard.slots):
        if slot.name in seen:
            raise ValueError(f"{slot.name} is in {seen[slot.name]} and in {slot.file}")
        seen[slot.name] = slot.file
    return shards


def _shard(file: Path) -> Shard:
    with readable(file, "safetensors file"):
        size = file.stat().st_size
        with file.open("rb") as source:
            (length,) = struct.unpack("<Q", source.read(8))
            if length > min(LONGEST_HEADER, size - 8):
                raise ValueError(f"its header of {length} bytes does not fit")
            text = source.read(length)
        told = json.loads(text)
        if not isinstance(told, dict):
            raise ValueError("its header is no mapping")
        slots = [_slot(file, name, entry, 8 + length, size) for name, entry in told.items() if name != "__metadata__"]
        slots.sort(key=lambda slot: slot.start)
        edges = [8 + length, *(edge for slot in slots for edge in (slot.start, slot.stop)), size]
        if edges[::2] != edges[1::2]:
            raise ValueError("its tensors overlap or leave gaps")
    return Shard(file, struct.pack("<Q", length) + text, tuple(slots))


def _slot(file: Path, name: str, entry: Any, data: int, size: int) -> Slot:
    if not isinstance(entry, dict):
        raise ValueError(f"{name!r} is no mapping")
    dtype, shape, offsets = (entry.get(key) for key in ("dtype", "shape", "data_offsets"))
    whole = [v for v in (shape, offsets) if isinstance(v, list) and all(type(n) is int and n >= 0 for n in v)]
    if not isinstance(dtype, str) or len(whole) != 2 or len(whole[1]) != 2 or len(whole[0]) > MOST_AXES:
        raise ValueError(f"{name!r} needs a dtype, a shape and two data_offsets")
    start, stop = data + whole[1][0], data + whole[1][1]
    if not start <= stop <= size:
        raise ValueError(f"{name!r} lies outside the file")
    if dtype in FLOATS and stop - start != math.prod(whole[0]) * FLOATS[dtype].itemsize:
        raise ValueError(f"{name!r} has {stop - start} bytes, not those of {dtype} {whole[0]}")
    return Slot(name, dtype, tuple(whole[0]), file, start, stop)
