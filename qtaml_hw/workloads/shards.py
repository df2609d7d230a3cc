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


def open_shards(place: str | Path) -> tuple[Shard, ...]:
    """The shards of a .safetensors file or of a folder of them, in the order of their names.

    Raises ValueError for what is missing, damaged, or there twice.
    """
    path = Path(place)
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    if not files:
        raise ValueError(f"{path}: there is no .safetensors file in this folder")
    shards = tuple(_shard(file) for file in files)
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
