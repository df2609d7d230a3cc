"""GGUF files read as data: metadata, and tensors with the codes and scales that the file stores.

Format: the GGUF specification of ggml-org/ggml, versions 2 and 3, little endian.  The header is walked here rather than
by the ``gguf`` package, which believes counts that a damaged file gives; its dequantisation is what tests compare with.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.arrays import Float32
from qtaml_hw.weights.image import StoredTensor
from qtaml_hw.workloads.gguf_blocks import BLOCKS, FLOATS, Block, stored_tensor
from qtaml_hw.workloads.reading import readable

MAGIC: Final = b"GGUF"
VERSIONS: Final = (2, 3)
MOST_TENSORS, MOST_VALUES, MOST_AXES, DEEPEST = 100_000, 100_000, 4, 3
LONGEST_NAME: Final = 1 << 16  # bytes of a key or a tensor's name, as the format says
NUMBERS: Final = {
    0: "u1",
    1: "i1",
    2: "<u2",
    3: "<i2",
    4: "<u4",
    5: "<i4",
    6: "<f4",
    7: "?",
    10: "<u8",
    11: "<i8",
    12: "<f8",
}
"""Value types of the format that are numbers -> NumPy types."""
STRING, ARRAY = 8, 9
ALIGNMENT: Final = "general.alignment"


@dataclass(frozen=True)
class GgufTensor:
    """Where a tensor lies: its shape (rows first), the number of its type, its first byte and its length in bytes."""

    name: str
    shape: tuple[int, ...]
    kind: int
    first: int
    size: int

    @property
    def type_name(self) -> str:
        """``Q4_1``, ``F32`` and the like."""
        return BLOCKS[self.kind].name if self.kind in BLOCKS else FLOATS[self.kind][0]


@dataclass(frozen=True, eq=False)
class GgufFile:
    """A file's metadata (numbers, texts, lists or arrays by key) and tensors by name, in file order."""

    path: Path
    metadata: Mapping[str, Any]
    tensors: Mapping[str, GgufTensor]
    _data: NDArray[np.uint8] = field(repr=False)

    def stored(self, name: str) -> StoredTensor:
        """A tensor as the file stores it: codes, their format, and the parts that its scales consist of.

        Raises InputError for scales that are no finite numbers, and ValueError for F32, which has no codes.
        """
        tensor = self.tensors[name]
        with readable(self.path, "GGUF file"):
            return stored_tensor(name, tensor.shape, tensor.kind, self._bytes(tensor))

    def values(self, name: str) -> Float32:
        """A tensor as real numbers, float32, of its shape; dequantised as ggml does it."""
        tensor = self.tensors[name]
        if tensor.type_name == "F32":
            return self._bytes(tensor).view("<f4").reshape(tensor.shape).astype(np.float32)
        found = self.stored(name)
        return found.decode(found.codes)

    def _bytes(self, tensor: GgufTensor) -> NDArray[np.uint8]:
        return self._data[tensor.first : tensor.first + tensor.size]


def read_gguf(path: str | Path) -> GgufFile:
    """The header of a .gguf file; tensors are mapped, and read when they are asked for.

    Raises InputError, one line that names the file, for what is missing, damaged or of a type that is not read.
    """
    place = Path(path)
    with readable(place, "GGUF file"):
        if place.stat().st_size < 24:
            raise ValueError("it is shorter than any header")
        data = np.memmap(place, dtype=np.uint8, mode="r")
        return _read(place, data)


def _read(path: Path, data: NDArray[np.uint8]) -> GgufFile:
    at = _Cursor(data)
    if at.take(4).tobytes() != MAGIC:
        raise ValueError("it does not begin with GGUF")
    version = int(at.number(4))
    if version not in VERSIONS:
        raise ValueError(f"its version is {version}; read are little-endian files of version {VERSIONS[0]} and 3")
    tensors, values = (int(at.number(10)) for _ in range(2))
    if tensors > MOST_TENSORS or values > MOST_VALUES:
        raise ValueError(f"it promises {tensors} tensors and {values} values of metadata")
    metadata: dict[str, Any] = {}
    for _ in range(values):
        key = at.text(LONGEST_NAME)
        if key in metadata:
            raise ValueError(f"its metadata has {key[:60]!r} twice")
        metadata[key] = at.value(int(at.number(4)))
    entries = [_entry(at) for _ in range(tensors)]
    alignment = metadata.get(ALIGNMENT, 32)
    if not isinstance(alignment, int) or not 8 <= alignment <= 1 << 16 or alignment % 8:
        raise ValueError(f"its alignment is {str(alignment)[:40]}; it is a multiple of 8")
    start = -(-at.place // alignment) * alignment
    found: dict[str, GgufTensor] = {}
    for name, shape, kind, offset in entries:
        if name in found:
            raise ValueError(f"it has the tensor {name[:60]!r} twice")
        size = _size(name, shape, kind)
        if offset % alignment or start + offset + size > data.size:
            raise ValueError(f"the tensor {name[:60]!r} lies outside the file, which is cut off or damaged")
        found[name] = GgufTensor(name, shape, kind, start + offset, size)
    for before, after in pairwise(sorted(found.values(), key=lambda one: one.first)):
        if before.first + before.size > after.first:
            raise ValueError(f"the tensors {before.name[:60]!r} and {after.name[:60]!r} overlap")
    return GgufFile(path, metadata, found, data)


def _entry(at: _Cursor) -> tuple[str, tuple[int, ...], int, int]:
    name, axes = at.text(LONGEST_NAME), int(at.number(4))
    if not 1 <= axes <= MOST_AXES:
        raise ValueError(f"the tensor {name[:60]!r} has {axes} axes")
    shape = tuple(int(at.number(10)) for _ in range(axes))[::-1]
    if not all(shape):
        raise ValueError(f"the tensor {name[:60]!r} has no values")
    return name, shape, int(at.number(4)), int(at.number(10))


def _size(name: str, shape: tuple[int, ...], kind: int) -> int:
    """Bytes of a tensor.  Raises ValueError for types that are not read, and rows that are no whole blocks."""
    if kind in FLOATS:
        return math.prod(shape) * FLOATS[kind][1]
    block: Block | None = BLOCKS.get(kind)
    if block is None:
        known = ", ".join([*(name for name, _ in FLOATS.values()), *(one.name for one in BLOCKS.values())])
        raise ValueError(f"the tensor {name[:60]!r} is of type number {kind}; read are {known}")
    if len(shape) < 2 or shape[-1] % block.weights:
        raise ValueError(f"the tensor {name[:60]!r} of {block.name} has rows that are no blocks of {block.weights}")
    return math.prod(shape) // block.weights * block.bytes


class _Cursor:
    """A place in the header that never passes the end of the file."""

    def __init__(self, data: NDArray[np.uint8]) -> None:
        self.data, self.place = data, 0

    def take(self, size: int) -> NDArray[np.uint8]:
        if size > self.data.size - self.place:
            raise ValueError("its header is cut off")
        self.place += size
        return self.data[self.place - size : self.place]

    def number(self, kind: int) -> Any:
        dtype = np.dtype(NUMBERS[kind])
        return np.frombuffer(self.take(dtype.itemsize).tobytes(), dtype)[0].item()

    def text(self, longest: int | None = None) -> str:
        (size,) = struct.unpack("<Q", self.take(8).tobytes())
        if longest is not None and size > longest:
            raise ValueError(f"it has a name of {size} bytes")
        return self.take(size).tobytes().decode("utf-8", errors="replace")

    def value(self, kind: int, depth: int = 0) -> Any:
        if kind in NUMBERS:
            return self.number(kind)
        if kind == STRING:
            return self.text()
        if kind != ARRAY or depth >= DEEPEST:
            raise ValueError(f"its metadata has a value of type number {kind}, nested {depth} deep")
        inner, count = int(self.number(4)), int(self.number(10))
        if inner in NUMBERS:
            dtype = np.dtype(NUMBERS[inner])
            return np.frombuffer(self.take(count * dtype.itemsize).tobytes(), dtype)
        if count * 8 > self.data.size - self.place:  # a text takes eight bytes at least, and a list more
            raise ValueError(f"it promises a list of {count}")
        return [self.value(inner, depth + 1) for _ in range(count)]
